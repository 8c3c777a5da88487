"""Path or state_dict → Archive: names, shapes and dtypes at once, data when it is asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from archspec.save import replacing
from archspec.weights import header as headers
from archspec.weights.errors import WeightsError
from archspec.weights.recipes import Stored

if TYPE_CHECKING:
    from torch import Tensor

MARK = "archspec"  # the key of the metadata that says which version wrote a file
WRAPPERS = ("module.", "_orig_mod.")  # DistributedDataParallel and torch.compile put them around


class Archive(Protocol):
    """Tensors by name: what is known before data is read, and the data.

    `metadata` are the texts that a safetensors file carries beside them; `notes` what was taken
    off on the way.
    """

    name: str
    header: dict[str, Stored]
    metadata: dict[str, str]
    notes: list[str]

    def tensor(self, name: str) -> Tensor: ...


class _Unwrapped:
    """An archive without the prefix that all its names have."""

    def __init__(self, inner: Archive, prefix: str) -> None:
        self.inner, self.prefix, self.name = inner, prefix, inner.name
        self.metadata = inner.metadata
        self.header = {k.removeprefix(prefix): v for k, v in inner.header.items()}
        self.notes = [*inner.notes, f"`{prefix}` taken off all names"]

    def tensor(self, name: str) -> Tensor:
        return self.inner.tensor(self.prefix + name)


class Given:
    """A state_dict in memory."""

    def __init__(self, state: Mapping[str, Any], name: str = "state_dict") -> None:
        import torch

        self.name, self.metadata = name, dict[str, str]()
        self.notes: list[str] = []
        self.header: dict[str, Stored] = {}
        self._state = state
        headers.bounded(len(state), name)
        for key, value in state.items():
            if not isinstance(key, str) or not isinstance(value, torch.Tensor):
                what = f"{type(key).__name__} -> {type(value).__name__}"
                message = f"`{name}` holds `{headers.plain(str(key))}`, {what}; not name -> tensor"
                raise WeightsError("E605", message, "give the model's state_dict alone")
            headers.printable(key, name)
            if value.layout is not torch.strided or value.is_quantized or value.is_nested:
                message = f"`{key}` in `{name}` is no plain tensor of numbers ({value.layout})"
                raise WeightsError("E608", message, "save it dense, as float32")
            self.header[key] = Stored(tuple(value.shape), str(value.dtype).removeprefix("torch."))

    def tensor(self, name: str) -> Tensor:
        found: Tensor = self._state[name].detach().to("cpu")
        return found


class _Safetensors:
    """A safetensors file."""

    def __init__(self, file: IO[bytes], path: Path, name: str) -> None:
        self.name, self.notes = name, list[str]()
        size = os.fstat(file.fileno()).st_size
        self.header, self.metadata = headers.read(file, size, name)
        self._path = path
        self._data: Any = None

    def tensor(self, name: str) -> Tensor:
        try:
            if self._data is None:
                self._data = _library().safe_open(self._path, framework="pt", device="cpu")
            found: Tensor = self._data.get_tensor(name)
        except (OSError, ValueError, _library().SafetensorError) as bad:
            message = f"`{self.name}` cannot be read: {headers.plain(str(bad))}"
            raise WeightsError("E604", message, "fetch or save the file again") from None
        wanted = self.header[name]
        if (tuple(found.shape), f"torch.{wanted.dtype}") != (wanted.shape, str(found.dtype)):
            message = f"`{self.name}` changed while it was read"
            raise WeightsError("E604", message, "nothing else may write it")
        return found


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

            found: Archive = Given(*read(file, path, name))
        else:
            _recognised(start, size, name)
            found = _Safetensors(file, path, name)
        yield unwrapped(found)


def unwrapped(archive: Archive) -> Archive:
    """Without the prefixes that DistributedDataParallel and torch.compile put before all names."""
    for prefix in WRAPPERS:
        if archive.header and all(name.startswith(prefix) for name in archive.header):
            return unwrapped(_Unwrapped(archive, prefix))
    return archive


def _recognised(start: bytes, size: int, name: str) -> None:
    """Raises WeightsError for what is clearly something else than safetensors."""
    if not size:
        raise WeightsError("E604", f"`{name}` is empty", "fetch or save the file again")
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
            help = (
                "where you trust it: torch.load(…, weights_only=True), then archspec.weights.save"
            )
            raise WeightsError("E605", message, help)


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
    if not force and os.path.lexists(path) and not _ours(path):
        message = f"`{path}` is there and was not written by archspec"
        raise WeightsError("E603", message, "force=True (--force) replaces it")
    plain = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
    try:
        with replacing(path) as temporary:
            save_file(plain, temporary, metadata={"format": "pt", **metadata})
    except OSError as failed:
        raise WeightsError("E603", f"`{path}` cannot be written: {failed.strerror}") from None


def _ours(path: Path) -> bool:
    """Whether a file is one that `save` wrote."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with opened(path) as archive:
            return MARK in archive.metadata
    except WeightsError:
        return False
