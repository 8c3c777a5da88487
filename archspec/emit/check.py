"""The last gate: the text is parsed again, and only what emission writes may stand in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.emit.reading import Part, Reading, Several, UnsafeTextError
from archspec.layers.plugin import TORCH

_ALLOWED: tuple[type[ast.AST], ...] = (
    ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Import, ast.ImportFrom,
    ast.alias, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.If, ast.For,
    ast.Name, ast.Attribute, ast.Constant, ast.Call, ast.keyword, ast.Starred, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Dict, ast.Subscript,
    ast.Slice, ast.GeneratorExp, ast.ListComp, ast.comprehension, ast.JoinedStr, ast.FormattedValue,
    Several,  # each of its parts is looked at for itself
)  # fmt: skip
# Fields that hold words and numbers, or operators and contexts: of these every kind may stand.
_PLAIN = frozenset({
    "arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "level", "module", "op",
    "ops", "simple", "type_comment", "type_ignores",
})  # fmt: skip


def _parts(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a node in which other nodes stand."""
    if kind in (ast.alias, ast.Constant):
        return ()
    named = kind in (ast.ClassDef, ast.FunctionDef)
    return tuple(f for f in kind._fields if f not in _PLAIN and not (named and f == "name"))


_PARTS = {kind: _parts(kind) for kind in _ALLOWED}
_BINDS: dict[type[ast.AST], str] = {
    ast.ClassDef: "name",
    ast.FunctionDef: "name",
    ast.alias: "name",
    ast.arg: "arg",
}
_OUTERMOST = (
    ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip
_IMPORTS = {
    "math": (), "torch": ("Tensor", "nn"), "collections": ("OrderedDict",),
    "collections.abc": ("Sequence",),
    "typing": ("Self",),
    "torch.nn.utils.parametrizations": ("spectral_norm", "weight_norm"),
    "torchvision.ops": ("nms", "roi_align"),
}  # fmt: skip
_BUILTINS = frozenset(
    {
        "super", "hasattr", "range", "enumerate", "len", "max", "min", "abs", "int", "sum",
        "round", "list", "tuple", "dict", "isinstance", "type", "float", "bool", "str", "slice",
        "zip", "sorted",
    }
)  # fmt: skip
_NN_UNUSABLE = frozenset(
    {"modules", "utils", "parallel", "quantized", "qat", "intrinsic", "quantizable"}
)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the classes of a network's ops say that its file names beyond what archspec writes.

    `modules` of packages, by all of their name, and what the file calls each; `functions` of torch.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()

    @property
    def kinds(self) -> set[type[ast.AST]]:
        """Of the nodes that are to be asked about: mostly none."""
        kinds = ((self.modules, ast.ImportFrom), (self.functions, ast.Attribute))
        return {kind for names, kind in kinds if names}

    def binds(self, node: Any) -> list[str] | None:
        """The names that an allowed import gives a meaning, none that a function does."""
        if type(node) is ast.Attribute:
            if ast.unparse(node.value) in self.functions:
                raise UnsafeTextError(f"an attribute of {ast.unparse(node.value)}")
            return [] if ast.unparse(node) in self.functions else None
        if node.level:
            return None
        names = {f"{node.module}.{a.name}": a.asname or a.name for a in node.names}
        return list(names.values()) if names.items() <= self.modules.items() else None


class Gate:
    """Looks at each part of a text before anybody else sees it, and in the end at all that is left.

    Raises UnsafeTextError on a node or a name that emission does not use, and on no Python.
    """

    def __init__(self, text: str, declared: Declared = Declared()) -> None:
        self.text, self.declared = text, declared
        self.used: dict[str, int] = {}  # names that are read, with a line where each is
        self.bound: set[str] = set()  # and those that are given a meaning
        self.reading = Reading(text, self._look)

    def close(self) -> None:
        """To be called once the text is to be used."""
        self.reading.rest()
        self.reading.kept.clear()  # it lives on: it and this hold each other
        unknown = self.used.keys() - self.bound - _BUILTINS
        if unknown:
            first = min(unknown)
            said = f"the name {first} in the emitted text"
            raise UnsafeTextError(said, self.used[first], self.text)

    def _look(self, part: Part) -> None:
        try:
            for node in part.nodes if part.outermost else ():
                if not isinstance(node, _OUTERMOST) and not _is_docstring(node):
                    said = f"{type(node).__name__} outside of any class"
                    raise UnsafeTextError(said, node.lineno)
            _walk(part, self.declared, self.used, self.bound)
        except UnsafeTextError as unsafe:
            unsafe.line, unsafe.text = unsafe.line + part.above, self.text
            raise


def verify(text: str, declared: Declared = Declared()) -> Reading:
    """The text, parsed and looked at. Raises UnsafeTextError."""
    gate = Gate(text, declared)
    gate.close()
    return gate.reading


def _walk(part: Part, declared: Declared, used: dict[str, int], bound: set[str]) -> None:
    """Adds the names that are read, with a line where each is, and those that get a meaning."""
    special = declared.kinds
    stack: list[Any] = [*part.nodes]  # depth first: what was just made is still at hand
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind in special and (names := _bound(node, declared)) is not None:
            bound.update(names)
            continue
        if kind in _RULES or kind not in _PARTS:
            _examine(node)
        for text in _PARTS[kind]:
            inner = getattr(node, text)
            if type(inner) is list:
                stack += inner if None not in inner else filter(None, inner)
            elif inner is not None:
                stack.append(inner)
        if kind is ast.Name:
            if type(node.ctx) is ast.Store:
                bound.add(node.id)
            else:
                used[node.id] = part.above + node.lineno
        elif kind in _BINDS:
            bound.add(getattr(node, _BINDS[kind]))


def _bound(node: ast.AST, declared: Declared) -> list[str] | None:
    """What a declared import binds. Raises UnsafeTextError, which knows the line."""
    try:
        return declared.binds(node)
    except UnsafeTextError as unsafe:
        unsafe.line = getattr(node, "lineno", 0)
        raise


def _examine(node: ast.AST) -> None:
    """Raises UnsafeTextError, which knows the line, on what may not stand in the text."""
    kind = type(node)
    try:
        if kind not in _PARTS:
            raise UnsafeTextError(f"{kind.__name__} in the emitted text")
        _RULES[kind](node)
    except UnsafeTextError as unsafe:
        unsafe.line = getattr(node, "lineno", 0)
        raise


def _is_docstring(node: ast.stmt) -> bool:
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


def _import(node: ast.Import) -> None:
    for a in node.names:
        if a.asname is not None or a.name not in ("functools", "math", "torch"):
            raise UnsafeTextError(f"`import {a.name}` in the emitted text")


def _import_from(node: ast.ImportFrom) -> None:
    if node.level or any(
        a.asname or a.name not in _IMPORTS.get(node.module or "", ()) for a in node.names
    ):
        raise UnsafeTextError(f"an import from {node.module} in the emitted text")


def _name(node: ast.Name) -> None:
    if node.id.startswith("__"):
        raise UnsafeTextError(f"the name {node.id} in the emitted text")
    if isinstance(node.ctx, ast.Store) and node.id in ("torch", "nn", "math", "Tensor", "super"):
        raise UnsafeTextError(f"{node.id} gets a new meaning in the emitted text")


def _attribute(node: ast.Attribute) -> None:
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    unknown = (module == "torch" and node.attr not in TORCH) or (
        module == "nn" and node.attr in _NN_UNUSABLE
    )
    if unknown or (node.attr.startswith("__") and node.attr != "__init__"):
        raise UnsafeTextError(f"the attribute {node.attr} in the emitted text")


def _definition(node: ast.FunctionDef | ast.ClassDef) -> None:
    if node.decorator_list:
        raise UnsafeTextError("a decorator in the emitted text")


def _formatted(node: ast.FormattedValue) -> None:
    if node.conversion != -1 or node.format_spec is not None:
        raise UnsafeTextError("a conversion in the emitted text")


_RULES: dict[type[ast.AST], Callable[[Any], None]] = {
    ast.Import: _import, ast.ImportFrom: _import_from, ast.Name: _name,
    ast.Attribute: _attribute, ast.FunctionDef: _definition, ast.ClassDef: _definition,
    ast.FormattedValue: _formatted,
}  # fmt: skip
