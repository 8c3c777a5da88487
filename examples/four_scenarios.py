"""The four cases of transfer on digits, measured: a network of 900 digits learns others modulo 5.

20 or 400, as they are, or turned, inverted, noisy; the share right of 447 others, mean of seeds.
"""

from statistics import mean

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import archspec
from archspec import transfer

ALL, LOW, HEAD = {"lr": 0.005}, {"lr": 0.001}, {"train": "head", "lr": 0.01}
SPEC, TOP = __file__[:-2] + "yaml", {"train": ["head", "fc"], "lr": {"head": 0.01, "fc": 0.001}}
WAYS = {  # phases of a plan, or where the codes for an SVM are taken
    "from scratch": [ALL], "codes + SVM": "codes", "earlier codes + SVM": "map2",
    "new head": [HEAD], "fine-tune top": [TOP], "staged": [HEAD, TOP, LOW], "full fine-tune": [ALL],
}  # fmt: skip
CASES = "similar, 20", "similar, 400", "different, 20", "different, 400"


def learnt(source, phases, x, y, seed, steps=150):
    model = archspec.build(SPEC, classes=len(y.unique()))
    if source is not None:
        archspec.weights.load(model, source.state_dict())  # all but the head
    data = {"train": (x, y), "val": 0, "normalize": "none"}
    keys = {"phases": phases, "epochs": steps // -(-len(x) // 64) // len(phases), "seed": seed}
    archspec.train.fit(model, data, **keys, log=None, quiet=True)
    return model.eval()


def main(seeds=5, ways=WAYS, cases=CASES):
    torch.set_num_threads(1)  # the network is too small to share
    x, y = (torch.tensor(array) for array in load_digits(return_X_y=True))
    x, found = x.float().view(-1, 1, 8, 8) / 16, {(w, c): [] for w in ways for c in cases}
    for seed in range(seeds):
        torch.manual_seed(seed)
        odd = 1 - x.rot90(1, (2, 3)) + 0.25 * torch.randn_like(x)
        first, pool, held = torch.randperm(len(x)).split([900, 450, 447])
        source = learnt(None, [ALL], x[first], y[first], seed, steps=300)
        for (way, case), shares in found.items():
            seen, count = x if case.startswith("similar") else odd, int(case.split()[1])
            few, _ = train_test_split(pool, train_size=count, stratify=y[pool], random_state=0)
            sets = [(seen[chosen], y[chosen] % 5) for chosen in (few, held)]
            if isinstance(at := ways[way], str):
                sets = [transfer.codes(source, s, at, normalize="none", cache=False) for s in sets]
                shares.append(transfer.linear(sets[0]).score(sets[1]))
            else:
                model = learnt(None if way == "from scratch" else source, ways[way], *sets[0], seed)
                shares.append((model(seen[held]).argmax(1) == sets[1][1]).float().mean().item())
    for w in ways:
        print(f"{w:20}", *(f"{c}: {mean(found[w, c]):.3f}  " for c in cases))
    return {key: mean(shares) for key, shares in found.items()}


if __name__ == "__main__":
    main()
