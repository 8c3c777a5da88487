"""ShufflenetV2: written by archspec from shufflenet_v2.yaml."""

import torch
from torch import Tensor, nn


class Branch(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, stride=stride, padding=1, groups=out, bias=False),
            nn.BatchNorm2d(out),
            nn.Conv2d(out, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )


class Down(nn.Module):
    """[in_channels, H, W] -> [2 * (out // 2), H / 2, W / 2]."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.Conv2d(
                in_channels, in_channels, 3, stride=2, padding=1, groups=in_channels, bias=False
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out // 2, 1, bias=False),
            nn.BatchNorm2d(out // 2),
            nn.ReLU(),
        )
        self.branch2 = Branch(in_channels, out // 2, stride=2)
        self.channel_shuffle1 = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.channel_shuffle1(torch.cat([self.branch1(x), self.branch2(x)], 1))
        return out


class Unit(nn.Module):
    """[in_channels, H, W] -> [2 * (in_channels // 2), H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch2 = Branch(in_channels // 2, in_channels // 2)
        self.channel_shuffle1 = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        x, y = x.chunk(2, 1)
        out: Tensor = self.channel_shuffle1(torch.cat([x, self.branch2(y)], 1))
        return out


class ShufflenetV2(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, last: int = 1024) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU()
        )
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = nn.Sequential(Down(24, 116), *(Unit(116) for _ in range(3)))
        self.stage3 = nn.Sequential(Down(116, 232), *(Unit(232) for _ in range(7)))
        self.stage4 = nn.Sequential(Down(232, 464), *(Unit(464) for _ in range(3)))
        self.conv5 = nn.Sequential(
            nn.Conv2d(464, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU()
        )
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.max_pool1(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        out: Tensor = self.fc(self.global_avg_pool1(x).flatten(1))
        return out
