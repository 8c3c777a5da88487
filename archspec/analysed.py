"""Spec, graph → Network: what reports and figures are given of a network.

They ask for its name, its graph and its analysis, and need not know how it was read, or that it can
be compiled: a Program (`archspec/network.py`) is a Network that knows that as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from archspec import collector

if TYPE_CHECKING:
    from archspec.analysis import Analysis
    from archspec.analysis.rows import Counts
    from archspec.expand.graph import Graph
    from archspec.expand.schedule import Schedule
    from archspec.language import Spec
    from archspec.text.faults import Fault
    from archspec.text.source import Source


_WORD = 4  # letters that are enough of a name to know it by


class Network:
    """An expanded network; it is analysed when that is first asked for."""

    def __init__(self, source: Source, spec: Spec, variant: str | None, found: Schedule) -> None:
        self.source = source
        self.spec = spec
        self.variant = variant
        self.schedule = found

    @property
    def name(self) -> str:
        """The variant's name, or the spec's; both where the variant's is a number."""
        if self.variant is None:
            return self.spec.name
        return f"{self.spec.name}_{self.variant}" if self.variant.isdigit() else self.variant

    @property
    def called(self) -> str:
        """The name over a figure: the spec's too where a variant's has no word of it.

        `resnet18`; `unet, original`.
        """
        name, own = self.name, self.spec.name
        heard = any(name[at : at + _WORD] in own for at in range(len(name) - _WORD + 1))
        return name if heard or self.variant is None else f"{own}, {name}"

    @property
    def sources(self) -> Mapping[str, Source]:
        """By file name, what can quote a fault."""
        return self.spec.sources

    @cached_property
    @collector.paused()
    def graph(self) -> Graph:
        """What is computed, as a networkx.MultiDiGraph."""
        from archspec.expand.graph import Graph  # loads networkx: where a graph is asked for

        return Graph.of(self.schedule)

    @cached_property
    def counts(self) -> Counts:
        """The totals that a spec may expect; no graph is made for them."""
        from archspec.analysis.cost import costs
        from archspec.analysis.rows import counts

        return counts(self.schedule.steps, costs(self.schedule))

    @cached_property
    def analysis(self) -> Analysis:
        """Shapes, costs and receptive fields of every node."""
        from archspec.analysis import Analysis

        return Analysis(self.graph, self.spec)

    @cached_property
    def warnings(self) -> list[Fault]:
        """What is likely a mistake, those left out that the spec says are meant."""
        found = [w for w in self.schedule.warnings if w.code not in self.spec.warnings]
        return found + list(self.analysis.warnings)
