"""MobilenetV3: written by archspec from mobilenet_v3.yaml."""

from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class ConvBNAct(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self,
        in_channels: int,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: type[nn.Module] = nn.Hardswish,
    ) -> None:
        padding = (kernel - 1) // 2
        conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=padding, groups=groups, bias=False
        )
        super().__init__(conv, nn.BatchNorm2d(out, eps=0.001, momentum=0.01), act())


class SqueezeExcite(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int, squeeze: int) -> None:
        super().__init__()
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze, 1)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Conv2d(squeeze, in_channels, 1)
        self.hardsigmoid1 = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.fc1(self.adaptive_avg_pool1(x)))
        out: Tensor = self.hardsigmoid1(self.fc2(y)) * x
        return out


class Bneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(
        self,
        in_channels: int,
        out: int,
        kernel: int,
        expand: int,
        se: bool,
        act: type[nn.Module],
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.use_shortcut = stride == 1 and in_channels == out
        block: list[nn.Module] = []
        if expand != in_channels:
            block.append(ConvBNAct(in_channels, expand, act=act))
        block.append(
            ConvBNAct(expand, expand, kernel=kernel, stride=stride, groups=expand, act=act)
        )
        if se:
            block.append(SqueezeExcite(expand, make_divisible(expand // 4)))
        block.append(ConvBNAct(expand, out, act=nn.Identity))
        self.block = nn.Sequential(*block)

    def forward(self, x: Tensor) -> Tensor:
        block: Tensor = self.block(x)
        if self.use_shortcut:
            block = block + x
        return block


class MobilenetV3(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, last: int = 1280) -> None:
        super().__init__()
        features: list[nn.Module] = [ConvBNAct(3, 16, kernel=3, stride=2)]
        channels = 16
        for k, e, c, se, s, act in (
            (3, 16, 16, False, 1, nn.ReLU),
            (3, 64, 24, False, 2, nn.ReLU),
            (3, 72, 24, False, 1, nn.ReLU),
            (5, 72, 40, True, 2, nn.ReLU),
            (5, 120, 40, True, 1, nn.ReLU),
            (5, 120, 40, True, 1, nn.ReLU),
            (3, 240, 80, False, 2, nn.Hardswish),
            (3, 200, 80, False, 1, nn.Hardswish),
            (3, 184, 80, False, 1, nn.Hardswish),
            (3, 184, 80, False, 1, nn.Hardswish),
            (3, 480, 112, True, 1, nn.Hardswish),
            (3, 672, 112, True, 1, nn.Hardswish),
            (5, 672, 160, True, 2, nn.Hardswish),
            (5, 960, 160, True, 1, nn.Hardswish),
            (5, 960, 160, True, 1, nn.Hardswish),
        ):
            features.append(Bneck(channels, c, kernel=k, expand=e, se=se, act=act, stride=s))
            channels = c
        features.append(ConvBNAct(160, 960))
        self.features = nn.Sequential(*features)
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(960, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, classes)
        )
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
