"""Ghostnet: written by archspec from ghostnet.yaml."""

import math

import torch
from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class GhostModule(nn.Module):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, ratio: int, relu: bool = True) -> None:
        super().__init__()
        hidden = math.ceil(out / ratio)
        self.out = out
        primary_conv: list[nn.Module] = [
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
        ]
        if relu:
            primary_conv.append(nn.ReLU())
        self.primary_conv = nn.Sequential(*primary_conv)
        cheap_operation: list[nn.Module] = [
            nn.Conv2d(hidden, hidden * (ratio - 1), 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden * (ratio - 1)),
        ]
        if relu:
            cheap_operation.append(nn.ReLU())
        self.cheap_operation = nn.Sequential(*cheap_operation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary_conv(x)
        out: Tensor = torch.cat([x, self.cheap_operation(x)], 1)[:, : self.out]
        return out


class SqueezeExcite(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.pooled = nn.AdaptiveAvgPool2d(1)
        self.conv_reduce = nn.Conv2d(in_channels, squeeze, 1)
        self.relu1 = nn.ReLU()
        self.conv_expand = nn.Conv2d(squeeze, in_channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.conv_reduce(self.pooled(x)))
        out: Tensor = x * self.gate(self.conv_expand(y))
        return out


class GhostBottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out: int,
        ratio: int,
        kernel: int = 3,
        stride: int = 1,
        se: float = 0.0,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.ghost1 = GhostModule(in_channels, hidden, ratio=ratio)
        if stride > 1:
            padding = (kernel - 1) // 2
            self.conv_dw = nn.Conv2d(
                hidden, hidden, kernel, stride=stride, padding=padding, groups=hidden, bias=False
            )
            self.bn_dw = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, make_divisible(hidden * se, 4)) if se > 0 else None
        self.ghost2 = GhostModule(hidden, out, ratio=ratio, relu=False)
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    in_channels,
                    kernel,
                    stride=stride,
                    padding=(kernel - 1) // 2,
                    groups=in_channels,
                    bias=False,
                ),
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, out, 1, bias=False),
                nn.BatchNorm2d(out),
            )
            if stride > 1 or in_channels != out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        ghost1 = self.ghost1(x)
        if self.stride > 1:
            ghost1 = self.bn_dw(self.conv_dw(ghost1))
        if self.se is not None:
            ghost1 = self.se(ghost1)
        ghost2 = self.ghost2(ghost1)
        if self.shortcut is not None:
            x = self.shortcut(x)
        out: Tensor = ghost2 + x
        return out


class Ghostnet(nn.Module):
    """[3, 64, 64] -> [100]."""

    def __init__(self, classes: int = 100, ratio: int = 2) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        blocks: list[nn.Module] = []
        channels = 16
        for k, t, c, se, s in (
            (3, 16, 16, 0.0, 1),
            (3, 48, 24, 0.0, 2),
            (3, 72, 24, 0.0, 1),
            (5, 72, 40, 0.25, 2),
            (5, 120, 40, 0.25, 1),
        ):
            blocks.append(
                GhostBottleneck(channels, hidden=t, out=c, ratio=ratio, kernel=k, stride=s, se=se)
            )
            channels = c
        self.blocks = nn.Sequential(*blocks)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(40, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        out: Tensor = self.classifier(self.global_avg_pool1(x).flatten(1))
        return out
