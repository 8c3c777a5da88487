"""A run → one page of HTML: curves, metrics, who is taken for whom, worst examples, the network.

Nothing in it is fetched from elsewhere: it can be sent as it is.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archspec.frames import frame
from archspec.train import drawing, engine
from archspec.train.companions import Companions
from archspec.train.loading import Order, load, there
from archspec.train.measure import score
from archspec.train.pictures import png
from archspec.train.run import PLACES, Run, curves, load_run
from archspec.train.samples import Given
from archspec.train.state import SAMPLES
from archspec.train.use import Trained, held_out, named
from archspec.train.use import load as trained

if TYPE_CHECKING:
    from archspec.train.loading import View

_WORST = 16  # examples that are shown
_CLASSES = 40  # of a matrix that is shown
_ROWS = 60  # epochs that are shown, at equal distances


def report(folder: str | Path, data: Any = None) -> str:
    """The page of a run, measured on what its plan holds out or on `data`. Raises TrainError."""
    from markupsafe import Markup

    from archspec.figures import figure
    from archspec.report.layers import title

    run, found = load_run(folder), trained(folder)
    view, on = held_out(found, data), engine.accelerator(found.plan)
    sums = score(found.task, found.whole.to(on.device), view, found.batch, on)
    tables = {"confusion": [], "by_class": {}, **found.task.tables(sums)}
    matrix = tables["confusion"]
    names = found.facts.classes or tuple(map(str, range(len(matrix))))
    drawn = figure(found.program, format="svg")
    return frame(
        "train/page.html.jinja",
        run=run,
        title=title(found.program),
        best=run.metrics.index(run.best) + 1,
        curves=Markup(_svg(run)),
        keys=[key for key in run.last if key not in PLACES],
        rows=_shown(run),
        classes=names,
        confusion=_shaded(names, matrix) if 0 < len(matrix) <= _CLASSES else [],
        by_class={name: named(found.facts, each) for name, each in tables["by_class"].items()},
        samples=_samples(Path(folder)),
        worst=_worst(found, view, on.device) if found.task.reader is found.program else [],
        network=Markup(drawn),
        plan=found.plan.source.text,
    )


def _samples(folder: Path) -> str:
    """What the network made of noise after the last epoch, if it is made for that."""
    drawn = sorted((folder / SAMPLES).glob("*.png"))
    return _text(drawn[-1].read_bytes()) if drawn else ""


def _svg(run: Run) -> str:
    text = io.StringIO()
    curves([run]).savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("?>")[2].partition(">")[2]  # without its XML declarations


def _shown(run: Run) -> list[tuple[int, dict[str, Any]]]:
    rows = list(enumerate(run.metrics, 1))
    step = -(-len(rows) // _ROWS)
    return [row for row in rows if (row[0] - 1) % step == 0 or row[1] in (run.best, run.last)]


def _shaded(names: tuple[str, ...], matrix: list[list[int]]) -> list[Any]:
    """Of each class the counts, and how much of its row each is."""
    return [
        (name, [(count, round(count / max(sum(line), 1), 3)) for count in line])
        for name, line in zip(names, matrix, strict=True)
    ]


@torch.no_grad()
def _worst(found: Trained, view: View, device: torch.device) -> list[tuple[str, str]]:
    """The pictures with the largest losses, and what is said of each."""
    if (
        isinstance(view.samples, Given)
        or isinstance(view, Companions)
        or len(found.facts.shape) != 3
        or found.facts.shape[0] not in (1, 3)
    ):
        return []
    losses: list[Tensor] = []
    for batch in load(view, Order(len(view), found.batch, 0, False).batches(0), 0):
        losses.append(found.task.of_each(found.model, *there(batch, device)).cpu())
    every = torch.cat(losses)
    shown = []
    for index in every.argsort(descending=True)[:_WORST].tolist():
        x, y = view.__getitems__([index])
        raw, truth = view.samples.fetch([int(view.chosen[index])])
        given = found.task.degraded(x.to(device))
        shares = found.shares(given).cpu()
        drawn = found.task.as_targets(shares)
        said, picture = f"loss {float(every[index]):.3g}", raw[0]
        if drawn:
            true = truth if isinstance(truth, dict) else {view.samples.kind: truth}
            picture = drawing.beside(found.seen(given), [true, drawn], found.facts.classes)
        else:
            answer = found.task.answers(shares, found.facts.classes, 1)[0]
            said = _said(found.facts.classes, y[0], answer)
        shown.append((_text(png(picture)), said))
    return shown


def _said(classes: tuple[str, ...], y: Tensor, answer: Any) -> str:
    """What a sample is, and what it is taken for."""
    if not isinstance(answer, dict):
        return f"is {y.tolist()}, taken for {answer}"
    taken = " and ".join(f"{name} ({share:.0%})" for name, share in answer.items())
    labels = y.nonzero().flatten().tolist() if y.ndim else [int(y)]
    names = [classes[k] if classes else str(k) for k in labels]
    return f"is {' and '.join(names) or 'nothing'}, taken for {taken}"


def _text(picture: bytes) -> str:
    """A PNG, as a page has it in itself."""
    return base64.b64encode(picture).decode()
