"""A U-Net that finds shapes in pictures, pixel by pixel: `pip install 'archspec[examples]'`.

The plan, plans/segment_shapes.yaml, says all; the network is the U-Net that ships with archspec, an
eighth as wide. About a minute on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec.train import drawing
from archspec.train.pictures import png
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "segment_shapes.png"


def main(epochs: int = 6, samples: int = 1600, size: int = 48, figure: Path | None = None) -> float:
    """The mean IoU of ground, discs, squares and triangles over held-out pictures."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            archspec.build("unet", classes=4, depth=3, base=8, size=size), {"samples": samples},
            plan=HERE / "plans" / "segment_shapes.yaml", log=f"{folder}/run", quiet=True,
            epochs=epochs,
        )  # fmt: skip
        trained = archspec.train.load(f"{folder}/run")
        view = held_out(trained)
        x, y = view.__getitems__([0, 1, 2, 3])
    print(f"mean IoU {run.best['val.miou']:.4f} on {len(view)} held-out pictures")
    if figure is not None:  # a line each: the picture, what is there, what is found
        found, names = trained.task.as_targets(trained.shares(x))["mask"], trained.facts.classes
        both = [[{"mask": masks[k : k + 1]} for masks in (y, found)] for k in range(4)]
        lines = [drawing.beside(trained.seen(x[k : k + 1]), both[k], names) for k in range(4)]
        height = max(line.shape[1] for line in lines)
        lines = [torch.nn.functional.pad(line, [0, 0, 0, height - line.shape[1]], value=1.0)
                 for line in lines]  # fmt: skip
        figure.write_bytes(png(torch.cat(lines, 1)))
    return run.best["val.miou"]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
