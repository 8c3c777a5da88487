"""ConvnextTiny: written by archspec from convnext_tiny.yaml."""

import torch
from torch import Tensor, nn


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class DropPath(nn.Dropout):
    """Stochastic depth: in training the path of a sample is zero with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty(x.shape[0]).bernoulli_(keep) / (keep or 1.0)
        return (x.movedim(0, -1) * mask).movedim(-1, 0)


class CNBlock(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int, drop: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(in_channels, eps=1e-06),
            nn.Linear(in_channels, 4 * in_channels),
            nn.GELU(),
            nn.Linear(4 * in_channels, in_channels),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.zeros(in_channels, 1, 1))
        nn.init.constant_(self.layer_scale, 1e-06)
        self.drop_path1 = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop_path1(self.layer_scale * self.block(x)) + x
        return out


class ConvnextTiny(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        done = 0
        features: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), ChannelLayerNorm(96, eps=1e-06)),
        ]
        channels = 96
        for i, (n, c) in enumerate(((3, 96), (3, 192), (9, 384), (3, 768))):
            if i != 0:
                features.append(
                    nn.Sequential(
                        ChannelLayerNorm(channels, eps=1e-06), nn.Conv2d(channels, c, 2, stride=2)
                    ),
                )
            sequential: list[nn.Module] = []
            for _ in range(n):
                sequential.append(CNBlock(c, 0.1 * done / 17))
                done += 1
            features.append(nn.Sequential(*sequential))
            channels = c
        self.features = nn.Sequential(*features)
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            ChannelLayerNorm(768, eps=1e-06), nn.Flatten(), nn.Linear(768, classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(self.adaptive_avg_pool1(x))
        return out
