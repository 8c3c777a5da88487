"""An error in the emitted text → the op of the graph, and so the item of the spec, that is meant.

    RuntimeError in `x = torch.unflatten(x, 1, (3, 64))`,      the `unflatten` of `layers.0.attn`
    line 41, of class Attention, run as `layers.0.attn`        at net.yaml:12:9

A module of an op is at the op's path. What is no module has no name in the text: it is the op that
has most words in common with the line.
"""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archspec.emit.reading import UnsafeTextError
from archspec.language import Item

if TYPE_CHECKING:
    from torch import nn

    from archspec.expand.graph import Graph, Node
    from archspec.network import Program

FILENAME = "<archspec "  # begins the name of an emitted file in tracebacks


def running(program: Program, module: nn.Module, failed: Exception) -> Node | None:
    """The op at which a call of the module failed."""
    graph, paths = program.graph, {id(m): path for path, m in module.named_modules()}
    path = ""  # of the module that was entered last
    for frame, _ in traceback.walk_tb(failed.__traceback__):
        path = paths.get(id(frame.f_locals.get("self")), path)
    owner = path
    while owner and owner not in graph:  # `attention1.out_proj` is torch's part of `attention1`
        owner = owner.rpartition(".")[0]
    if owner:
        return graph.at(owner)
    frames = [frame for frame, _ in _emitted(program.code, failed)]
    said = _outermost(frames[0], program.code) if frames else ""
    return _nearest(_inside(graph, path), said) or at(graph, path)


def line(program: Program, number: int) -> Node | None:
    """The op that a line of the emitted text is of."""
    said = program.code.splitlines()[number - 1]
    return _nearest(_of_class(program.graph, program.code, number), said)


def making(program: Program, failed: Exception) -> Node | None:
    """The op at which a constructor failed."""
    for frame, said in _emitted(program.code, failed):
        if found := _nearest(_of_class(program.graph, program.code, frame.lineno or 0), said):
            return found
    return None


def writing(program: Program, failed: Exception) -> Node | Item | None:
    """The op, or the item, at which the text could not be written."""
    if isinstance(failed, UnsafeTextError) and failed.line:
        said = failed.text.splitlines()[failed.line - 1]
        return _nearest(_of_class(program.graph, failed.text, failed.line), said)
    frames = [frame for frame, _ in traceback.walk_tb(failed.__traceback__)]
    for frame in reversed(frames):  # what emission was about when it failed
        for value in frame.f_locals.values():
            if isinstance(value, Item):
                return value
    return None


def at(graph: Graph, path: str) -> Node | None:
    """The op at a path, the first inside, or the one that is nearest around it."""
    steps = [node for node in graph.steps if node.layer is not None]
    while path:
        for node in steps:
            if node.path == path or node.path.startswith(f"{path}."):
                return node
        path = path.rpartition(".")[0]
    return None


# ------------------------------------------------------------------ the text


def _emitted(text: str, failed: Exception) -> Iterator[tuple[traceback.FrameSummary, str]]:
    """What of the emitted text was running, the innermost first, and its lines."""
    lines = text.splitlines()
    for frame in reversed(traceback.extract_tb(failed.__traceback__)):
        if frame.filename.startswith(FILENAME) and frame.lineno:
            yield frame, "\n".join(lines[frame.lineno - 1 : frame.end_lineno])


def _outermost(frame: traceback.FrameSummary, text: str) -> str:
    """What failed, without what it was called on: of `x.flatten(2).permute(1, 0)` the `permute`."""
    lines = text.splitlines()[(frame.lineno or 1) - 1 : frame.end_lineno]
    lines[-1] = lines[-1][: frame.end_colno]
    lines[0] = lines[0][frame.colno :]
    said = "\n".join(lines)
    try:
        tree = ast.parse(f"({said})", mode="eval").body
    except SyntaxError:  # Python did not say which part of the statement it was
        return said
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute):
        return f"{tree.func.attr} {[ast.unparse(a) for a in tree.args]}"
    return said


def _inside(graph: Graph, path: str) -> list[Node]:
    """The ops below a path that are no modules."""
    return [
        node
        for node in graph.steps
        if node.layer is not None
        and (not path or node.path.startswith(f"{path}."))
        and node.layer.call(*node.ins).target is None
    ]


def _of_class(graph: Graph, text: str, line: int) -> list[Node]:
    """The ops of the class that stands around a line; all where it is none of a block."""
    above = re.findall(r"^class (\w+?)\d*\(", "\n".join(text.splitlines()[:line]), re.MULTILINE)
    title = above[-1] if above else ""
    for scope in graph.scopes:
        if scope.kind == "block" and scope.title == title:
            return [n for n in graph.steps if n.path.startswith(f"{scope.path}.")]
    return [node for node in graph.steps if node.layer is not None]


def _nearest(nodes: Sequence[Node], said: str) -> Node | None:
    """The op that has most words in common with some text; the first of several."""
    words = set(re.findall(r"\w+", said)) - {"self", "nn", "torch", "x"}

    def common(node: Node) -> int:
        assert node.layer is not None
        call = node.layer.call(*node.ins)
        own = f"{call.target} {call.forward} {[a.value for a in (*call.args, *call.free)]}"
        own += "".join(f" {filler.name}_" for filler in (node.init or {}).values())
        name = node.path.rpartition(".")[2]
        return len(words & set(re.findall(r"\w+", own))) + 2 * (name in words)

    best = max(nodes, key=common, default=None)
    return best if best is not None and common(best) else None
