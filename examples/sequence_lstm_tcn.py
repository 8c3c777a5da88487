"""An LSTM and a temporal convolutional network tell the order of two symbols among thirty.

The set `sequences` is made, not read: what decides stands near the beginning and in the middle, all
else says nothing. Half a minute on one core. Draws the curves of both.
"""

import sys
from pathlib import Path

import torch

import archspec

PICTURE = Path(__file__).parent.parent / "docs" / "figures" / "sequences.svg"
PLAN = Path(__file__).parent / "plans" / "sequences.yaml"
NETWORKS = {
    "lstm_classifier": ((30, 8), {"hidden": 64, "layers": 1}),
    "tcn": ((8, 30), {"hidden": 24, "levels": 4, "kernel": 3, "dropout": 0.0}),
}


def main(epochs: int = 24, picture: Path | None = None) -> dict[str, float]:
    """The share of held-out sequences that each network tells right."""
    torch.set_num_threads(1)  # the networks are too small to share
    runs = []
    for name, (shape, params) in NETWORKS.items():
        torch.manual_seed(0)
        program = archspec.load(name, inputs={"input": shape}, classes=4, features=8, **params)
        model = archspec.build(program)
        run = archspec.train.fit(model, plan=PLAN, epochs=epochs, log=None, quiet=True)
        print(f"{name}: {run.best['val.accuracy']:.4f} of the held-out sequences are right")
        runs.append(run)
    if picture is not None:
        archspec.train.curves(runs).savefig(picture, metadata={"Date": None})
        print(f"{picture.name}: written")
    return {run.name: run.best["val.accuracy"] for run in runs}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), picture=PICTURE)
