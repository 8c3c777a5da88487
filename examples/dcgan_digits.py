"""A DCGAN of handwritten digits: `pip install 'archspec[examples]'`.

The plan, plans/dcgan_digits.yaml, names the discriminator and says all else. Afterwards a LeNet
that was trained on real digits says what 500 new ones are. About a minute on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch
from vae_digits import HERE, judged

import archspec
from archspec.train.pictures import grid

FIGURE = HERE.parent / "docs" / "figures" / "dcgan_digits.png"


def main(epochs: int = 30, figure: Path | None = None) -> torch.Tensor:
    """How many of 500 new digits are which, by the LeNet."""
    torch.set_num_threads(1)  # the networks are too small to share
    torch.manual_seed(0)
    generator = archspec.build("dcgan_generator", "pytorch", channels=1, maps=32, size=16)
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            generator, plan=HERE / "plans" / "dcgan_digits.yaml", epochs=epochs,
            log=f"{folder}/dcgan", quiet=True,
        )  # fmt: skip
        made = archspec.train.load(f"{folder}/dcgan").sample(500)
    found = judged(made)
    print(f"Fréchet distance of pixels to the held-out digits: {run.last['val.frechet']:.2f}")
    print(f"of 500 new digits {found.tolist()} are a 0, 1, …, 9")
    if figure is not None:
        figure.write_bytes(grid(made[:100]))
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
