"""Several inputs, sequences, what comes next, and going on with a text."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError
from archspec.train import engine, use
from archspec.train.errors import TrainError
from archspec.train.generating import generate
from archspec.train.inputs import Cut, Input, inputs, padded
from archspec.train.samples import Wanted
from archspec.train.sequences import sequences
from archspec.train.start import fit
from archspec.train.tokens import Windows, windows

QUICK: dict[str, Any] = {"log": None, "epochs": 2, "batch": 8, "quiet": True}

TWO = """\
spec: 1
name: two
params: {classes: 3}
input: {words: {shape: [{T: 6}], dtype: int}, age: [2]}
body:
  - {from: words, embedding: {num: 9, dim: 8}}
  - {id: read, gru: 8}
  - {id: end, from: read.output, select: -1}
  - concat: [end, age]
  - {id: fc, linear: $classes}
head: fc
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(spec: str = TWO, **params: Any) -> nn.Module:
    return archspec.build(archspec.loads(spec, **params))


def two(n: int = 40, length: int = 6) -> tuple[dict[str, Tensor], Tensor]:
    """The class is the remainder by three of the first word."""
    drawn = torch.Generator().manual_seed(3)
    words = torch.randint(9, (n, length), generator=drawn)
    return {"words": words, "age": torch.rand(n, 2, generator=drawn)}, words[:, 0] % 3


# ------------------------------------------------------------------ several inputs


def test_inputs_are_those_of_the_spec() -> None:
    assert inputs(archspec.load("gpt")) == (Input("tokens", (128,), "int", frozenset({0}), 256),)
    read = inputs(archspec.load("transformer"))
    assert [(one.name, one.dtype) for one in read] == [
        ("src", "float"), ("tgt", "float"), ("src_padding", "bool"),
    ]  # fmt: skip
    assert inputs(None) == ()


class Pairs(Dataset[Any]):
    def __init__(self, x: dict[str, Tensor], y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Any:
        return {name: one[index] for name, one in self.x.items()}, self.y[index]


def test_a_mapping_goes_in_by_names(tmp_path: Path) -> None:
    x, y = two()
    folder = tmp_path / "run"
    model = build()
    run = fit(model, (x, y), **{**QUICK, "epochs": 15}, optimizer={"adam": {"lr": 0.05}})
    assert run.last["train.accuracy"] > 0.9
    fit(model, (x, y), **{**QUICK, "epochs": 1, "log": str(folder)})
    found = use.load(folder)
    assert found.facts.inputs == {"words": (6,), "age": (2,)}
    assert found.shares(x).shape == (40, 3)
    assert use.evaluate(folder, (x, y))["accuracy"] > 0.8
    backwards = {name: x[name] for name in reversed(x)}  # the order of names is of no account
    torch.manual_seed(0)
    same = fit(build(), Pairs(backwards, y), **QUICK).metrics
    torch.manual_seed(0)
    other = fit(build(), (x, y), **QUICK).metrics
    for a, b in zip(same, other, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    path = tmp_path / "two.npz"
    numpy.savez(path, **{name: one.numpy() for name, one in x.items()}, y=y.numpy())
    torch.manual_seed(0)
    assert fit(build(), path, **QUICK).last["val.loss"] == other[-1]["val.loss"]


def goes_on(
    make: Callable[[], nn.Module], data: Any, folder: Path, *cuts: int, **keys: Any
) -> None:
    """A run that was cut off at each of some steps ends with the same bits as one that was not."""
    plan = {"epochs": 2, "batch": 16, "quiet": True, **keys}
    own = {"step": keys["step"]} if "step" in keys else {}
    whole = make()
    fit(whole, data, **plan, log=None)
    update = engine.Training.update
    for at in cuts:
        log = {"folder": str(folder / str(at)), "save": 1}

        def cut(self: Any, *args: Any, at: int = at) -> None:
            if self.at.steps == at:
                raise KeyboardInterrupt
            update(self, *args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine.Training, "update", cut)
            with pytest.raises(KeyboardInterrupt):
                fit(make(), data, **plan, log=log)
        other = make()
        fit(other, data, resume=folder / str(at), quiet=True, **own)
        for name, value in whole.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def seeded(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """The same module each time."""

    def made() -> nn.Module:
        torch.manual_seed(0)
        return make()

    return made


def test_several_inputs_go_on_to_the_same_bits(tmp_path: Path) -> None:
    goes_on(seeded(build), two(), tmp_path, 3)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (two()[0]["words"], "the network reads `words` and `age`; a sample .* has one input"),
        ({"words": two()[0]["words"]}, "reads `words` and `age`; the data have `words`"),
        ({**two()[0], "words": two()[0]["words"] + 1}, "symbols of `words` are from 1 to 9"),
        ({**two()[0], "words": torch.rand(40, 6)}, "`words` reads whole numbers; the data are"),
        ({**two()[0], "age": torch.rand(40, 3)}, r"inputs have shape \[3\]; `age` is \[2\]"),
        ({**two()[0], "age": torch.rand(39, 2)}, "there are 39 and 40 inputs and 40 targets"),
    ],
)
def test_inputs_that_are_others(x: Any, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        fit(build(), (x, two()[1]), **QUICK)


def test_sequences_of_several_lengths_become_one_tensor() -> None:
    x, padding = padded([[3, 1], [4, 1, 5]])
    assert x.tolist() == [[0, 3, 1], [4, 1, 5]]
    assert padding.tolist() == [[True, False, False], [False, False, False]]
    x, padding = padded([torch.ones(2, 4), torch.ones(1, 4)], 3, value=-1, left=False)
    assert x[:, :, 0].tolist() == [[1, 1, -1], [1, -1, -1]]
    assert padding.tolist() == [[False, False, True], [False, True, True]]
    with pytest.raises(TrainError, match="a sequence is 3 long; all are to be 2"):
        padded([[3, 1], [4, 1, 5]], 2)
    with pytest.raises(TrainError, match="there are no sequences"):
        padded([])
    with pytest.raises(TrainError, match=r"(?s)holds no arrays.*padded makes one of sequences"):
        fit(speaker(), ([torch.zeros(3), torch.zeros(2)], torch.zeros(2)), **QUICK)


def test_a_mask_of_padding_is_an_input_like_others() -> None:
    """Attention that is told what padding is says the same, however much of it there is."""
    spec = """\
spec: 1
name: masked
input: {words: {shape: [{T: 5}], dtype: int}, padding: {shape: [{T: 5}], dtype: bool}}
body:
  - {id: read, from: words, embedding: {num: 9, dim: 8}}
  - {from: {query: read, key_padding_mask: padding}, attention: {heads: 2}}
  - select: 0
  - linear: 2
"""
    rows = [torch.randint(9, (length,)) for length in (2, 3, 5, 4) * 8]
    x, padding = padded(rows, left=False)
    model = build(spec)
    fit(model, ({"words": x, "padding": padding}, torch.arange(32) % 2), **QUICK)
    longer, hidden = padded(rows, 9, left=False)
    with torch.no_grad():
        short = model.eval()(words=x, padding=padding)
        torch.testing.assert_close(model(words=longer, padding=hidden), short)


# ------------------------------------------------------------------ sets of sequences


def test_the_order_of_two_symbols_in_every_form() -> None:
    tokens = Input("t", (20,), "int", frozenset({0}), 9)
    x, y = sequences(_wanted(tokens)).fetch(range(2000))
    assert x.shape == (2000, 20)
    assert set(x[:, 0].tolist()) == {6}
    assert set(x[:, -1].tolist()) == {7}
    placed = [[int(s) - 4 for s in row if s in (4, 5)] for row in x]
    assert [2 * a + b for a, b in placed] == y.tolist()
    assert y.bincount().min() > 400
    first = [next(k for k, s in enumerate(row) if s in (4, 5)) for row in x]
    assert (min(first), max(first)) == (2, 4)  # from 0.1 to 0.2 of the length
    for shape, free, axis in (((20, 8), {0}, 2), ((8, 20), {1}, 1), ((8, 20), set(), 1)):
        hot = sequences(_wanted(Input("t", shape, "float", frozenset(free), 0))).x
        assert torch.equal(hot.argmax(axis), x)


def _wanted(*read: Input) -> Wanted:
    return Wanted(read[0].shape, 4, "classes", inputs=read)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (Input("t", (1, 32, 32), "float", frozenset(), 0), "sequences go into one input"),
        (Input("t", (20,), "float", frozenset(), 0), "`t` is of floats"),
        (Input("t", (20, 4), "float", frozenset({0}), 0), "8 symbols .*`t` has 4 and 20"),
        (Input("t", (6,), "int", frozenset({0}), 9), "8 symbols .*`t` has 9 and 6"),
    ],
)
def test_what_sequences_do_not_go_into(read: Input, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        sequences(_wanted(read))


# ------------------------------------------------------------------ what comes next

SUMS = "".join(f"{a}+{b}={a + b};" for a in range(12) for b in range(12))
SPEAKERS = {
    "gpt": {"vocabulary": 13, "width": 16, "layers": 1, "heads": 2, "context": 24, "drop": 0.0},
    "lstm_language_model": {"vocabulary": 13, "width": 16, "layers": 1},
}


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.txt"
    path.write_text(SUMS)
    return path


def speaker(name: str = "gpt", **params: Any) -> nn.Module:
    return archspec.build(name, **{**SPEAKERS[name], **params})


def test_windows_are_the_text_and_the_text_one_on() -> None:
    found = Windows(numpy.arange(23), Cut(4, 2), "t")
    assert len(found) == 10
    x, y = found.fetch([0, 1, 9])
    assert x.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [18, 19, 20, 21]]
    assert torch.equal(y, x + 1)
    assert found.measured().tolist() == [0, 2, 4, 6, 8]
    held, rest = found.divided(0.4)
    assert held.tolist() == [7, 9]
    seen, targets = found.fetch(rest.tolist())
    assert int(targets.max()) == int(found.fetch([7])[0].min())  # no token of it is learned
    assert len(found.fetch(held.tolist())[0].unique()) == 8  # and each of it counts once
    assert seen.max() < 14


def test_a_text_is_characters_or_bytes_and_arrays_are_numbers(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("née née", encoding="utf-8")
    found = windows(text, Cut(3, 3))
    assert found.classes == (" ", "e", "n", "é")
    assert found.fetch([0])[0].tolist() == [[2, 3, 1]]
    assert windows(text, Cut(3, 3, "bytes")).fetch([0])[0].tolist() == [[110, 195, 169]]
    numpy.save(tmp_path / "a.npy", numpy.arange(9, dtype="uint16"))
    numpy.arange(9, dtype="uint16").tofile(tmp_path / "a.bin")
    for name, dtype in (("a.npy", None), ("a.bin", "uint16")):
        x, y = windows(tmp_path / name, Cut(8, 8, dtype=dtype)).fetch([0])
        assert (x.dtype, y.tolist()) == (torch.int64, [[1, 2, 3, 4, 5, 6, 7, 8]])


@pytest.mark.parametrize("name", list(SPEAKERS))
def test_what_comes_next_is_learned_measured_and_said(
    name: str, sums: Path, tmp_path: Path
) -> None:
    folder, model = tmp_path / "run", speaker(name)
    task = {"next_token": {"length": 24, "stride": 8}}
    keys = {**QUICK, "epochs": 1, "log": str(folder), "task": task}
    run = fit(model, sums, **keys, optimizer={"adamw": {"lr": 0.01}})
    row = run.last
    assert row["val.perplexity"] == pytest.approx(numpy.exp(row["val.loss"]))
    found = use.load(folder)
    assert found.facts.classes == tuple(sorted(set(SUMS)))
    x, y = use.held_out(found).__getitems__(list(range(len(use.held_out(found)))))
    with torch.no_grad():
        logits = found.model(x)
    plain = functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    assert row["val.loss"] == pytest.approx(float(plain), rel=1e-5)
    right = (logits.argmax(2) == y).double().mean()
    assert row["val.accuracy"] == pytest.approx(float(right))
    assert use.evaluate(folder, sums)["loss"] < 2.6
    # greedily each token is the likeliest after those before, of a window that slides
    text = "1+2=3;4+5=9;"
    said = generate(folder, text, 30, temperature=0)
    known = found.facts.classes
    for k in range(30):
        seen = (text + said[:k])[-24:]
        with torch.no_grad():
            at = found.model(torch.tensor([[known.index(c) for c in seen]]))[0, -1]
        assert known[int(at.argmax())] == said[k]
    drawn = [generate(folder, "1+", 40, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert generate(folder, "1+", 20, seed=3, top_k=1) == generate(folder, "1+", 20, temperature=0)
    likely = set(generate(folder, "1+", 40, seed=1, top_k=2, temperature=5.0))
    assert len(likely) < len(set(generate(folder, "1+", 40, seed=1, temperature=5.0)))


def test_a_window_that_is_fixed_slides_too(tmp_path: Path) -> None:
    """Convolutions over eight places that give [K, T]; a prompt that is shorter, and longer."""
    spec = """\
spec: 1
name: conv
input: {tokens: {shape: [8], dtype: int}}
body:
  - embedding: {num: 5, dim: 8}
  - permute: [1, 0]
  - {conv: {out: 16, kernel: 3, padding: causal}}
  - relu
  - {conv: {out: 5, kernel: 2, padding: causal}}
"""
    row = torch.arange(400) % 5
    model, folder = build(spec), tmp_path / "run"
    keys = {**QUICK, "epochs": 6, "log": {"folder": str(folder)}, "task": "next_token"}
    run = fit(model, {"train": row}, **keys, optimizer={"adam": {"lr": 0.05}})
    assert run.last["val.accuracy"] > 0.85  # but for the first places of a window
    assert generate(folder, [3], 6, temperature=0)[2:] == [1, 2, 3, 4]
    assert generate(folder, list(range(5)) * 3, 4, temperature=0) == [0, 1, 2, 3]
    with pytest.raises(TrainError, match="learned from numbers, and knows no characters"):
        generate(folder, "ab")
    says = CliRunner().invoke(app, ["generate", str(folder), "-p", "0 1 2", "-n", "3", "-t", "0"])
    assert says.output == "0 1 2 3 4 0\n"
    says = CliRunner().invoke(app, ["generate", str(folder), "-p", "a b"])
    assert "learned from numbers, and `a b` are none" in str(says.exception)


def test_generate_is_a_command(sums: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    fit(speaker(), sums, **{**QUICK, "epochs": 1, "log": folder, "task": "next_token"})
    call = ["generate", folder, "--prompt", "1+1", "-n", "8", "--top-k", "4", "--seed", "5"]
    says = CliRunner().invoke(app, call)
    assert says.output == f"1+1{generate(folder, '1+1', 8, top_k=4, seed=5)}\n"
    says = CliRunner().invoke(app, ["predict", folder, str(sums)])
    assert "not pictures" in str(says.exception)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"prompt": "ab"}, "the prompt has characters that the training text has not: `a` and `b`"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": [1, 13]}, "the prompt holds the token 13; they are from 0 to 12"),
        ({"n": 0}, "`n` is 0; it counts tokens"),
        ({"temperature": -1.0}, "`temperature` is -1.0; it is a number from 0"),
        ({"top_k": 0}, "`top_k` is 0"),
    ],
)
def test_what_cannot_be_gone_on_with(keys: dict[str, Any], said: str, said_by: Path) -> None:
    with pytest.raises(TrainError, match=f"E80[34] {said}"):
        generate(said_by, **{"prompt": "1", **keys})


@pytest.fixture(scope="module")
def said_by(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned next to nothing."""
    place = tmp_path_factory.mktemp("said")
    (place / "sums.txt").write_text(SUMS)
    keys = {**QUICK, "epochs": 1, "batch": 64, "log": str(place / "run"), "task": "next_token"}
    fit(speaker(), place / "sums.txt", **keys)
    return place / "run"


def test_only_what_learned_to_go_on_goes_on(tmp_path: Path) -> None:
    fit(build(), two(), **{**QUICK, "epochs": 1, "log": str(tmp_path / "run")})
    with pytest.raises(TrainError, match="`two` was trained for classification"):
        generate(tmp_path / "run", [1])


AHEAD = """\
spec: 1
name: ahead
input: {tokens: {shape: [{T: 12}], dtype: int}}
body:
  - {embedding: {num: 13, dim: 8}}
  - ITEM
  - {id: fc, from: LAST, linear: 13}
"""


@pytest.mark.parametrize(
    ("item", "last"),
    [
        ("{id: a, lstm: {hidden: 8, bidirectional: true}}", "a.output"),
        ("{id: a, attention: {heads: 2}}", "a"),
        ("{id: a, linear: 8}", "a"),
    ],
)
def test_a_network_that_sees_the_answer_is_refused(item: str, last: str, sums: Path) -> None:
    model = build(AHEAD.replace("ITEM", item).replace("LAST", last))
    keys = {**QUICK, "task": "next_token", "epochs": 1}
    if "linear" in item:  # it sees one token, and learns what mostly follows
        assert fit(model, sums, **keys).last["val.loss"] < 2.7
        return
    with pytest.raises(TrainError, match="E805 the network sees what it is to say: another token"):
        fit(model, sums, **keys)
    assert model.training


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vocabulary": 12}, "has 13 tokens; the network reads 12 and says 12"),
        ({"vocabulary": 30}, "has 13 characters, the head `logits` says 30"),
        (
            {"task": {"next_token": {"stride": 5}}},
            r"(?s)windows of 24 are not cut every 5.*stride: 5",
        ),
        ({"task": {"next_token": {"length": 0}}}, "`length` is 0; it counts tokens, from 1"),
        ({"task": {"next_token": {"of": "words"}}}, "there is no `of: words`"),
        ({"task": {"next_token": {"dtype": "float"}}}, "there is no `dtype: float`"),
        ({"task": {"next_token": {"length": 2000}}}, r"holds 1,\d+ tokens, of which no window"),
        ({"task": {"next_token": {"length": 48}}}, r"shape \[48\]; `tokens` is \[24\]"),
        ({"task": "classification"}, "is a file of tokens"),
        ({"data": "digits"}, "has a class for each sample; the task asks for next"),
    ],
)
def test_texts_that_do_not_go_with_the_network(
    given: dict[str, Any], said: str, sums: Path
) -> None:
    model = speaker(vocabulary=given.pop("vocabulary", 13))
    data = given.pop("data", sums)
    with pytest.raises((TrainError, SpecError), match=said):
        fit(model, data, **{**QUICK, "task": "next_token", **given})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"\xff\xfe\xff", "no text in UTF-8: byte 0"),
        ("a.txt", b"", "holds 0 tokens"),
        ("a.npy", b"nothing", "cannot be read"),
        ("a.bin", b"nothing", "does not say how many bytes a token has"),
    ],
)
def test_files_of_tokens_that_are_none(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainError, match=f"E803 .*{said}"):
        windows(tmp_path / name, Cut(4, 4))
    numpy.save(tmp_path / "f.npy", numpy.zeros((9, 2)))
    with pytest.raises(TrainError, match=r"is float64 of shape \[9, 2\]"):
        windows(tmp_path / "f.npy", Cut(4, 4))


def test_a_text_of_other_characters_is_not_measured(sums: Path, said_by: Path) -> None:
    other = sums.with_name("other.txt")
    other.write_text("1+2=3;" * 20)  # fewer characters, the same numbers
    assert use.evaluate(said_by, other)["loss"] < 5
    other.write_text("one plus two" * 20)
    with pytest.raises(TrainError, match="characters that the training text has not: ` `, `e`"):
        use.evaluate(said_by, other)
    with pytest.raises(TrainError, match="characters that the training text has not"):
        fit(speaker(), (sums, other), **QUICK, task="next_token")


def test_a_text_is_gone_on_with_to_the_same_bits(sums: Path, tmp_path: Path) -> None:
    make = seeded(lambda: speaker(drop=0.1))
    goes_on(make, str(sums), tmp_path, 1, task="next_token", batch=16)


SOURCE = """\
spec: 1
name: turner
params: {words: 6}
input: {source: {shape: [{S: 5}], dtype: int}, said: {shape: [{T: 5}], dtype: int}}
body:
  - {id: read, from: source, embedding: {num: $words, dim: 16}}
  - {id: encoder, gru: 32}
  - {id: spoken, from: said, embedding: {num: $words, dim: 16}}
  - {id: decoder, from: {x: spoken, h: encoder.h}, gru: 32}
  - {id: fc, from: decoder.output, linear: $words}
head: fc
"""


def test_a_row_is_said_backwards(tmp_path: Path) -> None:
    """Sequence to sequence: words before are given in training, its own in use."""
    model, folder = build(SOURCE), tmp_path / "run"
    keys = {**QUICK, "epochs": 12, "batch": 64, "log": {"folder": str(folder), "save": 10**6}}
    run = fit(model, "reversed", **keys, task="next_token", optimizer={"adam": {"lr": 0.01}})
    assert run.last["val.accuracy"] > 0.9
    rows = [1, 2, 3, 4, 5], [5, 1, 1, 4, 2]
    said = chain(*(generate(folder, row, 5, temperature=0) for row in rows))
    wanted = chain(*(row[::-1] for row in rows))
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= 8


def test_places_that_nobody_looks_at() -> None:
    x, y = torch.randint(13, (30, 12)), torch.randint(13, (30, 12))
    y[:, 5:] = -100
    model = speaker("lstm_language_model")
    with torch.no_grad():
        model.get_parameter("fc.bias").copy_(torch.eye(13)[3] * 50)  # it always says 3
    keys = {**QUICK, "task": "next_token", "epochs": 1, "optimizer": {"sgd": {"lr": 1e-12}}}
    row = fit(model, {"train": (x, y), "val": (x, y)}, **keys).last
    assert row["val.accuracy"] == pytest.approx(float((y[:, :5] == 3).double().mean()))


# ------------------------------------------------------------------ examples


def test_the_examples_in_short(tmp_path: Path) -> None:
    examples = Path(__file__).resolve().parent.parent / "examples"
    order = runpy.run_path(str(examples / "sequence_lstm_tcn.py"))["main"](7, tmp_path / "a.svg")
    assert order["tcn"] >= 0.95
    assert order["lstm_classifier"] >= 0.4  # of four classes; the whole run comes above 0.95
    assert (tmp_path / "a.svg").is_file()
    losses = runpy.run_path(str(examples / "char_model.py"))["main"](3)
    assert max(losses.values()) < 2.6  # of 3.33
