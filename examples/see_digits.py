"""What a LeNet-5 that learned digits looks for: `pip install 'archspec[examples]'`.

Filters of the first layer; what units of the second convolution and of the answer look for, by
gradient ascent from noise; where in real digits they find it; what made a digit what it is taken
for. About half a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec import see
from archspec.train.use import held_out

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "see_digits.png"
UNITS = range(8)


def main(epochs: int = 20, figure: Path | None = None) -> float:
    """The share of units that ascent brings five standard deviations above noise."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            archspec.build("lenet5"), plan=HERE / "plans" / "digits.yaml", epochs=epochs,
            log=f"{folder}/run", quiet=True,
        )  # fmt: skip
        model = archspec.train.load(f"{folder}/run")
        digits, _ = held_out(model).__getitems__(list(range(300)))
    digits = model.facts.normal.undone(digits)
    sought = see.maximise(model, "c3", range(16))
    noise = torch.rand(256, 1, 32, 32)
    before = see.activations(model, noise, "c3").values.mean((2, 3))
    after = see.activations(model, sought.values, "c3").values.mean((2, 3)).diag()
    above = (after - before.mean(0)) / before.std(0)
    share = float((above >= 5).float().mean())
    print(f"{run.best['val.accuracy']:.4f} of the held-out digits are right")
    print(f"{share:.0%} of the units of c3 end 5 standard deviations above noise")
    if figure is not None:
        first = digits[:1]
        said = int(model.shares(model.facts.normal(first)).argmax())
        rows = [
            ("filters of c1", see.filters(model)),
            ("what units of c3 look for", see.maximise(model, "c3", UNITS)),
            ("where unit 3 of c3 finds it", see.patches(model, digits, "c3", [3])),
            ("what the digits 0 to 7 look like to the network", see.maximise(model, "fc", UNITS)),
            ("a digit, and more of what made it that", see.emphasise(model, first, "fc", said)),
        ]  # fmt: skip
        shown = tuple(row._replace(words=words) for words, one in rows for row in one.rows)
        see.Seeing("LeNet-5 and digits", None, shown).save(figure, force=True)
    return share


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURE)
