"""Modules whose ids are dotted → members of a container that several items fill.

    - {id: convs.$i, conv: …}       self.convs = nn.ModuleList([nn.Conv2d(…), nn.Conv2d(…)])
    - {id: norms.$i, batch_norm: }  self.norms = nn.ModuleList([nn.BatchNorm2d(…), …])

What comes later, or under another condition than the container, is added to it (`add_module`).
"""

from __future__ import annotations

import ast

from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.scope import Condition, Container, Unit
from archspec.emit.lowering.sinks import Members, Site
from archspec.emit.syntax import Line, call, flat, name


def contained(site: Site, segments: tuple[str, ...], module: ast.expr) -> ast.expr:
    """A module in a container that others fill too: an nn.ModuleList where these are 0, 1, 2 …"""
    if not isinstance(site.sink, Members) or not site.sink.called:
        raise PlainError("a container in a chain")
    container, segment = segments[-2:]
    unit, target = site.scope.unit, f"self.{container}"
    around = tuple(unit.conditions)
    found = unit.containers.get(container)
    if found is None:
        elements = ast.List([])
        value = call("nn.ModuleList", elements) if segment == "0" else call("nn.Module")
        found = Container(elements, Line(value, target), site.init, around)
        unit.containers[container] = found
        site.init.append(found.line)
    if around[: len(found.conditions)] != found.conditions:
        _made_before(unit, found)
    size = len(found.elements.elts)
    if segment == str(size) and _is_made_here(site, found, around):
        found.elements.elts.append(module)
    else:
        site.init.append(Line(call(f"{target}.add_module", ast.Constant(segment), module)))
    if segment.isdigit() and int(segment) < len(found.elements.elts):
        return ast.Subscript(name(target), ast.Constant(int(segment)))
    return call("self.get_submodule", ast.Constant(f"{container}.{segment}"))


def _is_made_here(site: Site, found: Container, around: tuple[Condition, ...]) -> bool:
    """Whether the statement that makes a container has room for one more module."""
    if found.filled:
        return False
    there = any(s is found.line for s in site.init)
    return there or (bool(around) and around == found.conditions)


def _made_before(unit: Unit, found: Container) -> None:
    """Makes a container whatever holds, and adds to it where it was made under a condition."""
    target, modules = found.line.target, found.elements.elts
    first = (k for k, s in enumerate(unit.init) if any(part is found.line for part in flat([s])))
    empty = Line(call("nn.ModuleList" if modules else "nn.Module"), target)
    unit.init.insert(next(first, len(unit.init)), empty)
    at = next(k for k, s in enumerate(found.init) if s is found.line)
    found.init[at : at + 1] = [
        Line(call(f"{target}.add_module", ast.Constant(str(k)), module))
        for k, module in enumerate(modules)
    ]
    found.conditions, found.filled = (), True
