"""References whose inputs, outputs or parts are not a spec's as they are."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A recurrent layer of torch.nn under the name that the spec gives it."""

    def __init__(self, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.layer_name = name
        self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule(self.layer_name)(x)[0]
        return out


class Transformer(nn.Transformer):
    """torch.nn.Transformer with the masks of the spec."""

    def __init__(self) -> None:
        super().__init__(batch_first=True)

    def forward(self, src: Tensor, tgt: Tensor, padding: Tensor) -> Tensor:
        later = torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool).triu(1)
        return super().forward(
            src,
            tgt,
            tgt_mask=later,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )


class Gpt(nn.Module):
    """GPT-2's blocks of torch.nn's layers, under the names that the spec gives them."""

    def __init__(self, width: int = 128, heads: int = 4, layers: int = 4) -> None:
        super().__init__()
        self.wte = nn.Embedding(256, width)
        self.wpe = nn.Parameter(torch.empty(128, width))
        self.h = nn.ModuleList(self.block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, 256, bias=False)
        self.drop = nn.Dropout(0.1)

    @staticmethod
    def block(width: int, heads: int) -> nn.ModuleDict:
        wide = {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        attn = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        norms = {"ln_1": nn.LayerNorm(width), "ln_2": nn.LayerNorm(width)}
        return nn.ModuleDict({**norms, "attn": attn, "mlp": nn.ModuleDict(wide)})

    def forward(self, tokens: Tensor) -> Tensor:
        later = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
        x = self.drop(self.wte(tokens) + self.wpe[: tokens.shape[1]])
        for block in self.h:
            y = block["ln_1"](x)
            x = x + self.drop(block["attn"](y, y, y, attn_mask=later, need_weights=False)[0])
            y = block["mlp"]["c_fc"](block["ln_2"](x))
            y = block["mlp"]["c_proj"](nn.functional.gelu(y, approximate="tanh"))
            x = x + self.drop(y)
        out: Tensor = self.lm_head(self.ln_f(x))
        return out


class LanguageModel(nn.Module):
    """Two layers of torch.nn.LSTM between an embedding and a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10000, 200)
        self.lstm = nn.LSTM(200, 200, 2, batch_first=True)
        self.fc = nn.Linear(200, 10000)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fc(self.lstm(self.embedding(tokens))[0])
        return out


class Ensemble(nn.Module):
    """Three classifiers of torchvision, the mean of their probabilities."""

    def __init__(self) -> None:
        super().__init__()
        models: Any = sys.modules["torchvision"].models
        self.resnet = self.member("resnet", models.resnet18())
        googlenet = models.googlenet(aux_logits=False, init_weights=False)
        self.googlenet = self.member("googlenet", googlenet)
        self.efficientnet = self.member("efficientnet", models.efficientnet_b0())

    @staticmethod
    def member(name: str, network: nn.Module) -> nn.Sequential:
        return nn.Sequential(OrderedDict({f"{name}1": network, "softmax": nn.Softmax(-1)}))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.resnet(x) + self.googlenet(x) + self.efficientnet(x)) / 3
        return out


def detector(count: int) -> nn.Module:
    """torchvision's Faster R-CNN, which proposes `count` boxes at most."""
    detection: Any = sys.modules["torchvision"].models.detection
    limits = {
        f"rpn_{when}_nms_top_n_{mode}": count
        for when in ("pre", "post")
        for mode in ("train", "test")
    }
    network: nn.Module = detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, **limits
    )
    network.__class__ = type("Detector", (type(network),), {"forward": _detected, "count": count})
    return network


def _detected(self: Any, image: Tensor) -> dict[str, Any]:
    """What its parts compute: trunk, pyramid, proposals and box head, before any box is chosen.

    Fewer proposals than `count` are filled up with zeros.
    """
    detection: Any = sys.modules["torchvision"].models.detection
    size = tuple(image.shape[2:])
    images = detection.image_list.ImageList(image, [size] * len(image))
    maps = self.backbone(image)
    objectness, deltas = self.rpn.head(list(maps.values()))
    # made anew: that of the network was made where nothing is computed
    anchors = detection.faster_rcnn._default_anchorgen()(images, list(maps.values()))
    flat, codes = detection.rpn.concat_box_prediction_layers(objectness, deltas)
    boxes = self.rpn.box_coder.decode(codes.detach(), anchors).view(len(image), -1, 4)
    counts = [logits[0].numel() for logits in objectness]
    found, scores = self.rpn.filter_proposals(boxes, flat, images.image_sizes, counts)
    assert all(len(one) > 0 for one in found)
    proposals = [_filled(one, self.count) for one in found]
    pooled = self.roi_heads.box_roi_pool(maps, proposals, images.image_sizes)
    logits, regression = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
    return {
        "class_logits": logits.unflatten(0, (len(image), -1)),
        "box_regression": regression.unflatten(0, (len(image), -1)),
        "proposals": torch.stack(proposals),
        "scores": torch.stack([_filled(one, self.count) for one in scores]),
        "objectness": objectness,
        "deltas": deltas,
    }


def _filled(rows: Tensor, count: int) -> Tensor:
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])


def one_stage(name: str) -> nn.Module:
    """torchvision's RetinaNet, that answers what its heads compute and the box of each anchor."""
    network: nn.Module = getattr(sys.modules["torchvision"].models.detection, name)(
        weights=None, weights_backbone=None
    )
    network.__class__ = type("OneStage", (type(network),), {"forward": _headed})
    return network


def _headed(self: Any, image: Tensor) -> dict[str, Tensor]:
    detection: Any = sys.modules["torchvision"].models.detection
    maps = list(self.backbone(image).values())
    found: dict[str, Tensor] = self.head(maps)
    images = detection.image_list.ImageList(image, [tuple(image.shape[2:])] * len(image))
    # made anew: that of the network was made where nothing is computed
    anchors = detection.retinanet._default_anchorgen()(images, maps)
    pairs = zip(found["bbox_regression"], anchors, strict=True)
    boxes = torch.stack([self.box_coder.decode_single(codes, rows) for codes, rows in pairs])
    return {**found, "boxes": boxes, "scores": found["cls_logits"].sigmoid()}


def swin(window: int, **parts: Any) -> nn.Module:
    """torchvision's Swin-T with windows of another size."""
    library: Any = sys.modules["torchvision"].models.swin_transformer
    network: nn.Module = library.SwinTransformer(
        patch_size=[4, 4], embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24],
        window_size=[window, window], stochastic_depth_prob=0.2, **parts,
    )  # fmt: skip
    return network


def swin_v2(window: int) -> nn.Module:
    """Its version 2; the bias of keys, which it never reads, is 0, as in its weights."""
    library: Any = sys.modules["torchvision"].models.swin_transformer
    parts = {"block": library.SwinTransformerBlockV2, "downsample_layer": library.PatchMergingV2}
    network = swin(window, **parts)
    network.register_state_dict_post_hook(_without_bias_of_keys)
    return network


def _without_bias_of_keys(network: nn.Module, state: Any, *_: Any) -> None:
    for name, tensor in state.items():
        if name.endswith("qkv.bias"):
            tensor.chunk(3)[1].zero_()


def standardised() -> nn.Module:
    """timm's ResNet-50 with group norm, its convolutions those that standardise their weights."""
    library = pytest.importorskip("timm")
    network: nn.Module = library.create_model("resnet50_gn", pretrained=False)
    for path, conv in list(network.named_modules()):
        if isinstance(conv, nn.Conv2d):
            shape: Any = {"stride": conv.stride, "padding": conv.padding}
            widths = conv.in_channels, conv.out_channels
            ours = library.layers.StdConv2d(*widths, conv.kernel_size, **shape)
            network.set_submodule(path, ours)
    return network
