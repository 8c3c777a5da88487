"""Several networks in one run: a loop by hand is the oracle, and nothing is lost of any of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archspec
from archspec.text.faults import SpecError
from archspec.train import engine, state
from archspec.train.errors import TrainError
from archspec.train.loading import Order
from archspec.train.start import fit, overfit_one_batch, resume
from archspec.train.tasks.gan import GAN

MAKER = """\
spec: 1
name: maker
input: [3]
body:
  - {id: a, linear: 8}
  - batch_norm
  - relu
  - {id: b, linear: 4}
  - tanh
  - unflatten: [1, 2, 2]
"""
JUDGE = """\
spec: 1
name: judge
params: {side: 2}
input: [1, $side, $side]
body: [flatten, {id: a, linear: 8}, {leaky_relu: 0.2}, {id: b, linear: 1}]
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


def both() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(3)
    return build(MAKER), build(JUDGE)


def squares(n: int = 40) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 2, 2, generator=drawn), torch.zeros(n)


DATA: dict[str, Any] = {"train": squares(), "val": 0}
PLAN: dict[str, Any] = {
    "task": "gan",
    "batch": 16,
    "epochs": 2,
    "optimizer": {"adam": {"lr": 0.01}},
}


def states(*models: nn.Module) -> list[Tensor]:
    return [value.clone() for one in models for value in one.state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_it_is_the_loop_of_the_paper_to_the_bit() -> None:
    """Two optimizers by hand, each of its network, are the one of the run."""
    ours, (maker, judge) = both(), both()
    fit(ours, DATA, quiet=True, log=None, label_smoothing=0.1, **PLAN)
    x = squares()[0] * 2 - 1
    loss = functional.binary_cross_entropy_with_logits
    first = torch.optim.Adam(judge.parameters(), 0.01)
    second = torch.optim.Adam(maker.parameters(), 0.01)
    torch.manual_seed(0)
    for epoch in range(2):
        for chosen in Order(len(x), 16, 0).batches(epoch):
            n = len(chosen)
            made = maker(torch.randn(n, 3)).detach()
            real, fake = judge(x[chosen]), judge(made)
            found = loss(real, torch.full((n, 1), 0.9)) + loss(fake, torch.zeros(n, 1))
            first.zero_grad()
            found.backward()
            first.step()
            second.zero_grad()
            loss(judge(maker(torch.randn(n, 3))), torch.ones(n, 1)).backward()
            second.step()
    assert same(states(*ours), states(maker, judge))


def test_a_run_cut_off_between_two_moves_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, cut = both(), both()
    keys = {**PLAN, "epochs": 3, "ema": 0.9}
    fit(whole, DATA, quiet=True, log=None, **keys)
    step, done = engine.Training.step, []

    def cutting(self: Any, part: str) -> None:
        done.append(part)
        if len(done) == 10:  # the discriminator has moved, the generator has not
            assert part == "generator"
            raise KeyboardInterrupt
        step(self, part)

    log = {"folder": str(tmp_path / "run"), "save": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "step", cutting)
        with pytest.raises(KeyboardInterrupt):
            fit(cut, DATA, quiet=True, log=log, **keys)
    again = both()[::-1]
    named = {"discriminator": again[0], "generator": again[1]}
    fit(named, DATA, quiet=True, resume=tmp_path / "run")
    assert same(states(*whole), states(again[1], again[0]))


def test_the_average_is_of_the_generator_once_a_step() -> None:
    plain, averaged = both(), both()
    fit(plain, DATA, quiet=True, log=None, **{**PLAN, "epochs": 1})
    seen: list[Tensor] = []
    update = engine.Training.update

    def noted(self: Any, *args: Any) -> None:
        update(self, *args)
        seen.append(averaged[0].get_parameter("a.weight").detach().clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.Training, "update", noted)
        fit(averaged, DATA, quiet=True, log=None, ema=0.8, **{**PLAN, "epochs": 1})
    assert same(states(plain[1]), states(averaged[1]))  # the discriminator is not averaged
    assert torch.equal(seen[-1], plain[0].get_parameter("a.weight"))
    wanted = seen[0]
    for one in seen[1:]:
        wanted = torch.lerp(wanted, one, 0.2)
    torch.testing.assert_close(averaged[0].get_parameter("a.weight").detach(), wanted)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose plan names the discriminator."""
    spec = tmp_path / "judge.yaml"
    spec.write_text(JUDGE)
    task = {"gan": {"discriminator": {"spec": str(spec), "params": {"side": 2}}}}
    folder = tmp_path / "run"
    fit(build(MAKER), DATA, quiet=True, log=str(folder), **{**PLAN, "task": task})
    spec.unlink()  # what is needed to go on is in the checkpoint
    return folder


def test_a_checkpoint_has_all_networks_and_their_specs(run: Path) -> None:
    last = state.found(run, state.LAST)
    assert (last / "model.safetensors").is_file()
    assert (last / "discriminator" / "spec" / "judge.yaml").is_file()
    found = archspec.train.load(run)
    assert found.program.name == "maker"
    judge = build(JUDGE)
    archspec.weights.load(judge, last / "discriminator" / "model.safetensors", "spec")
    theirs = found.whole.get_submodule("discriminator")
    assert same(states(judge), states(theirs))
    pictures = found.sample(5, seed=1)
    assert pictures.shape == (5, 1, 2, 2)
    assert torch.equal(pictures, found.sample(5, seed=1))
    drawn = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pictures, (found.model(drawn).detach() + 1) / 2)
    assert set(archspec.train.evaluate(run, squares(8))) == {"frechet"}
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["0001.png", "0002.png"]
    assert not (run / "best").exists()
    assert archspec.train.load_run(run).best["epoch"] == 2
    facts = json.loads((last / "facts.json").read_text())
    assert facts["others"]["discriminator"]["params"] == {"side": 2}


def test_a_finished_run_is_gone_on_with_from_its_own_specs(run: Path) -> None:
    assert len(resume(run, DATA, quiet=True).metrics) == 2


def test_what_is_saved_for_others_makes_the_same(run: Path, tmp_path: Path) -> None:
    folder = archspec.train.save_pretrained(run, tmp_path / "out")
    found, before = archspec.train.load(folder), archspec.train.load(run)
    assert same(states(found.whole), states(before.whole))
    assert torch.equal(found.sample(3), before.sample(3))


def test_one_that_makes_pictures_reads_none(run: Path) -> None:
    with pytest.raises(TrainError, match="E804 `maker` reads no pictures, it makes them"):
        archspec.train.predict(run, [run / "samples" / "0002.png"])


def test_rates_of_each_network_by_path() -> None:
    """A network without a rate of its own has the optimizer's; one that is left alone stays."""
    ours, (maker, judge) = both(), both()
    rates = {"generator": 1e-9, "discriminator": 0.01}
    fit(ours, DATA, quiet=True, log=None, **PLAN, phases=[{"lr": rates}])
    assert not same(states(ours[1]), states(judge))
    torch.testing.assert_close(ours[0].get_parameter("a.weight"), maker.get_parameter("a.weight"))
    ours = both()
    found = fit(ours, DATA, quiet=True, log=None, **PLAN, phases=[{"train": "discriminator"}])
    assert same(list(ours[0].parameters()), list(maker.parameters()))
    assert not same(states(ours[1]), states(judge))
    assert found.last["train.generator"] > 0


@pytest.mark.parametrize(
    ("networks", "keys", "said"),
    [
        ((MAKER,), {}, "E802 `gan` trains `generator` and `discriminator`; the discriminator is"),
        ((MAKER, JUDGE, JUDGE), {}, "`generator` and `discriminator`; 3 networks"),
        ((MAKER, JUDGE), {"task": "regression"}, "E802 `regression` trains one network; 2 are"),
        ((MAKER,), {"task": {"gan": {"discriminator": "no_such"}}}, "no_such"),
        ((MAKER,), {"task": {"gan": {"discriminator": 3}}}, "E802 `discriminator` is no spec"),
        ((MAKER,), {"task": {"gan": {"discriminator": {"spec": "vae", "param": 1}}}},
         "E802 `param` has no meaning for a network"),
        ((MAKER, JUDGE), {"task": {"gan": {"judge": "x"}}}, "`gan` takes no option `judge`"),
        ((MAKER, JUDGE), {"accumulate": 2}, "E802 each of the two steps is of one batch"),
        ((MAKER, JUDGE), {"schedule": "plateau"}, "E802 no figure of `gan` says which weights"),
        ((MAKER, JUDGE), {"stop": 3}, "E802 no figure of `gan` says which weights are better"),
        ((MAKER, JUDGE), {"phases": [{"layer_decay": 0.5}]}, "E802 `layer_decay` goes by the"),
        ((MAKER, JUDGE), {"loss": "binary_cross_entropy"}, "ends in `linear`"),
        ((MAKER, JUDGE.replace("side: 2", "side: 4")), {}, "E804 "),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(networks: Any, keys: Any, said: str) -> None:
    with pytest.raises((SpecError, TrainError)) as caught:
        fit([build(one) for one in networks], DATA, quiet=True, log=None, **{**PLAN, **keys})
    assert said in str(caught.value)


def test_no_loss_of_a_gan_falls_to_nothing() -> None:
    with pytest.raises(SpecError, match="E810 a loss of `gan` does not fall to 0"):
        overfit_one_batch(both(), DATA, task="gan")


def test_the_same_module_twice() -> None:
    maker, _ = both()
    with pytest.raises(TrainError, match="E802 the same module is given as"):
        fit((maker, maker), DATA, log=None, task="gan")


def test_a_loss_that_is_not_finite_names_the_layer_of_which_network() -> None:
    maker, judge = both()
    with torch.no_grad():
        judge.get_parameter("b.weight")[0, 0] = float("inf")
    with pytest.raises(TrainError, match=r"is `discriminator\.b` \(Linear\)"):
        fit((maker, judge), DATA, quiet=True, log=None, **PLAN)


def test_statistics_are_of_the_noise() -> None:
    """The generator's norms see what it is given, the average of its weights has its own."""
    ours = both()
    fit(ours, DATA, quiet=True, log=None, update_bn=True, ema=0.5, **PLAN)
    maker = ours[0]
    wanted = maker.get_submodule("a")(torch.randn(20000, 3)).detach()
    norm = next(one for one in maker.modules() if isinstance(one, nn.BatchNorm1d))
    torch.testing.assert_close(norm.running_mean, wanted.mean(0), atol=0.15, rtol=0)


def test_two_processes_wrap_each_network_and_go_on_to_the_same_bits() -> None:
    root = Path(__file__).resolve().parent.parent
    call = [sys.executable, "-m", "benchmarks.trust", "processes", "--seed=1", "--budget=0"]
    done = subprocess.run(call, cwd=root, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines()[:-1] == [
        "two networks, whole against cut: 0.0e+00", "noise of its own for each process: True"
    ]  # fmt: skip


def test_moves_are_of_one_network_each() -> None:
    from archspec.train import gathering, networks, reading

    plan = reading.given(None, {"task": "gan"})
    model = gathering.gathered(both(), plan)
    programs = networks.programs(model)
    from archspec.train.tasks import task

    made = task(plan, programs["generator"], {"discriminator": programs["discriminator"]})
    assert isinstance(made, GAN)
    parts = []
    for move in made.moves(model, squares(4)[0], None):
        model.zero_grad()
        move.loss.backward()
        parts.append(move.part)
        moved = {n.split(".")[0] for n, v in model.named_parameters() if v.grad is not None}
        assert moved == {move.part}
    assert parts == ["discriminator", "generator"]
