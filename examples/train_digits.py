"""LeNet-5 on the digits of scikit-learn, five seeds: `pip install 'archspec[examples]'`.

The plan, plans/digits.yaml, says all but the seed; the same digits are held out each time. About
two minutes on two cores.
"""

import statistics
import sys
from pathlib import Path

import torch

import archspec

PLAN = Path(__file__).parent / "plans" / "digits.yaml"


def main(seeds: int = 5, epochs: int = 40) -> float:
    """The mean share of held-out digits that are right after the last epoch."""
    torch.set_num_threads(1)  # the network is too small to share
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = archspec.build("lenet5", classes=10)
        run = archspec.train.fit(model, plan=PLAN, seed=seed, epochs=epochs, log=None, quiet=True)
        found.append(run.last["val.accuracy"])
        print(f"seed {seed}: {found[-1]:.4f} of the held-out digits are right", flush=True)
    print(f"mean of {seeds}: {statistics.mean(found):.4f}")
    return statistics.mean(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
