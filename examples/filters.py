"""The filters of a lecture on a photograph: `pip install 'archspec[examples]'`. A second.

filters.yaml says the numbers of every kernel: sharpen, blur, Sobel's slopes. SciPy's correlations
with the same numbers are what is compared with.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import correlate
from sklearn.datasets import load_sample_image
from torch import Tensor

import archspec

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "filters.png"
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def main(figure: Path | None = None) -> float:
    """The largest difference to what SciPy makes of the photograph, whose values are 0 to 1."""
    photograph = np.asarray(load_sample_image("china.jpg"))[80:260, 180:420] / 255
    x = torch.tensor(photograph, dtype=torch.float32).permute(2, 0, 1)[None]
    model = archspec.build(HERE / "filters.yaml").eval()
    made = {name: value[0] for name, value in model(x).items()}
    sharpened = correlate(photograph, SHARPEN[..., None], mode="nearest").transpose(2, 0, 1)
    grey = photograph @ np.array([0.299, 0.587, 0.114])
    edges = np.hypot(*(correlate(grey, kernel, mode="nearest") for kernel in (SOBEL, SOBEL.T)))
    pairs = ((made["sharpened"], sharpened), (made["edges"][0], edges))
    error = max(float(np.abs(seen.numpy() - wanted).max()) for seen, wanted in pairs)
    print(f"largest difference to SciPy: {error:.1e}")
    if figure is not None:
        panels = [x[0], made["sharpened"], made["blurred"], made["edges"].expand(3, -1, -1) / 2]
        _drawn(panels).save(figure)
    return error


def _drawn(panels: list[Tensor]) -> Image.Image:
    rows = [torch.cat(panels[k : k + 2], 2) for k in (0, 2)]
    pixels = (torch.cat(rows, 1).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy()).quantize(128)


if __name__ == "__main__":
    main(FIGURE)
