"""Whole processes, cold: `archspec compile` beside torchvision on the meta device with torchinfo.

    python benchmarks/compile.py

Prints wall time and peak memory of both for VGG-16 and ResNet-152, and the ratios of the same run.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).resolve().parent.parent

# A CPU-only torch cannot load torchvision's C++ ops; with their schemas declared, models work.
OTHER = """
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import torchinfo
import torchvision
with torch.device("meta"):
    model = torchvision.models.{name}()
print(torchinfo.summary(model, (1, 3, 224, 224), device="meta"))
"""


def run(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds and MiB (peak resident) of one process."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(command[0], command)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measure(*commands: list[str]) -> list[tuple[float, float]]:
    """Medians of RUNS of each command, in turns, after one that is not counted."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is cached, as after an installation
    found: list[list[tuple[float, float]]] = [[] for _ in commands]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS + 1):
            for runs, command in zip(found, commands, strict=True):
                runs.append(run(command, folder))
    return [
        (
            statistics.median(wall for wall, _ in runs[1:]),
            statistics.median(peak for _, peak in runs[1:]),
        )
        for runs in found
    ]


def main() -> None:
    print(f"{'':<10} {'archspec':>18} {'torchvision+torchinfo':>24} {'time':>8} {'memory':>8}")
    for name, arguments in (
        ("vgg16", [str(ROOT / "specs/vgg16.yaml")]),
        ("resnet152", [str(ROOT / "specs/resnet50.yaml"), "--variant", "resnet152"]),
    ):
        ours = [sys.executable, "-m", "archspec", "compile", *arguments, "--force"]
        theirs = [sys.executable, "-W", "ignore", "-c", OTHER.format(name=name)]
        (seconds, memory), (other_seconds, other_memory) = measure(ours, theirs)
        print(
            f"{name:<10} {seconds:>8.3f} s {memory:>4.0f} MiB {other_seconds:>13.3f} s "
            f"{other_memory:>4.0f} MiB {'1/%.1f' % (other_seconds / seconds):>8} "
            f"{'1/%.1f' % (other_memory / memory):>8}"
        )


if __name__ == "__main__":
    main()
