"""Unet: written by archspec from unet.yaml."""

import torch
from torch import Tensor, nn


class DoubleConv(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.relu2 = nn.ReLU()


class Level(nn.Module):
    """[in_channels, H, W] -> [width, H, W]."""

    def __init__(self, in_channels: int, depth: int, width: int) -> None:
        super().__init__()
        self.depth = depth
        self.skip = DoubleConv(in_channels, width)
        if depth > 0:
            self.max_pool1 = nn.MaxPool2d(2)
            self.level1 = Level(width, depth=depth - 1, width=2 * width)
            self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
            self.doubleconv1 = DoubleConv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        skip: Tensor = self.skip(x)
        if self.depth > 0:
            x = self.max_pool1(skip)
            x = self.level1(x)
            skip = self.doubleconv1(torch.cat([skip, self.up(x)], 1))
        return skip


class Unet(nn.Module):
    """[1, 256, 256] -> [2, 256, 256]."""

    def __init__(self, classes: int = 2, depth: int = 4, base: int = 64) -> None:
        super().__init__()
        self.level1 = Level(1, depth=depth, width=base)
        self.head = nn.Conv2d(base, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.level1(x)
        out: Tensor = self.head(x)
        return out
