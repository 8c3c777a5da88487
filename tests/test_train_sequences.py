"""Several inputs, sequences, what comes next, and going on with a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import archspec
from archspec.train import engine, use
from archspec.train.errors import TrainError
from archspec.train.inputs import Input, inputs
from archspec.train.start import fit

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


def goes_on(make: Callable[[], nn.Module], data: Any, folder: Path, **keys: Any) -> None:
    """A run that was cut off at each of some steps ends with the same bits as one that was not."""
    plan = {"epochs": 2, "batch": 16, "quiet": True, **keys}
    own = {"step": keys["step"]} if "step" in keys else {}
    whole = make()
    fit(whole, data, **plan, log=None)
    update = engine.Training.update
    for at in (1, 3):
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
    goes_on(seeded(build), two(), tmp_path)


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
