"""EfficientnetB0: written by archspec from efficientnet_b0.yaml."""

from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class DropPath(nn.Dropout):
    """Stochastic depth: in training the path of a sample is zero with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty(x.shape[0]).bernoulli_(keep) / (keep or 1.0)
        return (x.movedim(0, -1) * mask).movedim(-1, 0)


class ConvBNSiLU(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = (kernel - 1) // 2
        conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        super().__init__(conv, nn.BatchNorm2d(out), nn.SiLU())


class SqueezeExcite(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.silu1 = nn.SiLU()
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)
        self.sigmoid1 = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.silu1(self.fc1(self.adaptive_avg_pool1(x)))
        out: Tensor = self.sigmoid1(self.fc2(y)) * x
        return out


class MBConv(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int, ratio: int, stride: int, drop: float
    ) -> None:
        super().__init__()
        self.use_shortcut = stride == 1 and in_channels == out
        block: list[nn.Module] = []
        channels = in_channels
        if ratio != 1:
            channels = make_divisible(in_channels * ratio)
            block.append(ConvBNSiLU(in_channels, channels))
        block += [
            ConvBNSiLU(channels, channels, kernel=kernel, stride=stride, groups=channels),
            SqueezeExcite(channels, max(1, in_channels // 4)),
            nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out)),
        ]
        self.block = nn.Sequential(*block)
        self.drop_path1 = DropPath(drop) if stride == 1 and in_channels == out else None

    def forward(self, x: Tensor) -> Tensor:
        block: Tensor = self.block(x)
        if self.drop_path1 is not None:
            block = self.drop_path1(block)
        if self.use_shortcut:
            block = block + x
        return block


class EfficientnetB0(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        done = 0
        features: list[nn.Module] = [ConvBNSiLU(3, 32, kernel=3, stride=2)]
        channels = 32
        for t, c, n, s, k in (
            (1, 16, 1, 1, 3),
            (6, 24, 2, 2, 3),
            (6, 40, 2, 2, 5),
            (6, 80, 3, 2, 3),
            (6, 112, 3, 1, 5),
            (6, 192, 4, 2, 5),
            (6, 320, 1, 1, 3),
        ):
            sequential: list[nn.Module] = []
            for i in range(n):
                mbconv = MBConv(
                    channels, c, kernel=k, ratio=t, stride=s if i == 0 else 1, drop=0.2 * done / 16
                )
                sequential.append(mbconv)
                done += 1
                channels = c
            features.append(nn.Sequential(*sequential))
        features.append(ConvBNSiLU(320, 1280))
        self.features = nn.Sequential(*features)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(self.global_avg_pool1(x).flatten(1))
        return out
