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
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from archspec import network, shelf
from archspec.train import hub
from archspec.train.errors import TrainError
from archspec.train.sets import Facts
from archspec.version import VERSION
from archspec.weights import files, folders
from archspec.weights.folders import CHECKPOINTS

if TYPE_CHECKING:
    from archspec.network import Program

LAST, BEST = folders.LAST, folders.BEST
pointed = folders.pointed
SAMPLES = "samples"  # pictures that a network makes, one file an epoch
FORMAT = 1
_APART = 1_000_003  # the seeds of processes from one another
_PLAIN = re.compile(r"[\w.-]+(/[\w.-]+)*\.ya?ml")  # names that files may have anywhere


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Raises TrainError where the system refuses to write: a disk that is full."""
    try:
        yield
    except OSError as failed:
        message = f"`{place}` cannot be written: {failed.strerror}"
        help = "what was written before is whole: make room, and `archspec train --resume RUN`"
        raise TrainError("E808", message, help) from None


def replaced(path: Path, content: bytes) -> None:
    """A file, written whole or not at all. Raises TrainError."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
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
    """What is written: weights, what is needed to go on (if one may), what they are, texts.

    The texts are the spec's, and what is for people to read, by their places; `others` are weights
    and texts of the networks beside the main one, by name.
    """

    weights: Mapping[str, Tensor]
    state: Mapping[str, Any] | None
    facts: Mapping[str, Any]
    texts: Mapping[str, str]
    others: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, str]]] = {}


def write(run: Path, name: str, made: Checkpoint) -> None:
    """A checkpoint of a run. One that is there already, of a run gone on with, is replaced."""
    folder = run / CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    placed(folder / name, made)


def placed(folder: Path, made: Checkpoint) -> None:
    """The folder of a checkpoint, whole or not at all. Raises TrainError."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with _writing(folder):
        temporary.mkdir()
        try:
            _filled(temporary, made)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _synced(folder.parent)


def _filled(folder: Path, made: Checkpoint) -> None:
    """Writes what a checkpoint holds, and brings it to the disk."""
    if made.state is not None:
        _saved(made.state, folder / "state.pt")
    facts = json.dumps(made.facts, indent=1)
    _network(folder, made.weights, {"facts.json": facts, **made.texts})
    for name, (weights, texts) in made.others.items():
        _network(folder / name, weights, texts)
    for file in sorted(folder.rglob("*")):
        _synced(file)
    _synced(folder)


def _saved(state: Mapping[str, Any], path: Path) -> None:
    """torch.save, which keeps what the system says behind an error of its own. Raises OSError."""
    with path.open("wb") as file:
        try:
            torch.save(dict(state), file)
        except RuntimeError as failed:
            raise failed.__context__ or failed from None


def _network(folder: Path, weights: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """A network's weights, and texts by their places."""
    folder.mkdir(exist_ok=True)
    files.written(weights, folder / "model.safetensors", {files.MARK: VERSION})
    for path, text in texts.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def point(run: Path, pointer: str, name: str) -> None:
    """Makes a pointer show a checkpoint."""
    replaced(run / pointer, f"{name}\n".encode())


def tidy(run: Path) -> None:
    """Removes the checkpoints that nothing points at, and what was not finished."""
    kept = {pointed(run, LAST), pointed(run, BEST)}
    for folder in (run / CHECKPOINTS).iterdir():
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------ reading


def found(path: str | Path, prefer: str = BEST) -> Path:
    """The checkpoint at a path: it is one, a run's folder, or `hf://owner/name` of the Hub.

    Raises TrainError.
    """
    path = hub.fetched(path) if hub.repository(path) else Path(path)
    if (path / "facts.json").is_file():
        return path
    for pointer in dict.fromkeys((prefer, LAST, BEST)):
        one = pointed(path, pointer)
        if one is not None:
            return one
    message = f"`{path}` is no checkpoint, and no run's folder that has one"
    raise TrainError("E808", message, _instead(path))


def _instead(path: Path) -> str:
    """What may be meant by a path that is no run."""
    if shelf.find(path).suffix in (".yaml", ".yml"):
        return f"it is a spec: `archspec train {quote(str(path))} --data …` makes a run of it"
    if (path / "plan.yaml").is_file():
        return "the run ended before its first checkpoint: begin it anew, in the same folder"
    inside = [one for one in path.glob("*") if pointed(one, LAST)] if path.is_dir() else []
    if inside:
        latest = max(inside, key=lambda one: one.stat().st_mtime)
        return f"it holds {len(inside)}: name one, for example {latest}"
    return "for example runs/lenet5; `archspec train` makes them"


def facts_of(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises TrainError."""
    try:
        record = json.loads((checkpoint / "facts.json").read_text(encoding="utf-8"))
        Facts.of(record["data"])
        odd = [name for name in record.get("others", ()) if not name.isidentifier()]
        if odd:
            raise ValueError(f"`{odd[0]}` is no name of a network")
    except (OSError, ValueError, KeyError, TypeError) as bad:
        message = f"`{checkpoint}` cannot be read: {bad}"
        raise TrainError("E808", message, "take another checkpoint of the run") from None
    if record.get("format") != FORMAT:
        message = f"`{checkpoint}` is of format {record.get('format')}; {FORMAT} is read here"
        raise TrainError("E808", message, f"it was written by archspec {record.get('archspec')}")
    return record  # type: ignore[no-any-return]


def state_of(checkpoint: Path) -> dict[str, Any]:
    """What is needed to go on from a checkpoint. Raises TrainError."""
    if not (checkpoint / "state.pt").exists():
        message = f"`{checkpoint}` holds a trained network, and nothing to go on with"
        help = "go on with the folder of its run, or start a new run from its weights"
        raise TrainError("E808", message, help)
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
    specs = [record["spec"], *record.get("others", {}).values()]
    folders = folders_of(checkpoint, record).items()
    return {
        name: program_of(folder, {"spec": spec})
        for (name, folder), spec in zip(folders, specs, strict=True)
    }


def folders_of(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Where each network of a checkpoint is, by its name: the main one at the top."""
    others = record.get("others", {})
    return {record.get("main", ""): checkpoint, **{name: checkpoint / name for name in others}}


def weights_of(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint, as the module that was trained has them."""
    return {
        f"{name}.{key}" if name else key: value
        for name, folder in folders_of(checkpoint, record).items()
        for key, value in files.whole(folder / "model.safetensors").items()
    }


def program_of(checkpoint: Path, record: Mapping[str, Any]) -> Program:
    """The network that a checkpoint is of. Raises TrainError where it was not archspec's."""
    spec = record["spec"]
    if spec is None:
        message = f"`{checkpoint}` is of a module that archspec did not build"
        raise TrainError("E808", message, "load model.safetensors into it yourself")
    try:
        files = tuple(
            (str(name), own and str(own), _text(checkpoint, str(place)))
            for name, own, place in spec["files"]
        )
        choice = network.Choice(
            variant=spec["variant"], params=dict(spec["params"]), allow_outside=spec["outside"],
            inputs={name: tuple(shape) for name, shape in spec["inputs"].items()},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as bad:
        message = f"`{checkpoint}` does not hold its spec: {type(bad).__name__}: {bad}"
        raise TrainError("E808", message, "take another checkpoint of the run") from None
    return network.of_texts(files, choice)


def _text(checkpoint: Path, place: str) -> str:
    """A text of the spec. Raises ValueError for a place outside of the checkpoint."""
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts or "\\" in place:
        raise ValueError(f"`{place}` leads out of it")
    return (checkpoint / path).read_text(encoding="utf-8")


def spec_record(program: Program | None) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """What was chosen of a spec, as plain data; and the texts of its files by their places."""
    if program is None:
        return None, {}
    choice, files, texts = program.choice, [], {}
    for number, (name, own, text) in enumerate(network.texts(program)):
        inside = _PLAIN.fullmatch(name) and ".." not in PurePosixPath(name).parts
        own_name = own or f"{program.name}.yaml"
        place = f"spec/{name}" if inside else f"spec/{f'{number}-' if number else ''}{own_name}"
        files.append([name, own, place])
        texts[place] = text
    record = {
        "name": program.name, "files": files, "outside": choice.allow_outside,
        "variant": choice.variant, "params": dict(choice.params),
        "inputs": {name: list(shape) for name, shape in choice.inputs.items()},
    }  # fmt: skip
    return record, texts


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
