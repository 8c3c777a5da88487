"""An index of several files → which tensor is in which: `model.safetensors.index.json`.

{"metadata": {"total_size": 24}, "weight_map": {"fc.weight": "model-00001-of-00002.safetensors", …}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from archspec.weights import header as headers
from archspec.weights.errors import WeightsError, damaged

SHARDS = 1_000
_NO = "\\/\0:"


def read(file: IO[bytes], size: int, name: str) -> dict[str, list[str]]:
    """The names of tensors in each file. Raises WeightsError."""
    if size > headers.HEADER:
        message = f"`{name}` has {size:,} bytes; at most {headers.HEADER:,} of an index are read"
        raise WeightsError("E606", message, "give a .safetensors file")
    try:
        found = json.loads(file.read(size).decode("utf-8"))
    except (ValueError, RecursionError):
        raise damaged(name, "it begins as JSON and is none") from None
    places = found.get("weight_map") if isinstance(found, Mapping) else None
    if not isinstance(places, Mapping) or not places:
        message = f"`{name}` is JSON, but no index of files with a `weight_map`"
        raise WeightsError("E605", message, "give model.safetensors.index.json, or the weights")
    headers.bounded(len(places), name)
    shards: dict[str, list[str]] = {}
    for key, shard in places.items():
        headers.printable(key, name)
        shards.setdefault(_beside(shard, name), []).append(key)
    if len(shards) > SHARDS:
        raise WeightsError("E606", f"`{name}` names {len(shards):,} files", "at most 1,000")
    return shards


def _beside(shard: Any, name: str) -> str:
    """The name of a file in the same folder."""
    plain = isinstance(shard, str) and shard not in ("", ".", "..")
    if not plain or any(char in shard for char in _NO) or headers.plain(shard) != shard:
        message = f"`{name}` names `{headers.plain(str(shard))}`, which is no file beside it"
        raise WeightsError("E604", message, "fetch the index and its files again")
    return str(shard)
