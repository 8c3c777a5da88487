"""`init` of a spec → the initialisation code at the end of a constructor."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from archspec.emit.lowering.flow import Row
from archspec.emit.lowering.modules import listed, torch_call, types_of
from archspec.emit.lowering.scope import Scope
from archspec.emit.syntax import For, If, Line, Stmt, call, name
from archspec.emit.text import render, write
from archspec.emit.torch_code import bases
from archspec.expand.flatten import nearer
from archspec.expand.tree import Body, Copy, Instance
from archspec.expressions import Expr, resolve
from archspec.language import Filler, Init
from archspec.layers.base import REPARAMETRISED, Layer, Weight

_NOTHING: Init = {}
Fillers = Mapping[str, Filler]  # by "weight", "bias"
_OURS = frozenset({"bilinear", "values"})  # not of torch.nn.init


class Inits:
    """What a spec says of initial values: of single leaves, of groups, of the whole network."""

    def __init__(self, roots: Sequence[Instance], rules: Init) -> None:
        self.roots = roots
        self.rules = rules  # the document's, by op
        # of leaves, from items of the same instance: id(copy) -> fillers
        self.local: dict[int, Fillers] = {}
        self.kinds: dict[type[Layer], None] = {}  # of all leaves
        self.used = list(_used(roots[0].body))  # calls of files with rules of their own
        self.ruled = {*rules, *(op for _, called in self.used for op in called.init or ())}
        self.both: dict[tuple[int, int], Init] = {}

    def learn(self, instance: Instance) -> None:
        """Notes what the items of one instance say of its own leaves."""
        self._learn(instance.body, _NOTHING)

    def _learn(self, body: Body, above: Init) -> None:
        for occurrence in body.items:
            here = self._nearer(above, occurrence.item.init)
            for c in occurrence.copies:
                if c is None:
                    continue
                if c.layer is not None and not c.group:
                    self.kinds[type(c.layer)] = None
                    found = here.get(c.layer.op) or here.get("*")
                    if not found and c.layer.op == "parameter":  # no module: a loop finds none
                        found = self.rules.get("parameter")
                    if found:
                        self.local[id(c)] = found
                for part in c.parts():
                    self._learn(part, here)

    def _nearer(self, far: Init, near: Init | None) -> Init:
        """What is nearer before what is farther; one object for the same two."""
        if not near:
            return far
        return self.both.setdefault((id(far), id(near)), nearer(far, near))

    def member_init(
        self,
        scope: Scope,
        rows: Sequence[Row],
        copies: Sequence[Copy],
        attribute: ast.expr,
    ) -> list[Stmt]:
        """Lines that set a member's weights, where its own class can say it."""
        layer = copies[0].layer
        fillers = self.local.get(id(copies[0]))
        if layer is None or not fillers or (layer.op in self.ruled and layer.op != "parameter"):
            return []
        names = {w.name for w in weights_of(copies[0]) if not w.buffer}
        if (
            not names
            or not names <= {"", "weight", "bias"}
            or any(self.local.get(id(c)) is not fillers for c in copies)
        ):
            return []
        lines: list[Stmt] = []
        for which, filler in fillers.items():
            if which in names or (which == "weight" and "" in names):
                target = attribute if "" in names else ast.Attribute(attribute, which)
                values = [resolve(filler.args, c.env) for c in copies]
                arguments = _arguments(scope, rows, filler, copies[0].env, values)
                if filler.name == "zeros" and "" in names:
                    continue  # a parameter is made of zeros
                line = _fill(filler, target, arguments)
                # torch types a convolution's bias as optional
                guarded = which == "bias" and layer.op.startswith("conv")
                lines.append(
                    If(ast.Compare(target, [ast.IsNot()], [ast.Constant(None)]), [line])
                    if guarded
                    else line
                )
        scope.unit.filled.update(map(id, copies))
        return lines

    def group_init(self, scope: Scope, bodies: Sequence[Body], attribute: ast.expr) -> list[Stmt]:
        """The same for the members of an nn.Sequential, where one rule holds for a kind.

        It is a loop over the modules.
        """
        inside = [list(_direct(b)) for b in bodies]
        every = [c for copies in inside for c in copies]
        if any(c.instance is not None for c in every) or not any(
            self.local.get(id(c)) for c in every
        ):
            return []
        leaves = [c for c in every if c.layer is not None and weights_of(c)]
        tests: list[If] = []
        done: list[Copy] = []
        for target in dict.fromkeys(_target(scope, c) for c in leaves):
            copies = [c for c in leaves if _is_met(_target(scope, c), target)]
            fillers = self.local.get(id(copies[0]))
            assert copies[0].layer is not None
            op = copies[0].layer.op
            if (
                not fillers
                or op in self.ruled
                or any(self.local.get(id(c)) is not fillers for c in copies)
            ):
                continue
            if any(v for f in fillers.values() for v in f.args.values() if isinstance(v, Expr)):
                continue
            body = list(self._rule_body(scope, self.roots, op, fillers, copies))
            tests.append(If(call("isinstance", ast.Name("module"), name(target)), body))
            done += copies
        _chained(tests)
        scope.unit.filled.update(map(id, done))
        return (
            [For("module", call(ast.Attribute(attribute, "modules")), [tests[0]])] if tests else []
        )

    # ------------------------------------------------------------ the network's constructor

    def root_init(self, scope: Scope) -> list[Stmt]:
        """The document's rules as a loop over modules, those of the files that it uses as others.

        Then what they cannot say, by name.
        """
        if not (self.rules or self.used or self.both):
            return []
        roots = self.roots
        leaves = list(_leaves(roots[0], "", {}))
        lines: list[Stmt] = []
        loops = [self._rule_loop(scope, roots, leaves, self.rules)]
        for path, called in self.used:  # a file speaks of what is in it, whoever uses it
            inside = list(_leaves(called, "", {}))
            loops.append(self._rule_loop(scope, roots, inside, called.init or {}, path))
        lines += [loop for loop in loops if loop is not None]
        done = scope.unit.filled.union(*(c.filled for c in scope.unit.whole.order))
        left = [(p, c, f) for p, c, init in leaves if id(c) not in done and (f := _said(c, init))]
        if not left:
            return lines
        paths = [{path: c for path, c, _ in _leaves(root, "", {})} for root in roots]
        fixed = all(set(p) == set(paths[0]) for p in paths)
        named: dict[str, tuple[Filler, dict[str, ast.expr], list[str]]] = {}
        for path, copy, fillers in left:
            for w in weights_of(copy):
                filler = fillers.get(w.part)
                if filler is None:
                    continue
                values = [
                    resolve(filler.args, p[path].env)
                    if path in p
                    else resolve(filler.args, copy.env)
                    for p in paths
                ]
                arguments = _arguments(scope, scope.rows, filler, roots[0].args, values)
                if w.name.startswith(REPARAMETRISED):
                    if w.name.endswith(("original", "original1")):  # of the weight's shape
                        lines.append(_by_module(filler, arguments, path, w.name))
                    continue
                key = render(_fill(filler, ast.Name("parameter"), arguments).value)
                named.setdefault(key, (filler, arguments, []))[2].append(
                    f"{path}.{w.name}" if w.name else path
                )
        for filler, arguments, found in named.values():
            lines += _by_name(filler, arguments, found, fixed)
        return lines

    def _rule_loop(
        self, scope: Scope, roots: Sequence[Instance], leaves: list[tuple[str, Copy, Init]],
        rules: Init, path: str = "",
    ) -> Stmt | None:  # fmt: skip
        """The loop over the modules at a path that does what the rules say."""
        tests: list[If] = []
        exact = any(c.layer is not None and c.layer.op == "attention" for _, c, _ in leaves)
        for op, fillers in rules.items():
            copies = [c for _, c, _ in leaves if c.layer is not None and c.layer.op == op]
            targets = dict.fromkeys(_target(scope, c) for c in copies)
            if op == "parameter" or not targets:
                continue
            own = (t for t in targets if not any(_is_met(t, u) for u in targets if u != t))
            kinds = [name(t) for t in own if t]
            kind = kinds[0]
            for k in kinds[1:]:
                kind = ast.BinOp(kind, ast.BitOr(), k)
            test: ast.expr = call("isinstance", ast.Name("module"), kind)
            if exact and op == "linear":
                # not the one inside attention
                test = ast.Compare(call("type", ast.Name("module")), [ast.Is()], [kinds[0]])
            body = list(self._rule_body(scope, roots, op, fillers, copies))
            alike = (t.test for t in tests if write(t.body, 0) == write(body, 0))
            twin = next((t for t in alike if isinstance(t, ast.Call)), None)
            if twin is not None and isinstance(test, ast.Call):
                twin.args[1] = ast.BinOp(twin.args[1], ast.BitOr(), test.args[1])
            elif body:
                tests.append(If(test, body))
        if not tests:
            return None
        _chained(tests)
        where: ast.expr = name(f"self.{path}".rstrip("."))
        if not path.isidentifier() and path:
            where = call("self.get_submodule", ast.Constant(path))
        return For("module", call(ast.Attribute(where, "modules")), [tests[0]])

    def _rule_body(
        self, scope: Scope, roots: Sequence[Instance], op: str, fillers: Fillers, copies: list[Copy]
    ) -> Iterator[Stmt]:
        names = [{w.name for w in weights_of(c) if not w.buffer} for c in copies]
        simple = all(
            n <= {"weight", "bias", "gain"} or _is_reparametrised(c)
            for n, c in zip(names, copies, strict=True)
        )
        for which, filler in fillers.items():
            values = [resolve(filler.args, r.args) for r in roots]
            arguments = _arguments(scope, scope.rows, filler, roots[0].args, values)
            normed = [_is_reparametrised(c) for c in copies]
            if which == "weight" and any(normed):
                weight = name("module.weight")
                line: Stmt = _assigned("module", weight, filler, arguments)
                if not all(normed):
                    has = call("hasattr", ast.Name("module"), ast.Constant("parametrizations"))
                    line = If(has, [line], [_fill(filler, weight, arguments)])
                yield line
                continue
            if not simple:
                test = ast.Compare(ast.Constant(which), [ast.In()], [ast.Name("name")])
                yield For(
                    "name, parameter",
                    call("module.named_parameters"),
                    [If(test, [_fill(filler, ast.Name("parameter"), arguments)])],
                )
                continue
            if not any(which in n for n in names):
                continue
            line = _fill(filler, name(f"module.{which}"), arguments)
            guarded = (which == "bias" and op.startswith("conv")) or not all(
                which in n for n in names
            )
            yield (
                If(
                    ast.Compare(name(f"module.{which}"), [ast.IsNot()], [ast.Constant(None)]),
                    [line],
                )
                if guarded
                else line
            )


def _arguments(
    scope: Scope, rows: Sequence[Row], filler: Filler, env: Mapping[str, Any],
    values: Sequence[Mapping[str, Any]],
) -> dict[str, ast.expr]:  # fmt: skip
    """The texts of a filler's arguments; `values` are what they are in each row."""
    return {
        k: scope.say(rows, scope.worked(v, rows[0], env), [worth[k] for worth in values], k)
        for k, v in filler.args.items()
    }


def _is_reparametrised(copy: Copy) -> bool:
    """Whether the weight is computed from others: then it is assigned, and they follow."""
    return any(w.name.startswith(REPARAMETRISED) for w in weights_of(copy))


def _assigned(
    module: str, like: ast.expr, filler: Filler, arguments: Mapping[str, ast.expr]
) -> Line:
    """`module.weight = nn.init.normal_(torch.empty_like(like))`."""
    return Line(_fill(filler, call("torch.empty_like", like), arguments).value, f"{module}.weight")


def _by_module(filler: Filler, arguments: Mapping[str, ast.expr], path: str, stored: str) -> Line:
    """The same for one module; `stored` is a parameter of the weight's shape."""
    like = call("self.get_parameter", ast.Constant(f"{path}.{stored}"))
    return _assigned(f'self.get_submodule("{path}")', like, filler, arguments)


def _by_name(
    filler: Filler, arguments: Mapping[str, ast.expr], paths: list[str], fixed: bool
) -> list[Stmt]:
    """Lines that set some parameters.

    Where the network's structure is an argument, those that are there.
    """
    if fixed and len(paths) == 1:
        return [_fill(filler, call("self.get_parameter", ast.Constant(paths[0])), arguments)]
    names: ast.expr = ast.Tuple([ast.Constant(p) for p in paths])
    if fixed:
        fill = _fill(filler, call("self.get_parameter", ast.Name("name")), arguments)
        return [For("name", names, [fill])]
    test = ast.Compare(ast.Name("name"), [ast.In()], [ast.Name("parameters")])
    fill = _fill(filler, ast.Subscript(ast.Name("parameters"), ast.Name("name")), arguments)
    known = Line(call("dict", call("self.named_parameters")), "parameters")
    return [known, For("name", names, [If(test, [fill])])]


def _chained(tests: list[If]) -> None:
    """One `if … elif …` of several; a guard that is all of a body joins its test."""
    for t in tests:
        only = t.body[0]
        if len(t.body) == 1 and isinstance(only, If) and not only.orelse:
            t.test, t.body = ast.BoolOp(ast.And(), [t.test, only.test]), only.body
    for before, after in pairwise(tests):
        before.orelse = [after]


def _said(copy: Copy, inherited: Init) -> Fillers | None:
    """What is said of an op's weights by what is around it."""
    return None if copy.layer is None else inherited.get(copy.layer.op) or inherited.get("*")


def weights_of(copy: Copy) -> tuple[Weight, ...]:
    """The weights of a leaf."""
    types: Any = types_of(copy)
    return copy.layer.weights(*types) if copy.layer is not None else ()


def _fill(filler: Filler, target: ast.expr, arguments: Mapping[str, ast.expr]) -> Line:
    of_torch = "" if filler.name in _OURS else "nn.init."
    if filler.name == "values":
        return Line(call("values_", target, call("torch.tensor", listed(arguments["val"]))))
    if [*arguments] == ["val"]:
        return Line(call("nn.init.constant_", target, arguments["val"]))
    return Line(call(f"{of_torch}{filler.name}_", target, **arguments))


def _direct(body: Body) -> Iterator[Copy]:
    """The leaves and calls of a body, those inside calls left out."""
    for occurrence in body.items:
        for c in occurrence.copies:
            if c is None:
                continue
            if not c.group:
                yield c
            for part in c.parts():
                yield from _direct(part)


def _is_met(own: str, target: str) -> bool:
    """Whether a loop over modules meets one of a class in what is of the class `own`.

    It may be derived from that; and attention holds a linear map.
    """
    if target == "nn.Linear" and own.endswith("Attention"):
        return True
    return own == target or (own in bases() and _is_met(bases()[own], target))


def _target(scope: Scope, copy: Copy) -> str:
    return scope.called(torch_call(copy, module=False).target)


def _leaves(root: Instance, prefix: str, above: Init) -> Iterator[tuple[str, Copy, Init]]:
    """Every leaf with its path and what items around it say of its initial values, in order."""
    stack: list[tuple[Body | Copy, str, Init]] = [(root.body, prefix, above)]
    while stack:
        found, path, rules = stack.pop()
        if isinstance(found, Copy):
            yield path, found, rules
            continue
        inside: list[tuple[Body | Copy, str, Init]] = []
        for occurrence in found.items:
            here = nearer(rules, occurrence.item.init) if occurrence.item.init else rules
            for c in occurrence.copies:
                if c is None or c.shared is not None:
                    continue
                inner = ".".join((path, *c.segments)) if path else ".".join(c.segments)
                called = c.instance and c.instance.init
                said = nearer(here, called) if here and called else here
                inside += ((part, at, said) for part, at in _inside(c, inner))
        stack += reversed(inside)


def _used(body: Body, path: str = "") -> Iterator[tuple[str, Instance]]:
    """The calls of files that have rules of their own, with their paths, outer ones first."""
    for c in body.copies():
        below = c.below()
        if c.shared is not None or not below:
            continue
        inner = ".".join(filter(None, (path, *c.segments)))
        if c.instance is not None and c.instance.init:
            yield inner, c.instance
        for part in below:
            yield from _used(part, ".".join(filter(None, (inner, part.segment))))


def _inside(copy: Copy, path: str) -> Iterator[tuple[Body | Copy, str]]:
    """What a copy holds, or itself when it is a leaf."""
    if copy.instance is not None:
        yield copy.instance.body, path
    elif copy.layer is not None and not copy.group:
        yield copy, path
    for part in copy.parts():
        yield part, ".".join(filter(None, (path, part.segment)))
