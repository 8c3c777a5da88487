"""A search under LeNet-5's own budget: is there a network of its family that reads digits better?

Five times, without a fifth of scikit-learn's digits: networks of search_digits.yaml, and the one
chosen by hand at several rates, learn from most of the others, and some choose; of the best four
other seeds. The best is asked about the fifth. `pip install 'archspec[examples,search]'`
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import torch
from sklearn.datasets import load_digits

from archspec import build, search, train

SPEC = Path(__file__).with_suffix(".yaml")
RATES = "lr=[0.001, 0.002, 0.004, 0.008, 0.016]"
SPACE = """lr=0.001..0.016:log c1=4..16 c3=8..48 c5=32..160 f6=[0, 84] kernel=[3, 5] more=[0, 1]
 relu=[true, false] norm=[true, false] largest=[true, false] dropout=[0.0, 0.3]"""


def trained(one, figure, keys, seed):
    torch.manual_seed(seed)
    keys = {**keys, "optimizer": {"adamw": {"lr": one.point["lr"]}}, "seed": seed, "log": None}
    return train.fit(build(SPEC, **one.params), **keys).last[figure]


def asked(trials, epochs, seeds, fold, space):
    torch.set_num_threads(1)  # the networks are too small to share
    x, y = (torch.tensor(array) for array in load_digits(return_X_y=True))
    x = torch.nn.functional.interpolate(x.float().view(-1, 1, 8, 8) / 16, 32, mode="bilinear")
    parts = list(torch.randperm(len(x), generator=torch.manual_seed(1)).tensor_split(5))
    test, known = parts.pop(fold), torch.cat(parts)
    few, many = known.tensor_split([len(known) // 5])
    keys = {"schedule": "one_cycle", "batch": 32, "epochs": epochs, "quiet": True}
    data = [{"train": (x[a], y[a]), "val": (x[b], y[b])} for a, b in ((many, few), (known, test))]
    inner, outer = ({**keys, "data": {**one, "normalize": "none"}} for one in data)
    study = {**inner, "trials": trials, "kept": search.Kept(seed=fold)}
    found = search.study(SPEC, [space], "macs <= 416520", "min val.loss", **study)
    last = sorted(found.candidates, key=lambda one: one.figures["val.loss"])[:4]
    best = min(last, key=lambda o: mean(trained(o, "val.loss", inner, s) for s in range(1, seeds)))
    return found, best, mean(trained(best, "val.accuracy", outer, s) for s in range(seeds))


def main(trials=24, epochs=8, seeds=3, folds=5):
    with ProcessPoolExecutor(2) as pool:
        ask = partial(pool.map, partial(asked, trials, epochs, seeds), range(folds))
        hand, ours = map(list, (ask([RATES] * folds), ask([SPACE] * folds)))
    for (*_, first), (_, best, share) in zip(hand, ours, strict=True):
        print(f"{first:.4f} by hand, {share:.4f}: {best.figures['macs']:,} {best.point}")
    gains = [one[2] - other[2] for one, other in zip(ours, hand, strict=True)]
    print(f"better by {mean(gains):.4f} ± {stdev(gains) / len(gains) ** 0.5:.4f}")
    return hand, ours


if __name__ == "__main__":
    main()[1][0][0].plot(SPEC.parents[1] / "docs" / "figures" / "search_digits.svg")
