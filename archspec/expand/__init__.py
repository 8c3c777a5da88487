"""Spec → Graph: blocks, repeats, conditions unrolled, names given, shapes inferred in one walk.

    input: [3, 8, 8]                              stage.0  Unit {out: 8}   [3, 8, 8] → [8, 6, 6]
    blocks:                                         stage.0.conv1          [3, 8, 8] → [8, 6, 6]
      Unit:                                  →      stage.0.relu1          [8, 6, 6] → [8, 6, 6]
        params: {out: ~}                          stage.1  Unit {out: 16}  [8, 6, 6] → [16, 4, 4]
        body: [{conv: {out: $out,                   stage.1.conv1          [8, 6, 6] → [16, 4, 4]
                       kernel: 3}}, relu]           stage.1.relu1        [16, 4, 4] → [16, 4, 4]
    body:
      - {id: stage, repeat: 2, Unit: {out: $(8 * (loop.index + 1))}}

The tree (`tree.py`) keeps what the author wrote: which items repeat, which stand in a block, which
are absent. The graph (`graph.py`) is what is computed, in order; `flatten.py` makes it of the tree.

To read: `items.py` is the walk, and all that recurses; `walk.py` is what it knows meanwhile.
It asks `plan` what is the same for every copy of an item, `repeats` how many copies there are,
`wiring` what flows into one, `ops` and `calls` what comes out, `names` what it is
called. `needed` then finds what no output needs. A fault is noted in `state.py`, and what depends
on it is hidden, so that one mistake is one complaint.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec import collector
from archspec.expand import cut, fills, flatten, following, heads, ties
from archspec.expand.items import instance
from archspec.expand.namespace import Callee, Namespace, as_block
from archspec.expand.origin import Said
from archspec.expand.params import inputs as _inputs
from archspec.expand.params import params as _params
from archspec.expand.state import LimitError, State
from archspec.language import Spec
from archspec.limits import DEFAULT, Limits
from archspec.text.faults import Fault, SpecError
from archspec.text.source import in_order

if TYPE_CHECKING:
    from archspec.expand.graph import Graph
    from archspec.expand.running import Running
    from archspec.expand.schedule import Schedule
    from archspec.expand.tree import Instance
    from archspec.layers.base import TensorType

__all__ = ["OF_SIZES", "elaborate", "expand", "input_types", "scheduled"]

OF_SIZES = ("E203", "E304", "E305")  # faults that other sizes of the input may mend

_FRAMES = 150  # of Python (on the heap) for each call of a block, with groups in one another
_NOBODY: Mapping[str, Any] = {}


def expand(
    spec: Spec,
    *,
    variant: str | None = None,
    params: Mapping[str, Any] = _NOBODY,
    inputs: Mapping[str, Sequence[int]] | None = None,
    limits: Limits = DEFAULT,
) -> Graph:
    """The graph of what `scheduled` gives."""
    from archspec.expand.graph import Graph  # loads networkx: only where a graph is made

    return Graph.of(scheduled(spec, variant, params, inputs, limits))


def scheduled(
    spec: Spec,
    variant: str | None = None,
    params: Mapping[str, Any] = _NOBODY,
    inputs: Mapping[str, Sequence[int]] | None = None,
    limits: Limits = DEFAULT,
) -> Schedule:
    """The network of a spec: its tree, and what is computed in order.

    `variant` and `params` choose as in `load`; `inputs` gives other input shapes by name, the batch
    axis left out. Raises SpecError with all independent faults.
    """
    chosen = _Chosen(spec, variant, params, inputs)
    with _deep(limits):
        root = _elaborate(limits, chosen, headed=True)
        found = flatten.flatten(root)
        wrong = [*ties.faults(found), *fills.faults(found)]
        found.work = root.origin.state.work.done
        if wrong:
            raise _refused(following.apart(wrong), spec, found.work)
        if root.free_axes:
            found.running = _running(root, chosen)
    return found


def elaborate(
    spec: Spec,
    variant: str | None = None,
    params: Mapping[str, Any] = _NOBODY,
    inputs: Mapping[str, Sequence[int]] | None = None,
    limits: Limits = DEFAULT,
) -> Instance:
    """The tree alone; paths of `head` are not looked up in it. Raises SpecError."""
    with _deep(limits):
        return _elaborate(limits, _Chosen(spec, variant, params, inputs))


def _refused(faults: list[Fault], spec: Spec, work: int) -> SpecError:
    found = SpecError(faults, spec.sources)
    found.work = work
    return found


class _Chosen(NamedTuple):
    """A spec, and what is chosen from outside."""

    spec: Spec
    variant: str | None
    params: Mapping[str, Any]
    inputs: Mapping[str, Sequence[int]] | None


def _elaborate(limits: Limits, chosen: _Chosen, *, headed: bool = False) -> Instance:
    root, state = _sized(limits, chosen)
    spec = chosen.spec
    if headed:
        sound = root if not state.faults else None
        with suppress(LimitError):  # enough is said
            heads.check(state, spec, sound, chosen=bool(chosen.variant or chosen.params))
    if state.faults or root is None:
        raise _refused(_ordered(state, spec), spec, state.work.done)
    root.warnings = tuple(state.warnings)
    return root


def _sized(limits: Limits, chosen: _Chosen) -> tuple[Instance | None, State]:
    """The tree; without what is there in training only, where only that refuses the sizes given.

    Sizes given that the network refuses are one mistake, however many items refuse them.
    """
    root, state = _walked(State(limits), chosen)
    if not chosen.inputs or all(fault.code not in OF_SIZES for fault in state.faults):
        return root, state
    usual = _walked(State(limits), chosen._replace(inputs=None))[1]
    if usual.faults:
        return root, state
    bare, always = _walked(State(limits, untrained=True), chosen)
    if set(always.faults) < set(state.faults):
        root, state, trained = bare, always, state
        if not state.faults:
            _warn(state, trained.faults[0])
    first = next((fault for fault in state.faults if fault.code in OF_SIZES), None)
    state.faults = [f for f in state.faults if f is first or f.code not in OF_SIZES]
    return root, state


def _warn(state: State, refused: Fault) -> None:
    """Note that the network is built without what is there in training only."""
    message = f"at these sizes the network cannot be trained: {refused.message}"
    help = "what is under `tap: train` is left out; larger sizes keep it"
    state.warnings.append(replace(refused, code="W112", message=message, help=help))


def _walked(state: State, chosen: _Chosen) -> tuple[Instance | None, State]:
    """The tree, as far as it came, and the state with its faults."""
    root: Instance | None = None
    try:
        root = _root(state, chosen)
        if not state.faults:
            cut.unused(state)
    except LimitError:
        pass
    except RecursionError:
        message = "the network is nested too deeply"
        state.fault("E407", message, chosen.spec.loc, "call blocks less deeply")
    return root, state


def _running(root: Instance, chosen: _Chosen) -> Running:
    """What follows from free axes. Raises SpecError where that is what may not."""
    from archspec.expand.running import Symbolic, running  # for specs with free axes only

    again = Symbolic(root.origin.state)
    symbolic = _root(again, chosen)
    if again.faults:
        raise SpecError(_ordered(again, chosen.spec), chosen.spec.sources)
    return running(root, symbolic, again)


def input_types(spec: Spec, variant: str | None = None) -> dict[str, TensorType | None]:
    """The types of the inputs by name, without expanding the network. Raises SpecError."""
    state = State(DEFAULT)
    found, _ = _inputs(state, spec, _params(state, spec, variant, _NOBODY), None)
    if state.faults:
        raise SpecError(_ordered(state, spec), spec.sources)
    return found


def _root(state: State, chosen: _Chosen) -> Instance:
    """The instance of the document itself."""
    spec, variant, params, inputs = chosen
    if not params and not inputs:
        state.expecting = spec.loc.file
    state.chosen = Said(spec, variant, params)
    state.entering = tuple(spec.inputs.values())
    args = _params(state, spec, variant, params)
    types, axes = _inputs(state, spec, args, inputs)
    block = as_block(spec, variant or spec.name)
    root = instance(Callee(block, Namespace(state, spec)), args, types)
    root.free_axes = axes
    return root


def _ordered(state: State, spec: Spec) -> list[Fault]:
    """The faults in the order of the text, without what follows from others."""
    return following.apart(in_order(state.faults, spec.sources))


@contextmanager
def _deep(limits: Limits) -> Iterator[None]:
    """Python's own limit of nested calls out of the way of ours."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 2000 + _FRAMES * limits.depth))
    try:
        with collector.paused():
            yield
    finally:
        sys.setrecursionlimit(before)
