"""MobilenetV2: written by archspec from mobilenet_v2.yaml."""

from torch import Tensor, nn


class ConvBNReLU(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = (kernel - 1) // 2
        conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        super().__init__(conv, nn.BatchNorm2d(out), nn.ReLU6())


class InvertedResidual(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, expand: int, stride: int = 1) -> None:
        super().__init__()
        self.use_shortcut = stride == 1 and in_channels == out
        conv: list[nn.Module] = []
        if expand != 1:
            conv.append(ConvBNReLU(in_channels, in_channels * expand))
        groups = in_channels * expand
        conv += [
            ConvBNReLU(
                in_channels * expand, in_channels * expand, kernel=3, stride=stride, groups=groups
            ),
            nn.Conv2d(in_channels * expand, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]
        self.conv = nn.Sequential(*conv)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv(x)
        if self.use_shortcut:
            conv = conv + x
        out: Tensor = conv
        return out


class MobilenetV2(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        features: list[nn.Module] = [ConvBNReLU(3, 32, kernel=3, stride=2)]
        channels = 32
        for t, c, n, s in (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ):
            features.append(InvertedResidual(channels, c, expand=t, stride=s))
            features.extend(InvertedResidual(c, c, expand=t) for _ in range(n - 1))
            channels = c
        features.append(ConvBNReLU(320, 1280))
        self.features = nn.Sequential(*features)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(self.global_avg_pool1(x).flatten(1))
        return out
