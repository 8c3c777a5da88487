"""YoloCsp: written by archspec from yolo_csp.yaml."""

import torch
from torch import Tensor, nn


class Conv(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(in_channels, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001, momentum=0.03)
        self.silu1 = nn.SiLU()


class Bottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, add: bool = True) -> None:
        super().__init__()
        self.add = add
        self.cv1 = Conv(in_channels, out)
        self.cv2 = Conv(out, out, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv1(x)
        cv2: Tensor = self.cv2(y)
        if self.add:
            cv2 = cv2 + x
        return cv2


class C3(nn.Module):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, n: int = 1, add: bool = True) -> None:
        super().__init__()
        self.cv1 = Conv(in_channels, out // 2)
        self.m = nn.Sequential(*(Bottleneck(out // 2, out // 2, add=add) for _ in range(n)))
        self.cv2 = Conv(in_channels, out // 2)
        self.cv3 = Conv(2 * (out // 2), out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv1(x)
        out: Tensor = self.cv3(torch.cat([self.m(y), self.cv2(x)], 1))
        return out


class SPPF(nn.Module):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.cv1 = Conv(in_channels, in_channels // 2)
        self.m1 = nn.MaxPool2d(5, stride=1, padding=2)
        self.m2 = nn.MaxPool2d(5, stride=1, padding=2)
        self.m3 = nn.MaxPool2d(5, stride=1, padding=2)
        self.cv2 = Conv(4 * (in_channels // 2), out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        m1 = self.m1(x)
        y = self.m2(m1)
        out: Tensor = self.cv2(torch.cat([x, m1, y, self.m3(y)], 1))
        return out


class YoloCsp(nn.Module):
    """[3, H, W] -> [75, H / 8, W / 8], [75, H / 16, W / 16], [75, H / 32, W / 32]."""

    def __init__(self, classes: int = 20, width: int = 16, anchors: int = 3) -> None:
        super().__init__()
        self.model = nn.ModuleList(
            [
                Conv(3, width, kernel=6, stride=2),
                Conv(width, 2 * width, kernel=3, stride=2),
                C3(2 * width, 2 * width),
                Conv(2 * width, 4 * width, kernel=3, stride=2),
                C3(4 * width, 4 * width, n=2),
                Conv(4 * width, 8 * width, kernel=3, stride=2),
                C3(8 * width, 8 * width, n=3),
                Conv(8 * width, 16 * width, kernel=3, stride=2),
                SPPF(16 * width, 16 * width),
            ],
        )
        self.lateral5 = Conv(16 * width, 8 * width)
        self.up5 = nn.Upsample(scale_factor=2)
        self.merged4 = C3(16 * width, 8 * width, add=False)
        self.lateral4 = Conv(8 * width, 4 * width)
        self.up4 = nn.Upsample(scale_factor=2)
        self.p3 = C3(8 * width, 4 * width, add=False)
        self.down3 = Conv(4 * width, 4 * width, kernel=3, stride=2)
        self.p4 = C3(8 * width, 8 * width, add=False)
        self.down4 = Conv(8 * width, 8 * width, kernel=3, stride=2)
        self.p5 = C3(16 * width, 16 * width, add=False)
        self.detect = nn.ModuleList(
            [
                nn.Conv2d(4 * width, anchors * (classes + 5), 1),
                nn.Conv2d(8 * width, anchors * (classes + 5), 1),
                nn.Conv2d(16 * width, anchors * (classes + 5), 1),
            ],
        )

    def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
        for layer in self.model[:5]:
            x = layer(x)
        y = self.model[5](x)
        model6 = self.model[6](y)
        y = self.model[7](model6)
        y = self.model[8](y)
        lateral5 = self.lateral5(y)
        y = self.merged4(torch.cat([self.up5(lateral5), model6], 1))
        lateral4 = self.lateral4(y)
        x = self.p3(torch.cat([self.up4(lateral4), x], 1))
        p4 = self.p4(torch.cat([self.down3(x), lateral4], 1))
        p5 = self.p5(torch.cat([self.down4(p4), lateral5], 1))
        detect0 = self.detect[0](x)
        detect1 = self.detect[1](p4)
        detect2 = self.detect[2](p5)
        return {"scales": [detect0, detect1, detect2]}
