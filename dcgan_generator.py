"""DcganGenerator: written by archspec from dcgan_generator.yaml."""

import torch
from torch import Tensor, nn


class Up(nn.Sequential):
    """[in_channels, H, W] -> [out, 2 * H, 2 * W]."""

    def __init__(self, in_channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv_transpose1 = nn.ConvTranspose2d(
            in_channels,
            out,
            kernel,
            stride=2,
            padding=(kernel - 1) // 2,
            output_padding=kernel % 2,
            bias=False,
        )


class DcganGenerator(nn.Module):
    """[100] -> [3, 64, 64]."""

    def __init__(self, channels: int = 3, maps: int = 128, kernel: int = 5) -> None:
        super().__init__()
        main: list[nn.Module] = [
            nn.ConvTranspose2d(100, 8 * maps, 4, bias=False),
            nn.BatchNorm2d(8 * maps),
            nn.ReLU(),
        ]
        width = 8 * maps
        for c in (4, 2, 1):
            main += [Up(width, c * maps, kernel=kernel), nn.BatchNorm2d(c * maps), nn.ReLU()]
            width = c * maps
        main += [Up(width, channels, kernel=kernel), nn.Tanh()]
        self.main = nn.Sequential(*main)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, mean=1.0, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(torch.unflatten(x, 1, (100, 1, 1)))
        return out
