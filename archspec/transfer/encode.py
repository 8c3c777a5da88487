"""Model, data → what the network makes of each sample at a node: the CNN codes, computed once.

    codes(build("alexnet", weights="torchvision"), "data/birds")     x [N, 4096], behind the ReLU

The network is cut at the node and runs in evaluation. What was computed is kept on disk under a key
of all that decides it: the weights up to there, the samples, normalisation, node and pooling.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archspec.text.words import did_you_mean, listed
from archspec.train import engine, memory, reading, refusals, sets, targets
from archspec.train.errors import TrainError
from archspec.train.inputs import call, inputs
from archspec.train.loading import Normal, Order, View, load
from archspec.train.samples import Arrays
from archspec.train.start import shift
from archspec.train.use import Trained
from archspec.transfer.cut import CODES, cut
from archspec.units import size
from archspec.version import VERSION
from archspec.weights import files, origin
from archspec.weights.errors import WeightsError

if TYPE_CHECKING:
    from archspec.layers.base import TensorType
    from archspec.network import Program
    from archspec.transfer.cut import Cut

POOLS = ("flatten", "average")
_FORMAT = "1"  # of what is kept; another one is computed anew
_DIGEST = "codes_sha256"


@dataclass(frozen=True)
class Codes:
    """Codes of samples: `x` [N, D] float32, `y` [N] their classes by number.

    `classes` are the names of the classes, `node` is where they were taken, `shape` what they were
    there before `pool` made a vector of it, `normal` how inputs were normalised.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...] = ()
    node: str = ""
    pool: str = "flatten"
    shape: tuple[int, ...] = ()
    normal: Normal | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, chosen: Tensor) -> Codes:
        """Some of the samples, by number or by true and false."""
        return replace(self, x=self.x[chosen], y=self.y[chosen])

    def split(self, share: float = 0.2) -> tuple[Codes, Codes]:
        """Those to learn from, and a share to measure on: the samples that `fit` holds out too."""
        held, chosen = Arrays(self.x, self.y).divided(share)
        return self.take(chosen), self.take(held)

    def npz(self) -> bytes:
        """The content of an .npz file: x, y, classes, node."""
        import numpy

        made = io.BytesIO()
        numpy.savez(
            made, x=self.x.numpy(), y=self.y.numpy(), classes=numpy.array(self.classes, str),
            node=numpy.array(self.node),
        )  # fmt: skip
        return made.getvalue()


def codes(
    model: nn.Module | Trained,
    data: Any,
    at: str = CODES,
    *,
    pool: str = "flatten",
    cache: bool | str | Path = True,
    **settings: Any,
) -> Codes:
    """The codes of all samples of `data` at a node, [N, D].

    `model` is a module that archspec built, or what `train.load` gives of a run. `at` is the path
    of a node, a block or a group as `archspec expand` shows them (of the last two, what flows out);
    `codes` is the last activation before the spec's `head`. Where that is no vector, `pool` makes
    one of it: "flatten" takes all its numbers, C·H·W; "average" the mean of each channel of a map
    [C, H, W], of each feature of a sequence [T, D].

    `data` is what `fit` takes; nothing is held out and nothing augmented. `settings`: `normalize`
    and `size` as in `data` of a plan (also the `normal` of other codes: of those that a classifier
    was fitted on), `batch`, `workers`. `cache` is a folder, True the user's own, False none.

    Raises TrainError, SpecError for settings that are wrong.
    """
    program = _program(model)
    place, prepared, batch = _prepared(model, program, data, settings, at)
    out = place.out
    width = _width(out, pool)
    view = prepared.train
    _room(len(view), width, place.node, pool)
    module = model.model if isinstance(model, Trained) else model
    state = {ours: module.state_dict()[theirs] for ours, theirs in place.names.items()}
    kept = None if cache is False else _file(cache, place, state, view, pool)
    found = None if kept is None else _kept(kept, len(view), width)
    if found is None:
        found = _computed(place, state, view, pool, batch)
        if kept is not None:
            _keep(kept, *found)
    x, y = found
    normal = view.normal
    return Codes(x, y, prepared.facts.classes, place.node, pool, out.shape, normal)


def _program(model: nn.Module | Trained) -> Program:
    if isinstance(model, Trained):
        return model.program
    program = origin.program_of(model)
    if program is None:
        message = f"`{type(model).__name__}` was not built by archspec: it has no graph to cut"
        raise TrainError("E840", message, "archspec.build(SPEC), then weights.load into it")
    return program


def _prepared(
    model: nn.Module | Trained, program: Program, data: Any, settings: dict[str, Any], at: str
) -> tuple[Cut, sets.Sets, int]:
    """The network up to the node at the size of the data, the data, and the batch."""
    known = ("batch", "normalize", "size", "workers")
    for key in settings:
        if key not in known:
            help = did_you_mean(key, known) or f"it takes {listed(list(known))}"
            raise TrainError("E801", f"`codes` takes no `{key}`", help)
    asked = {key: value for key, value in settings.items() if key != "batch"}
    published = shift(model, program) if isinstance(model, nn.Module) else None
    if isinstance(model, Trained) and "normalize" not in asked:
        asked["normalize"] = model.facts.normal
        asked.setdefault("size", list(model.facts.shape[1:]) if _pictures(model) else None)
    if "normalize" in asked and not isinstance(asked["normalize"], str):
        asked["normalize"] = _numbers(asked["normalize"])
    named = isinstance(data, (str, Path))
    asked |= {"val": 0} | ({"train": str(data)} if named else {})
    keys = {"data": asked, **({"batch": settings["batch"]} if "batch" in settings else {})}
    plan = reading.given(None, keys)
    wanted = sets.wanted(program, plan, targets.CLASSES)
    found = sets.prepare(plan, None if named else {"train": data}, wanted, CODES, published)
    sized = refusals.fits(program, found)
    return cut(sized, at), found, plan.batch if isinstance(plan.batch, int) else 64


def _pictures(model: Trained) -> bool:
    return len(model.facts.shape) == 3


def _numbers(normal: Any) -> Any:
    """A normalisation as a plan says it."""
    if normal is None:
        return "none"
    if isinstance(normal, Normal):
        return {"mean": list(normal.shift), "std": list(normal.scale)}
    return normal


def _width(out: TensorType, pool: str) -> int:
    """Numbers of a code. Raises TrainError."""
    if pool not in POOLS:
        help = did_you_mean(pool, POOLS) or "it is `flatten` or `average`"
        raise TrainError("E840", f"there is no way `{pool}` to pool", help)
    return out.size if pool == "flatten" or out.rank == 1 else out.shape[_channels(out)]


def _channels(out: TensorType) -> int:
    """The axis that is kept where the others are averaged: first of a map, else the last."""
    return 0 if out.is_map else out.rank - 1


def _room(samples: int, width: int, node: str, pool: str) -> None:
    """Raises TrainError where the codes are more than the memory holds."""
    need, free = 4 * samples * width, memory.available(torch.device("cpu"))
    if free is None or need <= free:
        return
    message = f"{samples:,} codes of {width:,} numbers at `{node}` take {size(need)}"
    help = 'pool="average" takes one number a channel' if pool == "flatten" else "fewer samples"
    raise TrainError("E806", f"{message}; {size(free)} are free", help)


@torch.no_grad()
def _computed(
    place: Cut, state: dict[str, Tensor], view: View, pool: str, batch: int
) -> tuple[Tensor, Tensor]:
    """Codes and classes of all samples, in evaluation, a batch at a time."""
    from archspec.module import build

    device = engine.accelerator(reading.given(None, {})).device
    network = build(place.program)
    network.load_state_dict(state)
    network = network.to(device).eval()
    codes, classes = [], []
    read = [one.name for one in inputs(place.program)]
    for x, y in load(view, Order(len(view), batch, 0, False).batches(0), 0):
        x = {name: x[name].to(device) for name in read} if isinstance(x, Mapping) else x.to(device)
        made = call(network, x).float()
        if pool == "average" and made.ndim > 2:
            made = made.movedim(1 + _channels(place.out), 1).flatten(2).mean(2)
        codes.append(made.flatten(1).cpu())
        classes.append(torch.as_tensor(y).cpu())
    return torch.cat(codes), torch.cat(classes)


# ------------------------------------------------------------------ kept on disk


def _file(
    cache: bool | str | Path, place: Cut, state: dict[str, Tensor], view: View, pool: str
) -> Path:
    """Where the codes are kept, or will be: its name is decided by all that decides them."""
    digest = hashlib.sha256()
    source = place.program.source.text
    said = [_FORMAT, VERSION, torch.__version__, source, pool, repr(view.normal)]
    digest.update(json.dumps(said).encode())
    for name, value in state.items():
        digest.update(name.encode() + _bytes(value))
    _read(view, digest)
    folder = _own() / "archspec" / "codes" if isinstance(cache, bool) else Path(cache)
    return folder / f"{digest.hexdigest()}.safetensors"


def _own() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _bytes(value: Tensor) -> bytes:
    value = value.detach().cpu().contiguous()
    numbers: bytes = value.view(-1).view(torch.uint8).numpy().tobytes()
    return repr((value.dtype, value.shape)).encode() + numbers


def _read(view: View, digest: Any) -> None:
    """All samples: the bytes of files, or what is fetched."""
    listed = getattr(view.samples, "files", None)
    if listed is None:
        for x, y in load(view, Order(len(view), 256, 0, False).batches(0), 0):
            for value in [*(x.values() if isinstance(x, Mapping) else [x]), torch.as_tensor(y)]:
                digest.update(_bytes(value))
        return
    numbers = view.chosen.tolist()
    for number in numbers:
        digest.update(hashlib.sha256(Path(listed[number]).read_bytes()).digest())
    targets = view.samples.targets
    assert targets is not None
    digest.update(_bytes(targets[view.chosen]))
    digest.update(repr((view.samples.mode, view.samples.sides)).encode())  # type: ignore[attr-defined]


def _kept(file: Path, samples: int, width: int) -> tuple[Tensor, Tensor] | None:
    """What is kept, if it is whole; a damaged file is told of, and computed anew."""
    if not file.exists():
        return None
    try:
        with files.opened(file) as archive:
            x, y = archive.tensor("x"), archive.tensor("y")
            whole = archive.metadata.get(_DIGEST) == _digest(x, y)
        if whole and x.shape == (samples, width) and len(y) == samples:
            return x, y
        reason = "what is in it is not what was written"
    except (WeightsError, KeyError) as bad:
        reason = bad.message if isinstance(bad, WeightsError) else f"it lacks {bad}"
    warnings.warn(f"kept codes are damaged and computed anew: {reason}", stacklevel=3)
    return None


def _keep(file: Path, x: Tensor, y: Tensor) -> None:
    """Whole or not at all; where the folder cannot be written, the codes are still the caller's."""
    with suppress(OSError, WeightsError):
        file.parent.mkdir(parents=True, exist_ok=True)
        metadata = {files.MARK: VERSION, _DIGEST: _digest(x, y)}
        files.save({"x": x, "y": y}, file, metadata, force=True)


def _digest(x: Tensor, y: Tensor) -> str:
    return hashlib.sha256(_bytes(x) + _bytes(y)).hexdigest()
