"""Yolov3: written by archspec from yolov3.yaml."""

import torch
from torch import Tensor, nn


class ConvBN(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(out)
        self.leaky_relu1 = nn.LeakyReLU(0.1)


class Residual(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.convbn1 = ConvBN(in_channels, in_channels // 2)
        self.convbn2 = ConvBN(in_channels // 2, in_channels, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convbn1(x)
        out: Tensor = self.convbn2(y) + x
        return out


class Stage(nn.Sequential):
    """[in_channels, H, W] -> [out, H / 2, W / 2]."""

    def __init__(self, in_channels: int, out: int, depth: int) -> None:
        super().__init__()
        self.convbn1 = ConvBN(in_channels, out, kernel=3, stride=2)
        self.blocks = nn.Sequential(*(Residual(out) for _ in range(depth)))


class Neck(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.convbn1 = ConvBN(in_channels, out)
        self.convbn2 = ConvBN(out, 2 * out, kernel=3)
        self.convbn3 = ConvBN(2 * out, out)
        self.convbn4 = ConvBN(out, 2 * out, kernel=3)
        self.convbn5 = ConvBN(2 * out, out)


class Detect(nn.Sequential):
    """[in_channels, H, W] -> [anchors * (classes + 5), H, W]."""

    def __init__(self, in_channels: int, classes: int, anchors: int) -> None:
        super().__init__()
        self.convbn1 = ConvBN(in_channels, 2 * in_channels, kernel=3)
        self.boxes = nn.Conv2d(2 * in_channels, anchors * (classes + 5), 1)


class Yolov3(nn.Module):
    """[3, 416, 416] -> [255, 52, 52], [255, 26, 26], [255, 13, 13]."""

    def __init__(self, classes: int = 80, anchors: int = 3) -> None:
        super().__init__()
        self.stem = ConvBN(3, 32, kernel=3)
        self.stages = nn.ModuleList(
            [
                Stage(32, 64, depth=1),
                Stage(64, 128, depth=2),
                Stage(128, 256, depth=8),
                Stage(256, 512, depth=8),
                Stage(512, 1024, depth=4),
            ],
        )
        self.neck13 = Neck(1024, 512)
        self.large = Detect(512, classes=classes, anchors=anchors)
        self.convbn1 = ConvBN(512, 256)
        self.upsample1 = nn.Upsample(scale_factor=2)
        self.neck26 = Neck(768, 256)
        self.medium = Detect(256, classes=classes, anchors=anchors)
        self.convbn2 = ConvBN(256, 128)
        self.upsample2 = nn.Upsample(scale_factor=2)
        self.neck52 = Neck(384, 128)
        self.small = Detect(128, classes=classes, anchors=anchors)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        x = self.stages[0](x)
        x = self.stages[1](x)
        stages = self.stages[2](x)
        x = self.stages[3](stages)
        y = self.stages[4](x)
        y = self.neck13(y)
        large = self.large(y)
        y = self.convbn1(y)
        x = self.neck26(torch.cat([self.upsample1(y), x], 1))
        medium = self.medium(x)
        x = self.convbn2(x)
        x = self.neck52(torch.cat([self.upsample2(x), stages], 1))
        small = self.small(x)
        return {"small": small, "medium": medium, "large": large}
