"""InceptionResnetV2: written by archspec from inception_resnet_v2.yaml."""

import torch
from torch import Tensor, nn


class ConvBN(nn.Sequential):
    """[in_channels, H, W] -> [out, H', W']."""

    def __init__(
        self,
        in_channels: int,
        out: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)
        self.relu1 = nn.ReLU()


class Mixed5b(nn.Module):
    """[in_channels, H, W] -> [320, 35, 35]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 96)
        self.branch1 = nn.Sequential(ConvBN(in_channels, 48), ConvBN(48, 64, kernel=5, padding=2))
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, 64),
            ConvBN(64, 96, kernel=3, padding=1),
            ConvBN(96, 96, kernel=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), ConvBN(in_channels, 64)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class Block35(nn.Module):
    """[in_channels, H, W] -> [in_channels, 35, 35]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 32)
        self.branch1 = nn.Sequential(ConvBN(in_channels, 32), ConvBN(32, 32, kernel=3, padding=1))
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, 32),
            ConvBN(32, 48, kernel=3, padding=1),
            ConvBN(48, 64, kernel=3, padding=1),
        )
        self.conv2d = nn.Conv2d(128, in_channels, 1)
        self.relu1 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2d(torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1))
        out: Tensor = self.relu1(y * 0.17 + x)
        return out


class Mixed6a(nn.Module):
    """[in_channels, H, W] -> [in_channels + 768, 17, 17]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 384, kernel=3, stride=2)
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 256),
            ConvBN(256, 256, kernel=3, padding=1),
            ConvBN(256, 384, kernel=3, stride=2),
        )
        self.branch2 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)


class Block17(nn.Module):
    """[in_channels, H, W] -> [in_channels, 17, 17]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 192)
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 128),
            ConvBN(128, 160, kernel=(1, 7), padding=(0, 3)),
            ConvBN(160, 192, kernel=(7, 1), padding=(3, 0)),
        )
        self.conv2d = nn.Conv2d(384, in_channels, 1)
        self.relu1 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu1(
            self.conv2d(torch.cat([self.branch0(x), self.branch1(x)], 1)) * 0.1 + x
        )
        return out


class Mixed7a(nn.Module):
    """[in_channels, H, W] -> [in_channels + 992, 8, 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(ConvBN(in_channels, 256), ConvBN(256, 384, kernel=3, stride=2))
        self.branch1 = nn.Sequential(ConvBN(in_channels, 256), ConvBN(256, 288, kernel=3, stride=2))
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, 256),
            ConvBN(256, 288, kernel=3, padding=1),
            ConvBN(288, 320, kernel=3, stride=2),
        )
        self.branch3 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class Block8(nn.Module):
    """[in_channels, H, W] -> [in_channels, 8, 8]."""

    def __init__(self, in_channels: int, scale: float = 0.2, relu: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.branch0 = ConvBN(in_channels, 192)
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 192),
            ConvBN(192, 224, kernel=(1, 3), padding=(0, 1)),
            ConvBN(224, 256, kernel=(3, 1), padding=(1, 0)),
        )
        self.conv2d = nn.Conv2d(448, in_channels, 1)
        self.relu1 = nn.ReLU() if relu else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2d(torch.cat([self.branch0(x), self.branch1(x)], 1)) * self.scale + x
        if self.relu1 is not None:
            x = self.relu1(x)
        return x


class InceptionResnetV2(nn.Module):
    """[3, 299, 299] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv2d_1a = ConvBN(3, 32, kernel=3, stride=2)
        self.conv2d_2a = ConvBN(32, 32, kernel=3)
        self.conv2d_2b = ConvBN(32, 64, kernel=3, padding=1)
        self.max_pool1 = nn.MaxPool2d(3, stride=2)
        self.conv2d_3b = ConvBN(64, 80)
        self.conv2d_4a = ConvBN(80, 192, kernel=3)
        self.max_pool2 = nn.MaxPool2d(3, stride=2)
        self.mixed_5b = Mixed5b(192)
        self.repeat = nn.Sequential(*(Block35(320) for _ in range(10)))
        self.mixed_6a = Mixed6a(320)
        self.repeat_1 = nn.Sequential(*(Block17(1088) for _ in range(20)))
        self.mixed_7a = Mixed7a(1088)
        self.repeat_2 = nn.Sequential(*(Block8(2080) for _ in range(9)))
        self.block8 = Block8(2080, scale=1.0, relu=False)
        self.conv2d_7b = ConvBN(2080, 1536)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.dropout1 = nn.Dropout(0.2)
        self.classif = nn.Linear(1536, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2d_1a(x)
        x = self.conv2d_2a(x)
        x = self.conv2d_2b(x)
        x = self.max_pool1(x)
        x = self.conv2d_3b(x)
        x = self.conv2d_4a(x)
        x = self.max_pool2(x)
        x = self.mixed_5b(x)
        x = self.repeat(x)
        x = self.mixed_6a(x)
        x = self.repeat_1(x)
        x = self.mixed_7a(x)
        x = self.repeat_2(x)
        x = self.block8(x)
        x = self.conv2d_7b(x)
        x = self.dropout1(self.global_avg_pool1(x).flatten(1))
        out: Tensor = self.classif(x)
        return out
