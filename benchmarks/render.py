"""How long a figure takes: each view of each network that has it, and one whole process.

python benchmarks/render.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from archspec.figures import VIEWS, RenderError, figure
from archspec.network import Program, load

NETWORKS = (
    ("vgg16", None),
    ("resnet50", "resnet152"),
    ("googlenet", None),
    ("inception_v3", None),
    ("efficientnet_b0", "efficientnet_b7"),
    ("unet", None),
    ("yolov3", None),
    ("faster_rcnn", None),
    ("transformer", None),
    ("vit_b_16", None),
    ("densenet121", "densenet201"),
)
COLUMNS = [(view, format) for view, row in VIEWS.items() for format in row.formats[:1]]


def main() -> None:
    print("".join(f"{text:>11}" for text in ("", *(view for view, _ in COLUMNS), "process")))
    for spec, variant in NETWORKS:
        program = load(spec, variant)
        assert program.analysis.rows
        cells = [_seconds(program, view, format) for view, format in COLUMNS]
        cells.append(_process(spec, variant))
        print(f"{program.name[:11]:>11}" + "".join(f"{cell:>11}" for cell in cells))


def _seconds(program: Program, view: str, format: str) -> str:
    start = time.perf_counter()
    try:
        figure(program, view, format)
    except RenderError:
        return "-"
    return f"{time.perf_counter() - start:.3f} s"


def _process(spec: str, variant: str | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "archspec", "render", spec, "-o", "figure.png"]
        command += ["--variant", variant] if variant else []
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return f"{time.perf_counter() - start:.2f} s"


if __name__ == "__main__":
    main()
