"""From one digit to another, by a variational autoencoder: `pip install 'archspec[examples]'`

The plan is that of vae_digits.py. Real digits that were held out are encoded; between the codes of
each and the next lie codes of digits that nobody wrote. About half a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec import see
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "walk_digits.png"


def main(epochs: int = 40, figure: Path | None = None) -> float:
    """How far a step of a walk is at most, as a share of the whole way, in pixels: 1 is a leap."""
    torch.set_num_threads(1)  # the networks are too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        archspec.train.fit(
            archspec.build("vae"), plan=HERE / "plans" / "vae_digits.yaml", epochs=epochs,
            log=f"{folder}/vae", quiet=True,
        )  # fmt: skip
        model = archspec.train.load(f"{folder}/vae")
        digits, _ = held_out(model).__getitems__([0, 1, 2, 3])
    found = see.latent(model, digits, count=16)
    walks = found.values.walks
    whole = (walks[:, -1] - walks[:, 0]).square().mean((1, 2, 3)).sqrt()
    steps = walks.diff(dim=1).square().mean((2, 3, 4)).sqrt().amax(1)
    largest = float((steps / whole).max())
    print(f"the largest of 7 steps is {largest:.0%} of the way between two digits")
    if figure is not None:
        found.save(figure, force=True)
    return largest


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
