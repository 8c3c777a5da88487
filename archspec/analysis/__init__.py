"""Graph → what it costs, sees and accepts, and what is likely a mistake in it; no torch.

Each question is a pass over the graph in the order of computation, in a file of its own:

    cost              what a kind of node costs: weights, arithmetic, bytes
    memory            what is alive while a node runs, what it keeps for the backward pass
    receptive_field   which cells of the input a node sees, by the spans of `spans` along `axes`
    sizes             which other sizes of input are accepted
    lint              what the field knows to be a mistake: RULES

What the first three find is one Row a node:

    input: [3, 32, 32]
    body: [{id: c, conv: {out: 8, kernel: 3}}, flatten, {id: l, linear: 10}]

    Analysis(graph, spec).row("c")     shape (8, 30, 30), params 224, macs 194,400, …
    Analysis(graph, spec).totals       params 72,234, macs 266,400, …
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from archspec import collector
from archspec.analysis.axes import free_places, tracked_axes
from archspec.analysis.cost import Cost, costs
from archspec.analysis.memory import Held, steps
from archspec.analysis.receptive_field import Field, Seen, Tracked, see
from archspec.analysis.rows import Counts, Row, Totals, counts, rows, totals

if TYPE_CHECKING:
    from archspec.analysis.sizes import InputSize, Moved
    from archspec.expand.graph import Graph
    from archspec.language import Spec
    from archspec.text.faults import Fault

__all__ = ["Analysis", "Field", "Held", "Row", "Totals"]


class Analysis:
    """All that is known of a graph; every part is computed when it is first asked for, once."""

    def __init__(self, graph: Graph, spec: Spec) -> None:
        self.graph = graph
        self.spec = spec

    @cached_property
    def tracked(self) -> tuple[Tracked, ...]:
        """The axes of the inputs that fields and sizes are told along."""
        return tracked_axes(self.graph, self.spec)

    @cached_property
    @collector.paused()
    def rows(self) -> list[Row]:
        """One a node, in the order of the graph's steps."""
        return rows(self.graph, self.costs, self.seen)

    @cached_property
    def costs(self) -> list[Cost]:
        """By kind of node."""
        return costs(self.graph)

    @cached_property
    @collector.paused()
    def counts(self) -> Counts:
        """The totals that a spec may expect, without the rest."""
        return counts(self.graph.steps, self.costs)

    @cached_property
    def totals(self) -> Totals:
        return totals(self.graph, self.counts, self.rows)

    @cached_property
    @collector.paused()
    def warnings(self) -> list[Fault]:
        """What the field knows to be a mistake; those that the spec says are meant are left out."""
        from archspec.analysis.lint import Context, warnings

        return warnings(Context(self.graph, self.spec, self.rows, self.seen.misaligned))

    @cached_property
    @collector.paused()
    def sizes(self) -> tuple[InputSize, ...]:
        """Which sizes of input the network, with the weights it has, accepts."""
        from archspec.analysis.sizes import accepted

        free = free_places(self.graph, self.spec)
        return accepted(self.graph, self.tracked, self.seen.states, free)

    @cached_property
    def fixed(self) -> list[Fault]:
        """Faults: free axes that can have no other size than the one in use."""
        if not self.graph.free_axes or self._larger is not None:
            return []
        from archspec.analysis.sizes import fixed

        return fixed(self.graph, free_places(self.graph, self.spec))

    @cached_property
    def _larger(self) -> Moved | None:
        """The network with free axes that are longer; None where it does not accept that."""
        from archspec.analysis.sizes import larger

        return larger(self.graph, free_places(self.graph, self.spec))

    @cached_property
    def elsewhere(self) -> Moved | None:
        """The network at other sizes of its free axes; None where there are none."""
        if not self.graph.free_axes:
            return None
        from archspec.analysis.sizes import elsewhere

        free = free_places(self.graph, self.spec)
        return self._larger or elsewhere(self.graph, self.tracked, self.sizes, free)

    def training(self, trained: Collection[str], *, half: bool = False) -> list[Held]:
        """What a step holds at each node, the last first, where weights of these names are trained.

        Weights and what an optimizer remembers come on top. `half`: under torch's autocast, which
        takes products in half precision (pytorch.org/docs/stable/amp.html).
        """
        return steps(self.graph, self.costs, trained, half=half)

    def row(self, path: str) -> Row:
        """The row of the op at a path, or of the last op inside the item there. Raises KeyError."""
        if path in self.graph:
            return self.rows[self.graph.at(path).index]
        inside = [row for row in self.rows if row.path.startswith(f"{path}.")]
        if not inside:
            raise KeyError(path)
        return inside[-1]

    @cached_property
    @collector.paused()
    def seen(self) -> Seen:
        """What of the inputs each node sees, and where paths meet that see other places."""
        return see(self.graph, self.tracked)
