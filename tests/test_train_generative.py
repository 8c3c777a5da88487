"""Networks that make pictures: torch.distributions and plain loops are the oracles."""

from __future__ import annotations

import runpy
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
from archspec.train import engine, reading
from archspec.train.errors import TrainError
from archspec.train.growing import carry
from archspec.train.pictures import png
from archspec.train.start import fit, overfit_one_batch
from archspec.train.tasks import task
from archspec.train.tasks.gan import GAN, frechet

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


def test_pictures_alone_are_enough(tmp_path: Path) -> None:
    """A folder of pictures or a tensor: nothing has a class."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    x = squares(12)[0]
    for k, one in enumerate(x):
        (folder / f"{k:02}.png").write_bytes(png(one))
    losses = []
    for data in (str(folder), x):
        torch.manual_seed(0)
        found = fit(build(), {"train": data, "val": 0}, task="vae", epochs=1, quiet=True, log=None)
        losses.append(found.last["train.loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


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


def test_noise_is_of_each_sample() -> None:
    """Seeds of round numbers, whose last bits are 0: torch looks at 32 of 64."""
    x = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 2, 2) / 8
    given = {"task": {"reconstruction": {"noise": 0.3}}}
    noise = task(reading.given(None, given), None).degraded(x) - x
    assert len({round(float(one.sum()), 5) for one in noise}) == 8


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


# ------------------------------------------------------------------ networks that grow


def grown(size: int) -> tuple[nn.Module, nn.Module]:
    made = [
        archspec.build(f"progan_{one}", size=size, maps=16, channels=1)
        for one in ("generator", "discriminator")
    ]
    return made[0].eval(), made[1].eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [8, 16, 32])
def test_at_the_switch_nothing_is_lost(size: int) -> None:
    """At alpha 0 the larger networks are the smaller ones, a pixel four pixels: to 1e-6."""
    (maker, judge), (large, large_judge) = grown(size), grown(2 * size)
    fresh = carry(large, maker.state_dict()).fresh
    assert {line.name.split(".")[0] for line in fresh} == {f"grow_{2 * size}", f"to_rgb_{2 * size}"}
    fresh = carry(large_judge, judge.state_dict()).fresh
    new = {f"shrink_{2 * size}", f"from_rgb_{2 * size}"}
    assert {line.name.split(".")[0] for line in fresh} == new
    noise, none, one = torch.randn(4, 16), torch.zeros(4, 1, 1, 1), torch.ones(4, 1, 1, 1)
    small = maker(noise, one)
    wanted = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(large(noise, none), wanted, rtol=0, atol=1e-6)
    assert (large(noise, one) - wanted).abs().max() > 0.01
    torch.testing.assert_close(large_judge(wanted, none), judge(small, one), rtol=0, atol=1e-6)
    assert (large_judge(wanted, one) - judge(small, one)).abs().max() > 1e-4


def test_alpha_rises_over_its_share_and_the_data_sharpen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float]] = []
    real = GAN._faded

    def noted(self: Any, x: Tensor) -> Tensor:
        found = real(self, x)
        coarse = torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2)
        coarse = coarse.repeat_interleave(2, 3)
        torch.testing.assert_close(found, self.alpha * x + (1 - self.alpha) * coarse)
        seen.append((self.alpha, self.progress))
        return found

    monkeypatch.setattr(GAN, "_faded", noted)
    data = {"train": "digits", "samples": 64, "val": 0}
    fit(grown(8), data, task={"gan": {"fade": 0.5}}, epochs=2, batch=16, quiet=True, log=None)
    assert [alpha for alpha, _ in seen] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]


def test_a_gan_grows_and_goes_on_where_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [
        archspec.load(f"progan_{one}", channels=1, maps=8) for one in ("generator", "discriminator")
    ]
    data = {"train": "digits", "samples": 60, "val": 0}
    keys: dict[str, Any] = {"batch": 20, "log": {"save": 1}, "quiet": True, "ema": 0.5}

    def grow(folder: Path) -> list[Tensor]:
        torch.manual_seed(0)
        archspec.train.grow(
            specs, data, {8: {"epochs": 1}, 16: {"epochs": 2}}, folder=folder, **keys
        )
        found = archspec.train.load(folder / "16").whole.state_dict()
        return list(found.values())

    whole = grow(tmp_path / "whole")
    update = engine.Training.update

    def cutting(self: Any, *args: Any) -> None:
        if self.job.name.endswith("generator") and self.at.steps == 4:
            raise KeyboardInterrupt
        update(self, *args)

    monkeypatch.setattr(engine.Training, "update", cutting)
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "cut")
    monkeypatch.undo()
    again = grow(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    plans = [(tmp_path / "whole" / s / "plan.yaml").read_text() for s in ("8", "16")]
    assert "fade: 0\n" in plans[0]
    assert "fade: 0.5\n" in plans[1]


@pytest.mark.parametrize(
    ("sizes", "specs", "said"),
    [
        ([8, 32], ("progan_generator", "progan_discriminator"), "E802 the sizes are 8, 32; each"),
        ([], ("progan_generator", "progan_discriminator"), "E802 the sizes are none"),
        ([8], ("vae", "progan_discriminator"),
         "E802 `vae` cannot be grown: it lacks the param `size` and the input `alpha`"),
        ([8], ("progan_generator", "dcgan_discriminator"),
         "E802 `dcgan_discriminator` cannot be grown: it lacks the input `alpha`"),
    ],
)  # fmt: skip
def test_what_cannot_be_grown(tmp_path: Path, sizes: Any, specs: Any, said: str) -> None:
    with pytest.raises(TrainError) as caught:
        archspec.train.grow(specs, "digits", sizes, folder=tmp_path / "run")
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_nothing_is_faded_into_a_network_that_does_not_grow() -> None:
    both = [archspec.build(f"dcgan_{one}", size=16, maps=4, channels=1)
            for one in ("generator", "discriminator")]  # fmt: skip
    with pytest.raises(TrainError, match="E804 `dcgan_generator` has no input `alpha`"):
        fit(both, "digits", task={"gan": {"fade": 0.5}}, log=None)
    with pytest.raises(SpecError, match="E802 `fade` is 2; it is a share of the training"):
        fit(both, "digits", task={"gan": {"fade": 2}}, log=None)


# ------------------------------------------------------------------ the examples


def test_a_vae_makes_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python examples/vae_digits.py` in a short form: a LeNet knows most digits among 500."""
    main = runpy.run_path(str(EXAMPLES / "vae_digits.py"))["main"]
    found = main(epochs=8)
    assert int(found.sum()) == 500
    assert int((found > 0).sum()) >= 7


@pytest.mark.parametrize(
    ("name", "epochs", "side"), [("dcgan", [1], 16), ("progan", [1, 1, 1], 32)]
)
def test_the_examples_of_gans_run(
    name: str, epochs: list[int], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a short form, in which nothing is learned yet: so no LeNet looks at what is made."""
    monkeypatch.syspath_prepend(EXAMPLES)
    main = runpy.run_path(str(EXAMPLES / f"{name}_digits.py"))["main"]
    seen: list[Tensor] = []
    monkeypatch.setitem(main.__globals__, "judged", lambda made: seen.append(made) or made.sum())
    main(*epochs)
    assert seen[0].shape == (500, 1, side, side)
    assert 0 <= seen[0].min() < seen[0].max() <= 1
