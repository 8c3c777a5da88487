"""MaxoutNetwork: written by archspec from maxout_network.yaml."""

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of every `pieces` neighbours along an axis."""

    def __init__(self, pieces: int, dim: int = 1) -> None:
        super().__init__()
        self.pieces = pieces
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.unflatten(x, self.dim, (-1, self.pieces))
        return parts.amax(self.dim if self.dim < 0 else self.dim + 1)


class MaxoutNetwork(nn.Module):
    """[3, 32, 32] -> [10]."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.dropout1 = nn.Dropout(0.2)
        features: list[nn.Module] = []
        channels = 3
        for c, k, pad, pool in ((96, 8, 4, 4), (192, 8, 3, 4), (192, 5, 3, 2)):
            features += [
                nn.Conv2d(channels, 2 * c, k, padding=pad),
                Maxout(2),
                nn.MaxPool2d(pool, stride=2, ceil_mode=True),
                nn.Dropout(),
            ]
            channels = c
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Linear(4800, 2500), Maxout(5), nn.Dropout(), nn.Linear(500, classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.uniform_(module.weight, a=-0.005, b=0.005)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, a=-0.005, b=0.005)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout1(x)
        x = self.features(x)
        out: Tensor = self.classifier(x.flatten(1))
        return out
