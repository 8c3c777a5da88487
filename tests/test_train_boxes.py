"""Geometry of boxes, k-means of anchors, average precision: beside what is counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archspec  # noqa: E402
from archspec.module.detection import nms, overlaps  # noqa: E402
from archspec.train import boxes, precision  # noqa: E402

T = torch.tensor


def drawn(count: int, seed: int, side: float = 20) -> torch.Tensor:
    found = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed)) * side
    found[:, 2:] = found[:, :2] + 1 + found[:, 2:] / 2
    return found


def test_boxes_by_hand() -> None:
    one, other = T([0.0, 0, 4, 4]), T([2.0, 0, 6, 4])
    assert float(boxes.shared(one, other)) == pytest.approx(1 / 3)
    assert float(boxes.apart(one, other)) == pytest.approx(2 / 3)  # the hull is the union
    assert float(boxes.apart(one, T([4.0, 4, 8, 8]))) == pytest.approx(1 + 0.5)
    assert boxes.deltas(other, one).tolist() == [0.5, 0, 0, 0]
    assert boxes.centred(other).tolist() == [4, 2, 4, 4]
    assert boxes.clipped(T([[-1.0, 2, 9, 8]]), height=6, width=7).tolist() == [[0, 2, 7, 6]]


def test_what_moves_a_box_moves_it() -> None:
    target, anchor = drawn(50, 0), drawn(50, 1)
    torch.testing.assert_close(boxes.moved(anchor, boxes.deltas(target, anchor)), target)
    torch.testing.assert_close(boxes.corners(boxes.centred(target)), target)
    pairs = boxes.shared(target, anchor)
    torch.testing.assert_close(pairs, overlaps(target, anchor).diagonal())


def test_anchors_are_those_of_the_op() -> None:
    text = (
        "spec: 1\nname: rpn\ninput: {logits: [3, 4, 5], deltas: [12, 4, 5], image: [1, 32, 40]}\n"
    )
    text += "body: [{id: best, anchor_boxes: {size: 12, ratios: [0.5, 1, 3]}, "
    text += "from: [logits, deltas, image]}]\noutputs: {boxes: best.boxes}\n"
    op: Any = next(archspec.build(archspec.loads(text)).children())
    wanted = op.anchors(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 32, 40))
    assert torch.equal(boxes.anchors(12, (0.5, 1.0, 3.0), (4, 5), (32, 40)), wanted)


def test_suppression_is_of_each_class_alone() -> None:
    found = torch.cat(
        [drawn(80, 2) - 5, torch.rand(80, 1), T([0.0, 1, 2, 3]).repeat(20)[:, None]], 1
    )
    wanted = []
    for label in range(4):
        mine = found[found[:, 5] == label]
        wanted.append(mine[nms(mine[:, :4], mine[:, 4], 0.3)])
    every = torch.cat(wanted)
    every = every[every[:, 4].argsort(descending=True)]
    assert len(every) < 70
    assert torch.equal(boxes.best(found, 0.3, 100), every)
    assert torch.equal(boxes.best(found, 0.3, 7), every[:7])
    assert boxes.best(found[:0], 0.3, 7).shape == (0, 6)


def test_anchors_of_two_kinds_of_boxes() -> None:
    small = T([[4.0, 8.0]]).repeat(30, 1)
    large = T([[30.0, 20.0]]).repeat(10, 1)
    sides = torch.cat([small, large])[torch.randperm(40)]
    sides = sides * (1 + 0.02 * torch.randn(40, 2))
    found = boxes.clusters(sides, 2, seed=3)
    torch.testing.assert_close(found, T([[4.0, 8], [30, 20]]), rtol=0.05, atol=0)
    assert torch.equal(found, boxes.clusters(sides, 2, seed=3))


# ------------------------------------------------------------------ average precision


def by_hand(found, truth, label, least):  # type: ignore[no-untyped-def]
    """AP of one class as the paper of COCO has it, picture by picture and box by box."""
    ranked, count = [], 0
    for mine, (corners, labels) in zip(found, truth, strict=True):
        left = [corners[k] for k in range(len(labels)) if labels[k] == label]
        count += len(left)
        rows = sorted((row for row in mine.tolist() if row[5] == label), key=lambda row: -row[4])
        for row in rows:
            near = [float(overlaps(T([row[:4]]), one[None])) for one in left]
            hit = bool(near) and max(near) >= least
            if hit:
                left.pop(near.index(max(near)))
            ranked.append((-row[4], hit))
    ranked.sort()
    points, hits = [], 0
    for k, (_, hit) in enumerate(ranked, 1):
        hits += hit
        points.append((hits / count, hits / k))
    levels = [k / 100 for k in range(101)]
    return (
        sum(max((p for r, p in points if r >= level - 1e-12), default=0.0) for level in levels)
        / 101
    )


def pictures(count: int = 30):  # type: ignore[no-untyped-def]
    """Boxes that are there, and found ones near them, some not, of the wrong class, or twice."""
    generator = torch.Generator().manual_seed(5)
    found, truth = [], []
    for k in range(count):
        many = k % 4
        corners, labels = drawn(many, 100 + k), torch.arange(many) % 3
        near = corners.repeat(2, 1) + torch.randn(2 * many, 4, generator=generator)
        other = drawn(3, 200 + k)
        scores = torch.rand(2 * many + 3, 1, generator=generator)
        kinds = torch.cat([labels, labels, T([0, 1, 2])]).float()[:, None]
        rows = torch.cat([torch.cat([near, other]), scores, kinds], 1)
        found.append(rows[rows[:, 4].argsort(descending=True)])
        truth.append((corners, labels))
    return found, truth


def padded(truth):  # type: ignore[no-untyped-def]
    most = max(len(labels) for _, labels in truth)
    corners, labels = torch.zeros(len(truth), most, 4), torch.full((len(truth), most), -1)
    for k, (one, names) in enumerate(truth):
        corners[k, : len(one)], labels[k, : len(one)] = one, names
    return corners, labels


def test_average_precision_by_hand_and_in_parts() -> None:
    found, truth = pictures()
    corners, labels = padded(truth)
    counts = torch.bincount(labels[labels >= 0], minlength=4)
    rows = precision.matched(boxes.below(found), corners, labels)
    values = precision.average_precision(rows, counts)
    assert values[:, 3].isnan().all()  # a class of which there are none
    for k, least in enumerate(precision.THRESHOLDS):
        for label in range(3):
            assert float(values[k, label]) == pytest.approx(by_hand(found, truth, label, least))
    assert 0.2 < float(values[0, :3].mean()) < 0.9
    parts = [
        precision.matched(boxes.below(found[k::4]), *(one[k::4] for one in padded(truth)))
        for k in (2, 0, 3, 1)
    ]
    assert torch.equal(precision.average_precision(torch.cat(parts), counts)[:, :3], values[:, :3])


def test_what_is_right_scores_one_and_nothing_scores_none() -> None:
    corners, labels = padded(pictures()[1])
    right = torch.cat([corners, torch.ones(*labels.shape, 1), labels[..., None]], 2)
    counts = torch.bincount(labels[labels >= 0])
    rows = precision.matched(right, corners, labels)
    assert precision.average_precision(rows, counts).eq(1).all()
    assert precision.average_precision(rows[:0], counts).eq(0).all()
    none = precision.matched(right, corners[:, :0], labels[:, :0])
    assert precision.average_precision(none, counts).eq(0).all()


def test_equal_scores_are_one_step_of_the_curve() -> None:
    rows = torch.zeros(4, 12)
    rows[:, 1] = T([0.9, 0.5, 0.5, 0.5])
    rows[:, 2:] = T([1.0, 0, 1, 0])[:, None]
    both = [
        precision.average_precision(rows[order], T([2]))[0, 0]
        for order in ([0, 1, 2, 3], [3, 2, 1, 0])
    ]
    assert float(both[0]) == pytest.approx((51 * 1 + 50 * 0.5) / 101)
    assert both[0] == both[1]
