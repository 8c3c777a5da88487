"""A denoising autoencoder of handwritten digits: `pip install 'archspec[examples]'`.

The plan, plans/denoise_digits.yaml, puts noise on what goes in; the network is the convolutional
autoencoder that ships with archspec. About a quarter of a minute on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec.train.pictures import grid
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "denoise_digits.png"


def main(epochs: int = 8, figure: Path | None = None) -> tuple[float, float]:
    """PSNR in decibels over the held-out digits: of the noisy ones, and of what comes out."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            archspec.build("autoencoder_conv", widths=[32, 32]), epochs=epochs, quiet=True,
            plan=HERE / "plans" / "denoise_digits.yaml", log=f"{folder}/run",
        )  # fmt: skip
        trained = archspec.train.load(f"{folder}/run")
        clean, _ = held_out(trained).__getitems__(list(range(12)))
    before, after = run.best["val.psnr_input"], run.best["val.psnr"]
    print(f"noisy digits {before:.2f} dB, what the network makes of them {after:.2f} dB")
    if figure is not None:  # three lines: noisy, restored, as they were
        noisy = trained.task.degraded(clean)
        figure.write_bytes(grid(torch.cat([noisy, trained.shares(noisy), clean]), columns=12))
    return before, after


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
