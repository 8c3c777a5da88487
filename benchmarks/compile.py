"""Whole processes, cold: `archspec compile` beside torchvision on the meta device with torchinfo.

    python benchmarks/compile.py

Prints wall time and peak memory of both for VGG-16 and ResNet-152, and the ratios of the same run;
then the CPU time of short commands, and of a warm Program of ResNet-152 made from text.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

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


class Run(NamedTuple):
    """One process: seconds on the clock and of CPU, MiB of memory at the peak."""

    wall: float
    cpu: float
    peak: float


def run(command: list[str], folder: str) -> Run:
    """What one process took."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(command[0], command)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    wall = time.perf_counter() - start
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(*commands: list[str]) -> list[Run]:
    """Medians of RUNS of each command, in turns, after one that is not counted."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is cached, as after an installation
    found: list[list[Run]] = [[] for _ in commands]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS + 1):
            for runs, command in zip(found, commands, strict=True):
                runs.append(run(command, folder))
    return [Run(*map(statistics.median, zip(*runs[1:], strict=True))) for runs in found]


def warm() -> tuple[float, float]:
    """Milliseconds of a Program of ResNet-152 from text: the first, and the median of 20 more."""
    import archspec

    text = (ROOT / "specs/resnet50.yaml").read_text(encoding="utf-8")
    spent = []
    for _ in range(21):
        start = time.perf_counter()
        archspec.loads(text, "resnet152")
        spent.append(1000 * (time.perf_counter() - start))
    return spent[0], statistics.median(spent[1:])


def main() -> None:
    print(f"{'':<10} {'archspec':>18} {'torchvision+torchinfo':>24} {'time':>8} {'memory':>8}")
    for name, arguments in (
        ("vgg16", [str(ROOT / "specs/vgg16.yaml")]),
        ("resnet152", [str(ROOT / "specs/resnet50.yaml"), "--variant", "resnet152"]),
    ):
        ours = [sys.executable, "-m", "archspec", "compile", *arguments, "--force"]
        theirs = [sys.executable, "-W", "ignore", "-c", OTHER.format(name=name)]
        mine, other = measure(ours, theirs)
        print(
            f"{name:<10} {mine.wall:>8.3f} s {mine.peak:>4.0f} MiB {other.wall:>13.3f} s "
            f"{other.peak:>4.0f} MiB {'1/%.1f' % (other.wall / mine.wall):>8} "
            f"{'1/%.1f' % (other.peak / mine.peak):>8}"
        )
    vgg16 = str(ROOT / "specs/vgg16.yaml")
    commands = (["--version"], ["--help"], ["check", vgg16], ["compile", vgg16, "--force"])
    for words, found in zip(
        commands,
        measure(*([sys.executable, "-m", "archspec", *words] for words in commands)),
        strict=True,
    ):
        print(f"archspec {words[0]:<10} {found.cpu:.3f} s of CPU, {found.peak:.0f} MiB")
    first, later = warm()
    print(f"Program of ResNet-152 from text: {first:.1f} ms, then {later:.1f} ms")


if __name__ == "__main__":
    main()
