"""What a spec names under `weights` → its tensors: fetched, or found where they are kept."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.language import Spec
from archspec.language.weights import Published
from archspec.network import Program
from archspec.save import replacing
from archspec.weights import files
from archspec.weights.entries import Pick
from archspec.weights.errors import WeightsError
from archspec.weights.header import plain

if TYPE_CHECKING:
    from archspec.weights.files import Archive

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 20
_ROOM = 64  # times the model's bytes that a file may have: a backbone of a large checkpoint fits
_MARGIN = 64 << 20


class Part(NamedTuple):
    """A file's share of a network: the network itself, or what a call of a used file has."""

    spec: Spec
    variant: str  # by which the section `weights` knows it
    file: Path | None
    path: str = ""  # of the call
    params: Mapping[str, Any] = {}

    @classmethod
    def of(cls, program: Program) -> Part:
        """The network itself."""
        variant = program.variant or program.spec.name
        return cls(program.spec, variant, program.source.path)


def room(size: int) -> int:
    """The bytes that a file for `size` numbers may have."""
    return _MARGIN + _ROOM * 8 * size


@contextmanager
def fetched(part: Part, source: str, most: int, pick: Pick) -> Iterator[Archive]:
    """The tensors of what a spec names; a file of at most `most` bytes. Raises WeightsError."""
    entry = named(part, source)
    if isinstance(entry, Published):
        with files.opened(_file(entry, part, most), most, pick) as archive:
            yield archive
    elif source == "torchvision":
        yield files.held(_torchvision(entry), pick, entry)
    else:
        yield files.held(_timm_state(entry), pick, entry)


def named(part: Part, source: str) -> str | Published:
    """What a spec says of a source, for its variant. Raises WeightsError."""
    section, name = part.spec.weights, part.spec.name
    known = section.sources if section is not None else {}
    if source not in known:
        message = f"`{name}` names no weights of {source}"
        there = ", ".join(f'"{other}"' for other in known)
        lacking = f"`weights: {{{source}: …}}` in the spec, or a path"
        raise WeightsError("E617", message, f"it names {there}" if there else lacking)
    found = known[source].get(part.variant)
    if found is None:
        message = f"`{name}` names no weights of {source} for `{part.variant}`"
        help = "it has them for " + ", ".join(f"`{other}`" for other in known[source])
        raise WeightsError("E617", message, help)
    return found


def library(name: str) -> Any:
    """torchvision or timm. Raises WeightsError."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as missing:
        message = f"this source needs {name}: {_reason(missing)}"
        raise WeightsError("E602", message, f"pip install 'archspec[{name}]'") from None


# ------------------------------------------------------------------ torchvision


def enum(entry: str) -> Any:
    """A member of one of torchvision's enums of weights."""
    try:
        return library("torchvision").models.get_weight(entry)
    except (ValueError, KeyError):
        message = f"torchvision has no weights `{entry}`"
        raise WeightsError("E617", message, "its documentation lists them") from None


def _torchvision(entry: str) -> Any:
    import torch

    member = enum(entry)
    file = member.url.rpartition("/")[2]
    cache = Path(torch.hub.get_dir(), "checkpoints", file)
    _cached(cache)
    try:
        return member.get_state_dict(
            progress=False, check_hash=True, weights_only=True, map_location="cpu"
        )
    except Exception as failed:  # no network, a proxy's page, a file that is not the one meant
        message = f"`{entry}` cannot be fetched: {_reason(failed)}"
        raise WeightsError("E615", message, f"put {member.url} into {cache.parent}") from None


def _cached(path: Path) -> None:
    """Raises WeightsError where a file fetched earlier is not the one its name says."""
    wanted = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if wanted and path.is_file() and not _sha256(path).startswith(wanted[1]):
        message = f"`{path}` is not the file that its name says (SHA-256)"
        raise WeightsError("E616", message, "delete it, so that it is fetched again")


def _reason(failed: Exception) -> str:
    text = plain(" ".join(str(failed).split()))
    return f"{type(failed).__name__}: {text}" if text else type(failed).__name__


# ------------------------------------------------------------------ timm


def _timm_state(name: str) -> Any:
    timm = library("timm")
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as failed:
        hub = timm_config(name).get("hf_hub_id") or name
        message = f"`{name}` cannot be fetched: {_reason(failed)}"
        help = f"give the path of model.safetensors of https://huggingface.co/{hub}"
        raise WeightsError("E615", message, help) from None


def timm_config(name: str) -> dict[str, Any]:
    """What timm says of the training of a model: size, mean, interpolation."""
    config = library("timm").models.get_pretrained_cfg(name)
    return config.to_dict() if config is not None else {}


def reference(origin: str, name: str) -> Any:
    """A model of torchvision or timm with random weights. Raises WeightsError."""
    if origin not in ("torchvision", "timm"):
        message = f"`{origin}` is no library of models"
        raise WeightsError("E617", message, "torchvision:resnet50, timm:resnet50")
    found = library(origin)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how weights are initialised that nobody keeps
            if origin == "timm":
                return found.create_model(name)
            # of a detector or a segmenter the backbone too would be fetched, if nothing was said
            takes = signature(found.models.get_model_builder(name)).parameters
            none = {key: None for key in ("weights", "weights_backbone") if key in takes}
            return found.models.get_model(name, **none)
    except (ValueError, RuntimeError, TypeError) as failed:
        raise WeightsError("E617", f"{origin} has no model `{name}`: {_reason(failed)}") from None


# ------------------------------------------------------------------ files and addresses


def _file(named: Published, part: Part, most: int) -> Path:
    """The file on this machine, its SHA-256 compared."""
    if named.url:
        return _downloaded(named.url, named.sha256, most)
    folder = part.file.parent if part.file is not None else None
    if folder is None:
        message = "a spec given as text has no folder to take files from"
        raise WeightsError("E603", message, "weights.load(model, path)")
    path = Path(os.path.realpath(folder / str(named.path)))
    real = os.path.realpath(folder)
    if os.path.commonpath([real, path]) != real:
        message = f"`{named.path}` leads out of its folder through a link"
        raise WeightsError("E603", message, "copy the file into the folder")
    if not path.is_file():
        message = f"`{named.path}` is not there"
        raise WeightsError("E603", message, f"put the file with SHA-256 {named.sha256} at {path}")
    _compare(path, named.sha256, "put the file there that the spec means, or mend `sha256`")
    return path


def _compare(path: Path, sha256: str, help: str) -> None:
    found = _sha256(path)
    if found != sha256:
        message = f"`{path.name}` has SHA-256 {found}, not {sha256}"
        raise WeightsError("E616", message, help)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _downloaded(url: str, sha256: str, most: int) -> Path:
    """A file kept under its SHA-256, fetched where it is not yet there."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", url.rpartition("/")[2])[-60:]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "archspec" / "weights" / f"{sha256[:16]}-{name}"
    if path.is_file():
        _compare(path, sha256, f"delete {path}, so that it is fetched again")
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, Path.is_file, force=True) as temporary:
            with temporary.open("wb") as file:
                _stream(url, file, most)
            _compare(temporary, sha256, f"another file stands at {url} than the spec means")
    except OSError as failed:  # URLError and a time-out are OSErrors
        getattr(failed, "close", str)()  # the answer that an HTTPError holds
        message = f"`{url}` cannot be fetched: {_reason(failed)}"
        raise WeightsError("E615", message, f"put the file at {path}") from None
    return path


def _stream(url: str, file: Any, most: int) -> None:
    from urllib.request import urlopen

    with urlopen(url, timeout=_TIMEOUT) as answer:
        left = most
        while chunk := answer.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                said = f"has more than {most:,} bytes, out of all proportion to the model"
                raise WeightsError("E606", f"`{url}` {said}", "check the address")
            file.write(chunk)
