"""Transfer in stages against training from scratch, on 40 digits: curves in one picture.

A network that knows 900 digits is to tell others apart by their remainder of 5. The plan,
plans/staged.yaml, trains its new head, then more and more of it; the other network starts from
random weights. Half a minute on one core.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import archspec

HERE = Path(__file__).parent
SPEC, PLAN = HERE / "four_scenarios.yaml", HERE / "plans" / "staged.yaml"
PICTURE = HERE.parent / "docs" / "figures" / "staged_transfer.svg"


def main(seeds=3, few=40, picture=PICTURE):
    """The mean share of held-out digits that are right: in stages, from scratch."""
    torch.set_num_threads(1)  # the network is too small to share
    digits = load_digits()
    x, y = torch.tensor(digits.images).float()[:, None] / 16, torch.tensor(digits.target)
    found = {"staged": [], "scratch": []}
    for seed in range(seeds):
        first, rest = train_test_split(range(len(x)), train_size=900, stratify=y, random_state=seed)
        some, held = train_test_split(rest, train_size=few, stratify=y[rest], random_state=seed)
        torch.manual_seed(seed)
        source = archspec.build(SPEC)
        plain = {"optimizer": {"adamw": {"lr": 0.005}}, "quiet": True}
        known = {"train": (x[first], y[first]), "val": 0, "normalize": "none"}
        archspec.train.fit(source, known, epochs=20, log=None, **plain)
        staged, scratch = archspec.build(SPEC, classes=5), archspec.build(SPEC, classes=5)
        archspec.weights.load(staged, source.state_dict())  # all but the head
        new = {"train": (x[some], y[some] % 5), "val": (x[held], y[held] % 5)}
        again = {**new, "normalize": "none"}
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                archspec.train.fit(staged, new, plan=PLAN, log=f"{folder}/staged", quiet=True),
                archspec.train.fit(
                    scratch, again, epochs=40, batch=16, log=f"{folder}/scratch", **plain
                ),
            ]
            for run in runs:
                found[run.name].append(run.last["val.accuracy"])
            if picture is not None and seed == 0:
                archspec.train.curves(runs).savefig(picture)  # as `archspec runs` draws them
    for name, shares in found.items():
        print(f"{name:8} {statistics.mean(shares):.3f} of the held-out digits are right")
    return {name: statistics.mean(shares) for name, shares in found.items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
