"""Path or state_dict → Archive: names, shapes and dtypes at once, data when it is asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archspec.save import NotOursError, replacing
from archspec.weights import header as headers
from archspec.weights.errors import WeightsError, unusable
from archspec.weights.recipes import Stored

if TYPE_CHECKING:
    from torch import Tensor

MARK = "archspec"  # the key of the metadata that says which version wrote a file
WRAPPERS = ("module.", "_orig_mod.")  # DistributedDataParallel and torch.compile put them around


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
        if value.layout is not torch.strided or value.is_quantized or value.is_nested:
            message = f"`{key}` in `{name}` is no plain tensor of numbers ({value.layout})"
            raise WeightsError("E608", message, "save it dense, as float32")
        header[key] = Stored.of(value)
    return Archive(name, header, lambda key: state[key].detach().to("cpu"))


def _safetensors(file: IO[bytes], path: Path, size: int) -> Archive:
    """A safetensors file of `size` bytes."""
    name = path.name
    header, metadata = headers.read(file, size, name)

    @cache
    def data() -> Any:
        return _library().safe_open(path, framework="pt", device="cpu")

    def tensor(key: str) -> Tensor:
        try:
            found: Tensor = data().get_tensor(key)
        except (OSError, ValueError, _library().SafetensorError) as bad:
            raise unusable(name, f"cannot be read: {headers.plain(str(bad))}") from None
        if Stored.of(found) != header[key]:
            message = f"`{name}` changed while it was read"
            raise WeightsError("E604", message, "nothing else may write it")
        return found

    return Archive(name, header, tensor, metadata)


@contextmanager
def opened(path: str | Path, most: int | None = None) -> Iterator[Archive]:
    """The tensors of a file, safetensors or torch's zip, told apart by its first bytes.

    `most`: bytes that it may have. Raises WeightsError.
    """
    path = Path(path)
    name = path.name
    with _regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            message = f"`{name}` has {size:,} bytes, out of all proportion to the model"
            raise WeightsError("E606", message, f"at most {most:,} are read")
        start = file.read(8)
        file.seek(0)
        if start[:4] == b"PK\x03\x04":
            from archspec.weights.zips import read

            found = given(read(file, path), name)
        else:
            _recognised(start, size, name)
            found = _safetensors(file, path, size)
        yield unwrapped(found)


def unwrapped(archive: Archive) -> Archive:
    """Without the prefixes that DistributedDataParallel and torch.compile put before all names."""
    names = archive.header
    for prefix in WRAPPERS:
        if names and all(name.startswith(prefix) for name in names):
            break
    else:
        return archive
    inner = replace(
        archive,
        header={name.removeprefix(prefix): stored for name, stored in names.items()},
        tensor=lambda name: archive.tensor(prefix + name),
        notes=(*archive.notes, f"`{prefix}` taken off all names"),
    )
    return unwrapped(inner)


def _recognised(start: bytes, size: int, name: str) -> None:
    """Raises WeightsError for what is clearly something else than safetensors."""
    if not size:
        raise unusable(name, "is empty")
    kinds = {
        b"\x80": "a plain pickle (torch.save wrote such before 1.6)",
        b"\x89HDF": "an HDF5 file",
        b"\x93NUM": "a NumPy file",
    }
    for mark, kind in kinds.items():
        if start.startswith(mark) and start[7:8]:
            length = int.from_bytes(start, "little")
            if mark == b"\x80" and 8 + length <= size:
                continue  # a header whose length happens to begin so
            message = f"`{name}` is {kind}; safetensors and torch's zip files are read"
            how = "torch.load(…, weights_only=True), then archspec.weights.save"
            raise WeightsError("E605", message, f"where you trust it: {how}")


def _regular(path: Path) -> IO[bytes]:
    """A regular file, open for reading. Raises WeightsError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
        reason = "it is no regular file"
    except OSError as failed:
        reason = failed.strerror or str(failed)
    except ValueError:
        reason = "its path contains a NUL character"
    message = f"`{headers.plain(str(path))}` cannot be read: {reason}"
    raise WeightsError("E603", message, "give the path of a .safetensors or .pt file")


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
    _library()
    from safetensors.torch import save_file

    path = Path(path)
    plain = _apart({name: value.detach().to("cpu") for name, value in tensors.items()})
    try:
        with replacing(path, _ours, force=force) as temporary:
            save_file(plain, temporary, metadata={"format": "pt", **metadata})
    except NotOursError as error:
        raise WeightsError("E603", str(error), "force=True (--force) replaces it") from None
    except OSError as failed:
        raise WeightsError("E603", f"`{path}` cannot be written: {failed.strerror}") from None


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each with numbers of its own, one after the other: a format of names has no shared ones."""
    seen: set[int] = set()
    found = {}
    for name, value in tensors.items():
        value = value.contiguous()
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
