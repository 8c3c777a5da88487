"""`freeze` of a spec → the end of a constructor, and a `train` that lets frozen norms be.

{id: features, freeze: true, body: [conv: …, batch_norm]}

    self.features.requires_grad_(False)      def train(self, mode: bool = True) -> Self:
    self.train()                                 super().train(mode)
                                                 for module in self.features.modules():
                                                     if hasattr(module, "running_mean"):
                                                         module.eval()
                                                 return self

A class freezes what its own body says is frozen; what a block says of itself, the block's class
does. Dropout goes on: only what keeps statistics stays in evaluation mode.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.inits import weights_of
from archspec.emit.syntax import For, If, Line, Return, Stmt, call, name
from archspec.expand.plan import expressions
from archspec.expand.tree import Body, Copy, Instance
from archspec.expressions import Expr

_STATISTICS = "running_mean"  # of every norm of torch.nn that keeps any
_ESTIMATE = "_u"  # of spectral_norm, which goes on with it in training
_FEW = 3  # lines alike, before they become a loop


@dataclass(frozen=True, slots=True)
class Frozen:
    """The largest modules that are frozen whole, by path; "" is the class itself.

    `parameters` are those that are no modules. In `around` are norms that keep statistics; `norms`
    are those that stand alone, and modules under spectral_norm, which keeps an estimate.
    """

    modules: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    around: tuple[str, ...] = ()

    @property
    def still(self) -> bool:
        """Whether there are statistics that would move in training."""
        return bool(self.norms or self.around)

    def stopped(self) -> list[Stmt]:
        """Lines after which no gradient comes to it."""
        lines = [_stopped(_at(p, "get_parameter")) for p in self.parameters]
        return lines + _each(self.modules, _stopped)

    def asleep(self) -> list[Stmt]:
        """Lines after which its norms are in evaluation mode."""
        lines = _each(self.norms, lambda module: Line(call(ast.Attribute(module, "eval"))))
        keeps = call("hasattr", ast.Name("module"), ast.Constant(_STATISTICS))
        inside: list[Stmt] = [If(keeps, [Line(call("module.eval"))])]
        if len(self.around) == 1:
            lines.append(For("module", _modules(_at(self.around[0])), inside))
        elif self.around:
            every = ast.Tuple([_at(p) for p in self.around])
            lines.append(For("part", every, [For("module", _modules(name("part")), inside)]))
        return lines


@dataclass(frozen=True, slots=True)
class Freezing:
    """What a class freezes: always, or where a flag of its constructor says so, and where not."""

    yes: Frozen = Frozen()
    no: Frozen = Frozen()
    flag: str = ""

    @property
    def still(self) -> bool:
        """Whether the class needs a `train` of its own."""
        return self.yes.still or self.no.still

    def constructor(self) -> list[Stmt]:
        """What the constructor ends with."""
        lines = self._where(ast.Name(self.flag), self.yes.stopped(), self.no.stopped())
        return [*lines, Line(call("self.train"))] if self.still else lines

    def train(self, flag: ast.expr) -> list[Stmt]:
        """The body of `train`; `flag` is what it calls the flag."""
        lines = self._where(flag, self.yes.asleep(), self.no.asleep())
        before = Line(call("super().train", ast.Name("mode")))
        return [before, *lines, Return(ast.Name("self"))]

    def _where(self, flag: ast.expr, yes: list[Stmt], no: list[Stmt]) -> list[Stmt]:
        if not self.flag:
            return yes
        if yes:
            return [If(flag, yes, no)]
        return [If(ast.UnaryOp(ast.Not(), flag), no)] if no else []


def freezing(instances: Sequence[Instance], names: Collection[str] = ()) -> Freezing:
    """What the class of some instances freezes; `names` are those of its constructor's arguments.

    Raises PlainError where the instances differ, and not by one of the flags among these.
    """
    found = [_frozen(i) for i in instances]
    if found.count(found[0]) == len(found):
        return Freezing(found[0])
    members = {c.segments[0] for c in _copies(instances[0].body) if c.segments}
    for flag in names:
        values = [i.args.get(flag) for i in instances]
        if flag in members or not all(isinstance(v, bool) for v in values):
            continue
        yes = {f for f, v in zip(found, values, strict=True) if v}
        no = {f for f, v in zip(found, values, strict=True) if not v}
        if len(yes) == len(no) == 1:
            return Freezing(yes.pop(), no.pop(), flag)
    different = frozenset(k for k, other in enumerate(found) if other != found[0])
    raise PlainError("the instances freeze different parts", different)


def _frozen(instance: Instance) -> Frozen:
    if all(c.freeze is None for c in _marked(instance.body)):
        return Frozen()
    total: Counter[str] = Counter()
    frozen: Counter[str] = Counter()
    new: Counter[str] = Counter()  # not frozen already by the class of a block
    keeping: Counter[str] = Counter()  # statistics
    single: set[str] = set()
    norms: list[str] = []
    for leaf in _leaves(instance.body):
        weights = weights_of(leaf.copy)
        keeps = [w.name for w in weights if w.name.rpartition(".")[2] in (_STATISTICS, _ESTIMATE)]
        if not keeps and all(w.buffer for w in weights):
            continue
        anew = leaf.frozen and not leaf.already
        single |= {leaf.path} if any(w.name == "" for w in weights) else set()
        for prefix in _prefixes(leaf.path):
            total[prefix] += 1
            frozen[prefix] += leaf.frozen
            new[prefix] += anew
            keeping[prefix] += anew and any(k.endswith(_STATISTICS) for k in keeps)
        if anew and (_STATISTICS in keeps or any(k.endswith(_ESTIMATE) for k in keeps)):
            norms.append(leaf.path)
    whole = {p for p in total if frozen[p] == total[p]}
    tops = [p for p in total if p in whole and (not p or _above(p) not in whole) and new[p]]
    around = tuple(p for p in tops if keeping[p] and p not in norms)
    return Frozen(
        tuple(p for p in tops if p not in single),
        tuple(p for p in tops if p in single),
        tuple(p for p in norms if p in tops or not keeping[p]),
        around,
    )


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: str
    copy: Copy
    frozen: bool
    already: bool  # by the class of the block it stands in


def _leaves(
    body: Body, path: str = "", frozen: bool = False, already: bool | None = None
) -> Iterator[_Leaf]:
    """Every op inside, at any depth, in order. `already`: None where no block is called yet."""
    for c in _copies(body):
        if c.shared is not None:
            continue
        here = frozen if c.freeze is None else c.freeze
        mine = already if already is None or c.freeze is None else c.freeze
        at = ".".join(filter(None, (path, *c.segments)))
        if c.instance is not None:
            yield from _leaves(c.instance.body, at, here, mine or False)
        elif c.layer is not None and not c.group:
            yield _Leaf(at, c, here, mine or False)
        for part in c.parts():
            yield from _leaves(part, ".".join(filter(None, (at, part.segment))), here, mine)


def _copies(body: Body) -> Iterator[Copy]:
    return (c for occurrence in body.items for c in occurrence.copies if c is not None)


def _marked(body: Body) -> Iterator[Copy]:
    """The copies of a body, groups and what is in them, not those of blocks that it calls."""
    for copy in _copies(body):
        yield copy
        for part in copy.parts():
            yield from _marked(part)


def said(body: Body) -> Iterator[Any]:
    """What the items of a body, not those of blocks that it calls, say of `freeze`."""
    stack = [body]
    while stack:
        for occurrence in stack.pop().items:
            if occurrence.item.freeze is not None:
                yield occurrence.item.freeze
            stack += [p for c in occurrence.copies if c is not None for p in c.parts()]


def decided_by(root: Instance) -> set[str]:
    """The params of the network that decide what is frozen, and those that these follow from."""
    found: set[str] = set()
    new = {n for when in said(root.body) for e in expressions(when) for n in e.names}
    while new:
        found |= new
        defaults = (root.block.params.get(n) for n in new)
        new = {n for d in defaults if isinstance(d, Expr) for n in d.names} - found
    return found


def _prefixes(path: str) -> Iterator[str]:
    """`a.b` → "", `a`, `a.b`."""
    yield ""
    for place, letter in enumerate(path):
        if letter == ".":
            yield path[:place]
    yield path


def _above(path: str) -> str:
    return path.rpartition(".")[0]


# ---------------------------------------------------------------- the text


def _each(paths: Sequence[str], then: Callable[[ast.expr], Stmt]) -> list[Stmt]:
    """The same of each module, in a loop where there are many."""
    if len(paths) <= _FEW:
        return [then(_at(p)) for p in paths]
    several: ast.expr = ast.Tuple([_at(p) for p in paths])
    return [For("part", several, [then(name("part"))])]


def _at(path: str, get: str = "get_submodule") -> ast.expr:
    """`self`, `self.conv1`, `self.get_submodule("stage.0")`."""
    if not path or path.isidentifier():
        return name(f"self.{path}".rstrip("."))
    return call(f"self.{get}", ast.Constant(path))


def _stopped(module: ast.expr) -> Stmt:
    return Line(call(ast.Attribute(module, "requires_grad_"), ast.Constant(False)))


def _modules(module: ast.expr) -> ast.expr:
    return call(ast.Attribute(module, "modules"))
