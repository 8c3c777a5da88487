"""What is learned from: folders, tables, arrays, sets of the caller's; and how it is read."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError
from archspec.train import augment, reading, sets, state, use
from archspec.train.errors import TrainError
from archspec.train.loading import Normal, Order, View, load
from archspec.train.named import Called
from archspec.train.samples import Arrays, Given, Wanted, picture
from archspec.train.sources import samples
from archspec.train.start import fit, prepare

SPEC = """\
spec: 1
name: seen
params: {classes: 2}
input: [1, 8, 8]
body:
  - {conv: {out: 4, kernel: 3}}
  - relu
  - flatten
  - {id: fc, linear: $classes}
head: fc
"""
WANTED = Wanted((1, 8, 8), 2, "classes")


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Light and dark pictures, not all of one size."""
    drawn = numpy.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(12):
            side = 8 + i % 3 * 4
            noise = drawn.integers(-30, 30, (side, side + i % 2))
            Image.fromarray((level + noise).astype("uint8")).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def build(**params: Any) -> nn.Module:
    return archspec.build(archspec.loads(SPEC, **params))


QUICK: dict[str, Any] = {"log": None, "epochs": 2, "batch": 8, "quiet": True}


# ------------------------------------------------------------------ sources


def test_a_folder_of_class_folders(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    keys = {
        **QUICK,
        "epochs": 6,
        "log": {"folder": str(folder)},
        "optimizer": {"adam": {"lr": 0.01}},
    }
    run = fit(build(), pictures, **keys)
    assert run.best["val.accuracy"] == 1.0
    facts = sets.Facts.of(state.facts_of(state.found(folder))["data"])
    assert facts.classes == ("dark", "light")
    assert facts.shape == (1, 8, 8)
    assert facts.normal is not None
    files = [pictures / "light" / "3.png", pictures / "dark" / "5.png"]
    answers = use.predict(folder, files, top=1)
    assert [list(answer) for answer in answers] == [["light"], ["dark"]]
    both = use.predict([folder, folder], files, top=1)
    assert both == answers
    assert use.evaluate(folder)["accuracy"] == 1.0
    measured = use.evaluate(folder, pictures)
    assert measured["confusion"] == [[12, 0], [0, 12]]


def test_a_table_of_files_and_one_of_numbers(pictures: Path, tmp_path: Path) -> None:
    table = pictures / "all.csv"
    lines = [f"{name}/{i}.png,{name}" for name in ("dark", "light") for i in range(12)]
    table.write_text("\n".join(["file,class", *lines]))
    found = samples(table, WANTED)
    assert found.classes == ("dark", "light")
    x, y = found.fetch([0, 23])
    assert x.shape == (2, 1, 8, 8)
    assert y.tolist() == [0, 1]
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("a,b,price\n1,2,30.5\n3,4,10\n")
    x, y = samples(numbers, Wanted((2,), 0, "numbers")).fetch([0, 1])
    assert x.tolist() == [[1, 2], [3, 4]]
    assert y.tolist() == [30.5, 10]
    ten = tmp_path / "ten.csv"
    ten.write_text("a,n\n" + "".join(f"1,{n}\n" for n in (10, 9, 2)))
    assert samples(ten, Wanted((1,), 3, "classes")).classes == ("2", "9", "10")


def test_an_npz(tmp_path: Path) -> None:
    path = tmp_path / "all.npz"
    numpy.savez(path, x=numpy.full((6, 1, 8, 8), 255, "uint8"), y=numpy.arange(6) % 2)
    x, y = samples(path, WANTED).fetch([1, 2])
    assert x.unique().tolist() == [1.0]
    assert y.tolist() == [1, 0]
    assert fit(build(), path, **QUICK).metrics
    numpy.savez(path, images=numpy.zeros(3))
    with pytest.raises(TrainError, match="holds `images`, not `x` and `y`"):
        samples(path, WANTED)
    numpy.savez(path, x=numpy.array([{}], object), y=numpy.zeros(1))
    with pytest.raises(TrainError, match=r"E803 .*cannot be read"):
        samples(path, WANTED)


def test_digits_and_synthetic_pictures_fit_any_input() -> None:
    for shape in ((1, 8, 8), (3, 32, 32), (64,)):
        found = samples("digits", Wanted(shape, 10, "classes"))
        assert (len(found), found.fetch([0])[0].shape[1:]) == (1797, shape)
    found = samples("synthetic", Wanted((3, 16, 16), 5, "classes"))
    assert found.fetch([7])[0].shape == (1, 3, 16, 16)
    assert set(found.targets.tolist()) == set(range(5))


class Noisy(Dataset[Any]):
    """A set that draws from every generator there is."""

    classes = ("no", "yes")

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        drawn = random.random() + numpy.random.rand()
        return torch.rand(1, 8, 8) + drawn, index % 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_draws_the_same_whoever_reads_it(workers: int) -> None:
    def read(workers: int, size: int) -> dict[int, Tensor]:
        view = View(Given(Noisy()), torch.arange(20), seed=3, workers=workers)
        order = Order(20, size, 3)
        found = {}
        for chosen, (x, _) in zip(order.batches(1), load(view, order.batches(1), 1), strict=True):
            found |= dict(zip(chosen, x, strict=True))
        return found

    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist()
    one, other = read(workers, 6), read(0, 7)
    assert all(torch.equal(one[i], other[i]) for i in range(20))
    assert len({float(x.sum()) for x in one.values()}) == 20
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert numpy.random.get_state()[1].tolist() == before[2]


def test_datasets_and_loaders_are_trained_on() -> None:
    x, y = torch.randn(24, 1, 8, 8), torch.arange(24) % 2
    for data in (Noisy(), DataLoader(Noisy(), 5, shuffle=True), TensorDataset(x, y), (x, y)):
        assert len(fit(build(), (data, data), **QUICK).metrics) == 2
    assert len(fit(build(), Noisy(), **QUICK).metrics) == 2
    weighted = DataLoader(Noisy(), sampler=WeightedRandomSampler([1.0] * 20, 20))
    with pytest.raises(TrainError, match="draws with a WeightedRandomSampler"):
        fit(build(), weighted, **QUICK)
    with pytest.raises(TrainError, match="data is set"):
        fit(build(), {1, 2}, **QUICK)


def test_a_loader_says_how_it_reads_where_the_plan_does_not(tmp_path: Path) -> None:
    for shuffle in (False, True):
        loader = DataLoader(Noisy(), 5, shuffle=shuffle)
        job = prepare(build(), loader, reading.given(None, {"log": None, "data": {"val": 0}}))
        assert job.batch == 5
        assert job.sets.train.samples.shuffled == shuffle
    job = prepare(build(), loader, reading.given(None, {"log": None, "batch": 3}))
    assert job.batch == 3


# ------------------------------------------------------------------ refusals


def test_what_no_network_can_learn_from_is_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "empty").mkdir()
    with pytest.raises(TrainError, match=r"E803 the class `empty` in .* has no pictures"):
        fit(build(), pictures, **QUICK)
    (pictures / "empty").rmdir()
    (pictures / "dark" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(TrainError, match=r"E803 .*bad\.png. cannot be read"):
        fit(build(), pictures, **QUICK)
    (pictures / "dark" / "bad.png").unlink()
    with pytest.raises(TrainError, match=r"E804 the data have 2 classes, the head .* has 3"):
        fit(build(classes=3), pictures, **QUICK)
    (tmp_path / "val" / "grey").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "val" / "grey" / "1.png")
    with pytest.raises(TrainError, match="`grey` only there, `dark` and `light` only in the train"):
        fit(build(), (pictures, tmp_path / "val"), **QUICK)
    with pytest.raises(TrainError, match="holds no folders"):
        fit(build(), pictures / "dark", **QUICK)
    with pytest.raises(TrainError, match=r"did you mean `.*pictures`"):
        fit(build(), tmp_path / "picture", **QUICK)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (torch.eye(2)[torch.arange(20) % 2], "a target is [2], not the number of one class"),
        ((torch.arange(20) % 2)[:, None], "a target is [1], not the number of one class"),
    ],
)
def test_targets_that_are_no_classes(y: Tensor, said: str) -> None:
    with pytest.raises(TrainError, match=f"E804 {re.escape(said)}") as caught:
        fit(build(), (torch.rand(20, 1, 8, 8), y), **QUICK)
    meant = next(m for m in ("y[:, 0]", "y.argmax(1)") if f"`{m}`" in str(caught.value))
    assert eval(meant, {"y": y}).tolist() == [0, 1] * 10  # the remedy gives the classes


def test_a_network_of_two_inputs_reconstructs_nothing() -> None:
    model = archspec.build("siamese")
    with pytest.raises(TrainError, match=r"E804 the network reads .* has one input"):
        fit(model, "synthetic", task="reconstruction", **QUICK)


def test_other_classes_are_not_measured(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(build(), pictures, **{**QUICK, "log": {"folder": str(folder)}})
    (pictures / "light").rename(pictures / "bright")
    with pytest.raises(TrainError, match="E803 the data have the classes `bright` and `dark`"):
        use.evaluate(folder, pictures)


def test_a_picture_that_ends_early_is_named(pictures: Path) -> None:
    path = pictures / "dark" / "0.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TrainError, match=r"E803 .*0\.png. cannot be read"):
        picture(path, "L", (8, 8))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_goes_bad_later_is_named_too(pictures: Path, workers: int) -> None:
    """Its header is right, so that it is found out when it is read, maybe in another process."""
    path = pictures / "dark" / "0.bmp"
    Image.new("L", (8, 8)).save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TrainError, match=r"E803 .*0\.bmp. cannot be read"):
        fit(
            build(), {"train": pictures, "val": 0, "normalize": "none", "workers": workers}, **QUICK
        )


def test_a_table_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text, said in (
        ("a\n1\n", "no header with two columns"),
        ("a,b\n1,2,3\n", "line 2 of .* has 3 columns, its header 2"),
        ("a,b\n\n1,2\n\n1,2,3\n", "line 5 of .* has 3 columns, its header 2"),
        ("\na,b\n\n1,2\n\n1,\n", "line 6 of .* has no target"),
        ("a,b\n\n\nx,2\n", "line 4 of .* holds `x` where a number belongs"),
        ("a,b\nx,2\n", "holds `x` where a number belongs"),
    ):
        path.write_text(text)
        with pytest.raises(TrainError, match=said):
            samples(path, Wanted((1,), 0, "classes"))


def test_data_of_another_size_are_resized_or_refused() -> None:
    x, y = torch.rand(20, 1, 12, 12), torch.arange(20) % 2
    with pytest.raises(TrainError, match=r"E804 inputs have shape \[1, 12, 12\].*") as caught:
        fit(build(), (x, y), **QUICK)
    assert "`data: {size: [8, 8]}` resizes them" in caught.value.help
    assert fit(build(), {"train": (x, y), "size": 8}, **QUICK).metrics
    pooled = SPEC.replace("- flatten", "- global_avg_pool")
    assert fit(archspec.build(archspec.loads(pooled)), (x, y), **QUICK).metrics


# ------------------------------------------------------------------ reading


def test_pictures_are_resized_as_torchvision_does(tmp_path: Path) -> None:
    """The shorter side, then the middle."""
    wide = numpy.zeros((8, 16), "uint8")
    wide[:, 4:12] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    found = picture(tmp_path / "a.png", "L", (8, 8))
    assert found.shape == (1, 8, 8)
    assert found.unique().tolist() == [1.0]
    Image.new("RGBA", (5, 5), (255, 0, 0, 255)).save(tmp_path / "b.png")
    red = picture(tmp_path / "b.png", "RGB", (4, 6))
    assert red.shape == (3, 4, 6)
    assert red.amax((1, 2)).tolist() == [1, 0, 0]


def prepared(data: Any, **settings: Any) -> sets.Sets:
    plan = reading.given(None, {"data": {"train": "digits", **settings}})
    wanted = Wanted((1, 8, 8), 10, "classes")
    return sets.prepare(plan, data, wanted, "classification", None)


def test_normalisation_is_fitted_on_what_is_learned_from() -> None:
    found = prepared(None, normalize="zscore")
    x = torch.cat([x for x, _ in load(found.train, [list(range(len(found.train)))], 0)])
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)
    assert found.val is not None
    assert found.val.normal == found.train.normal
    low = prepared(None, normalize="minmax").train[5][0]
    assert (low.min(), low.max()) == (0, 1)
    x, y = torch.rand(30, 2) * torch.tensor([5.0, 1.0]), torch.arange(30) % 2
    normal = prepared({"train": (x, y)}, normalize="zscore", val=0).train.normal
    assert normal is not None
    assert len(normal.scale) == 2  # one a feature
    constant = prepared({"train": (torch.ones(9, 2), y[:9])}, normalize="zscore", val=0)
    assert constant.train.normal == Normal((1.0, 1.0), (1.0, 1.0))


def test_what_is_held_out_does_not_depend_on_the_seed() -> None:
    one, other = (prepared(None), prepared(None))
    assert one.val is not None
    assert other.val is not None
    assert torch.equal(one.val.chosen, other.val.chosen)
    assert not set(one.val.chosen.tolist()) & set(one.train.chosen.tolist())
    assert len(one.val) == round(1797 * 0.2)


def test_an_order_is_decided_by_seed_and_epoch() -> None:
    order = Order(100, 8, seed=5)
    assert order.batches(3) == Order(100, 8, seed=5).batches(3)
    assert order.batches(3) != order.batches(4)
    assert sorted(i for batch in order.batches(3) for i in batch) == list(range(100))
    halves = [Order(100, 4, 5, True, rank, 2) for rank in (0, 1)]
    both = [half.mine(half.batches(3)) for half in halves]
    for whole, a, b in zip(order.batches(3), *both, strict=True):
        assert sorted(whole) == sorted(a + b)


# ------------------------------------------------------------------ augmentation


def augmented(name: str, by: Any, numbers: list[list[float]], x: Tensor) -> Tensor:
    return augment.apply([Called(name, {"by": by})], {"x": x}, torch.tensor(numbers))["x"]


def test_moves_are_what_their_names_say() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    same = {"rotate": 90, "translate": 0.5, "scale": 0.5, "flip": "both", "brightness": 0.5,
            "contrast": 0.5}  # fmt: skip
    for name, by in same.items():
        middle = [[0.5] * augment.draws([Called(name, {})])]
        torch.testing.assert_close(augmented(name, by, middle, x), x)
    for name, by, numbers, wanted in (
        ("flip", "horizontal", [[0.2, 0.9]], x.flip(3)),
        ("flip", "vertical", [[0.9, 0.2]], x.flip(2)),
        ("rotate", 90, [[1.0]], x.rot90(1, (2, 3))),
        ("rotate", 90, [[0.0]], x.rot90(-1, (2, 3))),
        ("crop", 1, [[0.5, 0.5]], x),
        ("brightness", 0.5, [[1.0]], x * 1.5),
    ):
        torch.testing.assert_close(augmented(name, by, numbers, x), wanted, atol=1e-4, rtol=0)
    right = augmented("translate", 0.25, [[0.0, 0.5]], x)  # taken from one pixel further left
    torch.testing.assert_close(right[..., 1:], x[..., :-1], atol=1e-4, rtol=0)
    assert right[..., 0].abs().max() < 1e-4
    top = augmented("crop", 1, [[0.0, 0.0]], x)
    torch.testing.assert_close(top[..., 1:, 1:], x[..., :-1, :-1])


def test_each_picture_has_numbers_of_its_own_and_they_are_its_own() -> None:
    chosen = (Called("rotate", {"by": 30}), Called("translate", {"by": 0.2}))
    x = torch.rand(1, 1, 8, 8).expand(10, -1, -1, -1)

    def view() -> View:
        return View(Arrays(x, torch.zeros(10).long()), torch.arange(10), None, chosen, seed=1)

    whole, _ = view().__getitems__(list(range(10)))
    assert len({round(float(one.std()), 6) for one in whole}) == 10
    again, _ = view().__getitems__([7, 2])
    torch.testing.assert_close(again, whole[[7, 2]])
    later = view()
    later.epoch = 1
    assert not torch.equal(later.__getitems__([7])[0], whole[[7]])
    assert torch.equal(view().plain().__getitems__([3])[0], x[[3]])


def test_torchvisions_transforms_or_what_to_install(torchvision: Any) -> None:
    plan = reading.given(
        None, {"data": {"train": "digits", "augment": [{"RandomErasing": {"p": 1.0}}]}}
    )
    found = sets.prepare(plan, None, Wanted((1, 8, 8), 10, "classes"), "classification", None)
    (one, _), (again, _) = found.train[4], found.train[4]
    assert torch.equal(one, again)
    assert not torch.equal(one, found.train.plain()[4][0])
    with pytest.raises(SpecError, match="takes no argument `q`"):
        reading.given(None, {"data": {"train": "a", "augment": [{"RandomErasing": {"q": 1}}]}})


def test_without_torchvision_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from archspec.train import named

    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    named.torchvision_transforms.cache_clear()
    with pytest.raises(TrainError, match="E602 an augmentation of torchvision needs"):
        reading.given(None, {"data": {"train": "a", "augment": ["ColorJitter"]}})
    named.torchvision_transforms.cache_clear()


def test_a_network_of_several_files_is_kept_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net" / "parts").mkdir(parents=True)
    stem = (
        "spec: 1\nparams: {width: 4}\ninput: [1, 8, 8]\nbody: [{conv: {out: $width, kernel: 3}}]\n"
    )
    (tmp_path / "net" / "parts" / "stem.yaml").write_text(stem)
    (tmp_path / "net" / "net.yaml").write_text(
        "spec: 1\nuse: {Stem: parts/stem.yaml}\nvariants: {wide: {width: 6}}\nparams: {width: 2}\n"
        "input: [1, 8, 8]\nbody: [{id: s, Stem: {width: $width}}, flatten, {id: fc, linear: 10}]\n"
    )
    monkeypatch.chdir(tmp_path)
    model = archspec.build("net/net.yaml", "wide")
    keys = {**QUICK, "log": {"folder": "run"}}
    run = fit(model, {"train": "digits", "samples": 60}, **keys)
    for path in (tmp_path / "net").rglob("*.yaml"):
        path.unlink()
    monkeypatch.chdir(tmp_path.parent)
    found = use.load(tmp_path / "run")
    assert found.program.variant == "wide"
    assert use.evaluate(tmp_path / "run")["accuracy"] == run.best["val.accuracy"]


# ------------------------------------------------------------------ the report


def test_a_report_is_one_page_with_all_in_it(pictures: Path, tmp_path: Path) -> None:
    (pictures / "light").rename(pictures / "<b>light")
    folder = tmp_path / "run"
    fit(build(), pictures, **{**QUICK, "log": {"folder": str(folder)}})
    page = archspec.train.report(folder)
    assert page.count("<svg") == 2  # curves, the network
    assert page.count("data:image/png") == 5  # all that is held out
    assert "&lt;b&gt;light" in page
    assert "<b>light" not in page
    assert not re.findall(r"(?:src|href)=.?https?:", page)
    measured = use.evaluate(folder)["confusion"]
    cells = re.findall(r"<td[^>]*style=[^>]*>(\d*)</td>", page)
    assert [int(cell or 0) for cell in cells] == [n for line in measured for n in line]
    numbers = tmp_path / "numbers"
    x = torch.rand(20, 4)
    fit(
        nn_spec(), (x, x.sum(1)), **{**QUICK, "log": {"folder": str(numbers)}, "task": "regression"}
    )
    assert "What is taken" not in archspec.train.report(numbers, (x, x.sum(1)))


def nn_spec() -> nn.Module:
    return archspec.build(archspec.loads("spec: 1\ninput: [4]\nbody: [{linear: 1}]\n"))


# ------------------------------------------------------------------ the command line


def test_the_commands(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen.yaml").write_text(SPEC)
    (tmp_path / "plan.yaml").write_text("epochs: 9\noptimizer: {adam: {lr: 0.01}}\nbatch: 8\n")
    call = ["train", "seen.yaml", "-d", "pictures", "-p", "plan.yaml", "-e", "3", "-o", "out"]

    def says(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, words)
        if isinstance(done.exception, (TrainError, SpecError)):
            return str(done.exception)
        assert done.exit_code == status, done.output
        return done.output

    assert "best: " in says(*call)
    assert state.facts_of(state.found("out", state.LAST))["at"]["step"] == 9
    answer = says("predict", "out", "pictures/light/1.png", "--json")
    assert set(json.loads(answer)["pictures/light/1.png"]) == {"dark", "light"}
    assert "light" in says("predict", "out", "pictures/light/1.png", "--also", "out")
    assert "accuracy" in says("evaluate", "out", "-d", "pictures")
    assert "confusion" in json.loads(says("evaluate", "out", "--json"))
    assert "written" in says("evaluate", "out", "--report", "page.html")
    assert "curves.svg: written" in says("runs", "out", "out", "-o", "curves.svg")
    assert "best: " in says("train", "--resume", "out")
    assert "holds a run already" in says(*call)
    assert "one batch is learned" in says(*call[:-2], "--overfit-one-batch", "-w", "seed=1")
    assert "E804" in says(*call[:-2], "--set", "classes=3")
    assert "no SPEC is given" in says("train", "-d", "pictures", status=2)
    assert "`--with lr` is not NAME=VALUE" in says(*call, "-w", "lr", status=2)
