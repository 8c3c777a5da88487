"""InceptionV2: written by archspec from inception_v2.yaml."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


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
    """[in_channels, H, W] -> [c1 + c3 + cd + pool, H, W]."""

    def __init__(
        self,
        in_channels: int,
        c1: int,
        r3: int,
        c3: int,
        rd: int,
        cd: int,
        pool: int,
        largest: bool = False,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv(in_channels, c1)
        self.branch2 = nn.Sequential(BasicConv(in_channels, r3), BasicConv(r3, c3, kernel=3))
        self.branch3 = nn.Sequential(
            BasicConv(in_channels, rd), BasicConv(rd, cd, kernel=3), BasicConv(cd, cd, kernel=3)
        )
        branch4: list[nn.Module] = []
        if largest:
            branch4.append(nn.MaxPool2d(3, stride=1, padding=1))
        else:
            branch4.append(nn.AvgPool2d(3, stride=1, padding=1))
        branch4.append(BasicConv(in_channels, pool))
        self.branch4 = nn.Sequential(*branch4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Reduction(nn.Module):
    """[in_channels, H, W] -> [c3 + cd + in_channels, H / 2, W / 2]."""

    def __init__(self, in_channels: int, r3: int, c3: int, rd: int, cd: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            BasicConv(in_channels, r3), BasicConv(r3, c3, kernel=3, stride=2)
        )
        self.branch2 = nn.Sequential(
            BasicConv(in_channels, rd),
            BasicConv(rd, cd, kernel=3),
            BasicConv(cd, cd, kernel=3, stride=2),
        )
        self.branch3 = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class InceptionV2(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            OrderedDict(
                depthwise=nn.Conv2d(3, 24, 7, stride=2, padding=3, groups=3, bias=False),
                pointwise=nn.Conv2d(24, 64, 1, bias=False),
                bn=nn.BatchNorm2d(64, eps=0.001),
                relu1=nn.ReLU(),
            ),
        )
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = BasicConv(64, 64)
        self.conv3 = BasicConv(64, 192, kernel=3)
        self.max_pool2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.inception3a = Inception(192, c1=64, r3=64, c3=64, rd=64, cd=96, pool=32)
        self.inception3b = Inception(256, c1=64, r3=64, c3=96, rd=64, cd=96, pool=64)
        self.inception3c = Reduction(320, r3=128, c3=160, rd=64, cd=96)
        self.inception4a = Inception(576, c1=224, r3=64, c3=96, rd=96, cd=128, pool=128)
        self.inception4b = Inception(576, c1=192, r3=96, c3=128, rd=96, cd=128, pool=128)
        self.inception4c = Inception(576, c1=160, r3=128, c3=160, rd=128, cd=160, pool=96)
        self.inception4d = Inception(576, c1=96, r3=128, c3=192, rd=160, cd=192, pool=96)
        self.inception4e = Reduction(576, r3=128, c3=192, rd=192, cd=256)
        self.inception5a = Inception(1024, c1=352, r3=192, c3=320, rd=160, cd=224, pool=128)
        self.inception5b = Inception(
            1024, c1=352, r3=192, c3=320, rd=192, cd=224, pool=128, largest=True
        )
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.max_pool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.max_pool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.inception3c(x)
        x = self.inception4a(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        x = self.inception4e(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        out: Tensor = self.fc(self.global_avg_pool1(x).flatten(1))
        return out
