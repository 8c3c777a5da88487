"""Pictures [n, C, H, W] from 0 to 1 → PNG: one, or several side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from archspec.save import MARK
from archspec.train.errors import library

if TYPE_CHECKING:
    from torch import Tensor

_COLUMNS, _GAP, _SMALL = 10, 1, 32  # pictures in a line, pixels between them, a side to see


def png(x: Tensor) -> bytes:
    """One picture [C, H, W]; what is above 1 or below 0 is cut off."""
    image = library("PIL.Image", "showing pictures")
    plain = (x.detach().float().cpu().clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    made = image.fromarray(plain[:, :, 0] if plain.shape[2] == 1 else plain)
    told = library("PIL.PngImagePlugin", "showing pictures").PngInfo()
    told.add_text("Comment", MARK)
    file = io.BytesIO()
    made.save(file, "PNG", pnginfo=told)
    return file.getvalue()


def grid(x: Tensor, columns: int = _COLUMNS) -> bytes:
    """Line by line, small ones with pixels drawn larger."""
    larger = max(1, _SMALL // x.shape[3])
    x = x.detach().float().cpu().repeat_interleave(larger, 2).repeat_interleave(larger, 3)
    x = functional.pad(x, [_GAP] * 4, value=1)
    x = functional.pad(x, [0, 0, 0, 0, 0, 0, 0, -len(x) % min(columns, len(x))], value=1)
    lines = [x[i : i + columns] for i in range(0, len(x), columns)]
    return png(torch.cat([torch.cat(list(line), 2) for line in lines], 1))
