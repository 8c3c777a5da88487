"""Transformer: written by archspec from transformer.yaml."""

import torch
from torch import Tensor, nn


class EncoderLayer(nn.Module):
    """[N, in_features], [C] -> [N, in_features]."""

    def __init__(self, in_features: int, heads: int, feed: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(in_features, heads, dropout=0.1, batch_first=True)
        self.dropout1 = nn.Dropout(0.1)
        self.norm1 = nn.LayerNorm(in_features)
        self.linear1 = nn.Linear(in_features, feed)
        self.relu1 = nn.ReLU()
        self.dropout2 = nn.Dropout(0.1)
        self.linear2 = nn.Linear(feed, in_features)
        self.dropout3 = nn.Dropout(0.1)
        self.norm2 = nn.LayerNorm(in_features)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        y = self.self_attn(x, x, x, key_padding_mask=padding, need_weights=False)[0]
        x = self.norm1(self.dropout1(y) + x)
        y = self.relu1(self.linear1(x))
        y = self.dropout2(y)
        out: Tensor = self.norm2(self.dropout3(self.linear2(y)) + x)
        return out


class Encoder(nn.Module):
    """[N, in_features], [C] -> [N, in_features]."""

    def __init__(self, in_features: int, depth: int, heads: int, feed: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(in_features, heads=heads, feed=feed) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(in_features)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, padding)
        out: Tensor = self.norm(x)
        return out


class DecoderLayer(nn.Module):
    """[N, in_features], [C, L], [C] -> [N, in_features]."""

    def __init__(self, in_features: int, heads: int, feed: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(in_features, heads, dropout=0.1, batch_first=True)
        self.dropout1 = nn.Dropout(0.1)
        self.norm1 = nn.LayerNorm(in_features)
        self.multihead_attn = nn.MultiheadAttention(
            in_features, heads, dropout=0.1, batch_first=True
        )
        self.dropout2 = nn.Dropout(0.1)
        self.norm2 = nn.LayerNorm(in_features)
        self.linear1 = nn.Linear(in_features, feed)
        self.relu1 = nn.ReLU()
        self.dropout3 = nn.Dropout(0.1)
        self.linear2 = nn.Linear(feed, in_features)
        self.dropout4 = nn.Dropout(0.1)
        self.norm3 = nn.LayerNorm(in_features)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        y = self.self_attn(
            x,
            x,
            x,
            need_weights=False,
            attn_mask=torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1),
            is_causal=True,
        )[0]
        x = self.norm1(self.dropout1(y) + x)
        y = self.multihead_attn(x, memory, memory, key_padding_mask=padding, need_weights=False)[0]
        x = self.norm2(self.dropout2(y) + x)
        y = self.relu1(self.linear1(x))
        y = self.dropout3(y)
        out: Tensor = self.norm3(self.dropout4(self.linear2(y)) + x)
        return out


class Decoder(nn.Module):
    """[N, in_features], [C, L], [C] -> [N, in_features]."""

    def __init__(self, in_features: int, depth: int, heads: int, feed: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(in_features, heads=heads, feed=feed) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(in_features)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, padding)
        out: Tensor = self.norm(x)
        return out


class Transformer(nn.Module):
    """[S, 512], [T, 512], [S] -> [T, 512]."""

    def __init__(self, width: int = 512, heads: int = 8, feed: int = 2048, depth: int = 6) -> None:
        super().__init__()
        self.encoder = Encoder(width, depth=depth, heads=heads, feed=feed)
        self.decoder = Decoder(width, depth=depth, heads=heads, feed=feed)
        for module in self.modules():
            if type(module) is nn.Linear:
                nn.init.xavier_uniform_(module.weight)
            elif isinstance(module, nn.MultiheadAttention):
                for name, parameter in module.named_parameters():
                    if "weight" in name:
                        nn.init.xavier_uniform_(parameter)

    def forward(self, src: Tensor, tgt: Tensor, src_padding: Tensor) -> Tensor:
        x = self.encoder(src, src_padding)
        out: Tensor = self.decoder(tgt, x, src_padding)
        return out
