"""Googlenet: written by archspec from googlenet.yaml."""

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


class AuxHead(nn.Sequential):
    """[in_channels, H, W] -> [classes]."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(4)
        self.conv = BasicConv(in_channels, 128)
        self.flatten1 = nn.Flatten()
        self.fc1 = nn.Linear(2048, 1024)
        self.relu1 = nn.ReLU()
        self.dropout1 = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)


class Googlenet(nn.Module):
    """[3, 224, 224] -> [1000], [1000], [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = BasicConv(3, 64, kernel=7, stride=2)
        self.max_pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv(64, 64)
        self.conv3 = BasicConv(64, 192, kernel=3)
        self.max_pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, c1=64, r3=96, c3=128, r5=16, c5=32, pool=32)
        self.inception3b = Inception(256, c1=128, r3=128, c3=192, r5=32, c5=96, pool=64)
        self.max_pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, c1=192, r3=96, c3=208, r5=16, c5=48, pool=64)
        self.aux1 = AuxHead(512, classes)
        self.inception4b = Inception(512, c1=160, r3=112, c3=224, r5=24, c5=64, pool=64)
        self.inception4c = Inception(512, c1=128, r3=128, c3=256, r5=24, c5=64, pool=64)
        self.inception4d = Inception(512, c1=112, r3=144, c3=288, r5=32, c5=64, pool=64)
        self.aux2 = AuxHead(528, classes)
        self.inception4e = Inception(528, c1=256, r3=160, c3=320, r5=32, c5=128, pool=128)
        self.max_pool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.inception5a = Inception(832, c1=256, r3=160, c3=320, r5=32, c5=128, pool=128)
        self.inception5b = Inception(832, c1=384, r3=192, c3=384, r5=48, c5=128, pool=128)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.dropout1 = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        x = self.conv1(x)
        x = self.max_pool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.max_pool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.max_pool3(x)
        x = self.inception4a(x)
        if self.training:
            aux1 = self.aux1(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        if self.training:
            aux2 = self.aux2(x)
        x = self.inception4e(x)
        x = self.max_pool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.dropout1(self.global_avg_pool1(x).flatten(1))
        x = self.fc(x)
        if self.training:
            return {"logits": x, "aux1": aux1, "aux2": aux2}
        return x
