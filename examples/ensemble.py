"""Three networks against each of them alone: what they say of digits, averaged.

A small network from three seeds, each on the same 200 digits; 359 are held out. `archspec predict
RUN FILES --also RUN --also RUN` averages in the same way. Half a minute on one core.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import torch

import archspec
from archspec.train.use import held_out

SPEC = Path(__file__).with_name("four_scenarios.yaml")
AUGMENT = [{"rotate": 10}, {"translate": 0.1}]


def main(networks=3, epochs=30, samples=200):
    """Accuracies of the members and of all together."""
    torch.set_num_threads(1)  # the network is too small to share
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(networks):
            torch.manual_seed(seed)
            archspec.train.fit(
                archspec.build(SPEC), {"train": "digits", "samples": samples, "augment": AUGMENT},
                epochs=epochs, schedule="one_cycle", optimizer={"adamw": {"lr": 0.005}}, batch=32,
                seed=seed, log=f"{folder}/{seed}", quiet=True,
            )  # fmt: skip
            member = archspec.train.load(f"{folder}/{seed}")
            x, y = held_out(member).__getitems__(list(range(len(held_out(member)))))
            shares.append(member.shares(x))
    alone = [(one.argmax(1) == y).float().mean().item() for one in shares]
    together = (torch.stack(shares).mean(0).argmax(1) == y).float().mean().item()
    print(f"members {', '.join(f'{one:.3f}' for one in alone)}, mean {statistics.mean(alone):.3f}")
    print(f"together {together:.3f}")
    return alone, together


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
