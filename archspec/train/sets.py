"""Plan, data, network → the sets that are learned from and measured on, and what is known of them.

What is known (`Facts`: classes, size, normalisation) goes into each checkpoint, so that a picture
is brought into the form that the network has learned on wherever it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archspec.text.words import listed
from archspec.train import hugging
from archspec.train.companions import MANY, companions
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs, named
from archspec.train.loading import Normal, View
from archspec.train.plan import Data, Plan
from archspec.train.samples import Given, Samples, Wanted
from archspec.train.sources import samples
from archspec.train.targets import CLASSES, LABELS, NUMBERS
from archspec.train.window import Window

if TYPE_CHECKING:
    from archspec.network import Program

_FITTED = 1000  # pictures that a normalisation is fitted on


@dataclass(frozen=True)
class Facts:
    """What a checkpoint knows of the data it was trained on."""

    task: str
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()  # of an input
    normal: Normal | None = None
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)  # shapes, where several
    anchors: tuple[tuple[float, float], ...] = ()  # of a detector: widths and heights

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Facts:
        normal = record["normal"]
        return cls(
            record["task"],
            tuple(record["classes"]),
            tuple(record["shape"]),
            None if normal is None else Normal(tuple(normal["shift"]), tuple(normal["scale"])),
            {name: tuple(shape) for name, shape in record.get("inputs", {}).items()},
            tuple((width, height) for width, height in record.get("anchors", ())),
        )


@dataclass
class Sets:
    """What is learned from, what is measured on, and what is known of both."""

    train: View
    val: View | None
    facts: Facts
    notes: tuple[str, ...] = ()


def prepare(plan: Plan, given: Any, wanted: Wanted, task: str, shift: Normal | None) -> Sets:
    """The sets. `shift`: the normalisation of the weights that the network started from, if any.

    Raises TrainError; SpecError where the plan names no data.
    """
    data = plan.data or Data()
    train, val = pair(given)
    train, val = _inside(data.train if train is None else train, val)
    if train is None:
        help = "for example `data: digits`, or data=(x, y) from Python"
        raise plan.fault("E802", "the plan names no data", "data", help=help)
    beside, other = data.targets or (None, None)
    whole = samples(train, wanted._replace(beside=beside))
    whole.check()
    chosen, held = torch.arange(len(whole)), None
    if val is None and isinstance(data.val, str):
        val = data.val
    if val is not None:
        second = samples(val, wanted.known(whole.classes)._replace(beside=other or beside))
        second.check()
        _same_classes(whole, second)
        held = View(second, second.measured())
    elif data.val:
        held, chosen = _split(whole, float(data.val))
    chosen = chosen[: data.samples]
    view = View(whole, chosen, None, data.augment, plan.seed, roams=True)
    window = _window(plan, wanted, view)
    if data.augment and not _pictures(view):
        said = "augmentations are for pictures that archspec reads; these inputs are none"
        raise plan.fault("E802", said, "data", "augment", help="augment in the Dataset itself")
    view.told_apart = _told_apart(plan, wanted, view)
    how = "none" if data.normalize == "auto" and wanted.plain else data.normalize
    normal = _normal(plan, how, view, shift)
    for one in (view, held):
        if one is not None:
            one.normal, one.workers = normal, data.workers or one.samples.workers
            one.window = window
    facts = _facts(view, wanted, task)
    notes: tuple[str, ...] = ()
    if shift is not None and normal != shift:
        notes = ("inputs are not normalised as the published weights expect: `data.normalize`",)
    many = MANY.get(wanted.targets)
    if many is not None:
        view = companions(view, many, wanted.pair)
        held = companions(held, many, wanted.pair) if held is not None else None
    return Sets(view, held, facts, notes)


def _told_apart(plan: Plan, wanted: Wanted, view: View) -> int:
    """Of how many classes mixed targets are; 0 where one number says which. Raises SpecError."""
    if not view.mixup or wanted.targets != CLASSES:
        return 0
    many = wanted.classes or len(view.samples.classes)
    if not many:
        said = "`mixup` needs to know how many classes there are, and neither network nor data say"
        help = "name the classes in the data set: `classes`"
        raise plan.fault("E802", said, "data", "augment", help=help)
    return many if many > 1 else 0


def _window(plan: Plan, wanted: Wanted, view: View) -> Window | None:
    """What is cut out of the pictures. Raises SpecError where that cannot be."""
    window = wanted.window
    if window is None:
        return None
    said, help = "", ""
    if not _pictures(view) or view.samples.fetch([0])[0].shape[2:] != window.read:
        said = "`resize` is for pictures that archspec reads; these inputs are none"
        help = "leave it out"
    elif wanted.targets not in (CLASSES, NUMBERS, LABELS):
        said = f"`resize` cuts pictures, and the target ({wanted.targets}) would not go along"
        help = "`size` alone brings both to one size"
    elif window.least < min(window.size):
        said = f"`resize` is {window.least}, and {min(window.size)} cells are cut out of it"
        help = "the shorter side is at least as long as the input's"
    if said:
        raise plan.fault("E802", said, "data", "resize", help=help)
    return window


def _facts(view: View, wanted: Wanted, task: str) -> Facts:
    """What is known of a set. Raises TrainError where its inputs are not those of the network."""
    x, _ = view.plain()[0]
    named(x, wanted.inputs)
    shape = tuple(x.shape) if isinstance(x, Tensor) else ()
    inputs = {name: tuple(one.shape) for name, one in x.items()} if isinstance(x, dict) else {}
    return Facts(task, view.samples.classes, shape, view.normal, inputs)


def pair(given: Any) -> tuple[Any, Any]:
    """What is learned from, and what is measured on; None where it is not given."""
    if isinstance(given, dict):
        return given.get("train"), given.get("val")
    two = isinstance(given, (tuple, list)) and len(given) == 2
    whole = (str, Path, tuple, list, Dataset, DataLoader, Samples)
    if two and all(isinstance(one, whole) or hugging.is_theirs(one) for one in given):
        return given[0], given[1]
    return given, None


def _inside(train: Any, val: Any) -> tuple[Any, Any]:
    """Both sets of a folder that holds `train` and `val`, where no other is named."""
    if val is None and isinstance(train, (str, Path)):
        both = [Path(train, name) for name in ("train", "val")]
        if all(one.is_dir() and any(p.is_dir() for p in one.iterdir()) for one in both):
            return both[0], both[1]
    return train, val


def _split(whole: Samples, share: float) -> tuple[View, Tensor]:
    """A share held out, always the same; and the numbers of the rest."""
    held, rest = whole.divided(share)
    if not len(rest):
        message = f"of {len(whole)} samples none are left to learn from"
        raise TrainError("E803", message, "hold out a smaller share: `val: 0.1`, or 0")
    return View(whole, held), rest


def _same_classes(train: Samples, val: Samples) -> None:
    if not train.classes or not val.classes or train.classes == val.classes:
        return
    more = [name for name in val.classes if name not in train.classes]
    less = [name for name in train.classes if name not in val.classes]
    said = [f"{listed(more[:5])} only there"] if more else []
    said += [f"{listed(less[:5])} only in the training set"] if less else []
    message = (
        f"the set that is measured on has other classes: {', '.join(said) or 'in another order'}"
    )
    raise TrainError("E803", message, "classes are numbered in the order of their names")


def _pictures(view: View) -> bool:
    if isinstance(view.samples, Given):
        return False
    x, _ = view.samples.fetch([0])
    return isinstance(x, Tensor) and x.ndim == 4


# ------------------------------------------------------------------ normalisation


def _normal(plan: Plan, how: Any, view: View, shift: Normal | None) -> Normal | None:
    """The numbers, given or fitted on the training set."""
    if isinstance(how, dict):
        return Normal(tuple(map(float, how["mean"])), tuple(map(float, how["std"])))
    if how == "weights" and shift is None:
        said = "the network did not start from published weights that say how inputs are normalised"
        help = "`zscore` fits it on the training set"
        raise plan.fault("E802", said, "data", "normalize", help=help)
    if how == "auto" and shift is not None and _pictures(view):
        return shift
    if how in ("none", "weights"):
        return shift if how == "weights" else None
    x = _sample(view)
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim not in (2, 4):
        return None
    axes = [axis for axis in range(x.ndim) if axis != 1]
    if how == "minmax":
        low, high = x.amin(axes), x.amax(axes)
        return _numbers(low, high - low)
    return _numbers(x.mean(axes), x.std(axes, correction=0))


def _sample(view: View) -> Any:
    """Inputs that stand for all: all arrays, of pictures so many at equal distances."""
    if isinstance(view.samples, Given):
        return None
    step = max(1, len(view) // _FITTED)
    chosen: Sequence[int] = view.chosen.tolist()
    return view.samples.fetch(chosen if hasattr(view.samples, "x") else chosen[::step])[0]


def _numbers(shift: Tensor, scale: Tensor) -> Normal:
    """A channel that is the same everywhere stays as wide as it is."""
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return Normal(tuple(shift.tolist()), tuple(scale.tolist()))


def wanted(program: Program | None, plan: Plan, kind: str, *, plain: bool = False) -> Wanted:
    """What the network and the plan ask of a set; `kind`: of targets."""
    data = plan.data or Data()
    if program is None:
        return Wanted((), 0, kind, data.size, plain=plain, resize=data.resize)
    read = inputs(program)
    shape = program.graph.steps[0].outs[0].shape
    out = program.graph.outputs[main(program)][0]
    width = program.graph.steps[out.node].outs[out.output].shape[:1]
    classes = width[0] if width else 0
    return Wanted(shape, classes, kind, data.size, plain=plain, inputs=read, resize=data.resize)


def main(program: Program) -> str:
    """The output that counts: the first that evaluation gives."""
    outputs, aside = program.graph.outputs, program.graph.training_outputs
    return next(name for name in outputs if name not in aside)
