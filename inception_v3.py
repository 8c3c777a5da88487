"""InceptionV3: written by archspec from inception_v3.yaml."""

import torch
from torch import Tensor, nn


class GlobalAvgPool2d(nn.AdaptiveAvgPool2d):
    """The mean of each channel over all of space: [N, C, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class BasicConv(nn.Sequential):
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


class InceptionA(nn.Module):
    """[in_channels, H, W] -> [pool + 224, 35, 35]."""

    def __init__(self, in_channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 64)
        self.branch5x5_1 = BasicConv(in_channels, 48)
        self.branch5x5_2 = BasicConv(48, 64, kernel=5, padding=2)
        self.branch3x3dbl_1 = BasicConv(in_channels, 64)
        self.branch3x3dbl_2 = BasicConv(64, 96, kernel=3, padding=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, kernel=3, padding=1)
        self.avg_pool1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, pool)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch5x5_1(x)
        branch5x5_2 = self.branch5x5_2(y)
        y = self.branch3x3dbl_1(x)
        y = self.branch3x3dbl_2(y)
        y = self.branch3x3dbl_3(y)
        x = self.avg_pool1(x)
        return torch.cat([branch1x1, branch5x5_2, y, self.branch_pool(x)], 1)


class InceptionB(nn.Module):
    """[in_channels, H, W] -> [in_channels + 480, 17, 17]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv(in_channels, 384, kernel=3, stride=2)
        self.branch3x3dbl_1 = BasicConv(in_channels, 64)
        self.branch3x3dbl_2 = BasicConv(64, 96, kernel=3, padding=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, kernel=3, stride=2)
        self.max_pool1 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch3x3(x)
        z = self.branch3x3dbl_1(x)
        z = self.branch3x3dbl_2(z)
        return torch.cat([y, self.branch3x3dbl_3(z), self.max_pool1(x)], 1)


class InceptionC(nn.Module):
    """[in_channels, H, W] -> [768, 17, 17]."""

    def __init__(self, in_channels: int, c7: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 192)
        self.branch7x7_1 = BasicConv(in_channels, c7)
        self.branch7x7_2 = BasicConv(c7, c7, kernel=(1, 7), padding=(0, 3))
        self.branch7x7_3 = BasicConv(c7, 192, kernel=(7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = BasicConv(in_channels, c7)
        self.branch7x7dbl_2 = BasicConv(c7, c7, kernel=(7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = BasicConv(c7, c7, kernel=(1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = BasicConv(c7, c7, kernel=(7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = BasicConv(c7, 192, kernel=(1, 7), padding=(0, 3))
        self.avg_pool1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, 192)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch7x7_1(x)
        y = self.branch7x7_2(y)
        branch7x7_3 = self.branch7x7_3(y)
        y = self.branch7x7dbl_1(x)
        y = self.branch7x7dbl_2(y)
        y = self.branch7x7dbl_3(y)
        y = self.branch7x7dbl_4(y)
        y = self.branch7x7dbl_5(y)
        x = self.avg_pool1(x)
        return torch.cat([branch1x1, branch7x7_3, y, self.branch_pool(x)], 1)


class AuxHead(nn.Sequential):
    """[in_channels, H, W] -> [classes]."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.avg_pool1 = nn.AvgPool2d(5, stride=3)
        self.conv0 = BasicConv(in_channels, 128)
        self.conv1 = BasicConv(128, 768, kernel=5)
        self.global_avg_pool1 = GlobalAvgPool2d()
        self.fc = nn.Linear(768, classes)


class InceptionD(nn.Module):
    """[in_channels, H, W] -> [in_channels + 512, 8, 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv(in_channels, 192)
        self.branch3x3_2 = BasicConv(192, 320, kernel=3, stride=2)
        self.branch7x7x3_1 = BasicConv(in_channels, 192)
        self.branch7x7x3_2 = BasicConv(192, 192, kernel=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv(192, 192, kernel=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv(192, 192, kernel=3, stride=2)
        self.max_pool1 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch3x3_1(x)
        branch3x3_2 = self.branch3x3_2(y)
        y = self.branch7x7x3_1(x)
        y = self.branch7x7x3_2(y)
        y = self.branch7x7x3_3(y)
        return torch.cat([branch3x3_2, self.branch7x7x3_4(y), self.max_pool1(x)], 1)


class InceptionE(nn.Module):
    """[in_channels, H, W] -> [2048, 8, 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 320)
        self.branch3x3_1 = BasicConv(in_channels, 384)
        self.branch3x3_2a = BasicConv(384, 384, kernel=(1, 3), padding=(0, 1))
        self.branch3x3_2b = BasicConv(384, 384, kernel=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = BasicConv(in_channels, 448)
        self.branch3x3dbl_2 = BasicConv(448, 384, kernel=3, padding=1)
        self.branch3x3dbl_3a = BasicConv(384, 384, kernel=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = BasicConv(384, 384, kernel=(3, 1), padding=(1, 0))
        self.avg_pool1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, 192)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)
        y = self.branch3x3_1(x)
        y = torch.cat([self.branch3x3_2a(y), self.branch3x3_2b(y)], 1)
        z = self.branch3x3dbl_1(x)
        z = self.branch3x3dbl_2(z)
        z = torch.cat([self.branch3x3dbl_3a(z), self.branch3x3dbl_3b(z)], 1)
        x = self.avg_pool1(x)
        return torch.cat([branch1x1, y, z, self.branch_pool(x)], 1)


class InceptionV3(nn.Module):
    """[3, 299, 299] -> [1000], [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv(3, 32, kernel=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv(32, 32, kernel=3)
        self.Conv2d_2b_3x3 = BasicConv(32, 64, kernel=3, padding=1)
        self.max_pool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv(64, 80)
        self.Conv2d_4a_3x3 = BasicConv(80, 192, kernel=3)
        self.max_pool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        self.AuxLogits = AuxHead(768, classes)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.dropout1 = nn.Dropout()
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.1)
        nn.init.trunc_normal_(self.get_parameter("AuxLogits.conv1.conv.weight"), std=0.01)
        nn.init.trunc_normal_(self.get_parameter("AuxLogits.fc.weight"), std=0.001)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        x = self.Conv2d_1a_3x3(x)
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = self.max_pool1(x)
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = self.max_pool2(x)
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        if self.training:
            aux_logits = self.AuxLogits(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = self.dropout1(self.global_avg_pool1(x).flatten(1))
        x = self.fc(x)
        if self.training:
            return {"logits": x, "aux": aux_logits}
        return x
