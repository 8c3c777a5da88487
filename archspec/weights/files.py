"""Path or state_dict → Archive: names, shapes and dtypes at once, data when it is asked for."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archspec.save import NotOursError, replacing
from archspec.text.beside import beside
from archspec.text.options import said
from archspec.weights import entries, folders, prefixes, shards
from archspec.weights import header as headers
from archspec.weights.entries import Pick
from archspec.weights.errors import WeightsError, some, unusable
from archspec.weights.recipes import Stored, elsewhere, odd, twins

if TYPE_CHECKING:
    from torch import Tensor

MARK = "archspec"  # the key of the metadata that says which version wrote a file
WHOLE = Pick()
_ENDING = ".safetensors"
# first bytes → what a file is that is no weights, and what to do
_READ = "reads it: give what it holds as a state_dict, name -> tensor"
_KINDS = {
    b"\x80": (
        "a plain pickle (torch.save wrote such before 1.6)",
        "where you trust it: torch.load(…, weights_only=True), then archspec.weights.save",
    ),
    b"\x89HDF": ("an HDF5 file", f"h5py {_READ}"),
    b"\x93NUM": ("a NumPy file", f"numpy.load {_READ}"),
    b"\x1f\x8b": ("a gzip archive", "gunzip unpacks it"),
    b"version ": ("a pointer of Git LFS to the file", "`git lfs pull` fetches the file itself"),
    b"<": ("a page of the web, not the file", "a link to the file itself fetches it"),
}
_NUMBERED = re.compile(r"os error (\d+)")  # as safetensors says what the system refused


@dataclass(frozen=True, slots=True)
class Archive:
    """Tensors by name: what is known before data is read, and what reads the data of one.

    `metadata` are the texts that a safetensors file carries beside them; `notes` what was taken
    off on the way.
    """

    name: str
    header: Mapping[str, Stored]
    tensor: Callable[[str], Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def given(state: Mapping[str, Any], name: str = "state_dict") -> Archive:
    """A state_dict in memory. Raises WeightsError."""
    import torch

    headers.bounded(len(state), name)
    header: dict[str, Stored] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            what = f"{type(key).__name__} -> {type(value).__name__}"
            message = f"`{name}` holds `{headers.plain(str(key))}`, {what}; not name -> tensor"
            raise WeightsError("E605", message, "give the model's state_dict alone")
        headers.printable(key, name)
        if elsewhere(value):
            message = f"`{key}` in `{name}` is a {type(value).__name__}, no plain tensor"
            raise WeightsError("E608", message, "give a full tensor: of a DTensor `full_tensor()`")
        if odd(value):
            message = f"`{key}` in `{name}` is no plain tensor of numbers ({value.layout})"
            raise WeightsError("E608", message, "save it dense, as float32")
        header[key] = Stored.of(value)

    def tensor(key: str) -> Tensor:
        value: Tensor = state[key].detach()
        if value.is_meta:
            message = f"`{key}` in `{name}` is on the meta device: it has a shape and no numbers"
            raise WeightsError("E608", message, "give the weights of a model that has some")
        return value.to("cpu")

    return Archive(name, header, tensor)


def _safetensors(file: IO[bytes], path: Path, size: int) -> Archive:
    """A safetensors file of `size` bytes."""
    name = path.name
    header, metadata = headers.read(file, size, name)
    again = _again(metadata, header) if MARK in metadata else {}

    @cache
    def data() -> Any:
        return _library().safe_open(path, framework="pt", device="cpu")

    def tensor(key: str) -> Tensor:
        try:
            found: Tensor = data().get_tensor(again.get(key, key))
        except (OSError, ValueError, _library().SafetensorError) as bad:
            raise unusable(name, f"cannot be read: {headers.plain(str(bad))}") from None
        if Stored.of(found) != header[again.get(key, key)]:
            message = f"`{name}` changed while it was read"
            raise WeightsError("E604", message, "nothing else may write it")
        return found

    both = header | {second: header[first] for second, first in again.items()}
    return Archive(name, both, tensor, metadata)


def _again(metadata: Mapping[str, str], names: Container[str]) -> dict[str, str]:
    """Second names of tensors, with the first, as `save` writes them."""
    return {n: first for n, first in metadata.items() if first in names and n not in names}


def held(state: Mapping[str, Any], pick: Pick, name: str = "state_dict") -> Archive:
    """What is meant of a state_dict or a checkpoint in memory. Raises WeightsError."""
    found, notes = entries.chosen(state, name, pick)
    return named(replace(given(found, name), notes=notes), pick)


def whole(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `save` wrote, those of two names under both."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        again = _again(file.metadata() or {}, found)
    return found | {name: found[first] for name, first in again.items()}


@contextmanager
def opened(path: str | Path, most: int | None = None, pick: Pick = WHOLE) -> Iterator[Archive]:
    """The tensors of a file: safetensors, an index of such, torch's zip; by its first bytes.

    Of a folder those of the file in it.

    `most`: bytes that it may have; `pick`: which of its tensors. Raises WeightsError.
    """
    yield named(_read(folders.weights(Path(path)), most, pick), pick)


def _read(path: Path, most: int | None, pick: Pick, *, shard: bool = False) -> Archive:
    """A file as it is, its names not yet looked at; a `shard` is no index of others."""
    try:
        with _regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            _in_proportion(path.name, size, most)
            start = file.read(8)
            file.seek(0)
            if start[:4] == b"PK\x03\x04":
                return _zip(file, path, pick)
            if pick.entry is not None:
                message = f"`{path.name}` has no entries: it is no checkpoint that torch.save wrote"
                raise WeightsError("E605", message, f"leave out {said('entry', pick.entry)}")
            if start[:1] == b"{" and int.from_bytes(start, "little") + 8 > size and not shard:
                return _sharded(path, shards.read(file, size, path.name), most)
            _recognised(start, size, path.name)
            return _safetensors(file, path, size)
    except OSError as failed:
        raise unusable(path.name, f"cannot be read: {failed.strerror or failed}") from None


def _zip(file: IO[bytes], path: Path, pick: Pick) -> Archive:
    """What is meant of a file that torch.save wrote."""
    from archspec.weights import zips

    state, notes = zips.read(file, path, pick)
    found = given(state, path.name)
    sound = cache(lambda: zips.sound(path))
    return replace(found, tensor=_after(sound, found.tensor), notes=notes)


def _after(first: Callable[[], None], tensor: Callable[[str], Tensor]) -> Callable[[str], Tensor]:
    def then(name: str) -> Tensor:
        first()
        return tensor(name)

    return then


def _sharded(path: Path, files: Mapping[str, list[str]], most: int | None) -> Archive:
    """The files of an index, as one."""
    header: dict[str, Stored] = {}
    homes: dict[str, Archive] = {}
    for shard, names in files.items():
        archive = _read(path.parent / shard, most, WHOLE, shard=True)
        if set(names) != set(archive.header):
            strange = sorted(set(names) ^ set(archive.header))
            message = f"`{path.name}` and `{shard}` do not agree about {some(strange)}"
            raise WeightsError("E604", message, "fetch the index and its files again")
        header |= archive.header
        homes |= dict.fromkeys(names, archive)
    _in_proportion(path.name, sum((path.parent / shard).stat().st_size for shard in files), most)
    notes = (f"an index of {len(files):,} files",)
    return Archive(path.name, header, lambda key: homes[key].tensor(key), notes=notes)


def named(archive: Archive, pick: Pick) -> Archive:
    """Its names without what wrappers put into them, and as the caller says.

    Raises WeightsError.
    """
    names, taken = prefixes.stripped([*archive.header], pick.wanted)
    names, done = prefixes.exchanged(names, pick.prefix, archive.name)
    if not taken and not done:
        return archive
    return replace(
        archive,
        header={name: archive.header[there] for name, there in names.items()},
        tensor=lambda name: archive.tensor(names[name]),
        notes=(*archive.notes, *taken, *done),
    )


def _in_proportion(name: str, size: int, most: int | None) -> None:
    if most is not None and size > most:
        message = f"`{name}` has {size:,} bytes, out of all proportion to the model"
        raise WeightsError("E606", message, f"at most {most:,} are read")


def _recognised(start: bytes, size: int, name: str) -> None:
    """Raises WeightsError for what is clearly something else than safetensors."""
    if not size:
        raise unusable(name, "is empty")
    if 8 + int.from_bytes(start, "little") <= size:
        return  # the length of a header, which happens to begin so
    for mark, (kind, help) in _KINDS.items():
        if start.startswith(mark):
            message = f"`{name}` is {kind}; safetensors and torch's zip files are read"
            raise WeightsError("E605", message, help)


def _regular(path: Path) -> IO[bytes]:
    """A regular file, open for reading. Raises WeightsError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    missing = False
    try:
        handle = os.open(path, flags)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
        reason = "it is no regular file"
    except OSError as failed:
        reason = failed.strerror or str(failed)
        missing = isinstance(failed, FileNotFoundError)
    except ValueError:
        reason = "its path contains a NUL character"
    message = f"`{headers.plain(str(path))}` cannot be read: {reason}"
    help = "give the path of a .safetensors or .pt file, or a source that the spec names"
    if re.match("https?:/", str(path)):
        help = "fetch it, and give the path; or name it in the spec: `weights: {file: {url: …}}`"
    help = (missing and beside(path)) or help
    raise WeightsError("E603", message, help)


def _library() -> Any:
    try:
        import safetensors
    except ModuleNotFoundError:
        help = "pip install 'archspec[torch]'"
        raise WeightsError("E602", "weights need the package safetensors", help) from None
    return safetensors


# ------------------------------------------------------------------ writing


def save(
    tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str], *, force: bool
) -> None:
    """Write a safetensors file, whole or not at all. Raises WeightsError."""
    path = Path(path)
    if path.suffix != _ENDING:  # torch.load would say of a .pt that its key is invalid
        message = f"`{path}` would be a safetensors file by another name"
        raise WeightsError("E603", message, f"name it `{path.stem or 'weights'}{_ENDING}`")
    for name, value in tensors.items():
        if value.is_meta:
            message = f"`{name}` of the model is on the meta device: it has a shape and no numbers"
            raise WeightsError("E614", message, "build it where it is to be, and load its weights")
    try:
        with replacing(path, _ours, force=force) as temporary:
            written(tensors, temporary, metadata)
    except NotOursError as error:
        raise WeightsError("E603", str(error), f"{said('force')} replaces it") from None
    except OSError as failed:
        raise WeightsError("E603", f"`{path}` cannot be written: {failed.strerror}") from None
    except KeyError as dtype:
        message = f"a tensor of the model is {dtype}, which safetensors files do not hold"
        raise WeightsError(
            "E608", message, "convert it, or save its state_dict with torch"
        ) from None


def written(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file. Raises OSError.

    A tensor of two names is written under the first; the metadata say what else it is called, as
    safetensors.torch.save_model does.
    """
    error = _library().SafetensorError
    from safetensors.torch import save_file

    again = twins(tensors)
    plain = _apart({n: v.detach().to("cpu") for n, v in tensors.items() if n not in again})
    try:
        save_file(plain, path, metadata={"format": "pt", **metadata, **again})
        _settle(path)
    except error as failed:
        number = _NUMBERED.search(str(failed))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def _settle(path: Path) -> None:
    """Puts the texts of a header in order: safetensors writes them in another one each time.

    Equal weights are equal files so, with one SHA-256.
    """
    with path.open("rb+") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(size)
        if len(text) == size:
            file.seek(8)
            file.write(text)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each with numbers of its own, one after the other: a format of names has no shared ones."""
    seen: set[int] = set()
    found = {}
    for name, value in tensors.items():
        value = value.resolve_conj().resolve_neg().contiguous()
        place = value.untyped_storage().data_ptr()
        found[name] = value.clone() if place in seen else value
        seen.add(place)
    return found


def _ours(path: Path) -> bool:
    """Whether a file is one that `save` wrote."""
    try:
        with opened(path) as archive:
            return MARK in archive.metadata
    except WeightsError:
        return False
