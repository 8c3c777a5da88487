"""Masks, labels, pairs of pictures: scikit-learn and torch are the oracles."""

from __future__ import annotations

import json
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn import metrics as oracle
from torch import Tensor, nn
from torch.nn import functional

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError
from archspec.train import losses, shapes, use
from archspec.train.errors import TrainError
from archspec.train.samples import Wanted, mask
from archspec.train.sources import samples
from archspec.train.start import fit, overfit_one_batch
from archspec.train.targets import IGNORED
from archspec.train.tasks import segmentation
from archspec.train.tasks.binary import average_precision

SPEC = """\
spec: 1
name: seen
params: {classes: 4, width: 8}
input: [3, 24, 24]
body:
  - repeat: 2
    body: [{conv: {out: $width, kernel: 3, padding: 1}}, relu]
  - {id: head, conv: {out: $classes, kernel: 1}}
head: head
"""
FLAT = """\
spec: 1
name: flat
params: {classes: 3}
input: [3, 16, 16]
body:
  - {conv: {out: 8, kernel: 3, stride: 2}}
  - relu
  - flatten
  - {id: fc, linear: $classes}
head: fc
"""
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
QUICK: dict[str, Any] = {"log": None, "epochs": 1, "batch": 8, "quiet": True}


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str = SPEC, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos and masks of shapes: images/3.jpg, masks/3.png; half of the masks with a palette."""
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(12):
        found = shapes.drawn(i, (24, 32))
        pixels = (found.x.permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{i}.jpg")
        image = Image.fromarray(found.mask.byte().numpy(), mode="L")
        if i % 2:
            image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        image.save(tmp_path / "set" / "masks" / f"{i}.png")
    return tmp_path / "set"


# ------------------------------------------------------------------ segmentation: figures


def masks(n: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits and masks, a tenth of them ignored."""
    drawn = torch.Generator().manual_seed(0)
    output = torch.randn(n, classes, 5, 7, generator=drawn)
    y = torch.randint(max(classes, 2), (n, 5, 7), generator=drawn)
    return output, y.where(torch.rand(y.shape, generator=drawn) > 0.1, torch.tensor(IGNORED))


@pytest.mark.parametrize("classes", [4, 1])
def test_iou_is_scikit_learns(classes: int) -> None:
    output, y = masks(classes=classes)
    said = segmentation.classes(output).argmax(1)[y != IGNORED]
    wanted = oracle.jaccard_score(y[y != IGNORED], said, average=None)
    found = segmentation.iou(segmentation.confusion(output, y))
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_a_class_that_is_nowhere_is_left_out_of_the_mean() -> None:
    matrix = torch.tensor([[5, 0, 0], [1, 2, 0], [0, 0, 0]])
    found = segmentation.iou(matrix)
    assert found[:2].tolist() == [5 / 6, 2 / 3]
    assert math.isnan(found[2])


def test_the_cross_entropy_of_one_channel_is_the_binary_one() -> None:
    output, y = masks(classes=1)
    both = functional.cross_entropy(segmentation.classes(output), y, ignore_index=IGNORED)
    here = y != IGNORED
    wanted = functional.binary_cross_entropy_with_logits(output[:, 0][here], y[here].float())
    torch.testing.assert_close(both, wanted)


def test_dice_is_what_its_paper_says() -> None:
    output, y = masks()
    shares = output.softmax(1)
    each = []
    for k in range(len(y)):
        here = y[k] != IGNORED
        overlaps = []
        for label in range(4):
            found, there = shares[k, label][here], (y[k] == label)[here].float()
            top = 2 * (found * there).sum() + 1
            overlaps.append(top / (found.sum() + there.sum() + 1))
        each.append(1 - torch.stack(overlaps).mean())
    torch.testing.assert_close(losses.dice(output, y, reduction="none"), torch.stack(each))
    perfect = 50 * functional.one_hot(y.clamp_max(3), 4).movedim(-1, 1).float()
    assert losses.dice(perfect, y) < 1e-6
    entropy = functional.cross_entropy(output[:1], y[:1], ignore_index=IGNORED)
    whole = losses.cross_entropy_dice(output[:1], y[:1])
    torch.testing.assert_close(whole, entropy + each[0])


def test_masks_of_nothing_but_ignored_pixels_are_no_loss() -> None:
    y = torch.full((2, 4, 4), IGNORED)
    for name in ("cross_entropy", "dice", "cross_entropy_dice"):
        found = losses.OWN.get(name, None)
        if found is not None:
            assert torch.isfinite(found(torch.randn(2, 3, 4, 4), y))
    x = torch.rand(8, 3, 24, 24)
    whole = torch.full((8, 24, 24), IGNORED)
    run = fit(build(), {"train": (x, whole), "val": 0}, task="segmentation", **QUICK)
    assert run.last["train.loss"] == 0


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "cross_entropy_dice"])
def test_metrics_do_not_depend_on_how_batches_are_cut(loss: str) -> None:
    model = build()
    found = []
    for batch in (5, 16):
        keys = {**QUICK, "batch": batch, "task": "segmentation", "loss": loss}
        data = {"train": "shapes", "samples": 20, "val": 0.01}
        run = fit(model, data, **keys, optimizer={"sgd": {"lr": 1e-12}})
        found.append([run.last[f"val.{name}"] for name in ("loss", "miou", "accuracy")])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize(
    ("classes", "loss"),
    [(4, "cross_entropy"), (4, {"cross_entropy": {"weight": [1, 2, 2, 2]}}),
     (1, "cross_entropy_dice"),
     (1, {"binary_cross_entropy_with_logits": {"pos_weight": 3}})],
)  # fmt: skip
def test_masks_are_learned(classes: int, loss: Any) -> None:
    data = {"train": "shapes", "samples": 8, "val": 0}
    keys = {"task": "segmentation", "loss": loss, "batch": 8, "log": None}
    run = fit(
        build(classes=classes), data, **keys, epochs=40, quiet=True,
        optimizer={"adamw": {"lr": 0.02}},
    )  # fmt: skip
    assert run.last["train.loss"] < 0.75 * run.metrics[0]["train.loss"]
    assert run.last["train.miou"] > run.metrics[0]["train.miou"] + 0.1


# ------------------------------------------------------------------ segmentation: files


def test_a_folder_of_pictures_and_masks(folder: Path, tmp_path: Path) -> None:
    (folder / "classes.txt").write_text("ground\ndisc\nsquare\ntriangle\n")
    keys = {**QUICK, "task": "segmentation", "log": {"folder": str(tmp_path / "run")}}
    run = fit(build(), folder, **keys)
    assert 0 < run.best["val.miou"] < 1
    found = samples(folder, Wanted((3, 24, 24), 4, "mask"))
    assert found.classes == ("ground", "disc", "square", "triangle")
    x, y = found.fetch([0, 11])
    assert (x.shape, y.shape, y.dtype) == ((2, 3, 24, 24), (2, 24, 24), torch.int64)
    second = folder / "masks" / "1.png"  # in the order of names: 0, 1, 10, 11, 2, …
    assert torch.equal(found.fetch([1])[1][0], mask(second, None)[:, 4:28])
    measured = use.evaluate(tmp_path / "run")
    assert list(measured["by_class"]["iou"]) == ["ground", "disc", "square", "triangle"]
    apart = samples(folder / "images", Wanted((3, 24, 24), 4, "mask", beside=str(folder / "masks")))
    assert torch.equal(apart.fetch([3])[1], found.fetch([3])[1])
    table = folder / "all.csv"
    table.write_text("file,mask\nimages/4.jpg,masks/4.png\n")
    assert samples(table, Wanted((3, 24, 24), 4, "mask")).fetch([0])[1].shape == (1, 24, 24)
    run = fit(
        build(), {"train": folder / "images", "targets": str(folder / "masks")}, **QUICK,
        task="segmentation",
    )  # fmt: skip
    assert run.metrics


def test_what_does_not_belong_together_is_named(folder: Path) -> None:
    def refused(said: str, **params: Any) -> None:
        with pytest.raises(TrainError, match=said):
            fit(build(**params), folder, task="segmentation", **QUICK)

    refused(r"E804 `.*/masks/1\.png` has a class 2; the head tells 2 apart", classes=1)
    with Image.open(folder / "masks" / "3.png") as opened:
        whole = opened.copy()
    whole.crop((0, 0, 20, 20)).save(folder / "masks" / "3.png")
    refused(r"E803 `.*masks/3\.png` is 20 x 20 pixels, `.*images/3\.jpg` 32 x 24")
    whole.convert("RGB").save(folder / "masks" / "3.png")
    refused(r"E803 `.*masks/3\.png` is a picture of colours \(RGB\), not of class numbers")
    (folder / "masks" / "3.png").write_bytes(b"no picture")
    refused(r"E803 `.*masks/3\.png` cannot be read")
    (folder / "masks" / "3.png").unlink()
    refused(r"E803 for `.*images/3\.jpg` there is no file of its name in `.*masks`")
    (folder / "images" / "3.jpg").unlink()
    Image.new("L", (32, 24)).save(folder / "images" / "4.png")
    refused(r"E803 `.*images/4\.png` and `4\.jpg` have one name")
    (folder / "images" / "4.png").unlink()
    (folder / "masks" / "4.png").unlink()
    Image.new("L", (32, 24)).save(folder / "masks" / "4.jpg")
    refused(r"E803 `.*masks/4\.jpg` is compressed with losses")
    (folder / "masks").rename(folder / "annotations")
    refused(r"E803 there is no folder `.*masks`")


def test_masks_of_black_and_white_say_what_255_is(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        with Image.open(file) as opened:
            here = numpy.asarray(opened) > 0
        Image.fromarray((here * 255).astype("uint8")).save(file)
    with pytest.raises(TrainError, match="the masks hold `0` and `255` only") as caught:
        fit(build(classes=1), folder, task="segmentation", **QUICK)
    assert "write what is there as 1" in caught.value.help


ENDS = SPEC + "output: end\n"


@pytest.mark.parametrize(
    ("spec", "keys", "said"),
    [
        (FLAT, {}, r"E804 the output `output` has shape \[3\], not \[classes, H, W\]"),
        (SPEC.replace("head: head", "  - {id: end, softmax: 1}\nhead: head"), {},
         "E805 the losses of masks take logits; the network ends in `end`"),
        (SPEC.replace("kernel: 1}", "kernel: 2, stride: 2}"), {},
         r"E804 masks are \[24, 24\], the output `output` is \[12, 12\]"),
        (SPEC, {"loss": "binary_cross_entropy_with_logits"}, "is for a head of one channel"),
        (SPEC, {"loss": "mse"}, "E805 the loss `mse` is not for segmentation"),
        (SPEC, {"loss": "dice", "label_smoothing": 0.1}, "E805 `dice` knows no label smoothing"),
    ],
)  # fmt: skip
def test_networks_that_tell_no_pixels_apart(spec: str, keys: Any, said: str) -> None:
    with pytest.raises((TrainError, SpecError), match=said):
        fit(build(spec), "shapes", task="segmentation", **keys, **QUICK)


@pytest.mark.parametrize(
    ("task", "spec", "loss", "said"),
    [
        ("segmentation", SPEC, {"cross_entropy": {"weight": [1, 2]}},
         r"E805 `weight` is \[1, 2\]; `segmentation` takes a number for each of the 4"),
        ("classification", FLAT, {"cross_entropy": {"weight": 2}},
         r"E805 `weight` is 2; `classification` takes a number for each of the 3"),
        ("multi_label", FLAT, {"binary_cross_entropy_with_logits": {"pos_weight": [1, 2]}},
         r"E805 `pos_weight` is \[1, 2\]; `multi_label` takes a number for each of the 3"),
        ("reconstruction", SPEC, {"mse": {"weight": [1]}}, "`reconstruction` takes no weights"),
        ("segmentation", SPEC, {"cross_entropy": {"weight": "much"}},
         "E801 `weight` is much; it takes numbers"),
    ],
)  # fmt: skip
def test_weights_of_other_classes_are_refused(task: str, spec: str, loss: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        fit(build(spec), "shapes", task=task, loss=loss, **QUICK)


def test_arrays_that_are_no_masks() -> None:
    x = torch.rand(6, 3, 24, 24)
    for y, said in (
        (torch.zeros(6).long(), r"a target is \[\] of torch.int64, not a mask"),
        (torch.full((6, 24, 24), 4), "the masks have a class 4; the head `output` tells 4 apart"),
        (torch.rand(6, 24, 24), "numbers that are not whole"),
    ):
        with pytest.raises(TrainError, match=said):
            fit(build(), (x, y), task="segmentation", **QUICK)


# ------------------------------------------------------------------ predictions


def test_masks_are_drawn_over_the_picture(folder: Path, tmp_path: Path) -> None:
    (folder / "classes.txt").write_text("ground\ndisc\nsquare\ntriangle\n")
    run = str(tmp_path / "run")
    fit(build(), folder, **{**QUICK, "task": "segmentation", "log": {"folder": run}})
    files = [str(folder / "images" / f"{i}.jpg") for i in (3, 4)]

    def says(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        return str(done.exception) if isinstance(done.exception, TrainError) else done.output

    out = tmp_path / "out"
    answers = json.loads(says("predict", run, *files, "-o", str(out), "--json"))
    assert sum(answers[files[0]].values()) == pytest.approx(1, abs=1e-5)
    assert set(answers[files[0]]) <= {"ground", "disc", "square", "triangle"}
    with Image.open(out / "3.png") as drawn:
        assert drawn.width == 24 * 11
    assert "written" not in says("predict", run, *files, "-o", str(out))  # its own it replaces
    (out / "3.png").write_bytes(Path(files[0]).read_bytes())
    assert "was not written by archspec" in says("predict", run, files[0], "-o", str(out))
    same = folder / "again" / "3.jpg"
    same.parent.mkdir()
    same.write_bytes(Path(files[0]).read_bytes())
    says("predict", run, files[0], str(same), "-o", str(tmp_path / "both"))
    assert (tmp_path / "both" / "again" / "3.png").exists()
    assert (tmp_path / "both" / "images" / "3.png").exists()
    page = archspec.train.report(run)
    assert "ground" in page


# ------------------------------------------------------------------ binary, multi-label


def points(k: int, n: int = 200) -> tuple[Tensor, Tensor]:
    """Numbers, and k labels that follow from them but for some noise."""
    drawn = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=drawn)
    return x, (x[:, :k] + 0.3 * torch.randn(n, k, generator=drawn) > 0.4).long()


LINE = "spec: 1\nname: line\nparams: {k: 1}\ninput: [4]\nbody: [{id: fc, linear: $k}]\nhead: fc\n"


def test_average_precision_is_scikit_learns() -> None:
    drawn = torch.Generator().manual_seed(0)
    for n in (5, 50, 300):
        scores = (torch.rand(n, 4, generator=drawn) * 10).round().double() / 10  # many are equal
        there = (torch.rand(n, 4, generator=drawn) > 0.6).double()
        wanted = oracle.average_precision_score(there.numpy(), scores.numpy(), average=None)
        found = average_precision(torch.stack([scores, there], 2))
        torch.testing.assert_close(found, torch.tensor(wanted))


def test_labels_are_told_one_by_one(tmp_path: Path) -> None:
    x, y = points(3)
    keys = {**QUICK, "epochs": 20, "task": "multi_label", "optimizer": {"adamw": {"lr": 0.05}}}
    model = build(LINE, k=3)
    run = fit(model, {"train": (x, y), "val": 0.3, "normalize": "none"}, **keys)
    assert run.best["val.f1"] > 0.85
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))[:60].sort().values
    shares = model(x[order]).sigmoid().detach()
    said, there = (shares > 0.5).long(), y[order]
    row = run.last
    assert row["val.accuracy"] == pytest.approx(float((said == there).double().mean()))
    assert row["val.exact"] == pytest.approx(oracle.accuracy_score(there, said))
    assert row["val.f1"] == pytest.approx(oracle.f1_score(there, said, average="macro"))
    assert row["val.map"] == pytest.approx(oracle.average_precision_score(there, shares))


@pytest.mark.parametrize("end", ["", "  - sigmoid\n"])
def test_one_of_two_classes_by_one_number(end: str) -> None:
    x, y = points(1)
    spec = f"{SPEC_OF_ONE}{end}head: fc\n"
    loss = "binary_cross_entropy" if end else None
    keys = {**QUICK, "epochs": 20, "task": "binary", "optimizer": {"adamw": {"lr": 0.05}}}
    keys |= {"loss": loss} if loss else {}
    model = build(spec)
    run = fit(model, {"train": (x, y[:, 0]), "val": 0.3, "normalize": "none"}, **keys)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))[:60].sort().values
    shares = model(x[order])[:, 0].detach()
    shares = shares if end else shares.sigmoid()
    said, there = (shares > 0.5).long(), y[order, 0]
    row = run.last
    assert row["val.accuracy"] > 0.85
    assert row["val.accuracy"] == pytest.approx(oracle.accuracy_score(there, said))
    assert row["val.precision"] == pytest.approx(oracle.precision_score(there, said))
    assert row["val.recall"] == pytest.approx(oracle.recall_score(there, said))
    assert row["val.f1"] == pytest.approx(oracle.f1_score(there, said))
    assert row["val.ap"] == pytest.approx(oracle.average_precision_score(there, shares))
    assert run.tables["confusion"] == oracle.confusion_matrix(there, said).tolist()


SPEC_OF_ONE = "spec: 1\nname: one\ninput: [4]\nbody:\n  - {id: fc, linear: 1}\n"


def test_what_is_there_may_weigh_more() -> None:
    x, y = points(1)
    data = {"train": (x, y[:, 0]), "val": 0, "normalize": "none"}
    recalls = []
    for weight in (1, 20):
        keys = {**QUICK, "epochs": 20, "optimizer": {"adamw": {"lr": 0.05}}}
        loss = {"binary_cross_entropy_with_logits": {"pos_weight": weight}}
        run = fit(build(LINE), data, task="binary", loss=loss, **keys)
        recalls.append(run.last["train.recall"])
    assert recalls[0] < recalls[1] > 0.98


@pytest.mark.parametrize(
    "text",
    [
        "file,disc,square\n0.png,1,0\n1.png,1,1\n2.png,0,0\n",
        "file,what\n0.png,disc\n1.png,disc; square\n2.png,\n",
        'file,what\n0.png,disc\n1.png,"square,disc"\n2.png,\n',
    ],
)
def test_a_table_of_labels(text: str, tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (16, 16), (80 * i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "all.csv").write_text(text)
    found = samples(tmp_path / "all.csv", Wanted((3, 16, 16), 2, "labels"))
    assert found.classes == ("disc", "square")
    assert found.fetch([0, 1, 2])[1].tolist() == [[1, 0], [1, 1], [0, 0]]


def test_a_table_that_names_what_is_not_there(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "0.png")
    (tmp_path / "all.csv").write_text("file,what\n0.png,disc\n1.png,disc\n2.png,square\n")
    with pytest.raises(TrainError, match=r"`.*1\.png` does not exist, nor do 1 more"):
        samples(tmp_path / "all.csv", Wanted((3, 16, 16), 2, "labels")).check()


def test_settings_of_data_stand_beside_the_option(tmp_path: Path) -> None:
    """`--data` names the set; what `--with` says of it is not lost."""
    (tmp_path / "flat.yaml").write_text(FLAT)
    call = ["train", str(tmp_path / "flat.yaml"), "-d", "shapes", "-e", "1", "-o"]
    call += [str(tmp_path / "run"), "-w", "data={samples: 24, val: 0.01}", "-b", "8"]
    assert CliRunner().invoke(app, call).exit_code == 0
    assert use.load(tmp_path / "run").plan.data.samples == 24
    assert archspec.train.load_run(tmp_path / "run").last["step"] == 3


def test_a_table_of_labels_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("a,b,big,red\n1.5,2,1,0\n3,4,0,1\n")
    found = samples(tmp_path / "all.csv", Wanted((2,), 2, "labels"))
    assert found.classes == ("big", "red")
    x, y = found.fetch([0, 1])
    assert (x.tolist(), y.tolist()) == ([[1.5, 2], [3, 4]], [[1, 0], [0, 1]])


def test_a_table_of_boxes(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (40, 20)).save(tmp_path / f"{i}.png")
    path = tmp_path / "all.csv"
    head = "file,x1,y1,x2,y2,class\n"
    path.write_text(
        head + "0.png,10,0,20,10,dog\n0.png,12,2,30,20,cat\n1.png,0,0,10,20,cat\n2.png,,,,,\n"
    )
    found = samples(path, Wanted((3, 40, 40), 2, "boxes"))
    assert found.classes == ("cat", "dog")
    x, y = found.fetch([0, 1, 2])  # as a whole: twice as high
    assert x.shape == (3, 3, 40, 40)
    assert y["labels"].tolist() == [[1, 0], [0, -1], [-1, -1]]
    assert y["boxes"][0].tolist() == [[10, 0, 20, 20], [12, 4, 30, 40]]
    with pytest.raises(TrainError, match=r"`.*0\.png` has 2 boxes; this task finds one"):
        samples(path, Wanted((3, 40, 40), 2, "box")).check()
    path.write_text(head + "1.png,0,0,50,20,cat\n")
    with pytest.raises(TrainError, match=r"the box 0, 0, 50, 20 is not in .* 40 x 20 pixels"):
        samples(path, Wanted((3, 40, 40), 2, "boxes")).check()
    path.write_text("file,class\n1.png,cat\n")
    with pytest.raises(TrainError, match="has 2 columns; boxes take six"):
        samples(path, Wanted((3, 40, 40), 2, "boxes"))


@pytest.mark.parametrize(
    ("spec", "task", "keys", "said"),
    [
        (FLAT, "binary", {}, r"E804 the head `output` is \[3\]; `binary` needs one number"),
        (LINE, "multi_label", {}, r"E804 a sample has 2 labels, the head `output` is \[1\]"),
        (LINE.replace("$k}]", "$k}, sigmoid]"), "binary", {}, "takes logits and has a sigmoid"),
        (LINE, "binary", {"loss": "binary_cross_entropy"}, "takes numbers from 0 to 1; the net"),
        (LINE, "classification", {}, "E804 targets are from 0 to 1; the head has 1"),
    ],
)
def test_heads_that_do_not_fit(spec: str, task: str, keys: Any, said: str) -> None:
    x, y = points(2)
    data: Any = (x, y if task == "multi_label" else y[:, 0])
    if spec == FLAT:
        data = (torch.rand(8, 3, 16, 16), torch.arange(8) % 2)
    with pytest.raises((TrainError, SpecError), match=said):
        fit(build(spec), data, task=task, **keys, **QUICK)


def test_targets_that_are_not_yes_or_no() -> None:
    x, y = points(1)
    for task, targets, said in (
        ("binary", y[:, 0] * 2, "the data have other classes"),
        ("binary", y, r"a target is \[1\], not 0 or 1"),
        ("multi_label", y[:, 0], r"a target is \[\], not a number for each label"),
        ("multi_label", 3 * y, "targets are from 0 to 3"),
    ):
        with pytest.raises(TrainError, match=said):
            fit(build(LINE), (x, targets), task=task, **QUICK)


def test_labels_of_shapes_are_learned_by_heart() -> None:
    data = {"train": "shapes", "samples": 16, "val": 0}
    adamw = {"adamw": {"lr": 0.01}}
    first, last = overfit_one_batch(
        build(FLAT), data, task="multi_label", batch=16, optimizer=adamw
    )
    assert last < 0.1 * first


def test_rows_of_two_processes_are_put_below_one_another() -> None:
    """And all else is summed: what two gloo processes count is what one would."""
    work = (
        "import os, sys, torch\n"
        "from benchmarks.trust import processes\n"
        "def work():\n"
        "    from accelerate import Accelerator\n"
        "    from archspec.train.measure import reduced\n"
        "    on = Accelerator(cpu=True)\n"
        "    rank = on.process_index\n"
        "    rows = torch.full((rank + 1, 2), float(rank))\n"
        "    mine = {'n': torch.tensor(2 + rank), 'rows_a': rows}\n"
        "    found = reduced(mine, on)\n"
        "    rows = found['rows_a'].tolist()\n"
        "    os._exit(0 if int(found['n']) == 5 and rows == [[0, 0], [1, 1], [1, 1]] else 7)\n"
        "print(processes.forked(work, 2))\n"
    )
    path = os.pathsep.join([str(EXAMPLES.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", work], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 0]", done.stderr


# ------------------------------------------------------------------ restoration


CODER = """\
spec: 1
name: coder
input: [1, 16, 16]
body:
  - {conv: {out: 12, kernel: 3, padding: 1}}
  - relu
  - {conv: {out: 12, kernel: 3, padding: 1}}
  - relu
  - {conv: {out: 1, kernel: 3, padding: 1}}
  - {add: [prev, input]}
"""


WIDER = CODER.replace("out: 1,", "out: 2,").replace("  - {add: [prev, input]}\n", "")


@pytest.mark.parametrize("spoilt", [{"noise": 0.3}, {"blur": 1.2}, {"holes": 0.3}])
def test_what_is_done_to_pictures_is_taken_away(spoilt: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = fit(
        build(CODER), {"train": "shapes", "samples": 96, "val": 0.03}, epochs=4, batch=4,
        task={"reconstruction": spoilt}, optimizer={"adamw": {"lr": 0.003}}, quiet=True,
        log=str(folder),
    )  # fmt: skip
    assert run.best["val.psnr"] > run.best["val.psnr_input"] + 0.5
    trained = use.load(folder)
    x, _ = use.held_out(trained).__getitems__(list(range(60)))
    given = trained.task.degraded(x)
    assert torch.equal(given, trained.task.degraded(x))
    assert torch.equal(given[7:9], trained.task.degraded(x[7:9]))
    error = float((given - x).square().mean())
    assert run.best["val.psnr_input"] == pytest.approx(-10 * math.log10(error), abs=1e-4)
    if "noise" in spoilt:
        assert error == pytest.approx(0.09, rel=0.05)
    if "holes" in spoilt:
        assert float((given == 0).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_blur_is_a_gaussian_and_keeps_what_is_even() -> None:
    from archspec.train.tasks.reconstruction import _blurred

    even = torch.full((2, 3, 9, 12), 0.7)
    torch.testing.assert_close(_blurred(even, 1.5), even)
    point = torch.zeros(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1
    found = _blurred(point, 2.0)[0, 0]
    places = torch.arange(-10.0, 11)
    wanted = torch.exp(-(places[:, None] ** 2 + places**2) / 8) / (8 * math.pi)
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=0)


def test_pairs_of_pictures(tmp_path: Path) -> None:
    """Two folders, or inputs/ and targets/ inside one; answers are pictures."""
    for i in range(10):
        clean = shapes.drawn(i, (16, 16), channels=1).x[0]
        noisy = clean + 0.2 * torch.randn(16, 16, generator=torch.Generator().manual_seed(i))
        for name, one in (("inputs", noisy), ("targets", clean)):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            pixels = (one.clamp(0, 1) * 255).byte().numpy()
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    run = str(tmp_path / "run")
    keys = {**QUICK, "log": {"folder": run}, "task": "restoration"}
    row = fit(build(CODER), tmp_path / "set", **keys).last
    x, y = samples(tmp_path / "set", Wanted((1, 16, 16), 0, "picture")).fetch(range(10))
    held = torch.randperm(10, generator=torch.Generator().manual_seed(0))[:2]
    error = float((x - y)[held].square().mean())
    assert row["val.psnr_input"] == pytest.approx(-10 * math.log10(error), abs=1e-4)
    data = {"train": tmp_path / "set" / "inputs", "targets": str(tmp_path / "set" / "targets")}
    again = fit(build(CODER), data, task="restoration", **QUICK)
    assert again.last["val.psnr_input"] == row["val.psnr_input"]
    file = tmp_path / "set" / "inputs" / "3.png"
    assert use.predict(run, file, folder=tmp_path / "out") == [str(tmp_path / "out" / "3.png")]
    with pytest.raises(TrainError, match="E804 the network answers with pictures"):
        use.predict(run, file)
    assert "loss 0." in archspec.train.report(run)


@pytest.mark.parametrize(
    ("spec", "data", "task", "said"),
    [
        (CODER, None, {"reconstruction": {"holes": 1}}, "`holes` is 1; it is a share of the"),
        (CODER, None, {"reconstruction": {"blur": "much"}}, "`blur` is much; it is a standard"),
        (LINE.replace("$k", "4"), "points", {"reconstruction": {"blur": 1}}, "are for pictures"),
        (CODER, None, {"restoration": {"noise": 0.1}}, "`restoration` takes no option `noise`"),
        (CODER, "digits", "restoration", r"E804 a target is \[\] of torch.int64, not a picture"),
        (WIDER, None, "restoration",
         r"E804 targets have shape \[1, 16, 16\], the output `output` \[2, 16, 16\]"),
    ],
)  # fmt: skip
def test_what_is_not_to_be_restored(spec: str, data: Any, task: Any, said: str) -> None:
    given = points(1)[0] if data == "points" else None
    found = (given, given) if given is not None else data or "shapes"
    with pytest.raises((TrainError, SpecError), match=said):
        fit(build(spec), found, task=task, **QUICK)


# ------------------------------------------------------------------ mixtures


@pytest.mark.parametrize(
    ("task", "classes", "more"),
    [("classification", 3, {"label_smoothing": 0.1}), ("binary", 1, {}), ("multi_label", 3, {}),
     ("regression", 1, {})],
)  # fmt: skip
def test_mixtures_are_learned_from(task: str, classes: int, more: Any) -> None:
    data = {
        "train": "shapes",
        "samples": 48,
        "val": 0.02,
        "augment": [{"mixup": 0.3}, {"jitter": 0.2}],
    }
    if classes == 1 and task == "binary":
        x, y = samples("shapes", Wanted((3, 16, 16), 2, "classes")).fetch(range(48))
        data = {**data, "train": (x, y)}
    run = fit(build(FLAT, classes=classes), data, task=task, **QUICK, **more)
    assert math.isfinite(run.last["train.loss"])
    assert math.isfinite(run.last["val.loss"])


def test_what_is_not_mixed() -> None:
    for spec, data, keys, said in (
        (SPEC, "shapes", {"task": "segmentation"}, "does not learn from mixtures of two samples"),
        (FLAT, "shapes", {"loss": "multi_margin"}, "`multi_margin` takes one class for each"),
        (LINE, points(1), {"task": "binary"}, "augmentations are for pictures"),
    ):
        given = {"train": data, "augment": [{"mixup": 0.2}]}
        with pytest.raises(SpecError, match=said):
            fit(build(spec), given, **keys, **QUICK)
    x, y = torch.rand(12, 3, 16, 16), torch.arange(12) % 3
    other = nn.Sequential(nn.Flatten(), nn.Linear(768, 3))
    with pytest.raises(SpecError, match="needs to know how many classes there are"):
        fit(other, {"train": (x, y), "augment": [{"mixup": 0.2}]}, **QUICK)


def test_a_run_with_mixtures_is_gone_on_with_to_the_same_bits(tmp_path: Path) -> None:
    from archspec.train import engine
    from archspec.train.start import resume

    def begun(folder: Path) -> None:
        torch.manual_seed(0)
        data = {"train": "shapes", "samples": 40, "augment": [{"mixup": 0.4}, {"resize": 0.5}]}
        keys = {"epochs": 2, "batch": 8, "quiet": True, "log": {"folder": str(folder), "save": 1}}
        fit(build(FLAT), data, **keys)

    begun(tmp_path / "whole")
    real = engine.Training.update

    def stopped(self: Any, *args: Any) -> None:
        if self.at.steps == 7:
            raise BlockingIOError
        real(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", stopped)
        with pytest.raises(BlockingIOError):
            begun(tmp_path / "cut")
    resume(tmp_path / "cut", quiet=True)
    one, other = (use.load(tmp_path / name).model.state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


# ------------------------------------------------------------------ examples, in short


def example(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_shapes_are_segmented(tmp_path: Path) -> None:
    assert example("segment_shapes")(5, 480, 24, figure=tmp_path / "a.png") > 0.27
    with Image.open(tmp_path / "a.png") as drawn:
        assert drawn.width > drawn.height / 2


def test_digits_are_denoised(tmp_path: Path) -> None:
    before, after = example("denoise_digits")(1, figure=tmp_path / "a.png")
    assert before == pytest.approx(-20 * math.log10(0.3), abs=0.05)
    assert after > before + 5
    assert (tmp_path / "a.png").exists()


def test_the_lectures_network_learns_the_digits() -> None:
    assert example("keras_cnn_digits")(1, 4) > 0.9
