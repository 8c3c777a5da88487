"""A safetensors file's first bytes → the name, dtype, shape and place of every tensor; no torch.

The format: <https://huggingface.co/docs/safetensors>. Read here and not by the library, because a
transfer is planned before any data is read and without torch, and because the library takes the
last of two equal names.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from math import prod
from typing import IO, Any, NoReturn

from archspec.text.words import FORBIDDEN
from archspec.weights.errors import WeightsError, damaged
from archspec.weights.recipes import Stored

HEADER = 32 << 20  # bytes; the library allows 100 MB
TENSORS = 100_000
NAME = 1_000  # characters

# name in the file → as torch calls it, bytes of an element
DTYPES = {
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1), "C64": ("complex64", 8),
    "C128": ("complex128", 16), "I64": ("int64", 8), "I32": ("int32", 4), "I16": ("int16", 2),
    "I8": ("int8", 1), "U64": ("uint64", 8), "U32": ("uint32", 4), "U16": ("uint16", 2),
    "U8": ("uint8", 1), "BOOL": ("bool", 1),
}  # fmt: skip

Header = dict[str, Stored]


def read(file: IO[bytes], size: int, name: str) -> tuple[Header, dict[str, str]]:
    """The tensors of an open file of `size` bytes, and its metadata. Raises WeightsError."""
    lead = file.read(8)
    length = int.from_bytes(lead, "little")
    if len(lead) < 8 or 8 + length > size:
        raise damaged(name, "it ends before its header does")
    if length > HEADER:
        message = f"`{name}` has a header of {length:,} bytes; at most {HEADER:,} are read"
        raise WeightsError("E606", message, "a network of this size is saved in several files")
    try:
        entries = json.loads(
            file.read(length).decode("utf-8"), object_pairs_hook=_once, parse_constant=_number
        )
    except (ValueError, RecursionError) as bad:
        said = str(bad) if isinstance(bad, _RuleError) else "its header is no JSON"
        raise damaged(name, said) from None
    if not isinstance(entries, dict):
        raise damaged(name, "its header is no JSON object")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged(name, "its metadata are not texts")
    bounded(len(entries), name)
    places, header = [], {}
    for key, entry in entries.items():
        printable(key, name)
        header[key], place = _tensor(key, entry, name)
        places.append(place)
    _seamless(sorted(places), size - 8 - length, name)
    return header, metadata


class _RuleError(ValueError):
    """What JSON allows and this format does not."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, times in Counter(key for key, _ in pairs).most_common(1):
        if times > 1:
            raise _RuleError(f"its header has `{plain(key)}` twice")
    return dict(pairs)


def _number(text: str) -> NoReturn:
    raise _RuleError(f"its header holds {text}")


def _tensor(key: str, entry: Any, name: str) -> tuple[Stored, tuple[int, int]]:
    """What the header says of one tensor, and where its data begin and end."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged(name, f"its header does not say dtype, shape and place of `{key}`")
    code, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        message = f"`{name}` holds `{key}` as `{plain(str(code))}`, which is no known dtype"
        raise WeightsError("E608", message, "save it as float32")
    if not _sizes(shape) or not _sizes(place) or len(place) != 2 or len(shape) > 16:
        raise damaged(name, f"shape or place of `{key}` are not whole numbers from 0")
    dtype, width = DTYPES[code]
    if place[1] - place[0] != prod(shape) * width:
        needed, given = prod(shape) * width, place[1] - place[0]
        raise damaged(name, f"`{key}` {shape} of {dtype} is {needed:,} bytes, not {given:,}")
    return Stored(tuple(shape), dtype), (place[0], place[1])


def _sizes(node: Any) -> bool:
    return isinstance(node, list) and all(type(n) is int and n >= 0 for n in node)


def _seamless(places: list[tuple[int, int]], size: int, name: str) -> None:
    """The data of all tensors, one after the other, are the rest of the file."""
    for (_, stop), (start, _) in pairwise([(0, 0), *places, (size, size)]):
        if start != stop:
            how = "overlap" if start < stop else "leave a hole"
            if start == size:
                how = "are not as long as its header says"
            raise damaged(name, f"its tensors {how}")


def bounded(n: int, name: str) -> None:
    """Raises WeightsError for more tensors than any network has."""
    if n > TENSORS:
        message = f"`{name}` holds {n:,} tensors; at most {TENSORS:,} are read"
        raise WeightsError("E606", message, "save the model's state_dict alone")


def printable(key: str, name: str) -> None:
    """Raises WeightsError for a name that could not be shown as it is."""
    if len(key) > NAME:
        raise damaged(name, f"a tensor's name has {len(key):,} characters")
    if plain(key) != key:
        raise damaged(name, f"`{plain(key)}` is a tensor's name with control characters")


def plain(text: str) -> str:
    """Text that a terminal shows as it is; a long one cut."""
    text = re.sub(rf"{FORBIDDEN.pattern}|[\n\t]", "\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= NAME else text[:60] + "…"
