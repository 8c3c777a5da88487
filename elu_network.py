"""EluNetwork: written by archspec from elu_network.yaml."""

from torch import Tensor, nn


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for an output of ceil(size / stride), as in TensorFlow."""
    total = reach - (size - 1) % stride
    if reach < stride - 1:
        total = max(total, 0)
    return total // 2, total - total // 2


class Conv2dSame(nn.Conv2d):
    """A convolution with output size ceil(input / stride), as in TensorFlow."""

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for axis in range(1, -1, -1):
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1)
            pad += same_padding(x.shape[axis + 2], reach, self.stride[axis])
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return super().forward(nn.functional.pad(x, pad, mode))


class Conv(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1) -> None:
        super().__init__(nn.Conv2d(in_channels, out, kernel, padding=(kernel - 1) // 2), nn.ELU())


class Conv2(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1) -> None:
        super().__init__(Conv2dSame(in_channels, out, kernel), nn.ELU())


class EluNetwork(nn.Module):
    """[3, 32, 32] -> [100]."""

    def __init__(self, classes: int = 100) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv(3, 192, kernel=5),
            nn.MaxPool2d(2),
            Conv(192, 192),
            Conv(192, 240, kernel=3),
            nn.MaxPool2d(2),
            Conv(240, 240),
            Conv2(240, 260, kernel=2),
            nn.MaxPool2d(2),
            Conv(260, 260),
            Conv2(260, 280, kernel=2),
            nn.MaxPool2d(2),
            Conv(280, 280),
            Conv2(280, 300, kernel=2),
            nn.MaxPool2d(2),
            Conv(300, 300),
        )
        self.classifier = nn.Conv2d(300, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | Conv2dSame):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(x).flatten(1)
        return out
