"""Ops and block calls → constructor and call.

The layer is made once more with numbers that remember; what its `call` returns is the text.

    {conv: {out: $(4 * width), kernel: 1}}  on  [in_channels, H, W]
    nn.Conv2d(in_channels, 4 * width, 1)    and  self.conv1(x)    : [4 * width, H, W]
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from archspec.emit.forward import Assign, Step
from archspec.emit.lowering.flow import Flow, PlainError, Row, alike, dims, lookup, sizes_of
from archspec.emit.lowering.members import hints
from archspec.emit.lowering.scope import FUNCTIONS, Info, Scope, Sizes, Unit, bare, running
from archspec.emit.syntax import Dotted, call, literal, names_in, rebuilt
from archspec.emit.text import render
from archspec.expand.plan import has_expression
from archspec.expand.tree import Copy, Instance, Seen, Value
from archspec.expressions import Expr, Record
from archspec.expressions.sym import FAILURES, Sym, evaluate, plain, remembers, traced
from archspec.language import Item
from archspec.layers import create
from archspec.layers.base import MISSING, Arg, BadArgument, Call, Layer, Mismatch, TensorType

Ins = Sequence[Flow | None]
_INNER = frozenset({"conv", "norm", "linear", "merge", "shape"})


@dataclass(slots=True)
class Made:
    """A member: how it is constructed (None: nothing to construct), and how forward calls it."""

    constructor: ast.expr | None
    apply: Callable[[ast.expr | None, Ins, list[Step], str, Flow | None], list[Flow]]
    sizes: list[list[Any]]  # of each output
    layer: Layer | None = None


@lru_cache(maxsize=4096)
def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def types_of(copy: Copy) -> tuple[TensorType | None, ...]:
    """The input types of a leaf, None for inputs that are not given."""
    return tuple(v.type if v is not None else None for v in copy.ins)


def torch_call(copy: Copy, *, module: bool) -> Call:
    """The torch code of an op in one instance."""
    assert copy.layer is not None
    return _call_of(copy.layer, types_of(copy), module=module, running=copy.running)


def _call_of(
    layer: Layer, types: Sequence[TensorType | None], *, module: bool, running: bool
) -> Call:
    if running:  # sizes of a tensor are known in forward only
        return layer.function(*types) or layer.call(*types)
    return layer.module(*types) if module else layer.call(*types)


def _anywhere(
    layer: Layer, types: Sequence[TensorType | None], *, module: bool, running: bool
) -> Call:
    """The call that is right at any numbers, where it is a module of its own."""
    if layer.call(*types).target and not running:
        return layer.anywhere(*types)
    return _call_of(layer, types, module=module, running=running)


def flows_of(rows: Sequence[Row], copies: Sequence[Copy]) -> list[Flow | None]:
    """What a member takes, as variables. Raises PlainError."""
    places = range(len(copies[0].ins))
    if any(len(c.ins) != len(places) for c in copies):
        raise PlainError("the instances take different inputs")
    return [
        None if copies[0].ins[j] is None else lookup(rows, [c.ins[j] for c in copies])
        for j in places
    ]


# ---------------------------------------------------------------- ops


def op(
    scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], ins: Ins,
    module: bool = False, layer: Layer | None = None,
) -> Made:  # fmt: skip
    """How one op is made and called; `layer`: the one whose weights it uses again."""
    if scope.settled and len(copies) == 1:
        known = scope.unit.whole.plain
        key = (id(copies[0].layer), module, *map(id, types_of(copies[0])))
        if key not in known:
            known[key] = _numbers(scope, copies[0], module=module)
        found: Made | None = known[key]
        if found is not None:
            return found
    calls = [torch_call(c, module=module) for c in copies]
    first = calls[0]
    types = _types(rows[0], copies[0], ins)
    call_of = _call_of
    if any(_form(c) != _form(first) for c in calls):
        wide = [
            _anywhere(c.layer, types_of(c), module=module, running=c.running)
            for c in copies
            if c.layer is not None
        ]
        if all(_form(c) == _form(wide[0]) for c in wide):
            calls, first, call_of = wide, wide[0], _anywhere
    if any(_form(c) != _form(first) for c in calls):
        return _varying(scope, item, rows, copies, (calls, types))
    layer = layer or layer_of(scope, item, rows[0], copies[0], ins)
    made, outs = first, None
    try:
        own = call_of(layer, types, module=module, running=copies[0].running)
        if _form(own) == _form(first):
            made = own
        outs = layer.infer(*types)
    except (*FAILURES, Mismatch, BadArgument):
        pass
    sizes = _sizes(rows, copies, outs)
    constructor = None
    if made.target is not None:
        constructor = _constructor(scope, rows, made, calls)
    free = {
        a.name or "": _free(scope, item, rows, copies, ins, k, a, calls, module)
        for k, a in enumerate(made.free)
    }
    return Made(constructor, _applier(copies[0], first, free, sizes), sizes, layer)


def layer_of(scope: Scope, item: Item, row: Row, copy: Copy, ins: Ins) -> Layer:
    """The op's layer with numbers that remember."""
    assert copy.layer is not None
    if copy.shared is not None or (item.op != copy.layer.op and item.op != "activation"):
        return copy.layer
    if not has_expression(item.args):
        return copy.layer
    prev = None
    if ins and ins[0] is not None:
        prev = ins[0].at(row, dims(copy.ins[0]))
    try:
        args = {k: scope.symbolic(v, row, copy, prev) for k, v in item.args.items()}
        return create(item.op, args)
    except (*FAILURES, BadArgument):
        return copy.layer


def _types(row: Row, copy: Copy, ins: Ins) -> tuple[TensorType | None, ...]:
    return tuple(
        None
        if v is None or v.type is None or flow is None
        else TensorType(flow.at(row, v.type.shape), v.type.dtype, v.type.map)
        for v, flow in zip(copy.ins, ins, strict=True)
    )


def _sizes(
    rows: Sequence[Row], copies: Sequence[Copy], outs: Sequence[TensorType] | None
) -> list[list[Any]]:
    found = []
    for j, key in enumerate(copies[0].outs):
        values = [c.outs[key] for c in copies]
        shape = outs[j].shape if outs is not None and j < len(outs) else dims(values[0])
        if len(shape) != len(dims(values[0])):
            shape = dims(values[0])
        found.append(sizes_of(rows, shape, values))
    return found


def _form(c: Call) -> Any:
    """What must be the same wherever one text serves."""
    return (
        c.target, c.wrap, c.forward, c.results, tuple(a.name for a in c.args),
        tuple(a.name for a in c.free),
    )  # fmt: skip


def _numbers(scope: Scope, copy: Copy, *, module: bool) -> Made | None:
    """An op where nothing but numbers can stand; None where forward has arguments."""
    made = torch_call(copy, module=module)
    if made.free:
        return None
    sizes = [list(dims(v)) for v in copy.outs.values()]
    constructor = None if made.target is None else _settled(scope, made)
    return Made(constructor, _applier(copy, made, {}, sizes), sizes, copy.layer)


def _settled(scope: Scope, c: Call) -> ast.expr:
    """The constructor, all numbers in place."""
    shown = [a for a in c.args if not _default(a)]
    args = [literal(plain(a.value)) for a in shown if a.name is None]
    keywords = {a.name: literal(plain(a.value)) for a in shown if a.name is not None}
    made = call(scope.called(c.target), *args, **keywords)
    return made if c.wrap is None else call(c.wrap, made)


def _default(a: Arg) -> bool:
    if a.default is MISSING:
        return False
    return plain(a.value) == plain(a.default) and type(plain(a.value)) is type(plain(a.default))


def _constructor(scope: Scope, rows: Sequence[Row], made: Call, calls: Sequence[Call]) -> ast.expr:
    args: list[ast.expr] = []
    keywords: dict[str, ast.expr] = {}
    for k, a in enumerate(made.args):
        several = [c.args[k] for c in calls]
        said = remembers(a.value) and not remembers(a.default)
        if all(map(_default, several)) and not said:
            continue
        value = scope.say(rows, a.value, [b.value for b in several], a.name or "n")
        if isinstance(value, ast.Constant) and all(map(_default, several)):
            continue
        if a.name is None:
            args.append(value)
        else:
            keywords[a.name] = value
    found = call(scope.called(made.target), *args, **keywords)
    return found if made.wrap is None else call(made.wrap, found)


def _free(
    scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], ins: Ins, k: int,
    a: Arg, calls: Sequence[Call], module: bool,
) -> ast.expr:  # fmt: skip
    """One argument of forward."""

    wanted = [c.free[k].value for c in calls]
    if (
        not remembers(a.value)
        and not has_expression(item.args)
        and alike([bare(w) for w in wanted])
    ):
        return literal(bare(wanted[0]))
    seen = _seen(scope, rows, copies)

    def anew() -> tuple[Any, list[dict[str, Any]]]:
        sights: list[dict[str, Any]] = []
        for n, (row, c) in enumerate(zip(rows, copies, strict=True)):
            sight = dict(row.py)
            for flow, value in zip(ins, c.ins, strict=True):
                if flow is not None:
                    sight[f"__{flow.id}"] = Sizes(dims(value))
            for flow, shapes in seen.values():
                sight[f"__{flow.id}"] = Sizes(shapes[n])
            sights.append(sight)
        return _running(scope, item, rows[0], copies[0], ins, seen, k, module), sights

    if any(c.running for c in copies):
        text = scope.followed(*anew(), wanted)
        if text is None:
            raise PlainError("a size that follows from a free axis is out of reach")
        return text
    return scope.kept(rows, a.value, wanted, a.name or "n", anew)


Seeing = Mapping[str, tuple[Flow, list[tuple[int, ...]]]]  # by name: its variable, its shapes


def _seen(scope: Scope, rows: Sequence[Row], copies: Sequence[Copy]) -> Seeing:
    """The inputs and items that expressions of an item may read in forward, in each row."""
    found: dict[str, tuple[Flow, list[tuple[int, ...]]]] = {}
    for text, flow in scope.records.items():
        if flow is not None and text in rows[0].seen:
            found[text] = flow, [row.seen[text] for row in rows]
    for text, value in copies[0].env.items():
        if text not in found and isinstance(value, Seen):
            seen = [s for c in copies if isinstance(s := c.env[text], Seen)]
            with suppress(PlainError):  # it may be outside of the class, and known as a number
                found[text] = lookup(rows, [s.value for s in seen]), [s.shape for s in seen]
    return found


def _running(
    scope: Scope, item: Item, row: Row, copy: Copy, ins: Ins, seen: Seeing, k: int, module: bool
) -> Any:  # fmt: skip
    """An argument of forward where sizes are those of the tensors; None where there is none."""
    if copy.shared is not None or not has_expression(item.args):
        return None
    records = {text: Record(running(flow, shapes[0])) for text, (flow, shapes) in seen.items()}
    if ins and ins[0] is not None:
        records["prev"] = Record(running(ins[0], dims(copy.ins[0])))

    def value(v: Any) -> Any:
        if isinstance(v, Expr):
            sight = scope.sight(v.names, row, copy.env, None)
            return evaluate(v.tree, {**sight, **records})
        if isinstance(v, (list, tuple)):
            return [value(x) for x in v]
        return {n: value(x) for n, x in v.items()} if isinstance(v, dict) else v

    try:
        layer = create(item.op, {n: value(v) for n, v in item.args.items()})
        types = tuple(
            None if v is None or v.type is None or flow is None
            else TensorType(running(flow, v.type.shape), v.type.dtype, v.type.map)
            for v, flow in zip(copy.ins, ins, strict=True)
        )  # fmt: skip
        made = _call_of(layer, types, module=module, running=copy.running)
        return made.free[k].value
    except (*FAILURES, BadArgument, Mismatch):
        return None


def _varying(
    scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy],
    made: tuple[list[Call], tuple[TensorType | None, ...]],
) -> Made:  # fmt: skip
    """Modules of different classes in one place, where nothing else differs.

    The class itself becomes an argument.
    """
    calls, types = made
    first = calls[0]
    if any(
        c.target is None or c.args or c.free or c.wrap
        or (c.forward, c.results) != (first.forward, first.results)
        for c in calls
    ):  # fmt: skip
        raise PlainError("the instances need different kinds of layer")
    targets = [Dotted(scope.called(c.target)) for c in calls]
    value = retyped(scope, rows, item.args.get("name"), targets)
    target = scope.say(rows, value, targets, "activation")
    layer = copies[0].layer
    assert layer is not None
    sizes = _sizes(rows, copies, layer.infer(*types))
    return Made(call(target), _applier(copies[0], first, {}, sizes), sizes)


def activation_class(scope: Scope, value: Any) -> Dotted | None:
    """`silu` → nn.SiLU; None for what is no bare activation."""
    if isinstance(value, Dotted):
        return value
    try:
        made = create("activation", {"name": value}).resolve().call(TensorType((1,)))
    except BadArgument:
        return None
    if made.target is None or made.args:
        return None
    return Dotted(scope.called(made.target))


def retyped(scope: Scope, rows: Sequence[Row], given: Any, targets: Sequence[Dotted]) -> Any:
    """A param that names an activation, handed on as it is, becomes, in Python, its class."""
    if not isinstance(given, Expr):
        return None
    tree = scope.names.get(given.text)
    if not isinstance(tree, ast.Name) or tree.id not in scope.unit.potential:
        return None
    for row in scope.unit.rows:
        row.py[tree.id] = activation_class(scope, row.py[tree.id]) or row.py[tree.id]
    for row, target in zip(rows, targets, strict=True):
        row.py[tree.id] = target
    return traced("", tree)


# ---------------------------------------------------------------- calls of what is made


def _applier(
    copy: Copy, torch: Call, free: Mapping[str, ast.expr], sizes: list[list[Any]]
) -> Callable[..., list[Flow]]:
    """What `forward` writes to call an op."""
    layer = copy.layer
    inner = layer is not None and (
        layer.family in _INNER or layer.op.startswith(("global_", "adaptive_"))
    )

    def apply(
        attribute: ast.expr | None, ins: Ins, steps: list[Step], hint: str, anchor: Flow | None
    ) -> list[Flow]:
        given = [v for v in ins if v is not None]
        refs = {
            f"x{j}": v.ref if torch.broadcast else batched(v, given, anchor)
            for j, v in enumerate(ins)
            if v is not None
        }
        own = {"self": attribute} if attribute is not None else {}
        value = rebuilt(parsed(torch.forward), {**free, **refs, **own}.get)
        outs = [Flow(s, h) for s, h in zip(sizes, hints(hint, copy.outs), strict=True)]
        for out in outs:
            out.batchless = torch.batchless or (
                torch.broadcast and bool(given) and all(v.batchless for v in given)
            )
        steps += _assigned(torch.results, outs, value, hint, inner=inner, merge=len(refs) > 1)
        return outs

    return apply


def _assigned(
    results: tuple[str, ...], outs: list[Flow], value: ast.expr, hint: str, *, inner: bool,
    merge: bool,
) -> list[Step]:  # fmt: skip
    """The steps that call it and take its results apart."""
    if len(results) == 1:
        if results != ("r",):
            value = rebuilt(parsed(results[0]), {"r": value}.get)
        return [Assign(list(outs), value, inner=inner, merge=merge)]
    if results == tuple(f"r[{k}]" for k in range(len(outs))):
        return [Assign(list(outs), value, merge=merge)]
    raw = Flow((), hint)
    raw.several = True
    steps: list[Step] = [Assign([raw], value, inner=True, merge=merge)]
    for out, text in zip(outs, results, strict=True):
        steps.append(Assign([out], rebuilt(parsed(text), {"r": raw.ref}.get), inner=True))
    return steps


def batched(flow: Flow, beside: Sequence[Flow], anchor: Flow | None) -> ast.expr:
    """The value with a batch axis: a parameter is expanded to the batch of what stands beside it.

    Raises PlainError where nothing tells the size of the batch.
    """
    if not flow.batchless:
        return flow.ref
    first = next((v for v in beside if not v.batchless), anchor)
    if first is None:
        raise PlainError("nothing tells the size of the batch")
    size = ast.Subscript(ast.Attribute(first.ref, "shape"), ast.Constant(0))
    return call(ast.Attribute(flow.ref, "expand"), size, *(literal(-1) for _ in flow.sizes))


def merge(
    scope: Scope, rows: Sequence[Row], copies: Sequence[Copy], ins: list[Flow],
    paths: list[list[Value]],
) -> tuple[Flow, Step]:  # fmt: skip
    """The op that joins the paths of a residual or of branches."""
    layer = copies[0].layer
    assert layer is not None
    types = [
        TensorType(flow.at(rows[0], dims(p[0])), p[0].type.dtype, p[0].type.map)
        for flow, p in zip(ins, paths, strict=True)
        if p[0].type is not None
    ]
    made = layer.call(*types)
    if any(c.layer != layer for c in copies):
        raise PlainError("the merges differ")
    (out,) = layer.infer(*types)
    free = {a.name or "": literal(plain(a.value)) for a in made.free}
    refs = {
        f"x{j}": v.ref if made.broadcast else batched(v, ins, scope.unit.anchor)
        for j, v in enumerate(ins)
    }
    values = [c.out for c in copies if c.out is not None]
    flow = Flow(sizes_of(rows, out.shape, values))
    flow.batchless = made.broadcast and all(v.batchless for v in ins)
    value = rebuilt(parsed(made.forward), {**free, **refs}.get)
    return flow, Assign([flow], value, inner=True, merge=True)


# ---------------------------------------------------------------- block calls


def titles(text: str, place: int, rank: int) -> list[str]:
    """What the sizes of an input are called in a constructor."""
    prefix = "in" if place == 0 else text
    words = {
        1: ["features"], 2: ["channels", "features"], 3: ["channels", "height", "width"],
        4: ["channels", "depth", "height", "width"],
    }.get(rank, ["channels", *(f"size{k}" for k in range(1, rank))][:rank])  # fmt: skip
    return [f"{prefix}_{w}" for w in words]


def block(scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], ins: Ins) -> Made:
    """How a block is made and called."""
    instances = [c.instance for c in copies if c.instance is not None]
    info = _class_of(scope, rows, instances)
    given = _given(scope, item, rows[0], copies[0], ins)
    wanted = [info.values[id(i)] for i in instances]
    for p in info.parameters:
        if p.name not in given and p.name in scope.names:  # of the document: handed through
            given[p.name] = scope.value(p.name, rows[0].py.get(p.name), rows[0])
        values = [w[p.name] for w in wanted]
        if all(isinstance(v, Dotted) for v in values) and p.name in item.args:
            given[p.name] = retyped(scope, rows, item.args[p.name], values)
    constructor = construct(scope, rows, info, wanted, given)
    outs = [[c.outs[key] for c in copies] for key in copies[0].outs]
    sizes = outer_sizes(info, given, rows, outs)
    return Made(constructor, module_call(copies[0].outs, sizes), sizes)


def called_again(
    scope: Scope, item: Item, rows: Sequence[Row], copies: Sequence[Copy], ins: Ins
) -> Made:
    """How a block that is made already is called on other inputs; `item` made it."""
    instances = [c.instance for c in copies if c.instance is not None]
    info = _class_of(scope, rows, instances)
    given = _given(scope, item, rows[0], copies[0], ins)
    outs = [[c.outs[key] for c in copies] for key in copies[0].outs]
    sizes = outer_sizes(info, given, rows, outs)
    return Made(None, module_call(copies[0].outs, sizes), sizes)


def _class_of(scope: Scope, rows: Sequence[Row], instances: Sequence[Instance]) -> Info:
    """The class of some calls, one a row. Raises PlainError, which tells whose calls are apart."""
    try:
        return scope.unit.whole.of(instances)
    except PlainError as failed:
        raise PlainError(str(failed), (rows[k].base for k in failed.bases)) from failed


def module_call(outs: Sequence[str] | Mapping[str, Any], sizes: list[list[Any]]) -> Any:
    """`self.block(x)`, with one variable for each output."""

    def apply(
        attribute: ast.expr | None, ins: Ins, steps: list[Step], hint: str, anchor: Flow | None
    ) -> list[Flow]:
        assert attribute is not None
        given = [v for v in ins if v is not None]
        found = [Flow(s, h) for s, h in zip(sizes, hints(hint, outs), strict=True)]
        value = call(attribute, *(batched(v, given, anchor) for v in given))
        steps.append(Assign(list(found), value))
        return found

    return apply


def _given(scope: Scope, item: Item, row: Row, copy: Copy, ins: Ins) -> dict[str, Any]:
    """What a block's constructor may be given, by name, with numbers that remember."""
    assert copy.instance is not None
    called = copy.instance.block
    shapes = [
        flow.at(row, dims(v)) if flow is not None else dims(v)
        for flow, v in zip(ins, copy.ins, strict=True)
    ]
    prev = shapes[0] if shapes else None
    inside = {n: Record(s) for n, s in zip(called.inputs, shapes, strict=False)}
    found: dict[str, Any] = {}
    for p, default in called.params.items():
        value = copy.args[p]
        try:
            if p in item.args:
                value = scope.symbolic(item.args[p], row, copy, prev)
            elif isinstance(default, Expr):
                value = evaluate(
                    default.tree, {**_document(scope, default, row, called), **inside, **found}
                )
        except FAILURES:
            value = copy.args[p]
        found[p] = value
    for j, (text, shape) in enumerate(zip(called.inputs, shapes, strict=False)):
        for title, size in zip(titles(text, j, len(shape)), shape, strict=True):
            found.setdefault(title, size)
    return found


def _document(scope: Scope, default: Expr, row: Row, called: Any) -> dict[str, Any]:
    """The params of the document, where this class is the document's own."""
    if id(called) not in scope.unit.document:
        return {}
    texts = [n for n in default.names if n in scope.unit.args]
    return {n: scope.value(n, row.py.get(n, scope.unit.args[n]), row) for n in texts}


def construct(
    scope: Scope, rows: Sequence[Row], info: Info, wanted: Sequence[Mapping[str, Any]],
    given: Mapping[str, Any],
) -> ast.expr:  # fmt: skip
    """`Block(in_channels, stride=stride)`."""
    args: list[ast.expr] = []
    keywords: dict[str, ast.expr] = {}
    for title in info.fixed:
        _rely(scope.unit, given.get(title))
    for p in info.parameters:
        values = [w[p.name] for w in wanted]
        value = given.get(p.name)
        usual = p.default is not ... and all(
            v == p.default and type(v) is type(p.default) for v in values
        )
        if usual and not remembers(value):
            continue
        text = scope.say(rows, value, values, p.name)
        if usual and not names_in(text) - FUNCTIONS:
            continue
        if (p.name in ("in_channels", "in_features") or p.name == info.lead) and not keywords:
            args.append(text)
        else:
            keywords[p.name] = text
    return call(info.name, *args, **keywords)


def _rely(unit: Unit, size: Any) -> None:
    """A class that is called relies on a size: so does this one."""
    if isinstance(size, Sym):
        unit.relies |= names_in(size.tree) & unit.space


def outer_sizes(
    info: Info, given: Mapping[str, Any], rows: Sequence[Row], outs: Sequence[Sequence[Value]]
) -> list[list[Any]]:
    """The sizes of a class's outputs in its caller's names."""
    names = dict(given)
    for p in info.parameters:
        if p.name not in names and p.default is not ...:
            names[p.name] = p.default
    for text, tree in info.defined.items():
        try:
            names[text] = evaluate(tree, names)
        except FAILURES:
            names.pop(text, None)
    found = []
    for j, values in enumerate(outs):
        inner = info.sizes[j] if j < len(info.sizes) else []
        shape: list[Any] = list(dims(values[0]))
        for a, size in enumerate(inner if len(inner) == len(shape) else ()):
            shape[a] = _outside(size, names, shape[a])
        found.append(sizes_of(rows, tuple(shape), values))
    return found


def _outside(size: Any, names: Mapping[str, Any], n: int) -> Any:
    """One size of an output in its caller's names; None where there is none."""
    if not isinstance(size, Sym):
        return None if size is None else n
    try:
        worked = evaluate(size.tree, names)
    except FAILURES:
        return None
    if isinstance(worked, Sym):
        return Sym(n, worked.terms) if len(render(worked.tree)) <= 80 else None
    return n
