"""A small YOLO finds coloured shapes: `pip install 'archspec[examples]'`.

The plan, plans/detect_shapes.yaml, says all; the anchors are fitted to the boxes of the training
set. About a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec.train import drawing
from archspec.train.pictures import grid
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs" / "figures"


def seen(folder: str, count: int = 4) -> bytes:
    """Held-out pictures, what a run says of them drawn over: a PNG."""
    run = archspec.train.load(folder)
    x, _ = held_out(run).__getitems__(list(range(count)))
    said = run.task.as_targets(run.shares(x))
    pictures = [
        drawing.over(run.seen(x[k : k + 1]), {name: one[k] for name, one in said.items()},
                     run.facts.classes)
        for k in range(count)
    ]  # fmt: skip
    return grid(torch.stack(pictures), columns=4)


def main(epochs: int = 12, samples: int = 1600, figure: Path | None = None) -> float:
    """The mean average precision of held-out shapes, at an overlap of a half."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    model = archspec.build("yolo_tiny")
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            model, {"samples": samples}, plan=HERE / "plans" / "detect_shapes.yaml",
            epochs=epochs, log=f"{folder}/yolo", quiet=True,
        )  # fmt: skip
        if figure is not None:
            figure.write_bytes(seen(f"{folder}/yolo"))
    print(
        f"mAP50 {run.last['val.map50']:.3f}, mAP50:95 {run.last['val.map']:.3f} of held-out shapes"
    )
    return run.last["val.map50"]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURES / "detect_shapes.png")
