"""One class: constructor, forward, signature, docstring.

self.conv = nn.Conv2d(in_channels, out, 3)     class Stem(nn.Module):
x = self.conv(x)                                   def __init__(self, in_channels: int, …
                                                   def forward(self, x: Tensor) -> Tensor: …
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from archspec.emit import lists
from archspec.emit.forward import (
    Assign,
    Naming,
    Step,
    Var,
    direct,
    nest,
    rolled,
    straightened,
    uses,
)
from archspec.emit.lowering import links
from archspec.emit.lowering.flow import Flow, PlainError, Row, dims, lookup
from archspec.emit.lowering.freezing import Freezing
from archspec.emit.lowering.loops import comprehension
from archspec.emit.lowering.modules import Place, activation_class, batched
from archspec.emit.lowering.scope import RESERVED, Info, Parameter, Scope, Unit
from archspec.emit.lowering.shapes import describe, of_network, quoted
from archspec.emit.lowering.sinks import Members, Positional, Site
from archspec.emit.lowering.tying import tying
from archspec.emit.lowering.walk import walk, within
from archspec.emit.syntax import (
    Dotted,
    For,
    If,
    Line,
    Return,
    Stmt,
    call,
    change,
    exchanged,
    flat,
    name,
    names_in,
    own,
)
from archspec.emit.text import WIDTH, render, write
from archspec.emit.tidy import snake, stmt_names, tidy
from archspec.expand.tree import Body, Copy, Path, Value
from archspec.expressions.sym import Sym
from archspec.language import Item

Outputs = dict[str, list[Any]]


@dataclass(slots=True)
class Plan:
    """What a class is to be written of: a body (or a merge) in each row, inputs and outputs."""

    scope: Scope
    parts: list[tuple[Row, Body | Copy]]
    inputs: list[list[Value]]  # by row
    names: list[str]  # of the inputs: xs.0 and xs.1 of a list xs
    outputs: Outputs  # by name, of each row
    item: Item | None = None  # of a merge
    training: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    returns: str = ""  # of the network
    defaults: dict[str, Any] = field(default_factory=dict)
    last: Any = None  # what the network's constructor ends with
    tied: Mapping[str, Path] = field(default_factory=dict)  # weights by the ops that use them
    frozen: Freezing = field(default_factory=Freezing)


def write_class(plan: Plan, info: Info) -> None:
    """Fills `info`: lines, parameters, sizes of the outputs. Raises PlainError."""
    unit = plan.scope.unit
    unit.parts = list(plan.parts)
    rows = [r for r, _ in plan.parts]
    ins = [lookup(rows, [i[j] for i in plan.inputs]) for j in range(len(plan.inputs[0]))]
    unit.anchor = ins[0] if ins else None
    info.outputs = tuple(plan.outputs)
    bodies = [p for _, p in plan.parts if isinstance(p, Body)]
    wanted = next(iter(plan.outputs.values()))
    if (
        len(ins) == 1 and len(plan.outputs) == 1 and not unit.root
        and len(bodies) == len(plan.parts)
        and all(b.output is w for b, w in zip(bodies, wanted, strict=True))
        and all(links.of_modules(unit.whole, b) for b in bodies)
    ):  # fmt: skip
        pairs = list(zip(rows, bodies, strict=True))
        _close(plan, info, ins, [[_chain(plan, pairs)]], None)
        return
    unit.listed = (
        links.in_places(bodies)
        if len(bodies) == len(plan.parts)
        else all(links.paths_in_places(p) for _, p in plan.parts)
    )
    sink = _walked(plan)
    found = [_found(rows, values) for values in plan.outputs.values()]
    for row in rows:
        row.vals = {}
    if unit.root:
        unit.whole.walked()
    forward = _lines_of_forward(plan, info, ins, found)
    if isinstance(sink, Positional):
        modules = ast.List(sink.elements) if sink.variable is None else name(sink.variable)
        unit.init.append(Line(call("super().__init__", modules)))
    _close(plan, info, ins, found, forward)


def _walked(plan: Plan) -> Positional | Members:
    """Where the modules have gone: members and steps are in the unit then."""
    unit = plan.scope.unit
    sink = Positional(unit, "layers", name("self")) if unit.listed else Members(unit)
    site = Site(plan.scope, sink, unit.init, unit.steps)
    bodies = [(r, b) for r, b in plan.parts if isinstance(b, Body)]
    if len(bodies) == len(plan.parts):
        walk(site, bodies)
    else:
        assert plan.item is not None
        within(site, Place(plan.scope, plan.item, plan.parts))
    for elements in [container.elements for container in unit.containers.values()]:
        if len(elements.elts) > 2 and len(set(map(render, elements.elts))) == 1:
            _comprehended(unit, elements)
    if isinstance(sink, Positional):
        sink.trim()
        unit.lengths["self"] = sink.count
    return sink


def _comprehended(unit: Unit, elements: ast.List) -> None:
    """`nn.ModuleList(X for _ in range(3))` where all modules of a container are written alike."""
    for line in unit.init:
        value = line.value if isinstance(line, Line) else None
        if isinstance(value, ast.Call) and any(arg is elements for arg in value.args):
            value.args = [comprehension(elements.elts[0], ast.Constant(len(elements.elts)))]


def _returned_names(outputs: tuple[str, ...], forward: list[Stmt]) -> tuple[str, ...]:
    """The outputs of a group's class have no names but those of the variables it returns."""
    last = forward[-1]
    if not isinstance(last, Return) or not isinstance(last.value, ast.Tuple):
        return outputs
    if not all(n.isdigit() for n in outputs):
        return outputs
    texts = [render(e) for e in last.value.elts]
    return tuple(t if len(t) > 1 else n for n, t in zip(outputs, texts, strict=True))


def _found(rows: list[Row], values: list[Any]) -> list[Flow]:
    if not isinstance(values[0], tuple):
        return [lookup(rows, values)]
    if len({len(v) for v in values}) > 1:
        raise PlainError("the outputs differ in number")
    return [lookup(rows, [v[k] for v in values]) for k in range(len(values[0]))]


def _chain(plan: Plan, pairs: list[tuple[Row, Body]]) -> Flow:
    """The constructor of an nn.Sequential."""
    unit = plan.scope.unit
    sink: Positional | Members = Members(unit, called=False)
    if links.numbered([b for _, b in pairs]):
        sink = Positional(unit, "layers")
    walk(Site(plan.scope, sink, unit.init, unit.steps), pairs)
    if isinstance(sink, Positional):
        unit.init.append(Line(call("super().__init__", *sink.inside())))
    else:
        unit.init.insert(0, Line(call("super().__init__")))
    tidy(unit.init)
    return lookup([r for r, _ in pairs], [b.output for _, b in pairs])


# ---------------------------------------------------------------- forward


def _lines_of_forward(
    plan: Plan, info: Info, ins: list[Flow], found: list[list[Flow]]
) -> list[str]:
    """Its lines at once: its tree would take more than all else that is there by then."""
    forward = _forward(plan, ins, dict(zip(plan.outputs, found, strict=True)))
    forward = lists.gathered(forward, lists.lists_of(plan.names))
    info.outputs = _returned_names(tuple(plan.outputs), forward)
    return write(forward, 2)


def _forward(plan: Plan, ins: list[Flow], outputs: dict[str, list[Flow]]) -> list[Stmt]:
    unit = plan.scope.unit
    for found in outputs.values():
        found[:] = [_batched(unit, v) for v in found]
    flat: list[Var] = [v for n, vs in outputs.items() if n not in plan.training for v in vs]
    late: list[Var] = [v for n, vs in outputs.items() if n in plan.training for v in vs]
    if len(flat) + len(late) > 1:
        named = outputs if len(flat) > 1 else {n: outputs[n] for n in outputs if n in plan.training}
        for text, found in named.items():
            for v in found:
                v.named = bool(v.hint) or text.isidentifier()
                own = text if len(found) == 1 and not text.isdigit() else ""
                v.hint = v.hint or own if unit.root else own or v.hint
    straightened(unit.steps)
    count = _drop_unused(unit.steps, [*flat, *late])
    arguments = lists.arguments(plan.names)
    steps = lists.mapped(direct(unit.steps, count), count, unit.lengths)
    unit.steps = []  # of a long body most of what there is: nothing holds them longer than needed
    steps = nest(rolled(steps, count, unit.lengths), count)
    reserved = {"self", "torch", "nn", "math", "functools", *lists.lists_of(plan.names)}
    last = steps[-1] if steps else None
    alone = len(flat) == 1 and not plan.training and not plan.listed
    if alone and isinstance(last, Assign) and last.outs == flat:
        steps.pop()
        end = replace(last, outs=[Flow()])
        naming = Naming(ins, arguments, [*steps, end], [], reserved)
        value = naming.value(last)
        lines = naming.text(steps)
        return lines + _typed_return(value)
    naming = Naming(ins, arguments, steps, [*flat, *late], reserved)
    lines = naming.text(steps)
    return lines + _returns(plan, naming, (arguments, lines), outputs)


def _batched(unit: Unit, flow: Flow) -> Flow:
    """What goes out has a batch axis."""
    if not flow.batchless:
        return flow
    out = Flow(flow.sizes, flow.hint)
    unit.steps.append(Assign([out], batched(flow, [], unit.anchor), inner=True))
    return out


def _returns(
    plan: Plan, naming: Naming, above: tuple[list[str], list[Stmt]], outputs: dict[str, list[Flow]]
) -> list[Stmt]:
    """What a forward ends with; `above`: its arguments and its lines."""
    arguments, before = above
    texts = {n: [naming.of(v.id) for v in vs] for n, vs in outputs.items()}
    always = {n: t for n, t in texts.items() if n not in plan.training}
    if not plan.scope.unit.root:
        flat = [t for ts in texts.values() for t in ts]
        if len(flat) == 1:
            return _returned_variable(flat[0], arguments, before)
        return [Return(ast.Tuple([ast.Name(t) for t in flat]))]
    lines: list[Stmt] = []
    if plan.training:
        lines.append(If(name("self.training"), [Return(_dict(texts, plan.listed))]))
    if len(always) == 1 and not plan.listed & set(always):
        (only,) = (t[0] for t in always.values())
        return lines + _returned_variable(only, arguments, before)
    return [*lines, Return(_dict(always, plan.listed))]


def _drop_unused(steps: list[Step], outputs: Sequence[Var]) -> Counter[int]:
    """Removes steps that call no member and whose results nothing reads.

    Returns how often a Var is read; what goes out twice, as it is never put into another step.
    """
    while True:
        count = uses(steps, Counter(v.id for v in outputs for _ in range(2)))
        dead = [
            s
            for s in steps
            if isinstance(s, Assign)
            and s.inner
            and all(not count[v.id] for v in s.outs)
            and "self" not in render(s.value)
        ]
        if not dead:
            return count
        for s in dead:
            steps.remove(s)


def _typed_return(value: ast.expr) -> list[Stmt]:
    """The return of what is computed last.

    What a module gives has a variable's type alone: `return self.fc(x)` returns Any to mypy, and
    `x = self.fc(x)` before `return x` is a line too many to ruff.
    """
    if isinstance(value, ast.Call) and render(value.func).startswith("torch."):
        return [Return(value)]
    return [Line(value, "out", "Tensor"), Return(ast.Name("out"))]


def _returned_variable(text: str, arguments: list[str], before: list[Stmt]) -> list[Stmt]:
    """The return of a variable, which says its type where it is first assigned."""
    if text in arguments:
        return [Return(ast.Name(text))]
    first = next((s for s in flat(before) if isinstance(s, Line) and text in _targets(s)), None)
    if first is not None and first.target == text and any(s is first for s in before):
        first.annotation = "Tensor"
        return [Return(ast.Name(text))]
    return [Line(ast.Name(text), "out", "Tensor"), Return(ast.Name("out"))]


def _targets(line: Line) -> list[str]:
    return re.findall(r"\w+", line.target)


def _dict(outputs: dict[str, list[str]], listed: frozenset[str]) -> ast.expr:
    values: list[ast.expr] = [
        ast.List([ast.Name(t) for t in ts]) if n in listed else ast.Name(ts[0])
        for n, ts in outputs.items()
    ]
    return ast.Dict([ast.Constant(n) for n in outputs], values)


# ---------------------------------------------------------------- the class


def _close(
    plan: Plan, info: Info, ins: list[Flow], outs: list[list[Flow]], forward: list[str] | None
) -> None:
    """The class's text and signature, once its statements and the lines of forward are there."""
    unit = plan.scope.unit
    if plan.last is not None:
        unit.init += plan.last()
    unit.init += tying(plan.tied, unit)
    flag = ast.Name(plan.frozen.flag)
    if plan.frozen.flag and plan.frozen.still:
        unit.attribute(flag, plan.frozen.flag)
        if forward is None:
            unit.init.append(Line(flag, f"self.{flag.id}"))
    if forward is not None:
        tidy(unit.init)
        _store(unit)
    unit.init += plan.frozen.constructor()
    if not unit.settled:
        unit.init = _narrowed(unit, unit.init, 2)
        _hoist(unit)
    read = _prepare(unit, chained=forward is None or unit.listed)
    defaults = dict(plan.defaults)
    for p, d in defaults.items():
        if any(isinstance(r.py.get(p), Dotted) for r in unit.rows):
            defaults[p] = activation_class(plan.scope, d) or ...
    found = [
        Parameter(p, _annotation([r.py[p] for r in unit.rows]), defaults.get(p, ...))
        for p in unit.potential
        if p in read
    ]
    found.sort(key=lambda p: p.default is not ...)
    info.parameters = found
    info.sized = frozenset(unit.shapes)
    info.defined = dict(unit.defined)
    info.sizes = [list(v.sizes) for vs in outs for v in vs]
    info.filled = unit.filled
    empty = forward is not None and len(unit.init) == 1 and not found and not unit.listed
    _text(plan, info, (ins, outs), [] if empty else unit.init, forward)


def _text(
    plan: Plan, info: Info, flows: tuple[list[Flow], list[list[Flow]]], init: list[Stmt],
    forward: list[str] | None,
) -> None:  # fmt: skip
    numbered = any(m.isdigit() for m in plan.scope.unit.members)
    listed = "nn.ModuleList" if plan.scope.unit.listed or numbered else "nn.Module"
    base = "nn.Sequential" if forward is None else listed
    lines = [f"class {info.name}({base}):", *quoted(_docstring(plan, info.parameters, *flows))]
    if init:
        parameters = [p.text for p in info.parameters]
        lines += ["", *signature("__init__", parameters, "None"), *write(init, 2)]
    if forward is not None:
        returned = plan.returns or _returned(flows[1])
        lines += ["", *signature("forward", lists.signature(plan.names), returned), *forward]
    if plan.frozen.still:
        lines += ["", *signature("train", ["mode: bool = True"], "Self")]
        lines += write(plan.frozen.train(name(f"self.{plan.frozen.flag}")), 2)
    info.lines = lines


def _returned(outs: list[list[Flow]]) -> str:
    flat = [v for vs in outs for v in vs]
    if len(flat) == 1:
        return "Tensor"
    each = f"tuple[{', '.join('Tensor' for _ in flat)}]"
    return each if len(each) <= WIDTH - len("    ) -> :") else "tuple[Tensor, ...]"


def several(values: Any) -> tuple[Value, ...]:
    """The values of an output, which may be a list of them."""
    return values if isinstance(values, tuple) else (values,)


def _known(unit: Unit, flow: Flow, value: Value) -> list[int | None]:
    """The shape of an output, None where a size follows from a free axis by no expression."""
    followed = [
        not isinstance(size, Sym) and unit.whole.follows([value], a)
        for a, size in enumerate(flow.sizes)
    ]
    return [None if f else n for f, n in zip(followed, dims(value), strict=True)]


def _docstring(
    plan: Plan, parameters: list[Parameter], ins: list[Flow], outs: list[list[Flow]]
) -> str:
    """Shapes, with the class's own names where they say it."""
    unit, flows = plan.scope.unit, [f for fs in outs for f in fs]
    shapes = [
        [dims(several(v)[k]) for v in vs[: unit.real]]
        for vs in plan.outputs.values()
        for k in range(len(several(vs[0])))
    ]
    if unit.root:
        inside = [(f, dims(v)) for v, f in zip(plan.inputs[0], ins, strict=True)]
        given = [v for vs in plan.outputs.values() for v in several(vs[0])]
        after = [(f, _known(unit, f, v)) for f, v in zip(flows, given, strict=True)]
        return of_network(inside, after, unit.free)
    known = {p.name for p in parameters} | set(unit.defined)
    inputs = [(f, [dims(v[j]) for v in plan.inputs[: unit.real]]) for j, f in enumerate(ins)]
    outputs = list(zip(flows, shapes, strict=True))
    rows = unit.rows[: unit.real]
    text = describe(rows, inputs, outputs, known)
    return text if len(text) <= WIDTH - 10 else describe(rows, inputs, outputs, set())


def _store(unit: Unit) -> None:
    """What forward reads becomes attributes: arguments at once, what is computed at the end.

    A list takes its modules in super().__init__, and attributes only behind that.
    """
    stores = [Line(v, f"self.{n}") for n, v in unit.stores.items()]
    if unit.listed:
        unit.init += stores
        return
    given = set(unit.potential) | set(RESERVED)
    first = [s for s in stores if names_in(s.value) <= given]
    unit.init[:0] = [Line(call("super().__init__")), *first]
    unit.init += [s for s in stores if s not in first]


def _prepare(unit: Unit, *, chained: bool) -> set[str]:
    """Sets counters and computed params at the constructor's start; returns the names it reads."""
    read: set[str] = set()
    for s in unit.init if unit.potential or unit.defined else ():
        read |= stmt_names(s)
    for counter in sorted(unit.counters):
        unit.init.insert(1, Line(ast.Constant(0), counter))
    for p in reversed(list(unit.defined)):
        if p in read:
            # an nn.Sequential takes its modules in super().__init__, so they are prepared before it
            at = 0 if chained and not _starts_with_super(unit.init) else 1
            unit.init.insert(at, Line(unit.defined[p], p))
            read |= names_in(unit.defined[p])
    return read


def _starts_with_super(init: list[Stmt]) -> bool:
    first = init[0] if init else None
    return isinstance(first, Line) and render(first.value) == "super().__init__()"


def _hoist(unit: Unit) -> None:
    """Puts a variable in the place of each call that the constructor has three times or more."""
    known = set(unit.potential) | set(unit.defined)
    count: Counter[str] = Counter()
    found: dict[str, ast.expr] = {}
    for node in (n for s in flat(unit.init) for n in ast.walk(own(s))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        wanted = node.func.id in ("make_divisible", "max", "min")
        if wanted and names_in(node) - {"make_divisible", "max", "min"} <= known:
            count[render(node)] += 1
            found[render(node)] = node
    for text in [t for t, n in count.items() if n > 2]:
        variable = unit.local("hidden")
        change(unit.init, partial(_named_instead, text=text, variable=variable))
        unit.defined[variable] = found[text]


def _named_instead(value: ast.expr, text: str, variable: str) -> ast.expr:
    """An expression with a variable in the place of a call, wherever it stands."""

    def new(n: ast.expr) -> ast.expr | None:
        return ast.Name(variable) if isinstance(n, ast.Call) and render(n) == text else None

    return exchanged(value, new)


def _narrowed(unit: Unit, statements: list[Stmt], depth: int) -> list[Stmt]:
    """An argument that makes a call too wide for a line gets a name before it, if that is shorter.

    `padding = (kernel - 1) // 2`, then `padding=padding`.
    """
    done: list[Stmt] = []
    for s in statements:
        if isinstance(s, (If, For)):
            s.body = _narrowed(unit, s.body, depth + 1)
        if isinstance(s, If):
            s.orelse = _narrowed(unit, s.orelse, depth + 1)
        best = _shortest(unit, s, depth) if isinstance(s, Line) else [s]
        unit.taken.update(b.target for b in best[:-1] if isinstance(b, Line))
        done += best
    return done


def _shortest(unit: Unit, s: Line, depth: int) -> list[Stmt]:
    """A wide statement, with names for arguments of its calls, for one of its modules, or both."""

    def lines(statements: list[Stmt]) -> int:
        return len(write(statements, depth))

    if lines([s]) <= 5:
        return [s]
    wide, short = _wide(unit, s.value), Line(s.value, s.target, s.annotation, s.op)
    before: list[Stmt] = [Line(v, k) for k, v in wide.items()]
    for k in wide:
        short.value = _keyword(short.value, k)
    tried: list[list[Stmt]] = [
        [s],
        _module_named(unit, s),
        [*before, short],
        [*before, *_module_named(unit, short)],
    ]
    return min(tried, key=lines)


def _module_named(unit: Unit, s: Line) -> list[Stmt]:
    """`conv = nn.Conv2d(…)`, then `super().__init__(conv, …)`, for the widest of the modules."""
    if s.target or not isinstance(s.value, ast.Call) or s.value.keywords:
        return [s]
    calls = [a for a in s.value.args if isinstance(a, ast.Call)]
    if not calls:
        return [s]
    widest = max(calls, key=lambda c: len(render(c)))
    func = render(widest.func)
    text = "layer" if func.islower() else snake(func.rpartition(".")[2])
    if text in unit.taken:
        return [s]
    args = [ast.Name(text) if a is widest else a for a in s.value.args]
    return [Line(widest, text), Line(ast.Call(s.value.func, args, []))]


def _wide(unit: Unit, value: ast.expr) -> dict[str, ast.expr]:
    """The computed keyword arguments of the calls in an expression, each with one value."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(value):
        for k in node.keywords if isinstance(node, ast.Call) else ():
            if not isinstance(k.value, ast.BinOp) or k.arg is None or k.arg in unit.taken:
                continue
            if render(found.setdefault(k.arg, k.value)) != render(k.value):
                return {}
    return found


def _keyword(value: ast.expr, text: str) -> ast.expr:
    """Calls with `text=…` that is computed take the variable of that name instead."""

    def new(node: ast.expr) -> ast.expr | None:
        if not isinstance(node, ast.Call):
            return None
        if not any(k.arg == text and isinstance(k.value, ast.BinOp) for k in node.keywords):
            return None
        keywords = [
            ast.keyword(k.arg, ast.Name(text) if k.arg == text else k.value) for k in node.keywords
        ]
        return ast.Call(node.func, [exchanged(a, new) for a in node.args], keywords)

    return exchanged(value, new)


def signature(title: str, parameters: list[str], returns: str) -> list[str]:
    """`def title(self, …) -> returns:`, broken as ruff breaks it."""
    every = ["self", *parameters]
    one = f"    def {title}({', '.join(every)}) -> {returns}:"
    if len(one) <= WIDTH:
        return [one]
    inner = f"        {', '.join(every)}"
    body = [inner] if len(inner) <= WIDTH else [f"        {p}," for p in every]
    return [f"    def {title}(", *body, f"    ) -> {returns}:"]


def _annotation(values: Sequence[Any]) -> str:
    if all(isinstance(v, tuple) for v in values) and len(set(map(len, values))) > 1:
        return f"tuple[{_annotation([e for v in values for e in v])}, ...]"
    kinds = dict.fromkeys(_kind(v) for v in values)
    if "float" in kinds:
        kinds.pop("int", None)
    return " | ".join(kinds)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, Dotted):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_kind, value))}]" if value else "tuple[()]"
    return type(value).__name__
