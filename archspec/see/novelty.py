"""Pictures, a network that rebuilds what it knows → which of them are unlike all that it learned.

    anomaly(run, "today", normal="good")    error 0.0312 of a picture, threshold 0.0094

An autoencoder that learned from normal pictures alone rebuilds others badly. A picture's error is
the mean square of the difference. The threshold is what most normal pictures stay below, of which
none was learned from. Source: Japkowicz, Myers, Gluck 1995, A novelty detection approach to
classification.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown, heat
from archspec.see.subject import Subject, subject, tapped
from archspec.train.errors import TrainError, library
from archspec.train.use import Trained, held_out

_BATCH, _SHOWN, _LINE = 64, 24, 8  # pictures that are rebuilt together, shown, and in a line
_HELP = "name normal pictures that were not learned from: --normal FOLDER, normal=…"
_NAME, _BINS = 14, 40  # signs of a name, bars of the histogram


class Anomaly(NamedTuple):
    """Errors of pictures [N], known anomalies last, and where they arise [N, H, W].

    `auroc` is the share of pairs of an anomaly and a normal picture in which the anomaly has the
    larger error (equal ones count half); None where no anomalies are known.
    """

    errors: Tensor
    maps: Tensor
    threshold: float
    auroc: float | None

    @property
    def found(self) -> Tensor:
        """Which errors are above the threshold, [N]."""
        return self.errors > self.threshold


def anomaly(
    model: Any, x: Any, *, anomalous: Any = None, normal: Any = None, share: float = 0.95
) -> Seeing:
    """Which pictures a network rebuilds worse than normal ones: values are an Anomaly.

    `x` as of `saliency`. `normal` are pictures like those that were learned from, though not these:
    by default what the plan of a run holds out. The threshold is what this `share` of their errors
    is below. `anomalous` are more pictures, known to be anomalies; those of `x` are then known to
    be none. Raises TrainError, also where the network does not give pictures such as it reads.
    """
    who = subject(model)
    if not 0 < share < 1:
        message = f"`share` is {share:g}; it is of normal pictures, between 0 and 1"
        raise TrainError("E850", message, "for example 0.95: one in twenty is above")
    rebuilding = _Rebuilding(model, who)
    given = [read(who, some) for some in (x, anomalous) if some is not None]
    names = [name for _, some in given for name in some]
    pictures = torch.cat([some for some, _ in given])
    made = rebuilding(pictures)
    maps = (made - pictures).square().mean(1)
    errors = maps.mean((1, 2))
    usual = _usual(model, who, normal)
    known = (rebuilding(usual) - usual).square().mean((1, 2, 3))
    threshold = float(known.quantile(share))
    good, bad = errors[: len(given[0][0])], errors[len(given[0][0]) :]
    found = Anomaly(errors, maps, threshold, None if anomalous is None else auroc(good, bad))
    groups = {"normal": known, "these": good, "anomalies": bad}
    first = Row(_said(found, share), (Shown(_histogram(groups, threshold), ""),))
    rows = (first, *_lines(found, pictures, made, names))
    return Seeing(f"{who.name}: what it cannot rebuild", found, rows)


def auroc(normal: Tensor, anomalous: Tensor) -> float:
    """The share of pairs in which the anomaly has the larger number; of equal ones half."""
    below = normal.sort().values
    ranks = torch.searchsorted(below, anomalous) + torch.searchsorted(below, anomalous, right=True)
    return float(ranks.double().mean() / 2 / len(normal))


class _Rebuilding:
    """Pictures from 0 to 1 → what the network makes of them, as pictures. Raises TrainError."""

    def __init__(self, model: Any, who: Subject) -> None:
        eye = tapped(who, who.answer)
        (node,) = eye.nodes
        if node.outs[0].shape != who.shape:
            message = f"`{who.name}` answers with {list(node.outs[0].shape)}: it rebuilds nothing"
            raise TrainError(
                "E850", message, "an autoencoder, of the task `reconstruction` or `vae`"
            )
        self.who = who
        # a task may give what comes out another form: pictures of logits
        self.answer = model.shares if isinstance(model, Trained) else lambda x: eye(x)[node.path]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        parts = [self.answer(self.who.input(some)) for some in torch.split(x, _BATCH)]
        return self.who.picture(torch.cat(parts))


def _usual(model: Any, who: Subject, normal: Any) -> Tensor:
    """Normal pictures, not learned from. Raises TrainError."""
    if normal is not None:
        return read(who, normal)[0]
    if not isinstance(model, Trained) or model.plan.data is None:
        message = f"nothing says which errors of `{who.name}` are normal"
        raise TrainError("E850", message, _HELP)
    try:
        held = held_out(model)
    except TrainError as bad:
        raise TrainError(bad.code, bad.message, _HELP) from None
    x, _ = held.__getitems__(list(range(len(held))))
    return who.picture(x)


def _said(found: Anomaly, share: float) -> str:
    above = int(found.found.sum())
    said = f"{above} of {len(found.errors)} above {found.threshold:.4g}, "
    said += f"below which {share:.0%} of normal ones are"
    return said if found.auroc is None else f"{said}; AUROC {found.auroc:.4f}"


def _lines(found: Anomaly, pictures: Tensor, made: Tensor, names: Sequence[str]) -> Iterator[Row]:
    """The largest errors first: pictures, what is made of them, and where the two differ."""
    order = found.errors.argsort(descending=True)[:_SHOWN].tolist()
    for start in range(0, len(order), _LINE):
        some = order[start : start + _LINE]
        words = f"errors {start + 1} to {start + len(some)} by size: as it is, rebuilt, difference"
        hot = heat(found.maps[some].flatten(0, 1)).chunk(len(some), 1)  # on one scale
        said = [f"{float(found.errors[k]):.4g}{' above' * bool(found.found[k])}" for k in some]
        yield Row(words, tuple(Shown(pictures[k], names[k][-_NAME:]) for k in some))
        yield Row("", tuple(Shown(made[k], "") for k in some))
        yield Row("", tuple(map(Shown, hot, said)))


def _histogram(groups: dict[str, Tensor], threshold: float) -> Tensor:
    """How often which error is: [3, H, W]."""
    canvas = library("matplotlib.backends.backend_agg", "showing numbers").FigureCanvasAgg
    figure = library("matplotlib.figure", "showing numbers").Figure(
        figsize=(6.4, 2.4), dpi=110, layout="constrained"
    )
    axes = figure.add_subplot(xlabel="error", ylabel="share")
    there = {name: some for name, some in groups.items() if len(some)}
    edges = numpy.histogram_bin_edges(torch.cat(list(there.values())).numpy(), _BINS)
    for name, some in there.items():
        weights = numpy.full(len(some), 1 / len(some))
        axes.hist(some.numpy(), edges, weights=weights, alpha=0.55, label=f"{name}, {len(some)}")
    axes.axvline(threshold, color="0.2", lw=1, ls="--", label="threshold")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    drawn = canvas(figure)
    drawn.draw()
    pixels = numpy.asarray(drawn.buffer_rgba())[..., :3].copy()
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
