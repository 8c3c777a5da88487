"""Numbers → what one run may cost: raised by the caller, never by a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How large things may get before a run stops with a fault (codes E4xx)."""

    file_bytes: int = 1 << 20  # of one spec file
    project_bytes: int = 8 << 20  # of a spec with all files it uses
    nesting: int = 64  # collections inside one another in one file
    scalar: int = 10_000  # characters of one scalar
    files: int = 16  # files using one another in a chain
    nodes: int = 100_000  # unrolled ops
    depth: int = 200  # block calls inside one another
    elements: int = 1 << 40  # of one tensor
    spent: int = 0  # operations that other variants of the spec have taken already

    @property
    def steps(self) -> int:
        """Copies, calls and absent items that unrolling may take: most of them leave an op."""
        return 3 * self.nodes

    @property
    def work(self) -> int:
        """Operations that working a network out may take: 2,000,000 by default, some 2 s."""
        return max(0, 20 * self.nodes - self.spent)


DEFAULT = Limits()
MORE = "`--max-nodes N`, or `Limits(nodes=N)` from Python, if it is meant"
