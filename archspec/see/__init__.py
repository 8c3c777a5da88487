"""A network, pictures → what the network sees in them, as pictures.

    archspec.see.guided(model, "cat.jpg")           what in the picture speaks for its class
    archspec.see.gradcam(model, "cat.jpg")          where that is
    archspec.see.filters(model)                     what the first layer looks for

A model is a module that archspec built, or what `archspec.train.load` gives of a run. Every call
gives a Seeing: its `values`, a PNG, a page of HTML; in a notebook it shows itself.

    subject       the network: its picture size, normalisation, classes, and its nodes, tapped
    reading       files, folders, arrays → pictures
    attribution   saliency, guided, deconv, gradcam, occlusion
    maps          activations, filters
    seeing        what they give
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.see.attribution import deconv, gradcam, guided, occlusion, saliency
    from archspec.see.maps import activations, filters
    from archspec.see.seeing import Seeing, beside

_HOME = {
    "Seeing": "seeing", "activations": "maps", "beside": "seeing", "deconv": "attribution",
    "filters": "maps", "gradcam": "attribution", "guided": "attribution",
    "occlusion": "attribution", "saliency": "attribution",
}  # fmt: skip

__all__ = [
    "Seeing", "activations", "beside", "deconv", "filters", "gradcam", "guided", "occlusion",
    "saliency",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `archspec.see` has no attribute `{name}`")
    return getattr(import_module(f"archspec.see.{_HOME[name]}"), name)
