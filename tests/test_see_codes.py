"""What autoencoders, VAEs and GANs show: anomalies against a threshold, pictures between codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archspec

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from archspec import see  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.train import TrainError  # noqa: E402

EXAMPLES = Path(__file__).parent.parent / "examples"
MEAN = """
spec: 1
name: flat
input: [1, 4, 4]
body: [{avg_pool: 4}, {upsample: 4}]
"""
QUICK = {"epochs": 1, "quiet": True}


def flat() -> Any:
    """Every picture becomes its mean."""
    return archspec.build(archspec.loads(MEAN))


def half(*bright: float) -> Any:
    """Pictures whose left half is as bright as said, the right half black: [N, 1, 4, 4]."""
    x = torch.zeros(len(bright), 1, 4, 4)
    x[..., :2] = torch.tensor(bright)[:, None, None, None]
    return x


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    x = torch.rand(64, 1, 8, 8)
    vae = archspec.loads(
        """
        spec: 1
        name: vae
        input: [1, 8, 8]
        body:
          - {id: flat, flatten: }
          - {id: mean, from: flat, linear: 3}
          - {id: log_var, from: flat, linear: 3}
          - {id: z, from: [mean, log_var], sample_normal: }
          - {id: decoder, sequential: [{linear: 64}, sigmoid, {reshape: [1, 8, 8]}]}
        outputs: {mean: mean, reconstruction: decoder, log_var: log_var}
        """
    )
    archspec.train.fit(archspec.build(vae), x, task="vae", log=folder / "vae", **QUICK)
    generator = archspec.build("dcgan_generator", "pytorch", channels=1, maps=4, size=16)
    judge = {"spec": "dcgan_discriminator", "variant": "pytorch"}
    judge["params"] = {"channels": 1, "maps": 4, "size": 16}  # type: ignore[assignment]
    archspec.train.fit(
        generator, torch.rand(64, 1, 16, 16), task={"gan": {"discriminator": judge}},
        log=folder / "gan", **QUICK,
    )  # fmt: skip
    archspec.train.fit(archspec.build("lenet5"), "digits", log=folder / "lenet5", **QUICK)
    return folder


# ------------------------------------------------------------------ anomalies


def test_an_error_is_the_mean_square_of_what_is_not_rebuilt() -> None:
    found = see.anomaly(flat(), half(0.2, 0.8), normal=half(*[0.4] * 9, 0.6), share=0.9).values
    torch.testing.assert_close(found.errors, torch.tensor([0.01, 0.16]))
    torch.testing.assert_close(found.maps[1], torch.full((4, 4), 0.16))
    assert found.threshold == pytest.approx(0.04 + 0.1 * 0.05)  # the 0.9 quantile, interpolated
    assert found.found.tolist() == [False, True]
    assert found.auroc is None


def test_auroc_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    normal, strange = (0.1, 0.4, 0.4, 0.5), (0.3, 0.4, 0.9)
    found = see.anomaly(flat(), half(*normal), anomalous=half(*strange), normal=half(0.5)).values
    wanted = metrics.roc_auc_score([0] * 4 + [1] * 3, found.errors.numpy())
    assert found.auroc == pytest.approx(wanted)
    assert 0.5 < wanted < 1


def test_a_run_knows_what_is_normal(runs: Path) -> None:
    """What its plan holds out: a threshold that one in twenty of these is above."""
    model = archspec.train.load(runs / "lenet5")
    with pytest.raises(TrainError, match=r"`lenet5` answers with \[10\]: it rebuilds nothing"):
        see.anomaly(model, torch.rand(2, 1, 32, 32))
    from archspec.train.use import held_out

    torch.manual_seed(0)
    spec = archspec.loads(MEAN.replace("[{", "[{conv: {out: 1, kernel: 1}}, {"))
    data = {"train": "digits", "normalize": "zscore"}
    archspec.train.fit(
        archspec.build(spec), data, task="reconstruction", log=runs / "flat", **QUICK
    )  # fmt: skip
    trained = archspec.train.load(runs / "flat")
    held = held_out(trained)
    x = trained.facts.normal.undone(held.__getitems__(list(range(len(held))))[0])
    found = see.anomaly(trained, x).values
    assert int(found.found.sum()) == pytest.approx(0.05 * len(x), abs=1)
    with pytest.raises(TrainError, match="nothing says which errors of `vae` are normal"):
        see.anomaly(archspec.train.load(runs / "vae"), torch.rand(2, 1, 8, 8))  # fitted on arrays


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "nothing says which errors of `flat` are normal"),
        ({"normal": half(0.1), "share": 1.0}, "`share` is 1; it is of normal pictures"),
        ({"normal": []}, "no picture is named"),
        ({"normal": half(0.1), "anomalous": "nowhere"}, "`nowhere` does not exist"),
    ],
)
def test_what_cannot_be_judged(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainError, match=said):
        see.anomaly(flat(), half(0.1), **keys)


# ------------------------------------------------------------------ codes


def test_a_walk_goes_from_picture_to_picture(runs: Path) -> None:
    model, x = archspec.train.load(runs / "vae"), torch.rand(3, 1, 8, 8)
    found = see.latent(model, x, count=5, steps=4).values
    assert found.samples.shape == (5, 1, 8, 8)
    torch.testing.assert_close(found.samples, model.sample(5))
    assert found.walks.shape == (2, 4, 1, 8, 8)
    torch.testing.assert_close(found.walks[:, 0], model.shares(x[:2]))  # at the mean codes
    torch.testing.assert_close(found.walks[:, -1], model.shares(x[1:]))
    codes = model.encode(x)
    third = model.decode((codes[0] + (codes[1] - codes[0]) / 3)[None])
    torch.testing.assert_close(found.walks[0, 1], third[0])


def test_between_drawn_codes_it_stays_as_far_from_the_middle(runs: Path) -> None:
    model = archspec.train.load(runs / "gan")
    found = see.latent(model, count=6, steps=3)
    a, b = model.codes(6)[:2]
    middle = (a + b) / (2 + 2 * torch.cosine_similarity(a, b, 0)).sqrt()  # of the great circle
    torch.testing.assert_close(found.values.walks[0, 1], model.decode(middle[None])[0])
    torch.testing.assert_close(found.values.walks[:, 0], found.values.samples[:3])
    assert [row.words for row in found.rows][1] == "from drawn code 1 to drawn code 2"


@pytest.mark.parametrize(
    ("run", "keys", "said"),
    [
        ("lenet5", {}, "`lenet5` was not trained to make pictures"),
        ("gan", {"x": torch.rand(2, 1, 16, 16)}, "`pytorch` reads no pictures, it makes them"),
        ("vae", {"x": torch.rand(1, 1, 8, 8)}, "`picture 0` is the only picture"),
        ("vae", {"x": torch.rand(2, 1, 4, 4)}, r"shape \[2, 1, 4, 4\]"),
        ("vae", {"count": 1}, "1 codes are drawn, and walks have 8 steps"),
    ],
)
def test_what_has_no_codes_to_show(runs: Path, run: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainError, match=said):
        see.latent(archspec.train.load(runs / run), **keys)


def test_a_network_alone_makes_no_pictures() -> None:
    with pytest.raises(TrainError, match="is known of a run, not of a network alone"):
        see.latent(flat())


def test_the_commands_write_pages(runs: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        image.new("L", (8, 8), 40 if name == "a" else 200).save(tmp_path / f"{name}.png")
    pair = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    done = CliRunner().invoke(
        app, ["see", "latent", *pair, "--spec", str(runs / "vae"), "-o", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "latent.html").read_text().count("<img") == 32 + 2 + 8
    words = ["see", "anomaly", pair[0], "-a", pair[1], "--spec", str(runs / "vae")]
    done = CliRunner().invoke(app, [*words, "--normal", pair[0], "-o", str(tmp_path / "x.html")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "x.html").read_text()
    assert "AUROC" in page
    assert page.count("<img") == 1 + 3 * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latent", "--spec", "vae"], "`vae` is no run: which codes pictures are made of"),
        (["filters", "--spec", "lenet6", "--weights", "x"], "did you mean `lenet5`"),
        (["filters", "--spec", "runs/lenet5"], "the file does not exist"),  # said before weights
    ],
)
def test_a_command_without_a_network(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["see", *words])
    assert done.exit_code != 0
    assert said in done.output + str(done.exception)


def test_other_ways_are_named_where_one_does_not_suit() -> None:
    model, x = archspec.build("mlp"), torch.rand(4, 1, 28, 28)
    with pytest.raises(TrainError, match="saliency and occlusion suit every network"):
        see.gradcam(model, x)
    with pytest.raises(TrainError, match="`activations` and `maximise` suit every network"):
        see.filters(model)
    with pytest.raises(TrainError, match="did you mean `c1`"):
        see.filters(archspec.build("lenet5"), "c11")
    assert see.codes(model, x).values.nearest.shape == (4, 3)  # all others: there are no seven


# ------------------------------------------------------------------ the examples, in a short form


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def imported(name: str) -> Any:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return __import__(name)

    return imported


def test_a_digit_that_was_not_learned_is_told(example: Any, tmp_path: Path) -> None:
    found = example("anomaly_digits").main(6, range(1), tmp_path / "seen.png")
    assert found > 0.8
    assert (tmp_path / "seen.png").stat().st_size > 10_000


def test_a_walk_has_no_leap(example: Any) -> None:
    assert 1 / 7 <= example("walk_digits").main(5) < 0.5


def test_most_digits_have_one_of_their_kind_nearest(example: Any) -> None:
    assert example("codes_digits").main(2) > 0.8
