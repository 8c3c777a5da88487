"""Where the modules of a container are put while it is built."""

from __future__ import annotations

import ast

from archspec.emit.lowering.scope import Unit
from archspec.emit.syntax import Line, Stmt, call, name, names_in


class Positional:
    """Modules by position: an expression until something needs statements, then a list."""

    named = False

    def __init__(self, unit: Unit, hint: str) -> None:
        self.unit, self.hint = unit, hint
        self.elements: list[ast.expr] = []
        self.variable: str | None = None

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if self.variable is None:
            self.elements.append(element)
        else:
            into.append(Line(call(f"{self.variable}.append", element)))

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(names_in(e) & variables for e in self.elements)

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = self.unit.local(self.hint)
            into.append(Line(ast.List(self.elements), self.variable, "list[nn.Module]"))

    def finish(self) -> ast.expr:
        if self.variable is not None:
            return call("nn.Sequential", ast.Starred(name(self.variable)))
        return call("nn.Sequential", *self.elements)


class Named:
    """Modules by name."""

    named = True

    def __init__(self, unit: Unit, hint: str, attribute: bool = False) -> None:
        self.unit, self.hint, self.attribute = unit, hint, attribute
        self.elements: dict[str, ast.expr] = {}
        self.variable: str | None = None

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if self.variable is None and not (
            isinstance(text, ast.Constant) and str(text.value).isidentifier()
        ):
            self.open(into)
        if self.variable is None:
            assert isinstance(text, ast.Constant)
            self.elements[str(text.value)] = element
        else:
            into.append(Line(call(f"{self.variable}.add_module", text, element)))

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(
            names_in(e) & variables for e in self.elements.values()
        )

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = f"self.{self.hint}" if self.attribute else self.unit.local(self.hint)
            into.append(Line(call("nn.Sequential"), self.variable))
            for text, element in self.elements.items():
                into.append(Line(call(f"{self.variable}.add_module", ast.Constant(text), element)))

    def finish(self) -> ast.expr:
        if self.variable is not None:
            return name(self.variable)
        return call(
            "nn.Sequential",
            ast.Call(
                name("OrderedDict"), [], [ast.keyword(k, v) for k, v in self.elements.items()]
            ),
        )


class Own:
    """Modules that are attributes of the class itself."""

    named = True

    def add(self, text: ast.expr, element: ast.expr, into: list[Stmt]) -> None:
        if isinstance(text, ast.Constant) and str(text.value).isidentifier():
            into.append(Line(element, f"self.{text.value!s}"))
        else:
            into.append(Line(call("self.add_module", text, element)))

    def waits_for(self, variables: set[str]) -> bool:
        return False

    def open(self, into: list[Stmt]) -> None:
        """Statements are all it has."""


Sink = Positional | Named | Own
