"""Emitted text → what it does: an abstract machine for the Python that emission writes.

Constructors run on plain numbers and leave modules (`made.py`); `forward` runs on terms
(`terms.py`). Nothing is executed, and what is not known here is refused.

    self.conv = nn.Conv2d(3, 4 * width, 1)      a Leaf, its arguments worked out, at "conv"
    x = torch.cat([self.conv(x), x], 1)         x is the term of all that

What a call of a member gives is asked of a `Run`, which knows the graph (`running.py`).
"""

from __future__ import annotations

import ast
import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce
from itertools import pairwise
from typing import Any, Protocol

from archspec.emit.proof.made import (
    ASLEEP,
    FREEZE,
    Box,
    Class,
    Fill,
    Fresh,
    Function,
    Leaf,
    Looped,
    LoopedType,
    LoopedWeight,
    Made,
    Ref,
    Seen,
    Super,
    Weight,
    kinds,
)  # fmt: skip
from archspec.emit.proof.terms import Bound, Dotted, Refused, Term, Terms, frozen, named, unknown
from archspec.emit.reading import Part, Reading, Several
from archspec.layers.base import TENSORS, TIED
from archspec.layers.registry import REGISTRY, ops_of

_SAFE: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        range, enumerate, len, max, min, abs, int, sum, round, list, tuple, dict, float, bool, str,
        slice, zip, sorted,
    )
}  # fmt: skip
_OF_MODULES = {f.__name__: f for f in (super, isinstance, type, hasattr)}
_TAKE_ANY = frozenset({enumerate, zip, list, tuple, dict, len})
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}  # fmt: skip
_BROADCAST = {ast.Add, ast.Sub, ast.Mult, ast.Div}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_PLAIN = frozenset({int, float, bool, str, type(None), tuple, list, range, dict, OrderedDict})
_CONTAINERS = frozenset({"nn.Sequential", "nn.ModuleList", "nn.Module"})
_WRAPS = TENSORS | {"weight_norm", "spectral_norm"}
_ADDS = frozenset({"add_module", "register_parameter", "register_buffer"})
_METHODS = frozenset({
    *_ADDS, "modules", "named_parameters", "get_submodule", "get_parameter", "get_buffer",
    "requires_grad_", "train", "eval",
})  # fmt: skip
_GENERIC = frozenset({"list", "tuple", "dict", "type", "Sequence"})
_TYPES = frozenset({"int", "float", "bool", "str", "Tensor", "Self"})
_SHORT = frozenset({
    "torch", "collections", "typing", "torch.nn.utils.parametrizations", "torchvision.ops",
})  # fmt: skip


class Run(Protocol):
    """A run of forward: what members compute is known there. `asked`: it read `training`."""

    terms: Terms
    training: bool
    asked: bool

    def call(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any: ...

    def parameter(self, ref: Ref) -> Term: ...


class Frame:
    """A call that runs: its names, and the module that is made or the run of forward.

    `guarded` are the weights that a line asked for before it fills them, `above` the lines of the
    text above those that run.
    """

    __slots__ = ("above", "guarded", "made", "names", "run")

    def __init__(self, names: dict[str, Any], made: Box | None = None, run: Any = None) -> None:
        self.names, self.made, self.run, self.above = names, made, run, 0
        self.guarded: set[Weight] = set()


class Named:
    """`dict(self.named_parameters())`: which there are is known when the weights are."""

    def __init__(self, ref: Ref, frame: Frame) -> None:
        self.ref, self.frame = ref, frame

    def __contains__(self, name: str) -> bool:
        self.frame.guarded.add(self.ref.weight(name))
        return True


class Machine:
    """The text as definitions, and how they run.

    `opaque` says of a class or function whether it is one that stands above the networks' classes.
    """

    def __init__(self, reading: Reading, opaque: Callable[[Any, int], bool]) -> None:
        self.reading = reading
        self.globals: dict[str, Any] = {**_SAFE, **_OF_MODULES}
        self.globals |= {"torch": Dotted("torch"), "nn": Dotted("nn")}  # layers' templates say them
        self.last: Class | None = None
        self.leaves: dict[Any, Leaf] = {}  # by what they are made of: equal ones are one
        self.boxes: dict[Any, Box] = {}  # by class and arguments
        self.dotted: dict[tuple[str, str], Dotted] = {}
        for above, nodes, _ in reading.outermost():
            for node in nodes:
                self._define(node, above, opaque)

    def _define(self, node: ast.stmt, above: int, opaque: Callable[[Any, int], bool]) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node, above, opaque(node, above))
        elif isinstance(node, ast.FunctionDef):
            opaque(node, above)
            self.globals[node.name] = self._function(node, above)
        else:
            self.statement(node, Frame(self.globals))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = node.module if isinstance(node, ast.ImportFrom) else "torch"
        for alias in node.names:
            name = alias.name.partition(".")[0]
            dotted = Dotted(name if module in _SHORT else f"{module}.{name}")
            self.globals[alias.asname or name] = dotted

    def _class(self, node: ast.ClassDef, above: int, opaque: bool) -> None:
        first = node.bases and (opaque or len(node.bases) == 1)  # all of them is one torch class
        base = ast.unparse(node.bases[0]) if first else ""
        if not opaque and base not in _CONTAINERS:
            raise unknown(f"a class {node.name} that is a {base}")
        own = [] if opaque else [n for n in node.body if isinstance(n, ast.FunctionDef)]
        methods = {n.name: self._method_of(n, above) for n in own}
        self.last = Class(node.name, base, methods, opaque)
        self.globals[node.name] = self.last

    def _method_of(self, node: ast.FunctionDef, above: int) -> Function:
        """A method; what its defaults name is there, because it is read when the class is."""
        found = self._function(node, above)
        for value in found.defaults.values():
            torchs = type(value) is Dotted and value.name.startswith("nn.")
            if torchs and value.name not in _activations():
                raise unknown(f"a default of {node.name}, {value.name}")
        return found

    def _function(self, node: ast.FunctionDef, above: int) -> Function:
        names: list[str] = []
        defaults: dict[str, Any] = {}
        for part in self.reading.signature(node, above):
            (given,) = part.nodes
            if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs:
                raise unknown(f"the signature of {node.name}")
            for annotation in (node.returns, *(a.annotation for a in given.args)):
                if not _is_type(annotation):  # it is read when the function is defined
                    raise unknown(f"a type of {node.name}")
            names += [a.arg for a in given.args]
            last = names[len(names) - len(given.defaults) :]
            worth = [self.value(default, Frame({})) for default in given.defaults]
            defaults.update(zip(last, worth, strict=True))
        if len(set(names)) < len(names):
            raise unknown(f"the signature of {node.name}")
        tensor = node.returns is not None and ast.unparse(node.returns) == "Tensor"
        return Function(node.name, names, defaults, tensor, self.reading.body(node, above))

    # ------------------------------------------------------------ calls of what the text defines

    def make(self, cls: Class, args: list[Any], kwargs: dict[str, Any]) -> Made:
        """A module of a class; the same arguments make the same."""
        if cls.opaque:
            return Made(self.leaf(cls.name, args, kwargs))
        key = cls, frozen([*enumerate(args), *sorted(kwargs.items())])
        box = self.boxes.get(key)
        if box is None:
            box = self.boxes[key] = Box(cls.base, cls)
            try:
                self._construct(cls, [Ref("", box), *args], kwargs)
            except Refused as refused:
                refused.whose = refused.whose or cls.name
                raise
        return Made(box)

    def _construct(self, cls: Class, args: list[Any], kwargs: dict[str, Any]) -> None:
        box, init = args[0].it, cls.methods.get("__init__")
        if init is None:
            box.fill(args[1:])
        else:
            self.call(init, args, kwargs, Frame({}, box))
        box.done = True
        if "train" in cls.methods:
            self._asleep(cls, box)

    def _asleep(self, cls: Class, box: Box) -> None:
        """What a `train` of the class's own leaves in evaluation mode: from the start on, too."""
        train, init = cls.methods["train"], cls.methods.get("__init__")
        first, *rest = train.body()
        called, *after = first.nodes
        said = (train.names, ast.unparse(called), _end(train))
        begins = init is not None and _end(init) == "self.train()"
        if said != (["self", "mode"], "super().train(mode)", "return self") or not begins:
            raise unknown("a train() of another form")
        parts = [Part(first.above, after), *rest]
        self.run(parts, Frame({"self": Ref("", box), "mode": True}, box))

    def leaf(self, target: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Leaf:
        return self._known(Leaf(target, tuple(args), kwargs))

    def _known(self, made: Leaf) -> Leaf:
        """One object for all leaves that are made alike."""
        how = (frozen(made.values), named(made.kwargs), made.wrap, made.persistent)
        return self.leaves.setdefault((made.target, *how), made)

    def call(
        self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any], frame: Frame
    ) -> Any:
        """What a function of the text returns; it runs in the frame, which is new."""
        names = frame.names
        given = dict(zip(func.names, args, strict=False))
        if len(args) > len(func.names) or not kwargs.keys() <= set(func.names) - given.keys():
            raise Refused(f"gives {func.name} other arguments than it takes")
        names.update(given, **kwargs)
        for name in func.names:
            if name not in names:
                if name not in func.defaults:
                    raise Refused(f"does not give {func.name} its {name}")
                names[name] = func.defaults[name]
        returned = self.run(func.body(), frame)
        return None if returned is None else returned[0]

    def looped(self, fill: Fill, seen: Seen) -> dict[str, Any]:
        """What a loop over modules does with one: the function that fills each weight, by name."""
        assert fill.loop is not None
        node, names, above = fill.loop
        module = Looped(seen, {})
        frame = Frame(dict(names))
        frame.above = above
        self.store(node.target, module, frame)
        self.block(node.body, frame)
        return module.fills

    # ------------------------------------------------------------ statements

    def run(self, parts: Iterable[Part], frame: Frame) -> list[Any] | None:
        """Runs what stands in a function; what is returned, in a list, where it returns."""
        for part in parts:
            frame.above = part.above
            returned = self.block(part.nodes, frame)
            if returned is not None:
                return returned
        return None

    def block(self, body: Iterable[ast.stmt], frame: Frame) -> list[Any] | None:
        """Runs statements; what is returned, in a list, where one returns."""
        for node in body:
            returned = self.statement(node, frame)
            if returned is not None:
                return returned
        return None

    def statement(self, node: ast.stmt, frame: Frame) -> list[Any] | None:
        known = _STATEMENTS.get(type(node))
        try:
            if known is None:
                raise unknown(f"a statement of the kind {type(node).__name__}")
            found: list[Any] | None = known(self, node, frame)
        except Refused as refused:
            refused.line = refused.line or frame.above + node.lineno
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as failed:
            raise Refused(f"does not run: {failed}", line=frame.above + node.lineno) from None
        return found

    def _assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.value(node.value, frame)
        for target in node.targets:
            self.store(target, value, frame)

    def _annotated(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.store(node.target, self.value(node.value, frame), frame)

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        if not isinstance(node.target, ast.Name):
            raise unknown("an attribute that changes")
        before, by = self.value(node.target, frame), self.value(node.value, frame)
        if type(before) not in _PLAIN or type(by) not in _PLAIN:
            raise unknown("a tensor that changes in place")
        if type(before) is list:
            before += by
        else:
            frame.names[node.target.id] = _BINARY[type(node.op)](before, by)

    def _expression(self, node: ast.Expr, frame: Frame) -> None:
        self.value(node.value, frame)

    def _return(self, node: ast.Return, frame: Frame) -> list[Any]:
        return [None if node.value is None else self.value(node.value, frame)]

    def _if(self, node: ast.If, frame: Frame) -> list[Any] | None:
        return self.block(node.body if self.truth(node.test, frame) else node.orelse, frame)

    def _for(self, node: ast.For, frame: Frame) -> list[Any] | None:
        values = self.value(node.iter, frame)
        if type(values) is Bound and values.name == "modules" and frame.made is not None:
            loop = (node, dict(frame.names), frame.above)
            _said(frame.made, Fill(values.of.path, loop=loop, size=values.of.size))
            return None
        for value in _each(values):
            self.store(node.target, value, frame)
            returned = self.block(node.body, frame)
            if returned is not None:
                return returned
        return self.block(node.orelse, frame)

    def store(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Assigns to a name, an attribute, or several of them."""
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = _parts(value, len(target.elts), frame)
            for one, part in zip(target.elts, parts, strict=True):
                self.store(one, part, frame)
        elif isinstance(target, ast.Attribute):
            self._put(self.value(target.value, frame), target.attr, value, frame)
        else:
            raise unknown("an assignment to no name")

    @staticmethod
    def _put(owner: Any, name: str, value: Any, frame: Frame) -> None:
        """A module or number into a module; a tensor that was filled in place of a weight."""
        if type(owner) is Looped and type(value) is Fill and (value.path, value.name) == ("", name):
            owner.weight(name).fill(value.how)
            return
        if type(owner) is Made:
            owner = Ref("", owner.it)
        if type(owner) is not Ref or frame.made is None:
            raise unknown(f"{name}, set outside of a constructor")
        box = owner.it
        if type(value) is Fill and value.path == owner.path and _stored(value.name, name):
            _said(frame.made, Fill(owner.path, name, value.how))
        elif type(value) is Weight and type(box) is Leaf and name == TIED:
            frame.made.ties[owner.path] = value.whole
        elif type(box) is Box and (box is frame.made or box.definition is None):
            box.add(name, value)
        else:
            raise unknown(f"{name}, set in a module of another class")

    # ------------------------------------------------------------ expressions

    def value(self, node: ast.expr, frame: Frame) -> Any:
        """What an expression is."""
        if type(node) is ast.Name and node.id in frame.names:  # the two that there are most of
            return frame.names[node.id]
        if type(node) is ast.Constant:
            return node.value
        known = _EXPRESSIONS.get(type(node))
        if known is None:
            raise unknown(f"an expression of the kind {type(node).__name__}")
        return known(self, node, frame)

    def truth(self, node: ast.expr, frame: Frame) -> bool:
        value = self.value(node, frame)
        if type(value) not in _PLAIN:
            raise unknown("a condition on what is computed")
        return bool(value)

    def _name(self, node: ast.Name, _: Frame) -> Any:
        if node.id not in self.globals:
            raise Refused(f"reads {node.id}, which is not set")
        return self.globals[node.id]

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        owner, name = self.value(node.value, frame), node.attr
        kind = type(owner)
        if kind is Ref:
            return self.member(owner, name, frame)
        if kind is Dotted:
            return self._dotted(owner.name, name)
        if kind is Term and name == "shape":
            return frame.run.terms.shape(owner)
        if kind is Looped and name not in _METHODS:
            return owner.weight(name)
        if kind in (Term, Made, list, Super, Looped, Weight):
            return Bound(name, owner)
        raise unknown(f"the attribute {name} of a {kind.__name__}")

    def _dotted(self, owner: str, name: str) -> Any:
        if owner == "math":
            return getattr(math, name)
        found = self.dotted.get((owner, name))
        if found is None:
            found = self.dotted[owner, name] = Dotted(f"{owner}.{name}")
        return found

    def member(self, owner: Ref, name: str, frame: Frame) -> Any:
        """An attribute of a module: a module in it, a value that it keeps, a method."""
        found = owner.child(name)
        if found is not None:
            return _used(found, frame)
        if type(owner.it) is Box and name in owner.it.attributes:
            return owner.it.attributes[name]
        if name == "training" and frame.run is not None:
            frame.run.asked = True
            return frame.run.training
        if name in _METHODS:
            return Bound(name, owner)
        if type(owner.it) is Leaf and frame.run is None:
            return Weight(owner.path, name)
        raise Refused("is not there", f"{owner.path}.{name}" if owner.path else name)

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        owner, index = self.value(node.value, frame), self.value(node.slice, frame)
        if type(owner) is Term:
            if type(index) is int:
                return frame.run.terms.part(owner, index)
            return frame.run.terms("index", owner, frozen(index))
        if type(owner) is Ref:
            return owner.place(index)
        if type(owner) is Named:
            return owner.ref.weight(index)
        if type(owner) in (tuple, list, dict, range):
            return owner[index]
        raise unknown(f"an index into a {type(owner).__name__}")

    def _slice(self, node: ast.Slice, frame: Frame) -> Any:
        ends = (node.lower, node.upper, node.step)
        return slice(*(None if e is None else self.value(e, frame) for e in ends))

    def _several(
        self, nodes: Iterable[Any], frame: Frame, named: dict[str, Any] | None = None
    ) -> list[Any]:
        """The entries of a bracket; of a call those with a name go into `named`."""
        found: list[Any] = []
        for node in nodes:
            kind = type(node)
            if kind is Several:
                for part in node.parts():
                    found += self._several(part.nodes, frame, named)
            elif kind is ast.keyword and named is not None:
                named[node.arg or ""] = self.value(node.value, frame)
            elif kind is ast.Starred:
                found += _each(self.value(node.value, frame))
            else:
                found.append(self.value(node, frame))
        return found

    def _list(self, node: ast.List, frame: Frame) -> Any:
        return self._several(node.elts, frame)

    def _tuple(self, node: ast.Tuple, frame: Frame) -> Any:
        return tuple(self._several(node.elts, frame))

    def _dict(self, node: ast.Dict, frame: Frame) -> Any:
        keys = [self.value(k, frame) for k in node.keys if k is not None]
        return dict(zip(keys, self._several(node.values, frame), strict=True))

    def _binary(self, node: ast.BinOp, frame: Frame) -> Any:
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        if type(node.op) is ast.BitOr:
            return (*kinds(left), *kinds(right))
        return self._arithmetic(node.op, left, right, frame)

    @staticmethod
    def _arithmetic(op: ast.operator, left: Any, right: Any, frame: Frame) -> Any:
        if type(left) is Term or type(right) is Term:
            left, right = frozen(left), frozen(right)
            both = type(left) is Term and type(right) is Term
            if both and type(op) in _BROADCAST:
                terms = frame.run.terms
                left, right = terms.bare(left, right), terms.bare(right, left)
            if both and type(op) in (ast.Add, ast.Mult) and left.serial > right.serial:
                left, right = right, left  # the same to the bit
            return frame.run.terms(type(op).__name__, left, right)
        if type(left) not in _PLAIN or type(right) not in _PLAIN:
            raise unknown("arithmetic of no numbers")
        return _BINARY[type(op)](left, right)

    def _unary(self, node: ast.UnaryOp, frame: Frame) -> Any:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand, frame)
        value = self.value(node.operand, frame)
        if not isinstance(node.op, ast.USub) or type(value) not in (int, float, Term):
            raise unknown("a sign before no number")
        return frame.run.terms("USub", value) if type(value) is Term else -value

    def _bool(self, node: ast.BoolOp, frame: Frame) -> bool:
        tests = (self.truth(one, frame) for one in node.values)
        return all(tests) if isinstance(node.op, ast.And) else any(tests)

    def _compare(self, node: ast.Compare, frame: Frame) -> bool:
        values = [self.value(n, frame) for n in (node.left, *node.comparators)]
        pairs = zip(node.ops, pairwise(values), strict=True)
        return all(_compared(op, left, right, frame) for op, (left, right) in pairs)

    def _conditional(self, node: ast.IfExp, frame: Frame) -> Any:
        return self.value(node.body if self.truth(node.test, frame) else node.orelse, frame)

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp, frame: Frame) -> Any:
        inner = Frame(dict(frame.names), frame.made, frame.run)
        return list(self._rounds(node.elt, node.generators, inner))

    def _rounds(
        self, element: ast.expr, rest: Sequence[ast.comprehension], frame: Frame
    ) -> Iterator[Any]:
        if not rest:
            yield self.value(element, frame)
            return
        for value in _each(self.value(rest[0].iter, frame)):
            self.store(rest[0].target, value, frame)
            if all(self.truth(test, frame) for test in rest[0].ifs):
                yield from self._rounds(element, rest[1:], frame)

    def _formatted(self, node: ast.JoinedStr, frame: Frame) -> str:
        parts = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
        return "".join(str(self.value(part, frame)) for part in parts)

    # ------------------------------------------------------------ calls

    def _call(self, node: ast.Call, frame: Frame) -> Any:
        func = self.value(node.func, frame)
        args, kwargs = self._given(node, frame)
        kind = type(func)
        if kind is Ref and frame.run is not None:
            return frame.run.call(func, args, kwargs)
        if kind is Bound:
            return self._method(func, args, kwargs, frame)
        if kind is Dotted and func.name == "functools.reduce":
            return self._sum(args, frame)
        if kind is Dotted and func.name == "torch.cat" and len(args[0]) == 1:
            return args[0][0]  # of a list, which may hold one
        if kind is Dotted and frame.run is not None:
            return frame.run.terms(func.name, frozen(args), named(kwargs))
        if kind is Dotted:
            return self._constructed(func.name, args, kwargs, frame)
        if kind is Class and frame.run is None:
            return self.make(func, args, kwargs)
        if kind is Function:
            return self._defined(func, args, kwargs, frame)
        if func in _OF_MODULES.values():
            return self._asked(func, args, frame)
        return _computed(func, args, kwargs)

    def _given(self, node: ast.Call, frame: Frame) -> tuple[list[Any], dict[str, Any]]:
        kwargs: dict[str, Any] = {}
        args = self._several(node.args, frame, kwargs)
        for k in node.keywords:
            kwargs[k.arg or ""] = self.value(k.value, frame)
        return args, kwargs

    def _defined(
        self, func: Function, args: list[Any], kwargs: dict[str, Any], frame: Frame
    ) -> Any:
        """What a function of the text gives: a filled weight, a tensor, or numbers."""
        if args and type(args[0]) in (Weight, LoopedWeight, Fresh):
            return _filled(func.name, args, kwargs, frame)
        if not func.tensor:
            return self.call(func, args, kwargs, Frame({}))
        if frame.run is None:
            return Made(self.leaf(func.name, args, kwargs))
        return frame.run.terms(func.name, frozen(args), named(kwargs))

    def _sum(self, args: list[Any], frame: Frame) -> Any:
        """`functools.reduce(torch.add, ys)`: one after the other."""
        added, values = args
        if type(added) is not Dotted or added.name != "torch.add" or type(values) is not list:
            raise unknown("a reduction of another kind")
        return reduce(lambda a, b: self._arithmetic(ast.Add(), a, b, frame), values)

    def _asked(self, func: Any, args: list[Any], frame: Frame) -> Any:
        """The built-in functions that speak of modules."""
        if func is super and not args:
            return Super()
        if type(args[0]) is not Looped:
            raise unknown(f"{func.__name__} of what is no module of a loop")
        seen = args[0].seen
        if func is isinstance:
            return seen.is_a(kinds(args[1]), exactly=False)
        return LoopedType(seen) if func is type else seen.has(args[1])

    def _constructed(self, name: str, args: list[Any], kwargs: dict[str, Any], frame: Frame) -> Any:
        """What a call of torch gives in a constructor."""
        if name.startswith("nn.init."):
            return _filled(name.removeprefix("nn.init."), args, kwargs, frame)
        if name == "torch.empty_like" and type(args[0]) in (Weight, LoopedWeight):
            return Fresh(args[0])
        if name in _CONTAINERS:
            return Made(Box(name).fill(args))
        if name == "OrderedDict":
            return OrderedDict(*args, **kwargs)
        if name in _WRAPS:
            return Made(self._wrapped(name, args, kwargs))
        return Made(self.leaf(name, args, kwargs))

    def _wrapped(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Leaf:
        """A parameter, a buffer, a module whose weight is computed from others."""
        inner = args[0].it if len(args) == 1 and type(args[0]) is Made else None
        buffer = {"persistent"} if name == "nn.Buffer" else set()
        if type(inner) is not Leaf or inner.wrap is not None or kwargs.keys() - buffer:
            raise unknown(f"{name} of no module")
        return self._known(replace(inner, wrap=name, **kwargs))

    def _method(self, func: Bound, args: list[Any], kwargs: dict[str, Any], frame: Frame) -> Any:
        owner, name = func.of, func.name
        if type(owner) is Term:
            return frame.run.terms(f".{name}", owner, frozen(args), named(kwargs))
        if type(owner) is list and name in ("append", "extend") and len(args) == 1:
            return owner.append(args[0]) if name == "append" else owner.extend(_each(args[0]))
        if type(owner) is Super and name == "__init__" and frame.made is not None and not kwargs:
            frame.made.fill(args)
            return None
        if name in _ADDS and len(args) == 2 and type(args[1]) is Made:
            return self._put(owner, args[0], self._added(name, args[1], kwargs), frame)
        if name in ("train", "eval") and not args and not kwargs and frame.run is None:
            return self._mode(owner, name, frame)
        if type(owner) is Looped and name == "named_parameters":
            return [(n, owner.weight(n)) for n in owner.seen.names()]
        if name == "requires_grad_" and args == [False] and frame.made is not None:
            size = owner.size if type(owner) is Ref else 1
            weight = owner.name if type(owner) is Weight else None
            frame.made.fills.append(Fill(owner.path, weight, FREEZE, size=size))
            return owner
        if type(owner) is Ref and len(args) <= 1 and not kwargs:
            return self._of_module(owner, name, args, frame)
        raise unknown(f"the method {name} of a {type(owner).__name__}")

    def _added(self, name: str, made: Made, kwargs: dict[str, Any]) -> Made:
        """What `add_module`, `register_parameter` or `register_buffer` puts into a module."""
        if name == "register_buffer":
            return Made(self._wrapped("nn.Buffer", [made], kwargs))
        tensor = type(made.it) is Leaf and made.it.tensor
        if kwargs or tensor is not (name == "register_parameter"):
            raise unknown(f"what {name} is given")
        return made

    @staticmethod
    def _mode(owner: Any, name: str, frame: Frame) -> None:
        """`module.eval()` in a train(), and `self.train()` at the end of a constructor."""
        if type(owner) is Looped and name == "eval":
            owner.fills[ASLEEP] = True
        elif type(owner) is Ref and name == "eval" and frame.made is not None:
            frame.made.fills.append(Fill(owner.path, how=ASLEEP))
        elif name == "eval" or type(owner) is not Ref or owner.it is not frame.made:
            raise unknown(f"a {name}() of another module")

    def _of_module(self, owner: Ref, name: str, args: list[Any], frame: Frame) -> Any:
        if name == "modules":
            return Bound("modules", owner)
        if name == "named_parameters":
            return Named(owner, frame)
        if len(args) != 1 or not isinstance(args[0], str):
            raise unknown(f"{name} of what is no path")
        if name == "get_submodule":
            return _used(owner.below(args[0]), frame)
        if name == "get_parameter" and frame.run is None:
            return owner.weight(args[0])
        if name in ("get_parameter", "get_buffer"):
            return _used(owner.below(args[0]), frame)
        raise unknown(f"the method {name} of a module")


@cache
def _activations() -> frozenset[str]:
    """The classes that an argument may be: those of the activations."""
    return frozenset(getattr(REGISTRY[op], "target", "") for op in ops_of("activation"))


def _end(func: Function) -> str:
    """The last statement of a function."""
    *_, last = func.body()
    return ast.unparse(last.nodes[-1])


def _is_type(node: ast.expr | None) -> bool:
    """`int`, `Tensor | None`, `dict[str, Tensor]`, `type[nn.Module]`."""
    if isinstance(node, ast.BinOp):
        return _is_type(node.left) and _is_type(node.right)
    if isinstance(node, ast.Subscript):
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        generic = isinstance(node.value, ast.Name) and node.value.id in _GENERIC
        return generic and all(map(_is_type, inside))
    if isinstance(node, ast.Constant):
        return node.value in (None, ...)
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) == "nn.Module"
    return node is None or (isinstance(node, ast.Name) and node.id in _TYPES)


def _each(values: Any) -> Iterable[Any]:
    if type(values) is Ref:
        return values.children()
    if isinstance(values, (list, tuple, range, dict, enumerate, zip)):
        return values
    raise unknown(f"a loop over a {type(values).__name__}")


def _parts(value: Any, count: int, frame: Frame) -> Sequence[Any]:
    """What a value is taken apart into."""
    if type(value) is Term and value.arity == count and frame.run is not None:
        return [frame.run.terms.part(value, k) for k in range(count)]
    if type(value) in (tuple, list) and len(value) == count:
        return value  # type: ignore[no-any-return]
    raise Refused(f"takes {count} values from what has others")


def _used(ref: Ref, frame: Frame) -> Any:
    """A module as the code sees it: a parameter or buffer is a tensor."""
    if type(ref.it) is Leaf and ref.it.tensor:
        return frame.run.parameter(ref) if frame.run is not None else Weight(ref.path, "")
    return ref


def _compared(op: ast.cmpop, left: Any, right: Any, frame: Frame) -> bool:
    if type(left) is LoopedType and isinstance(op, ast.Is):
        return left.seen.is_a(kinds(right), exactly=True)
    if type(left) is LoopedWeight and right is None:
        return left.there is isinstance(op, ast.IsNot)
    if type(left) is Weight and right is None and isinstance(op, ast.IsNot):
        frame.guarded.add(left)
        return True
    known = isinstance(op, (ast.Is, ast.IsNot)) and (left is None or right is None)
    if not known and (type(left) not in _PLAIN or type(right) not in (*_PLAIN, Named)):
        raise unknown("a comparison of what is computed")
    return bool(_COMPARE[type(op)](left, right))


def _computed(func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A built-in function of numbers and lists, or one of math."""
    if func is dict and len(args) == 1 and type(args[0]) is Named:
        return args[0]
    if getattr(func, "__module__", "") != "math" and func not in _SAFE.values():
        raise unknown("a call of no module and no function")
    if func in _TAKE_ANY:
        args = [a.children() if type(a) is Ref else a for a in args]
    if any(type(a) in (Term, Ref, Made) for a in args):
        raise unknown(f"{func.__name__} of what is computed")
    return func(*args, **kwargs)


def _numbers(value: Any) -> Any:
    """The numbers that `torch.tensor` is given."""
    leaf = value.it if type(value) is Made else None
    return leaf.values[0] if type(leaf) is Leaf and leaf.target == "torch.tensor" else value


def _said(made: Box, fill: Fill) -> None:
    """What a constructor says of first values: all of it before weights are tied."""
    if made.ties and not made.done:
        raise Refused("is filled after weights were tied", fill.path)
    made.fills.append(fill)


def _stored(like: str | None, name: str) -> bool:
    """Whether a weight is what another is computed from, of the same shape."""
    original = f"parametrizations.{name}.original"  # of weight_norm the second: directions
    return like in (name, original, f"{original}1")


def _filled(name: str, args: list[Any], kwargs: dict[str, Any], frame: Frame) -> Fill | None:
    """`nn.init.normal_(weight, std=0.1)`; what fills a tensor that is like a weight."""
    weight, *rest = args
    rest = [_numbers(value) for value in rest]
    named = {**dict(zip(("val",), rest, strict=len(rest) > 0)), **kwargs}
    how = (name.removesuffix("_"), frozen(sorted(named.items())))
    if type(weight) is LoopedWeight:
        weight.fill(how)
    elif type(weight) is Weight and frame.made is not None:
        guarded = weight in frame.guarded
        _said(frame.made, Fill(weight.path, weight.name, how, guarded))
    elif type(weight) is Fresh:
        return Fill(getattr(weight.like, "path", ""), weight.like.name, how)
    else:
        raise unknown(f"{name} of no weight")
    return None


_STATEMENTS: dict[type[ast.stmt], Any] = {
    ast.Assign: Machine._assign, ast.AnnAssign: Machine._annotated,
    ast.AugAssign: Machine._augmented, ast.Expr: Machine._expression, ast.Return: Machine._return,
    ast.If: Machine._if, ast.For: Machine._for,
}  # fmt: skip
_EXPRESSIONS: dict[type[ast.expr], Any] = {
    ast.Name: Machine._name, ast.Attribute: Machine._attribute,
    ast.Call: Machine._call, ast.Subscript: Machine._subscript, ast.Slice: Machine._slice,
    ast.Tuple: Machine._tuple, ast.List: Machine._list, ast.Dict: Machine._dict,
    ast.BinOp: Machine._binary, ast.UnaryOp: Machine._unary, ast.BoolOp: Machine._bool,
    ast.Compare: Machine._compare, ast.IfExp: Machine._conditional,
    ast.GeneratorExp: Machine._comprehension, ast.ListComp: Machine._comprehension,
    ast.JoinedStr: Machine._formatted,
}  # fmt: skip
