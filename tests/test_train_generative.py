"""Networks that make pictures: torch.distributions and plain loops are the oracles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import archspec
from archspec.text.faults import SpecError
from archspec.train import reading
from archspec.train.errors import TrainError
from archspec.train.start import fit, overfit_one_batch
from archspec.train.tasks import task
from archspec.train.tasks.gan import frechet

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CODER = """\
spec: 1
name: coder
input: [1, 2, 2]
body:
  - flatten
  - {id: mean, linear: 3}
  - {id: log_var, from: flatten, linear: 3}
  - {id: z, from: [mean, log_var], sample_normal: }
  - {id: decoder, sequential: [{linear: 4}, sigmoid, {unflatten: [1, 2, 2]}]}
outputs: {mu: mean, rebuilt: decoder, s: log_var}
""".replace("  - flatten", "  - {id: flatten, flatten: }")


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str = CODER, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


def squares(n: int = 40) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(1)
    return torch.rand(n, 1, 2, 2, generator=drawn).round(), torch.zeros(n)


def run(model: nn.Module, **keys: Any) -> Any:
    keys = {"task": "vae", "log": None, "epochs": 1, "batch": 16, **keys}
    return fit(model, {"train": squares(), "val": squares(10)}, quiet=True, **keys)


# ------------------------------------------------------------------ VAE


def bound(model: nn.Module, x: Tensor, beta: float) -> Tensor:
    """−log p(x|z) + beta · KL, as torch.distributions has them, for each sample."""
    found = model(x)
    likely = Bernoulli(found["rebuilt"], validate_args=False).log_prob(x)
    code = Normal(found["mu"], (0.5 * found["s"]).exp())
    far = kl_divergence(code, Normal(torch.zeros(3), torch.ones(3)))
    return -likely.flatten(1).sum(1) + beta * far.sum(1)


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_the_loss_is_the_bound(beta: float) -> None:
    model = build()
    x, y = squares(16)
    program = archspec.loads(CODER)
    made = task(reading.given(None, {"task": {"vae": {"beta": beta}}}), program)
    torch.manual_seed(5)
    (move,) = made.moves(model, x, y)
    torch.manual_seed(5)
    torch.testing.assert_close(move.loss, bound(model, x, beta).mean())
    model.eval()
    torch.testing.assert_close(made.of_each(model, x, y), bound(model, x, beta))
    figures = made.figures(made.score(model, x, y))
    assert figures["loss"] == pytest.approx(bound(model, x, beta).mean().item(), rel=1e-5)
    assert figures["loss"] == pytest.approx(figures["reconstruction"] + beta * figures["kl"])


def test_a_step_is_of_the_bound() -> None:
    ours, theirs = build(), build()
    theirs.load_state_dict(ours.state_dict())
    fit(ours, {"train": squares(16), "val": 0}, task="vae", batch=16, epochs=1, quiet=True,
        log=None, optimizer={"sgd": {"lr": 0.1}})  # fmt: skip
    torch.manual_seed(0)
    from archspec.train.loading import Order

    (chosen,) = Order(16, 16, 0).batches(0)
    bound(theirs, squares(16)[0][chosen], 1.0).mean().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert other.grad is not None
        torch.testing.assert_close(mine, other - 0.1 * other.grad)


def test_pictures_are_the_decoders_of_drawn_codes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    found = run(build(), log=str(folder), epochs=2)
    assert found.best["val.loss"] == min(row["val.loss"] for row in found.metrics)
    trained = archspec.train.load(folder)
    codes = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    decoder = trained.model.get_submodule("decoder")
    with torch.no_grad():
        torch.testing.assert_close(trained.sample(6, seed=2), decoder(codes))
        x = squares(4)[0]
        torch.testing.assert_close(trained.shares(x), trained.model(x)["rebuilt"])
    assert (folder / "samples" / "0002.png").is_file()
    page = archspec.train.report(folder, squares(20))
    assert "What it makes of noise" in page
    assert page.count("<figcaption>loss ") == 16
    few = {"train": "synthetic", "samples": 8, "val": 0}
    fit(archspec.build("lenet5"), few, epochs=1, quiet=True, log=str(tmp_path / "lenet"))
    other = archspec.train.load(tmp_path / "lenet")
    with pytest.raises(TrainError, match="E804 `lenet5` was not trained to make pictures"):
        other.sample()


LOGITS = CODER.replace("sigmoid, ", "")


@pytest.mark.parametrize(
    ("spec", "keys", "said"),
    [
        (CODER, {"task": {"vae": {"beta": -1}}}, "E802 `beta` is -1; it is the weight of"),
        (CODER, {"task": {"vae": {"bete": 1}}}, "did you mean `beta`?"),
        (CODER, {"loss": "cross_entropy"}, "E805 the loss `cross_entropy` is not for vae"),
        (CODER, {"loss": "binary_cross_entropy_with_logits"}, "E805 .* the output ends in one too"),
        (LOGITS, {"loss": "binary_cross_entropy"}, "E805 .*the output ends in `linear`"),
        (CODER, {"data": {"normalize": "zscore"}}, "E805 `binary_cross_entropy` is for numbers"),
        (CODER.replace(", s: log_var", ""), {}, "E804 `z` draws with `log_var`, which"),
        (CODER.replace("from: [mean, log_var], sample_normal: ", "from: mean, relu: "), {},
         "E804 `coder` draws no code"),
        (CODER.replace("linear: 4", "linear: 8").replace("unflatten: [1,", "unflatten: [2,"), {},
         r"E804 inputs have shape \[1, 2, 2\], the output `rebuilt` \[2, 2, 2\]"),
    ],
)  # fmt: skip
def test_what_is_no_vae_is_said(spec: str, keys: dict[str, Any], said: str) -> None:
    data = {"train": squares(), "val": 0, **keys.pop("data", {})}
    with pytest.raises((SpecError, TrainError), match=said):
        fit(build(spec), data, quiet=True, **{"task": "vae", "log": None, "epochs": 1, **keys})


def test_logits_become_pictures(tmp_path: Path) -> None:
    loss = "binary_cross_entropy_with_logits"
    run(build(LOGITS), loss=loss, log=str(tmp_path / "run"))
    found = archspec.train.load(tmp_path / "run").sample(50)
    assert 0.2 < found.mean() < 0.8
    assert found.min() > 0
    assert run(build(LOGITS)).last["val.reconstruction"] > 0  # squared error


def test_no_bound_falls_to_nothing() -> None:
    with pytest.raises(SpecError, match="E810 a loss of `vae` does not fall to 0"):
        overfit_one_batch(build(), squares(), task="vae")


# ------------------------------------------------------------------ GAN


def test_the_distance_is_the_one_of_two_normal_distributions() -> None:
    drawn = torch.Generator().manual_seed(4)
    sets = [torch.randn(50, 6, generator=drawn).double() * (k + 1) + k for k in range(2)]
    both = [(one.mean(0), one.T.cov(correction=0)) for one in sets]
    (mean, cov), (other, other_cov) = ((m.numpy(), c.numpy()) for m, c in both)
    wanted = ((mean - other) ** 2).sum() + (cov + other_cov - 2 * sqrtm(cov @ other_cov)).trace()
    assert frechet(*both[0], *both[1]) == pytest.approx(wanted.real, rel=1e-9)
    assert frechet(*both[0], *both[0]) == pytest.approx(0, abs=1e-9)


def test_it_is_measured_however_batches_are_cut() -> None:
    torch.manual_seed(1)
    maker = "spec: 1\nname: m\ninput: [3]\nbody: [{linear: 4}, tanh, {unflatten: [1, 2, 2]}]"
    judge = "spec: 1\nname: j\ninput: [1, 2, 2]\nbody: [flatten, {linear: 1}]"
    both = (build(maker), build(judge))
    x = torch.rand(30, 1, 2, 2, generator=torch.Generator().manual_seed(2))
    data = {"train": squares(), "val": (x, torch.zeros(30))}
    found = [
        fit(both, data, task="gan", batch=size, epochs=1, log=None, quiet=True,
            optimizer={"sgd": {"lr": 1e-12}}).last["val.frechet"]
        for size in (7, 30)
    ]  # fmt: skip
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] > 0.01
