"""One class: its constructor, its forward, its signature and docstring."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archspec.emit.calls import activation_class
from archspec.emit.chain import Chains, leaf_names
from archspec.emit.docstring import describe, plain_shapes, quoted
from archspec.emit.engine import (
    Part,
    Section,
    dims,
    several,
)
from archspec.emit.explain import (
    Row,
    UnprovableError,
    Var,
    lookup,
    names_in,
)
from archspec.emit.forward import Assign, Naming, Step, nest, uses
from archspec.emit.inits import Inits, freezing
from archspec.emit.items import Items
from archspec.emit.merges import Merges
from archspec.emit.sinks import Own, Positional
from archspec.emit.syntax import Dotted, For, If, Line, Return, Stmt, call, exchanged, name
from archspec.emit.text import WIDTH, render, write
from archspec.emit.tidy import stmt_names, tidy
from archspec.emit.unit import RESERVED, ClassInfo, Parameter, Site, Unit
from archspec.expand.tree import Body, Value


@dataclass(eq=False)
class Classes(Section):
    """One class: its constructor, its forward, its signature and docstring."""

    chains: Chains
    inits: Inits
    items: Items
    merges: Merges

    def write_class(
        self,
        unit: Unit,
        info: ClassInfo,
        parts: list[Part],
        inputs: list[list[Value]],
        input_names: list[str],
        outputs: dict[str, list[Any]],
        defaults: dict[str, Any],
        training: frozenset[str] = frozenset(),
    ) -> None:
        rows = [p.row for p in parts]
        ins = [lookup(rows, [i[j] for i in inputs]) for j in range(len(inputs[0]))]
        unit.anchor = ins[0] if ins else None
        unit.shapes = (inputs, outputs)
        info.outputs = tuple(outputs)
        single = len(ins) == 1 and len(outputs) == 1
        bodies = [p.body for p in parts if p.body is not None and p.copy is None]
        if single and len(bodies) == len(parts) and not unit.fixed:
            wanted = next(iter(outputs.values()))
            if all(
                b.output is w for b, w in zip(bodies, wanted, strict=True)
            ) and self.chains.is_chain(bodies):
                out = self._chain_class(unit, list(zip(rows, bodies, strict=True)), ins[0])
                self._close(unit, info, [ins[0]], [[out]], defaults, None)
                return
        self._part(unit, parts)
        found = [self._found(rows, values) for values in outputs.values()]
        forward = self._forward(
            unit, ins, input_names, dict(zip(outputs, found, strict=True)), training
        )
        self._close(unit, info, ins, found, defaults, forward)

    def _found(self, rows: list[Row], values: list[Any]) -> list[Var]:
        if isinstance(values[0], tuple):
            if len({len(v) for v in values}) > 1:
                raise UnprovableError("the outputs differ in number")
            return [lookup(rows, [v[k] for v in values]) for k in range(len(values[0]))]
        return [lookup(rows, values)]

    def _part(self, unit: Unit, parts: list[Part]) -> None:
        rows = [p.row for p in parts]
        first = parts[0]
        if first.copy is None:
            self.items.body(
                Site(unit.scope, unit.init, unit.steps),
                [(p.row, p.body) for p in parts if p.body is not None],
            )
            return
        copies = [p.copy for p in parts if p.copy is not None]
        assert first.item is not None
        self.merges.merged(Site(unit.scope, unit.init, unit.steps), first.item, rows, copies)

    def _chain_class(self, unit: Unit, pairs: list[tuple[Row, Body]], cur: Var) -> Var:
        names = leaf_names([b for _, b in pairs])
        sink = Positional(unit, "layers") if names == "numbers" else Own()
        out = self.chains.chain(unit.scope, pairs, sink, unit.init, cur)
        if isinstance(sink, Positional):
            unit.init.append(
                Line(call("super().__init__", *sink.elements))
                if sink.variable is None
                else Line(call("super().__init__", ast.Starred(name(sink.variable))))
            )
        else:
            unit.init.insert(0, Line(call("super().__init__")))
        tidy(unit.init)
        return out

    def _forward(
        self,
        unit: Unit,
        ins: list[Var],
        names: list[str],
        outputs: dict[str, list[Var]],
        training: frozenset[str],
    ) -> list[Stmt]:
        flat = [v for n, vs in outputs.items() if n not in training for v in vs]
        late = [v for n, vs in outputs.items() if n in training for v in vs]
        self._drop_unused(unit.steps, [*flat, *late])
        steps = nest(unit.steps, [*flat, *late])
        arguments = ["x" if len(ins) == 1 else n for n in names]
        result: Line | None = None
        if (
            len(flat) == 1
            and not training
            and not unit.listed
            and steps
            and isinstance(steps[-1], Assign)
            and steps[-1].outs == flat
        ):
            last = steps.pop()
            assert isinstance(last, Assign)
            result = Line(last.value)
            reads_late = [Var([], "")]
            naming = Naming(
                ins, arguments, [*steps, Assign(reads_late, last.value)], [], set(unit.reserved)
            )
        else:
            naming = Naming(ins, arguments, steps, [*flat, *late], set(unit.reserved))
        lines = naming.text(steps)
        unit.arguments = arguments
        if result is not None:
            value = naming.filled(result.value)
            if _typed(value):
                return [*lines, Return(value)]
            return [*lines, Line(value, "out", "Tensor"), Return(ast.Name("out"))]
        return lines + self._returns(unit, naming, arguments, outputs, training)

    def _returns(
        self,
        unit: Unit,
        naming: Naming,
        arguments: list[str],
        outputs: dict[str, list[Var]],
        training: frozenset[str],
    ) -> list[Stmt]:
        texts = {n: [naming.of(v.id) for v in vs] for n, vs in outputs.items()}
        always = {n: t for n, t in texts.items() if n not in training}
        if unit.fixed:
            lines: list[Stmt] = []
            if training:
                lines.append(If(name("self.training"), [Return(_dict(texts, unit.listed))]))
            if len(always) == 1 and not unit.listed & set(always):
                (only,) = (t[0] for t in always.values())
                return lines + _typed_return(only, arguments)
            return [*lines, Return(_dict(always, unit.listed))]
        flat = [t for ts in texts.values() for t in ts]
        if len(flat) == 1:
            return _typed_return(flat[0], arguments)
        return [Return(ast.Tuple([ast.Name(t) for t in flat]))]

    def _drop_unused(self, steps: list[Step], outputs: list[Var]) -> None:
        """Removes steps that call no member and whose results nothing reads."""
        while True:
            count = uses(steps, Counter())
            count.update(v.id for v in outputs)
            dead = [
                s
                for s in steps
                if isinstance(s, Assign)
                and s.inner
                and all(not count[v.id] for v in s.outs)
                and "self" not in render(s.value)
            ]
            if not dead:
                return
            for s in dead:
                steps.remove(s)

    def _close(
        self,
        unit: Unit,
        info: ClassInfo,
        ins: list[Var],
        outs: list[list[Var]],
        defaults: dict[str, Any],
        forward: list[Stmt] | None,
    ) -> None:
        """The class's text and signature, once its statements and steps are there."""
        if unit.fixed:
            unit.init += [
                *self.inits.root_init(unit.scope, self.whole.roots),
                *freezing(self.whole.roots[0]),
            ]
        if forward is not None:
            tidy(unit.init)
            _store(unit)
        _hoist(unit)
        read = _prepare(unit, forward is None)
        for p, d in defaults.items():
            if any(isinstance(r.py.get(p), Dotted) for r in unit.rows):
                defaults[p] = activation_class(d) or d
        found = [
            Parameter(
                p, _annotation([w[p] for w in (r.py for r in unit.rows)]), defaults.get(p, ...)
            )
            for p in unit.potential
            if p in read
        ]
        found.sort(key=lambda p: p.default is not ...)
        info.parameters, info.why, info.computed = found, unit.why, unit.defined
        info.axes = [v.axes for vs in outs for v in vs]
        empty = forward is not None and len(unit.init) == 1 and not found
        self._text(unit, info, ins, outs, [] if empty else unit.init, forward)

    def _text(
        self,
        unit: Unit,
        info: ClassInfo,
        ins: list[Var],
        outs: list[list[Var]],
        init: list[Stmt],
        forward: list[Stmt] | None,
    ) -> None:
        base = "nn.Module" if forward is not None else "nn.Sequential"
        doc = self.docstring(unit, info.parameters, ins, outs)
        lines = [f"class {info.name}({base}):", *quoted(doc)]
        if init:
            lines += [
                "",
                *signature("__init__", [p.text for p in info.parameters], "None"),
                *write(init, 2),
            ]
        if forward is not None:
            returned = self._returned(unit, outs)
            lines += [
                "",
                *signature("forward", [f"{a}: Tensor" for a in unit.arguments], returned),
                *write(forward, 2),
            ]
        info.lines = lines

    def _returned(self, unit: Unit, outs: list[list[Var]]) -> str:
        if unit.fixed:
            return self.whole.root_type
        flat = [v for vs in outs for v in vs]
        if len(flat) == 1:
            return "Tensor"
        each = f"tuple[{', '.join('Tensor' for _ in flat)}]"
        return each if len(each) <= WIDTH - len("    ) -> :") else "tuple[Tensor, ...]"

    def docstring(
        self,
        unit: Unit,
        parameters: list[Parameter],
        ins: list[Var],
        outs: list[list[Var]],
    ) -> str:
        """Shapes, with the class's own names where they say it."""
        given, made = unit.shapes
        if unit.fixed:
            return plain_shapes(
                [dims(v) for v in given[0]],
                [dims(v) for vs in made.values() for v in several(vs[0])],
            )
        known = {p for p in unit.potential if any(p == q.name for q in parameters)} | set(
            unit.defined
        )
        inputs = [(var, [dims(values[j]) for values in given]) for j, var in enumerate(ins)]
        flat = [v for vs in outs for v in vs]
        shapes = [
            [dims(v) for values in vs for v in [several(values)[k]]]
            for vs in made.values()
            for k in range(len(several(vs[0])))
        ]
        outputs = list(zip(flat, shapes, strict=True))
        text = describe(unit.rows, inputs, outputs, known)
        return text if len(text) <= WIDTH - 10 else describe(unit.rows, inputs, outputs, set())


def _store(unit: Unit) -> None:
    """What forward reads becomes attributes: arguments at once, what is computed at the end."""
    stores = [Line(v, f"self.{n}") for n, v in unit.stores.items()]
    given = set(unit.potential) | set(RESERVED)
    first = [s for s in stores if names_in(s.value) <= given]
    unit.init[:0] = [Line(call("super().__init__")), *first]
    unit.init += [s for s in stores if s not in first]


def _hoist(unit: Unit) -> None:
    """Puts a variable in the place of each expression that the constructor repeats."""
    known = set(unit.potential) | set(unit.defined)
    for text, value in (_hoisted(unit.init, known) if known else {}).items():
        variable = unit.local("hidden")
        for s in unit.init:
            _named_instead(s, text, variable)
        unit.defined[variable] = value


def _prepare(unit: Unit, chained: bool) -> set[str]:
    """Sets counters and computed params at the constructor's start; returns the names it reads."""
    read: set[str] = set()
    for s in unit.init:
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


def _hoisted(init: list[Stmt], known: set[str]) -> dict[str, ast.expr]:
    """Calls over arguments that a constructor has three times or more: text -> expression."""
    count: Counter[str] = Counter()
    found: dict[str, ast.expr] = {}
    for node in (n for s in init for v in _expressions(s) for n in ast.walk(v)):
        wanted = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("make_divisible", "max", "min")
        )
        if (
            wanted
            and isinstance(node, ast.expr)
            and names_in(node) - {"make_divisible", "max", "min"} <= known
        ):
            text = render(node)
            count[text] += 1
            found[text] = node
    return {t: found[t] for t, n in count.items() if n > 2}


def _expressions(s: Stmt) -> Iterable[ast.expr]:
    if isinstance(s, Line):
        yield s.value
    elif isinstance(s, If):
        yield s.test
        for x in (*s.body, *s.orelse):
            yield from _expressions(x)
    elif isinstance(s, For):
        yield s.iter
        for x in s.body:
            yield from _expressions(x)


def _named_instead(s: Stmt, text: str, variable: str) -> None:
    """Puts a variable in the place of an expression, wherever it stands."""
    if isinstance(s, Line):
        s.value = _exchanged(s.value, text, variable)
    elif isinstance(s, (If, For)):
        for x in (*s.body, *(s.orelse if isinstance(s, If) else ())):
            _named_instead(x, text, variable)
        if isinstance(s, If):
            s.test = _exchanged(s.test, text, variable)
        else:
            s.iter = _exchanged(s.iter, text, variable)


def _exchanged(node: ast.expr, text: str, variable: str) -> ast.expr:
    return exchanged(
        node,
        lambda n: ast.Name(variable) if isinstance(n, ast.Call) and render(n) == text else None,
    )


def _typed(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and render(value.func).startswith("torch.")


def _typed_return(text: str, arguments: list[str]) -> list[Stmt]:
    if text in arguments:
        return [Return(ast.Name(text))]
    return [Line(ast.Name(text), "out", "Tensor"), Return(ast.Name("out"))]


def _dict(outputs: dict[str, list[str]], listed: frozenset[str]) -> ast.expr:
    values: list[ast.expr] = [
        ast.List([ast.Name(t) for t in ts]) if n in listed else ast.Name(ts[0])
        for n, ts in outputs.items()
    ]
    return ast.Dict([ast.Constant(n) for n in outputs], values)


def signature(title: str, parameters: list[str], returns: str) -> list[str]:
    """`def title(self, …) -> returns:`, broken as ruff breaks it."""
    every = ["self", *parameters]
    one = f"    def {title}({', '.join(every)}) -> {returns}:"
    if len(one) <= WIDTH:
        return [one]
    inner = f"        {', '.join(every)}"
    body = [inner] if len(inner) <= WIDTH else [f"        {p}," for p in every]
    return [f"    def {title}(", *body, f"    ) -> {returns}:"]


def _starts_with_super(init: list[Stmt]) -> bool:
    return (
        bool(init) and isinstance(init[0], Line) and render(init[0].value) == "super().__init__()"
    )


def _annotation(values: list[Any]) -> str:
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
