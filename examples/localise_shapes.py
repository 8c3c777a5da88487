"""What is it, and where? One shape a picture, two heads: `pip install 'archspec[examples]'`.

The network is localise_shapes.yaml; plans/localise_shapes.yaml adds the cross entropy of its class
and the squared error of its box. About a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch
from detect_shapes import FIGURES, HERE, seen

import archspec


def main(epochs: int = 16, samples: int = 1600, figure: Path | None = None) -> float:
    """The mean overlap of boxes with the true ones, on held-out pictures."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    model = archspec.build(HERE / "localise_shapes.yaml")
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            model, {"samples": samples}, plan=HERE / "plans" / "localise_shapes.yaml",
            epochs=epochs, log=f"{folder}/localiser", quiet=True,
        )  # fmt: skip
        if figure is not None:
            figure.write_bytes(seen(f"{folder}/localiser"))
    iou, accuracy, both = (run.last[f"val.{name}"] for name in ("iou", "accuracy", "both"))
    print(f"mean IoU {iou:.3f}; {accuracy:.1%} of the classes are right, {both:.1%} of both")
    return iou


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURES / "localise_shapes.png")
