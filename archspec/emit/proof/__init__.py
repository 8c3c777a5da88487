"""Emitted text and tree → nothing, or a refusal: the text computes the graph.

The tree says which terms there are to be, the text has to arrive at the same ones (`running.py`),
with modules that are made as the layers say (`plan.py`):

    - {id: conv, conv: {out: 8, kernel: 1}}      self.conv = nn.Conv2d(3, 8, 1)
    - concat: [prev, input]                      return torch.cat([self.conv(x), x], 1)

A block's instance is run once, on inputs that stand for any: so the cost goes by what is written,
not by what is unrolled. Weights and their shapes follow from path and constructor. Then what the
constructors say of initial values and `freeze` is compared with the spec, weight by weight
(`initial.py`). The text is not executed: an abstract machine walks its syntax tree (`machine.py`).

Where the network has free axes, it is compared at another size of these as well: what is right at
one size only, a number in place of `x.shape[2]`, is seen there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archspec.deep import deep
from archspec.emit.proof.initial import compare
from archspec.emit.proof.machine import Machine
from archspec.emit.proof.made import Box
from archspec.emit.proof.plan import Kinds
from archspec.emit.proof.running import Proof
from archspec.emit.proof.terms import Refused
from archspec.emit.reading import Reading
from archspec.emit.torch_code import source
from archspec.expand.tree import Instance
from archspec.text.faults import CodedError, Loc, Quoting

if TYPE_CHECKING:
    from archspec.expand.running import Elsewhere

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


def prove(reading: Reading, root: Instance, elsewhere: Elsewhere | None = None) -> None:
    """Raises UnprovenError unless the network's class, made as it is, computes what `root` does.

    `elsewhere` is the network at other sizes of its free axes, where the class has to do so too.
    """
    at = ""
    try:
        with deep():
            machine, box = _compared(reading, root, {})
            if elsewhere is not None:
                at = f", where {' and '.join(f'{a} is {n}' for a, n in elsewhere.axes.items())}"
                there = Proof(machine, Kinds(elsewhere))  # in training all there is is computed
                there.mode(box, elsewhere.root, training=True)
    except Refused as refused:
        whose = f"`{refused.whose or root.block.name}`"
        whom = f"`{refused.path}` of {whose}" if refused.path else whose
        line = f", in line {refused.line} of the source" if refused.line else ""
        message = f"the source would not be the network{at}: {whom} {refused}{line}"
        error = UnprovenError("E903", message, _HELP)
        error.loc = refused.loc
        raise error from None


def computes(reading: Reading, root: Instance) -> bool:
    """Whether the network's class computes what `root` does, if it is given the params of that.

    `root` is the network at other values than those that the text was written from.
    """
    try:
        with deep():
            _compared(reading, root, root.args)
    except Refused:
        return False
    finally:
        reading.kept.clear()
    return True


def _compared(reading: Reading, root: Instance, args: Mapping[str, Any]) -> tuple[Machine, Box]:
    """The text as it runs, and the network's module, given such of these params as it takes."""
    machine = Machine(reading, _defined(reading))
    box = _made(machine, args)
    proof = Proof(machine, Kinds())
    proof.run(box, root)
    compare(proof, box, root)
    return machine, box


def _made(machine: Machine, args: Mapping[str, Any]) -> Box:
    if machine.last is None:
        raise Refused("has no class")
    init = machine.last.methods.get("__init__")
    taken = init.names if init is not None else []
    try:
        box = machine.make(machine.last, [], {n: args[n] for n in taken if n in args}).it
    except RecursionError:
        raise Refused("makes a class of itself without end") from None
    assert isinstance(box, Box)
    return box


def _defined(reading: Reading) -> Callable[[Any, int], bool]:
    """What says of a definition whether it is one that stands above the networks' classes."""

    def opaque(node: ast.ClassDef | ast.FunctionDef, above: int) -> bool:
        known = source().get(node.name)
        if known is None:
            return False
        span = above + node.lineno - 1, above + (node.end_lineno or 0)
        if reading.lines.between(*span) != known.split("\n"):
            raise Refused(f"has another definition of {node.name}")
        return True

    return opaque
