"""Tree → PyTorch source: what a good engineer writes by hand, standing without archspec.

    blocks:                                  class Unit(nn.Sequential):
      Unit:                                      def __init__(self, in_channels: int, out: int)…:
        params: {out: ~}              →              super().__init__()
        body: [{conv: {out: $out,                    self.conv1 = nn.Conv2d(in_channels, out, 3)
                       kernel: 3}}, relu]            self.relu1 = nn.ReLU()
    body:                                    …
      - {id: stage, repeat: 2,               self.stage = nn.Sequential(Unit(3, out=8), …)
         Unit: {out: $(8 * (loop.index + 1))}}

A block is a class, and its body is walked once for all of its instances at the same time: each is a
row of what the class's names are worth there. Arguments are worked out with numbers that remember
where they come from (`archspec.expressions.sym`); the expression is written where it is right in
every row (docs/emission.md).

To read: in `lowering`, `network` decides which params of the network stay arguments, `whole` which
instances one class can serve, `root`, `blocks` and `groups` what it takes; `classes` writes it,
`walk` and `sinks` what is in it, `modules` and `calls` how layers and blocks are called. `forward`,
`tidy` and `text` turn that into the text of a class, `check` lets nothing through that emission
does not write, and `proof` nothing that is not the graph. `trace` shows what was decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.emit.check import Declared, Gate
from archspec.emit.lowering.network import lower
from archspec.emit.proof import UnprovenError, prove
from archspec.expand.again import Again
from archspec.language import Init

if TYPE_CHECKING:
    from archspec.expand.running import Elsewhere

__all__ = ["UnprovenError", "emit"]


def emit(
    again: Again, name: str, origin: str, init: Init | None, elsewhere: Elsewhere | None
) -> str:
    """The text of a Python file that defines the network.

    `again` expands the network and its blocks at other values: its answers are the witnesses by
    which a param stays a constructor argument. `init` are the document's rules for initial values.
    `elsewhere` is the network at other sizes of its free axes, if it has any.
    Raises UnprovenError where the text is not the graph: a defect of archspec.
    """
    gate = Gate(*_written(again, name, origin, init))
    prove(gate.reading, again.root, elsewhere)
    gate.close()
    return gate.text


def _written(again: Again, name: str, origin: str, init: Init | None) -> tuple[str, Declared]:
    """The text, and what it names; all else that lowering made is gone before the proof."""
    with again.forgotten():
        lowered = lower(again, name, init, origin)
    return lowered.text, Declared(lowered.imported, lowered.functions)
