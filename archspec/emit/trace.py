"""Program → text: what lowering decided of each class, to look at.

Why does `Bottleneck` have an argument `stride: int = 1`, and none for the factor of its width?

    class Bottleneck: block `Bottleneck` at resnet.yaml:12:3

      stride: int = 1  argument: differs between instances: 1, 2
      expansion        fixed: 4 in all

      instance  stride  expansion
      layer1.0       1          4
      layer2.0       2          4
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from archspec.emit.lowering.network import Lowered, lower
from archspec.emit.lowering.scope import Info, Parameter
from archspec.emit.syntax import names_in
from archspec.emit.text import render
from archspec.expand.again import Again
from archspec.expand.tree import Body
from archspec.expressions import Expr
from archspec.language import REQUIRED, Block
from archspec.text.words import written

if TYPE_CHECKING:
    from archspec.expand.tree import Copy, Instance
    from archspec.language import Spec
    from archspec.text.faults import Loc

Table = Sequence[tuple[str, ...]]
_SHOWN = 6  # values of an argument beside it; the table has all


class Lowerable(Protocol):
    """What is to be known of a program."""

    name: str
    spec: Spec
    again: Again


class Use(NamedTuple):
    """An instance of a class: its place in the walk, its path, what every param is worth there."""

    number: int
    path: str
    values: Mapping[str, Any]


def lowered(program: Lowerable) -> str:
    """The classes in the order of the file: whose they are, their arguments, their instances."""
    root = program.again.root
    lowering = lower(program.again, program.name, program.spec.init, traced=True)
    places: dict[int, list[tuple[int, str]]] = {id(root): [(0, "the network")]}
    for number, (path, thing) in enumerate(_walk(root), 1):
        places.setdefault(id(thing), []).append((number, path))
    parts = []
    for info in lowering.order:
        uses = sorted(
            (
                Use(number, path, values)
                for key, values in info.values.items()
                for number, path in places.get(key, ())
            ),
            key=lambda use: use.number,
        )
        network = info is lowering.order[-1]
        reasons = _of_network(lowering, info) if network else _reasons(info, uses)
        parts.append(_class(program.spec, info, uses, reasons))
    return "\n".join(parts)


def _walk(root: Instance) -> Iterator[tuple[str, Instance | Copy | Body]]:
    """Whatever may have a class of its own, with its path, in the order of the text."""
    stack: list[tuple[str, Copy | Body]] = [("", root.body)]
    while stack:
        path, found = stack.pop()
        yield path, found
        inside: list[tuple[str, Copy | Body]]
        if isinstance(found, Body):
            inside = [(_joined(path, *copy.segments), copy) for copy in found.copies()]
        else:
            if found.instance is not None:
                yield path, found.instance
            inside = [(_joined(path, body.segment), body) for body in found.below()]
        stack += reversed(inside)


def _joined(*segments: str | None) -> str:
    return ".".join(filter(None, segments))


# ---------------------------------------------------------------- reasons


def _of_network(lowering: Lowered, info: Info) -> dict[str, str]:
    """Why each param of the network is an argument, or is none."""
    found = {param: f"fixed: {why}" for param, why in lowering.numbers.items()}
    first, *others = lowering.roots
    arguments = {p.name for p in info.parameters}
    for param in lowering.kept:
        tried = [o.args[param] for o in others if o.args[param] != first.args[param]]
        right = " and ".join(map(written, dict.fromkeys(tried))) or "other values"
        found[param] = f"argument: the class is right for {right} as well"
        if param not in arguments:
            found[param] = f"none: the class is the same for {right}"
    return {param: found[param] for param in first.args}


def _reasons(info: Info, uses: list[Use]) -> dict[str, str]:
    """Why each argument of a class is one, and each of its block's params that is none is not."""
    arguments = {p.name for p in info.parameters}
    declared = info.origin.params if isinstance(info.origin, Block) else {}
    found = {p: _argument(info, p, uses) for p in arguments}
    for param in declared:
        if param in info.defined and names_in(info.defined[param]):
            found[param] = f"computed: {render(info.defined[param])}"
        elif param not in arguments:
            values = _different(param, uses)
            alike = len(values) == 1
            found[param] = f"fixed: {values[0]} in all" if alike else "none: nothing reads it"
    return found


def _argument(info: Info, param: str, uses: list[Use]) -> str:
    values = _different(param, uses)
    if param in info.sized:
        why = "a size of what comes in"
    elif not isinstance(info.origin, Block):
        why = "the class around has it, and this one reads it"
    elif len(values) > 1:
        why = f"differs between instances: {', '.join(values[:_SHOWN])}"
        why += ", …" if len(values) > _SHOWN else ""
    elif param == info.lead:
        why = "what an instance is called with first"
    elif isinstance(info.origin.params.get(param, REQUIRED), Expr):
        why = "its default is computed"
    else:
        why = "the same in all instances, but it follows an argument of the network"
    return f"argument: {why}"


def _different(param: str, uses: list[Use]) -> list[str]:
    return list(dict.fromkeys(written(use.values.get(param)) for use in uses))


# ---------------------------------------------------------------- text


def _class(spec: Spec, info: Info, uses: list[Use], reasons: Mapping[str, str]) -> str:
    lines = [f"class {info.name}: {_origin(spec, info)}", ""]
    given = {p.name: p for p in info.parameters}
    params = [*given, *(p for p in reasons if p not in given)]
    if not params:
        return "\n".join([lines[0], ""])
    rows = [(_written(given.get(p), p), reasons.get(p, "")) for p in params]
    lines += _aligned(rows)
    return "\n".join([*lines, "", *_aligned(_table(params, uses), right=True), ""])


def _origin(spec: Spec, info: Info) -> str:
    origin = info.origin
    if not isinstance(origin, Block):
        return f"the `{origin.op}` at {_place(spec, origin.loc)}"
    if not origin.loc.path:
        return f"all of {origin.loc.file}"
    return f"block `{origin.name}` at {_place(spec, origin.loc)}"


def _place(spec: Spec, loc: Loc) -> str:
    source = spec.sources.get(loc.file)
    if source is None:
        return loc.file
    line, column = source.place(replace(loc, on_key=True))[:2]
    return f"{loc.file}:{line}:{column}"


def _written(parameter: Parameter | None, param: str) -> str:
    return param if parameter is None else parameter.text


def _table(params: list[str], uses: list[Use]) -> Table:
    head = ("instance", *params)
    return [head, *((u.path, *(written(u.values.get(p)) for p in params)) for u in uses)]


def _aligned(rows: Table, *, right: bool = False) -> list[str]:
    """Columns under each other; all but the first to the right where they are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            text.rjust(width) if right and k else text.ljust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
