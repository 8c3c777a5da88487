"""DiffusionUnet: written by archspec from diffusion_unet.yaml."""

import torch
from torch import Tensor, nn


class Reshape(nn.Module):
    """The same elements in another shape; the batch axis stays."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


class ResBlock(nn.Module):
    """[in_channels, H, W], [emb_features] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int, emb_features: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, in_channels)
        self.silu1 = nn.SiLU()
        self.conv1 = nn.Conv2d(in_channels, out, 3, padding=1)
        self.time_proj = nn.Sequential(nn.SiLU(), nn.Linear(emb_features, out), Reshape(out, 1, 1))
        self.norm2 = nn.GroupNorm(8, out)
        self.silu2 = nn.SiLU()
        self.dropout1 = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out, 1) if in_channels != out else None

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        y = self.silu1(self.norm1(x))
        y = self.silu2(self.norm2(self.conv1(y) + self.time_proj(emb)))
        y = self.dropout1(y)
        conv2 = self.conv2(y)
        if self.skip is not None:
            x = self.skip(x)
        out: Tensor = conv2 + x
        return out


class AttnBlock(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, in_channels)
        self.attn = nn.MultiheadAttention(in_channels, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).flatten(2).permute(0, 2, 1)
        y = self.attn(y, y, y, need_weights=False)[0]
        y = y.permute(0, 2, 1)
        out: Tensor = y.reshape(y.shape[0], x.shape[1], x.shape[2], x.shape[3]) + x
        return out


class Level(nn.Module):
    """[in_channels, H, W], [emb_features] -> [width, H, W]."""

    def __init__(self, in_channels: int, width: int, levels: int, emb_features: int) -> None:
        super().__init__()
        self.levels = levels
        self.down_res = ResBlock(in_channels, width, emb_features=emb_features)
        self.attn = AttnBlock(width) if levels == 1 else None
        if levels > 0:
            self.pool = nn.Conv2d(width, width, 3, stride=2, padding=1)
            self.inner = Level(width, width=2 * width, levels=levels - 1, emb_features=emb_features)
            self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.up_res = ResBlock(2 * width if levels > 0 else width, width, emb_features=emb_features)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        down_res = self.down_res(x, emb)
        if self.attn is not None:
            down_res = self.attn(down_res)
        if self.levels > 0:
            x = self.inner(self.pool(down_res), emb)
            down_res = torch.cat([down_res, self.up(x)], 1)
        out: Tensor = self.up_res(down_res, emb)
        return out


class DiffusionUnet(nn.Module):
    """[3, H, W], [1] -> [3, H, W]."""

    def __init__(self, width: int = 32, steps: int = 1000) -> None:
        super().__init__()
        self.time_embed = nn.Embedding(steps, width)
        self.time_mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width)
        )
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.unet = Level(width, width=width, levels=2, emb_features=4 * width)
        self.norm_out = nn.GroupNorm(8, width)
        self.silu1 = nn.SiLU()
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor, time: Tensor) -> Tensor:
        x = self.time_mlp(self.time_embed(time).flatten(1))
        x = self.unet(self.conv_in(image), x)
        x = self.silu1(self.norm_out(x))
        out: Tensor = self.conv_out(x)
        return out
