"""A file that torch.save wrote → its tensors; nothing in it is executed.

Only through `torch.load(weights_only=True)`, never again in another way where that refuses; and
only after the zip's directory has been looked at, because a few bytes of it can unfold to
gigabytes.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archspec.weights import entries
from archspec.weights import header as headers
from archspec.weights.entries import Pick
from archspec.weights.errors import WeightsError, damaged, some, unusable
from archspec.weights.recipes import odd

if TYPE_CHECKING:
    from torch import Tensor

OLDEST = (2, 10)  # weights_only of earlier releases could be got round

_KINDS = {
    "archive_format": "a program that torch.export saved (.pt2)",
    "serialized_exported_program.json": "a program that torch.export saved (.pt2)",
    "constants.pkl": "a TorchScript archive",
}
_CHUNK = 1 << 20
# What zipfile raises of a torn file. RuntimeError: a flag that says encrypted, or patched;
# ValueError: a name that is not the UTF-8 that a flag promises.
_TORN = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error)
_ALONE = "save the model's state_dict alone, best with archspec.weights.save"


def read(file: IO[bytes], path: Path, pick: Pick) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is meant of an open zip file: tensors by name, their data mapped and not yet read.

    And what is to be said of where they stood. The arguments of a command line beside them, which
    trainers keep as argparse's Namespace, are let pass: it holds values and does nothing.

    Raises WeightsError.
    """
    name = path.name
    sizes = _directory(file, name)
    torch = _torch()
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
            warnings.simplefilter("ignore")  # of storage classes; nothing that concerns the reader
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:  # torch's refusal; nothing is unpickled in archspec
        raise _refused(path, name) from None
    except Exception as bad:  # of a damaged file torch raises almost anything
        said = " ".join(str(bad).split())[:120]
        raise unusable(name, f"cannot be read: {headers.plain(said)}") from None
    state, notes = entries.chosen(found, name, pick)
    storages = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and not odd(value) and not value.is_meta:
            _stored(str(key), value, name)
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
    if Counter(filter(None, storages.values())) - sizes:  # a map reads on, into what comes behind
        raise damaged(name, "tensors have more bytes than its entries")
    return state, notes


def sound(path: Path) -> None:
    """Raises WeightsError where the bytes of an entry are not those that its CRC is of.

    A CRC of 0 is one that torch.save was told not to compute.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.CRC:
                continue
            try:
                with archive.open(entry) as data:
                    while data.read(_CHUNK):
                        pass
            except _TORN:
                place = headers.plain(entry.filename)
                raise damaged(path.name, f"the bytes of `{place}` are not those saved") from None


def _directory(file: IO[bytes], name: str) -> Counter[int]:
    """How many entries are of so many bytes.

    Raises WeightsError for a zip that torch.save does not write.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except _TORN as bad:
        cut = "it is cut off" if "not a zip file" in str(bad) else headers.plain(str(bad))
        raise damaged(name, cut) from None
    size = file.seek(0, 2)
    headers.bounded(len(entries), name)
    for place, times in Counter(entry.filename for entry in entries).most_common(1):
        if times > 1:  # of which the one that is checked need not be the one that is read
            raise damaged(name, f"it has `{headers.plain(place)}` twice")
    for entry in entries:
        kind = _KINDS.get(entry.filename.rpartition("/")[2])
        if kind is not None:
            message = f"`{name}` is {kind}, which holds code; only tensors are read"
            raise WeightsError("E605", message, _ALONE)
    packed = next((e.filename for e in entries if e.compress_type != zipfile.ZIP_STORED), "")
    if packed or sum(entry.file_size for entry in entries) > size:
        what = f"`{headers.plain(packed)}` is compressed" if packed else "its entries overlap"
        message = f"`{name}` unfolds to more than it is: {what}, which torch.save never does"
        raise WeightsError("E606", message, _ALONE)
    pickles = [e for e in entries if e.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        message = f"`{name}` is a zip file, but not one that torch.save wrote"
        raise WeightsError("E605", message, "give a .safetensors file, or torch.save's")
    if pickles[0].file_size > headers.HEADER:
        message = f"`{name}` describes its tensors in {pickles[0].file_size:,} bytes"
        raise WeightsError("E606", message, f"at most {headers.HEADER:,} are read")
    return Counter(entry.file_size for entry in entries)


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        help = "pip install 'archspec[torch]'; safetensors files are described without"
        raise WeightsError("E601", "reading torch's files needs PyTorch", help) from None
    if tuple(map(int, torch.__version__.split("+")[0].split(".")[:2])) < OLDEST:
        message = f"torch {torch.__version__} does not read .pt files safely"
        help = "torch 2.10 or later does; or convert them to safetensors there"
        raise WeightsError("E602", message, help)
    return torch


def _refused(path: Path, name: str) -> WeightsError:
    """What stands in a pickle beside tensors."""
    import torch

    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it reads the same hostile bytes
        found = []
    if not found:
        message = f"`{name}` holds what is no tensor, or is damaged"
        return WeightsError("E605", message, _ALONE)
    names = some(sorted(map(headers.plain, found)))
    message = f"`{name}` is a pickle that names code ({names}); only tensors are read"
    help = "never load it elsewhere unless you trust where it comes from; " + _ALONE
    return WeightsError("E605", message, help)


def _stored(key: str, value: Tensor, name: str) -> None:
    """Raises WeightsError where a tensor claims more elements than the file stores for it."""
    bytes, stored = value.numel() * value.element_size(), value.untyped_storage().nbytes()
    if bytes > stored:
        message = (
            f"`{headers.plain(key)}` in `{name}` claims {bytes:,} bytes of which "
            f"{stored:,} are stored"
        )
        raise WeightsError("E606", message, _ALONE)
