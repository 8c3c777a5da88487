"""Pairs, triplets, a step of the caller's, datasets of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from sklearn import metrics as oracle
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import archspec
from archspec.text.faults import SpecError
from archspec.train import engine, losses, sets, state, use
from archspec.train.companions import Companions
from archspec.train.errors import TrainError
from archspec.train.page import report
from archspec.train.samples import Arrays
from archspec.train.start import fit, overfit_one_batch, resume
from archspec.train.tasks.pairs import _best
from archspec.train.tasks.triplets import recall

QUICK: dict[str, Any] = {"log": None, "epochs": 2, "batch": 64, "quiet": True}

VECTOR = """\
spec: 1
name: vector
params: {out: 8}
input: [1, 8, 8]
body: [flatten, {linear: 32}, relu, {linear: $out}]
"""
TWINS = """\
spec: 1
name: twins
input: {left: [1, 8, 8], right: [1, 8, 8]}
blocks:
  Tower: {body: [flatten, {linear: 32}, relu, {linear: 8}]}
body:
  - {id: tower, from: left, Tower: }
  - {id: twin, from: right, shared: tower}
"""
NUMBER = "  - sub: [tower, twin]\n  - abs\n  - {id: fc, linear: 1}\n"
LITTLE = """\
spec: 1
name: little
input: [4]
body: [{linear: 8}, relu, {linear: 2}]
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


# ------------------------------------------------------------------ who is drawn


@pytest.mark.parametrize("many", [2, 3])
def test_companions_are_of_one_class_or_of_another(many: int) -> None:
    y = torch.tensor([3, 1, 1, 7, 3, 3, 1, 7, 9, 3] * 30)
    drawn = Arrays(torch.arange(300.0)[:, None], y)
    chosen = torch.arange(0, 300, 2)
    view = Companions(drawn, chosen, many=many, seed=5)
    x, told = view.__getitems__(list(range(150)))
    assert x.shape == (150, many, 1)
    who = x[:, :, 0].long()
    assert torch.equal(who[:, 0], chosen)
    assert set(who.flatten().tolist()) <= set(chosen.tolist())
    of = y[who]
    if many == 2:
        assert torch.equal((of[:, 0] == of[:, 1]).float(), told)
        assert 0.4 < told.mean() < 0.6
        alike = who[told == 1]
    else:
        assert (of[:, 0] == of[:, 1]).all()
        assert (of[:, 0] != of[:, 2]).all()
        assert torch.equal(told["class"], y[chosen])
        alike = who[:, :2]
    assert (alike[:, 0] != alike[:, 1]).all()  # nobody is a companion of its own
    again, _ = view.__getitems__([7, 3])
    assert torch.equal(again, x[[7, 3]])  # whoever else is in the batch
    view.epoch = 1
    assert not torch.equal(view.__getitems__(list(range(150)))[0], x)


def test_a_class_of_one_sample_is_its_own_companion() -> None:
    view = Companions(Arrays(torch.arange(3.0)[:, None], torch.tensor([0, 1, 1])),
                      torch.arange(3), many=3)  # fmt: skip
    x, _ = view.__getitems__([0, 1, 2])
    assert x[:, 1, 0].tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((torch.rand(20, 1, 8, 8), torch.zeros(20).long()), "all samples are of one class"),
        (TensorDataset(torch.rand(9, 1, 8, 8)), "no pair of an input and a target"),
    ],
)
def test_samples_without_companions(data: Any, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        fit(build(VECTOR), data, **QUICK, task="pairs")


def test_a_dataset_that_knows_its_targets() -> None:
    class Known(TensorDataset):
        targets = [0, 1] * 20

    parts = torch.rand(40, 1, 8, 8), torch.tensor(Known.targets)
    other = torch.utils.data.ConcatDataset([Known(*parts)])
    with pytest.raises(TrainError, match="the class of each sample is not known before"):
        fit(build(VECTOR), other, **QUICK, task="triplets")
    # given as tensors and as a set of two it is the same
    torch.manual_seed(0)
    one = fit(build(VECTOR), {"train": parts, "normalize": "none"}, **QUICK, task="triplets").last
    torch.manual_seed(0)
    two = fit(build(VECTOR), Wrapped(Known(*parts)), **QUICK, task="triplets").last
    assert one["val.loss"] == two["val.loss"]


class Wrapped(torch.utils.data.Dataset[Any]):
    def __init__(self, within: Any) -> None:
        self.within, self.targets = within, within.targets

    def __len__(self) -> int:
        return len(self.within)

    def __getitem__(self, index: int) -> Any:
        return self.within[index]


# ------------------------------------------------------------------ losses and figures


def test_the_contrastive_loss_is_the_papers() -> None:
    apart, same = torch.tensor([0.5, 0.5, 3.0, 3.0]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    each = losses.contrastive(apart, same, margin=2.0, reduction="none")
    assert each.tolist() == [0.125, 1.125, 4.5, 0.0]
    assert losses.contrastive(apart, same, margin=2.0) == each.mean()


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        (VECTOR, {"task": "pairs"}),
        (TWINS + "outputs: {a: tower, b: twin}\n", {"loss": {"contrastive": {"margin": 2.0}}}),
        (TWINS + NUMBER, {"loss": "binary_cross_entropy_with_logits"}),
        (TWINS + NUMBER + "  - sigmoid\n", {}),
    ],
)
def test_pairs_are_told_apart(spec: str, keys: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = {**QUICK, "epochs": 4, "task": "pairs", "optimizer": {"adam": {"lr": 5e-3}}, **keys}
    run = fit(build(spec), "digits", **{**plan, "log": {"folder": str(folder), "save": 10**6}})
    assert run.best["val.accuracy"] > 0.8
    found = use.load(folder)
    view = use.held_out(found)
    with torch.no_grad():
        said = found.task.said(found.model, view.__getitems__(list(range(len(view))))[0])
    _, same = view.__getitems__(list(range(len(view))))
    sign = -1 if found.task.loss_name == "contrastive" else 1
    _, _, thresholds = oracle.roc_curve(same, sign * said)
    best = max(float(((sign * said >= t) == same.bool()).double().mean()) for t in thresholds)
    measured = use.evaluate(folder)
    assert best - 0.006 < measured["accuracy"] <= best
    with pytest.raises(TrainError, match="the network compares samples"):
        found.task.answers(said, (), 3)


def test_the_best_threshold_of_a_histogram() -> None:
    sums = {"same": torch.tensor([4, 3, 0, 1]), "apart": torch.tensor([1, 0, 5, 2])}
    assert _best(sums) == (14, 2)


def test_triplets_bring_classes_together(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    keys = {**QUICK, "epochs": 4, "task": "triplets", "log": {"folder": str(folder)}}
    keys |= {"loss": {"triplet_margin": {"margin": 0.5}}, "optimizer": {"adam": {"lr": 5e-3}}}
    row = fit(build(VECTOR), "digits", **keys).best
    assert row["val.recall"] > 0.9
    found = use.load(folder)
    view = use.held_out(found)
    x = view.__getitems__(list(range(len(view))))[0]
    with torch.no_grad():
        vectors = found.model(x[:, 0])
    apart = torch.cdist(vectors, vectors).fill_diagonal_(torch.inf)
    right = view.classes[apart.argmin(1)] == view.classes
    assert row["val.recall"] == pytest.approx(float(right.double().mean()))
    other = use.evaluate(folder, "digits")  # in batches of another size
    assert other["recall"] > 0.9
    assert "recall" in report(folder)


def test_one_batch_of_triplets_is_learned_by_heart() -> None:
    keys: dict[str, Any] = {"task": "triplets", "batch": 32, "optimizer": {"adam": {"lr": 0.01}}}
    first, last = overfit_one_batch(build(VECTOR), "digits", **keys)
    assert last < 0.1 * first


def test_recall_at_1() -> None:
    vectors = torch.tensor([[0.0], [1.0], [1.1], [9.0], [9.2]])
    assert recall(vectors, torch.tensor([0, 0, 1, 1, 1])) == 0.6
    assert recall(vectors, torch.tensor([0, 1, 1, 2, 2])) == 0.8


@pytest.mark.parametrize(
    ("spec", "task", "said"),
    [
        (TWINS + NUMBER, "triplets", r"the network reads 2 inputs and gives \[1\]"),
        ("spec: 1\nname: same\ninput: [1, 8, 8]\nbody: [{conv: {out: 1, kernel: 1}}]\n", "triplets",
         r"the network reads 1 inputs and gives \[1, 8, 8\]"),
        (TWINS + "  - add: [tower, twin]\n", "pairs",
         r"the network reads 2 inputs and gives \[8\]"),
    ],
)  # fmt: skip
def test_networks_that_compare_nothing(spec: str, task: str, said: str) -> None:
    spec = spec.replace("{linear: 32}", "{linear: 8}")
    with pytest.raises(TrainError, match=f"E804 {said}"):
        fit(build(spec), "digits", **QUICK, task=task)


def test_other_losses_are_not_for_pairs() -> None:
    with pytest.raises(SpecError, match="the loss `mse` is not for pairs"):
        fit(build(VECTOR), "digits", **QUICK, task="pairs", loss="mse")
    with pytest.raises(SpecError, match=r"`contrastive` takes no argument `margn`"):
        fit(build(VECTOR), "digits", **QUICK, task="pairs", loss={"contrastive": {"margn": 1}})


# ------------------------------------------------------------------ a step


def points(n: int = 64) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 4, generator=torch.Generator().manual_seed(1))
    return x, (x.sum(1) > 2).long()


def step(model: nn.Module, x: Tensor, y: Tensor) -> Any:
    scores = model(x)
    right = (scores.argmax(1) == y).float().mean()
    return {"loss": functional.cross_entropy(scores, y), "right": right}


def test_a_step_of_the_callers_is_the_task_it_computes() -> None:
    keys = {**QUICK, "batch": 16, "epochs": 3}
    ours, theirs = build(LITTLE), build(LITTLE)
    theirs.load_state_dict(ours.state_dict())
    one = fit(ours, points(), step=step, **keys)
    two = fit(theirs, points(), **keys)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])
    for a, b in zip(one.metrics, two.metrics, strict=True):
        assert a["val.loss"] == pytest.approx(b["val.loss"])
        assert a["val.right"] == pytest.approx(b["val.accuracy"])
        assert a["train.right"] == pytest.approx(b["train.accuracy"])
    assert one.best["val.loss"] == min(one.points("val.loss"), key=lambda p: p[1])[1]


def test_a_step_may_watch_its_own_figures_and_return_the_loss_alone() -> None:
    stop = {"monitor": "val.right", "patience": 1}
    run = fit(build(LITTLE), points(), step=step, **{**QUICK, "epochs": 30}, stop=stop)
    assert run.monitor == "val.right"
    assert not run.falls
    assert run.stopped == "early"
    given = fit(build(LITTLE), points(), step=lambda m, x, y: m(x).square().mean(), **QUICK)
    assert set(given.last) >= {"train.loss", "val.loss"}
    with pytest.raises(TrainError, match=r"(?s)nothing is measured.*`val.rigt`.*`val.right`"):
        fit(
            build(LITTLE), points(), step=step, **QUICK, stop={"monitor": "val.rigt", "patience": 1}
        )


def test_a_run_of_a_step_is_gone_on_with_by_the_same_step(tmp_path: Path) -> None:
    keys = {**QUICK, "batch": 16, "seed": 3}
    torch.manual_seed(0)
    whole = build(LITTLE)
    fit(whole, points(), step=step, **keys)
    torch.manual_seed(0)
    update = engine.Training.update

    def cut(self: Any, *args: Any) -> None:
        if self.at.steps == 5:
            raise KeyboardInterrupt
        update(self, *args)

    log = {"folder": str(tmp_path / "run"), "save": 5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", cut)
        with pytest.raises(KeyboardInterrupt):
            fit(build(LITTLE), points(), step=step, **{**keys, "log": log})
    with pytest.raises(TrainError, match="E808 the plan says `task: step`, and no step is given"):
        resume(tmp_path / "run", points(), quiet=True)
    resume(tmp_path / "run", points(), step=step, quiet=True)
    kept = state.weights_of(
        state.found(tmp_path / "run", state.LAST),
        state.facts_of(state.found(tmp_path / "run", state.LAST)),
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, kept[name])


@pytest.mark.parametrize(
    ("given", "keys", "said"),
    [
        (lambda m, x, y: m(x), {}, r"E804 the step returned a loss that is a tensor of .*51, 2"),
        (lambda m, x, y: None, {}, "E804 the step returned nothing called `loss`"),
        (lambda m, x, y: {"los": 1}, {}, "E804 the step returned nothing called `loss`"),
        (lambda m, x, y: {"loss": m(x).sum(), "a": x}, {}, r"returned `a`, which is a tensor of"),
        (lambda m, x, y: m(x).detach().sum(), {}, "E805 the step's loss does not depend on"),
        ("step", {}, "E808 `step` is a str, not a function"),
        (step, {"task": "regression"}, "E808 the plan's task is `regression`, and a step is"),
        (None, {"task": "step"}, "E808 the plan says `task: step`, and no step is given"),
    ],
)  # fmt: skip
def test_steps_that_give_no_loss(given: Any, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainError, match=said):
        fit(build(LITTLE), points(), step=given, **QUICK, **keys)


# ------------------------------------------------------------------ Hugging Face


@pytest.fixture(scope="module")
def hub() -> Any:
    return pytest.importorskip("datasets")


def dark_and_light(hub: Any, **columns: Any) -> Any:
    drawn = numpy.random.default_rng(0)
    pictures = [
        Image.fromarray((drawn.integers(0, 60, (9, 8 + i % 3)) + i % 2 * 150).astype("uint8"))
        for i in range(40)
    ]
    kinds = {
        "image": hub.Image(), "label": hub.ClassLabel(names=["dark", "light"]),
        **{name: kind for name, (kind, _) in columns.items()},
    }  # fmt: skip
    values = {"image": pictures, "label": [i % 2 for i in range(40)]}
    values |= {name: given for name, (_, given) in columns.items()}
    return hub.Dataset.from_dict(values, features=hub.Features(kinds))


SEEN = """\
spec: 1
name: seen
input: [1, 8, 8]
body: [{conv: {out: 4, kernel: 3}}, relu, flatten, {linear: 2}]
"""


def test_a_dataset_of_pictures_brings_its_classes(hub: Any, tmp_path: Path) -> None:
    data = dark_and_light(hub, id=(hub.Value("int64"), list(range(40))))
    folder = tmp_path / "run"
    keys = {**QUICK, "epochs": 6, "batch": 8, "optimizer": {"adam": {"lr": 0.01}}}
    both = hub.DatasetDict({"train": data, "test": data})
    run = fit(build(SEEN), both, **{**keys, "log": {"folder": str(folder), "save": 10**6}})
    assert run.best["val.accuracy"] == 1.0
    assert use.load(folder).facts.classes == ("dark", "light")
    assert use.load(folder).facts.normal is not None
    data[1]["image"].save(tmp_path / "a.png")
    assert list(use.predict(folder, tmp_path / "a.png", top=1)[0]) == ["light"]
    assert use.evaluate(folder, data)["accuracy"] == 1.0
    one = fit(build(SEEN), {"train": data, "val": data, "augment": [{"flip": "both"}]}, **keys)
    assert one.best["val.accuracy"] == 1.0
    assert fit(build(SEEN), (data, data), **QUICK).last["val.loss"] < 5


def test_columns_of_numbers_and_of_words(hub: Any) -> None:
    x, y = points(40)
    data = hub.Dataset.from_dict({"x": x.tolist(), "label": ["no" if one else "yes" for one in y]})
    found = sets.samples(data, sets.Wanted((4,), 2, "classes"))
    assert found.classes == ("no", "yes")
    given, of = found.fetch([3, 0])
    torch.testing.assert_close(given, x[[3, 0]])
    assert torch.equal(of, 1 - y[[3, 0]])
    data = hub.Dataset.from_dict({"x": x.tolist(), "target": (2 * x[:, :2]).tolist()})
    assert fit(build(LITTLE), data, **QUICK, task="regression").last["val.mse"] > 0
    two = hub.Dataset.from_dict({
        "left": torch.rand(40, 1, 8, 8).tolist(), "right": torch.rand(40, 1, 8, 8).tolist(),
        "label": torch.rand(40).tolist(),
    })  # fmt: skip
    assert fit(build(TWINS + NUMBER), two, **QUICK, task="regression").last["val.mse"] > 0
    with pytest.raises(TrainError, match="the network reads `left` and `right`; the dataset has"):
        fit(build(TWINS + NUMBER), two.rename_column("left", "a"), **QUICK, task="regression")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda hub, d: d.remove_columns("label"), "no column is a target of .* `image`"),
        (lambda hub, d: hub.Dataset.from_dict({"a": [1] * 9, "b": [1] * 9, "label": [0] * 9}),
         "`a` and `b` might each be the input"),
        (lambda hub, d: hub.Dataset.from_dict({"text": ["a"] * 9, "label": [0] * 9}),
         "the column `text` holds no numbers"),
        (lambda hub, d: d.to_iterable_dataset(), "the dataset is streamed"),
        (lambda hub, d: hub.DatasetDict({"all": d}), "has the splits `all`, none called `train`"),
        (lambda hub, d: d.map(lambda row: {"label": -1}), r"`label` has rows without a class"),
    ],
)  # fmt: skip
def test_datasets_that_are_ambiguous(hub: Any, change: Any, said: str) -> None:
    with pytest.raises(TrainError, match=f"E803 .*{said}"):
        fit(build(SEEN), change(hub, dark_and_light(hub)), **QUICK)
