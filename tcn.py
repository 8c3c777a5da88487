"""Tcn: written by archspec from tcn.yaml."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class Conv1dCausal(nn.Conv1d):
    """A convolution in time that sees a step and what comes before it."""

    def forward(self, x: Tensor) -> Tensor:
        reach = self.dilation[0] * (self.kernel_size[0] - 1)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return super().forward(nn.functional.pad(x, [reach, 0], mode))


class TemporalBlock(nn.Module):
    """[in_channels, L] -> [out, L]."""

    def __init__(
        self, in_channels: int, out: int, kernel: int, dilation: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = weight_norm(Conv1dCausal(in_channels, out, kernel, dilation=dilation))
        self.relu1 = nn.ReLU()
        self.spatial_dropout1 = nn.Dropout1d(dropout)
        self.conv2 = weight_norm(Conv1dCausal(out, out, kernel, dilation=dilation))
        self.relu2 = nn.ReLU()
        self.spatial_dropout2 = nn.Dropout1d(dropout)
        self.downsample = nn.Conv1d(in_channels, out, 1) if in_channels != out else None
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.conv1(x))
        y = self.spatial_dropout1(y)
        y = self.relu2(self.conv2(y))
        y = self.spatial_dropout2(y)
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu3(y + x)
        return out


class Tcn(nn.Module):
    """[1, T] -> [10]."""

    def __init__(
        self,
        classes: int = 10,
        features: int = 1,
        levels: int = 8,
        hidden: int = 25,
        kernel: int = 7,
    ) -> None:
        super().__init__()
        network: list[nn.Module] = []
        channels = features
        for i in range(levels):
            network.append(
                TemporalBlock(channels, hidden, kernel=kernel, dilation=2**i, dropout=0.05)
            )
            channels = hidden
        self.network = nn.Sequential(*network)
        self.linear = nn.Linear(hidden, classes)
        for module in self.modules():
            if isinstance(module, Conv1dCausal | nn.Conv1d):
                if hasattr(module, "parametrizations"):
                    module.weight = nn.init.normal_(torch.empty_like(module.weight), std=0.01)
                else:
                    nn.init.normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.network(x)
        out: Tensor = self.linear(x[:, :, -1])
        return out
