"""A GAN of handwritten digits that grows, 8 → 16 → 32: `pip install 'archspec[examples]'`.

The plan, plans/progan_digits.yaml, is that of each size. Afterwards a LeNet that was trained on
real digits says what 500 new ones are. About two minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch
from vae_digits import HERE, judged

import archspec
from archspec.train.pictures import grid

FIGURE = HERE.parent / "docs" / "figures" / "progan_digits.png"


def main(
    first: int = 45, second: int = 16, third: int = 7, figure: Path | None = None
) -> torch.Tensor:
    """How many of 500 new digits are which, by the LeNet; the numbers are epochs at each size."""
    torch.set_num_threads(1)  # the networks are too small to share
    torch.manual_seed(0)
    networks = [
        archspec.load(f"progan_{one}", channels=1, maps=16)
        for one in ("generator", "discriminator")
    ]
    sizes = {8: {"epochs": first}, 16: {"epochs": second}, 32: {"epochs": third}}
    plan = HERE / "plans" / "progan_digits.yaml"
    with tempfile.TemporaryDirectory() as folder:
        runs = archspec.train.grow(networks, "digits", sizes, plan=plan, folder=folder, quiet=True)
        made = [archspec.train.load(run.folder).sample(500) for run in runs]
    for size, run in zip(sizes, runs, strict=True):
        print(f"{size} × {size}: Fréchet distance of pixels {run.last['val.frechet']:.2f}")
    found = judged(made[-1])
    print(f"of 500 new digits {found.tolist()} are a 0, 1, …, 9")
    if figure is not None:  # the same noise at each size
        larger = [torch.nn.functional.interpolate(one[:10], (32, 32)) for one in made[:-1]]
        figure.write_bytes(grid(torch.cat([*larger, made[-1][:10]])))
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
