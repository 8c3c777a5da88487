"""Training: a plain loop, torch and scikit-learn are the oracles; others' defects are tested."""

from __future__ import annotations

import copy
import json
import math
import multiprocessing
import os
import pickle
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from accelerate import Accelerator
from sklearn import metrics as oracle
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, TensorDataset

import archspec
from archspec.text.faults import SpecError
from archspec.train import engine, groups, reading, sharding, state
from archspec.train.errors import TrainError
from archspec.train.interrupts import Interrupts
from archspec.train.loading import Order
from archspec.train.measure import score
from archspec.train.plan import SCHEDULES
from archspec.train.run import Run
from archspec.train.schedule import Rate
from archspec.train.start import fit, overfit_one_batch, prepare, resume
from archspec.train.tasks.classification import f1
from archspec.train.use import held_out

SPEC = """\
spec: 1
name: little
params: {classes: 3}
input: [4]
body:
  - {id: a, linear: 8}
  - relu
  - {id: b, linear: 8}
  - relu
  - {id: fc, linear: $classes}
head: fc
"""
NORMS = """\
spec: 1
name: norms
input: [8]
body:
  - {id: backbone, sequential: [{linear: 8}, {batch_norm: {}}, relu]}
  - {id: head, sequential: [{linear: 8}, {batch_norm: {}}, {linear: 3}]}
head: head
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str = SPEC, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


def points(n: int = 90, width: int = 4, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Points around a place for each class."""
    drawn = torch.Generator().manual_seed(1)
    y = torch.arange(n) % classes
    places = 2 * torch.randn(classes, width, generator=drawn)
    return places[y] + torch.randn(n, width, generator=drawn), y


RAW: dict[str, Any] = {"train": points(), "val": 0, "normalize": "none"}


def run(model: nn.Module, data: Any = None, **keys: Any) -> Run:
    keys = {"log": None, "epochs": 3, "batch": 16, **keys}
    data = points() if data is None else data
    whole = data if isinstance(data, dict) else {"train": data, "val": 0}
    return fit(model, {"normalize": "none", **whole}, quiet=True, **keys)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    return {n for n, v in model.state_dict().items() if not torch.equal(before[n], v)}


# ------------------------------------------------------------------ the loop


def by_hand(model: nn.Module, epochs: int, batch: int, clip: float | None, **sgd: float) -> None:
    """What `fit` does, as one writes it."""
    x, y = points()
    optimizer = torch.optim.SGD(model.parameters(), **sgd)
    for epoch in range(epochs):
        for chosen in Order(len(x), batch, 0).batches(epoch):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()


@pytest.mark.parametrize("clip", [None, 0.5])
def test_it_is_a_plain_loop_to_the_bit(clip: float | None) -> None:
    sgd = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    ours, theirs = build(), build()
    theirs.load_state_dict(ours.state_dict())
    run(ours, optimizer={"sgd": sgd}, clip=clip, decay="all")
    by_hand(theirs, 3, 16, clip, **sgd)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def test_four_batches_a_step_are_one_of_four_times_the_size() -> None:
    one, four = build(), build()
    four.load_state_dict(one.state_dict())
    run(one, batch=32, optimizer={"sgd": {"lr": 0.1}})
    run(four, batch=8, accumulate=4, optimizer={"sgd": {"lr": 0.1}})
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, four.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_module_that_archspec_did_not_build() -> None:
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    found = run(model, data=points(300), epochs=8, optimizer={"adam": {"lr": 0.02}})
    assert found.best["train.accuracy"] > 0.8


def test_what_accelerate_put_on_the_module_is_gone() -> None:
    model = build()
    before = set(model.__dict__)
    run(model, precision="bf16")
    assert set(model.__dict__) == before
    copy.deepcopy(model)
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert model(points()[0]).dtype == torch.float32


@pytest.mark.parametrize("ema", [None, 0.9])
def test_losses_are_of_full_numbers_in_training_and_in_evaluation(ema: float | None) -> None:
    """The network alone runs in bf16. On a GPU, torch refuses some losses of halves there."""
    seen = set()

    def step(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        rounded = model(x)
        half = bool((rounded == rounded.bfloat16()).all())
        seen.add((model.training, rounded.dtype, half, torch.is_autocast_enabled("cpu")))
        return functional.cross_entropy(rounded, y)

    data = {"train": points(), "val": points(32)}
    model = build()
    run(model, data, step=step, precision="bf16", epochs=1, ema=ema)
    assert seen == {(training, torch.float32, True, False) for training in (True, False)}
    assert "forward" not in vars(model)


def test_more_processes_than_gpus_are_told_before_nccl_fails() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_WORLD_SIZE", "4")
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        with pytest.raises(TrainError, match="4 processes were started here, and GPUs there are 2"):
            run(build(), epochs=1)


def test_one_process_may_train_in_two_precisions() -> None:
    for precision in ("bf16", "fp32"):
        run(build(), precision=precision, epochs=1)


def test_the_average_of_weights_is_what_is_left() -> None:
    plain, averaged = build(), build()
    averaged.load_state_dict(plain.state_dict())
    start = weights(plain)
    sgd = {"sgd": {"lr": 0.1}}
    steps = []
    real = engine.Training.step

    def noted(self: Any, part: str) -> None:
        real(self, part)
        steps.append(weights(self.model))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "step", noted)
        run(averaged, optimizer=sgd, ema=0.8, epochs=1)
    run(plain, optimizer=sgd, epochs=1)
    assert changed(start, plain)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, steps[-1][name])  # the average changes nothing of the training
        wanted = steps[0][name]
        for step in steps[1:]:
            wanted = torch.lerp(wanted, step[name], 0.2)
        torch.testing.assert_close(averaged.state_dict()[name], wanted)


def test_update_bn_is_torchs() -> None:
    x, y = points(96, 8)
    model = build(NORMS)
    run(model, data=(x, y), update_bn=True, batch=16)
    other = copy.deepcopy(model)
    update_bn([x[i : i + 16] for i in range(0, 96, 16)], other)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name])


def test_statistics_of_an_average_are_in_the_precision_of_the_run() -> None:
    """Where the average is the weights of the last step, its statistics are theirs, in bf16 too."""
    found = []
    for keys in ({}, {"ema": 1e-9}):
        torch.manual_seed(0)
        model = build(NORMS)
        run(model, data=points(96, 8), update_bn=True, precision="bf16", batch=16, **keys)
        found.append(model.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name])


# ------------------------------------------------------------------ defects of others


def test_equal_norms_are_told_apart_by_name() -> None:
    """Defect 1: a filter by value leaves the backbone's fresh norm in no optimizer."""
    model = build(NORMS)
    before = weights(model)
    run(
        model, data=points(96, 8), optimizer={"sgd": {"lr": 0.1}},
        phases=[{"train": ["head"], "epochs": 1}, {"epochs": 1}],
    )  # fmt: skip
    parameters = {name for name, _ in model.named_parameters()}
    assert changed(before, model) >= parameters


def test_every_parameter_is_in_one_group() -> None:
    model = build(NORMS)
    plan = reading.given(None, {"phases": [{"lr": {"head": 0.1, "head.2": 0.2}}]})
    names = [name for name, _ in model.named_parameters()]
    made = groups.groups(plan, 0, model, names)
    assert sorted(n for group in made for n in group.names) == sorted(names)
    rates = {name: group.lr for group in made for name in group.names}
    assert [rates[n] for n in names if n.startswith("head")].count(0.2) == 2
    with pytest.raises(TrainError, match="E901"):
        groups._assert_partition(names, [*made, made[0]])


def test_a_frozen_norm_keeps_its_statistics_and_uses_them() -> None:
    """Defect 2: it normalises by the batch in training, which is not what evaluation sees."""
    x, y = points(96, 8)
    x = 5 * x + 3
    model = build(NORMS)
    norm = next(m for n, m in model.named_modules() if n == "backbone.1")
    statistics = {k: v.clone() for k, v in norm.state_dict().items()}
    seen: list[tuple[Tensor, Tensor]] = []
    hook = norm.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    run(model, data=(x, y), phases=[{"train": "head", "epochs": 1}])
    hook.remove()
    for key, value in norm.state_dict().items():
        assert torch.equal(value, statistics[key])
    given, out = seen[0]
    torch.testing.assert_close(out, given / (1 + 1e-5) ** 0.5)  # fresh statistics: 0 and 1
    run(model, data=(x, y), phases=[{"train": "head", "epochs": 1}], frozen_norm="train")
    assert not torch.equal(norm.running_mean, statistics["running_mean"])


def test_weights_move_after_a_resume_behind_the_unfreezing(tmp_path: Path) -> None:
    """Defect 3: `requires_grad` is False again, and nothing moves for the rest of the training."""
    plan = {
        "log": {"folder": str(tmp_path / "run"), "save": 1}, "optimizer": {"sgd": {"lr": 0.1}},
        "phases": [{"train": "fc", "epochs": 1}, {"epochs": 3}], "batch": 30,
    }  # fmt: skip
    model = build()
    _cut(model, plan, at=5)
    before = weights(model)
    assert "a.weight" in changed(weights(build()), model)
    other = build()
    fit(other, points(), resume=tmp_path / "run", quiet=True)
    assert changed(before, other) >= {"a.weight", "b.weight", "fc.weight"}
    assert all(value.requires_grad for value in other.parameters())


def _cut(model: nn.Module, plan: dict[str, Any], at: int) -> None:
    """Train until a step, where the machine goes off."""
    update = engine.Training.update

    def cut(self: Any, *args: Any) -> None:
        if self.at.steps == at:
            raise KeyboardInterrupt
        update(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", cut)
        with pytest.raises(KeyboardInterrupt):
            fit(model, RAW, quiet=True, **plan)


def test_phases_train_what_they_name_and_momentum_goes_on() -> None:
    ours, theirs = build(), build()
    theirs.load_state_dict(ours.state_dict())
    before = weights(ours)
    sgd = {"sgd": {"lr": 0.1, "momentum": 0.9}}
    run(ours, optimizer=sgd, phases=[{"train": ["fc", "b.bias"], "epochs": 1}])
    assert changed(before, ours) == {"fc.weight", "fc.bias", "b.bias"}
    # by hand: one optimizer over both phases, of what trains in both
    ours.load_state_dict(theirs.state_dict())
    run(ours, optimizer=sgd, phases=[{"train": "fc", "epochs": 1}, {"train": "fc", "epochs": 2}])
    for name, value in theirs.named_parameters():
        value.requires_grad_(name.startswith("fc"))
    by_hand(theirs, 3, 16, None, lr=0.1, momentum=0.9)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def test_what_the_spec_freezes_stays_frozen() -> None:
    model = build(SPEC.replace("{id: a, linear: 8}", "{id: a, linear: 8, freeze: true}"))
    before = weights(model)
    run(model)
    assert not {"a.weight", "a.bias"} & changed(before, model)


def test_norms_and_biases_do_not_decay_unless_asked() -> None:
    for decay, still in (("weights", {".1.weight", "bias"}), ("all", set())):
        plan = reading.given(None, {"decay": decay, "optimizer": {"adamw": {"weight_decay": 0.5}}})
        model = build(NORMS)
        names = [name for name, _ in model.named_parameters()]
        made = groups.groups(plan, 0, model, names)
        steady = [n for group in made if not group.decays for n in group.names]
        assert all(any(n.endswith(s) for s in still) for n in steady)
        entries = groups.optimizer_groups(made, dict(model.named_parameters()), True)
        assert {e.get("weight_decay") for e in entries} == ({None, 0.0} if still else {None})


def test_gains_of_standardised_weights_do_not_decay() -> None:
    conv = "conv: {out: 4, kernel: 3, reparam: scaled_weight_standard}"
    model = build(f"spec: 1\nname: n\ninput: [3, 8, 8]\nbody: [{{{conv}}}, global_avg_pool]\n")
    plan = reading.given(None, {"optimizer": {"adamw": {"weight_decay": 0.5}}})
    names = [name for name, _ in model.named_parameters()]
    made = groups.groups(plan, 0, model, names)
    assert [n for group in made if group.decays for n in group.names] == ["conv1.weight"]


def test_layer_decay_goes_by_the_stages_of_the_spec() -> None:
    model = build()
    plan = reading.given(None, {"phases": [{"layer_decay": 0.5, "lr": 0.8}], "decay": "all"})
    made = groups.groups(plan, 0, model, [name for name, _ in model.named_parameters()])
    rates = {name: group.lr * group.scale for group in made for name in group.names}
    assert [rates[f"{path}.weight"] for path in ("a", "b", "fc")] == [0.2, 0.4, 0.8]


# ------------------------------------------------------------------ schedules, stopping


def lrs(schedule: Any, steps: int, an_epoch: int) -> list[float]:
    plan = reading.given(None, {"schedule": schedule})
    rate = Rate(plan.schedule, steps, an_epoch)
    return [rate.at(step) for step in range(steps)]


def of_torch(make: Any, steps: int, every: int = 1) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "make", "every"),
    [
        ("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, 40), 1),
        ({"step": {"every": 2, "gamma": 0.3}}, lambda o: lr_scheduler.StepLR(o, 2, 0.3), 10),
        ({"step": {"at": [1, 3]}}, lambda o: lr_scheduler.MultiStepLR(o, [1, 3], 0.1), 10),
        ("one_cycle", lambda o: lr_scheduler.OneCycleLR(o, 1.0, 40, cycle_momentum=False), 1),
    ],
)
def test_schedules_are_torchs(schedule: Any, make: Any, every: int) -> None:
    numpy.testing.assert_allclose(lrs(schedule, 40, 10), of_torch(make, 40, every), atol=1e-9)


def test_a_warm_up_goes_before_any_of_them() -> None:
    for name in SCHEDULES:
        found = lrs({name: {"warmup": 4}}, 40, 10)
        later = lrs(name, 36, 10)
        peak = 1.0 if name != "one_cycle" else later[0]
        numpy.testing.assert_allclose(found[:4], [0.25 * peak, 0.5 * peak, 0.75 * peak, peak])
        if name in ("cosine", "one_cycle"):
            numpy.testing.assert_allclose(found[4:], later)
    assert lrs({"cosine": {"warmup": 0.1}}, 40, 10) == lrs({"cosine": {"warmup": 4}}, 40, 10)


def test_plateau_is_torchs() -> None:
    values = [1.0, 0.9, 0.95, 0.93, 0.91, 0.92, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
    plan = reading.given(None, {"schedule": {"plateau": {"factor": 0.5, "patience": 2}}})
    rate = Rate(plan.schedule, 1000, 10)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    for value in values:
        rate.watched(value)
        theirs.step(value)
        assert rate.at(0) == optimizer.param_groups[0]["lr"]


def test_it_stops_when_nothing_gets_better() -> None:
    found = run(
        build(), epochs=50, optimizer={"sgd": {"lr": 1e-9}}, stop={"patience": 2, "least": 0.1}
    )
    assert len(found.metrics) == 4  # the first is the reference, then more than two in vain
    assert found.stopped
    phases = [{"epochs": 9, "stop": {"patience": 1, "monitor": "train.accuracy"}}, {"epochs": 2}]
    found = run(build(), optimizer={"sgd": {"lr": 1e-9}}, phases=phases)
    assert [row["phase"] for row in found.metrics] == ["1", "1", "1", "2", "2"]


# ------------------------------------------------------------------ metrics


def test_metrics_are_exact_however_batches_are_cut() -> None:
    x, y = points(101)
    model = build()
    found = run(model, data={"train": (x, y), "val": (x, y)}, batch=16, epochs=1)
    with torch.no_grad():
        output = model.eval()(x)
    guessed = output.argmax(1)
    assert found.last["val.accuracy"] == oracle.accuracy_score(y, guessed)
    assert found.tables["confusion"] == oracle.confusion_matrix(y, guessed).tolist()
    macro = oracle.f1_score(y, guessed, average="macro")
    assert found.last["val.f1"] == pytest.approx(macro, abs=1e-12)
    wanted = functional.cross_entropy(output, y).item()
    assert found.last["val.loss"] == pytest.approx(wanted, abs=1e-6)


def test_f1_of_a_class_that_nothing_has_is_left_out() -> None:
    assert f1(torch.tensor([[3, 0, 0], [0, 2, 0], [0, 0, 0]])) == 1.0


def test_the_fifth_guess_counts() -> None:
    x, y = points(64, 4, 8)
    model = build(classes=8)
    found = run(model, data={"train": (x, y), "val": (x, y)}, epochs=1)
    scores = model.eval()(x).detach().numpy()
    assert found.last["val.top5"] == oracle.top_k_accuracy_score(y, scores, k=5)


def test_regression() -> None:
    x, _ = points(120)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 1
    model = build(classes=1)
    both = {"train": (x, y), "val": (x, y)}
    found = run(model, data=both, task="regression", epochs=30, optimizer={"adam": {"lr": 0.02}})
    guessed = model.eval()(x).detach().numpy()[:, 0]
    assert found.last["val.r2"] == pytest.approx(oracle.r2_score(y, guessed), abs=1e-5)
    assert found.last["val.mae"] == pytest.approx(oracle.mean_absolute_error(y, guessed), abs=1e-5)
    assert found.best["val.loss"] == min(row["val.loss"] for row in found.metrics)
    assert found.best["val.r2"] > 0.9


CODER = """\
spec: 1
name: coder
input: [1, 8, 8]
body:
  - {conv: {out: 16, kernel: 3, padding: 1}}
  - relu
  - {conv: {out: 16, kernel: 3, padding: 1}}
  - relu
  - {id: out, conv: {out: 1, kernel: 3, padding: 1}}
"""


def test_noise_is_taken_away(tmp_path: Path) -> None:
    """Loss against the clean picture; what is measured does not depend on how batches are cut."""
    keys = {"epochs": 3, "optimizer": {"adam": {"lr": 0.01}}, "quiet": True}
    task = {"reconstruction": {"noise": 0.3}}
    log = {"folder": str(tmp_path / "run")}
    found = fit(build(CODER), "digits", task=task, log=log, **keys)
    noisy = -10 * math.log10(0.3**2)
    assert found.last["val.psnr"] > noisy + 3
    trained = archspec.train.load(tmp_path / "run")
    view = held_out(trained)
    assert view.normal is None  # pictures stay from 0 to 1
    sums = [score(trained.task, trained.model, view, size, Accelerator()) for size in (7, 50)]
    one, other = (trained.task.figures(s) for s in sums)
    assert one == pytest.approx(other, abs=1e-9)
    assert one["psnr"] == pytest.approx(found.best["val.psnr"], abs=1e-6)
    assert archspec.train.report(tmp_path / "run").count("<figcaption>loss 0.") == 16


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"reconstruction": {"nois": 0.3}}, "did you mean `noise`"),
        ({"reconstruction": {"noise": -1}}, "`noise` is -1; it is a standard deviation, from 0"),
        ({"classification": {"a": 1}}, "E802 `classification` takes no option `a`"),
        ("reconstruction", r"E804 inputs have shape [4], the output `output` [3]"),
    ],
)
def test_tasks_refuse_what_is_not_theirs(task: Any, said: str) -> None:
    with pytest.raises((SpecError, TrainError)) as caught:
        run(build(), task=task)
    assert said in str(caught.value)


AUX = """\
spec: 1
name: aside
input: [4]
body:
  - {id: a, linear: 8}
  - {id: aux1, tap: train, linear: 3}
  - {id: b, linear: 8}
  - {id: aux2, tap: train, linear: 3}
  - {id: fc, linear: 3}
outputs: {logits: fc, aux1: aux1, aux2: aux2}
head: [fc, aux1, aux2]
"""


@pytest.mark.parametrize(
    ("plan", "name", "wanted"),
    [({}, "aside", (0.3, 0.3)), ({"aux": {"aux2": 0.4}}, "aside", (0.3, 0.4)),
     ({}, "inception_v3", (0.4, 0.4))],
)  # fmt: skip
def test_auxiliary_heads_weigh_what_was_published(plan: Any, name: str, wanted: Any) -> None:
    x, y = points()
    ours = build(AUX.replace("aside", name))
    theirs = copy.deepcopy(ours)
    run(ours, data=(x, y), optimizer={"sgd": {"lr": 0.1}}, batch=90, epochs=1, **plan)
    out = theirs(x)
    found = functional.cross_entropy(out["logits"], y)
    for weight, key in zip(wanted, ("aux1", "aux2"), strict=True):
        found = found + weight * functional.cross_entropy(out[key], y)
    found.backward()
    for (n, value), moved in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert value.grad is not None, n
        torch.testing.assert_close(moved, value - 0.1 * value.grad, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ before the first step


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"phases": [{"train": "fx"}]}, "E802 nothing below `fx` can be trained"),
        ({"phases": [{"train": "fc", "lr": {"a": 0.1}}]}, "E802 `a` has a rate, but nothing below"),
        ({"phases": [{}, {"train": ["fc", "bb"]}]}, "did you mean `b`?"),
        ({"stop": {"patience": 1, "monitor": "val.acuracy"}}, "did you mean `val.accuracy`"),
        ({"task": "clasification"}, "E802 there is no task `clasification`"),
        ({"loss": "mse"}, "E805 the loss `mse` is not for classification"),
        ({"aux": {"aux1": 1.0}}, "E802 the network has no auxiliary output `aux1`"),
        (
            {"data": {"train": points(), "augment": [{"rotate": 5}]}},
            "E802 augmentations are for pictures",
        ),
        (
            {"data": {"train": points(), "normalize": "weights"}},
            "E802 the network did not start from published",
        ),
        ({"loss": "nll"}, "E805 `nll` takes logarithms of probabilities"),
        ({"batch": 10**15}, "E806 a batch of 1,000,000,000,000,000 needs about"),
    ],
)
def test_a_plan_that_does_not_go_with_the_network(keys: dict[str, Any], said: str) -> None:
    with pytest.raises((SpecError, TrainError)) as caught:
        run(build(), **keys)
    assert said in str(caught.value)


def test_nothing_to_train() -> None:
    model = build()
    model.requires_grad_(False)
    with pytest.raises(SpecError, match="nothing is left to train"):
        run(model)


@pytest.mark.parametrize(
    ("spec", "data", "said"),
    [
        (SPEC, points(30, 4, 5), "E804 targets are from 0 to 4; the head has 3 classes"),
        (SPEC, points(30, 6), r"E804 inputs have shape \[6\]; `input` is \[4\]"),
        (SPEC, (points()[0], torch.rand(90)), "E804 the targets are numbers that are not whole"),
        (SPEC, (points()[0], points()[1][:9]), "E803 there are 90 inputs and 9 targets"),
        (SPEC, "digits", r"E804 .*inputs have shape|E804 the data have 10 classes"),
        (SPEC, "no/such/folder", "E803 `no/such/folder` does not exist"),
        (SPEC.replace("head:", "  - {id: out, softmax: {}}\nhead:"), points(),
         "E805 cross entropy takes logits and has a softmax in it; the network ends in `out`"),
    ],
)  # fmt: skip
def test_data_that_do_not_go_with_the_network(spec: str, data: Any, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        run(build(spec), data=data)


def test_a_loss_that_is_not_finite_names_the_layer() -> None:
    model = build()
    with torch.no_grad():
        model.get_parameter("b.weight")[0, 0] = float("inf")
    before = weights(model)
    with pytest.raises(TrainError, match=r"first layer with such an output is `b` \(Linear\)"):
        run(model)
    assert not changed(before, model)
    with pytest.raises(TrainError, match=r"(?s)E807 step .*lower the learning rate"):
        run(build(), optimizer={"sgd": {"lr": 1e30}})
    x, y = points()
    x[3, 1] = float("nan")
    unread = DataLoader(TensorDataset(x, y), batch_size=16)  # of arrays it is seen before
    with pytest.raises(TrainError, match="the data hold numbers that are not finite"):
        run(build(), data=unread)


def test_one_batch_is_learned_by_heart_or_not() -> None:
    model = build()
    before = weights(model)
    first, last = overfit_one_batch(model, points(), optimizer={"adam": {"lr": 0.02}}, batch=16)
    assert last < 0.1 * first
    assert not changed(before, model)
    with pytest.raises(TrainError, match="E810"):
        overfit_one_batch(model, points(), optimizer={"sgd": {"lr": 1e-9}})


def test_batch_auto_is_a_power_of_two_that_fits() -> None:
    plan = reading.given(None, {"batch": "auto", "log": None, "data": {"val": 0}})
    assert prepare(build(), points(900), plan).batch == 64


# ------------------------------------------------------------------ checkpoints


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the benchmarks find, in short forms: they start many processes, from one."""
    root = Path(__file__).resolve().parent.parent
    code = (
        "import sys, pathlib; from benchmarks.trust import processes, runs\n"
        "place = pathlib.Path(sys.argv[1]); processes.main(place, short=True)\n"
        "print(runs.compare(sys.argv[2:], place / 'kills'))"
    )
    call = [sys.executable, "-c", code, tmp_path_factory.mktemp("runs")]
    kills = ["step:7", "write:9", "step:26"]
    done = subprocess.run([*call, *kills], cwd=root, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def test_two_processes_are_one_of_the_doubled_batch(processes: list[str]) -> None:
    """Defect 4: what trains changes after the network was wrapped, and the processes come apart."""
    assert float(processes[0].removeprefix("one against two: ")) < 1e-5


def test_a_run_is_gone_on_with_to_the_same_bits(processes: list[str]) -> None:
    """Killed in the first phase, while writing, in the second; once with two loaders."""
    assert processes[3] == "True"


def test_weights_in_parts_train_and_are_gone_on_with(processes: list[str]) -> None:
    """FSDP2 in two processes, over both phases, against one, and cut off in the second phase."""
    one, cut = (text.rpartition(" ")[2] for text in processes[1].split(", "))
    assert float(one) < 1e-5
    assert float(cut) == 0


def test_a_process_without_a_sample_goes_along(processes: list[str]) -> None:
    """In training and in evaluation, where it would else wait, or be waited for, for ever."""
    figure = processes[2].removeprefix("one sample, one against two: ").removesuffix(" in 2 epochs")
    assert float(figure) < 1e-6


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "E802 `fsdp2` divides weights among processes; there is one process"),
        ({"sharding": "deepspeed"}, "did you mean `fsdp2`"),
    ],
)
def test_weights_in_parts_are_of_several_processes(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        run(build(), **{"sharding": "fsdp2", **keys})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "networks", "said"),
    [({"ema": 0.9}, 1, "`ema`"), ({}, 2, "several networks"), ({"precision": "fp16"}, 1, "fp16")],
)
def test_what_does_not_go_with_weights_in_parts(keys: Any, networks: int, said: str) -> None:
    plan = reading.given(None, {"sharding": "fsdp2", **keys})
    two = SimpleNamespace(num_processes=2)
    with pytest.raises(SpecError, match=f"E802 `fsdp2` does not go with {said}"):
        sharding.refuse(plan, networks, two)  # type: ignore[arg-type]


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    """Whatever the moment at which writing stops, what `last` shows can be read."""
    folder = tmp_path / "run"
    facts = {"format": 1, "data": {"task": "x", "classes": [], "shape": [], "normal": None}}
    sync = os.fsync
    for moment in range(1, 12):
        done = [0]

        def stopping(handle: int, done: list[int] = done, moment: int = moment) -> None:
            done[0] += 1
            if done[0] == moment:
                raise KeyboardInterrupt
            sync(handle)

        content = {"w": torch.full((3,), float(moment))}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", stopping)
            try:
                made = state.Checkpoint(content, {"at": moment}, facts, {})
                state.write(folder, f"{moment:08d}", made)
                state.point(folder, state.LAST, f"{moment:08d}")
            except KeyboardInterrupt:
                pass
        if moment == 1:  # nothing was ever finished
            state.write(folder, "00000000", state.Checkpoint(content, {"at": 0}, facts, {}))
            state.point(folder, state.LAST, "00000000")
        found = state.found(folder, state.LAST)
        assert f"{state.state_of(found)['at']:08d}" == found.name
        assert state.facts_of(found)


def saved(tmp_path: Path, model: nn.Module, **keys: Any) -> Path:
    folder = tmp_path / "run"
    run(model, log={"folder": str(folder)}, **keys)
    return folder


def test_what_a_run_leaves(tmp_path: Path) -> None:
    model = build()
    folder = saved(tmp_path, model, data={"train": points(), "val": points(30)})
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert (folder / "metrics.csv").read_text().count("\n") == 4
    assert reading.given(folder / "plan.yaml", {}).epochs == 3
    last = state.found(folder, state.LAST)
    assert (last / "spec").is_dir()
    assert {p.name for p in (folder / "checkpoints").iterdir()} <= {
        last.name, state.found(folder, state.BEST).name
    }  # fmt: skip
    other = build()
    archspec.weights.load(other, last / "model.safetensors", "spec")
    assert not changed(weights(model), other)
    assert archspec.train.load_run(folder).best == archspec.train.load_run(folder).best
    figure = archspec.train.load_run(folder).plot()
    assert (folder / "curves.png").stat().st_size > 5000
    assert len(figure.axes) == 3
    with pytest.raises(TrainError, match="holds a run already"):
        saved(tmp_path, build())


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    model = build()
    folder = saved(tmp_path, model, ema=0.5)
    other = build()
    again = fit(other, points(), resume=folder, quiet=True)
    assert not changed(weights(model), other)
    assert len(again.metrics) == 3


def test_a_checkpoint_of_another_network_is_refused_as_diff_says(tmp_path: Path) -> None:
    folder = saved(tmp_path, build())
    with pytest.raises(TrainError, match=r"(?s)E808 .*another network, `little`.*fc .*linear"):
        fit(build(classes=5), points(), resume=folder, quiet=True)
    with pytest.raises(TrainError, match="learned from 90 samples; here are 60"):
        fit(build(), points(60), resume=folder, quiet=True)
    with pytest.raises(TrainError, match="goes on with its own plan"):
        fit(build(), points(), resume=folder, epochs=5)


def test_a_damaged_checkpoint_says_so(tmp_path: Path) -> None:
    folder = saved(tmp_path, build())
    last = state.found(folder, state.LAST)
    (last / "state.pt").write_bytes(b"no zip")
    with pytest.raises(TrainError, match=r"E808 .*state.pt. cannot be read"):
        fit(build(), points(), resume=folder, quiet=True)
    with pytest.raises(TrainError, match="is no checkpoint"):
        resume(tmp_path)


class _Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("evil",))


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path, build())
    torch.save({"at": _Evil()}, state.found(folder, state.LAST) / "state.pt")
    with pytest.raises(TrainError, match="E808"):
        fit(build(), points(), resume=folder, quiet=True)
    assert not (tmp_path / "evil").exists()
    pickle.dumps(build().state_dict())


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C as in a terminal: what starts the tests may have it ignored, as `&` does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    whole, cut = build(), build()
    cut.load_state_dict(whole.state_dict())
    plan = {
        "batch": 16,
        "epochs": 3,
        "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}},
    }
    fit(whole, RAW, quiet=True, log=None, **plan)
    update = engine.Training.update

    def asked(self: Any, *args: Any) -> None:
        update(self, *args)
        if self.at.steps == 7:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", asked)
        with pytest.raises(TrainError, match=r"E809 SIG\w+ at step 8 of 18") as caught:
            fit(cut, RAW, quiet=True, log={"folder": str(tmp_path / "run")}, **plan)
    assert f"archspec train --resume {tmp_path / 'run'}" in caught.value.help
    assert signal.getsignal(number) is handler
    last = resume(tmp_path / "run", RAW, quiet=True)
    assert len(last.metrics) == 3
    other = build()
    archspec.weights.load(other, state.found(tmp_path / "run", state.LAST) / "model.safetensors")
    assert not changed(weights(whole), other)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_what_reads_as_well(tmp_path: Path, number: int) -> None:
    """As schedulers and terminals send it: to each process of a group."""
    update = engine.Training.update

    def asked(self: Any, *args: Any) -> None:
        update(self, *args)
        reading = [str(child.pid) for child in multiprocessing.active_children()]
        subprocess.run(["kill", f"-{int(number)}", *reading, str(os.getpid())], check=True)
        time.sleep(0.2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", asked)
        with pytest.raises(TrainError, match="E809 SIG"):
            fit(build(), RAW | {"workers": 2}, quiet=True, log={"folder": str(tmp_path / "run")})
    assert resume(tmp_path / "run", RAW, quiet=True).metrics


def test_an_ignored_signal_stays_ignored() -> None:
    """Of `nohup`, and of `&` in a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.name
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.name == "SIGTERM"
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("numbers", [("SIGTERM", "SIGINT"), ("SIGINT", "SIGTERM")])
def test_a_second_signal_is_for_who_minded_it_before(numbers: tuple[str, str]) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.Signals[numbers[0]])
            assert interrupts.name == numbers[0]
            assert not came
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.Signals[numbers[1]])
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_a_new_run_gets_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [fit(build(), RAW, epochs=1, quiet=True).folder for _ in range(3)]
    assert names == [Path("runs/little"), Path("runs/little-2"), Path("runs/little-3")]


def test_the_module_is_in_the_mode_it_was_in() -> None:
    model = build()
    run(model, epochs=1)
    assert model.training
    run(model.eval(), epochs=1)
    assert not model.training


# ------------------------------------------------------------------ the screen


def test_lines_without_a_terminal_and_a_bar_with_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(build(), points(), log=None, epochs=2, phases=[{"name": "head", "train": "fc"}])
    said, *lines = capsys.readouterr().err.splitlines()
    assert said.startswith("head: trains fc, 27 of 139 parameters, at 0.001, in about ")
    assert [line.split("  ")[0] for line in lines] == ["head 1/2", "head 2/2"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(build(), points(), log=None, epochs=2)
    shown = capsys.readouterr().err
    assert "step/s" in shown
    assert "2/2  train.loss" in shown


def test_trackers_are_told(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    folder = tmp_path / "run"
    run(build(), log={"folder": str(folder), "trackers": ["tensorboard"]})
    assert list(folder.rglob("events.out.tfevents.*"))
    with pytest.raises(TrainError, match="E602 the tracker `mlflow` needs the package mlflow"):
        run(build(), log={"folder": str(tmp_path / "b"), "trackers": ["mlflow"]})


# ------------------------------------------------------------------ the examples


def test_the_digits_are_learned() -> None:
    """`python examples/train_digits.py` in a short form: one seed, a quarter of the epochs."""
    path = Path(__file__).resolve().parent.parent / "examples" / "train_digits.py"
    main = runpy.run_path(str(path))["main"]
    assert main(seeds=1, epochs=6) > 0.95
