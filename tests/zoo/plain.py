"""Networks in plain torch, as their papers say, under the names that published weights have."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def heads_of(x: Tensor, heads: int) -> Tensor:
    """[N, T, D] as [N, heads, T, D / heads]."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class Modules(nn.Module):
    """Modules by name, `self` and `LayerNorm` among them."""

    def __init__(self, /, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


# ---------------------------------------------------------------- language


class Bert(nn.Module):
    """BERT, with the names of Hugging Face (Devlin et al. 2019)."""

    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.drop = nn.Dropout(0.1)
        self.embeddings = Modules(
            word_embeddings=nn.Embedding(30522, width),
            position_embeddings=nn.Embedding(512, width),
            token_type_embeddings=nn.Embedding(2, width),
            LayerNorm=nn.LayerNorm(width, 1e-12),
        )
        self.encoder = Modules(layer=nn.ModuleList(self.layer(width) for _ in range(layers)))
        self.pooler = Modules(dense=nn.Linear(width, width))

    @staticmethod
    def layer(width: int) -> nn.Module:
        maps = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        return Modules(
            attention=Modules(self=Modules(**maps), output=Bert.output(width, width)),
            intermediate=Modules(dense=nn.Linear(width, 4 * width)),
            output=Bert.output(4 * width, width),
        )

    @staticmethod
    def output(features: int, width: int) -> nn.Module:
        return Modules(dense=nn.Linear(features, width), LayerNorm=nn.LayerNorm(width, 1e-12))

    def forward(self, tokens: Tensor, segments: Tensor, padding: Tensor) -> dict[str, Tensor]:
        given = self.embeddings
        x = given.word_embeddings(tokens) + given.token_type_embeddings(segments)
        x = x + given.position_embeddings(torch.arange(tokens.shape[1]))
        x = self.drop(given.LayerNorm(x))
        seen = ~padding[:, None, None]
        for layer in self.encoder.layer:
            x = self.through(layer, x, seen)
        pooled = self.pooler.dense(x[:, 0]).tanh()
        return {"last_hidden_state": x, "pooler_output": pooled}

    def through(self, layer: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
        maps = layer.attention.self
        q, k, v = (heads_of(m(x), self.heads) for m in (maps.query, maps.key, maps.value))
        y = scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2)
        x = self.added(layer.attention.output, y, x)
        return self.added(layer.output, nn.functional.gelu(layer.intermediate.dense(x)), x)

    def added(self, output: nn.Module, x: Tensor, before: Tensor) -> Tensor:
        return output.LayerNorm(self.drop(output.dense(x)) + before)


class Gpt2(nn.Module):
    """GPT-2, with the names of Hugging Face's GPT2LMHeadModel (Radford et al. 2019)."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.transformer = Modules(
            wte=nn.Embedding(vocabulary, width),
            wpe=nn.Embedding(context, width),
            h=nn.ModuleList(self.block(width) for _ in range(layers)),
            ln_f=nn.LayerNorm(width),
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        self.drop = nn.Dropout(0.1)

    @staticmethod
    def block(width: int) -> nn.Module:
        attn = {"c_attn": nn.Linear(width, 3 * width), "c_proj": nn.Linear(width, width)}
        wide = {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        norms = {name: nn.LayerNorm(width) for name in ("ln_1", "ln_2")}
        return Modules(**norms, attn=Modules(**attn), mlp=Modules(**wide))

    def attend(self, x: Tensor, attn: nn.Module) -> Tensor:
        query, key, value = (heads_of(y, self.heads) for y in attn.c_attn(x).chunk(3, -1))
        drop = self.drop.p if self.training else 0.0
        seen = scaled_dot_product_attention(query, key, value, dropout_p=drop, is_causal=True)
        out: Tensor = self.drop(attn.c_proj(seen.transpose(1, 2).flatten(2)))
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        given = self.transformer
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.drop(given.wte(tokens) + given.wpe(places))
        for block in given.h:
            x = x + self.attend(block.ln_1(x), block.attn)
            y = nn.functional.gelu(block.mlp.c_fc(block.ln_2(x)), approximate="tanh")
            x = x + self.drop(block.mlp.c_proj(y))
        out: Tensor = self.lm_head(given.ln_f(x))
        return out


class Llama(nn.Module):
    """Llama, with the names of Hugging Face (Touvron et al. 2023)."""

    def __init__(self, layers: int = 4, width: int = 128, heads: int = 8, shared: int = 2) -> None:
        super().__init__()
        self.heads, self.shared = heads, shared
        sizes = {"q": width, "k": width // heads * shared, "v": width // heads * shared, "o": width}
        maps = {f"{name}_proj": (width, size) for name, size in sizes.items()}
        gated = {"gate_proj": (width, 352), "up_proj": (width, 352), "down_proj": (352, width)}

        def linear(sizes: dict[str, tuple[int, int]]) -> nn.Module:
            return Modules(**{name: nn.Linear(*size, bias=False) for name, size in sizes.items()})

        norms = ("input_layernorm", "post_attention_layernorm")
        self.model = Modules(
            embed_tokens=nn.Embedding(256, width),
            layers=nn.ModuleList(
                Modules(
                    self_attn=linear(maps),
                    mlp=linear(gated),
                    **{name: nn.RMSNorm(width, 1e-5) for name in norms},
                )
                for _ in range(layers)
            ),
            norm=nn.RMSNorm(width, 1e-5),
        )
        self.lm_head = nn.Linear(width, 256, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = x + self.attend(layer.self_attn, layer.input_layernorm(x))
            y, mlp = layer.post_attention_layernorm(x), layer.mlp
            x = x + mlp.down_proj(nn.functional.silu(mlp.gate_proj(y)) * mlp.up_proj(y))
        out: Tensor = self.lm_head(self.model.norm(x))
        return out

    def attend(self, maps: nn.Module, x: Tensor) -> Tensor:
        q = turned(heads_of(maps.q_proj(x), self.heads))
        k, v = (heads_of(m(x), self.shared) for m in (maps.k_proj, maps.v_proj))
        y = scaled_dot_product_attention(q, turned(k), v, is_causal=True, enable_gqa=True)
        out: Tensor = maps.o_proj(y.transpose(1, 2).flatten(2))
        return out


def turned(x: Tensor) -> Tensor:
    """Features i and i + D / 2 turned by place / 10000^(2i / D) (Su et al. 2021)."""
    rates = 1 / 10000 ** (torch.arange(0, x.shape[-1], 2).float() / x.shape[-1])
    angles = torch.outer(torch.arange(x.shape[-2]).float(), rates).repeat(1, 2)
    a, b = x.chunk(2, -1)
    return x * angles.cos() + torch.cat([-b, a], -1) * angles.sin()


class MambaMixer(nn.Module):
    """A selective state space (Gu and Dao 2023, section 3), place by place."""

    def __init__(self, width: int, inner: int, state: int, rank: int) -> None:
        super().__init__()
        self.state, self.rank = state, rank
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 4, padding=3, groups=inner)
        self.x_proj = nn.Linear(inner, rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, state))
        self.D = nn.Parameter(torch.empty(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.shape[1]
        x, gate = self.in_proj(x).chunk(2, -1)
        x = self.conv1d(x.transpose(1, 2))[..., :steps].transpose(1, 2)
        x = nn.functional.silu(x)
        dt, b, c = self.x_proj(x).split([self.rank, self.state, self.state], -1)
        dt = nn.functional.softplus(self.dt_proj(dt))
        h, seen = x.new_zeros(len(x), x.shape[2], self.state), []
        for t in range(steps):
            a = (dt[:, t, :, None] * -self.A_log.exp()).exp()
            h = a * h + (dt[:, t] * x[:, t])[..., None] * b[:, t, None]
            seen.append((h @ c[:, t, :, None])[..., 0])
        y = torch.stack(seen, 1) + self.D * x
        out: Tensor = self.out_proj(y * nn.functional.silu(gate))
        return out


class Mamba(nn.Module):
    """Mamba, with the names of Hugging Face."""

    def __init__(self, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.backbone = Modules(
            embeddings=nn.Embedding(256, width),
            layers=nn.ModuleList(
                Modules(
                    norm=nn.RMSNorm(width, 1e-5),
                    mixer=MambaMixer(width, 2 * width, 16, width // 16),
                )
                for _ in range(layers)
            ),
            norm_f=nn.RMSNorm(width, 1e-5),
        )
        self.lm_head = nn.Linear(width, 256, bias=False)
        self.lm_head.weight = self.backbone.embeddings.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.backbone.embeddings(tokens)
        for layer in self.backbone.layers:
            x = x + layer.mixer(layer.norm(x))
        out: Tensor = self.lm_head(self.backbone.norm_f(x))
        return out


# ---------------------------------------------------------------- pictures and language


class QuickGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ClipTransformer(nn.Module):
    """The blocks of either tower of CLIP."""

    def __init__(self, layers: int, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.resblocks = nn.ModuleList(
            Modules(
                ln_1=nn.LayerNorm(width),
                attn=nn.MultiheadAttention(width, heads, batch_first=True),
                ln_2=nn.LayerNorm(width),
                mlp=nn.Sequential(
                    OrderedDict(
                        c_fc=nn.Linear(width, 4 * width),
                        gelu=QuickGELU(),
                        c_proj=nn.Linear(4 * width, width),
                    )
                ),
            )
            for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        mask = later if self.causal else None
        for block in self.resblocks:
            y = block.ln_1(x)
            x = x + block.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
            x = x + block.mlp(block.ln_2(x))
        return x


class ClipVisual(nn.Module):
    """CLIP's Vision Transformer, of pictures of 64 by 64."""

    def __init__(self, width: int = 128, patch: int = 16, embed: int = 64) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((64 // patch) ** 2 + 1, width))
        self.proj = nn.Parameter(torch.empty(width, embed))
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = ClipTransformer(2, width, 2, causal=False)
        self.ln_post = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([token, x], 1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class Clip(nn.Module):
    """CLIP, with the names of OpenAI, and the logit of each pair (Radford et al. 2021)."""

    def __init__(self, width: int = 96, context: int = 16, embed: int = 64) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        self.text_projection = nn.Parameter(torch.empty(width, embed))
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.visual = ClipVisual(embed=embed)
        self.transformer = ClipTransformer(2, width, 3, causal=True)
        self.token_embedding = nn.Embedding(256, width)
        self.ln_final = nn.LayerNorm(width)

    def forward(self, image: Tensor, text: Tensor) -> dict[str, Tensor]:
        x = self.token_embedding(text) + self.positional_embedding[: text.shape[1]]
        x = self.ln_final(self.transformer(x))
        x = x[torch.arange(len(x)), text.argmax(-1)] @ self.text_projection
        a, b = self.visual(image), x
        a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
        logit = (a * b).sum(1) * self.logit_scale.exp()
        return {"logit": logit, "image_features": a, "text_features": b}


# ---------------------------------------------------------------- generation


class VqResidual(nn.Module):
    """ReLU, 3x3, ReLU, 1x1, added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x.relu()).relu())


class VqVae(nn.Module):
    """VQ-VAE: section 4.1 of van den Oord et al. 2017."""

    def __init__(self, width: int = 256, codes: int = 512, dim: int = 64) -> None:
        super().__init__()
        half = {"kernel_size": 4, "stride": 2, "padding": 1}
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, **half),
            nn.ReLU(),
            nn.Conv2d(width, width, **half),
            VqResidual(width),
            VqResidual(width),
            nn.ReLU(),
            nn.Conv2d(width, dim, 1),
        )
        self.codebook = Modules()
        self.codebook.table = nn.Parameter(torch.empty(codes, dim))
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, width, 3, padding=1),
            VqResidual(width),
            VqResidual(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, **half),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, **half),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        latent = self.encoder(x)
        table = self.codebook.table
        rows = latent.permute(0, 2, 3, 1).flatten(1, 2)
        code = torch.cdist(rows, table.expand(len(x), -1, -1)).argmin(-1)
        quantized = table[code].unflatten(1, latent.shape[2:]).permute(0, 3, 1, 2)
        through = latent + (quantized - latent).detach()
        return {
            "reconstruction": self.decoder(through),
            "latent": latent,
            "quantized": quantized,
            "code": code,
        }


class UnetResnet(nn.Module):
    """Two convolutions behind group norms; the time shifts the first one's features."""

    def __init__(self, channels: int, out: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, channels), nn.GroupNorm(32, out)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        if channels != out:
            self.conv_shortcut = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        silu = nn.functional.silu
        y = self.conv1(silu(self.norm1(x))) + self.time_emb_proj(silu(time))[:, :, None, None]
        y = self.conv2(silu(self.norm2(y)))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + y


class UnetAttention(nn.Module):
    """Places look at each other, then at the text (Rombach et al. 2022, section 3.3)."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, 1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

        def attention(seen: int) -> nn.Module:
            sizes = {"to_q": width, "to_k": seen, "to_v": seen}
            maps = {name: nn.Linear(size, width, bias=False) for name, size in sizes.items()}
            return Modules(**maps, to_out=nn.ModuleList([nn.Linear(width, width)]))

        norms = {f"norm{i}": nn.LayerNorm(width) for i in (1, 2, 3)}
        wide = Modules(proj=nn.Linear(width, 8 * width))
        fed = Modules(net=nn.ModuleList([wide, nn.Identity(), nn.Linear(4 * width, width)]))
        block = Modules(attn1=attention(width), attn2=attention(context), ff=fed, **norms)
        self.transformer_blocks = nn.ModuleList([block])

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        (block,) = self.transformer_blocks
        z = block.norm1(y)
        y = self.attend(block.attn1, z, z) + y
        y = self.attend(block.attn2, block.norm2(y), text) + y
        values, gates = block.ff.net[0].proj(block.norm3(y)).chunk(2, -1)
        y = block.ff.net[2](values * nn.functional.gelu(gates)) + y
        # diffusers copies this to channels first, which rounds the convolution otherwise
        return self.proj_out(y.transpose(1, 2).unflatten(2, x.shape[2:])) + x

    def attend(self, maps: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
        q, k, v = (heads_of(t, 8) for t in (maps.to_q(x), maps.to_k(seen), maps.to_v(seen)))
        out: Tensor = maps.to_out[0](
            scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )
        return out


class DiffusionUnet(nn.Module):
    """Stable Diffusion's U-Net, with the names of diffusers."""

    def __init__(self, width: int = 64, context: int = 96) -> None:
        super().__init__()
        self.width, widths = width, [width, 2 * width, 4 * width, 4 * width]
        time, top = 4 * width, 4 * width
        self.time_embedding = Modules(
            linear_1=nn.Linear(width, time), linear_2=nn.Linear(time, time)
        )
        self.conv_in = nn.Conv2d(4, width, 3, padding=1)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()

        def level(sizes: list[tuple[int, int]], attend: bool) -> nn.Module:
            resnets = nn.ModuleList(UnetResnet(a, b, time) for a, b in sizes)
            if not attend:
                return Modules(resnets=resnets)
            attentions = nn.ModuleList(UnetAttention(b, context) for _, b in sizes)
            return Modules(resnets=resnets, attentions=attentions)

        before = width
        for i, out in enumerate(widths):
            block = level([(before, out), (out, out)], attend=i < 3)
            if i < 3:
                halved = Modules(conv=nn.Conv2d(out, out, 3, 2, 1))
                block.add_module("downsamplers", nn.ModuleList([halved]))
            self.down_blocks.append(block)
            before = out
        self.mid_block = level([(top, top)], attend=True)
        self.mid_block.resnets.append(UnetResnet(top, top, time))
        for i, out in enumerate(reversed(widths)):
            skips = [out, out, widths[max(2 - i, 0)]]
            sizes = [(a + skip, out) for a, skip in zip([before, out, out], skips, strict=True)]
            block = level(sizes, attend=i > 0)
            if i < 3:
                doubled = Modules(conv=nn.Conv2d(out, out, 3, padding=1))
                block.add_module("upsamplers", nn.ModuleList([doubled]))
            self.up_blocks.append(block)
            before = out
        self.conv_norm_out = nn.GroupNorm(32, width)
        self.conv_out = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, sample: Tensor, time: Tensor, text: Tensor) -> Tensor:
        rates = (-math.log(10000) * torch.arange(self.width // 2) / (self.width // 2)).exp()
        angles = time[:, None] * rates
        time = self.time_embedding.linear_1(torch.cat([angles.cos(), angles.sin()], 1))
        time = self.time_embedding.linear_2(nn.functional.silu(time))
        x = self.conv_in(sample)
        skips = [x]
        for block in self.down_blocks:
            for i, resnet in enumerate(block.resnets):
                x = self.at(block, i, resnet(x, time), text)
                skips.append(x)
            for down in getattr(block, "downsamplers", ()):
                x = down.conv(x)
                skips.append(x)
        x = self.at(self.mid_block, 0, self.mid_block.resnets[0](x, time), text)
        x = self.mid_block.resnets[1](x, time)
        for block in self.up_blocks:
            for i, resnet in enumerate(block.resnets):
                x = self.at(block, i, resnet(torch.cat([x, skips.pop()], 1), time), text)
            for up in getattr(block, "upsamplers", ()):
                x = up.conv(nn.functional.interpolate(x, skips[-1].shape[2:]))
        out: Tensor = self.conv_out(nn.functional.silu(self.conv_norm_out(x)))
        return out

    def at(self, block: nn.Module, i: int, x: Tensor, text: Tensor) -> Tensor:
        return block.attentions[i](x, text) if hasattr(block, "attentions") else x


# ---------------------------------------------------------------- boxes


class FrozenNorm(nn.Module):
    """A batch norm that stays as it was trained."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        given = (self.running_mean, self.running_var, self.weight, self.bias)
        return nn.functional.batch_norm(x, *given, training=False)


class DetrLayer(nn.Module):
    """A layer of DETR's encoder, or of its decoder: places are added to queries and keys only."""

    def __init__(self, width: int, decoder: bool) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, 8, 0.1, batch_first=True)
        if decoder:
            self.multihead_attn = nn.MultiheadAttention(width, 8, 0.1, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, 2048), nn.Linear(2048, width)
        for i in range(2 + decoder):
            self.add_module(f"norm{i + 1}", nn.LayerNorm(width))
        self.drop = nn.Dropout(0.1)

    def fed(self, x: Tensor) -> Tensor:
        return self.drop(self.linear2(self.drop(self.linear1(x).relu())))

    def encoded(self, x: Tensor, places: Tensor) -> Tensor:
        at = x + places
        x = self.norm1(x + self.drop(self.self_attn(at, at, x, need_weights=False)[0]))
        return self.norm2(x + self.fed(x))

    def decoded(self, x: Tensor, memory: Tensor, places: Tensor, queries: Tensor) -> Tensor:
        at = x + queries
        x = self.norm1(x + self.drop(self.self_attn(at, at, x, need_weights=False)[0]))
        keys = memory + places
        y = self.multihead_attn(x + queries, keys, memory, need_weights=False)[0]
        x = self.norm2(x + self.drop(y))
        return self.norm3(x + self.fed(x))


class Detr(nn.Module):
    """DETR, with the names of facebookresearch (Carion et al. 2020)."""

    def __init__(self, width: int = 256, layers: int = 6) -> None:
        super().__init__()
        resnet = sys.modules["torchvision"].models.resnet50(norm_layer=FrozenNorm)
        left_out = ("avgpool", "fc")
        body = OrderedDict((n, m) for n, m in resnet.named_children() if n not in left_out)
        self.backbone = nn.Sequential(Modules(body=nn.Sequential(body)))
        self.input_proj = nn.Conv2d(2048, width, 1)
        self.query_embed = nn.Embedding(100, width)

        def layered(decoder: bool) -> nn.ModuleList:
            return nn.ModuleList(DetrLayer(width, decoder) for _ in range(layers))

        self.transformer = Modules(
            encoder=Modules(layers=layered(False)),
            decoder=Modules(layers=layered(True), norm=nn.LayerNorm(width)),
        )
        self.class_embed = nn.Linear(width, 92)
        maps = nn.ModuleList(nn.Linear(width, out) for out in (width, width, 4))
        self.bbox_embed = Modules(layers=maps)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.input_proj(self.backbone[0].body(image))
        places = sine_places(*x.shape[1:])
        memory = x.flatten(2).transpose(1, 2)
        for layer in self.transformer.encoder.layers:
            memory = layer.encoded(memory, places)
        queries = self.query_embed.weight.expand(len(x), -1, -1)
        x = torch.zeros_like(queries)
        for layer in self.transformer.decoder.layers:
            x = layer.decoded(x, memory, places, queries)
        x = boxes = self.transformer.decoder.norm(x)
        for i, linear in enumerate(self.bbox_embed.layers):
            boxes = linear(boxes.relu() if i else boxes)
        return {"pred_logits": self.class_embed(x), "pred_boxes": boxes.sigmoid()}


def sine_places(width: int, height: int, across: int) -> Tensor:
    """[H W, width]: sines and cosines of the row and of the column, in turn, as parts of 2 pi."""
    waves = width // 4
    lengths = torch.linspace(0, math.log(10000) * (1 - 1 / waves), waves).exp()

    def coded(count: int) -> Tensor:
        place = torch.arange(1, count + 1).float() / (count + 1e-6) * (2 * math.pi)
        angles = place[:, None] / lengths
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)

    rows = coded(height)[:, None].expand(-1, across, -1)
    columns = coded(across)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1)
