"""Instances of a block → the class that serves them all: which params it takes, what they are.

params: {width: required,           def __init__(self, in_channels: int, width: int, …
         out: $(4 * width)}     →       out = 4 * width
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archspec.emit.lowering.classes import Plan, write_class
from archspec.emit.lowering.dividing import Group
from archspec.emit.lowering.flow import Flow, PlainError, Row, alike, dims, equal, holds
from archspec.emit.lowering.freezing import freezing
from archspec.emit.lowering.rows import input_of, may_be_named, row_of, worth
from archspec.emit.lowering.scope import Classes, Info, Scope, Unit, bare
from archspec.emit.lowering.tying import ties
from archspec.emit.syntax import name
from archspec.expand.calls import received
from archspec.expand.tree import Instance
from archspec.expressions import Expr, Record
from archspec.expressions.sym import FAILURES, evaluate, plain, remembers, traced, written
from archspec.language import REQUIRED, Block


def write_block(
    whole: Classes, group: Group, title: str, instances: list[Instance], *, innermost: bool = False
) -> None:
    """One class for some instances; `innermost`: of a recursion, for those that it ends with."""
    block = instances[0].block
    outputs = {n: [i.outputs.get(n) for i in instances] for n in instances[0].outputs}
    if any(set(i.outputs) != set(outputs) for i in instances):
        raise PlainError("the outputs differ")
    rows = [row_of(i, n) for n, i in enumerate(instances)]
    unit = Unit(whole, rows)
    unit.taken |= group.numbers
    unit.real = sum(any(i is o for o in group.instances) for i in instances)
    unit.params = set(block.params)
    inherited = _inherited(unit, rows, instances)
    names = {**_params(unit, rows, block), **inherited}
    unit.potential.update(dict.fromkeys(inherited))
    unit.taken |= set(inherited)
    records: dict[str, Flow | None] = {}
    inputs = list(instances[0].inputs)
    for j, text in enumerate(inputs):
        values = [i.inputs[text] for i in instances]
        records[text] = input_of(unit, rows, values, text, j)
    _computed(unit, names, records, block)
    scope = Scope(unit, names, records)
    scope.rows = rows
    info = Info(title, block, lead=lead_of(block.params))
    info.values = {id(i): r.py for i, r in zip(instances, rows, strict=True)}
    known = group.info
    if known is not None:  # what a call of itself may rely on
        for i in (*group.instances, *group.beside):
            handed = {n: bare(whole.document[id(i)].args.get(n)) for n in inherited}
            known.values.setdefault(id(i), {**handed, **worth(i)})
    plan = Plan(
        scope, [(r, i.body) for r, i in zip(rows, instances, strict=True)],
        [list(i.inputs.values()) for i in instances], inputs, outputs,
        training=instances[0].training, defaults=_defaults(block.params, info),
        tied=ties(instances),
        frozen=freezing(instances, names),
    )  # fmt: skip
    write_class(plan, info)
    tried = {w.param for w in group.witnesses}
    decide = (unit.deciding & tried | unit.pointing) & {p.name for p in info.parameters}
    if innermost and not block.rest and not block.optional:
        # that a list ends here is said where it goes on: `if len(widths) > 1`
        decide -= {p for p in decide if isinstance(rows[0].py.get(p), tuple)}
    if decide:
        raise PlainError("an argument decides what there is", params=frozenset(decide))
    group.info = info


def _inherited(unit: Unit, rows: list[Row], instances: list[Instance]) -> dict[str, ast.expr]:
    """Params of the document that blocks called in here take by default: handed through."""
    first, block = instances[0], instances[0].block
    whole = unit.whole
    home = first if first.spec is not None else whole.document[id(first)]
    if home.spec is None:
        return {}
    unit.document = home.spec.blocks
    unit.args = home.args
    if first.spec is not None or not home.spec.inherits:
        return {}
    read = {n for b in home.spec.blocks.values() for ns in b.inherited.values() for n in ns}
    found: dict[str, ast.expr] = {}
    for n in (p for p in home.args if p in read):
        values = [whole.document[id(i)].args.get(n) for i in instances]
        kept = home is whole.roots[0] and n in whole.kept
        clash = n in block.params or n in block.inputs or n in unit.taken
        if clash or not all(map(may_be_named, values)) or (alike(values) and not kept):
            continue
        found[n] = name(n)
        for row, value in zip(rows, values, strict=True):
            row.py[n] = bare(value)
    return found


def _params(unit: Unit, rows: list[Row], block: Block) -> dict[str, Any]:
    """The params that the class takes, as names of its constructor."""
    names: dict[str, Any] = {}
    for p in named(unit.whole, rows, block):
        if p in unit.taken:
            continue
        names[p] = name(p)
        unit.potential[p] = None
        unit.taken.add(p)
    return names


def named(whole: Classes, rows: list[Row], block: Block) -> Iterable[str]:
    """The params that a class may take: one that all calls leave at its default is a number."""
    for p, default in block.params.items():
        values = [r.py.get(p) for r in rows]
        if any(isinstance(v, float) for v in values):
            for r in rows:
                if type(r.py.get(p)) is int:
                    r.py[p] = float(r.py[p])
        if isinstance(values[0], dict) or not all(map(may_be_named, values)):
            continue
        same = alike(values)
        usual = (
            default is not REQUIRED
            and same
            and (
                p not in whole.given.get(id(block), ())
                or (not isinstance(default, Expr) and equal(values[0], bare(default)))
            )
        )
        computed = isinstance(default, Expr) and not block.inherited[p]
        if not usual or computed or _follows(whole, block, p):
            yield p


def _follows(whole: Classes, block: Block, param: str) -> bool:
    """Whether a param's default reads an argument of the network's constructor."""
    spec = whole.roots[0].spec
    own = spec is not None and spec.blocks.get(block.name) is block
    return own and not block.inherited[param].isdisjoint(whole.kept)


def _computed(
    unit: Unit,
    names: dict[str, Any],
    records: Mapping[str, Flow | None],
    block: Block,
) -> None:
    """Params whose default is an expression that is right everywhere are no arguments."""
    rows, row = unit.rows, unit.rows[0]
    shapes = {n: flow.at(row, row.seen[n]) for n, flow in records.items() if flow is not None}
    inputs: dict[str, Any] = {n: Record(shape) for n, shape in shapes.items()}
    inputs |= received(block, inputs)
    sight = {n: traced(row.py[n], tree) for n, tree in names.items()} | inputs
    for p, default in block.params.items():
        if p not in names or not isinstance(default, Expr) or block.inherited[p]:
            continue
        try:
            found = evaluate(default.tree, sight)
        except FAILURES:
            found = None
        if remembers(found) and holds(found, rows, [r.py[p] for r in rows]):
            unit.defined[p] = written(found)
            unit.potential.pop(p, None)
        elif p not in unit.whole.given[id(block)]:
            raise PlainError("a default follows no expression", params=frozenset({p}))


def worked_out(block: Block, param: str, instances: Sequence[Instance]) -> bool:
    """Whether a param is what its default comes to in every instance, given or not."""
    default = block.params[param]
    if not isinstance(default, Expr) or block.inherited[param]:
        return False
    for i in instances:
        inputs: dict[str, Any] = {n: Record(dims(v)) for n, v in i.inputs.items()}
        inputs |= received(block, inputs)
        try:
            if not equal(plain(evaluate(default.tree, {**i.args, **inputs})), bare(i.args[param])):
                return False
        except FAILURES:
            return False
    return True


def lead_of(params: Mapping[str, Any]) -> str:
    """The param that is given by position: the only required one, or `out`."""
    required = [p for p, d in params.items() if d is REQUIRED]
    if required and (len(required) == 1 or required[0] == "out"):
        return str(required[0])
    return ""


def _defaults(params: Mapping[str, Any], info: Info) -> dict[str, Any]:
    """The declared defaults that are plain values, as floats where any instance has a float."""
    found: dict[str, Any] = {}
    for p, d in params.items():
        given = [v[p] for v in info.values.values() if p in v]
        if isinstance(d, (int, float, bool, str)) and d is not REQUIRED:
            if given and all(isinstance(v, str) != isinstance(d, str) for v in given):
                continue  # a word, where these are numbers
            mixed = type(d) is int and any(
                isinstance(v.get(p), float) for v in info.values.values()
            )
            found[p] = float(d) if mixed else d
    return found
