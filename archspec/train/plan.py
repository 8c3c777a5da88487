"""Plain data → Plan: how a network is trained, as Pydantic models. What it is, is the spec's.

A plan is a file of its own, because one architecture is trained in many ways:

    data: digits                        →  Plan(data=Data(train="digits", val=0.2, …),
    optimizer: {sgd: {lr: 0.1}}                 optimizer=Called("sgd", {"lr": 0.1}),
    epochs: 20                                  epochs=20, …)

Optimizers, losses and most augmentations are torch's and torchvision's own, by name; their
arguments are checked by their signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    PlainValidator,
    PrivateAttr,
    StrictBool,
)

from archspec.language.kinds import OURS, Form, Spelt, Text, word
from archspec.language.refusals import Faults, Steps, refuse, wrong_kind
from archspec.text.faults import Fault, Loc, SpecError
from archspec.text.source import Source
from archspec.text.words import cut, listed
from archspec.train.named import Augmentations, Called, Loss, Named, Optimizer

ALL = "all"
NORMS = ("eval", "train")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SHARDINGS = ("none", "fsdp2")
TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
NORMALISATIONS = ("auto", "zscore", "minmax", "weights", "none")


def _whole(least: int) -> tuple[Any, ...]:
    """A whole number from `least`."""

    def check(node: Any) -> int:
        if type(node) is not int or node < least:
            raise wrong_kind(f"a whole number of at least {least}")
        return node

    return (PlainValidator(check, json_schema_input_type=Annotated[int, Field(ge=least)]),)


def _number(wanted: str, least: float, most: float = float("inf")) -> tuple[Any, ...]:
    """A number above `least`, or at it where it is 0 in `wanted`; below `most`."""
    closed = "from 0" in wanted

    def check(node: Any) -> float:
        number = isinstance(node, (int, float)) and not isinstance(node, bool)
        if not number or not (least < node < most or (closed and node == least)):
            raise wrong_kind(wanted)
        return float(node)

    return (PlainValidator(check, json_schema_input_type=float),)


Count = Annotated[int, *_whole(1)]
_From0 = Annotated[int, *_whole(0)]
Positive = Annotated[float, *_number("a number above 0", 0)]
_Share = Annotated[float, *_number("a number from 0, below 1", 0, 1)]
_Decay = Annotated[float, *_number("a number above 0, below 1", 0, 1)]


def _or(of: type, key: str) -> tuple[Any, ...]:
    """A bare value of a type stands for a mapping with one key."""

    def spell(node: Any) -> Any:
        return {key: node} if isinstance(node, of) and not isinstance(node, bool) else node

    word = {int: "integer", str: "string"}[of]
    return BeforeValidator(spell), Spelt(lambda found: {"anyOf": [{"type": word}, found]})


# ------------------------------------------------------------------ data

_Sides = Annotated[list[Count], Field(min_length=2, max_length=2)]


def _val(node: Any) -> Any:
    """A share of the training set, or a source of its own."""
    if isinstance(node, str) and node:
        return node
    if isinstance(node, (int, float)) and not isinstance(node, bool) and 0 <= node < 1:
        return float(node)
    raise wrong_kind("a share of the training set (from 0, below 1), or a path")


def _two(node: Any) -> tuple[str, str | None] | None:
    """A folder, or two: of the training set and of what is measured on."""
    both = node if isinstance(node, list) else [node, None]
    if node is None:
        return None
    if len(both) != 2 or not isinstance(both[0], str) or not isinstance(both[1], (str, type(None))):
        raise wrong_kind("a folder, or two: for `train` and for `val`")
    return both[0], both[1]


def _size(node: Any) -> tuple[int, int] | None:
    """Height and width, or one number for both."""
    sides = [node, node] if type(node) is int else node
    if node is None:
        return None
    whole = isinstance(sides, list) and all(type(one) is int and one > 0 for one in sides)
    if not whole or len(sides) != 2:
        raise wrong_kind("a whole number of at least 1, or two: height and width")
    return sides[0], sides[1]


def _resize(node: Any) -> tuple[int, int] | None:
    """The shorter side: one length, or the least and the greatest."""
    sides = [node, node] if type(node) is int else node
    if node is None:
        return None
    whole = isinstance(sides, list) and all(type(one) is int and one > 0 for one in sides)
    if not whole or len(sides) != 2 or sides[0] > sides[1]:
        raise wrong_kind("a whole number of at least 1, or two: the least and the greatest")
    return sides[0], sides[1]


def _normalise(node: Any) -> Any:
    """A way, or the numbers themselves."""
    if isinstance(node, dict):
        lacks = [
            key for key in ("mean", "std") if not isinstance(node.get(key), list) or not node[key]
        ]
        if lacks:
            raise refuse("E204", f"`normalize` lacks {listed(lacks)}: one number a channel")
        return node
    if node not in NORMALISATIONS:
        said = ", ".join(f"`{one}`" for one in NORMALISATIONS)
        raise wrong_kind(f"one of {said}, or `{{mean: […], std: […]}}`")
    return node


class Data(Form):
    """What is learned from: `train` and `val` are a path, or the name of a set that is built in.

    A path is a folder of class folders, a .csv or an .npz file; for masks and for pairs of pictures
    a folder of pictures, and `targets` the folder of what belongs to them, by the same names.
    """

    wanted: ClassVar[str] = "a path, two paths or a mapping"
    help: ClassVar[str] = "for example `{train: data/train, val: 0.2}`"

    train: Text | None = None
    val: Annotated[float | str, PlainValidator(_val, json_schema_input_type=float | str)] = Field(
        default=0.2, description="a share of the training set, or a path"
    )
    targets: Annotated[
        tuple[str, str | None] | None,
        PlainValidator(_two, json_schema_input_type=str | list[str] | None),
    ] = Field(default=None, description="folder of masks or pictures; two: of `val` as well")
    size: Annotated[
        tuple[int, int] | None, PlainValidator(_size, json_schema_input_type=Count | _Sides | None)
    ] = Field(default=None, description="height and width that pictures are brought to")
    resize: Annotated[
        tuple[int, int] | None,
        PlainValidator(_resize, json_schema_input_type=Count | _Sides | None),
    ] = Field(
        default=None, description="shorter side that `size` is cut out of, anywhere in training"
    )
    normalize: Annotated[
        Any, PlainValidator(_normalise, json_schema_input_type=str | dict[str, list[float]])
    ] = "auto"
    augment: Augmentations = ()
    workers: _From0 = Field(default=0, description="processes that read and augment")
    samples: Count | None = Field(default=None, description="so many of the training set at most")

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        if isinstance(node, str):
            return {"train": node}
        if isinstance(node, list) and len(node) == 2:
            return {"train": node[0], "val": node[1]}
        return super().spelt_out(node, path, reading)


# ------------------------------------------------------------------ schedule, stop, log


class Schedule(Form):
    """The learning rate over a phase: a factor of each group's own rate."""

    warmup: Annotated[float, *_number("a number from 0: steps, or below 1 a share of all", 0)] = 0.0


class Constant(Schedule):
    """The same to the end."""


class Step(Schedule):
    """Times `gamma` after every so many epochs, or after those in `at`."""

    every: Count = 30
    at: tuple[Count, ...] = ()
    gamma: _Decay = 0.1


class Cosine(Schedule):
    """Half a cosine, from the rate to `end` times the rate (arXiv 1608.03983, without restarts)."""

    end: _Share = 0.0


class OneCycle(Schedule):
    """Up from `start` times the rate for a share `rise`, down to `end` times (arXiv 1708.07120)."""

    rise: _Decay = 0.3
    start: _Decay = 0.04
    end: _Share = 4e-6


class Plateau(Schedule):
    """Times `factor` where what is monitored was not better for more than `patience` epochs."""

    factor: _Decay = 0.1
    patience: _From0 = 5
    threshold: _Share = 1e-4
    least: _Share = Field(default=0.0, description="a share of the rate that is never gone below")


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant, "step": Step, "cosine": Cosine, "one_cycle": OneCycle,
    "plateau": Plateau,
}  # fmt: skip


class _Chosen(Form):
    """One schedule by its name, alone or with settings."""

    wanted: ClassVar[str] = "one schedule"
    help: ClassVar[str] = "for example `cosine`, or `{step: {every: 30}}`"

    constant: Constant | None = None
    step: Step | None = None
    cosine: Cosine | None = None
    one_cycle: OneCycle | None = None
    plateau: Plateau | None = None

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        if isinstance(node, str):
            node = {node: None}
        if not isinstance(node, dict) or len(node) != 1:
            raise wrong_kind(cls.wanted, cls.help)
        ((name, given),) = node.items()
        if name not in SCHEDULES:
            said = f"there is no schedule `{cut(str(name))}`"
            raise refuse("E801", said, near=(str(name), list(SCHEDULES)))
        return {name: {} if given is None else given}

    def one(self) -> Schedule:
        """The one that is named."""
        (name,) = self.model_fields_set
        found: Schedule = getattr(self, name)
        return found


class Stop(Form):
    """Early: after `patience` epochs in which `monitor` was not better by more than `least`."""

    wanted: ClassVar[str] = "a mapping, or the patience alone"

    patience: Count
    monitor: Text | None = Field(
        default=None, description="val.loss, …; the task's own if left out"
    )
    least: Annotated[float, *_number("a number from 0", 0)] = 0.0


class Log(Form):
    """Where a run is written, and how often."""

    wanted: ClassVar[str] = "a mapping, or the folder alone"

    folder: Text | None = Field(default=None, description="runs/NAME if left out")
    save: Count | None = Field(default=None, description="steps from one checkpoint to the next")
    trackers: tuple[Annotated[str, *word(*TRACKERS)], ...] = ()


# ------------------------------------------------------------------ phases, plan


def _trained(node: Any) -> Any:
    """All, or paths of the spec."""
    if node == ALL:
        return ALL
    if isinstance(node, str):
        return (node,)
    if not isinstance(node, list) or not node or not all(isinstance(one, str) for one in node):
        raise wrong_kind("`all`, or a list of paths of the spec", "for example `[head]`")
    return tuple(node)


def _rates(node: Any) -> Any:
    """One rate, or one for each path."""
    if not isinstance(node, dict):
        return _positive(node)
    if not node:
        raise wrong_kind("a number above 0, or a mapping from paths to such")
    with Faults() as faults:
        return {str(path): faults.at((path,), _positive, rate) for path, rate in node.items()}


def _or_word(words: Collection[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A word stands for a mapping of it alone."""
    return lambda found: {"anyOf": [{"enum": list(words)}, found]}


def _positive(node: Any) -> float:
    if isinstance(node, bool) or not isinstance(node, (int, float)) or not node > 0:
        raise wrong_kind("a number above 0")
    return float(node)


_Schedule = Annotated[
    Schedule,
    GetPydanticSchema(
        lambda _, read: read(
            Annotated[_Chosen, AfterValidator(_Chosen.one), Spelt(_or_word(SCHEDULES))]
        )
    ),
]
_Norm = Annotated[Literal["eval", "train"], *word(*NORMS)]
_Rates = Annotated[Any, PlainValidator(_rates, json_schema_input_type=float | dict[str, float])]
_Stop = Annotated[Stop, *_or(int, "patience")]


class Phase(Form):
    """A part of the training: what is trained, how long, at which rates.

    What is left out is the plan's.
    """

    name: Text | None = None
    train: Annotated[
        Any,
        PlainValidator(_trained, json_schema_input_type=str | list[str]),
    ] = Field(default=ALL, description="`all` that the spec does not freeze, or paths of the spec")
    epochs: Count | None = None
    lr: _Rates | None = Field(default=None, description="one rate, or rates by path")
    layer_decay: _Decay | None = Field(default=None, description="rate of a stage over the next's")
    schedule: _Schedule | None = None
    stop: _Stop | None = None


class Plan(Form):
    """How a network is trained."""

    help: ClassVar[str] = "for example `{data: digits, epochs: 20}`"

    source: Annotated[Source, *OURS] = Field(alias="\0source")
    _file: Source | None = PrivateAttr(default=None)  # where keys from elsewhere were added to it
    data: Data | None = Field(default=None, description="what is learned from")
    task: Named | None = Field(
        default=None, description="what is learned; classification if left out"
    )
    loss: Loss | None = None
    optimizer: Optimizer = Called("adamw", {})
    decay: Annotated[Literal["weights", "all"], *word("weights", "all")] = Field(
        default="weights",
        description="what decays: no norms and biases, or `all`",
    )
    schedule: _Schedule = Constant()
    batch: Annotated[
        int | Literal["auto"],
        PlainValidator(
            lambda node: node if node == "auto" else _count(node),
            json_schema_input_type=int | Literal["auto"],
        ),
    ] = 64
    epochs: Count = 10
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], *word(*PRECISIONS)] = "auto"
    sharding: Annotated[
        Literal["none", "fsdp2"],
        *word(*SHARDINGS, alike={"fsdp": "fsdp2", "deepspeed": "fsdp2", "zero": "fsdp2"}),
    ] = Field(default="none", description="weights divided among processes, or whole in each")
    clip: Positive | None = Field(
        default=None, description="largest norm of all gradients together"
    )
    accumulate: Count = Field(default=1, description="batches a step")
    label_smoothing: _Share = 0.0
    stop: _Stop | None = None
    log: Annotated[Log | None, *_or(str, "folder")] = Log()
    seed: _From0 = 0
    phases: tuple[Phase, ...] = ()
    frozen_norm: _Norm = Field(default="eval", description="of norms that are not trained")
    ema: _Decay | None = Field(default=None, description="decay of the average of weights")
    update_bn: StrictBool = Field(default=False, description="estimate statistics anew at the end")
    aux: dict[str, Positive] = Field(
        default_factory=dict, description="weights of the losses of auxiliary outputs"
    )

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        return {"\0source": reading, **super().spelt_out(node, path, reading)}

    @property
    def parts(self) -> tuple[Phase, ...]:
        """The phases; one of everything where none are written."""
        return self.phases or (Phase(),)

    def added_to(self, file: Source) -> Plan:
        """The plan as what keys made of a file's: what they left alone is shown there."""
        found = self.model_copy()
        found._file = file
        return found

    def fault(self, code: str, said: str, *path: str | int, help: str = "") -> SpecError:
        """A complaint about what is written at a place, or would be."""
        source, (written, node) = self.source, _within(self.source.data, path)
        if self._file is not None and _within(self._file.data, path) == (written, node):
            source = self._file
        loc = Loc(source.name, written)
        return SpecError([Fault(code, said, loc, help)], {source.name: source})


def _within(node: Any, path: Steps) -> tuple[Steps, Any]:
    """As far as a path leads in plain data, and what is there; all of the data is not looked at."""
    for depth, step in enumerate(path):
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return path[:depth], node if depth else None
    return path, node


def _count(node: Any) -> int:
    if type(node) is not int or node < 1:
        raise wrong_kind("a whole number of at least 1, or `auto`")
    return node
