"""The figures of docs/seeing.md: what ascent reaches, and what it and inversion take.

`python benchmarks/seeing.py`: about two minutes on one core.
"""

import tempfile
import time

import torch

import archspec
from archspec import see


def reached(epochs: int = 3) -> float:
    """The share of keras_cnn's 256 last maps that ascent brings 5 deviations above noise."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        archspec.train.fit(
            archspec.build("keras_cnn"), {"train": "digits", "val": 0.2}, epochs=epochs, batch=64,
            optimizer={"adamw": {"lr": 0.001}}, log=f"{folder}/run",
        )  # fmt: skip
        model = archspec.train.load(f"{folder}/run")
    last = [step.path for step in model.program.graph.steps if step.op == "conv"][-1]
    noise = torch.rand(256, 1, 28, 28)
    before = see.activations(model, noise, last).values.mean((2, 3))
    found = see.maximise(model, last, range(before.shape[1]))
    after = see.activations(model, found.values, last).values.mean((2, 3)).diag()
    above = (after - before.mean(0)) / before.std(0)
    return float((above >= 5).float().mean())


def times() -> None:
    """AlexNet with fresh weights: seconds of 64 steps of ascent, of 100 steps of inversion."""
    torch.manual_seed(0)
    model = archspec.build("alexnet")
    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12), (227, 227), mode="bicubic")
    start = time.perf_counter()
    see.maximise(model, "features.10", range(4))
    print(f"maximise, four units, 64 steps: {time.perf_counter() - start:.1f} s")
    for at in ("features.10", "features.12"):
        start = time.perf_counter()
        found = see.invert(model, picture.clamp(0, 1), at)
        said = found.rows[0].shown[1].words
        print(f"invert {at}, 100 steps: {time.perf_counter() - start:.1f} s, {said}")


if __name__ == "__main__":
    times()
    print(f"{reached():.1%} of the units of keras_cnn's last convolution")
