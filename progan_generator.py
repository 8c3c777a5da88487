"""ProganGenerator: written by archspec from progan_generator.yaml."""

import torch
from torch import Tensor, nn


class ChannelRMSNorm(nn.RMSNorm):
    """RMSNorm over the channels of [N, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class EqualConv(nn.Module):
    """[in_channels, H, W] -> [out, H', W']."""

    def __init__(
        self, in_channels: int, out: int, kernel: int, padding: int, gain: int = 2
    ) -> None:
        super().__init__()
        self.factor = (gain / (in_channels * kernel**2)) ** 0.5
        self.conv = nn.Conv2d(in_channels, out, kernel, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x * self.factor)
        return out


class Layer(nn.Sequential):
    """[in_channels, H, W] -> [out, H', W']."""

    def __init__(self, in_channels: int, out: int, padding: int, kernel: int = 3) -> None:
        super().__init__()
        self.equalconv1 = EqualConv(in_channels, out, kernel=kernel, padding=padding)
        self.leaky_relu1 = nn.LeakyReLU(0.2)
        self.rms_norm1 = ChannelRMSNorm(out, eps=1e-08, elementwise_affine=False)


class ProganGenerator(nn.Module):
    """[512] -> [3, 1024, 1024]."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.layer1 = Layer(512, 512, padding=3, kernel=4)
        self.layer2 = Layer(512, 512, padding=1)
        grow: list[nn.Module] = []
        width = 512
        for c in (512, 512, 512, 256, 128, 64, 32, 16):
            grow.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=2), Layer(width, c, padding=1), Layer(c, c, padding=1)
                ),
            )
            width = c
        self.grow = nn.Sequential(*grow)
        self.to_rgb = EqualConv(16, channels, kernel=1, padding=0, gain=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(torch.unflatten(x, 1, (512, 1, 1)))
        x = self.layer2(x)
        x = self.grow(x)
        out: Tensor = self.to_rgb(x)
        return out
