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


# ---------------------------------------------------------------- YOLOv8


class ConvBN(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, before: int, width: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(self.bn(self.conv(x)))


class Halves(nn.Module):
    """A map in halves, one of which goes through a chain; of the chain all maps are kept."""

    def __init__(self, before: int, width: int, depth: int, skip: bool) -> None:
        super().__init__()
        self.skip, half = skip, width // 2
        self.cv1 = ConvBN(before, width)
        self.m = nn.ModuleList(
            nn.ModuleDict({"cv1": ConvBN(half, half, 3), "cv2": ConvBN(half, half, 3)})
            for _ in range(depth)
        )
        self.cv2 = ConvBN((2 + depth) * half, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = list(self.cv1(x).chunk(2, 1))
        for link in self.m:
            assert isinstance(link, nn.ModuleDict)
            y = link["cv2"](link["cv1"](seen[-1]))
            seen.append(y + seen[-1] if self.skip else y)
        out: Tensor = self.cv2(torch.cat(seen, 1))
        return out


class Pools(nn.Module):
    """Three windows of max pooling one after the other, and what went in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = ConvBN(width, width // 2), ConvBN(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.cv1(x)]
        for _ in range(3):
            seen.append(nn.functional.max_pool2d(seen[-1], 5, 1, 2))
        out: Tensor = self.cv2(torch.cat(seen, 1))
        return out


class Yolov8(nn.Module):
    """YOLOv8 by its published diagram, under the names that the spec gives its parts."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = ConvBN(3, widths[0], 3, 2)
        self.stages = nn.ModuleList(
            nn.ModuleDict({"down": ConvBN(a, b, 3, 2), "c2f": Halves(b, b, n, skip=True)})
            for a, b, n in zip(widths, widths[1:], depths, strict=False)
        )
        c3, c4, c5 = widths[2:]
        self.sppf = Pools(c5)
        for name, before, width in (
            ("mixed", c5 + c4, c4), ("p3", c4 + c3, c3), ("p4", c3 + c4, c4), ("p5", c4 + c5, c5),
        ):  # fmt: skip
            self.add_module(name, Halves(before, width, depths[0], skip=False))
        self.down4, self.down5 = ConvBN(c3, c3, 3, 2), ConvBN(c4, c4, 3, 2)
        boxes, classes = max(c3 // 4, 64), max(c3, 80)
        for level, width in zip((3, 4, 5), (c3, c4, c5), strict=True):
            towers = {"box": self.tower(width, boxes, 64), "cls": self.tower(width, classes, 80)}
            self.add_module(f"detect{level}", nn.ModuleDict(towers))

    @staticmethod
    def tower(before: int, hidden: int, out: int) -> nn.Sequential:
        last = nn.Conv2d(hidden, out, 1)
        return nn.Sequential(ConvBN(before, hidden, 3), ConvBN(hidden, hidden, 3), last)

    def pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        part, maps = self.get_submodule, []
        x = self.stem(x)
        for stage in self.stages:
            assert isinstance(stage, nn.ModuleDict)
            x = stage["c2f"](stage["down"](x))
            maps.append(x)
        x = self.sppf(x)
        mixed = part("mixed")(torch.cat([_twice(x), maps[2]], 1))
        p3 = part("p3")(torch.cat([_twice(mixed), maps[1]], 1))
        p4 = part("p4")(torch.cat([self.down4(p3), mixed], 1))
        return p3, p4, part("p5")(torch.cat([self.down5(p4), x], 1))

    def forward(self, image: Tensor) -> dict[str, Any]:
        maps, boxes, scores = [], [], []
        for level, x in zip((3, 4, 5), self.pyramid(image), strict=True):
            towers: Any = self.get_submodule(f"detect{level}")
            box, classes = towers["box"](x), towers["cls"](x)
            maps.append(torch.cat([box, classes], 1))
            scores.append(classes.sigmoid().flatten(2).mT)
            boxes.append(self.decoded(box, 2**level))
        return {"boxes": torch.cat(boxes, 1), "scores": torch.cat(scores, 1), "maps": maps}

    @staticmethod
    def decoded(box: Tensor, stride: int) -> Tensor:
        """Boxes [N, H·W, 4] from the logits [N, 64, H, W] of 16 distances for each side."""
        shares, (height, width) = box.unflatten(1, (4, 16)).softmax(2), box.shape[2:]
        sides = stride * torch.einsum("nskhw,k->nshw", shares, torch.arange(16.0))
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        middles = stride * (torch.stack([x, y]) + 0.5)
        low, high = sides.chunk(2, 1)
        return torch.cat([middles - low, middles + high], 1).flatten(2).mT


def _twice(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2)


# ---------------------------------------------------------------- a spatial transformer


class SpatialTransformer(nn.Module):
    """Jaderberg et al. 2015 for digits, with the layers of PyTorch's tutorial."""

    def __init__(self) -> None:
        super().__init__()
        first, second = nn.Conv2d(1, 8, 7), nn.Conv2d(8, 10, 5)
        pools = (nn.MaxPool2d(2), nn.MaxPool2d(2))
        self.localization = nn.Sequential(first, pools[0], nn.ReLU(), second, pools[1], nn.ReLU())
        self.fc_loc = nn.Sequential(nn.Linear(90, 32), nn.ReLU(), nn.Linear(32, 6))
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)
        self.noise = nn.ModuleList((nn.Dropout2d(), nn.Dropout()))

    def forward(self, x: Tensor) -> Tensor:
        f = nn.functional
        theta = self.fc_loc(self.localization(x).flatten(1)).view(-1, 2, 3)
        grid = f.affine_grid(theta, list(x.shape), align_corners=False)
        x = f.grid_sample(x, grid, align_corners=False)
        x = f.relu(f.max_pool2d(self.conv1(x), 2))
        x = f.relu(f.max_pool2d(self.noise[0](self.conv2(x)), 2))
        x = self.noise[1](f.relu(self.fc1(x.flatten(1))))
        return f.log_softmax(self.fc2(x), 1)
