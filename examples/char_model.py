"""A Transformer and an LSTM learn a nursery rhyme letter by letter, and go on with it.

The rhyme, jack.txt, is in the public domain; of it the end is held out. A network that knows
nothing says each of the 28 characters as likely as any other: a loss of ln 28. About a minute on
one core. Draws the curves of both.
"""

import math
import sys
import tempfile
from pathlib import Path

import torch

import archspec

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "figures" / "char_model.svg"
NETWORKS = {
    "gpt": {"width": 64, "heads": 4, "layers": 2, "context": 64},
    "lstm_language_model": {"width": 96, "layers": 1},
}


def main(epochs: int = 24, picture: Path | None = None) -> dict[str, float]:
    """The loss of each network on the end of the rhyme."""
    torch.set_num_threads(1)  # the networks are too small to share
    text = HERE / "jack.txt"
    vocabulary = len(set(text.read_text()))
    print(f"each character as likely as any other: loss {math.log(vocabulary):.3f}")
    runs = []
    for name, params in NETWORKS.items():
        torch.manual_seed(0)
        model = archspec.build(name, vocabulary=vocabulary, **params)
        with tempfile.TemporaryDirectory() as folder:
            log = {"folder": f"{folder}/{name}"}
            data, plan = {"train": text, "val": 0.1}, HERE / "plans" / "char_model.yaml"
            run = archspec.train.fit(model, data, plan=plan, epochs=epochs, log=log, quiet=True)
            said = archspec.train.generate(log["folder"], "This is the ", 90, temperature=0.4)
        print(
            f"{name}: loss {run.best['val.loss']:.3f}, perplexity {run.best['val.perplexity']:.2f}"
        )
        print(f"    This is the {said}".replace("\n", "\n    "))
        runs.append(run)
    if picture is not None:
        archspec.train.curves(runs).savefig(picture, metadata={"Date": None})
        print(f"{picture.name}: written")
    return {run.name: run.best["val.loss"] for run in runs}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), picture=PICTURE)
