"""Named groups that are no chains → classes of their own.

    {id: up, body: [upsample: 2, concat: [prev, skip], conv: …]}      class Up(nn.Module):
                                                                          def forward(self, x, skip)

What the body reads from outside comes in, what is read of it outside goes out (`frames.py`). One
class serves all copies of an item, if what tells them apart can be arguments of it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.emit.lowering import links
from archspec.emit.lowering.calls import titles
from archspec.emit.lowering.classes import Plan, write_class
from archspec.emit.lowering.flow import Flow, Ghost, PlainError, Row, alike
from archspec.emit.lowering.members import camel, words_of
from archspec.emit.lowering.rows import input_of, may_be_named
from archspec.emit.lowering.scope import RESERVED, Classes, Info, Scope, Unit, bare
from archspec.emit.syntax import name, names_in, rebuilt
from archspec.expand.tree import Body, Copy, Value
from archspec.expressions import Loop
from archspec.expressions.sym import FAILURES, Sym, evaluate, written
from archspec.language import Item
from archspec.language.names import STRUCTURE


def _titled(path: tuple[str, ...]) -> str:
    """A class for what has no id, after what it stands in: `fuse.0` → `Fuse0`."""
    named = [k for k, segment in enumerate(path) if segment.isidentifier()]
    if not named or path[named[-1]].rstrip("0123456789") in STRUCTURE:
        return "Part"
    return camel(path[named[-1]]) + "".join(path[named[-1] + 1 :])


def outlined(
    scope: Scope, item: Item, pairs: list[tuple[Row, Any]], hint: str
) -> tuple[Info, list[list[Value]], list[list[Value]]]:
    """A class for a named group that is no chain.

    What its body reads from outside comes in as arguments.
    """
    info = _in_every_copy(scope, item, pairs)
    if info is None:
        path = scope.unit.whole.paths[id(pairs[0][1])]
        title = camel(hint) if hint.isidentifier() and hint not in STRUCTURE else _titled(path)
        info = _group(scope, item, pairs, title)
    captures, exports = _crossing(scope.unit.whole, [p for _, p in pairs])
    return info, captures, exports


def _crossing(whole: Classes, parts: list[Any]) -> tuple[list[list[Value]], list[list[Value]]]:
    """What comes in and what goes out in each row. Raises PlainError where that differs."""
    frames = [whole.frames[id(p)] for p in parts]
    captures = [list(f.captures.values()) for f in frames]
    exports = [list(f.exports.values()) for f in frames]
    if len({len(c) for c in captures}) > 1 or len({len(e) for e in exports}) > 1:
        raise PlainError("what crosses the group's edge differs between instances")
    return captures, exports


def _in_every_copy(scope: Scope, item: Item, pairs: list[tuple[Row, Any]]) -> Info | None:
    """One class for all copies of an item that a class makes one by one, if it can be."""
    unit = scope.unit
    if not all(isinstance(p, Copy) for _, p in pairs):
        return None
    if unit.copies is None:
        unit.copies = _copies(unit.parts)
    every = unit.copies[id(item)]
    if len(every) <= len(pairs):
        return None
    if id(item) not in unit.groups:
        whole, before = unit.whole, len(unit.whole.order)
        try:
            unit.groups[id(item)] = _wider(scope, item, every)
        except PlainError:
            whole.forget(before)
            unit.groups[id(item)] = None
    return unit.groups[id(item)]


def _wider(scope: Scope, item: Item, every: list[tuple[Row, Copy]]) -> Info:
    """The class of all copies: the columns that tell them apart are its arguments."""
    unit = scope.unit
    copies = [c for _, c in every]
    columns = _columns(unit, copies)
    turns = _turns(unit, copies, set(columns))
    steady = set(unit.potential) | set(unit.defined) | unit.shapes
    pairs: list[tuple[Row, Any]] = []
    for r, c in every:
        py = {n: v for n, v in r.py.items() if n in steady}
        py |= {n: bare(c.env[n]) for n in columns}
        py |= {n: getattr(c.env["loop"], n) for n in turns}
        pairs.append((Row(py, r.base, r.vals, r.seen), c))
    known = {**scope.names, **{n: name(n) for n in columns}}
    known |= {f"loop.{n}": name(n) for n in turns}
    wider = Scope(unit, known, scope.records)
    info = _group(wider, item, pairs, camel(words_of(item)))
    info.outer |= {n: f"loop.{n}" for n in turns}
    return info


def _group(scope: Scope, item: Item, pairs: list[tuple[Row, Any]], title: str) -> Info:
    """The class of a group in some rows."""
    whole, rows, parts = scope.unit.whole, [r for r, _ in pairs], [p for _, p in pairs]
    captures, exports = _crossing(whole, parts)
    taken = [[c[j] for c in captures] for j in range(len(captures[0]))]
    names = _input_names(rows[0], [values[0] for values in taken])
    own = {t for j, v in enumerate(captures[0]) for t in titles(names[j], j, v.type)}
    unit, inner, outer = _inside(scope, rows, own)
    unit.base = whole.frames[id(parts[0])].path
    unit.params = scope.unit.params | set(outer)
    within = [input_of(unit, inner, values, names[j], j) for j, values in enumerate(taken)]
    unit.space |= {n for n in unit.shapes & own if alike([r.py[n] for r in inner])}
    back: dict[str, Any] = {n: v for n, v in rows[0].py.items() if _steady(scope, rows, n)}
    back |= {old: Sym.of(new, 0) for new, old in outer.items()}
    records = {
        text: next(
            (w for w, vs in zip(within, taken, strict=True) if _holds_all(flow, rows, vs)), None
        )
        or _ghost(flow, unit, back)
        for text, flow in scope.records.items()
    }
    body = Scope(unit, _reachable(scope.names, back), records)
    body.rows = inner
    title = whole.free(title)
    info = Info(title, item, inputs=tuple(names), outer=outer)
    info.values = {id(p): r.py for p, r in zip(parts, inner, strict=True)}
    bodies = [p if links.merges(p) else links.body_of(p) for p in parts]
    outs = {str(j): [e[j] for e in exports] for j in range(len(exports[0]))}
    plan = Plan(body, list(zip(inner, bodies, strict=True)), captures, names, outs, item=item)
    try:
        write_class(plan, info)
        if unit.deciding & own & {p.name for p in info.parameters}:
            raise PlainError("a size decides what there is")
        _decided(scope.unit, {outer[n] for n in unit.deciding if n in outer})
    except PlainError as failed:
        whole.names.discard(title)
        raise PlainError(str(failed), (rows[b].base for b in failed.bases)) from failed
    return _twin(whole, info)


def _decided(around: Unit, names: set[str]) -> None:
    """What decides in a group is for the class around. Raises PlainError for its columns."""
    if names - set(around.potential) - set(around.defined):
        raise PlainError("a column decides what there is")
    around.deciding |= names


def _inside(scope: Scope, rows: list[Row], own: set[str]) -> tuple[Unit, list[Row], dict[str, str]]:
    """What the class of a group may be given: what is known where it stands, and differs.

    What is called as its own inputs' sizes are gets another name.
    """
    visible = [
        n
        for n in rows[0].py
        if n.isidentifier() and all(n in r.py for r in rows) and not _steady(scope, rows, n)
    ]
    outer: dict[str, str] = {}
    for n in visible:
        text = f"outer_{n.removeprefix('in_')}" if n in own else n
        while text in own or (text != n and text in visible):
            text += "_"
        outer[text] = n
    inner = [
        Row({new: r.py[old] for new, old in outer.items()}, k, {}, r.seen)
        for k, r in enumerate(rows)
    ]
    unit = Unit(scope.unit.whole, inner)
    unit.potential = dict.fromkeys(outer)
    unit.taken |= set(outer)
    for mine, theirs in (
        (unit.space, scope.unit.space), (unit.free, scope.unit.free),
        (unit.shapes, scope.unit.shapes),
    ):  # fmt: skip
        mine.update(new for new, old in outer.items() if old in theirs)
    unit.document, unit.args = scope.unit.document, scope.unit.args
    unit.real = sum(r.base < scope.unit.real for r in rows)
    return unit, inner, outer


def _twin(whole: Classes, info: Info) -> Info:
    """A class with the same text serves both."""
    for c in whole.order[whole.mark :]:
        if c.lines[1:] == info.lines[1:] and c.values and c.outputs == info.outputs:
            whole.names.discard(info.name)
            info.name = c.name
            c.filled |= info.filled
            return info
    whole.order.append(info)
    return info


def _copies(parts: list[tuple[Row, Body | Copy]]) -> dict[int, list[tuple[Row, Copy]]]:
    """The copies of each item in the parts of a class, by the item's id."""
    found: dict[int, list[tuple[Row, Copy]]] = defaultdict(list)
    for row, part in parts:
        stack = [part] if isinstance(part, Body) else [*part.parts()]
        while stack:
            for occurrence in stack.pop().items:
                for c in filter(None, occurrence.copies):
                    stack += c.parts()
                    if c.shared is None:
                        found[id(occurrence.item)].append((row, c))
    return found


def _columns(unit: Unit, copies: list[Copy]) -> list[str]:
    """The columns around an item that differ between its copies."""
    found = []
    for text, value in copies[0].env.items():
        values = [bare(c.env.get(text)) for c in copies]
        named = text not in unit.params and text not in unit.taken
        if named and may_be_named(bare(value)) and not alike(values):
            found.append(text)
    return found


def _turns(unit: Unit, copies: list[Copy], columns: set[str]) -> list[str]:
    """What of `loop` differs between an item's copies: whether it is the first of its repeat."""
    turns = [c.env.get("loop") for c in copies]
    if not all(isinstance(t, Loop) for t in turns):
        return []
    clashes = unit.taken | unit.params | columns
    free = [n for n in ("first", "last", "index", "serial") if n not in clashes]
    return [n for n in free if not alike([getattr(t, n) for t in turns])]


def _holds_all(flow: Flow | None, rows: list[Row], values: list[Value]) -> bool:
    """Whether a flow is what some values are, one a row."""
    return flow is not None and all(
        flow in r.vals.get(id(v), ()) for r, v in zip(rows, values, strict=True)
    )


def _steady(scope: Scope, rows: list[Row], text: str) -> bool:
    """Whether a name is worth the same in all rows: nothing tells that a text holds elsewhere."""
    return text not in scope.unit.space and alike([r.py.get(text) for r in rows])


def _ghost(flow: Flow | None, unit: Unit, back: Mapping[str, Any]) -> Flow | None:
    """An input of the class around, its sizes in the names that they have within."""
    if flow is None:
        return None
    found = Ghost([None] * len(flow.sizes))
    for a, size in enumerate(flow.sizes):
        found.sizes[a] = size
        if isinstance(size, Sym):
            try:
                worked = evaluate(size.tree, back)
            except FAILURES:
                worked = None
            found.sizes[a] = Sym(int(size), worked.terms) if isinstance(worked, Sym) else worked
    return found


def _reachable(names: Mapping[str, Any], back: Mapping[str, Any]) -> dict[str, Any]:
    """The author's names, in the names of the class within."""
    found = {}
    for text, tree in names.items():
        if isinstance(tree, ast.Name) and tree.id in back and not isinstance(back[tree.id], Sym):
            continue  # a number here
        new = {n: written(back[n]) for n in names_in(tree) if n in back}
        found[text] = rebuilt(tree, new.get) if new else tree
    return found


def _input_names(row: Row, values: Sequence[Value]) -> list[str]:
    """What the class of a group calls what it takes: as it is called around, else x1, x2."""
    names: list[str] = []
    for j, value in enumerate(values):
        known = [t for v in row.vals.get(id(value), ()) for t in (v.short, v.hint) if t]
        text = next((t for t in known if t not in names), "")
        names.append(
            text if text.isidentifier() and text not in RESERVED else f"x{j}" if j else "x"
        )
    return names
