"""(spec, variant) → the network it has to equal: torchvision, timm, torch.nn or plain torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import plain
import plain_vision
import pytest
import torch
import wrapped
from torch import nn


@dataclass(frozen=True)
class Reference:
    """How a reference is built, and on what it is compared.

    `build` returns the reference; it runs on the meta device, weights are filled in afterwards.
    `sizes` are the shapes of the inputs without the batch axis, where the spec's own would take
    long: the weights are those of the full network, only the picture is smaller. `result` turns
    what the reference returns into what the spec's network returns, `gradient` asks for the
    gradients with respect to the input as well. `source` is whose names the weights have, in the
    spec's `weights:` table; without it they are equal. `params` are set from outside in the spec,
    `factors` scale the weights below a name, where signals would leave the range that is of use.
    `rounding` is how far outputs may lie apart where a network adds in another order than the
    reference: in double precision, as a part of their standard deviation.
    """

    build: Callable[[], nn.Module]
    sizes: tuple[tuple[int, ...], ...] | None = None
    result: Callable[[Any], Any] = lambda result: result
    gradient: bool = False
    source: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    rounding: float = 0.0


def torchvision(name: str, **arguments: Any) -> Callable[[], nn.Module]:
    """A model of torchvision without weights; `name` is a path below `torchvision.models`."""

    def build() -> nn.Module:
        made: Any = sys.modules["torchvision"].models  # the fixture has imported it
        for part in name.split("."):
            made = getattr(made, part)
        module: nn.Module = made(weights=None, **arguments)
        return module

    return build


def on_cpu(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """What reads numbers while it is built, which the meta device does not have."""

    def there() -> nn.Module:
        with torch.device("cpu"):
            return build()

    return there


def timm(name: str, **arguments: Any) -> Callable[[], nn.Module]:
    """A model of timm without weights."""

    def build() -> nn.Module:
        library = pytest.importorskip("timm")
        module: nn.Module = library.create_model(name, pretrained=False, **arguments)
        return module

    return build


def renamed(**names: str) -> Callable[[Any], Any]:
    """A named tuple or a mapping of the reference → a mapping by the spec's names."""

    def result(found: Any) -> Any:
        if not isinstance(found, (dict, tuple)):  # in evaluation: the one tensor
            return found
        entries = found if isinstance(found, dict) else found._asdict()
        return {ours: entries[theirs] for ours, theirs in names.items()}

    return result


def picture(size: int) -> tuple[tuple[int, ...], ...]:
    return ((3, size, size),)


# By spec and name of the variant; the spec's own name means without one.
REFERENCES: dict[tuple[str, str], Reference] = {}

# ---------------------------------------------------------------- classifiers

GRADIENTS = {"resnet50", "mobilenet_v2", "densenet121", "efficientnet_b0"}

REFERENCES |= {
    ("alexnet", "torchvision"): Reference(torchvision("alexnet"), picture(96)),
    ("googlenet", "googlenet"): Reference(
        torchvision("googlenet", aux_logits=True, init_weights=False),
        picture(96),
        renamed(logits="logits", aux1="aux_logits1", aux2="aux_logits2"),
        gradient=True,
    ),
    ("inception_v3", "inception_v3"): Reference(
        torchvision("inception_v3", aux_logits=True, init_weights=False),
        result=renamed(logits="logits", aux="aux_logits"),
    ),
    ("inception_v4", "inception_v4"): Reference(timm("inception_v4"), picture(139)),
    ("inception_resnet_v2", "inception_resnet_v2"): Reference(
        timm("inception_resnet_v2"), picture(139)
    ),
    ("xception", "xception"): Reference(timm("legacy_xception"), picture(139)),
    ("mobilenet_v1", "mobilenet_v1"): Reference(timm("mobilenetv1_100"), picture(96)),
    ("mobilenet_v3", "mobilenet_v3"): Reference(torchvision("mobilenet_v3_large"), picture(96)),
    ("shufflenet_v2", "shufflenet_v2"): Reference(
        torchvision("shufflenet_v2_x1_0"), picture(96), gradient=True
    ),
    ("senet154", "senet154"): Reference(timm("legacy_senet154"), picture(96)),
}
# variants that are called as in torchvision
for spec, size, *names in (
    ("vgg16", 96, *(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn"))),
    ("resnet50", 96, *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))),
    ("densenet121", 96, *(f"densenet{depth}" for depth in (121, 161, 169, 201))),
    ("mobilenet_v2", 96, "mobilenet_v2"),
    ("mobilenet_v3", 96, "mobilenet_v3_large", "mobilenet_v3_small"),
    ("efficientnet_b0", 96, *(f"efficientnet_b{scale}" for scale in range(8))),
    ("convnext_tiny", 96, *(f"convnext_{size}" for size in ("tiny", "small", "base", "large"))),
    ("shufflenet_v2", 96, *(f"shufflenet_v2_x{width}" for width in ("0_5", "1_5", "2_0"))),
    ("vit_b_16", 224, "vit_b_16", "vit_l_16"),
    ("efficientnet_v2_s", 96, *(f"efficientnet_v2_{size}" for size in "sml")),
):
    for name in names:
        REFERENCES[spec, name] = Reference(
            torchvision(name), picture(size), gradient=name in GRADIENTS
        )
for ours, theirs in (
    ("resnext50", "resnext50_32x4d"),
    ("resnext101", "resnext101_32x8d"),
    ("resnext101_64", "resnext101_64x4d"),
    ("wide_resnet50", "wide_resnet50_2"),
    ("wide_resnet101", "wide_resnet101_2"),
):
    REFERENCES["resnext50", ours] = Reference(torchvision(theirs), picture(96))
for name in ("x_400mf", "x_3_2gf", "x_8gf", "y_400mf", "y_1_6gf"):
    REFERENCES["regnet_x_400mf", f"regnet_{name}"] = Reference(
        on_cpu(torchvision(f"regnet_{name}")), picture(96), source="torchvision"
    )
REFERENCES["hrnet_w18", "hrnet_w18"] = Reference(timm("hrnet_w18"), picture(32))
REFERENCES["r3d_18", "r3d_18"] = Reference(torchvision("video.r3d_18"), ((3, 4, 32, 32),))
for depth in (50, 101):
    name = "deeplabv3" if depth == 50 else "deeplabv3_resnet101"
    REFERENCES["deeplabv3", name] = Reference(
        torchvision(f"segmentation.deeplabv3_resnet{depth}", weights_backbone=None, aux_loss=True),
        picture(65),
        renamed(out="out", aux="aux"),
    )
for depth in (50, 101, 152):
    REFERENCES["resnet_v2_50", f"resnet_v2_{depth}"] = Reference(
        timm(f"resnetv2_{depth}"), picture(96)
    )
# the rates of its stochastic depth are float32 in timm
REFERENCES["nfnet_f0", "nfnet_f0"] = Reference(
    timm("dm_nfnet_f0", drop_rate=0.2), picture(96), params={"drop_path": 0.0}
)
for depth in (50, 101, 152):
    REFERENCES["se_resnet50", f"se_resnet{depth}"] = Reference(
        timm(f"legacy_seresnet{depth}"), picture(96)
    )

# ---------------------------------------------------------------- other networks

REFERENCES |= {
    ("fcn_resnet50", "fcn_resnet50"): Reference(
        torchvision("segmentation.fcn_resnet50", weights_backbone=None),
        picture(65),
        lambda found: found["out"],
    ),
    ("fcn_resnet50", "fcn_resnet50_aux"): Reference(
        torchvision("segmentation.fcn_resnet50", weights_backbone=None, aux_loss=True),
        ((3, 65, 97),),
        renamed(out="out", aux="aux"),
        gradient=True,
    ),
    # 48 boxes of each level: the logistic function rounds a row's last numbers otherwise, unless
    # their count is a multiple of 32
    ("faster_rcnn", "faster_rcnn"): Reference(
        lambda: wrapped.detector(48),
        picture(256),
        params={"proposals": 48},
        factors={"backbone.fpn.inner_blocks": 1e-4},
    ),
    ("retinanet", "retinanet_v2"): Reference(
        lambda: wrapped.one_stage("retinanet_resnet50_fpn_v2"),
        picture(65),
    ),
    ("unet_plus_plus", "unet_plus_plus"): Reference(plain_vision.UnetPlusPlus, ((1, 16, 32),)),
    ("unet_plus_plus", "unet_plus_plus_l2"): Reference(
        lambda: plain_vision.UnetPlusPlus(2), ((1, 16, 32),)
    ),
    ("yolov8_n", "yolov8_n"): Reference(
        lambda: plain_vision.Yolov8((16, 32, 64, 128, 256), (1, 2, 2, 1)), ((3, 64, 96),)
    ),
    ("swin_t", "swin_t"): Reference(
        lambda: wrapped.swin(4), picture(128), params={"size": 128, "window": 4}
    ),
    ("swin_v2_t", "swin_v2_t"): Reference(
        lambda: wrapped.swin_v2(4), picture(128), params={"size": 128, "window": 4}
    ),
    ("spatial_transformer", "spatial_transformer"): Reference(plain_vision.SpatialTransformer),
    ("lstm_classifier", "core"): Reference(
        lambda: wrapped.Recurrent("lstm", nn.LSTM(128, 256, 2, batch_first=True)), gradient=True
    ),
    ("rnn_classifier", "core"): Reference(
        lambda: wrapped.Recurrent("rnn", nn.RNN(128, 256, batch_first=True))
    ),
    ("transformer", "transformer"): Reference(wrapped.Transformer),
    ("gpt", "gpt"): Reference(wrapped.Gpt),
    ("lstm_language_model", "lstm_language_model"): Reference(wrapped.LanguageModel),
    ("ensemble", "ensemble"): Reference(wrapped.Ensemble, picture(64)),
    ("resnet50_gn", "resnet50_gn"): Reference(timm("resnet50_gn"), picture(64)),
    ("resnet50_gn", "resnet50_gn_ws"): Reference(wrapped.standardised, picture(64)),
}

# ---------------------------------------------------------------- in plain torch

REFERENCES |= {
    ("bert_base", "bert_tiny"): Reference(lambda: plain.Bert(2, 128, 2), ((40,),) * 3),
    ("gpt2", "gpt2_tiny"): Reference(
        on_cpu(lambda: plain.Gpt2(256, 128, 128, 4, 4)), ((40,),), source="spec"
    ),
    ("llama", "llama"): Reference(plain.Llama, ((40,),)),
    ("clip", "clip_small"): Reference(plain.Clip, ((3, 64, 64), (12,))),
    ("vq_vae", "vq_vae"): Reference(plain.VqVae, ((3, 32, 40),), gradient=True),
    ("stable_diffusion_unet", "stable_diffusion_unet_small"): Reference(
        plain.DiffusionUnet, ((4, 18, 25), (), (7, 96))
    ),
    ("detr", "detr"): Reference(plain.Detr, ((3, 96, 130),), source="spec"),
    # the spec sums by doubling, the reference place by place
    ("mamba", "mamba"): Reference(plain.Mamba, ((50,),), rounding=1e-12),
}

# ---------------------------------------------------------------- large variants

# Only their weights are compared, by name and shape; the outputs are compared of another variant.
NAMED: dict[tuple[str, str], Callable[[], nn.Module]] = {
    ("gpt2", "gpt2"): lambda: plain.Gpt2(50257, 1024, 768, 12, 12),
    ("gpt2", "gpt2_xl"): lambda: plain.Gpt2(50257, 1024, 1600, 25, 48),
    ("hrnet_w18", "hrnet_w48"): timm("hrnet_w48"),
    ("retinanet", "retinanet"): lambda: wrapped.one_stage("retinanet_resnet50_fpn"),
    ("swin_t", "swin_s"): torchvision("swin_s"),
    ("swin_t", "swin_b"): torchvision("swin_b"),
    ("yolov8_n", "yolov8_x"): lambda: plain_vision.Yolov8((80, 160, 320, 640, 640), (3, 6, 6, 3)),
}
