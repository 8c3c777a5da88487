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
`wiring` and `slots` what flows into one, `ops` and `calls` what comes out, `names` what it is
called. `needed` then finds what no output needs. A fault is noted in `state.py`, and what depends
on it is hidden, so that one mistake is one complaint.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archspec import collector
from archspec.expand import heads
from archspec.expand.items import instance
from archspec.expand.namespace import Callee, Namespace
from archspec.expand.params import inputs as _inputs
from archspec.expand.params import params as _params
from archspec.expand.state import LimitError, State
from archspec.language import Block, Spec
from archspec.limits import DEFAULT, Limits
from archspec.text.faults import SpecError

if TYPE_CHECKING:
    from archspec.expand.graph import Graph
    from archspec.expand.tree import Instance
    from archspec.layers.base import TensorType

__all__ = ["elaborate", "expand", "input_types"]

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
    """The network of a spec: its tree, and what is computed in order.

    `variant` and `params` choose as in `load`; `inputs` gives other input shapes by name, the batch
    axis left out. Raises SpecError with all independent faults.
    """
    with _deep(limits):
        state, root = _elaborated(spec, variant, params, inputs, limits)
        sound = root if not state.faults else None
        heads.check(state, spec, sound, chosen=bool(variant or params))
        tree = _settled(state, spec, root)
        from archspec.expand.flatten import flatten  # loads networkx: only where a graph is made

        graph = flatten(tree)
    graph.warnings = tuple(state.warnings)
    return graph


def elaborate(
    spec: Spec,
    variant: str | None = None,
    params: Mapping[str, Any] = _NOBODY,
    inputs: Mapping[str, Sequence[int]] | None = None,
    limits: Limits = DEFAULT,
) -> Instance:
    """The tree alone. Raises SpecError."""
    state, root = _elaborated(spec, variant, params, inputs, limits)
    return _settled(state, spec, root)


def input_types(spec: Spec, variant: str | None = None) -> dict[str, TensorType | None]:
    """The types of the inputs by name, without expanding the network. Raises SpecError."""
    state = State(DEFAULT)
    found, _ = _inputs(state, spec, _params(state, spec, variant, _NOBODY), None)
    if state.faults:
        raise SpecError(_ordered(state, spec), spec.sources)
    return found


def _elaborated(
    spec: Spec,
    variant: str | None,
    params: Mapping[str, Any],
    inputs: Mapping[str, Sequence[int]] | None,
    limits: Limits,
) -> tuple[State, Instance | None]:
    """The tree, and what was found odd or wrong on the way."""
    state = State(limits)
    root: Instance | None = None
    try:
        with _deep(limits):
            root = _root(state, spec, variant, params, inputs)
    except LimitError:
        pass
    except RecursionError:
        state.fault("E407", "the network is nested too deeply", spec.loc, "call blocks less deeply")
    return state, root


def _settled(state: State, spec: Spec, root: Instance | None) -> Instance:
    """The tree. Raises SpecError where there are faults."""
    if state.faults or root is None:
        raise SpecError(_ordered(state, spec), spec.sources)
    return root


def _root(
    state: State,
    spec: Spec,
    variant: str | None,
    params: Mapping[str, Any],
    inputs: Mapping[str, Sequence[int]] | None,
) -> Instance:
    """The instance of the document itself."""
    if not params and not inputs:
        state.expecting = spec.loc.file
    args = _params(state, spec, variant, params)
    types, axes = _inputs(state, spec, args, inputs)
    block = Block.model_construct(
        name=variant or spec.name, params=dict(spec.params), inputs=tuple(spec.inputs),
        named_inputs=spec.named_inputs, items=spec.items, numbered=spec.numbered,
        outputs=spec.outputs, loc=spec.loc,
    )  # fmt: skip
    root = instance(Callee(block, Namespace(state, spec)), args, list(types.values()), None)
    root.free_axes = axes
    return root


def _ordered(state: State, spec: Spec) -> list[Any]:
    """The faults in the order of the text, file by file."""
    files = {name: k for k, name in enumerate(spec.sources)}

    def place(fault: Any) -> tuple[int, int, int]:
        source = spec.sources.get(fault.loc.file)
        line, column = source.place(fault.loc)[:2] if source is not None else (0, 0)
        return files.get(fault.loc.file, 0), line, column

    return sorted(state.faults, key=place)


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
