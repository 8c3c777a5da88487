"""Networks of pictures in plain torch, as their papers say, under the names that specs give."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class UnetPlusPlus(nn.Module):
    """U-Net++ by equation 1 of Zhou et al. 2018, under the names that the spec gives its parts."""

    def __init__(self, depth: int = 4, base: int = 32, classes: int = 1) -> None:
        super().__init__()
        self.depth = depth
        widths = [base * 2**i for i in range(depth + 1)]
        for i, width in enumerate(widths):
            self.add_module(f"x{i}_0", _double(1 if i == 0 else widths[i - 1], width))
        for j in range(1, depth + 1):
            for i in range(depth + 1 - j):
                parts = {
                    "up": nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2),
                    "doubleconv1": _double((j + 1) * widths[i], widths[i]),
                }
                self.add_module(f"x{i}_{j}", nn.ModuleDict(parts))
            self.add_module(f"mask{j}", nn.Conv2d(base, classes, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        rows: list[list[Tensor]] = []  # of each level the maps so far
        for i in range(self.depth + 1):
            x = self.get_submodule(f"x{i}_0")(x if i == 0 else nn.functional.max_pool2d(x, 2))
            rows.append([x])
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                node: Any = self.get_submodule(f"x{i}_{j}")
                seen = [*rows[i], node["up"](rows[i + 1][-1])]
                rows[i].append(node["doubleconv1"](torch.cat(seen, 1)))
        masks = rows[0][1:]
        return {f"l{j}": self.get_submodule(f"mask{j}")(x) for j, x in enumerate(masks, 1)}


def _double(before: int, width: int) -> nn.Sequential:
    first, second = nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
    named = {"conv1": first, "relu1": nn.ReLU(), "conv2": second, "relu2": nn.ReLU()}
    return nn.Sequential(OrderedDict(named))
