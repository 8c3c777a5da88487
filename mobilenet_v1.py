"""MobilenetV1: written by archspec from mobilenet_v1.yaml."""

from torch import Tensor, nn


class Separable(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu61 = nn.ReLU6()
        self.conv_pw = nn.Conv2d(in_channels, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu62 = nn.ReLU6()


class MobilenetV1(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.relu61 = nn.ReLU6()
        blocks: list[nn.Module] = []
        channels = 32
        for c, n, s in ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)):
            blocks.append(
                nn.Sequential(
                    Separable(channels, c, stride=s), *(Separable(c, c) for _ in range(n - 1))
                ),
            )
            channels = c
        self.blocks = nn.Sequential(*blocks)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu61(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        out: Tensor = self.classifier(self.global_avg_pool1(x).flatten(1))
        return out
