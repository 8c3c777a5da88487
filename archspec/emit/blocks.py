"""Blocks → classes: one for all instances of a block where that holds, else one for each kind."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.engine import (
    Group,
    Part,
    Section,
)
from archspec.emit.explain import (
    Row,
    UnprovableError,
    Var,
    define,
    holds,
    translate,
)
from archspec.emit.frames import Frames
from archspec.emit.inits import Inits
from archspec.emit.text import render
from archspec.emit.torch_code import taken
from archspec.emit.unit import ClassInfo, Parameter, Unit, plain
from archspec.expand.tree import Body, Instance
from archspec.expressions import Expr
from archspec.language import REQUIRED, Block


@dataclass(eq=False)
class Blocks(Section):
    """The part of the lowering that finds the instances which one class can serve."""

    inits: Inits

    def collect(self) -> None:
        by_block: dict[int, list[Instance]] = {}
        seen: set[int] = set()
        for root in self.whole.roots:
            stack = [root]
            while stack:
                instance = stack.pop()
                if id(instance) in seen:
                    continue
                seen.add(id(instance))
                crossing = Frames(instance)
                self.whole.frames.update(crossing.of)
                self.whole.consumers.update(crossing.consumers)
                self.whole.paths.update(crossing.paths)
                self.inits.learn(instance)
                by_block.setdefault(id(instance.block), []).append(instance)
                stack += _called(instance.body)
        for instances in by_block.values():
            group = Group(instances)
            for i in instances:
                self.whole.group_of[id(i)] = group

    def class_of(self, instances: Sequence[Instance]) -> ClassInfo:
        """The one class that serves these instances.

        Raises UnprovableError when they need several.
        """
        while True:
            groups = {id(g): g for g in (self.whole.group_of[id(i)] for i in instances)}
            if len(groups) > 1:
                raise UnprovableError("the calls need different classes")
            group = next(iter(groups.values()))
            if group.info is not None:
                return group.info
            self._write_group(group)

    def _write_group(self, group: Group) -> None:
        block = group.instances[0].block
        title = self.free(block.name)
        before = len(self.whole.order)
        group.busy = True
        mark, self.whole.mark = self.whole.mark, before
        try:
            group.info = self._guess(group, title)
            for _ in range(8):
                known = _signature(group.info)
                self._forget(before)
                info = self._block_class(group, title)
                group.info = info
                if _signature(info) == known:
                    break
            else:
                raise UnprovableError("the recursive call's arguments do not settle")
        except UnprovableError:
            self.whole.mark = mark
            group.info, group.busy = None, False
            self._forget(before)
            self.whole.class_names.discard(title)
            if len(group.instances) == 1:
                raise
            self._divide(group)
            return
        self.whole.mark = mark
        group.busy = False
        self.whole.order.append(group.info)
        self.whole.finished.update(id(c) for c in self.whole.order[before:])

    def _forget(self, before: int) -> None:
        """Drops the classes that a failed try has written, but not those of finished blocks."""
        dropped = [c for c in self.whole.order[before:] if id(c) not in self.whole.finished]
        self.whole.class_names -= {c.name for c in dropped}
        self.whole.order[before:] = [
            c for c in self.whole.order[before:] if id(c) in self.whole.finished
        ]

    def _divide(self, group: Group) -> None:
        """Splits a group that no one class serves: by structure, by kinds of layer, or singly."""
        parts: dict[Any, list[Instance]] = {}
        for rule in (_structure, _kinds, id):
            parts = {}
            for i in group.instances:
                parts.setdefault(rule(i), []).append(i)
            if len(parts) > 1:
                break
        for instances in parts.values():
            part = Group(instances)
            for i in instances:
                self.whole.group_of[id(i)] = part

    def _guess(self, group: Group, title: str) -> ClassInfo:
        """What a recursive call may assume of a class that is not written yet."""
        first = group.instances[0]
        block = first.block
        rows = [self._block_row(i, n) for n, i in enumerate(group.instances)]
        unit = self.unit(rows, group.instances)
        info = ClassInfo(title, block, declared=tuple(block.params), lead=lead_of(block.params))
        info.parameters = [
            Parameter(p, "int")
            for p in unit.potential
            if p in block.params or p.endswith("_channels")
        ]
        info.values = {id(i): r.py for i, r in zip(group.instances, rows, strict=True)}
        info.outputs = tuple(first.outputs)
        for out in first.outputs:
            values = [i.outputs[out] for i in group.instances]
            info.axes.append(_guess_axes(values, rows, block.params))
        return info

    def _block_row(self, instance: Instance, base: int) -> Row:
        py = {k: plain(v) for k, v in instance.args.items()}
        return Row(py, {}, base)

    def unit(self, rows: list[Row], instances: Sequence[Instance], root: bool = False) -> Unit:
        block = instances[0].block
        declared = (
            list(self.whole.kept) if root else [p for p in block.params if _varies(p, block, rows)]
        )
        for p in block.params:
            values = [r.py.get(p) for r in rows]
            if any(isinstance(v, float) for v in values):
                for r in rows:
                    if type(r.py.get(p)) is int:
                        r.py[p] = float(r.py[p])
        names: dict[str, ast.expr] = {p: ast.Name(p) for p in declared}
        if root:
            for r in rows:
                r.py = {p: v for p, v in r.py.items() if p in declared}
        unit = Unit(rows, names, {}, dict.fromkeys(declared), fixed=root)
        for j, (text, _) in enumerate(instances[0].inputs.items()):
            values = [list(i.inputs.values())[j] for i in instances]
            unit.scope.records = {
                **unit.scope.records,
                text: self.input(unit, rows, values, text, j, root),
            }
        return unit

    def input(
        self, unit: Unit, rows: list[Row], values: list[Any], text: str, place: int, root: bool
    ) -> Var:
        shapes = [v.type.shape if v is not None and v.type else () for v in values]
        rank = len(shapes[0])
        if any(len(s) != rank for s in shapes):
            raise UnprovableError("the inputs differ in rank")
        var = Var([None] * rank, text)
        define(rows, values, var)
        if root or not rank:
            return var
        prefix = "in" if place == 0 else text
        for axis, word in ((0, "channels"), (-1, "features")) if rank > 1 else ((0, "features"),):
            title = f"{prefix}_{word}"
            if title in unit.potential:
                continue
            unit.potential = (
                {title: None, **unit.potential} if place == 0 else {**unit.potential, title: None}
            )
            unit.taken.add(title)
            unit.why[title] = f"read off the input `{text}`"
            for row, shape in zip(rows, shapes, strict=True):
                row.py[title] = shape[axis]
            var.axes[axis] = ast.Name(title)
        return var

    def _block_class(self, group: Group, title: str) -> ClassInfo:
        block = group.instances[0].block
        rows = [self._block_row(i, n) for n, i in enumerate(group.instances)]
        unit = self.unit(rows, group.instances)
        self._computed(unit, rows, block)
        parts = [Part(r, i.body) for r, i in zip(rows, group.instances, strict=True)]
        inputs = [list(i.inputs.values()) for i in group.instances]
        info = ClassInfo(title, block, declared=tuple(block.params), lead=lead_of(block.params))
        info.values = {id(i): r.py for i, r in zip(group.instances, rows, strict=True)}
        outputs = {n: [i.outputs[n] for i in group.instances] for n in group.instances[0].outputs}
        if any(set(i.outputs) != set(outputs) for i in group.instances):
            raise UnprovableError("the outputs differ")
        defaults = _defaults(block.params, info)
        self.whole.write_class(
            unit,
            info,
            parts,
            inputs,
            list(block.inputs),
            outputs,
            defaults,
            group.instances[0].training,
        )
        return info

    def _computed(self, unit: Unit, rows: list[Row], block: Block) -> None:
        """Params whose default is an expression that is right everywhere are no arguments."""
        for p, default in block.params.items():
            if block.inherited[p]:  # its names are not the class's
                continue
            for candidate in translate(default, unit.scope.names, unit.scope.records)[:1]:
                if holds(candidate, rows, [r.py[p] for r in rows]):
                    unit.defined[p] = candidate
                    unit.potential.pop(p, None)

    def free(self, title: str) -> str:
        text, number = title, 2
        while text in self.whole.class_names or text == self.whole.title or text in taken():
            text, number = f"{title}{number}", number + 1
        self.whole.class_names.add(text)
        return text


def lead_of(params: Any) -> str:
    required = [p for p, d in params.items() if d is REQUIRED]
    if required and (len(required) == 1 or required[0] == "out"):
        return str(required[0])
    return ""


def _varies(param: str, block: Block, rows: Sequence[Row]) -> bool:
    """Whether a block's param is worth an argument.

    It is the leading one, has a default that is computed, or differs between instances.
    """
    values = [r.py.get(param) for r in rows]
    return (
        param == lead_of(block.params)
        or any(v != values[0] for v in values)
        or (isinstance(block.params[param], Expr) and not block.inherited[param])
    )


def _defaults(params: Any, info: ClassInfo) -> dict[str, Any]:
    """The declared defaults that are plain values, as floats where any instance has a float."""
    found: dict[str, Any] = {}
    for p, d in params.items():
        if isinstance(d, (int, float, bool, str)) and d is not REQUIRED:
            mixed = type(d) is int and any(
                isinstance(v.get(p), float) for v in info.values.values()
            )
            found[p] = float(d) if mixed else d
    return found


def _signature(info: ClassInfo) -> Any:
    return [(p.name, p.default) for p in info.parameters], [
        [render(a) if a is not None else None for a in axes] for axes in info.axes
    ]


def _guess_axes(values: list[Any], rows: list[Row], params: Iterable[str]) -> list[ast.expr | None]:
    if isinstance(values[0], tuple) or values[0] is None or values[0].type is None:
        return []
    rank = len(values[0].type.shape)
    axes: list[ast.expr | None] = [None] * rank
    for p in params:
        if all(
            v.type is not None and len(v.type.shape) == rank and r.py.get(p) == v.type.shape[0]
            for v, r in zip(values, rows, strict=True)
        ):
            axes[0] = ast.Name(p)
            break
    return axes


def _called(body: Body) -> list[Instance]:
    found: list[Instance] = []
    stack = [body]
    while stack:
        for c in stack.pop().copies():
            if c.instance is not None:
                found.append(c.instance)
            stack += c.parts()
    return found


def _structure(instance: Instance) -> Any:
    ranks = tuple(len(v.type.shape) if v.type else 0 for v in instance.inputs.values())
    return _shape_of(instance.body, ranks)


def _kinds(instance: Instance) -> Any:
    """What torch calls the layers of a block's body."""
    return tuple(_kinds_of(instance.body))


def _kinds_of(body: Body) -> Iterable[str | None]:
    for c in body.copies():
        if c.layer is not None and not c.group:
            yield c.layer.call(*c.types).target
        for part in c.parts():
            yield from _kinds_of(part)


def _shape_of(body: Body, ranks: tuple[int, ...]) -> Any:
    """The structure of a body without its numbers: what one class can serve."""
    out: list[Any] = [ranks]
    for occurrence in body.items:
        for c in occurrence.copies:
            if c is None:
                out.append(None)
                continue
            out.append(
                (
                    c.segments,
                    type(c.layer).__name__,
                    len(c.ins),
                    c.plain,
                    tuple(len(v.type.shape) if v is not None and v.type else 0 for v in c.ins),
                )
            )
            out += [_shape_of(b, ()) for b in c.parts()]
    return tuple(out)
