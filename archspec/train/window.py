"""Pictures that are larger than the network's input → what is cut out of them.

    resize: 256          the shorter side becomes 256; of that 224 × 224 are cut out,
                         anywhere in training (Krizhevsky et al. 2012), else in the middle
    resize: [256, 480]   in training the shorter side is any between (He et al. 2016)

Pictures are read once at the largest that is asked for, square as the input is: what a smaller
shorter side shows more of is cut larger and brought down. Where, and how large, a row of numbers
in [0, 1) says for each picture, so that it depends on nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Window(NamedTuple):
    """The size that is cut out, and the least and the greatest shorter side it is cut out of."""

    size: tuple[int, int]
    least: int
    most: int

    @property
    def read(self) -> tuple[int, int]:
        """Height and width that pictures are read at."""
        height, width = self.size
        shorter = min(self.size)
        return round(height * self.most / shorter), round(width * self.most / shorter)

    def middle(self, x: Tensor) -> Tensor:
        """[N, C, …] as they were read -> [N, C, *size]: what evaluation looks at."""
        return self.anywhere(x, torch.tensor([[0.0, 0.5, 0.5]]).expand(len(x), 3))

    def anywhere(self, x: Tensor, numbers: Tensor) -> Tensor:
        """[N, C, …] as they were read and numbers [N, 3] in [0, 1) -> [N, C, *size]."""
        return torch.stack(
            [self._cut(one, row) for one, row in zip(x, numbers.tolist(), strict=True)]
        )

    def _cut(self, x: Tensor, numbers: list[float]) -> Tensor:
        shorter = self.least + numbers[0] * (self.most - self.least)
        sides = [round(side * self.most / shorter) for side in self.size]
        starts = [
            int(number * (whole - side + 1))
            for number, whole, side in zip(numbers[1:], x.shape[1:], sides, strict=True)
        ]
        part = x[:, starts[0] : starts[0] + sides[0], starts[1] : starts[1] + sides[1]]
        if tuple(part.shape[1:]) == self.size:
            return part
        return functional.interpolate(part[None], self.size, mode="bilinear", antialias=True)[0]
