"""Text, bytes → file: whole or not at all, never over something that archspec did not write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "written by archspec"  # stands in the first lines of every emitted file
_HEAD = 2000  # bytes that are searched for it


class NotOursError(Exception):
    """The target exists and is somebody else's; the sentence says so."""


def save(content: str | bytes, target: Path, *, force: bool = False) -> None:
    """Write `content` to `target` in one step; text as UTF-8.

    Raises NotOursError where `target` is there and does not carry archspec's mark, unless `force`;
    OSError as the file system gives it.
    """
    with replacing(target, _marked, force=force) as path:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(target: Path, ours: Callable[[Path], bool], *, force: bool = False) -> Iterator[Path]:
    """A file to write beside `target`, whose place it takes in one step when all went well.

    `ours` says whether a file that is there already is archspec's. Raises NotOursError where it is
    not, unless `force`; links, folders and devices never are.
    """
    plain = target.is_file() and not target.is_symlink()
    if not force and os.path.lexists(target) and not (plain and ours(target)):
        raise NotOursError(f"`{target}` is there and was not written by archspec")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.")
    os.close(handle)
    path = Path(name)
    try:
        yield path
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        path.chmod(_mode(target))
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


def _marked(path: Path) -> bool:
    """Whether a file carries the mark."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return not head.strip() or MARK.encode() in head.lower()


def _mode(target: Path) -> int:
    """The mode of the file that is replaced, or what the umask gives a new one."""
    if target.is_file():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
