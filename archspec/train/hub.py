"""Repository of the Hugging Face Hub ↔ folder on this machine.

    fetched("hf://me/lenet5")          Path("…/snapshots/4c1f…"), in the Hub's own cache
    sent(Path("out"), "me/lenet5")     "https://huggingface.co/me/lenet5"

Only files that `save_pretrained` writes go either way: no code, no pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archspec.train.errors import TrainError, library
from archspec.version import VERSION

_ADDRESS = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)")  # a Path has one `/` where two were written
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
FILES = ["README.md", "network.svg", "facts.json", "*model.safetensors", "*spec/*"]


def repository(path: str | Path) -> str:
    """The repository that an address names, or ""."""
    match = _ADDRESS.fullmatch(str(path))
    return match[1] if match else ""


def address(name: str | Path) -> str | Path:
    """What is no folder here but looks like `owner/name`, as an address; all else as it is."""
    plain = _NAME.fullmatch(str(name)) and not Path(name).exists()
    return f"hf://{name}" if plain else name


def fetched(path: str | Path) -> Path:
    """A repository's files in the cache, the newest where there is a network. Raises TrainError."""
    name = repository(path)
    try:
        return Path(_api().snapshot_download(name, allow_patterns=FILES))
    except Exception as failed:  # of HTTP, of the cache, of names: the library's own are many
        message = f"`{name}` cannot be fetched from the Hub: {_reason(failed)}"
        login = "`hf auth login` for what is private; or give a folder that is here"
        raise TrainError("E821", message, _remedy(failed, login)) from None


def sent(folder: Path, name: str, *, private: bool) -> str:
    """Uploads a folder in one commit, the repository made where it is not there; its address."""
    if not _NAME.fullmatch(name):
        message = f"`{name}` is no repository of the Hub"
        raise TrainError("E821", message, "it is written owner/name: me/lenet5")
    try:
        api = _api()
        url = api.create_repo(name, private=private, exist_ok=True)
        message = f"Written by archspec {VERSION}"
        api.upload_folder(
            repo_id=name, folder_path=folder, commit_message=message, allow_patterns=FILES
        )
    except Exception as failed:
        message = f"`{name}` cannot be written on the Hub: {_reason(failed)}"
        login = "`hf auth login`, with a token that may write"
        raise TrainError("E821", message, _remedy(failed, login)) from None
    return str(url)


def _api() -> Any:
    return library("huggingface_hub", "the Hugging Face Hub").HfApi()


_APART = ("Connection", "Connect", "Timeout", "Offline", "LocalEntryNotFound", "Proxy", "SSL")


def _remedy(failed: BaseException, login: str) -> str:
    """A token is no remedy where nobody answers."""
    kinds = {cls.__name__ for one in _causes(failed) for cls in type(one).__mro__}
    if any(kind.startswith(_APART) for kind in kinds):
        return "huggingface.co does not answer: is this machine online, and HF_HUB_OFFLINE not set?"
    return login


def _causes(failed: BaseException | None) -> Iterator[BaseException]:
    while failed is not None:
        yield failed
        failed = failed.__cause__ or failed.__context__


def _reason(failed: Exception) -> str:
    said = " ".join(str(failed).split())[:200]
    return f"{type(failed).__name__}: {said}" if said else type(failed).__name__
