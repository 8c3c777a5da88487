"""Hrnet: written by archspec from hrnet.yaml."""

import torch
from torch import Tensor, nn


class ConvBN(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        padding = (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out, kernel, stride=stride, padding=padding, bias=False),
            nn.BatchNorm2d(out),
        ]
        if relu:
            layers.append(nn.ReLU())
        super().__init__(*layers)


class BasicBlock(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(in_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        out: Tensor = self.relu2(self.bn2(self.conv2(y)) + x)
        return out


class Module2(nn.Module):
    """[C, H, W], [2 * C, H / 2, W / 2] -> [C, H, W], [2 * C, H / 2, W / 2]."""

    def __init__(self, in_channels: int, low_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                BasicBlock(in_channels),
                BasicBlock(in_channels),
                BasicBlock(low_channels),
                BasicBlock(low_channels),
            ],
        )
        self.fuse = nn.ModuleList(
            [
                nn.ModuleList(
                    [
                        nn.Identity(),
                        nn.Sequential(
                            ConvBN(low_channels, in_channels, kernel=1, relu=False),
                            nn.Upsample(scale_factor=2),
                        ),
                    ],
                ),
                nn.ModuleList([ConvBN(in_channels, low_channels, stride=2, relu=False)]),
            ],
        )
        self.y0 = nn.ReLU()
        self.y1 = nn.ReLU()

    def forward(self, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        x = self.branches[0](high)
        branches1 = self.branches[1](x)
        x = self.branches[2](low)
        branches3 = self.branches[3](x)
        x = self.fuse.get_submodule("0.1")(branches3)
        fuse1_0 = self.fuse.get_submodule("1.0")(branches1)
        y0 = self.y0(branches1 + x)
        y1 = self.y1(fuse1_0 + branches3)
        return y0, y1


class Hrnet(nn.Module):
    """[3, H, W] -> [19, H / 4, W / 4], [18, H / 4, W / 4], [36, H / 8, W / 8]."""

    def __init__(self, width: int = 18, classes: int = 19) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 64, stride=2), ConvBN(64, 64, stride=2))
        self.transition1 = nn.ModuleList([ConvBN(64, width), ConvBN(64, 2 * width, stride=2)])
        self.stage2 = Module2(width, low_channels=2 * width)
        self.stage3 = Module2(width, low_channels=2 * width)
        self.low = nn.Upsample(scale_factor=2)
        self.last = ConvBN(3 * width, 3 * width, kernel=1)
        self.head = nn.Conv2d(3 * width, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        transition10 = self.transition1[0](x)
        x = self.transition1[1](x)
        y0, y1 = self.stage2(transition10, x)
        y0, y1 = self.stage3(y0, y1)
        x = self.last(torch.cat([y0, self.low(y1)], 1))
        head = self.head(x)
        return {"logits": head, "high": y0, "low": y1}
