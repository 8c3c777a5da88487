"""Others that are told of metrics: through accelerate, or a sentence that says what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import archspec
from archspec.train.errors import TrainError
from archspec.train.start import fit

SPEC = "spec: 1\nname: flat\ninput: [64]\nbody: [{id: fc, linear: 10}]\n"
DATA = {"train": "digits", "samples": 100}


def test_tensorboard_has_the_metrics_of_every_epoch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    log = {"folder": str(tmp_path / "run"), "trackers": ["tensorboard"]}
    run = fit(archspec.build(archspec.loads(SPEC)), DATA, epochs=2, log=log, quiet=True)
    (file, *_) = sorted((tmp_path / "run" / "flat").glob("events*"))
    told = EventAccumulator(str(file))
    told.Reload()
    for name in ("train.loss", "val.accuracy"):
        found = [(event.step, event.value) for event in told.Scalars(name)]
        assert found == [(row["step"], pytest.approx(row[name])) for row in run.metrics]


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_tracker_that_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    log = {"folder": str(tmp_path / "run"), "trackers": [name]}
    with pytest.raises(
        TrainError, match=rf"(?s)E602 the tracker `{name}` needs .*pip install {name}"
    ):
        fit(archspec.build(archspec.loads(SPEC)), DATA, epochs=1, log=log, quiet=True)
    assert not list(tmp_path.iterdir())  # before anything is written
