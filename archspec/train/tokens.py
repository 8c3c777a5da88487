"""A file of tokens → windows of one length, each with what comes next: the same, one token on.

    "to be or not", length 4, stride 4      x "to b"  y "o be"
                                            x "e or"  y " or "

A text is read as characters, whose list becomes the classes of the run, or as bytes; an array of
whole numbers as it is. Large arrays stay on the disk: a window is read when it is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from archspec.text.words import cut, listed
from archspec.train.errors import TrainError
from archspec.train.inputs import Cut
from archspec.train.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor

CHARACTERS, BYTES = "characters", "bytes"
ENDINGS = (".txt", ".npy", ".bin")
DTYPES = ("uint8", "uint16", "uint32", "int16", "int32", "int64")


class Windows(Samples):
    """Tokens [n] by windows: x [N, length], y [N, length] one token on."""

    def __init__(self, tokens: Any, how: Cut, name: str, classes: Sequence[str] = ()) -> None:
        self.tokens, self.how, self.name, self.classes = tokens, how, name, tuple(classes)
        if len(tokens) <= how.length:
            message = f"`{name}` holds {len(tokens):,} tokens, of which no window of {how.length}"
            message += " and what comes next is cut"
            raise TrainError("E803", message, "`task: {next_token: {length: …}}` cuts shorter ones")

    def __len__(self) -> int:
        return (len(self.tokens) - 1 - self.how.length) // self.how.stride + 1

    @property
    def _overlap(self) -> int:
        """Windows from one to the next that shares no token with it."""
        return self.how.length // self.how.stride

    @property
    def highest(self) -> int:
        """The largest token."""
        return int(self.tokens.max())

    def fetch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows = []
        for index in indices:
            start = index * self.how.stride
            rows.append(
                torch.as_tensor(self.tokens[start : start + self.how.length + 1].astype("int64"))
            )
        found = torch.stack(rows)
        return found[:, :-1], found[:, 1:]

    def measured(self) -> Tensor:
        """Side by side, so that each token counts once."""
        return torch.arange(0, len(self), self._overlap)

    def divided(self, share: float) -> tuple[Tensor, Tensor]:
        """The end of the text is held out: no token of it is seen in training."""
        step = self._overlap
        count = max(1, round(len(self) * share / step))
        first = len(self) - 1 - (count - 1) * step
        return torch.arange(first, len(self), step), torch.arange(max(0, first - step + 1))


# ------------------------------------------------------------------ reading


def is_row(given: Any) -> bool:
    """Whether something is a file of tokens, or an array [n] of them."""
    if isinstance(given, (str, Path)):
        path = Path(given)
        return path.suffix in ENDINGS and path.is_file()
    return getattr(given, "ndim", 0) == 1


def windows(given: Any, how: Cut | None) -> Windows:
    """The windows of a file, or of an array of tokens [n]. Raises TrainError."""
    import numpy

    if how is None:
        message = "how many tokens the network reads at a time is not known"
        raise TrainError("E803", message, "`task: {next_token: {length: 64}}` says it")
    if isinstance(given, (str, Path)):
        return _file(Path(given), how)
    tokens = numpy.asarray(given)
    return Windows(_whole(tokens, "the array"), how, "the array")


def _file(path: Path, how: Cut) -> Windows:
    import numpy

    if path.suffix == ".txt":
        return _text(path, how)
    try:
        if path.suffix == ".npy":
            return Windows(_whole(numpy.load(path, mmap_mode="r"), str(path)), how, str(path))
        if how.dtype is None:
            message = f"`{path}` does not say how many bytes a token has"
            help = "`task: {next_token: {dtype: uint16}}` does"
            raise TrainError("E803", message, help)
        return Windows(numpy.memmap(path, how.dtype, "r"), how, str(path))
    except (OSError, ValueError, EOFError) as bad:
        message = f"`{path}` cannot be read: {cut(str(bad), 100)}"
        raise TrainError("E803", message, "numpy.save(path, tokens) writes a .npy") from None


def _whole(tokens: Any, name: str) -> Any:
    """Raises TrainError where an array is no row of whole numbers."""
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        message = f"`{name}` is {tokens.dtype} of shape {list(tokens.shape)}"
        raise TrainError("E803", message, "tokens are one row of whole numbers")
    if len(tokens) and tokens.min() < 0:
        raise TrainError("E803", f"`{name}` holds a token below 0", "tokens count from 0")
    return tokens


def _text(path: Path, how: Cut) -> Windows:
    import numpy

    content = path.read_bytes()
    if how.of == BYTES:
        return Windows(numpy.frombuffer(content, "uint8"), how, str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        message = f"`{path}` is no text in UTF-8: byte {bad.start:,} is none of a character"
        raise TrainError("E803", message, "`task: {next_token: {of: bytes}}` reads any") from None
    classes = how.classes or tuple(sorted(set(text)))
    return Windows(encoded(text, classes, f"`{path}`"), how, str(path), classes)


def encoded(text: str, classes: Sequence[str], name: str) -> Any:
    """The number of each character among `classes`, which are sorted. Raises TrainError."""
    import numpy

    codes = numpy.frombuffer(text.encode("utf-32-le"), "uint32")
    known = numpy.array([ord(one) for one in classes], "uint32")
    found = numpy.searchsorted(known, codes).clip(max=len(known) - 1)
    strange = sorted({chr(code) for code in codes[known[found] != codes]})
    if strange:
        said = listed([repr(one)[1:-1] for one in strange[:5]])
        more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
        message = f"{name} has characters that the training text has not: {said}{more}"
        raise TrainError("E803", message, "leave them out, or train on a text that has them")
    return found


def decoded(tokens: Sequence[int], classes: Sequence[str]) -> str:
    """The text of tokens: of characters, or of bytes, where what is no text shows as �."""
    if not classes:
        return bytes(tokens).decode("utf-8", "replace")
    return "".join(classes[token] for token in tokens)
