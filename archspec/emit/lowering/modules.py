"""Ops → constructor and call.

The layer is made once more with numbers that remember; what its `call` returns is the text.

    {conv: {out: $(4 * width), kernel: 1}}  on  [in_channels, H, W]
    nn.Conv2d(in_channels, 4 * width, 1)    and  self.conv1(x)    : [4 * width, H, W]
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import is_not
from typing import Any

from archspec.emit.forward import Assign, Form, Step, Var
from archspec.emit.lowering.flow import (
    Flow,
    Many,
    PlainError,
    Row,
    Shape,
    alike,
    dims,
    lookup,
    sizes_of,
)
from archspec.emit.lowering.members import hint_of, results, worded, words_of
from archspec.emit.lowering.scope import (
    Classes,
    Scope,
    Sizes,
    Unit,
    bare,
    running,
    through,
)
from archspec.emit.syntax import Dotted, bare_call, call, literal, names_in, rebuilt
from archspec.expand.plan import has_expression
from archspec.expand.tree import Body, Copy, Seen, Value
from archspec.expressions import Expr, Record
from archspec.expressions.sym import FAILURES, evaluate, parsed, plain, remembers, traced
from archspec.language import Item
from archspec.layers import create
from archspec.layers.base import MISSING, Arg, BadArgument, Call, Layer, Mismatch, TensorType

Ins = Sequence[Flow | None]
Crossing = tuple[Ins, list[list[Value]]]
_INNER = frozenset({"conv", "norm", "linear", "merge", "shape"})


class Place:
    """An item at its place in a class: one copy of it in each row, or one named branch.

    `module`: a container calls it, so it is a module, whatever it is in forward.
    """

    def __init__(
        self, scope: Scope, item: Item, pairs: Sequence[tuple[Row, Any]], module: bool = False
    ) -> None:
        self.scope, self.item, self.module = scope, item, module
        self.rows, self.copies = [r for r, _ in pairs], [c for _, c in pairs]
        self._ins: list[Flow | None] | None = None

    @property
    def pairs(self) -> list[tuple[Row, Any]]:
        return list(zip(self.rows, self.copies, strict=True))

    @property
    def first(self) -> Any:
        return self.copies[0]

    @property
    def ins(self) -> list[Flow | None]:
        """What it takes, as variables. Raises PlainError."""
        if self._ins is None:
            places = range(len(self.first.ins))
            if any(len(c.ins) != len(places) for c in self.copies):
                raise PlainError("the instances take different inputs")
            self._ins = [
                None if v is None else lookup(self.rows, [c.ins[j] for c in self.copies])
                for j, v in enumerate(self.first.ins)
            ]
        return self._ins

    @property
    def outs(self) -> list[list[Value]]:
        """What it gives: the values of each output, one a row."""
        return [[c.outs[key] for c in self.copies] for key in self.first.outs]

    @property
    def prev(self) -> Shape | None:
        """The shape of its first input in the first row."""
        flow = self.ins[0] if self.ins else None
        return None if flow is None else flow.at(self.rows[0], dims(self.first.ins[0]))

    @property
    def segment(self) -> str:
        """Its name."""
        found = self.first.segment if isinstance(self.first, Body) else self.first.segments[0]
        return str(found)

    @property
    def word(self) -> str:
        """What a class or a variable for its modules may be called."""
        return self.segment if self.segment.isidentifier() else words_of(self.item)

    @property
    def hint(self) -> str:
        """What a variable for what it gives may be called: as the item is, each copy apart."""
        if isinstance(self.first, Body):
            return str(self.first.segment)
        names = {c.segments[-1:] for c in self.copies}
        if self.item.id is None or self.item.id.names == frozenset() or len(names) > 1:
            return hint_of(self.item)
        (name,) = names.pop() or ("",)
        return worded(name)


@dataclass(slots=True)
class Made:
    """A module: how it is constructed (None: nothing to construct), and how forward calls it."""

    constructor: ast.expr | None
    form: Call
    sizes: list[list[Any]]  # of each output
    outs: Sequence[str] = ("output",)
    free: Mapping[str, ast.expr] = field(default_factory=dict)  # arguments of forward
    layer: Layer | None = None
    crossing: Crossing | None = None  # of a group: what comes in and goes out
    chained: bool = False  # a group that is an nn.Sequential


def types_of(copy: Copy) -> tuple[TensorType | None, ...]:
    """The input types of a leaf, None for inputs that are not given."""
    return tuple(v.type if v is not None else None for v in copy.ins)


def torch_call(copy: Copy, *, module: bool) -> Call:
    """The torch code of an op in one instance."""
    assert copy.layer is not None
    return _call_of(copy.layer, types_of(copy), module=module, running=copy.running)


def known_call(whole: Classes, copy: Copy, *, module: bool) -> Call:
    """The same, asked once for a layer and the types it takes."""
    key = (id(copy.layer), module, copy.running, *map(id, types_of(copy)))
    found = whole.calls.get(key)
    if found is None:
        found = whole.calls[key] = torch_call(copy, module=module)
    return found


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


def _calls(place: Place) -> tuple[list[Call], Callable[..., Call]]:
    """What the op is in each row, by the form that all have in common, and how to ask for it."""
    whole, copies = place.scope.unit.whole, place.copies
    calls = [known_call(whole, c, module=place.module) for c in copies]
    if _one_form(calls):
        return calls, _call_of
    wide = [
        _anywhere(c.layer, types_of(c), module=place.module, running=c.running)
        for c in copies
        if c.layer is not None
    ]
    if _one_form(wide):
        return wide, _anywhere
    return calls, _call_of


# ---------------------------------------------------------------- ops


def op(place: Place, layer: Layer | None = None) -> Made:
    """How one op is made and called; `layer`: the one whose weights it uses again."""
    scope, rows, copies = place.scope, place.rows, place.copies
    if any(id(v) in scope.unit.many for v in copies[0].ins):
        return _of_lists(place)
    if scope.settled and len(copies) == 1:
        known = scope.unit.whole.plain
        key = (id(copies[0].layer), place.module, *map(id, types_of(copies[0])))
        if key not in known:
            known[key] = _numbers(place)
        found: Made | None = known[key]
        if found is not None:
            return replace(found, form=_as_given(found.form, place))
    calls, call_of = _calls(place)
    first = calls[0]
    types = _types(place)
    if not _one_form(calls):
        return _varying(place, calls, types)
    layer = layer or layer_of(place)
    made, outs = first, None
    try:
        own = call_of(layer, types, module=place.module, running=copies[0].running)
        if _form(own) == _form(first):
            made = own
        outs = layer.infer(*types)
    except (*FAILURES, Mismatch, BadArgument):
        pass
    sizes = _sizes(rows, copies, outs)
    constructor = None
    if made.target is not None:
        constructor = _constructor(scope, rows, made, calls)
    first = _as_given(first, place)
    reads = names_in(parsed(first.forward))
    wanted = [(k, a) for k, a in enumerate(made.free) if a.name in reads]
    free = {a.name or "": _free(place, k, a, calls) for k, a in wanted}
    return Made(constructor, first, sizes, tuple(copies[0].outs), free, layer)


def _of_lists(place: Place) -> Made:
    """`concat` or `add` of tensors some of which stand in lists; these may differ in length."""
    rows, layer = place.rows, place.first.layer
    taken = [_compact(c.ins, place.scope.unit.many) for c in place.copies]
    if any([w for _, w in t] != [w for _, w in taken[0]] for t in taken):
        raise PlainError("the instances take different inputs")
    ins: list[Flow] = []
    types: list[TensorType] = []
    for j, (value, many) in enumerate(taken[0]):
        flow = lookup(rows, [t[j][0] for t in taken]) if many is None else many
        assert value.type is not None
        kind = TensorType(flow.at(rows[0], value.type.shape), value.type.dtype, value.type.map)
        if many is not None and layer.op == "concat":  # as if they were one behind the other
            axis = layer.axis % kind.rank
            kind = kind.resized(axis, many.count * kind.shape[axis])
        ins.append(flow)
        types.append(kind)
    (out,) = layer.infer(*types)
    among = ", ".join(f"x{j}" for j in range(len(ins)))
    free = {}
    forward = f"functools.reduce(torch.add, [{among}])"
    if layer.op == "concat":
        forward = f"torch.cat([{among}], axis)"
        free = {"axis": literal(layer.call(*types, *types).free[0].value)}
    gives = [c.out for c in place.copies]
    sizes = [sizes_of(rows, out.shape, gives)]
    crossing = (ins, [gives])
    return Made(None, Call("", forward=forward), sizes, free=free, layer=layer, crossing=crossing)


def _compact(
    ins: Sequence[Value], known: Mapping[int, tuple[list[Value], Many]]
) -> list[tuple[Value, Many | None]]:
    """What an op takes, the tensors of a list as one: the first of them, and the list."""
    found: list[tuple[Value, Many | None]] = []
    at = 0
    while at < len(ins):
        values, many = known.get(id(ins[at]), ([], None))
        here = list(ins[at : at + len(values)])
        if many is None or len(here) < len(values) or any(map(is_not, here, values)):
            many, values = None, [ins[at]]
        found.append((ins[at], many))
        at += len(values)
    return found


def _as_given(form: Call, place: Place) -> Call:
    """How forward calls an op on what it is given, which may have no batch axis."""
    if form.alone is None and form.beside is None:
        return form
    lone = {j for j, v in enumerate(place.ins) if v is not None and v.batchless}
    given = sum(v is not None for v in place.ins)
    if form.alone is not None and len(lone) == given:
        led = any(v is not None and v.led for v in place.ins)
        return replace(
            form, forward=form.forward if led else form.alone, batchless=True, broadcast=True
        )
    if form.beside is not None and lone == {form.beside[0]}:
        return replace(form, forward=form.beside[1], broadcast=True)
    return form


def layer_of(place: Place) -> Layer:
    """The op's layer with numbers that remember."""
    item, copy = place.item, place.first
    assert copy.layer is not None
    own: Layer = copy.layer
    if copy.shared is not None or (item.op != own.op and item.op != "activation"):
        return own
    if not has_expression(item.args):
        return own
    try:
        args = place.scope.symbolic(item.args, place.rows[0], copy.env, place.prev)
        return create(item.op, args)
    except (*FAILURES, BadArgument):
        return own


def _types(place: Place) -> tuple[TensorType | None, ...]:
    return tuple(
        None
        if v is None or v.type is None or flow is None
        else TensorType(flow.at(place.rows[0], v.type.shape), v.type.dtype, v.type.map)
        for v, flow in zip(place.first.ins, place.ins, strict=True)
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


def _one_form(calls: Sequence[Call]) -> bool:
    """Whether all are of one form: most are one object."""
    first, *others = {id(c): c for c in calls}.values()
    return not others or all(_form(c) == _form(first) for c in others)


def _form(c: Call) -> Any:
    """What must be the same wherever one text serves."""
    return (
        c.target, c.wrap, c.persistent, c.forward, c.results, tuple(a.name for a in c.args),
        tuple(a.name for a in c.free),
    )  # fmt: skip


def _numbers(place: Place) -> Made | None:
    """An op where nothing but numbers can stand; None where forward has arguments."""
    copy: Copy = place.first
    made = torch_call(copy, module=place.module)
    if made.free:
        return None
    sizes = [list(dims(v)) for v in copy.outs.values()]
    constructor = None
    if made.target is not None:
        constructor = _constructor(place.scope, place.rows, made, [made])
    return Made(constructor, made, sizes, tuple(copy.outs), layer=copy.layer)


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
    if made.target == "torch.tensor":
        args = [listed(a) for a in args]
    target = scope.called(made.target)
    found = call(target, *args, **keywords) if args or keywords else bare_call(target)
    if made.wrap is None:
        return found
    kept = {} if made.persistent else {"persistent": literal(False)}
    return call(made.wrap, found, **kept)


def listed(node: ast.expr) -> ast.expr:
    """Numbers in rows as lists, as they are usually written."""
    return ast.List([listed(e) for e in node.elts]) if isinstance(node, ast.Tuple) else node


def _free(place: Place, k: int, a: Arg, calls: Sequence[Call]) -> ast.expr:
    """One argument of forward."""
    scope = place.scope
    wanted = [c.free[k].value for c in calls]
    if (
        not remembers(a.value)
        and not has_expression(place.item.args)
        and alike([bare(w) for w in wanted])
    ):
        return literal(bare(wanted[0]))

    def anew() -> tuple[Any, list[dict[str, Any]]]:
        seen = _seen(place)
        return _running(place, seen, k), _sights(place, seen)

    if any(c.running for c in place.copies):
        text = scope.followed(*anew(), wanted)
        if text is None:
            raise PlainError("a size that follows from a free axis is out of reach")
        return text
    return scope.kept(place.rows, a.value, wanted, a.name or "n", anew)


def _sights(place: Place, seen: Seeing) -> list[dict[str, Any]]:
    """What the names of forward are worth in each row."""
    sights: list[dict[str, Any]] = []
    for n, (row, c) in enumerate(place.pairs):
        sight = dict(row.py)
        for flow, value in zip(place.ins, c.ins, strict=True):
            if flow is not None:
                sight[f"__{flow.id}"] = Sizes(dims(value))
        for flow, shapes in seen.values():
            sight[f"__{flow.id}"] = Sizes(shapes[n])
        sights.append(sight)
    return sights


Seeing = Mapping[str, tuple[Flow, list[tuple[int, ...]]]]  # by name: its variable, its shapes


def _seen(place: Place) -> Seeing:
    """The inputs and items that expressions of an item may read in forward, in each row."""
    rows, copies = place.rows, place.copies
    found: dict[str, tuple[Flow, list[tuple[int, ...]]]] = {}
    for text, flow in place.scope.records.items():
        if flow is not None and text in rows[0].seen:
            found[text] = flow, [row.seen[text] for row in rows]
    for text, value in copies[0].env.items():
        if text not in found and isinstance(value, Seen):
            seen = [s for c in copies if isinstance(s := c.env[text], Seen)]
            with suppress(PlainError):  # it may be outside of the class, and known as a number
                found[text] = lookup(rows, [s.value for s in seen]), [s.shape for s in seen]
    return found


def _running(place: Place, seen: Seeing, k: int) -> Any:
    """An argument of forward where sizes are those of the tensors; None where there is none."""
    scope, item, row, copy = place.scope, place.item, place.rows[0], place.first
    if copy.shared is not None or not has_expression(item.args):
        return None
    records: dict[str, Any] = {
        text: Record(running(flow, shapes[0])) for text, (flow, shapes) in seen.items()
    }
    for text, record in list(records.items()):
        if "." in text:  # of an input that is a list
            records.setdefault(text.partition(".")[0], []).append(record)
    if place.ins and place.ins[0] is not None:
        records["prev"] = Record(running(place.ins[0], dims(copy.ins[0])))

    def worth(e: Expr) -> Any:
        return evaluate(e.tree, {**scope.sight(e.names, row, copy.env, None), **records})

    try:
        layer = create(item.op, through(item.args, worth))
        types = tuple(
            None if v is None or v.type is None or flow is None
            else TensorType(running(flow, v.type.shape), v.type.dtype, v.type.map)
            for v, flow in zip(copy.ins, place.ins, strict=True)
        )  # fmt: skip
        made = _call_of(layer, types, module=place.module, running=copy.running)
        return made.free[k].value
    except (*FAILURES, BadArgument, Mismatch):
        return None


def _varying(place: Place, calls: Sequence[Call], types: tuple[TensorType | None, ...]) -> Made:
    """Modules of different classes in one place, where nothing else differs.

    The class itself becomes an argument.
    """
    scope, rows, copies, first = place.scope, place.rows, place.copies, calls[0]
    if any(
        c.target is None or c.args or c.free or c.wrap
        or (c.forward, c.results) != (first.forward, first.results)
        for c in calls
    ):  # fmt: skip
        raise PlainError("the instances need different kinds of layer")
    targets = [Dotted(scope.called(c.target)) for c in calls]
    value = retyped(scope, rows, place.item.args.get("name"), targets)
    target = scope.say(rows, value, targets, "activation")
    layer = copies[0].layer
    assert layer is not None
    sizes = _sizes(rows, copies, layer.infer(*types))
    return Made(call(target), first, sizes, tuple(copies[0].outs))


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


Calls = tuple[list[Step], list[Flow]]


def calling(made: Made, reached: ast.expr | None, ins: Ins, hint: str, unit: Unit) -> Calls:
    """The steps that call a module or write an op out, and what they give."""
    form, given = made.form, [v for v in ins if v is not None]
    refs = {
        f"x{j}": v.ref if form.broadcast else batched(v, given, unit.anchor)
        for j, v in enumerate(ins)
        if v is not None
    }
    own = {"self": reached} if reached is not None else {}
    value = rebuilt(parsed(form.forward), {**made.free, **refs, **own}.get)
    outs = results(hint, made.outs, made.sizes)
    if reached is None and len(outs) == 1:
        outs[0].short = hint  # there is no member that has its name
    for out in outs:
        out.batchless = form.batchless or (
            form.broadcast and bool(given) and all(v.batchless for v in given)
        )
        out.led = out.batchless and (form.led or any(v.led for v in given))
    inner = made.layer is not None and (
        made.layer.family in _INNER or made.layer.op.startswith(("global_", "adaptive_"))
    )
    holds_others = made.layer is not None and (len(refs) > 1 or made.crossing is not None)
    step = Assign(list(outs), value, inner, merge=holds_others)
    return _taken_apart(step, form.results, hint), outs


def _taken_apart(step: Assign, results: tuple[str, ...], hint: str) -> list[Step]:
    """The call, and the steps that take its results apart."""
    outs = list(step.outs)
    if results == ("r",) or (len(outs) > 1 and results == parts(len(outs))):
        step.inner = step.inner and len(outs) == 1
        return [step]
    if len(results) == 1:
        step.value = rebuilt(parsed(results[0]), {"r": step.value}.get)
        return [step]
    places = [_part(text) for text in results]
    if all(path for path, _ in places):
        return _unpacked(step, outs, places)
    raw = Flow((), hint)
    raw.several = True
    steps: list[Step] = [Assign([raw], step.value, inner=True, merge=step.merge)]
    for out, text in zip(outs, results, strict=True):
        steps.append(Assign([out], rebuilt(parsed(text), {"r": raw.ref}.get), inner=True))
    return steps


def _unpacked(
    step: Assign, outs: Sequence[Var], places: Sequence[tuple[tuple[int, ...], str]]
) -> list[Step]:
    """`x, (h, c) = self.lstm(x)`, and what is done with each result then."""
    steps: list[Step] = []
    given: list[Var] = []
    for out, (_, after) in zip(outs, places, strict=True):
        given.append(_raw(out) if after else out)
        if after:
            done = rebuilt(parsed(f"r{after}"), {"r": given[-1].ref}.get)
            steps.append(Assign([out], done, inner=True))
    form = _form_of([path for path, _ in places])
    return [Assign(given, step.value, merge=step.merge, form=form), *steps]


def _raw(out: Var) -> Flow:
    """The result as torch gives it, under the same name."""
    raw = Flow((), out.hint)
    raw.short = out.short
    return raw


def _part(text: str) -> tuple[tuple[int, ...], str]:
    """`r[1][0].transpose(0, 1)` → (1, 0) and `.transpose(0, 1)`."""
    found = re.fullmatch(r"r((?:\[\d+\])+)(.*)", text)
    if found is None:
        return (), ""
    return tuple(map(int, re.findall(r"\d+", found[1]))), found[2]


def _form_of(paths: Sequence[tuple[int, ...]]) -> Form | None:
    """(0,), (1, 0), (1, 1) → `[0, [1, 2]]`; None where it is flat."""
    if all(len(p) == 1 for p in paths):
        return None
    form: Form = []
    for place, path in enumerate(paths):
        inner = form
        for step in path[:-1]:
            while len(inner) <= step:
                inner.append([])
            found = inner[step]
            assert isinstance(found, list)
            inner = found
        inner.append(place)
    return form


def parts(count: int) -> tuple[str, ...]:
    """What a call gives as results of their own."""
    return tuple(f"r[{k}]" for k in range(count))


def calls_of(ins: Ins, outs: int, names: Iterable[str] = ()) -> Call:
    """`self(x0, x1)`: a module of the network's own; `self(x0, [x1, x2])` with inputs in a list.

    `names` are those of its inputs: xs.0 and xs.1 of the list xs, which is the last.
    """
    texts = [f"x{j}" for j, v in enumerate(ins) if v is not None]
    single = len(texts) - sum("." in text for text in names)
    if single < len(texts):
        texts[single:] = [f"[{', '.join(texts[single:])}]"]
    return Call(
        "", forward=f"self({', '.join(texts)})", results=parts(outs) if outs > 1 else ("r",)
    )


def batched(flow: Flow, beside: Sequence[Flow], anchor: Flow | None) -> ast.expr:
    """The value with a batch axis: a parameter is expanded to the batch of what stands beside it.

    Raises PlainError where nothing tells the size of the batch.
    """
    if not flow.batchless:
        return flow.ref
    alone = [v for v in beside if not isinstance(v, Many)]
    first = next((v for v in alone if not v.batchless), anchor)
    if first is None:
        raise PlainError("nothing tells the size of the batch")
    size = ast.Subscript(ast.Attribute(first.ref, "shape"), ast.Constant(0))
    return call(ast.Attribute(flow.ref, "expand"), size, *(literal(-1) for _ in flow.sizes))


def merge(place: Place, layer: Layer, paths: Sequence[Sequence[Value]]) -> Made:
    """The op that joins the paths of a residual or of branches."""
    unit, ins = place.scope.unit, [lookup(place.rows, values) for values in paths]
    numbers = place.scope.settled and len(place.rows) == 1  # nothing else can stand
    known: dict[Any, Made] = unit.whole.plain if numbers else {}
    key = (id(layer), *(id(p[0].type) for p in paths))
    if key not in known:
        known[key] = _merge(place, layer, ins, paths)
    return replace(known[key], crossing=(ins, [[c.out for c in place.copies]]))


def _merge(
    place: Place, layer: Layer, ins: Sequence[Flow], paths: Sequence[Sequence[Value]]
) -> Made:
    rows = place.rows
    types = [
        TensorType(flow.at(rows[0], dims(p[0])), p[0].type.dtype, p[0].type.map)
        for flow, p in zip(ins, paths, strict=True)
        if p[0].type is not None
    ]
    if place.first.layer is None:  # they never meet here, and may differ
        types = types[:1] * len(types)
    form = layer.call(*types)
    (out,) = layer.infer(*types)
    free = {a.name or "": literal(plain(a.value)) for a in form.free}
    sizes = [sizes_of(rows, out.shape, [c.out for c in place.copies])]
    return Made(None, form, sizes, free=free, layer=layer)
