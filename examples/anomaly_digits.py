"""Which digit is none of those that were learned? `pip install 'archspec[examples]'`

Ten times an autoencoder learns nine of the ten digits and never sees the tenth, which it is then
to tell, by how badly it rebuilds it, from others of the nine that it has not seen either. About a
minute on one core.
"""

from pathlib import Path

import torch
from sklearn.datasets import load_digits

import archspec
from archspec import see

SPEC = Path(__file__).with_suffix(".yaml")
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "anomaly_digits.png"
PLAN = {"task": "reconstruction", "schedule": "one_cycle", "batch": 32,
        "optimizer": {"adamw": {"lr": 0.003}}, "log": None, "quiet": True}  # fmt: skip


def judged(strange: int, epochs: int) -> see.Seeing:
    """What a network that learned all digits but one makes of that one."""
    x, y = (torch.tensor(array) for array in load_digits(return_X_y=True))
    x = x.float().view(-1, 1, 8, 8) / 16
    usual = x[y != strange]
    usual = usual[torch.randperm(len(usual), generator=torch.Generator().manual_seed(0))]
    learned, normal, new = usual.tensor_split([len(usual) * 8 // 10, len(usual) * 9 // 10])
    torch.manual_seed(0)
    model = archspec.build(SPEC)
    archspec.train.fit(model, learned, epochs=epochs, **PLAN)
    return see.anomaly(model, new, anomalous=x[y == strange], normal=normal)


def main(epochs: int = 40, digits: range = range(10), figure: Path | None = None) -> float:
    """The mean AUROC over the digits."""
    torch.set_num_threads(1)  # the network is too small to share
    found = [judged(digit, epochs) for digit in digits]
    mean = sum(one.values.auroc for one in found) / len(found)
    words = [f"{digits[k]}: AUROC {one.values.auroc:.4f}" for k, one in enumerate(found)]
    print(*words, f"mean {mean:.4f}", sep="\n")
    if figure is not None:  # of each digit, what is rebuilt worst, and as what
        rows = list(found[0].rows[:1])
        for said, (_, real, made, *_) in zip(words, (one.rows for one in found), strict=True):
            pairs = zip(real.shown[:4], made.shown[:4], strict=True)
            rows.append(
                see.Row(said, tuple(one._replace(words="") for pair in pairs for one in pair))
            )
        see.Seeing("a digit that is none of those learned", None, tuple(rows)).save(
            figure, force=True
        )
    return mean


if __name__ == "__main__":
    main(figure=FIGURE)
