"""The four cases of transfer on digits, measured: which way suits which data.

A small network learns 900 digits. Then it is to tell other digits apart by their remainder of 5,
from 20 or from 400 of them, as they are or turned, inverted and noisy; 447 are held out. About
two minutes on two cores.
"""

import statistics
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import archspec
from archspec import transfer

SPEC = Path(__file__).with_suffix(".yaml")
HEAD, TOP, LOW = ["head"], ["head", "fc"], {"head": 0.01, "fc": 1e-3}
WAYS = {
    "from scratch": [{"lr": 0.005}],
    "codes + SVM": "codes",
    "earlier codes + SVM": "map2",
    "new head": [{"train": HEAD, "lr": 0.01}],
    "fine-tune top": [{"train": TOP, "lr": LOW}],
    "staged": [{"train": HEAD, "lr": 0.01}, {"train": TOP, "lr": LOW}, {"lr": 1e-3}],
    "full fine-tune": [{"lr": 0.005}],
}


def changed(x, seed):
    """Turned by 90 degrees, inverted, with noise: pictures of another kind."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return 1 - x.rot90(1, (2, 3)) + 0.25 * noise


def train(model, x, y, phases, steps, seed):
    epochs = steps // -(-len(x) // 64) // len(phases) or 1
    phases = [{**phase, "epochs": epochs} for phase in phases]
    data = {"train": (x, y), "val": 0, "normalize": "none"}
    archspec.train.fit(model, data, phases=phases, seed=seed, log=None, quiet=True)
    return model.eval()


def accuracy(source, way, train_set, test_set, steps, seed):
    """The share of the held-out digits that are right."""
    if isinstance(way, str):
        few, held = (
            transfer.codes(source, part, way, normalize="none", cache=None)
            for part in (train_set, test_set)
        )
        return transfer.linear(few).score(held)
    torch.manual_seed(seed)
    model = archspec.build(SPEC, classes=5)
    if way is not WAYS["from scratch"]:
        archspec.weights.load(model, source.state_dict())
    x, y = test_set
    return (train(model, *train_set, way, steps, seed)(x).argmax(1) == y).float().mean().item()


def main(seeds=5, steps=150, ways=WAYS, cases=None):
    torch.set_num_threads(1)  # the network is too small to share
    digits = load_digits()
    x, y = torch.tensor(digits.images).float()[:, None] / 16, torch.tensor(digits.target)
    found = {}
    for seed in range(seeds):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        first, pool, held = order[:900], order[900:1350], order[1350:]
        torch.manual_seed(seed)
        source = train(archspec.build(SPEC), x[first], y[first], WAYS["from scratch"], 300, seed)
        for kind, seen in (("similar", x), ("different", changed(x, seed))):
            for count in (20, 400):
                case = f"{kind}, {count}"
                if cases is not None and case not in cases:
                    continue
                few, _ = train_test_split(pool, train_size=count, stratify=y[pool], random_state=0)
                sets = (seen[few], y[few] % 5), (seen[held], y[held] % 5)
                for name, way in ways.items():
                    share = accuracy(source, way, *sets, steps, seed)
                    found.setdefault(case, {}).setdefault(name, []).append(share)
    table = {case: {n: statistics.median(v) for n, v in row.items()} for case, row in found.items()}
    print(f"{'':22}" + "".join(f"{case:>16}" for case in table))
    for name in ways:
        print(f"{name:22}" + "".join(f"{row[name]:16.3f}" for row in table.values()))
    return table


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
