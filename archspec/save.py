"""Text, bytes → file: whole or not at all, never over what archspec did not write, or is edited.

A file that archspec writes says so, with a digest of all the rest of it. What a person has changed
since has another digest, and is theirs:

    content   \"\"\"Net: written by archspec from net.yaml.\"\"\"                     …
    file      \"\"\"Net: written by archspec (5f2b9c0e8d17a346) from net.yaml.\"\"\"  …

PNG, PDF and ONNX have a place of their own for a comment, which no program needs to understand.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "written by archspec"  # stands in the first lines of every emitted file
_HEAD = 2000  # bytes that are searched for it
_MARKED = re.compile(MARK.encode(), re.IGNORECASE)
_SEALED = re.compile(_MARKED.pattern + rb" \(([0-9a-f]{16})\)", re.IGNORECASE)
_TOKEN = 8  # random bytes in the name of a file that is being written
_DAY = 86_400  # seconds after which nobody is still writing it
_MOST = 1 << 28  # bytes that are read to see whether a file is archspec's; a larger one is not


class NotOursError(Exception):
    """The target exists and is somebody else's; the sentence says so."""


def save(content: str | bytes, target: Path, *, force: bool = False) -> None:
    """Write `content` to `target` in one step, with the digest of it; text as UTF-8.

    Raises NotOursError where `target` is there and is not as archspec wrote it, unless `force`;
    OSError as the file system gives it.
    """
    with replacing(target, as_written, force=force) as path:
        path.write_bytes(sealed(content.encode() if isinstance(content, str) else content))


@contextmanager
def replacing(target: Path, ours: Callable[[Path], bool], *, force: bool = False) -> Iterator[Path]:
    """A file to write beside `target`, whose place it takes in one step when all went well.

    `ours` says whether a file that is there already is archspec's. Raises NotOursError where it is
    not, unless `force`; links, folders and devices never are. Raises OSError where it is read-only.
    """
    plain = target.is_file() and not target.is_symlink()
    if not force and os.path.lexists(target) and not (plain and ours(target)):
        raise NotOursError(f"`{target}` is there and was not written by archspec")
    if plain and not target.stat().st_mode & 0o222:  # asked of its mode: root may write anything
        raise PermissionError(errno.EACCES, "the file is read-only", str(target))
    start = f".{target.name[:50]}."
    _sweep(target.parent, start)
    path = target.parent / f"{start}{os.urandom(_TOKEN).hex()}"
    mode = 0o600 if plain else 0o666  # of a new file the umask takes off what it is for
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield path
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        if plain:
            path.chmod(target.stat().st_mode & 0o777)
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


def _sweep(folder: Path, start: str) -> None:
    """Removes what earlier writers of a file have left that were killed, a day ago or longer."""
    with suppress(OSError):  # nothing depends on it
        for left in folder.glob(glob.escape(start) + "[0-9a-f]" * 2 * _TOKEN):
            if time.time() - left.lstat().st_mtime > _DAY:
                left.unlink()


# ------------------------------------------------------------------ the digest


def sealed(content: bytes) -> bytes:
    """The content with its digest; as it is, where it does not carry the mark."""
    at, piece = _seal(content, _digest(content))
    return content[:at] + piece + content[at:]


def as_written(path: Path) -> bool:
    """Whether a file is as archspec wrote it, or empty.

    Raises NotOursError where archspec wrote it and somebody changed it.
    """
    if path.stat().st_size > _MOST:
        return False
    content = path.read_bytes()
    found = _SEALED.search(content)
    if found is None:
        return not content.strip()
    _, piece = _seal(content, found[1].decode())
    if _digest(content.replace(piece, b"", 1)).encode() != found[1]:
        raise NotOursError(f"`{path}` was changed since archspec wrote it")
    return True


def _seal(content: bytes, digest: str) -> tuple[int, bytes]:
    """Where the digest goes, and the bytes that say it there."""
    words = f"{MARK} ({digest})".encode()
    if content.startswith(b"\x89PNG"):  # a chunk before the last, which is of 12 bytes
        chunk = b"tEXtComment\0" + words
        size, check = len(chunk) - 4, zlib.crc32(chunk)
        return len(content) - 12, struct.pack(">I", size) + chunk + struct.pack(">I", check)
    if content.startswith(b"%PDF"):
        return content.rindex(b"startxref"), b"%" + words + b"\n"
    if content.startswith(b"\x08"):  # ONNX: of several fields `doc_string`, the last counts
        return len(content), b"\x32" + bytes([len(words)]) + words
    marked = _MARKED.search(content, 0, _HEAD)
    return (marked.end(), f" ({digest})".encode()) if marked else (0, b"")


def _digest(content: bytes) -> str:
    """Of a text without its line ends' kind: git and editors turn them into the system's."""
    plain = content if b"\0" in content[:_HEAD] else content.replace(b"\r\n", b"\n")
    return hashlib.sha256(plain).hexdigest()[:16]
