"""Which networks and which ops become .onnx and .pt2, and how far apart outputs are.

    python benchmarks/export.py                 the specs below, then the first example of every op
    python benchmarks/export.py lenet5 vae      these specs alone
    python benchmarks/export.py --ops           the ops alone

Weights are freshly initialised. Each export is compared with the module at two sizes before it is
written; what is printed as refused wrote nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

import archspec
from archspec.layers import REGISTRY
from archspec.module.exchange import FORMATS
from archspec.text.faults import CodedError

SPECS = (
    "lenet5", "resnet50:resnet18", "resnet50", "googlenet", "vit_b_16", "unet", "lstm_classifier",
    "transformer", "vae", "siamese", "style_transfer", "mobilenet_v2", "efficientnet_b0",
)  # fmt: skip


def exported(title: str, model: Any, place: Path) -> None:
    said = []
    for value in model.parameters():  # a head of zeros would give the same whatever is before it
        if not value.any():
            torch.nn.init.normal_(value, std=0.02)
    for ending in FORMATS:
        started = time.process_time()
        try:
            found = archspec.export(model, place / f"net{ending}", force=True)
            result = f"apart by {found.apart:.0e}"
        except CodedError as refused:
            result = f"refused: {refused.message[:150]}"
        said.append(f"{ending} {result}, {time.process_time() - started:.1f} s")
    print(f"{title:<24} {'   '.join(said)}", flush=True)


def of_op(op: str) -> Any:
    """A network of the first example of an op."""
    cls = REGISTRY[op]
    if not cls.examples or not cls.examples[0][1]:
        raise AttributeError("it has no example with an input")
    args, shapes = cls.examples[0]
    dtypes = [*cls.example_dtypes, *["float"] * len(shapes)]
    names = [f"x{k}" for k in range(len(shapes))]
    item = {"id": "op", "from": names if len(names) > 1 else names[0], op: args or None}
    inputs = {
        name: {"shape": list(shape), "dtype": dtype}
        for name, shape, dtype in zip(names, shapes, dtypes, strict=False)
    }
    text = yaml.safe_dump({"spec": 1, "name": "one", "input": inputs, "body": [item]})
    return archspec.build(archspec.loads(text))


def main(words: list[str], place: Path) -> None:
    for spec in [word for word in words if word != "--ops"] or ("--ops" not in words) * SPECS:
        name, _, variant = spec.partition(":")
        exported(spec, archspec.build(name, variant or None), place)
    for op in () if words and "--ops" not in words else sorted(REGISTRY):
        try:
            model = of_op(op)
        except (CodedError, archspec.SpecError, AttributeError) as wrong:
            print(f"{op:<24} no network of it alone: {' '.join(str(wrong).split())[:120]}")
            continue
        exported(op, model, place)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1:], Path(folder))
