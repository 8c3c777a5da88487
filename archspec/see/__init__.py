"""A network, pictures → what the network sees in them, as pictures.

    archspec.see.guided(model, "cat.jpg")           what in the picture speaks for its class
    archspec.see.maximise(model, "conv5", [3, 7])   what two units of conv5 look for
    archspec.see.patches(model, "data/birds", "conv5", [3])    where they find it

A model is a module that archspec built, or what `archspec.train.load` gives of a run. Every call
gives a Seeing: its `values`, a PNG, a page of HTML; in a notebook it shows itself.

    subject       the network: its picture size, normalisation, classes, and its nodes, tapped
    reading       files, folders, arrays → pictures
    attribution   saliency, guided, deconv, gradcam, occlusion
    maps          activations, filters
    receptive     patches: the pictures that activate a unit most, cut by its receptive field
    ascent        maximise, emphasise
    inversion     invert
    nearness      codes: which pictures a network takes for alike
    novelty       anomaly: which are unlike all that it learned
    making        latent: what a generative network makes of noise, and between two codes
    seeing        what they give
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archspec.train.errors import member

if TYPE_CHECKING:
    from archspec.see.ascent import Ascent, emphasise, maximise
    from archspec.see.attribution import deconv, gradcam, guided, occlusion, saliency
    from archspec.see.inversion import invert
    from archspec.see.making import Latent, latent
    from archspec.see.maps import activations, filters
    from archspec.see.nearness import Near, codes
    from archspec.see.novelty import Anomaly, anomaly
    from archspec.see.receptive import Box, Patch, patches
    from archspec.see.seeing import Row, Seeing, beside

_HOME = {
    "Anomaly": "novelty", "Ascent": "ascent", "Box": "receptive", "Latent": "making",
    "Near": "nearness", "Patch": "receptive", "Row": "seeing", "Seeing": "seeing",
    "activations": "maps", "anomaly": "novelty", "beside": "seeing", "codes": "nearness",
    "deconv": "attribution", "emphasise": "ascent", "filters": "maps", "gradcam": "attribution",
    "guided": "attribution", "invert": "inversion", "latent": "making", "maximise": "ascent",
    "occlusion": "attribution", "patches": "receptive", "saliency": "attribution",
}  # fmt: skip

__all__ = [
    "Anomaly", "Ascent", "Box", "Latent", "Near", "Patch", "Row", "Seeing", "activations",
    "anomaly", "beside", "codes", "deconv", "emphasise", "filters", "gradcam", "guided", "invert",
    "latent", "maximise", "occlusion", "patches", "saliency",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `archspec.see` has no attribute `{name}`")
    return member(f"archspec.see.{_HOME[name]}", name, "seeing")
