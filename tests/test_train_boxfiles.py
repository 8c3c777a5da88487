"""Boxes from files, and boxes drawn: COCO's format, YOLO's, .csv; `predict` and its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
image = pytest.importorskip("PIL.Image")

from click.testing import CliRunner  # noqa: E402

import archspec  # noqa: E402
from archspec import train  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.train import TrainError, targets  # noqa: E402
from archspec.train.samples import Wanted  # noqa: E402
from archspec.train.sources import samples  # noqa: E402

BOXES = Wanted((3, 16, 32), 2, targets.BOXES)
YOLO = """
spec: 1
name: yolo
params: {classes: 2, anchors: 1}
input: [3, 32, 32]
body:
  - {conv: {out: 8, kernel: 4, stride: 4}}
  - relu
  - {conv: {out: 32, kernel: 5, padding: 2}}
  - relu
  - {conv: {out: $(anchors * (5 + classes)), kernel: 1}}
"""
HEADS = """
spec: 1
name: heads
params: {classes: 2}
input: [3, 32, 32]
body:
  - {conv: {out: 8, kernel: 4, stride: 4}}
  - relu
  - flatten
  - {id: scores, tap: always, linear: $classes}
  - {id: box, linear: 4}
outputs: {scores: scores, box: box}
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def pictures(folder: Path, *names: str) -> Path:
    """Of 64 x 80 pixels, white."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        image.new("RGB", (64, 80), "white").save(folder / name)
    return folder


def coco(path: Path, **changed: Any) -> Path:
    """Two boxes in the first picture, one and a crowd in the second, none in the third."""
    told = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"},
                   {"id": 9, "file_name": "c.png"}],
        "categories": [{"id": 44, "name": "dog"}, {"id": 5, "name": "cat"}],
        "annotations": [
            {"image_id": 7, "category_id": 44, "bbox": [0, 8, 32, 16]},
            {"image_id": 7, "category_id": 5, "bbox": [32.0, 40.5, 16, 20]},
            {"image_id": 3, "category_id": 5, "bbox": [60, 70, 4, 10]},
            {"image_id": 3, "category_id": 5, "bbox": [0, 0, 64, 80], "iscrowd": 1},
        ],
    }  # fmt: skip
    path.write_text(json.dumps({**told, **changed}))
    return path


@pytest.mark.parametrize("where", ["", "images", "../images", "../train"])
def test_coco(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "annotations"
    pictures(folder / where, "a.png", "b.png", "c.png")
    found = samples(coco(folder / "instances_train.json"), BOXES)
    found.check()
    assert found.classes == ("cat", "dog")  # by their numbers
    x, y = found.fetch([0, 1, 2])
    assert x.shape == (3, 3, 16, 32)
    assert y["labels"].tolist() == [[1, 0], [0, -1], [-1, -1]]
    wanted = [[0, 1.6, 16, 4.8], [16, 8.1, 24, 12.1]]  # the whole picture, nothing cut off
    torch.testing.assert_close(y["boxes"][0], torch.tensor(wanted))
    if not where:
        assert samples(folder, BOXES).fetch([1])[1]["labels"].tolist() == [[0]]


def yolo(root: Path, beside: bool = True) -> Path:
    """The same boxes."""
    texts = root if beside else root / "labels"
    pictures(root if beside else root / "images", "a.png", "b.png", "c.png")
    texts.mkdir(exist_ok=True)
    (texts / "a.txt").write_text("1 0.25 0.2 0.5 0.2\n\n0 0.625 0.63125 0.25 0.25\n")
    (texts / "b.txt").write_text("0 0.96875 0.9375 0.0625 0.125")
    return root


@pytest.mark.parametrize("beside", [True, False])
def test_yolo(tmp_path: Path, beside: bool) -> None:
    root = yolo(tmp_path, beside)
    found = samples(root, BOXES)
    found.check()
    assert found.classes == ("0", "1")
    wanted = [[0, 1.6, 16, 4.8], [16, 8.1, 24, 12.1]]
    torch.testing.assert_close(found.fetch([0])[1]["boxes"][0], torch.tensor(wanted))
    assert found.fetch([0, 1, 2])[1]["labels"].tolist() == [[1, 0], [0, -1], [-1, -1]]
    (root / "data.yaml").write_text("path: .\nnames:\n  0: cat\n  1: dog\n")
    assert samples(root, BOXES).classes == ("cat", "dog")
    (root / "classes.txt").write_text("katze\nhund\n")
    assert samples(root, BOXES).classes == ("katze", "hund")


def entry(**changed: Any) -> dict[str, Any]:
    return {"annotations": [{"image_id": 7, "category_id": 5, "bbox": [1, 1, 4, 4], **changed}]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": []}, "has no images"),
        ({"images": [{"id": 1}]}, "entry 0 of `images` in `.*` has no `file_name`"),
        ({"images": [{"id": 7, "file_name": "z.png"}]}, "the picture `z.png` of `.*` is not there"),
        (entry(image_id=4), "annotation 0 of `.*`: no image is called 4"),
        (entry(category_id=4), "annotation 0 of `.*`: no category is called 4"),
        (entry(bbox=[1, 2, 3]), r"annotation 0 of `.*`: `bbox` is \[1, 2, 3\]"),
        (entry(bbox=[1, 2, 3, "4"]), "`bbox` is"),
        (entry(bbox=[50, 2, 30, 4]), r"the box 50, 2, 80, 6 is not in `.*a.png`, 64 x 80 pixels"),
        (entry(bbox=[5, 2, 0, 4]), "the box 5, 2, 5, 6 is not in"),
    ],
)
def test_wrong_coco(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    path = coco(tmp_path / "x.json", **changed)
    with pytest.raises(TrainError, match=said) as caught:
        samples(path, BOXES).check()
    assert caught.value.code == "E803"
    assert caught.value.help


def test_other_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"has no boxes: no .json of COCO, and no .txt beside"):
        samples(pictures(tmp_path / "bare", "a.png"), BOXES)
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(TrainError, match="cannot be read: Expecting property name"):
        samples(tmp_path / "x.json", BOXES)
    (tmp_path / "x.json").write_text('{"images": []}')
    with pytest.raises(TrainError, match="has no `annotations` and `categories`"):
        samples(tmp_path / "x.json", BOXES)
    pictures(tmp_path, "a.png", "b.png", "c.png")
    coco(tmp_path / "x.json")
    coco(tmp_path / "y.json")
    with pytest.raises(TrainError, match=r"holds 2 .json files: `x.json` and `y.json`"):
        samples(tmp_path, BOXES)
    with pytest.raises(TrainError, match=r"a.png` has 2 boxes; this task finds one"):
        samples(tmp_path / "x.json", BOXES._replace(targets=targets.BOX)).check()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 0.2", "a.txt` line 1 is `0 0.5 0.5 0.2`"),
        ("cat 0.5 0.5 0.2 0.2", "a.txt` line 1 is `cat"),
        ("0.5 0.5 0.5 0.2 0.2", "has the class 0.5"),
        ("2 0.5 0.5 0.2 0.2", "has the class 2"),
        ("0 32 40 10 10", "these are no shares of the picture"),
        ("0 0.9 0.5 0.4 0.2", "the box 44.8, 32, 70.4, 48 is not in"),
        ("0 0.9 0.5 0 0.2", "is not in"),
    ],
)
def test_wrong_yolo(tmp_path: Path, line: str, said: str) -> None:
    root = yolo(tmp_path)
    (root / "classes.txt").write_text("cat\ndog")
    (root / "a.txt").write_text(line)
    with pytest.raises(TrainError, match=said) as caught:
        samples(root, BOXES).check()
    assert caught.value.help


def test_edges_that_rounding_moved_are_cut(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    images = [{"id": 7, "file_name": "a.png", "width": 64, "height": 80}]
    path = coco(tmp_path / "x.json", images=images, **entry(bbox=[-0.4, 0, 64.9, 80]))
    found = samples(path, BOXES)
    found.check()
    assert found.fetch([0])[1]["boxes"].tolist() == [[[0, 0, 32, 16]]]


# ------------------------------------------------------------------ asked


def scene(folder: Path) -> Path:
    """Black pictures of 64 x 80, a square in each: class 0 is white, class 1 red and smaller."""
    folder.mkdir()
    for k in range(96):
        side, left, top = (24, 20)[k % 2], (7 * k) % 41, (11 * k) % 57
        picture = image.new("RGB", (64, 80))
        picture.paste(("white", "red")[k % 2], (left, top, left + side, top + side))
        picture.save(folder / f"{k:02}.png")
        shares = (left + side / 2) / 64, (top + side / 2) / 80, side / 64, side / 80
        text = " ".join(f"{share:.6f}" for share in shares)
        (folder / f"{k:02}.txt").write_text(f"{k % 2} {text}\n")
    return folder


FAST: dict[str, Any] = {
    "epochs": 12, "batch": 8, "schedule": "one_cycle", "optimizer": {"adamw": {"lr": 0.03}},
    "quiet": True,
}  # fmt: skip


def test_a_detector_is_asked_about_files(tmp_path: Path) -> None:
    folder, run = scene(tmp_path / "data"), tmp_path / "run"
    model = archspec.build(archspec.loads(YOLO))
    train.fit(
        model, str(folder), task={"detection": {"anchors": [[11, 9]]}}, log=run, **FAST
    )  # fmt: skip
    assert train.evaluate(run)["map50"] > 0.9
    file = folder / "62.png"
    (said,) = train.predict(run, file, folder=tmp_path / "drawn")
    assert said, "the square is not found"
    left, top = said[0]["box"][:2]
    assert said[0]["box"] == pytest.approx([24, 55, 48, 79], abs=6), "in pixels of the file"
    drawn = image.open(tmp_path / "drawn" / "62.png")
    assert drawn.size == (256, 320)
    assert len(drawn.getcolors()) > 2, "a frame is drawn"
    answer = CliRunner().invoke(app, ["predict", str(run), str(file)])
    assert answer.exit_code == 0
    assert f"{said[0]['class']} {said[0]['score']:.1%} at {left:g}, {top:g}" in answer.output
    told = CliRunner().invoke(app, ["predict", str(run), str(file), "--json"])
    assert json.loads(told.output) == {str(file): said}
    with pytest.raises(TrainError, match="what several networks say is not averaged for `detecti"):
        train.predict([run, run], file)
    assert "<img" in train.report(run)


def test_a_localiser_is_asked_about_files(tmp_path: Path) -> None:
    folder, run = scene(tmp_path / "data"), tmp_path / "run"
    model = archspec.build(archspec.loads(HEADS))
    train.fit(
        model, str(folder), task={"localisation": {"weight": 50}}, log=run,
        **{**FAST, "optimizer": {"adamw": {"lr": 0.01}}},
    )  # fmt: skip
    assert train.evaluate(run)["iou"] > 0.5
    file = folder / "01.png"  # its square: 7, 11, 27, 31
    (said,) = train.predict([run, run], file, folder=tmp_path / "drawn")
    assert said["box"] == pytest.approx([7, 11, 27, 31], abs=8)
    answer = CliRunner().invoke(app, ["predict", str(run), str(file)])
    assert f"{said['class']} {said['score']:.1%} at " in answer.output


def test_one_batch_of_boxes_is_learned_by_heart(tmp_path: Path) -> None:
    model = archspec.build(archspec.loads(YOLO))
    first, last = train.overfit_one_batch(
        model, str(scene(tmp_path / "data")), batch=4, task={"detection": {"anchors": [[11, 9]]}},
        optimizer={"adamw": {"lr": 0.01}},
    )  # fmt: skip
    assert last < first / 10
