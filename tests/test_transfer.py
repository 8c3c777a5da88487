"""Transfer: torch's hooks, scikit-learn and the lecture's own results are the oracles."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC
from torch import Tensor, nn

import archspec
from archspec import transfer
from archspec.cli.app import app
from archspec.figures import palette, phases
from archspec.figures.scene import Rect, Text
from archspec.text.faults import CodedError, SpecError
from archspec.train import reading
from archspec.train.errors import TrainError
from archspec.transfer.classifier import STRENGTHS
from archspec.transfer.cut import before_head, cut
from archspec.transfer.encode import Codes
from archspec.transfer.states import states
from archspec.weights.errors import WeightsError

NET = """\
spec: 1
name: net
params: {classes: 3}
input: [1, 8, 8]
blocks:
  Unit:
    params: {out: required}
    body:
      - residual: [{id: conv, conv: {out: $out, kernel: 3, padding: 1}}, {id: bn, batch_norm: }]
        shortcut: [{id: fit, conv: {out: $out, kernel: 1}}]
      - relu
body:
  - {id: stage, repeat: 2, Unit: {out: $(4 * (loop.index + 1))}}
  - {id: wide, sequential: [max_pool: 2, {conv: {out: 6, kernel: 3}}, relu]}
  - flatten
  - {id: fc1, linear: 10}
  - relu
  - dropout
  - {id: fc2, linear: $classes}
head: fc2
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str = NET, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


def samples(n: int = 30, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(n) % classes
    places = torch.randn(classes, 1, 8, 8, generator=generator)
    return places[y] + torch.randn(n, 1, 8, 8, generator=generator), y


def codes(model: Any, data: Any = None, at: str = "codes", **more: Any) -> Codes:
    more = {"cache": False, "normalize": "none", **more}
    return transfer.codes(model, samples() if data is None else data, at, **more)


def seen(model: nn.Module, path: str, x: Tensor) -> Tensor:
    """What a submodule gives in evaluation, by a hook."""
    kept: list[Tensor] = []
    handle = model.get_submodule(path).register_forward_hook(lambda *a: kept.append(a[2]))
    with torch.no_grad():
        model.eval()(x)
    handle.remove()
    return kept[-1]


# ------------------------------------------------------------------ codes


@pytest.mark.parametrize(
    ("at", "module"),
    [
        ("fc1", "fc1"),
        ("wide.1", "wide.1"),  # inside a Sequential
        ("wide", "wide"),  # a group is what flows out of it
        ("stage.1.conv", "stage.1.conv"),  # inside a block, of its second copy
        ("stage.0.bn", "stage.0.bn"),
        ("stage.0", "stage.0"),
    ],
)
def test_codes_are_what_a_hook_sees(at: str, module: str) -> None:
    model, (x, y) = build(), samples()
    model.train()
    found = codes(model, at=at)
    assert torch.equal(found.x, seen(model, module, x).flatten(1))
    assert torch.equal(found.y, y)
    mean = codes(model, at=at, pool="average").x
    whole = seen(model, module, x)
    torch.testing.assert_close(mean, whole.mean((2, 3)) if whole.ndim == 4 else whole)


def test_codes_of_the_input_are_the_samples_themselves() -> None:
    x, _ = samples()
    assert torch.equal(codes(build(), at="input").x, x.flatten(1))


def test_codes_are_the_last_activation_before_the_head() -> None:
    model, (x, _) = build(), samples()
    found = codes(model)
    assert (found.node, found.shape) == ("relu1", (10,))  # not the dropout behind it
    assert torch.equal(found.x, seen(model, "fc1", x).relu())
    assert before_head(archspec.load("alexnet")).path == "classifier.4"
    assert before_head(archspec.load("alexnet", "torchvision")).path == "classifier.5"
    assert cut(archspec.load("alexnet")).out.shape == (4096,)
    assert before_head(archspec.load("resnet50")).path == "global_avg_pool1"
    headless = archspec.loads(NET.replace("head: fc2\n", ""))
    assert before_head(headless).path == "relu1"


SHARED = """\
spec: 1
name: pair
input: {left: [4], right: [4]}
body:
  - {id: one, from: left, sequential: [{linear: 6}, tanh]}
  - {id: two, from: right, shared: one}
  - {id: cell, from: [one, two], concat: }
  - {id: seq, reshape: [3, 4]}
  - {id: memory, lstm: {hidden: 5}}
  - {id: end, from: memory.h, linear: 2}
"""


def test_weights_that_are_another_nodes_and_second_outputs() -> None:
    """The owner of the weights is not on the way to `two`; `memory.h` is an output of several."""
    program = archspec.loads(SHARED)
    model = archspec.build(program).eval()
    state, inputs = model.state_dict(), {n: torch.randn(2, 4) for n in ("left", "right")}
    for at, wanted in (
        ("two", model.one(inputs["right"])),
        ("end", model(**inputs)),
    ):
        place = cut(program, at)
        part = archspec.build(place.program).eval()
        part.load_state_dict({ours: state[theirs] for ours, theirs in place.names.items()})
        names = [node.path for node in place.program.graph.steps if node.layer is None]
        with torch.no_grad():
            assert torch.equal(part(*(inputs[name] for name in names)), wanted)
    assert set(cut(program, "two").names.values()) == {"one.0.weight", "one.0.bias"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"at": "fc3"}, "`net` has no node `fc3`\n  help: did you mean `fc1` or `fc2`?"),
        ({"pool": "mean"}, "there is no way `mean` to pool"),
        ({"batches": 3}, "`codes` takes no `batches`\n  help: did you mean `batch`?"),
        ({"normalize": "zsore"}, "zscore"),
        ({"data": (torch.rand(4, 1, 12, 8), torch.arange(4))}, "inputs have shape [1, 12, 8]"),
        ({"data": (torch.rand(4, 1, 8, 8), torch.arange(3))}, "4 inputs and 3 targets"),
        ({"data": "digitz"}, "did you mean `digits`?"),
    ],
)
def test_codes_of_what_is_not_there(keys: dict[str, Any], said: str) -> None:
    with pytest.raises((TrainError, SpecError)) as wrong:
        codes(build(), **keys)
    assert said in str(wrong.value)


def test_codes_need_a_graph_and_a_head() -> None:
    with pytest.raises(TrainError, match="was not built by archspec"):
        codes(nn.Linear(2, 2))
    with pytest.raises(TrainError, match="has no head"):
        codes(build("spec: 1\nname: bare\ninput: [1, 8, 8]\nbody: [flatten]\n"))


def test_a_run_is_normalised_as_it_was_trained(tmp_path: Path) -> None:
    data = (10 * samples()[0] + 3, samples()[1])
    archspec.train.fit(build(), data, epochs=1, log=str(tmp_path / "run"), quiet=True)
    trained = archspec.train.load(tmp_path / "run")
    assert trained.facts.normal is not None
    found = codes_of_run = transfer.codes(trained, data, cache=False)
    assert found.normal == trained.facts.normal
    wanted = seen(trained.model, "fc1", trained.facts.normal(data[0])).relu()
    assert torch.equal(codes_of_run.x, wanted)
    again = transfer.codes(trained.model, data, normalize=found.normal, cache=False)
    assert torch.equal(again.x, found.x)


# ------------------------------------------------------------------ kept on disk


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def test_codes_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    first = codes(model, cache=tmp_path)
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr(
        "archspec.transfer.encode._computed", lambda *_: pytest.fail("computed once more")
    )
    again = codes(model, cache=tmp_path)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)


def test_all_that_decides_codes_is_in_their_key(tmp_path: Path) -> None:
    model, (x, y) = build(), samples()
    ways: list[dict[str, Any]] = [
        {}, {"at": "fc1"}, {"pool": "average", "at": "wide"}, {"at": "wide"},
        {"normalize": "zscore"}, {"data": (x + 1e-6, y)}, {"data": (x, y.flip(0))},
        {"data": (x[:20], y[:20])},
    ]  # fmt: skip
    for count, way in enumerate(ways, 1):
        codes(model, cache=tmp_path, **way)
        assert len(kept(tmp_path)) == count, way
    with torch.no_grad():
        model.fc2.weight.add_(1)  # behind the codes: they are what they were
    codes(model, cache=tmp_path)
    assert len(kept(tmp_path)) == len(ways)
    with torch.no_grad():
        model.get_buffer("stage.0.bn.running_mean").add_(1)
    codes(model, cache=tmp_path)
    assert len(kept(tmp_path)) == len(ways) + 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_damaged_codes_are_computed_anew(tmp_path: Path, damage: str) -> None:
    model = build()
    wanted = codes(model, cache=tmp_path).x
    (file,) = kept(tmp_path)
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes({
        "cut": content[:-40], "flipped": bytes(content), "other": b"text", "empty": b"",
    }[damage])  # fmt: skip
    with pytest.warns(UserWarning, match="kept codes are damaged and computed anew"):
        assert torch.equal(codes(model, cache=tmp_path).x, wanted)
    assert torch.equal(codes(model, cache=tmp_path).x, wanted)  # and it is whole again


def test_codes_without_a_place_for_them_are_there_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    assert len(codes(build(), cache=file)) == 30


# ------------------------------------------------------------------ classifiers


@pytest.mark.parametrize("kind", ["svm", "logistic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_is_scikit_learns(kind: str, classes: int) -> None:
    learned = codes(build(classes=classes), samples(40, classes))
    other = codes(build(classes=classes), samples(60, classes))
    x = (learned.x - learned.x.mean(0)).double()
    spread = x.square().mean().sqrt()
    made = transfer.linear(learned, kind, c=0.5)
    theirs = {"svm": LinearSVC(C=0.5, random_state=0), "logistic": LogisticRegression(C=0.5)}[kind]
    theirs.fit((x / spread).numpy(), learned.y.numpy())
    seen = ((other.x - learned.x.mean(0)) / spread).double().numpy()
    assert made.predict(other) == list(map(str, theirs.predict(seen)))
    assert made.score(other) == pytest.approx(theirs.score(seen, other.y.numpy()))
    if kind == "logistic":
        shares = torch.tensor(theirs.predict_proba(seen)).float()
        torch.testing.assert_close(made.sums(other).softmax(1), shares, atol=2e-3, rtol=0)


def test_c_is_chosen_by_cross_validation() -> None:
    """On noisy numbers the C that scikit-learn's own search finds."""
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(120) % 2
    x = torch.randn(120, 40, generator=generator) + 0.25 * y[:, None]
    made = transfer.linear(Codes(x, y))
    scaled = ((x - x.mean(0)) / (x - x.mean(0)).square().mean().sqrt()).double().numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    shares = {
        c: cross_val_score(LinearSVC(C=c, random_state=0), scaled, y.numpy(), cv=folds).mean()
        for c in STRENGTHS
    }
    assert made.c == max(shares, key=shares.__getitem__) != max(STRENGTHS)
    assert made.tried == pytest.approx(shares[made.c])
    assert transfer.linear(Codes(x[:2], y[:2])).tried is None  # one of each: nothing to hold out
    assert transfer.linear(Codes(x[:2], y[:2])).c == 1


def test_a_classifier_is_kept_and_read_again(tmp_path: Path) -> None:
    found = codes(build())
    made = transfer.linear(Codes(found.x, found.y, ("a", "b", "c"), found.node))
    made.save(tmp_path / "c.safetensors")
    again = transfer.Linear.load(tmp_path / "c.safetensors")
    assert vars(again).keys() == vars(made).keys()
    assert (again.classes, again.node, again.c) == (("a", "b", "c"), "relu1", made.c)
    assert torch.equal(again.weight, made.weight)
    assert set(again.predict(found.x)) <= {"a", "b", "c"}
    archspec.weights.save(build(), tmp_path / "net.safetensors")
    with pytest.raises(TrainError, match="holds no classifier"):
        transfer.Linear.load(tmp_path / "net.safetensors")
    (tmp_path / "text").write_text("text")
    with pytest.raises(WeightsError):
        transfer.Linear.load(tmp_path / "text")


@pytest.mark.parametrize("kind", ["svm", "logistic"])
def test_a_classifier_becomes_the_head(kind: str) -> None:
    model, (x, y) = build(), samples()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = codes(model)
    made = transfer.linear(found, kind)
    made.into(model)
    with torch.no_grad():
        outputs = model.eval()(x)
    torch.testing.assert_close(outputs, made.sums(found), atol=1e-4, rtol=1e-4)
    assert float((outputs.argmax(1) == y).float().mean()) == made.score(found) > 0.8
    moved = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {"fc2.weight", "fc2.bias"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: transfer.linear(codes(build()), "smv"), "did you mean `svm`?"),
        (lambda: transfer.linear(codes(build()), c=-1.0), "C is -1.0; it is above 0"),
        (lambda: transfer.linear(Codes(torch.rand(4, 2), torch.zeros(4).long())), "of one class"),
        (
            lambda: transfer.linear(Codes(torch.rand(4, 2), torch.arange(4) % 2, ("a", "b", "c"))),
            "class `c` has no samples",
        ),
        (lambda: transfer.linear(Codes(torch.rand(4, 2), torch.rand(4))), "not the number of a"),
        (lambda: fitted().sums(torch.rand(3, 9)), "codes have shape [3, 9], not [N, 10]"),
        (lambda: fitted().score(codes(build(), at="fc1")), "the codes are of `fc1`"),
        (lambda: fitted().into(build(classes=5)), "is [5, 10], the classifier [3, 10]"),
        (lambda: fitted().into(nn.Linear(10, 3)), "was not built by archspec"),
        (
            lambda: transfer.linear(codes(build(), at="fc1")).into(build()),
            "the head of `net` reads `relu1`\n  help: the classifier was fitted on `fc1`",
        ),
    ],
)
def test_classifiers_that_do_not_fit(make: Any, said: str) -> None:
    with pytest.raises(TrainError) as wrong:
        make()
    assert said in str(wrong.value)


def fitted() -> transfer.Linear:
    return transfer.linear(codes(build()))


# ------------------------------------------------------------------ four cases


@pytest.mark.parametrize(
    ("similar", "large", "case", "trained"),
    [
        (True, False, "small and similar", [["fc2"]]),
        (True, True, "large and similar", [["fc2"], ["stage", "wide", "fc1", "fc2"]]),
        (False, False, "small and different", [["fc2"], ["wide", "fc1", "fc2"]]),
        (False, True, "large and different", [["stage", "wide", "fc1", "fc2"]]),
    ],
)
def test_the_four_cases(
    similar: bool, large: bool, case: str, trained: list[list[str]], tmp_path: Path
) -> None:
    program = archspec.loads(NET)
    found = transfer.advise(program, samples(), similar=similar, large=large)
    assert found.case == case
    (tmp_path / "plan.yaml").write_text(found.plan)
    plan = reading.given(tmp_path / "plan.yaml", {})
    for number, parts in enumerate(trained, 1):
        moving = {
            p.partition(".")[0] for p, s in states(program, plan, number).items() if s != "frozen"
        }
        assert moving == set(parts)
    model = build()
    keys = {"log": None, "data": {"train": samples(), "val": 0}, "quiet": True}
    short = [{**phase, "epochs": 1} for phase in plan.source.data["phases"]]
    archspec.train.fit(model, plan=tmp_path / "plan.yaml", phases=short, **keys)  # it can be run


def test_small_or_large_is_counted() -> None:
    program = archspec.loads(NET)
    params = program.analysis.totals.params
    assert params**0.5 < 150  # so that 50 a class are what counts
    assert transfer.advise(program, samples(149), similar=True).case == "small and similar"
    found = transfer.advise(program, samples(150), similar=True)
    assert found.case == "large and similar"
    assert f"large is from 150 on, the square root\n# of {params:,} parameters" in found.plan
    assert "as was said" in transfer.advise(program, samples(), similar=True, large=True).plan
    deep = transfer.advise("resnet50", "digits", similar=False).plan
    assert "large is from 5,055 on" in deep
    assert "--weights torchvision --data digits --at layer2 --pool average" in deep


def test_no_case_without_a_head_or_classes() -> None:
    headless = archspec.loads(NET.replace("head: fc2\n", ""))
    with pytest.raises(TrainError, match="does not say which part is its head"):
        transfer.advise(headless, "digits", similar=True)
    with pytest.raises(TrainError, match="did you mean `digits`"):
        transfer.advise("lenet5", "digit", similar=True)


def test_a_phase_in_colours() -> None:
    program = archspec.loads(NET)
    plan = reading.given(None, {"phases": [{"train": ["wide.1", "fc2"]}, {"train": "all"}]})
    found = states(program, plan, 1)
    assert {p for p, s in found.items() if s == "new"} == {"fc2"}
    assert {p for p, s in found.items() if s == "training"} == {"wide.1"}
    assert found["stage.0.conv"] == "frozen"
    assert "relu1" not in found
    scene = phases.draw(program, found)
    said = [mark.text for mark in scene.marks() if isinstance(mark, Text)]
    assert {"frozen", "trains", "new, and trains"} <= set(said)
    filled = {mark.fill for mark in scene.marks() if isinstance(mark, Rect)}
    assert {palette.STATES[kind].fill for kind in ("frozen", "training", "new")} <= filled
    assert palette.STATES["frozen"].fill not in {
        mark.fill for mark in phases.draw(program, states(program, plan, 2)).marks()
        if isinstance(mark, Rect)
    }  # fmt: skip
    with pytest.raises(SpecError, match="there is no phase 3"):
        states(program, plan, 3)
    frozen = archspec.loads(
        NET.replace("{id: fc1, linear: 10}", "{id: fc1, linear: 10, freeze: true}")
    )
    assert states(frozen, plan, 2)["fc1"] == "frozen"


# ------------------------------------------------------------------ the command line


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "net.yaml").write_text(NET)
    x, y = samples()
    for name, part in (("first", slice(20)), ("second", slice(20, None))):
        numpy.savez(tmp_path / f"{name}.npz", x=x[part].numpy(), y=y[part].numpy())
    archspec.weights.save(archspec.build("net.yaml"), "net.safetensors")
    archspec.train.fit(archspec.build("net.yaml"), "first.npz", epochs=1, log="run", quiet=True)

    def says(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["transfer", *words])
        if isinstance(done.exception, CodedError | SpecError):
            return str(done.exception)
        assert done.exit_code == status, done.output
        return done.output

    net = ("net.yaml", "--weights", "net.safetensors", "-d", "first.npz")
    assert "20 codes of 10 numbers at relu1" in says("codes", *net, "-o", "c.npz")
    assert len(kept(tmp_path / "cache" / "archspec" / "codes")) == 1
    with numpy.load("c.npz") as file:
        assert (file["x"].shape, file["y"].tolist(), str(file["node"])) == (
            (20, 10), y[:20].tolist(), "relu1",
        )  # fmt: skip
    assert "c.npz` is there and was not written" in says("codes", *net, "-o", "c.npz", status=2)
    said = says("svm", *net, "-d", "second.npz", "-o", "svm.safetensors")
    assert "on 10 held out" in said
    assert transfer.Linear.load("svm.safetensors").node == "relu1"
    assert "logistic, C=0.1\n" in says(
        "svm", "run", "-d", "first.npz", "--kind", "logistic", "--c", "0.1"
    )
    assert "E840" in says("codes", "run", "-d", "first.npz", "--at", "fc3")
    assert "codes of random weights say nothing" in says("codes", "net.yaml", "-d", "x", status=2)
    assert "has weights of its own" in says("svm", "run", "-d", "x", "--weights", "y", status=2)
    assert "neither `--similar` nor" in says("plan", "net.yaml", "-d", "first.npz", status=2)
    assert "small and different" in says(
        "plan", "net.yaml", "-d", "first.npz", "--different", "-o", "plan.yaml"
    )
    assert "large and similar" in says(
        "plan", "net.yaml", "-d", "first.npz", "--similar", "--large"
    )
    assert "phase.svg: written" in says(
        "draw", "net.yaml", "-p", "plan.yaml", "--phase", "2", "-o", "phase.svg"
    )
    assert "new, and trains" in (tmp_path / "phase.svg").read_text()
    assert "there is no phase 3" in says("draw", "net.yaml", "-p", "plan.yaml", "--phase", "3")
    assert "phases are not drawn as tikz" in says(
        "draw", "net.yaml", "-p", "plan.yaml", "-o", "phase.tex"
    )


def test_before_a_phase_it_says_what_trains_how_fast_in_how_much_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    phases = [
        {"name": "head", "train": ["fc2"], "epochs": 1, "lr": {"fc2": 0.01}},
        {"epochs": 1, "lr": 0.5, "layer_decay": 0.5},
    ]
    archspec.train.fit(build(), {"train": samples(), "val": 0}, phases=phases, log=None)
    first, second = (line for line in capsys.readouterr().err.splitlines() if "trains" in line)
    params = archspec.loads(NET).analysis.totals.params
    assert f"head: trains fc2, 33 of {params:,} parameters, at 0.01 (fc2), in about" in first
    assert f"phase 2: trains all, {params:,} of {params:,} parameters, at 0.0312 to 0.5," in second
    assert [one.rpartition(" ")[2] for one in (first, second)] == ["KiB", "KiB"]


# ------------------------------------------------------------------ examples


def example(name: str) -> dict[str, Any]:
    root = Path(__file__).resolve().parent.parent
    return runpy.run_path(str(root / "examples" / f"{name}.py"))


@pytest.mark.parametrize(
    ("case", "way", "other", "by", "seeds"),
    [
        ("similar, 20", "codes + SVM", "from scratch", 0.15, 1),
        ("different, 20", "earlier codes + SVM", "codes + SVM", 0.1, 3),
        ("different, 400", "full fine-tune", "fine-tune top", 0.1, 1),
    ],
)
def test_each_case_has_the_way_that_the_lecture_names(
    case: str, way: str, other: str, by: float, seeds: int
) -> None:
    """Fewer seeds than the example has, the same thresholds."""
    module = example("four_scenarios")
    ways = {name: module["WAYS"][name] for name in (way, other)}
    found = module["main"](seeds=seeds, ways=ways, cases=(case,))
    assert found[way, case] >= found[other, case] + by


def test_staged_transfer_is_better_than_from_scratch(tmp_path: Path) -> None:
    found = example("staged_transfer")["main"](seeds=1, picture=tmp_path / "curves.svg")
    assert found["staged"] >= found["scratch"] + 0.05
    assert "staged val" in (tmp_path / "curves.svg").read_text()


def test_an_ensemble_is_better_than_its_members() -> None:
    alone, together = example("ensemble")["main"](epochs=10)
    assert together >= sum(alone) / len(alone)
