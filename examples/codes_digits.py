"""Which digits a LeNet-5 takes for alike: a map of its codes. `pip install 'archspec[examples]'`

Codes are what the layer before the head makes of digits that were held out: their two principal
components are the map; near is what has a small angle. About a quarter of a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec import see
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "codes_digits.png"


def main(epochs: int = 10, figure: Path | None = None) -> float:
    """The share of held-out digits whose nearest neighbour is the same digit."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        archspec.train.fit(
            archspec.build("lenet5"), plan=HERE / "plans" / "digits.yaml", epochs=epochs,
            log=f"{folder}/run", quiet=True,
        )  # fmt: skip
        model = archspec.train.load(f"{folder}/run")
        held = held_out(model)
    x, y = held.__getitems__(list(range(len(held))))
    digits = model.facts.normal.undone(x)
    near = see.codes(model, digits).values.nearest
    share = float((y[near[:, 0]] == y).float().mean())
    print(f"of {len(x)} held-out digits {share:.1%} have one of their kind nearest")
    if figure is not None:
        rows = see.codes(model, digits[:100]).rows[:3]
        see.Seeing("codes of LeNet-5", None, rows).save(figure, force=True)
    return share


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
