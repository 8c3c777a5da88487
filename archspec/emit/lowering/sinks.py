"""Where modules are put, and how forward reaches each: an attribute, an entry of a container.

Members     self.conv1 = nn.Conv2d(…)                   self.conv1
Positional  nn.Sequential(nn.Conv2d(…), …)              the container calls it
            nn.ModuleList([nn.Conv2d(…), …])            self.convs[0]
Named       nn.Sequential(OrderedDict(conv=…, …))       the container calls it
Written     self.get_submodule("a").add_module("b", …)  self.get_submodule("a.b")
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from archspec.emit.forward import Step
from archspec.emit.lowering.flow import PlainError
from archspec.emit.lowering.members import member, set_member
from archspec.emit.lowering.scope import Scope, Unit
from archspec.emit.syntax import Line, Stmt, call, name, names_in
from archspec.emit.text import render

PLACE = "nn.Identity()"  # of what is nothing, where those behind it go by number


class Sink:
    """What all have in common; `called`: forward calls the modules one by one."""

    called = True
    named = True
    variable: str | None = None  # where statements fill it

    def put(self, text: ast.expr, module: ast.expr, into: list[Stmt]) -> ast.expr | None:
        """Puts a module there; how forward reaches it."""
        raise NotImplementedError

    def reach(self, text: ast.expr) -> ast.expr:
        """How forward reaches the module that is put there next. Raises PlainError."""
        raise PlainError("a list of modules in a container that calls its own")

    def state(self) -> Any:
        """What `restore` takes: as it is now."""
        return None

    def restore(self, state: Any) -> None:
        """As it was then."""

    def waits_for(self, variables: set[str]) -> bool:
        """Whether what is not written yet reads some variables."""
        return False

    def open(self, into: list[Stmt]) -> None:
        """From now on statements fill it."""


class Members(Sink):
    """Attributes of the class; one that is an nn.Sequential calls them itself."""

    def __init__(self, unit: Unit, *, called: bool = True) -> None:
        self.unit, self.called = unit, called
        self.count = 0

    def put(self, text: ast.expr, module: ast.expr, into: list[Stmt]) -> ast.expr | None:
        word = str(text.value) if isinstance(text, ast.Constant) else ""
        if not word.isidentifier() and not self.called:
            into.append(Line(call("self.add_module", text, module)))
            return None
        self.unit.members.add(word)
        if word.isdigit():  # what is no module has its place, so that others keep theirs
            empty = range(self.count, int(word))
            into += [set_member(str(k), call("nn.Identity")) for k in empty]
            self.count = int(word) + 1
        if isinstance(module, ast.Call) or render(module) != f"self.{word}":
            into.append(set_member(word, module))
        return member(word)

    def reach(self, text: ast.expr) -> ast.expr:
        assert isinstance(text, ast.Constant)
        return member(str(text.value))


class Positional(Sink):
    """Modules by position: an expression until something needs statements, then a list.

    `listed`: what forward reaches them by, where it calls them one by one.
    """

    named = False

    def __init__(
        self, unit: Unit, hint: str, listed: ast.expr | None = None, kind: str = "nn.Sequential"
    ) -> None:
        self.unit, self.hint, self.listed, self.kind = unit, hint, listed, kind
        self.called = listed is not None
        self.elements: list[ast.expr] = []
        self.count = 0

    def put(self, text: ast.expr, module: ast.expr, into: list[Stmt]) -> ast.expr | None:
        self.count += 1
        if self.variable is None:
            self.elements.append(module)
        elif isinstance(module, ast.Starred):
            into.append(Line(call(f"{self.variable}.extend", module.value)))
        else:
            into.append(Line(call(f"{self.variable}.append", module)))
        return None if self.listed is None else self._at(self.count - 1)

    def reach(self, text: ast.expr) -> ast.expr:
        return self._at(self.count)

    def _at(self, index: int) -> ast.expr:
        """`self.blocks[0]`; of a list in a list, which has no type: by its path."""
        outer = self.listed
        assert outer is not None
        if isinstance(outer, ast.Call) and isinstance(outer.args[0], ast.Constant):
            path = f"{outer.args[0].value!s}.{index}"
            return ast.Call(outer.func, [ast.Constant(path)], [])
        if not isinstance(outer, ast.Subscript):
            return ast.Subscript(outer, ast.Constant(index))
        path = f"{render(outer.slice)}.{index}"
        return call(ast.Attribute(outer.value, "get_submodule"), ast.Constant(path))

    def state(self) -> Any:
        return self.variable, self.count, list(self.elements)

    def restore(self, state: Any) -> None:
        self.variable, self.count, self.elements = state

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(names_in(e) & variables for e in self.elements)

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = self.unit.local(self.hint)
            into.append(Line(ast.List(self.elements), self.variable, "list[nn.Module]"))
            self.elements = []  # they stand there now

    def fill(self, count: int, into: list[Stmt]) -> None:
        """What is no module has its place, so that the others keep theirs."""
        while self.count < count:
            self.put(ast.Constant(""), call("nn.Identity"), into)

    def trim(self) -> None:
        """Behind the last module nothing needs a place."""
        while self.elements and render(self.elements[-1]).removeprefix("*(").startswith(PLACE):
            self.elements.pop()
            self.count -= 1

    def took_back(self, module: ast.expr) -> bool:
        """Takes the last module back, if it is written as this one is."""
        same = self.variable is None and render(self.elements[-1]) == render(module)
        if same:
            self.elements.pop()
        return same

    def inside(self) -> list[ast.expr]:
        """The modules, as arguments of what holds them."""
        return self.elements if self.variable is None else [ast.Starred(name(self.variable))]

    def finish(self) -> ast.Call:
        """The container."""
        self.trim()
        if self.kind == "nn.Sequential":
            return call(self.kind, *self.inside())
        only = self.elements[0] if len(self.elements) == 1 else None
        if self.variable is not None:
            return call(self.kind, name(self.variable))
        if isinstance(only, ast.Starred):
            return call(self.kind, only.value)
        return call(self.kind, ast.List(self.elements))


class Named(Sink):
    """An nn.Sequential of modules by name; `target`: where it stands, if statements may fill it."""

    called = False

    def __init__(self, unit: Unit, hint: str, target: str = "") -> None:
        self.unit, self.hint, self.target = unit, hint, target
        self.elements: dict[str, ast.expr] = {}

    def put(self, text: ast.expr, module: ast.expr, into: list[Stmt]) -> ast.expr | None:
        if self.variable is not None:
            into.append(Line(call(f"{self.variable}.add_module", text, module)))
        elif isinstance(text, ast.Constant) and not str(text.value).isdigit():
            self.elements[str(text.value)] = module
        else:
            self.open(into)
            self.put(text, module, into)
        return None

    def state(self) -> Any:
        return self.variable, dict(self.elements)

    def restore(self, state: Any) -> None:
        self.variable, self.elements = state

    def waits_for(self, variables: set[str]) -> bool:
        return self.variable is None and any(
            names_in(e) & variables for e in self.elements.values()
        )

    def open(self, into: list[Stmt]) -> None:
        if self.variable is None:
            self.variable = self.target or self.unit.local(self.hint)
            into.append(Line(call("nn.Sequential"), self.variable))
            for text, element in self.elements.items():
                self.put(ast.Constant(text), element, into)

    def finish(self) -> ast.expr:
        """The container."""
        if self.variable is not None:
            return name(self.variable)
        if not self.elements:
            return call("nn.Sequential")
        if all(map(str.isidentifier, self.elements)):
            inside = [ast.keyword(k, v) for k, v in self.elements.items()]
            return call("nn.Sequential", ast.Call(name("OrderedDict"), [], inside))
        keys: list[ast.expr | None] = [ast.Constant(key) for key in self.elements]
        named = ast.Dict(keys, [*self.elements.values()])
        return call("nn.Sequential", call("OrderedDict", named))


@dataclass
class Written(Sink):
    """A group that is written out in the class around it: its members are reached by their paths.

    `base` is the group's path in its block, `module` where its members are in the class; `make`:
    they are made here (else they belong to the group whose weights are used again).
    """

    base: tuple[str, ...]
    module: tuple[str, ...]
    make: bool = True

    def put(self, text: ast.expr, module: ast.expr, into: list[Stmt]) -> ast.expr | None:
        """`text` holds the path of the member in its block."""
        assert isinstance(text, ast.Constant)
        path = (*self.module, *str(text.value).split(".")[len(self.base) :])
        what = _WORDS.get(render(module.func) if isinstance(module, ast.Call) else "", "submodule")
        if self.make:
            owner = call("self.get_submodule", ast.Constant(".".join(path[:-1])))
            into.append(_registered(owner, path[-1], module, what))
        return call(f"self.get_{what}", ast.Constant(".".join(path)))


_WORDS = {"nn.Parameter": "parameter", "nn.Buffer": "buffer"}


def _registered(owner: ast.expr, name: str, module: ast.expr, what: str) -> Stmt:
    """`owner.add_module("conv", nn.Conv2d(…))`; of a tensor `register_buffer`, `_parameter`."""
    given, keywords, how = module, {}, "add_module"
    if what != "submodule":
        how = f"register_{what}"
    if what == "buffer" and isinstance(module, ast.Call):
        given, keywords = module.args[0], {k.arg or "": k.value for k in module.keywords}
    return Line(call(ast.Attribute(owner, how), ast.Constant(name), given, **keywords))


@dataclass(slots=True)
class Site:
    """Where an item is lowered: what may be named there, where its modules go, what is written."""

    scope: Scope
    sink: Sink
    init: list[Stmt]  # statements of the constructor
    steps: list[Step]  # of forward

    def inside(self, scope: Scope | None = None, sink: Sink | None = None) -> Site:
        """The same, for statements that stand in others."""
        return Site(scope or self.scope, sink or self.sink, [], [])
