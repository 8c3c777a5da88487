"""A variational autoencoder of handwritten digits: `pip install 'archspec[examples]'`.

The plan, plans/vae_digits.yaml, says all. Afterwards 500 digits are made of noise, and a LeNet that
was trained on real ones says what they are. About a minute on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec.train.pictures import grid

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "vae_digits.png"


def judged(pictures: torch.Tensor, epochs: int = 8) -> torch.Tensor:
    """How many of the pictures are which digit, as a LeNet of real ones tells."""
    with tempfile.TemporaryDirectory() as folder:
        archspec.train.fit(
            archspec.build("lenet5", classes=10), plan=HERE / "plans" / "digits.yaml",
            epochs=epochs, log=f"{folder}/judge", quiet=True,
        )  # fmt: skip
        judge = archspec.train.load(f"{folder}/judge")
    side = judge.facts.shape[1:]
    x = torch.nn.functional.interpolate(pictures, side, mode="bilinear")
    return judge.shares(judge.facts.normal(x)).argmax(1).bincount(minlength=10)


def main(epochs: int = 60, figure: Path | None = None) -> torch.Tensor:
    """How many of 500 new digits are which, by the LeNet."""
    torch.set_num_threads(1)  # the networks are too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            archspec.build("vae"), plan=HERE / "plans" / "vae_digits.yaml", epochs=epochs,
            log=f"{folder}/vae", quiet=True,
        )  # fmt: skip
        made = archspec.train.load(f"{folder}/vae").sample(500)
    found = judged(made)
    print(f"bound on the held-out digits: {-run.best['val.loss']:.1f} nats")
    print(f"of 500 new digits {found.tolist()} are a 0, 1, …, 9")
    if figure is not None:
        figure.write_bytes(grid(made[:100]))
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
