"""Densenet121: written by archspec from densenet121.yaml."""

import torch
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """[in_channels, H, W] -> [in_channels + growth, H, W]."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.norm1(x))
        y = self.relu2(self.norm2(self.conv1(y)))
        return torch.cat([x, self.conv2(y)], 1)


class Transition(nn.Sequential):
    """[in_channels, H, W] -> [in_channels // 2, H / 2, W / 2]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.avg_pool1 = nn.AvgPool2d(2)


class Densenet121(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, growth: int = 32, stem: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(stem))
        self.features.add_module("relu1", nn.ReLU())
        self.features.add_module("max_pool1", nn.MaxPool2d(3, stride=2, padding=1))
        channels = stem
        for i, (n, b) in enumerate(((6, 1), (12, 2), (24, 3), (16, 4))):
            denseblock1 = nn.Sequential()
            for j in range(n):
                denseblock1.add_module(f"denselayer{j + 1}", DenseLayer(channels, growth))
                channels += growth
            self.features.add_module(f"denseblock{b}", denseblock1)
            if i != 3:
                self.features.add_module(f"transition{b}", Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.relu1 = nn.ReLU()
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.relu1(x)
        out: Tensor = self.classifier(self.global_avg_pool1(x).flatten(1))
        return out
