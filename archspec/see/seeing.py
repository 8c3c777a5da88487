"""Rows of pictures, each with a few words → a PNG, a page of HTML, a notebook's cell.

Seeing("saliency", values, (Row("cat.jpg", (Shown(x, "as it is"), Shown(map, "tabby"))), ))
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from archspec.frames import frame
from archspec.save import save
from archspec.train.errors import TrainError, library
from archspec.train.pictures import png

_SIDE, _GAP, _LINE = 112, 6, 14  # a picture is shown as large, at least; between two; of words
_COLUMNS = 8  # pictures in a line
_BRIGHT = 0.995  # share of values that a scale of brightness spans


class Shown(NamedTuple):
    """A picture [C, H, W] from 0 to 1, and what is said below it."""

    picture: Tensor
    words: str


class Row(NamedTuple):
    """Pictures that belong together, and what is said above them."""

    words: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Seeing:
    """What was seen: the numbers as the function says, and rows of pictures of them."""

    title: str
    values: Any
    rows: tuple[Row, ...]

    def png(self) -> bytes:
        """All rows on one sheet."""
        lines = [line for row in self.rows for line in _sheet(row)]
        width = max(line.shape[2] for line in lines)
        return png(torch.cat([_padded(line, 1, width) for line in lines], 1))

    def html(self) -> str:
        """One page that fetches nothing: it can be sent as it is."""
        rows = [
            (row.words, [(_text(png(_enlarged(s.picture))), s.words) for s in row.shown])
            for row in self.rows
        ]
        return frame("see/page.html.jinja", title=self.title, rows=rows)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """As the ending says: .png or .html. Raises TrainError, NotOursError, OSError."""
        file = Path(path)
        if file.suffix not in (".png", ".html"):
            message = f"the ending `{file.suffix}` of `{file}` means no picture and no page"
            raise TrainError("E850", message, ".png or .html")
        save(self.png() if file.suffix == ".png" else self.html(), file, force=force)

    def _repr_png_(self) -> bytes:
        return self.png()


def beside(several: Sequence[tuple[str, Seeing]]) -> Seeing:
    """What several networks see, each by its name, row by row."""
    many = len(several) > 1
    pairs = zip(*(_named(name if many else "", one) for name, one in several), strict=False)
    rows = tuple(row for pair in pairs for row in pair)
    values = [one.values for _, one in several]
    return Seeing(several[0][1].title, values if many else values[0], rows)


def _named(name: str, one: Seeing) -> Iterator[Row]:
    for row in one.rows:
        yield row._replace(words=f"{name}: {row.words}") if name else row


# ------------------------------------------------------------------ numbers as pictures


def grey(x: Tensor) -> Tensor:
    """Numbers from 0 on [H, W], black to white: [1, H, W]."""
    return (x / _span(x)).clamp(0, 1)[None]


def signed(x: Tensor) -> Tensor:
    """Numbers of both signs [C, H, W] around grey."""
    return (x / _span(x.abs()) / 2 + 0.5).clamp(0, 1)


def heat(x: Tensor, over: Tensor | None = None) -> Tensor:
    """Numbers [h, w], from the least dark to the largest bright: [3, h, w]; half over a picture.

    Over a picture [C, H, W] they are brought to its size.
    """
    low, high = x.amin(), x.amax()
    scaled = (x - low) / (high - low).clamp_min(1e-12)
    if over is not None:
        size = over.shape[1:]
        scaled = functional.interpolate(scaled[None, None], size, mode="bilinear")[0, 0]
    colours = library("matplotlib", "showing numbers").colormaps["inferno"]
    made = torch.from_numpy(numpy.asarray(colours(scaled.numpy()))[..., :3].copy())
    made = made.permute(2, 0, 1).float()
    return made if over is None else (over.clamp(0, 1).expand(3, -1, -1) + made) / 2


def stretched(x: Tensor) -> Tensor:
    """Numbers [C, H, W], the least black, the largest white."""
    low, high = x.amin(), x.amax()
    return (x - low) / (high - low).clamp_min(1e-12)


def _span(x: Tensor) -> Tensor:
    """The largest number, but for a few."""
    count = max(1, round(x.numel() * _BRIGHT))
    found = x.flatten().kthvalue(count).values
    return (found if found > 0 else x.amax()).clamp_min(1e-12)


# ------------------------------------------------------------------ pictures on a sheet


def _enlarged(x: Tensor) -> Tensor:
    """At least so large that it can be seen, its pixels as squares: [3, H, W]."""
    x = x.detach().float().cpu().clamp(0, 1).expand(3, -1, -1)
    times = max(1, _SIDE // max(x.shape[1:]))
    return x.repeat_interleave(times, 1).repeat_interleave(times, 2)


def _sheet(row: Row) -> Iterator[Tensor]:
    """Its lines: what is said above, and pictures."""
    larger = [Shown(_enlarged(one.picture), one.words) for one in row.shown]
    lines = [larger[i : i + _COLUMNS] for i in range(0, len(larger), _COLUMNS)]
    worded = any(one.words for one in larger)
    pictures = []
    for line in lines:
        height = max(one.picture.shape[1] for one in line)
        cells = [_cell(one, height, worded) for one in line]
        pictures.append(torch.cat(cells, 2))
    if row.words:
        width = max(line.shape[2] for line in pictures)
        yield _written(row.words, max(width, 7 * len(row.words)))
    yield from pictures


def _cell(one: Shown, height: int, worded: bool) -> Tensor:
    width = max(one.picture.shape[2], 6 * len(one.words) if len(one.words) <= 24 else 0)
    made = _padded(_padded(one.picture, 0, height), 1, width)
    if worded:
        made = torch.cat([made, _written(one.words, width)], 1)
    return functional.pad(made, [_GAP, _GAP, _GAP, _GAP], value=1.0)


def _padded(x: Tensor, axis: int, size: int) -> Tensor:
    """White below (axis 0) or at the right (1)."""
    lacks = size - x.shape[1 + axis]
    return functional.pad(x, [0, lacks * axis, 0, lacks * (1 - axis)], value=1.0)


def _written(words: str, width: int) -> Tensor:
    """A line of words, [3, 14, width]."""
    image = library("PIL.Image", "showing pictures").new("RGB", (width, _LINE), "white")
    library("PIL.ImageDraw", "showing pictures").Draw(image).text((2, 1), words, fill="black")
    return torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 255


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
