"""Targets of all kinds: where they come from, and how they move along with the picture."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from archspec.train import augment, shapes
from archspec.train.errors import TrainError
from archspec.train.loading import View, load
from archspec.train.named import Called
from archspec.train.samples import Arrays, Wanted
from archspec.train.sources import samples
from archspec.train.targets import IGNORED, NO_BOX

MOVES: list[tuple[str, Any]] = [
    ("resize", 0.6),
    ("flip", "both"), ("translate", 0.4), ("rotate", 90), ("scale", 0.5), ("crop", 9)
]  # fmt: skip


def around(mask: Tensor) -> list[int]:
    """x1, y1, x2, y2 of what is not 0 and not ignored."""
    rows, columns = ((mask > 0) & (mask != IGNORED)).nonzero().T
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


# ------------------------------------------------------------------ the set `shapes`


def test_shapes_are_decided_by_their_number_and_known_to_the_pixel() -> None:
    for number in range(40):
        found = shapes.drawn(number, (48, 64), classes=5)
        again = shapes.drawn(number, (48, 64), classes=5)
        assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
        assert found.x.shape == (3, 48, 64)
        assert found.x.min() >= 0
        assert found.x.max() <= 1
        alone = torch.zeros_like(found.mask)
        for box, label in zip(found.boxes.int().tolist(), found.labels.tolist(), strict=True):
            left, top, right, bottom = box
            inside = found.mask[top:bottom, left:right]
            alone[top:bottom, left:right] += (inside == label + 1).long()
            assert (inside == label + 1).any(0).all()  # nothing of a box is empty
            assert (inside == label + 1).any(1).all()
        assert ((alone > 0) == (found.mask > 0)).all()
    assert len({tuple(shapes.drawn(i, (16, 16)).x.flatten().tolist()) for i in range(30)}) == 30


@pytest.mark.parametrize(
    ("kind", "classes", "wanted"),
    [
        ("classes", 3, ()), ("numbers", 1, (1,)), ("labels", 4, (4,)), ("mask", 4, (16, 16)),
        ("picture", 0, (1, 16, 16)), ("box", 3, {"box": (4,), "label": ()}),
        ("boxes", 3, {"boxes": (4, 4), "labels": (4,)}),
    ],
)  # fmt: skip
def test_shapes_have_the_targets_that_a_task_asks_for(kind: str, classes: int, wanted: Any) -> None:
    found = samples("shapes", Wanted((1, 16, 16), classes, kind))
    x, y = found.fetch(range(60))
    assert x.shape == (60, 1, 16, 16)
    if isinstance(wanted, dict):
        assert {name: one.shape[1:] for name, one in y.items()} == wanted
    else:
        assert y.shape[1:] == wanted
    if kind in ("classes", "mask"):
        assert y.unique().tolist() == list(range(classes))
        assert len(found.classes) == classes


def test_what_no_shapes_are_drawn_for() -> None:
    with pytest.raises(TrainError, match=r"E804 .* not for inputs of \[64\]"):
        samples("shapes", Wanted((64,), 3, "classes"))
    with pytest.raises(TrainError, match="E804 the head tells 9 classes apart; there are 5 kinds"):
        samples("shapes", Wanted((3, 32, 32), 9, "classes"))
    for word in ("digits", "synthetic"):
        with pytest.raises(TrainError, match=f"E803 `{word}` has a class for each sample"):
            samples(word, Wanted((1, 8, 8), 10, "mask"))


# ------------------------------------------------------------------ moved along


@pytest.mark.parametrize(("name", "by"), MOVES)
def test_masks_and_boxes_go_where_the_picture_goes(name: str, by: Any) -> None:
    """A light square on a dark ground: wherever it goes, its mask and its box are around it."""
    n, called = 30, Called(name, {"by": by})
    x = torch.zeros(n, 1, 40, 40)
    x[:, :, 15:24, 16:27] = 1
    boxes = torch.tensor([[[16.0, 15, 27, 24], [0, 0, 0, 0]]]).repeat(n, 1, 1)
    labels = torch.tensor([[3, NO_BOX]]).repeat(n, 1)
    numbers = torch.rand(n, augment.draws([called]), generator=torch.Generator().manual_seed(0))
    if name == "rotate":
        numbers = numbers.round()  # by right angles: boxes stay tight
    seen = {"x": x, "mask": x[:, 0].long(), "picture": x, "boxes": boxes, "labels": labels}
    found = augment.apply([called], {**seen, "box": boxes[:, 0], "label": labels[:, 0]}, numbers)
    assert torch.equal(found["picture"], found["x"])
    assert not torch.equal(found["x"], x)
    for i in range(n):
        light, mask = found["x"][i, 0], found["mask"][i]
        assert ((light > 0.75) <= (mask == 1)).all()
        assert ((light < 0.25) <= (mask != 1)).all()
        box = found["boxes"][i, 0]
        assert found["labels"][i].tolist() == [3, NO_BOX]
        assert (box - torch.tensor(around(mask))).abs().max() <= 1
        assert torch.equal(found["box"][i], box)


def test_what_comes_from_outside_is_ignored() -> None:
    ones = {"x": torch.ones(1, 1, 8, 8), "mask": torch.ones(1, 8, 8).long()}
    moved = augment.apply([Called("translate", {"by": 0.25})], ones, torch.tensor([[0.0, 0.5]]))
    assert moved["mask"][0, 0].tolist() == [IGNORED] * 2 + [1] * 6
    cut = augment.apply([Called("crop", {"by": 3})], ones, torch.tensor([[0.0, 0.5]]))
    assert cut["mask"][0, :, 0].tolist() == [IGNORED] * 3 + [1] * 5


def test_a_box_of_which_little_is_left_is_dropped() -> None:
    """Moved to the left by 4 of 16: nothing is left of one, a quarter of one, a third of one."""
    boxes = torch.tensor([[[0.0, 0, 4, 8], [0.0, 0, 5, 8], [0.0, 0, 6, 8]]])
    seen = {"x": torch.zeros(1, 1, 16, 16), "boxes": boxes, "labels": torch.tensor([[0, 1, 2]])}
    found = augment.apply([Called("translate", {"by": 0.25})], seen, torch.tensor([[1.0, 0.5]]))
    assert found["labels"].tolist() == [[NO_BOX, NO_BOX, 2]]
    torch.testing.assert_close(found["boxes"][0, 2], torch.tensor([0.0, 0, 2, 8]))


def test_torchvisions_transforms_move_masks_and_boxes_too(torchvision: Any) -> None:
    found = samples("shapes", Wanted((3, 32, 32), 4, "mask"))
    flip = (Called("RandomHorizontalFlip", {"p": 1.0}),)
    view = View(found, torch.arange(8), None, flip)
    x, y = view.__getitems__([2, 5])
    plain_x, plain_y = view.plain().__getitems__([2, 5])
    assert torch.equal(x, plain_x.flip(3))
    assert torch.equal(y, plain_y.flip(2))
    found = samples("shapes", Wanted((3, 32, 32), 3, "boxes"))
    view = View(found, torch.arange(8), None, flip)
    _, y = view.__getitems__([2, 5])
    _, plain_y = view.plain().__getitems__([2, 5])
    there = plain_y["labels"] != NO_BOX
    mirrored = 32 - plain_y["boxes"][there][:, [2, 1, 0, 3]]
    mirrored[:, [1, 3]] = plain_y["boxes"][there][:, [1, 3]]
    torch.testing.assert_close(y["boxes"][there], mirrored)


# ------------------------------------------------------------------ sets of the caller's


class Few(Dataset[Any]):
    """Pictures with as many boxes as their number says."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        boxes = [[0.0, 0, 1 + k, 2] for k in range(index)]
        return torch.zeros(1, 8, 8), {"boxes": boxes, "labels": list(range(index))}


def test_boxes_of_a_dataset_are_filled_up_to_the_most() -> None:
    found = samples(Few(), Wanted((1, 8, 8), 3, "boxes"))
    x, y = found.fetch([0, 2])
    assert x.shape == (2, 1, 8, 8)
    assert y["boxes"].tolist() == [[[0, 0, 0, 0]] * 2, [[0, 0, 1, 2], [0, 0, 2, 2]]]
    assert y["labels"].tolist() == [[NO_BOX] * 2, [0, 1]]
    whole = load(View(found, torch.arange(5)), [[0, 1], [4]], 0)
    assert [y["labels"].shape for _, y in whole] == [(2, 1), (1, 4)]


def test_pairs_of_arrays_and_archives_hold_boxes_too(tmp_path: Any) -> None:
    x = numpy.zeros((4, 1, 8, 8), "uint8")
    boxes, labels = numpy.ones((4, 2, 4)), numpy.zeros((4, 2), "int64")
    wanted = Wanted((1, 8, 8), 3, "boxes")
    for size, scale in ((None, 1.0), ((16, 16), 2.0)):
        found = samples((x, {"boxes": boxes, "labels": labels}), wanted._replace(size=size))
        _, y = found.fetch([1, 3])
        assert y["boxes"].tolist() == [[[scale] * 4] * 2] * 2
        assert y["labels"].shape == (2, 2)
    path = tmp_path / "all.npz"
    numpy.savez(path, x=x, boxes=boxes, labels=labels)
    assert samples(path, wanted).fetch([0])[1]["boxes"].shape == (1, 2, 4)
    numpy.savez(path, x=x, boxes=boxes)
    with pytest.raises(TrainError, match="holds `x` and `boxes`, not `x`, `boxes` and `labels`"):
        samples(path, wanted)


# ------------------------------------------------------------------ resize, jitter, mixup


def test_what_is_cut_out_and_enlarged_is_a_part_of_the_picture() -> None:
    called, n = Called("resize", {"by": 0.25}), 400
    rows = torch.arange(64.0)[:, None].expand(64, 64)
    x = torch.stack([rows, rows.T]).expand(n, -1, -1, -1)  # where each pixel was: y, x
    numbers = torch.rand(n, 4, generator=torch.Generator().manual_seed(0))
    found = augment.apply([called], {"x": x}, numbers)["x"][..., 1:-1, 1:-1]
    high, wide = (found[:, k].amax((1, 2)) - found[:, k].amin((1, 2)) for k in (0, 1))
    high, wide = high / 61, wide / 61
    assert found.min() >= 0
    assert found.max() <= 63
    area, ratio = high * wide, wide / high
    assert 0.24 < area.min() < 0.28
    assert 0.9 < area.max() <= 1.05
    assert 0.74 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.35
    whole = torch.tensor([[1.0, 0.5, 0.5, 0.5]])
    torch.testing.assert_close(augment.apply([called], {"x": x[:1]}, whole)["x"], x[:1])


def test_jitter_is_brightness_contrast_and_colour() -> None:
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    called = Called("jitter", {"by": 0.5})

    def jittered(*numbers: float) -> Tensor:
        return augment.apply([called], {"x": x}, torch.tensor([numbers] * 3))["x"]

    torch.testing.assert_close(jittered(0.5, 0.5, 0.5), x)
    torch.testing.assert_close(jittered(1.0, 0.5, 0.5), 1.5 * x)
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(jittered(0.5, 0.0, 0.5), mean + 0.5 * (x - mean))
    grey = (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])[:, None]
    torch.testing.assert_close(jittered(0.5, 0.5, 0.0), grey + 0.5 * (x - grey))


def mixing(alpha: float = 0.4, **settings: Any) -> View:
    drawn = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 1, 8, 8, generator=drawn), torch.arange(40) % 3
    chosen = (Called("mixup", {"by": alpha}),)
    return View(Arrays(x, y), torch.arange(40), None, chosen, seed=5, told_apart=3, **settings)


def test_a_mixture_is_of_two_samples_and_targets_are_its_shares() -> None:
    view = mixing()
    x, y = view.__getitems__(list(range(40)))
    assert y.shape == (40, 3)
    torch.testing.assert_close(y.sum(1), torch.ones(40))
    plain, classes = view.plain().__getitems__(list(range(40)))
    one_hot = torch.nn.functional.one_hot(classes, 3).float()
    for i in range(40):
        # of which other sample, and how much: what the target says holds for the picture
        fits = []
        for j in range(40):
            apart = (plain[i] - plain[j]).flatten()
            share = float((x[i] - plain[j]).flatten() @ apart / (apart @ apart)) if i != j else 1.0
            mixed = share * plain[i] + (1 - share) * plain[j]
            fits.append((float((x[i] - mixed).abs().max()), j, share))
        error, j, share = min(fits)
        assert error < 1e-5
        torch.testing.assert_close(
            y[i], share * one_hot[i] + (1 - share) * one_hot[j], atol=1e-4, rtol=0
        )
    assert 5 < int((y.max(1).values > 0.999).sum()) < 35  # of one class, or nearly


def test_a_mixture_depends_on_seed_epoch_and_sample_alone() -> None:
    whole, targets = mixing().__getitems__(list(range(40)))
    some, theirs = mixing().__getitems__([7, 33])
    torch.testing.assert_close(some, whole[[7, 33]])
    torch.testing.assert_close(theirs, targets[[7, 33]])
    later = mixing()
    later.epoch = 1
    assert not torch.equal(later.__getitems__([7])[0], whole[[7]])
    read = list(load(mixing(workers=2), [[7, 33], [1]], 0))
    torch.testing.assert_close(read[0][0], some)
    assert torch.equal(mixing().plain().__getitems__([3])[1], torch.tensor([0]))
