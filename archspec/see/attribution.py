"""A picture, a class → which of its pixels, or places, speak for that class.

    saliency    |∂y/∂x|                              Simonyan, Vedaldi, Zisserman 2014
    deconv      a ReLU lets back what is positive    Zeiler, Fergus 2014
    guided      … where its input was positive too   Springenberg et al. 2015
    gradcam     the maps of a node, each weighted by its mean gradient; Selvaraju et al. 2017
    occlusion   how much y falls where a square is covered     Zeiler, Fergus 2014

`y` is a class of the answer, or with `of` a unit of any other node: of a map it is the sum over the
map. All but occlusion are one pass back through the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archspec.see.reading import read
from archspec.see.seeing import Row, Seeing, Shown, grey, heat, signed
from archspec.see.subject import Subject, subject, tapped
from archspec.train.errors import TrainError

if TYPE_CHECKING:
    from archspec.see.subject import Eye

_BATCH = 64  # covered pictures that are looked at together

Rule = Callable[[nn.Module, Any, Any], Any]


def _deconv(module: nn.Module, inside: Any, outside: Any) -> Any:
    return (functional.relu(outside[0]),)


def _guided(module: nn.Module, inside: Any, outside: Any) -> Any:
    return (functional.relu(inside[0]),)


def saliency(
    model: Any, x: Any, target: int | str | None = None, *, of: str | None = None
) -> Seeing:
    """How much each number of the input moves `target`: values [N, C, H, W], none below 0.

    `x` is a file, a folder, several of these or an array; `target` a class by name or number, or
    None for the one that the network finds; `of` the node whose unit `target` is, in place of the
    answer. Shown is the largest of the channels. Raises TrainError.
    """
    view = _View(model, x, target, of)
    values = view.gradient().abs()
    return view.seeing("saliency", values, [grey(one.amax(0)) for one in values])


def guided(model: Any, x: Any, target: int | str | None = None, *, of: str | None = None) -> Seeing:
    """What in a picture is for `target`, by guided backpropagation: values [N, C, H, W].

    Arguments as of `saliency`. Raises TrainError where the network has no ReLU: then there is
    nothing that the rule could change.
    """
    return _ruled("guided backpropagation", _guided, _View(model, x, target, of))


def deconv(model: Any, x: Any, target: int | str | None = None, *, of: str | None = None) -> Seeing:
    """What in a picture is for `target`, by a deconvolutional network: values [N, C, H, W].

    Arguments and refusals as of `guided`.
    """
    return _ruled("deconvolution", _deconv, _View(model, x, target, of))


def gradcam(
    model: Any, x: Any, target: int | str | None = None, *, at: str | None = None
) -> Seeing:
    """Where in a picture `target` is seen, by Grad-CAM: values [N, 1, h, w] of the map at a node.

    `at` is any node that is a map, as `archspec expand` names it: by default the last. Values are
    the sum of its channels, each weighted by the mean of ∂y over the map, none below 0; shown over
    the picture at its size. Raises TrainError.
    """
    view = _View(model, x, target, None, at or _last_map(subject(model)))
    node = view.eye.nodes[-1]
    if not node.outs[0].is_map or len(node.outs[0].shape) != 3:
        message = f"`{node.path}` is no map: {list(node.outs[0].shape)}"
        raise TrainError("E850", message, "Grad-CAM is of a node with places: [C, H, W]")
    maps, gradient = view.at_node()
    weights = gradient.mean((2, 3), keepdim=True)
    values = functional.relu((weights * maps).sum(1, keepdim=True))
    shown = [heat(one[0], over) for one, over in zip(values, view.x, strict=True)]
    return view.seeing(f"Grad-CAM at {node.path}", values, shown)


def occlusion(
    model: Any,
    x: Any,
    target: int | str | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
) -> Seeing:
    """How much `target` falls where a square of the picture is covered: values [N, C, H, W].

    The square has a side of `window` pixels, an eighth of the picture by default, and moves by
    `stride`, half of it; it is filled with 0 as the network takes it, which is the mean colour
    where inputs are normalised. A pixel's value is the mean over the squares that cover it.
    Raises TrainError.
    """
    view = _View(model, x, target, None)
    side = min(view.x.shape[2:])
    window = max(1, side // 8) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= side or not 1 <= stride <= window:
        message = f"a square of {window} pixels that moves by {stride} does not cover the picture"
        raise TrainError("E850", message, f"1 to {side} pixels, moved by at most as many")
    values = torch.stack([view.covered(number, window, stride) for number in range(len(view.x))])
    shown = [heat(one.mean(0), over) for one, over in zip(values, view.x, strict=True)]
    return view.seeing(f"occlusion, {window} x {window}", values, shown)


class _View:
    """Pictures in front of a network, and the unit that is asked about in each."""

    def __init__(
        self, model: Any, x: Any, target: int | str | None, of: str | None, at: str | None = None
    ) -> None:
        self.who: Subject = subject(model)
        self.of = of
        self.x, self.names = read(self.who, x)
        answer = of or self.who.answer
        self.eye: Eye = tapped(self.who, *([answer] if at is None else [answer, at]))
        self.input = self.who.input(self.x).requires_grad_()
        self.made = self.eye(self.input)
        node = self.eye.nodes[0]
        out = self.made[node.path].detach()
        if len(node.outs[0].shape) not in (1, 3):
            message = f"`{node.path}` gives {list(node.outs[0].shape)}: no vector and no map"
            raise TrainError("E850", message, "name another node: of")
        if target is None:
            self.units = self._score(out).argmax(1)
        else:
            self.units = torch.full((len(self.x),), self.who.unit(target, node, of))

    def gradient(self) -> Tensor:
        """∂y/∂x of every picture, [N, C, H, W]."""
        (found,) = torch.autograd.grad(self._sum(self.made), self.input)
        return found

    def at_node(self) -> tuple[Tensor, Tensor]:
        """What the second node gives, and ∂y by it."""
        maps = self.made[self.eye.nodes[-1].path]
        y = self._sum(self.made)
        (found,) = torch.autograd.grad(y, maps, allow_unused=True)
        if found is None:
            message = f"`{self.eye.nodes[0].path}` does not depend on `{self.eye.nodes[-1].path}`"
            raise TrainError("E850", message, "name a node that is before it")
        return maps.detach(), found

    @torch.no_grad()
    def covered(self, number: int, window: int, stride: int) -> Tensor:
        """Of one picture, how much y falls at each pixel: [C, H, W]."""
        x, unit = self.input[number].detach(), int(self.units[number])
        whole = self._score(self.made[self.eye.nodes[0].path])[number, unit]
        squares = list(_squares(x.shape[1], x.shape[2], window, stride))
        fall, count = torch.zeros(x.shape[1:]), torch.zeros(x.shape[1:])
        for start in range(0, len(squares), _BATCH):
            some = squares[start : start + _BATCH]
            batch = x.expand(len(some), -1, -1, -1).clone()
            for one, (rows, columns) in zip(batch, some, strict=True):
                one[:, rows, columns] = 0
            falls = whole - self._score(self.eye(batch)[self.eye.nodes[0].path])[:, unit]
            for by, (rows, columns) in zip(falls, some, strict=True):
                fall[rows, columns] += by
                count[rows, columns] += 1
        return (fall / count).expand_as(x)

    def seeing(self, title: str, values: Tensor, shown: list[Tensor]) -> Seeing:
        """A row a picture: it as it is, and what was found of it."""
        rows = []
        for number, (x, found) in enumerate(zip(self.x, shown, strict=True)):
            unit = self.who.unit_name(int(self.units[number]), self.of)
            said = unit if self.of is None else f"{self.eye.nodes[0].path} {unit}"
            rows.append(Row(self.names[number], (Shown(x, ""), Shown(found, said))))
        return Seeing(f"{self.who.name}: {title}", values, tuple(rows))

    def _sum(self, made: dict[str, Tensor]) -> Tensor:
        scores = self._score(made[self.eye.nodes[0].path])
        return scores.gather(1, self.units[:, None]).sum()

    @staticmethod
    def _score(out: Tensor) -> Tensor:
        """Of each unit: [N, units]."""
        return out.flatten(2).sum(2) if out.ndim > 2 else out


def _ruled(title: str, rule: Rule, view: _View) -> Seeing:
    with _hooked(view.eye, rule, title):
        view.made = view.eye(view.input)
        values = view.gradient()
    return view.seeing(title, values, [signed(one) for one in values])


@contextmanager
def _hooked(eye: Eye, rule: Rule, title: str) -> Iterator[None]:
    """Every ReLU passes gradients back by the rule. Raises TrainError where there is none."""
    rectifiers = [module for module in eye.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers:
        message = f"`{eye.nodes[0].path}` has no ReLU before it, whose gradient {title} changes"
        raise TrainError("E850", message, "saliency, gradcam and occlusion suit every network")
    hooks = [module.register_full_backward_hook(rule) for module in rectifiers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _squares(height: int, width: int, side: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each square, in lines; the last of a line is cut off by the edge."""
    for top in _starts(height, side, stride):
        for left in _starts(width, side, stride):
            yield slice(top, top + side), slice(left, left + side)


def _starts(length: int, side: int, stride: int) -> range:
    return range(0, -(-(length - side) // stride) * stride + 1, stride)


def _last_map(who: Subject) -> str:
    """The last node before the answer that has places. Raises TrainError."""
    graph = who.program.graph
    before = graph.steps[: graph.at(who.answer).index]
    for node in reversed([step for step in before if step.layer and not step.training]):
        out = node.outs[0]
        if out.is_map and len(out.shape) == 3 and min(out.shape[1:]) > 1:
            return node.path
    help = "Grad-CAM shows places; saliency and occlusion suit every network"
    raise TrainError("E850", f"`{who.name}` has no map before its answer", help)
