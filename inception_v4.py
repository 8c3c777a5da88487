"""InceptionV4: written by archspec from inception_v4.yaml."""

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


class Mixed3a(nn.Module):
    """[in_channels, H, W] -> [in_channels + 96, H', W']."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.max_pool1 = nn.MaxPool2d(3, stride=2)
        self.conv = ConvBN(in_channels, 96, kernel=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.max_pool1(x), self.conv(x)], 1)


class Mixed4a(nn.Module):
    """[in_channels, H, W] -> [192, 71, 71]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(ConvBN(in_channels, 64), ConvBN(64, 96, kernel=3))
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 64),
            ConvBN(64, 64, kernel=(1, 7), padding=(0, 3)),
            ConvBN(64, 64, kernel=(7, 1), padding=(3, 0)),
            ConvBN(64, 96, kernel=3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x)], 1)


class Mixed5a(nn.Module):
    """[in_channels, H, W] -> [in_channels + 192, 35, 35]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(in_channels, 192, kernel=3, stride=2)
        self.max_pool1 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.max_pool1(x)], 1)


class InceptionA(nn.Module):
    """[in_channels, H, W] -> [384, 35, 35]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 96)
        self.branch1 = nn.Sequential(ConvBN(in_channels, 64), ConvBN(64, 96, kernel=3, padding=1))
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, 64),
            ConvBN(64, 96, kernel=3, padding=1),
            ConvBN(96, 96, kernel=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), ConvBN(in_channels, 96)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class ReductionA(nn.Module):
    """[in_channels, H, W] -> [in_channels + 640, 17, 17]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 384, kernel=3, stride=2)
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 192),
            ConvBN(192, 224, kernel=3, padding=1),
            ConvBN(224, 256, kernel=3, stride=2),
        )
        self.branch2 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)


class InceptionB(nn.Module):
    """[in_channels, H, W] -> [1024, 17, 17]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 384)
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 192),
            ConvBN(192, 224, kernel=(1, 7), padding=(0, 3)),
            ConvBN(224, 256, kernel=(7, 1), padding=(3, 0)),
        )
        self.branch2 = nn.Sequential(
            ConvBN(in_channels, 192),
            ConvBN(192, 192, kernel=(7, 1), padding=(3, 0)),
            ConvBN(192, 224, kernel=(1, 7), padding=(0, 3)),
            ConvBN(224, 224, kernel=(7, 1), padding=(3, 0)),
            ConvBN(224, 256, kernel=(1, 7), padding=(0, 3)),
        )
        self.branch3 = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), ConvBN(in_channels, 128)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class ReductionB(nn.Module):
    """[in_channels, H, W] -> [in_channels + 512, 8, 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(ConvBN(in_channels, 192), ConvBN(192, 192, kernel=3, stride=2))
        self.branch1 = nn.Sequential(
            ConvBN(in_channels, 256),
            ConvBN(256, 256, kernel=(1, 7), padding=(0, 3)),
            ConvBN(256, 320, kernel=(7, 1), padding=(3, 0)),
            ConvBN(320, 320, kernel=3, stride=2),
        )
        self.branch2 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)


class InceptionC(nn.Module):
    """[in_channels, H, W] -> [1536, 8, 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch0 = ConvBN(in_channels, 256)
        self.branch1_0 = ConvBN(in_channels, 384)
        self.branch1_1a = ConvBN(384, 256, kernel=(1, 3), padding=(0, 1))
        self.branch1_1b = ConvBN(384, 256, kernel=(3, 1), padding=(1, 0))
        self.branch2_0 = ConvBN(in_channels, 384)
        self.branch2_1 = ConvBN(384, 448, kernel=(3, 1), padding=(1, 0))
        self.branch2_2 = ConvBN(448, 512, kernel=(1, 3), padding=(0, 1))
        self.branch2_3a = ConvBN(512, 256, kernel=(1, 3), padding=(0, 1))
        self.branch2_3b = ConvBN(512, 256, kernel=(3, 1), padding=(1, 0))
        self.branch3 = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), ConvBN(in_channels, 256)
        )

    def forward(self, x: Tensor) -> Tensor:
        branch0 = self.branch0(x)
        y = self.branch1_0(x)
        y = torch.cat([self.branch1_1a(y), self.branch1_1b(y)], 1)
        z = self.branch2_0(x)
        z = self.branch2_1(z)
        z = self.branch2_2(z)
        z = torch.cat([self.branch2_3a(z), self.branch2_3b(z)], 1)
        return torch.cat([branch0, y, z, self.branch3(x)], 1)


class InceptionV4(nn.Module):
    """[3, 299, 299] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvBN(3, 32, kernel=3, stride=2),
            ConvBN(32, 32, kernel=3),
            ConvBN(32, 64, kernel=3, padding=1),
            Mixed3a(64),
            Mixed4a(160),
            Mixed5a(192),
            *(InceptionA(384) for _ in range(4)),
            ReductionA(384),
            *(InceptionB(1024) for _ in range(7)),
            ReductionB(1024),
            *(InceptionC(1536) for _ in range(3)),
        )
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.dropout1 = nn.Dropout(0.2)
        self.last_linear = nn.Linear(1536, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.dropout1(self.global_avg_pool1(x).flatten(1))
        out: Tensor = self.last_linear(x)
        return out
