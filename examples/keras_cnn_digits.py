"""The lecture's Keras-style network on handwritten digits: `pip install 'archspec[examples]'`.

mnist_cnn.yaml is the network, with the input as small as these digits are; the plan is that of
train_digits.py, at half the rate. The same digits are held out each time. About 40 seconds.
"""

import statistics
import sys
from pathlib import Path

import torch

import archspec

HERE = Path(__file__).parent


def main(seeds: int = 5, epochs: int = 30) -> float:
    """The mean share of held-out digits that are right after the last epoch."""
    torch.set_num_threads(1)  # the network is too small to share
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        run = archspec.train.fit(
            archspec.build(HERE / "mnist_cnn.yaml", size=8), plan=HERE / "plans" / "digits.yaml",
            optimizer={"adamw": {"lr": 0.004, "weight_decay": 0.1}}, seed=seed, epochs=epochs,
            log=None, quiet=True,
        )  # fmt: skip
        found.append(run.last["val.accuracy"])
        print(f"seed {seed}: {found[-1]:.4f} of the held-out digits are right", flush=True)
    print(f"mean of {seeds}: {statistics.mean(found):.4f}")
    return statistics.mean(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
