"""A small Faster R-CNN finds the same shapes: `pip install 'archspec[examples]'`.

One spec, faster_rcnn_tiny: region proposals, RoI align and the head that looks at each proposal,
trained together by plans/detect_two_stage.yaml. About a minute on one core.
"""

import sys
import tempfile
from pathlib import Path

import torch
from detect_shapes import FIGURES, HERE, seen

import archspec


def main(epochs: int = 6, samples: int = 1600, figure: Path | None = None) -> float:
    """The mean average precision of held-out shapes, at an overlap of a half."""
    torch.set_num_threads(1)  # the network is too small to share
    torch.manual_seed(0)
    model = archspec.build("faster_rcnn_tiny")
    with tempfile.TemporaryDirectory() as folder:
        run = archspec.train.fit(
            model, {"samples": samples}, plan=HERE / "plans" / "detect_two_stage.yaml",
            epochs=epochs, log=f"{folder}/rcnn", quiet=True,
        )  # fmt: skip
        if figure is not None:
            figure.write_bytes(seen(f"{folder}/rcnn"))
    print(
        f"mAP50 {run.last['val.map50']:.3f}, mAP50:95 {run.last['val.map']:.3f} of held-out shapes"
    )
    return run.last["val.map50"]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), figure=FIGURES / "detect_two_stage.png")
