"""StyleTransfer: written by archspec from style_transfer.yaml."""

from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        padding = (kernel - 1) // 2
        conv = nn.Conv2d(
            in_channels, out, kernel, stride=stride, padding=padding, padding_mode="reflect"
        )
        super().__init__(conv, nn.InstanceNorm2d(out, affine=True))


class Residual(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, in_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = ConvNorm(in_channels, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        y = self.relu1(y)
        out: Tensor = self.conv2(y) + x
        return out


class StyleTransfer(nn.Module):
    """[3, H, W] -> [3, 256, 256]."""

    def __init__(self) -> None:
        super().__init__()
        down: list[nn.Module] = []
        channels = 3
        for c, kernel, stride in ((32, 9, 1), (64, 3, 2), (128, 3, 2)):
            down += [ConvNorm(channels, c, kernel=kernel, stride=stride), nn.ReLU()]
            channels = c
        self.down = nn.Sequential(*down)
        self.residuals = nn.Sequential(*(Residual(128) for _ in range(5)))
        up: list[nn.Module] = []
        channels = 128
        for c in (64, 32):
            up += [nn.Upsample(scale_factor=2), ConvNorm(channels, c), nn.ReLU()]
            channels = c
        up.append(nn.Conv2d(32, 3, 9, padding=4, padding_mode="reflect"))
        self.up = nn.Sequential(*up)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        x = self.residuals(x)
        out: Tensor = self.up(x)
        return out
