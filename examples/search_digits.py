"""A search under LeNet-5's own budget: is there a network of its family that reads digits better?

Optuna tries networks of search_digits.yaml with no more multiply-accumulates than the one that was
chosen by hand, whose rate is searched too. 900 of scikit-learn's digits train, 300 choose,
597 are seen once, at the end. `pip install 'archspec[examples,search]'`
"""

import sys
from pathlib import Path
from statistics import mean, stdev

import torch
from sklearn.datasets import load_digits

import archspec
from archspec.report.table import plain

SPEC = Path(__file__).with_suffix(".yaml")
RATES = "lr=[0.003, 0.01, 0.03]"
SPACE = [RATES, "c1=2..16 c3=4..48 c5=16..160 kernel=[3, 5] relu=[true, false] norm=[true, false]"]


def digits():
    x, y = (torch.tensor(array) for array in load_digits(return_X_y=True))
    x = torch.nn.functional.interpolate(x.float().view(-1, 1, 8, 8) / 16, 32, mode="bilinear")
    return [(x[part], y[part]) for part in torch.randperm(len(x)).split([900, 300, 597])]


def tested(found, data, seeds, plan):
    shares = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = archspec.build(SPEC, **found.best.params)
        keys = {"optimizer": {"adamw": {"lr": found.best.point["lr"]}}, "seed": seed, "log": None}
        run = archspec.train.fit(model, data, **plan, **keys, quiet=True)
        shares.append(run.last["val.accuracy"])
    return shares


def main(trials=20, epochs=6, seeds=8, plot=None):
    torch.set_num_threads(1)  # the networks are too small to share
    torch.manual_seed(0)
    train, val, test = digits()
    data = {"train": train, "val": val, "normalize": "none"}
    plan = {"schedule": "one_cycle", "batch": 32, "epochs": epochs}
    hand = archspec.search.study(SPEC, [RATES], data=data, **plan)
    budget = f"macs <= {hand.best.figures['macs']}"
    best = archspec.search.study(SPEC, SPACE, budget, data=data, trials=trials, **plan)
    print(plain(best.table()))
    if plot:
        best.plot(plot)
    shares = [tested(one, {**data, "val": test}, seeds, plan) for one in (hand, best)]
    for name, found in zip(("by hand", "found"), shares, strict=True):
        print(f"{name:8} {mean(found):.4f} ± {stdev(found):.4f} of the other digits are right")
    return hand, best, *map(mean, shares)


if __name__ == "__main__":
    main(plot=sys.argv[1] if len(sys.argv) > 1 else None)
