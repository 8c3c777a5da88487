"""A run's state → a checkpoint, whole or not at all; and back.

    runs/lenet5/
      plan.yaml, metrics.csv, metrics.jsonl
      checkpoints/000042/        facts.json  model.safetensors  state.pt  spec/lenet5.yaml
      last, best                 each holds the name of a checkpoint

A checkpoint is written into a folder with another name, brought to the disk, and then renamed; the
pointers `last` and `best` are replaced after that. Killed anywhere in between, what they point at
is whole. The weights are in safetensors and the rest in what torch.load reads with
`weights_only=True`, so that no checkpoint can run code.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from archspec.train.errors import TrainError
from archspec.train.sets import Facts
from archspec.version import VERSION
from archspec.weights import files

if TYPE_CHECKING:
    from archspec.network import Program

LAST, BEST = "last", "best"
SAMPLES = "samples"  # pictures that a network makes, one file an epoch
_FOLDER = "checkpoints"
FORMAT = 1
_APART = 1_000_003  # the seeds of processes from one another


def replaced(path: Path, content: bytes) -> None:
    """A file, written whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _synced(path.parent)


def _synced(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Checkpoint(NamedTuple):
    """What is written: weights, what is needed to go on, what they are, the spec's files.

    `others` are weights and spec of the networks beside the main one, by name.
    """

    weights: Mapping[str, Tensor]
    state: Mapping[str, Any]
    facts: Mapping[str, Any]
    spec: Mapping[str, str]
    others: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, str]]] = {}


def write(run: Path, name: str, made: Checkpoint) -> None:
    """A checkpoint of a run. One that is there already, of a run gone on with, is replaced."""
    folder = run / _FOLDER
    temporary = folder / f"{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _network(temporary, made.weights, made.spec)
    for other, (weights, spec) in made.others.items():
        _network(temporary / other, weights, spec)
    torch.save(dict(made.state), temporary / "state.pt")
    (temporary / "facts.json").write_text(json.dumps(made.facts, indent=1), encoding="utf-8")
    for file in sorted(temporary.rglob("*")):
        _synced(file)
    _synced(temporary)
    shutil.rmtree(folder / name, ignore_errors=True)
    temporary.replace(folder / name)
    _synced(folder)


def _network(folder: Path, weights: Mapping[str, Tensor], spec: Mapping[str, str]) -> None:
    """A network's weights, and the files of its spec."""
    folder.mkdir(exist_ok=True)
    files.save(weights, folder / "model.safetensors", {files.MARK: VERSION}, force=True)
    for path, text in spec.items():
        place = folder / "spec" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def point(run: Path, pointer: str, name: str) -> None:
    """Makes a pointer show a checkpoint."""
    replaced(run / pointer, f"{name}\n".encode())


def pointed(run: Path, pointer: str) -> Path | None:
    """The checkpoint that a pointer shows, if there is one."""
    try:
        name = (run / pointer).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = run / _FOLDER / name
    return folder if folder.is_dir() else None


def tidy(run: Path) -> None:
    """Removes the checkpoints that nothing points at, and what was not finished."""
    kept = {pointed(run, LAST), pointed(run, BEST)}
    for folder in (run / _FOLDER).iterdir():
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------ reading


def found(path: str | Path, prefer: str = BEST) -> Path:
    """The checkpoint at a path: it is one, or a run's folder. Raises TrainError."""
    path = Path(path)
    if (path / "facts.json").is_file():
        return path
    for pointer in dict.fromkeys((prefer, LAST, BEST)):
        one = pointed(path, pointer)
        if one is not None:
            return one
    message = f"`{path}` is no checkpoint, and no run's folder that has one"
    raise TrainError("E808", message, "for example runs/lenet5; `archspec train` makes them")


def facts_of(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises TrainError."""
    try:
        record = json.loads((checkpoint / "facts.json").read_text(encoding="utf-8"))
        Facts.of(record["data"])
    except (OSError, ValueError, KeyError, TypeError) as bad:
        message = f"`{checkpoint}` cannot be read: {bad}"
        raise TrainError("E808", message, "take another checkpoint of the run") from None
    if record.get("format") != FORMAT:
        message = f"`{checkpoint}` is of format {record.get('format')}; {FORMAT} is read here"
        raise TrainError("E808", message, f"it was written by archspec {record.get('archspec')}")
    return record  # type: ignore[no-any-return]


def state_of(checkpoint: Path) -> dict[str, Any]:
    """What is needed to go on from a checkpoint. Raises TrainError."""
    try:
        found: dict[str, Any] = torch.load(
            checkpoint / "state.pt", weights_only=True, map_location="cpu"
        )
    except Exception as bad:  # of zip, pickle or torch: the file is damaged in some way
        message = f"`{checkpoint / 'state.pt'}` cannot be read: {type(bad).__name__}"
        raise TrainError("E808", message, "take another checkpoint of the run") from None
    return found


def programs_of(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Program]:
    """The networks that a checkpoint is of, by name; one that is alone has none: "".

    Raises TrainError where one was not archspec's.
    """
    specs = {"": record["spec"], **record.get("others", {})}
    return {
        name: program_of(folder, spec)
        for (name, folder), spec in zip(
            folders_of(checkpoint, record).items(), specs.values(), strict=True
        )
    }


def folders_of(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Where each network of a checkpoint is, by its name: the main one at the top."""
    others = record.get("others", {})
    return {record.get("main", ""): checkpoint, **{name: checkpoint / name for name in others}}


def weights_of(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint, as the module that was trained has them."""
    from safetensors.torch import load_file

    return {
        f"{name}.{key}" if name else key: value
        for name, folder in folders_of(checkpoint, record).items()
        for key, value in load_file(folder / "model.safetensors").items()
    }


def program_of(checkpoint: Path, spec: Mapping[str, Any] | None) -> Program:
    """A network by what a checkpoint says of it. Raises TrainError where it was not archspec's."""
    from archspec import network

    if spec is None:
        message = f"`{checkpoint}` is of a module that archspec did not build"
        raise TrainError("E808", message, "load model.safetensors into it yourself")
    inputs = {name: tuple(shape) for name, shape in spec["inputs"].items()}
    choice = network.Choice(variant=spec["variant"], params=spec["params"], inputs=inputs)
    return network.prepare(checkpoint / "spec" / spec["file"], choice)


def spec_record(program: Program | None) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """What was chosen of a spec, as plain data; and the texts of its files by their names."""
    if program is None:
        return None, {}
    top = Path(program.source.name)
    texts = {
        top.name if source is program.source else os.path.relpath(name, top.parent): source.text
        for name, source in program.sources.items()
    }
    choice = program.choice
    record = {
        "name": program.name, "file": top.name, "variant": choice.variant,
        "params": dict(choice.params),
        "inputs": {name: list(shape) for name, shape in choice.inputs.items()},
    }  # fmt: skip
    return record, {name: text for name, text in texts.items() if ".." not in Path(name).parts}


# ------------------------------------------------------------------ random numbers


def randomness() -> dict[str, Any]:
    """The states of all generators: of Python, NumPy, torch and each GPU."""
    import numpy

    theirs: Any = numpy.random.get_state(legacy=False)
    words = torch.from_numpy(theirs["state"]["key"].astype("int64"))
    version, numbers, following = random.getstate()
    return {
        "python": [version, list(numbers), following],
        "numpy": {**theirs, "state": {**theirs["state"], "key": words}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_randomness(state: Mapping[str, Any]) -> None:
    import numpy

    version, numbers, following = state["python"]
    random.setstate((version, tuple(numbers), following))
    theirs = state["numpy"]
    words = theirs["state"]["key"].numpy().astype("uint32")
    numpy.random.set_state({**theirs, "state": {**theirs["state"], "key": words}})
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_all(seed: int, rank: int = 0) -> None:
    """All generators at their beginning; each process of several draws numbers of its own."""
    import numpy

    seed += _APART * rank
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)
