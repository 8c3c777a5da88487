"""Emitted text and tree → nothing, or a refusal: the text computes the graph.

The tree says which terms there are to be, the text has to arrive at the same ones (`running.py`),
with modules that are made as the layers say (`plan.py`):

    - {id: conv, conv: {out: 8, kernel: 1}}      self.conv = nn.Conv2d(3, 8, 1)
    - concat: [prev, input]                      return torch.cat([self.conv(x), x], 1)

A block's instance is run once, on inputs that stand for any: so the cost goes by what is written,
not by what is unrolled. Weights and their shapes follow from path and constructor. Then what the
constructors say of initial values and `freeze` is compared with the spec, weight by weight
(`initial.py`). The text is not executed: an abstract machine walks its syntax tree (`machine.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from archspec.emit.lowering.deep import deep
from archspec.emit.proof.running import Proof
from archspec.emit.proof.terms import Refused
from archspec.expand.tree import Instance
from archspec.text.faults import CodedError, Loc, Quoting

_HELP = "this is a defect of archspec, not of your spec; please report it with the spec"


class UnprovenError(CodedError):
    """What emission wrote is not the network: a defect of archspec, not of the spec.

    `loc` is the item that it is about, where one can be named.
    """

    loc: Loc | None = None

    def placed(self, sources: Mapping[str, Quoting]) -> UnprovenError:
        """The same with `file:line:column` of the item."""
        if self.loc is None or self.loc.file not in sources:
            return self
        place = sources[self.loc.file].position(self.loc)
        return UnprovenError(self.code, f"{self.message} ({place})", self.help)


def prove(tree: ast.Module, text: str, root: Instance) -> None:
    """Raises UnprovenError unless the network's class, made as it is, computes what `root` does."""
    try:
        with deep():
            Proof().run(tree, text, root)
    except Refused as refused:
        whose = f"`{refused.whose or root.block.name}`"
        whom = f"`{refused.path}` of {whose}" if refused.path else whose
        line = f", in line {refused.line} of the source" if refused.line else ""
        message = f"the source would not be the network: {whom} {refused}{line}"
        error = UnprovenError("E903", message, _HELP)
        error.loc = refused.loc
        raise error from None
