"""nms and roi_align in plain torch, beside what their definitions say, box by box."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

import archspec  # noqa: E402
from archspec.module.detection import nms, ops, overlaps, roi_align  # noqa: E402


def boxes(count: int, side: float, seed: int = 0) -> torch.Tensor:
    found = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed)) * side
    found[:, 2:] = found[:, :2] + found[:, 2:] / 2
    return found


def test_intersection_over_union_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 4, 4], [0, 0, 0, 0]])
    other = torch.tensor([[2.0, 0, 6, 4], [0, 0, 4, 4], [4, 4, 8, 8], [0, 0, 0, 0]])
    assert torch.equal(overlaps(one, other), torch.tensor([[8 / 24, 1, 0, 0], [0.0, 0, 0, 0]]))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_suppression_is_the_greedy_loop(count: int, threshold: float) -> None:
    given = boxes(count, 20)
    scores = (torch.rand(count, generator=torch.Generator().manual_seed(1)) * 20).round()  # ties
    kept: list[int] = []
    for i in sorted(range(count), key=lambda i: -scores[i]):
        if all(float(overlaps(given[i : i + 1], given[j : j + 1])) <= threshold for j in kept):
            kept.append(i)
    assert nms(given, scores, threshold).tolist() == kept
    assert count < 200 or 5 < len(kept) < 200


def reference(x, rois, size, scale, samples, aligned):  # type: ignore[no-untyped-def]
    """Each cell's samples one by one, between four places of the map by grid_sample."""
    height, width = x.shape[2:]
    found = torch.zeros(len(rois), x.shape[1], *size, dtype=x.dtype)
    for k, (number, *corners) in enumerate(rois.tolist()):
        left, top, right, bottom = (c * scale - (0.5 if aligned else 0) for c in corners)
        sides = [bottom - top, right - left]
        cells = [
            (side if aligned else max(side, 1)) / n for side, n in zip(sides, size, strict=True)
        ]
        counts = [samples if samples > 0 else math.ceil(cell) for cell in cells]
        for i in range(size[0]):
            for j in range(size[1]):
                for a in range(counts[0]):
                    for b in range(counts[1]):
                        y = top + (i + (a + 0.5) / counts[0]) * cells[0]
                        z = left + (j + (b + 0.5) / counts[1]) * cells[1]
                        if not (-1 <= y <= height and -1 <= z <= width):
                            continue
                        at = x.new_tensor([(2 * z + 1) / width - 1, (2 * y + 1) / height - 1])
                        value = functional.grid_sample(
                            x[int(number)][None], at.view(1, 1, 1, 2),
                            padding_mode="border", align_corners=False,
                        )  # fmt: skip
                        found[k, :, i, j] += value.flatten() / (counts[0] * counts[1])
    return found


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [2, 1, -1])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_roi_align_is_bilinear_interpolation(scale: float, samples: int, aligned: bool) -> None:
    x = torch.randn(2, 3, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given = boxes(7, 10 / scale).double() - 3  # some outside, in part or whole
    given[-1] = given[-1, [0, 1, 0, 1]]  # and one without an area
    rois = torch.cat([torch.tensor([0, 1, 1, 0, 1, 0, 1.0])[:, None], given], 1).double()
    found = roi_align(x, rois, (3, 2), scale, samples, aligned)
    wanted = reference(x, rois, (3, 2), scale, samples, aligned)
    assert float(wanted.abs().max()) > 0.1
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_roi_align_of_no_boxes_and_its_gradient() -> None:
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert roi_align(x, torch.zeros(0, 5).double(), 7, 1.0, 2, True).shape == (0, 2, 7, 7)
    rois = torch.tensor([[0, 0.3, 0.2, 3.1, 2.9]]).double()
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, 2, 1.0, 2, True), [x])


class Broken(ModuleType):
    def __getattr__(self, name: str) -> object:
        raise RuntimeError("operator torchvision::nms does not exist")


@pytest.mark.parametrize("there", [None, Broken("torchvision.ops")])
def test_a_detector_runs_without_torchvision(
    monkeypatch: pytest.MonkeyPatch, there: ModuleType | None
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.ops", there)
    assert ops().__name__ == "archspec.module.detection"
    text = f"spec: 1\nname: kept{there is None}\ninput: {{boxes: [5, 4], scores: [5]}}\n"
    text += "body: [{id: best, nms: 0.4, from: [boxes, scores]}]\noutputs: {boxes: best.boxes}\n"
    model = archspec.build(archspec.loads(text))
    given, scores = boxes(5, 4)[None], torch.rand(1, 5)
    kept = nms(given[0], scores[0], 0.4)
    found = model(given, scores)
    found = found["boxes"] if isinstance(found, dict) else found
    assert found.any(2)[0].nonzero().flatten().tolist() == sorted(kept.tolist())
