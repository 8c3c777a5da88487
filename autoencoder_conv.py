"""AutoencoderConv: written by archspec from autoencoder_conv.yaml."""

from torch import Tensor, nn


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for an output of ceil(size / stride), as in TensorFlow."""
    total = reach - (size - 1) % stride
    if reach < stride - 1:
        total = max(total, 0)
    return total // 2, total - total // 2


class MaxPool2dSame(nn.MaxPool2d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for axis in range(1, -1, -1):
            kernel, stride, dilation = (
                v if isinstance(v, int) else v[axis]
                for v in (self.kernel_size, self.stride, self.dilation)
            )
            pad += same_padding(x.shape[axis + 2], dilation * (kernel - 1), stride)
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out


class AutoencoderConv(nn.Module):
    """[1, 28, 28] -> [1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        channels = 1
        for c in (16, 8, 8):
            encoder += [nn.Conv2d(channels, c, 3, padding=1), nn.ReLU(), MaxPool2dSame(2)]
            channels = c
        self.encoder = nn.Sequential(*encoder)
        decoder: list[nn.Module] = []
        for c, padding in ((8, 1), (8, 1), (16, 0)):
            decoder += [nn.Conv2d(8, c, 3, padding=padding), nn.ReLU(), nn.Upsample(scale_factor=2)]
        decoder += [nn.Conv2d(16, 1, 3, padding=1), nn.Sigmoid()]
        self.decoder = nn.Sequential(*decoder)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        out: Tensor = self.decoder(x)
        return out
