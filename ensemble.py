"""Ensemble: written by archspec from ensemble.yaml."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class GlobalAvgPool2d(nn.AdaptiveAvgPool2d):
    """The mean of each channel over all of space: [N, C, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class DropPath(nn.Dropout):
    """Stochastic depth: in training the path of a sample is zero with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty(x.shape[0]).bernoulli_(keep) / (keep or 1.0)
        return (x.movedim(0, -1) * mask).movedim(-1, 0)


class BasicBlock(nn.Module):
    """[in_channels, H, W] -> [width, H / stride, W / stride]."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )
            if stride != 1 or in_channels != width
            else None
        )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        bn2 = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu2(bn2 + x)
        return out


class ResNet(nn.Sequential):
    """[in_channels, H, W] -> [classes]."""

    def __init__(self, in_channels: int, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu1 = nn.ReLU()
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for n, width, stride, s in ((2, 64, 1, 1), (2, 128, 2, 2), (2, 256, 2, 3), (2, 512, 2, 4)):
            sequential = nn.Sequential(
                BasicBlock(channels, width, stride=stride),
                *(BasicBlock(width, width) for _ in range(n - 1)),
            )
            self.add_module(f"layer{s}", sequential)
            channels = width
        self.global_avg_pool1 = GlobalAvgPool2d()
        self.fc = nn.Linear(512, classes)


class BasicConv(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(out, eps=0.001)
        self.relu1 = nn.ReLU()


class Inception(nn.Module):
    """[in_channels, H, W] -> [c1 + c3 + c5 + pool, H, W]."""

    def __init__(
        self, in_channels: int, c1: int, r3: int, c3: int, r5: int, c5: int, pool: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv(in_channels, c1)
        self.branch2 = nn.Sequential(BasicConv(in_channels, r3), BasicConv(r3, c3, kernel=3))
        self.branch3 = nn.Sequential(BasicConv(in_channels, r5), BasicConv(r5, c5, kernel=3))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), BasicConv(in_channels, pool)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """[in_channels, H, W] -> [classes]."""

    def __init__(self, in_channels: int, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = BasicConv(in_channels, 64, kernel=7, stride=2)
        self.max_pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv(64, 64)
        self.conv3 = BasicConv(64, 192, kernel=3)
        self.max_pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, c1=64, r3=96, c3=128, r5=16, c5=32, pool=32)
        self.inception3b = Inception(256, c1=128, r3=128, c3=192, r5=32, c5=96, pool=64)
        self.max_pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, c1=192, r3=96, c3=208, r5=16, c5=48, pool=64)
        self.inception4b = Inception(512, c1=160, r3=112, c3=224, r5=24, c5=64, pool=64)
        self.inception4c = Inception(512, c1=128, r3=128, c3=256, r5=24, c5=64, pool=64)
        self.inception4d = Inception(512, c1=112, r3=144, c3=288, r5=32, c5=64, pool=64)
        self.inception4e = Inception(528, c1=256, r3=160, c3=320, r5=32, c5=128, pool=128)
        self.max_pool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.inception5a = Inception(832, c1=256, r3=160, c3=320, r5=32, c5=128, pool=128)
        self.inception5b = Inception(832, c1=384, r3=192, c3=384, r5=48, c5=128, pool=128)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.dropout1 = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.max_pool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.max_pool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.max_pool3(x)
        x = self.inception4a(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        x = self.inception4e(x)
        x = self.max_pool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.dropout1(self.global_avg_pool1(x).flatten(1))
        out: Tensor = self.fc(x)
        return out


class ConvBNSiLU(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = (kernel - 1) // 2
        conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        super().__init__(conv, nn.BatchNorm2d(out), nn.SiLU())


class SqueezeExcite(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.silu1 = nn.SiLU()
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)
        self.sigmoid1 = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.silu1(self.fc1(self.adaptive_avg_pool1(x)))
        out: Tensor = self.sigmoid1(self.fc2(y)) * x
        return out


class MBConv(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int, ratio: int, stride: int, drop: float
    ) -> None:
        super().__init__()
        hidden = make_divisible(in_channels * ratio)
        self.use_shortcut = stride == 1 and in_channels == out
        block: list[nn.Module] = []
        if ratio != 1:
            block.append(ConvBNSiLU(in_channels, hidden))
        block += [
            ConvBNSiLU(hidden, hidden, kernel=kernel, stride=stride, groups=hidden),
            SqueezeExcite(hidden, max(1, in_channels // 4)),
            nn.Sequential(nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out)),
        ]
        self.block = nn.Sequential(*block)
        self.drop_path1 = DropPath(drop) if stride == 1 and in_channels == out else None

    def forward(self, x: Tensor) -> Tensor:
        block = self.block(x)
        if self.drop_path1 is not None:
            block = self.drop_path1(block)
        if self.use_shortcut:
            block = block + x
        out: Tensor = block
        return out


class EfficientNet(nn.Sequential):
    """[in_channels, H, W] -> [classes]."""

    def __init__(self, in_channels: int, classes: int = 1000) -> None:
        super().__init__()
        done = 0
        features: list[nn.Module] = [ConvBNSiLU(in_channels, 32, kernel=3, stride=2)]
        channels = 32
        for t, c, n, s, k in (
            (1, 16, 1, 1, 3),
            (6, 24, 2, 2, 3),
            (6, 40, 2, 2, 5),
            (6, 80, 3, 2, 3),
            (6, 112, 3, 1, 5),
            (6, 192, 4, 2, 5),
            (6, 320, 1, 1, 3),
        ):
            sequential: list[nn.Module] = []
            for i in range(n):
                mbconv = MBConv(
                    channels, c, kernel=k, ratio=t, stride=s if i == 0 else 1, drop=0.2 * done / 16
                )
                sequential.append(mbconv)
                done += 1
                channels = c
            features.append(nn.Sequential(*sequential))
        features.append(ConvBNSiLU(320, 1280))
        self.features = nn.Sequential(*features)
        self.global_avg_pool1 = GlobalAvgPool2d()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))


class Ensemble(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.resnet = nn.Sequential(
            OrderedDict(resnet1=ResNet(3, classes=classes), softmax1=nn.Softmax(dim=-1))
        )
        self.googlenet = nn.Sequential(
            OrderedDict(googlenet1=GoogLeNet(3, classes=classes), softmax1=nn.Softmax(dim=-1))
        )
        self.efficientnet = nn.Sequential(
            OrderedDict(efficientnet1=EfficientNet(3, classes=classes), softmax1=nn.Softmax(dim=-1))
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.resnet(x) + self.googlenet(x) + self.efficientnet(x)) / 3
        return out
