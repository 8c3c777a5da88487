"""Where things are: localisation, detectors of one stage and of two."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import archspec  # noqa: E402
from archspec import train  # noqa: E402
from archspec.text.faults import SpecError  # noqa: E402
from archspec.train import (  # noqa: E402
    TrainError,
    boxes,
    reading,
    targets,
    tasks,
)
from archspec.train.samples import Wanted  # noqa: E402
from archspec.train.tasks.two_stage import drawn  # noqa: E402

T = torch.tensor

HEADS = """
spec: 1
name: heads
params: {classes: 3}
input: [3, 32, 32]
body:
  - {conv: {out: 4, kernel: 3, stride: 4}}
  - relu
  - flatten
  - {id: scores, tap: always, linear: $classes}
  - {id: box, linear: 4}
outputs: {scores: scores, box: box}
"""
YOLO = """
spec: 1
name: yolo
params: {classes: 3, anchors: 2}
input: [3, 32, 32]
body:
  - {id: fine, conv: {out: 8, kernel: 3, stride: 4, padding: 1}}
  - relu
  - {id: small, tap: always, conv: {out: $(anchors * (5 + classes)), kernel: 1}}
  - {conv: {out: 8, kernel: 3, stride: 2, padding: 1}}
  - relu
  - {id: large, conv: {out: $(anchors * (5 + classes)), kernel: 1}}
outputs: {large: large, small: small}
"""
ANCHORS = [[4, 4], [6, 8], [12, 10], [20, 24]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def made(text: str, task: Any, **params: Any) -> Any:
    """The task of a network, for pictures of 32 x 32."""
    program = archspec.loads(text, **params)
    return tasks.task(reading.given(None, {"task": task}), program)


def known(task: Any, anchors: Any = ()) -> Any:
    from archspec.train.sets import Facts

    task.know(Facts("", shape=(3, 32, 32), anchors=tuple(map(tuple, anchors))))
    return task


def truth() -> dict[str, torch.Tensor]:
    """Of three pictures: two boxes, none, one."""
    corners = torch.zeros(3, 2, 4)
    corners[0] = T([[2.0, 3, 7, 12], [10, 10, 31, 30]])
    corners[2, 0] = T([17.0, 1, 21, 6])
    return {"boxes": corners, "labels": T([[2, 0], [-1, -1], [1, -1]])}


# ------------------------------------------------------------------ one class, one box


class Says(torch.nn.Module):
    """What it was told, whatever comes in."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def forward(self, x: Any) -> Any:
        return self.found


def test_localisation_is_counted_by_hand() -> None:
    task = made(HEADS, {"localisation": {"weight": 2}})
    logits = T([[4.0, 0, 0], [4, 0, 0], [0, 0, 4]])
    box = T([[0.0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5]])
    y = {"label": T([0, 1, 2]), "box": T([[0.0, 0, 16, 16], [0, 0, 16, 16], [0, 0, 16, 16]])}
    x = torch.zeros(3, 3, 32, 32)
    model = Says({"scores": logits, "box": box})
    figures = task.figures(task.score(model, x, y))
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["iou"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert figures["both"] == pytest.approx(1 / 3)  # the first: class and box
    cross = torch.nn.functional.cross_entropy(logits, y["label"])
    assert figures["loss"] == pytest.approx(float(cross) + 2 * (2 * 0.0625) / 12)
    each = task.of_each(model, x, y)
    assert float(each.mean()) == pytest.approx(figures["loss"])
    known(task)
    said = task.answers(task.verdict(model(x)), ("a", "b", "c"), 3)
    assert said[2] == {"class": "c", "score": 0.9647, "box": [8.0, 0.0, 24.0, 16.0]}


def test_which_output_is_the_box() -> None:
    assert made(HEADS, "localisation").box == "box"
    four = {"localisation": {"box": "box"}}
    assert made(HEADS, four, classes=4).scores == "scores"
    with pytest.raises(SpecError, match="both `scores` and `box` have 4 numbers") as caught:
        made(HEADS, "localisation", classes=4)
    assert "box: box" in caught.value.faults[0].help
    with pytest.raises(SpecError, match="`scores` is no output of 4 numbers"):
        made(HEADS, {"localisation": {"box": "scores"}})
    with pytest.raises(TrainError, match=r"another 4 numbers; here are `output` \[4\]"):
        made(
            HEADS.replace("outputs: {scores: scores, box: box}", "").replace(
                "  - {id: scores, tap: always, linear: $classes}\n", ""
            ),
            "localisation",
        )
    with pytest.raises(SpecError, match="`weight` is 0"):
        made(HEADS, {"localisation": {"weight": 0}})


# ------------------------------------------------------------------ one stage


def maps_of(task: Any, y: Any, sure: float = 20.0) -> dict[str, torch.Tensor]:
    """What a network would have to say that finds exactly these boxes."""
    maps = {}
    head = task.head
    for level, (name, side) in enumerate((("small", 8), ("large", 4))):
        shapes = head.anchors[2 * level : 2 * level + 2]
        made = torch.full((3, 2, 8, side, side), -sure)
        for n, k in (y["labels"] >= 0).nonzero().tolist():
            x, row, w, h = boxes.centred(y["boxes"][n, k]).tolist()
            near = [
                min(w, a) * min(h, b) / (w * h + a * b - min(w, a) * min(h, b))
                for a, b in head.anchors.tolist()
            ]
            best = near.index(max(near))
            if best // 2 != level:
                continue
            stride = 32 // side
            column, line = int(x // stride), int(row // stride)
            inside = T([x / stride - column, row / stride - line])
            cell = made[n, best % 2, :, line, column]
            cell[:2] = torch.logit(inside)
            cell[2:4] = (T([w, h]) / shapes[best % 2]).log()
            cell[4] = sure
            cell[5 + int(y["labels"][n, k])] = sure
        maps[name] = made.flatten(1, 2)
    return maps


def test_a_yolo_that_says_what_is_true_has_no_loss_and_finds_all() -> None:
    task = known(made(YOLO, {"detection": {"anchors": ANCHORS}}), ANCHORS)
    y, x = truth(), torch.zeros(3, 3, 32, 32)
    maps = maps_of(task, y)
    assert float(task.of_each(Says(maps), x, y).max()) < 1e-3
    sums = task.score(Says(maps), x, y)
    assert task.figures(sums)["map50"] == pytest.approx(1)
    assert task.figures(sums)["map"] == pytest.approx(1)
    found = task.verdict(maps)
    assert (found[..., 5] >= 0).sum(1).tolist() == [2, 0, 1]
    torch.testing.assert_close(found[2, 0, :4], y["boxes"][2, 0], atol=1e-3, rtol=0)
    assert task.answers(found, ("a", "b", "c"), 3)[2][0]["class"] == "b"
    wrong = {name: one.clone() for name, one in maps.items()}
    wrong["small"][1] = maps["small"][0]  # a box in a picture without one
    worse = task.of_each(Says(wrong), x, y)
    assert float(worse[1]) > 5 > 1e-3 > float(worse[0])
    assert task.figures(task.score(Says(wrong), x, y))["map50"] < 1


def test_what_overlaps_an_object_is_left_alone() -> None:
    task = known(made(YOLO, {"detection": {"anchors": ANCHORS}}), ANCHORS)
    y, x = truth(), torch.zeros(3, 3, 32, 32)
    maps = maps_of(task, y)
    before = task.of_each(Says(maps), x, y)
    one = torch.unflatten(maps["small"], 1, (2, 8))
    line, column = 7 // 4, 4 // 4  # of the first box, whose anchor is the second
    one[0, 0, :2, line, column] = one[0, 1, :2, line, column]
    one[0, 0, 2:4, line, column] = (T([5.0, 9.0]) / task.head.anchors[0]).log()
    one[0, 0, 4, line, column] = 3.0
    after = task.of_each(Says(maps), x, y)
    assert float((after - before).abs().max()) < 1e-5
    one[0, 0, 2:4, line, column] = -3.0  # it overlaps nothing any more
    assert float(task.of_each(Says(maps), x, y)[0]) > 1


def test_pictures_without_any_box_are_learned_too() -> None:
    task = known(made(YOLO, {"detection": {"anchors": ANCHORS}}), ANCHORS)
    y = {"boxes": torch.zeros(2, 0, 4), "labels": torch.zeros(2, 0, dtype=torch.int64)}
    model = archspec.build(task.program)
    loss = task.of_each(model, torch.rand(2, 3, 32, 32), y).mean()
    loss.backward()
    assert float(loss.detach()) > 0
    assert task.figures(task.score(model.eval(), torch.rand(2, 3, 32, 32), y))["map50"] == 0


# ------------------------------------------------------------------ two stages


def test_drawn_weights_are_those_of_many_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.arange(40) < 12
    counted = torch.arange(40) < 33
    often = torch.zeros(40)
    for _ in range(4000):
        right = torch.randperm(12, generator=generator)[:4]
        wrong = 12 + torch.randperm(21, generator=generator)[:12]
        often[right] += 1 / 16
        often[wrong] += 1 / 16
    found = drawn(positive[None], counted[None], 16, 0.25)[0]
    torch.testing.assert_close(found, often / 4000, atol=2e-3, rtol=0)
    few = drawn(positive[None], counted[None], 512, 0.25)[0]  # fewer than could be drawn
    torch.testing.assert_close(few, counted / 33)
    assert drawn(positive[None] & False, counted[None] & False, 16, 0.5).eq(0).all()


def says_two(task: Any, y: Any, sure: float = 20.0) -> dict[str, Any]:
    """Of `faster_rcnn_tiny`, all that is right: proposals a bit off, and what moves them."""
    level = task.head.levels[0]
    anchors = boxes.anchors(level.size, level.ratios, (16, 16), (64, 64))
    from archspec.module.detection import overlaps

    near = overlaps(anchors[None], y["boxes"])
    most, which = near.max(2)
    positive = (most >= 0.7) | ((near == near.amax(1, keepdim=True)) & (near > 0)).any(2)
    wanted = y["boxes"].gather(1, which[..., None].expand(-1, -1, 4))
    deltas = boxes.deltas(wanted, anchors) * positive[..., None]
    proposals = y["boxes"] + T([0.5, -0.5, 0.5, 0]) * (y["labels"] >= 0)[..., None]
    moves = boxes.deltas(y["boxes"], proposals) * T([10.0, 10, 5, 5])
    regression = torch.zeros(3, 2, 4, 4)
    for n, k in (y["labels"] >= 0).nonzero().tolist():
        regression[n, k, int(y["labels"][n, k]) + 1] = moves[n, k]
    kinds = torch.full((3, 2, 4), -sure).scatter(2, y["labels"][..., None] + 1, sure)
    logits = (2 * positive - 1.0) * sure
    return {
        "class_logits": kinds, "box_regression": regression.flatten(2), "proposals": proposals,
        "scores": (y["labels"] >= 0).float(),
        "objectness": torch.unflatten(logits, 1, (16, 16, 3)).permute(0, 3, 1, 2),
        "deltas": torch.unflatten(deltas, 1, (16, 16, 3)).permute(0, 3, 4, 1, 2).flatten(1, 2),
    }  # fmt: skip


def test_a_two_stage_detector_that_says_what_is_true() -> None:
    task = tasks.task(reading.given(None, {"task": "detection"}), archspec.load("faster_rcnn_tiny"))
    from archspec.train.sets import Facts

    task.know(Facts("", shape=(3, 64, 64)))
    y, x = truth(), torch.zeros(3, 3, 64, 64)
    found = says_two(task, y)
    assert float(task.of_each(Says(found), x, y).max()) < 1e-4
    figures = task.figures(task.score(Says(found), x, y))
    assert figures["map50"] == figures["map"] == pytest.approx(1)
    off = {**found, "box_regression": 0 * found["box_regression"]}
    assert task.figures(task.score(Says(off), x, y))["map"] < 0.9
    assert float(task.of_each(Says(off), x, y)[0]) > 0.01
    blind = {**found, "objectness": -found["objectness"]}
    assert float(task.of_each(Says(blind), x, y)[0]) > 1


# ------------------------------------------------------------------ a run


def test_a_detector_is_measured_again_from_its_checkpoint(tmp_path: Path) -> None:
    model = archspec.build(archspec.loads(YOLO))
    run = train.fit(
        model, {"train": "shapes", "val": 0.04, "samples": 200}, epochs=2, batch=16, quiet=True,
        task={"detection": {"anchors": 2, "score": 0.001}}, log=tmp_path / "run",
    )  # fmt: skip
    assert run.last["train.loss"] < run.metrics[0]["train.loss"]
    found = train.evaluate(tmp_path / "run")
    assert found["map"] == run.best["val.map"]
    assert len(found["precision"]["0.50"]) == 3
    facts = train.load(tmp_path / "run").facts
    assert len(facts.anchors) == 4
    assert sorted(facts.anchors, key=lambda pair: pair[0] * pair[1]) == list(facts.anchors)


def test_the_published_two_stage_detector_is_learned_by_the_same_task() -> None:
    program = archspec.load("faster_rcnn", classes=4, proposals=20)
    task = tasks.task(reading.given(None, {"task": "detection"}), program)
    from archspec.train.sets import Facts

    task.know(Facts("", shape=(3, 64, 64)))
    assert task.width == 3
    assert [level.size for level in task.head.levels] == [32, 64, 128, 256, 512]
    model = archspec.build(program)
    y = {"boxes": T([[[10.0, 20, 40, 50], [4, 4, 60, 60]]]), "labels": T([[0, 2]])}
    task.of_each(model, torch.rand(1, 3, 64, 64), y).mean().backward()
    without = [
        name for name, value in model.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.isfinite().all())
    ]  # fmt: skip
    assert without == []


EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.parametrize("name", ["detect_shapes", "detect_two_stage", "localise_shapes"])
def test_examples_in_a_short_form(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module(name)
    value = example.main(epochs=1, samples=96, figure=tmp_path / "drawn.png")
    assert 0 <= value < 0.7, "what is asked of the whole example is not reached by chance"
    assert f" {value:.3f}" in capsys.readouterr().out
    with pytest.importorskip("PIL.Image").open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == (4 * 258, 258)


def test_two_stages_learn_what_is_in_four_pictures() -> None:
    from archspec.train.shapes import Shapes

    wanted = Wanted((3, 64, 64), 3, targets.BOXES)
    few = Shapes(wanted).fetch(range(4))
    run = train.fit(
        archspec.build("faster_rcnn_tiny"), (few, few), task="detection", batch=4, epochs=30,
        optimizer={"adamw": {"lr": 0.003}}, log=None, quiet=True,
    )  # fmt: skip
    assert run.last["train.loss"] < 0.85 * run.metrics[0]["train.loss"]


def test_two_stages_learn_nothing_by_heart() -> None:
    said = "a loss of `detection` does not fall to 0, even on one batch"
    with pytest.raises(SpecError, match=said):
        train.overfit_one_batch(archspec.build("faster_rcnn_tiny"), "shapes", task="detection")


# ------------------------------------------------------------------ before the first step


def tried(text: str, task: Any, corners: Any, labels: Any, **params: Any) -> None:
    x = torch.rand(4, 3, 32, 32)
    y = {
        "boxes": T(corners).view(1, -1, 4).repeat(4, 1, 1),
        "labels": T(labels).view(1, -1).repeat(4, 1),
    }
    y["boxes"][:3], y["labels"][:3] = T([4.0, 4, 12, 12]), 0
    model = archspec.build(archspec.loads(text, **params))
    train.fit(model, ((x, y), (x, y)), epochs=1, quiet=True, log=None, task=task)


@pytest.mark.parametrize(
    ("box", "label", "said"),
    [
        (
            [2.0, 2, 40, 12],
            0,
            r"sample 3: the box \[2.0, 2.0, 40.0, 12.0\] is not in the picture, which is 32 wide",
        ),
        ([-3.0, 2, 10, 12], 0, "is not in the picture"),
        ([10.0, 2, 10, 12], 0, "is empty"),
        ([10.0, 12, 20, 2], 0, "is empty"),
        ([2.0, 2, 10, 12], 3, "has a class that is not one of the 3 that the head tells apart"),
        ([2.0, 2, 10, 12], -2, "has a class below 0"),
    ],
)
def test_boxes_that_are_none(box: list[float], label: int, said: str) -> None:
    with pytest.raises(TrainError, match=said) as caught:
        tried(YOLO, {"detection": {"anchors": ANCHORS}}, [box], [label])
    assert caught.value.code == "E804"
    assert caught.value.help


def test_a_box_of_no_numbers_is_told_by_its_sample() -> None:
    box = [10.0, float("nan"), 20, 22]
    with pytest.raises(TrainError, match="sample 3 holds a number that is not finite") as caught:
        tried(YOLO, {"detection": {"anchors": ANCHORS}}, [box], [0])
    assert caught.value.code == "E803"


def test_heads_that_do_not_fit() -> None:
    right = ([[2.0, 2, 10, 12]], [0])
    with pytest.raises(
        TrainError, match=r"`large` is \[16, 4, 4\], not 3 anchors × \(5 \+ classes\)"
    ):
        tried(YOLO, "detection", *right)
    text = YOLO.replace("{id: large, conv: {out: $(", "{id: large, conv: {out: $(2 + ")
    with pytest.raises(TrainError, match="the maps have 16 and 18 channels"):
        tried(text, {"detection": {"anchors": 2}}, *right)
    with pytest.raises(TrainError, match="4 boxes are too few to find 6 anchors"):
        tried(YOLO, {"detection": {"anchors": 3}}, *right, anchors=3)
    model = archspec.build(archspec.loads(YOLO))
    data = torch.rand(8, 3, 32, 32), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(TrainError, match="targets are Tensor, not boxes"):
        train.fit(model, data, quiet=True, log=None, task={"detection": {"anchors": ANCHORS}})


def test_boxes_are_in_pictures() -> None:
    text = HEADS.replace("[3, 32, 32]", "[12]").replace(
        "  - {conv: {out: 4, kernel: 3, stride: 4}}\n  - relu\n  - flatten\n", ""
    )
    y = {"box": T([0.0, 0, 1, 1]).repeat(8, 1), "label": torch.zeros(8, dtype=torch.int64)}
    model = archspec.build(archspec.loads(text))
    with pytest.raises(TrainError, match=r"a sample is \[12\]; boxes are in pictures"):
        train.fit(model, (torch.rand(8, 12), y), task="localisation", quiet=True, log=None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"anchors": 0}, "`anchors` is how many each map has, or their widths and heights"),
        ({"anchors": [[3, 4], [5]]}, "`anchors` is how many"),
        ({"anchors": [[3, 4], [5, 6], [7, 8]]}, "`anchors` is how many"),
        ({"anchors": [[3, -4], [5, 6]]}, "`anchors` is how many"),
        ({"iou": 1}, "`iou` is 1; it is a number above 0 and below 1"),
        ({"score": True}, "`score` is True"),
        ({"nms": 0.5}, "`detection` takes no option `nms`"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        made(YOLO, {"detection": options})
    assert "task" in str(caught.value) or caught.value.faults[0].help


def test_two_stage_networks_that_are_none() -> None:
    plan = reading.given(None, {"task": {"detection": {"anchors": 3}}})
    with pytest.raises(SpecError, match="the anchors of a detector of two stages are those"):
        tasks.task(plan, archspec.load("faster_rcnn_tiny"))
    text = YOLO.replace("{large: large, small: small}", "{proposals: large, small: small}")
    with pytest.raises(
        TrainError, match="has `proposals`, but no output `class_logits`, `box_regr"
    ):
        made(text, "detection")


def test_a_detector_has_losses_of_its_own() -> None:
    plan = reading.given(None, {"task": "detection", "loss": "mse"})
    with pytest.raises(SpecError, match="the loss `mse` is not for detection") as caught:
        tasks.task(plan, archspec.loads(YOLO))
    assert caught.value.faults[0].help == "it has losses of its own: leave `loss` out"
