"""Numbers → numbers that remember where they come from.

A layer works out its weights and its output with ordinary arithmetic. Given a `Sym` in place of an
`int` it does the same arithmetic, and the result knows, beside its value, the expression it came
from. So nobody has to search afterwards why a number is 256:

    width = Sym.of("width", 64)
    4 * width                          256, written `4 * width`
    (4 * width + width) // 5 - width   0, a plain number
    2 * (width // 3)                   42, written `2 * (width // 3)`

An expression is a sum: of atoms, each with a whole factor, and of a constant. An atom is a name, or
whatever is no sum itself (`width // 3`, `max(a, b)`, `x.shape[2]`). Sums that are equal are written
alike, and what cancels is gone.

`evaluate` walks a syntax tree over values of any of these kinds. With plain values it computes;
with values that remember it gives one that remembers, and a choice keeps its condition:

    evaluate(`s if i == 0 else 1`, {"s": Sym.of("s", 2), "i": Sym.of("i", 0)})
    2, written `s if i == 0 else 1`
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from archspec.expressions.arithmetic import make_divisible

_BARE = frozenset({int, bool, str, type(None)})
_PLUS, _MINUS, _TIMES = ast.Add(), ast.Sub(), ast.Mult()  # one of each for all trees
MOST = 256  # of an exponent; larger ones are no sizes


@lru_cache(256)
def parsed(text: str) -> ast.expr:
    """An expression as a tree, which nobody changes."""
    tree: ast.expr = _placeless(ast.parse(text, mode="eval").body)
    return tree


def _placeless(node: Any) -> Any:
    """The same without lines and columns, which take more than all else of a tree."""
    if isinstance(node, list):
        return [_placeless(inner) for inner in node]
    if not isinstance(node, ast.AST) or not node._fields:
        return node
    return type(node)(*[_placeless(getattr(node, field)) for field in node._fields])


def _text(tree: ast.expr) -> str:
    return tree.id if isinstance(tree, ast.Name) else ast.unparse(tree)


def known(value: object) -> bool:
    """Whether a value remembers where it comes from."""
    return isinstance(value, (Sym, SymFloat, Truth, Word, Listed))


def traced(value: Any, tree: ast.expr) -> Any:
    """A value that remembers an expression; mappings and None cannot."""
    if isinstance(value, (bool, Truth)):
        return Truth(bool(value), tree)
    if isinstance(value, int):
        return Sym(int(value), {_text(tree): 1})
    if isinstance(value, float):
        return SymFloat(float(value), tree)
    if isinstance(value, str):
        return Word(str(value), tree)
    if isinstance(value, (list, tuple)):
        return Listed(value, tree)
    return value


def plain(value: Any) -> Any:
    """The value alone, lists as tuples."""
    if type(value) in _BARE:  # nearly all
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, Truth):
        return bool(value)
    if isinstance(value, Sym):
        return int(value)
    if isinstance(value, SymFloat):
        return value + 0 if type(value) is float else float.__float__(value)
    return str.__str__(value) if isinstance(value, Word) else value


def written(value: Any) -> ast.expr:
    """The expression of a value that remembers one; of any other the literal.

    Raises TypeError where there is none: a mapping.
    """
    if isinstance(value, (Sym, SymFloat, Truth, Word, Listed)):
        return value.tree
    if isinstance(value, (list, tuple)):
        return whole(ast.Tuple([written(v) for v in value], ast.Load()))
    if value is None or isinstance(value, (bool, str)):
        return ast.Constant(value)
    if isinstance(value, (int, float)):
        return number(value)
    raise TypeError(f"no literal for {value!r}")


def number(value: float) -> ast.expr:
    """A number as Python writes it: `-1`, `float("-inf")`."""
    if type(value) is int:
        return _integer(value)
    if value in (math.inf, -math.inf):
        return ast.Call(ast.Name("float", ast.Load()), [ast.Constant(str(value))], [])
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


@lru_cache(1024)
def _integer(value: int) -> ast.expr:
    """Most numbers are these, and few: one tree of each, which nobody changes."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def whole(tree: ast.Tuple) -> ast.expr:
    """`(kernel[0], kernel[1])` → `kernel`: who uses it compares the values anyhow."""
    parts = [e for e in tree.elts if isinstance(e, ast.Subscript)]
    if not parts or len(parts) != len(tree.elts):
        return tree
    names = {_text(e.value) for e in parts}
    indices = [e.slice.value if isinstance(e.slice, ast.Constant) else None for e in parts]
    return parts[0].value if len(names) == 1 and indices == list(range(len(parts))) else tree


def remembers(value: Any) -> bool:
    """The same, of what is inside a list too."""
    if isinstance(value, (list, tuple)) and not isinstance(value, Listed):
        return any(map(remembers, value))
    return known(value)


# ---------------------------------------------------------------- whole numbers


def _product(factor: int, text: str) -> ast.expr:
    tree = parsed(text) if text else None
    if tree is None:
        return _integer(factor)
    return tree if factor == 1 else ast.BinOp(_integer(factor), _TIMES, tree)


def _sum(terms: Mapping[str, int]) -> ast.expr:
    """The terms as one expression: those that are added first, the constant last."""
    order = sorted(terms.items(), key=lambda term: (term[1] < 0, term[0] == ""))
    found: ast.expr | None = None
    for text, factor in order:
        one = _product(abs(factor), text)
        if found is None:
            found = one if factor > 0 else ast.UnaryOp(ast.USub(), one)
        else:
            found = ast.BinOp(found, _PLUS if factor > 0 else _MINUS, one)
    return _integer(0) if found is None else found


class Sym(int):
    """A whole number, and the sum it is: `terms` by the text of their atom, "" of the constant."""

    terms: dict[str, int]

    def __new__(cls, value: int, terms: dict[str, int]) -> Sym:
        self = int.__new__(cls, value)
        self.terms = terms
        return self

    @classmethod
    def of(cls, name: str, value: int) -> Sym:
        """A number under a name."""
        return cls(value, {name: 1})

    @property
    def tree(self) -> ast.expr:
        return _sum(self.terms)

    def worth(self, names: Mapping[str, Any]) -> int:
        """What the sum comes to where its names are worth this; one of FAILURES."""
        total = 0
        for atom, n in self.terms.items():
            if not atom:
                total += n
            elif atom in names:
                total += n * names[atom]
            else:
                total += n * plain(evaluate(parsed(atom), names))
        return total

    def __repr__(self) -> str:
        return ast.unparse(self.tree)

    __str__ = int.__repr__
    __hash__ = int.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)

    def _atom(self, other: Any, sign: ast.operator, value: int, *, turned: bool = False) -> Sym:
        left, right = (written(other), self.tree) if turned else (self.tree, written(other))
        return Sym(value, {_text(ast.BinOp(left, sign, right)): 1})

    def __add__(self, other: Any) -> Any:
        return _linear(self, other, 1) if isinstance(other, int) else SymFloat.new(self, other, "+")

    def __radd__(self, other: Any) -> Any:
        return _linear(other, self, 1) if isinstance(other, int) else SymFloat.new(other, self, "+")

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return SymFloat.new(self, other, "-")
        return _linear(self, other, -1)

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return SymFloat.new(other, self, "-")
        return _linear(other, self, -1)

    def __neg__(self) -> Any:
        return _linear(0, self, -1)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple)):
            return list(other) * int(self)
        if not isinstance(other, int):
            return SymFloat.new(self, other, "*")
        if not isinstance(other, Sym):
            return _settled(int(self) * other, {a: n * other for a, n in self.terms.items()})
        return self._atom(other, ast.Mult(), int(self) * int(other))

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return SymFloat.new(other, self, "*")
        return self * other

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return SymFloat.new(self, other, "//")
        value = int(self) // int(other)
        if isinstance(other, Sym):
            return 1 if other.terms == self.terms else _shared(self, other, value)
        return _divided(self, other, value)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._atom(other, ast.FloorDiv(), other // int(self), turned=True)

    def __mod__(self, other: Any) -> Any:
        value = int(self) % int(other)
        if not isinstance(other, Sym) and all(n % other == 0 for n in self.terms.values()):
            return 0
        return self._atom(other, ast.Mod(), value)

    def __rmod__(self, other: Any) -> Any:
        return self._atom(other, ast.Mod(), other % int(self), turned=True)

    def __truediv__(self, other: Any) -> Any:
        return SymFloat.new(self, other, "/")

    def __rtruediv__(self, other: Any) -> Any:
        return SymFloat.new(other, self, "/")

    def __pow__(self, other: Any, _: None = None) -> Any:  # type: ignore[override]
        if isinstance(other, int) and other >= 0:
            return self._atom(other, ast.Pow(), int(self) ** int(other))
        return SymFloat.new(self, other, "**")

    def __rpow__(self, other: Any, _: None = None) -> Any:  # type: ignore[override]
        if isinstance(other, int) and self >= 0:
            return self._atom(other, ast.Pow(), other ** int(self), turned=True)
        return SymFloat.new(other, self, "**")

    def __abs__(self) -> Any:
        return self if self >= 0 else Sym(abs(int(self)), {_text(_call("abs", self)): 1})

    def __floor__(self) -> Sym:
        return self

    def __ceil__(self) -> Sym:
        return self

    def __round__(self, digits: Any = None) -> Sym:
        return self


def _settled(value: int, terms: dict[str, int]) -> Any:
    """The number with these terms; a plain one where no atom is left."""
    left = {a: n for a, n in terms.items() if n}
    return Sym(value, left) if left.keys() - {""} else value


def _terms(number: int) -> dict[str, int]:
    return number.terms if isinstance(number, Sym) else {"": int(number)}


def _linear(a: int, b: int, sign: int) -> Any:
    terms = dict(_terms(a))
    for atom, n in _terms(b).items():
        terms[atom] = terms.get(atom, 0) + sign * n
    return _settled(int(a) + sign * int(b), terms)


def _shared(number: Sym, by: Sym, value: int) -> Any:
    """`6 * a // (3 * b)` is `2 * a // b`, and `a * b // b` is `a`: what both have goes."""
    common = math.gcd(*number.terms.values(), *by.terms.values())
    if common > 1:
        left, right = _lessened(number, common), _lessened(by, common)
        return left // right
    ((atom, factor), *others), ((divisor, times), *more) = number.terms.items(), by.terms.items()
    rest = None if others or more or times != 1 else _without(parsed(atom), divisor)
    if rest is None:
        return number._atom(by, ast.FloorDiv(), value)
    return Sym(value, {_text(rest): factor})


def _lessened(number: Sym, by: int) -> Sym:
    """A number all of whose factors are divided."""
    return Sym(int(number) // by, {atom: n // by for atom, n in number.terms.items()})


def _without(tree: ast.expr, factor: str) -> ast.expr | None:
    """A product without one of its factors; None where it has no such factor."""
    if not isinstance(tree, ast.BinOp) or not isinstance(tree.op, ast.Mult):
        return None
    if _text(tree.right) == factor:
        return tree.left
    if _text(tree.left) == factor:
        return tree.right
    left = _without(tree.left, factor)
    return None if left is None else ast.BinOp(left, ast.Mult(), tree.right)


def _divided(number: Sym, by: int, value: int) -> Any:
    """`(by * q + r) // by` is `q + r // by`: what divides comes out of the division."""
    if by == 1:
        return number
    out = {a: n // by for a, n in number.terms.items() if n % by == 0}
    left = {a: n for a, n in number.terms.items() if n % by}
    if not left.keys() - {""}:
        return _settled(value, {**out, "": out.get("", 0) + left.get("", 0) // by})
    left = {a: n for a, n in number.terms.items() if n % by or a == ""}
    out.pop("", None)
    inner = _sum(left)
    if (
        isinstance(inner, ast.BinOp)
        and isinstance(inner.op, ast.FloorDiv)
        and isinstance(inner.right, ast.Constant)
        and isinstance(inner.right.value, int)
        and by > 0
    ):  # (x // a) // b is x // (a * b)
        inner = ast.BinOp(inner.left, ast.FloorDiv(), ast.Constant(inner.right.value * by))
    else:
        inner = ast.BinOp(inner, ast.FloorDiv(), written(by))
    out[_text(inner)] = out.get(_text(inner), 0) + 1
    return _settled(value, out)


# ---------------------------------------------------------------- other values


_SIGNS: dict[str, tuple[Callable[[Any, Any], Any], type[ast.operator]]] = {
    "+": (operator.add, ast.Add), "-": (operator.sub, ast.Sub), "*": (operator.mul, ast.Mult),
    "/": (operator.truediv, ast.Div), "//": (operator.floordiv, ast.FloorDiv),
    "**": (operator.pow, ast.Pow), "%": (operator.mod, ast.Mod),
}  # fmt: skip
_SIGN = {op: sign for sign, (_, op) in _SIGNS.items()}


class SymFloat(float):
    """A float, and the expression it is."""

    tree: ast.expr

    def __new__(cls, value: float, tree: ast.expr) -> SymFloat:
        self = float.__new__(cls, value)
        self.tree = tree
        return self

    @classmethod
    def new(cls, a: Any, b: Any, sign: str) -> Any:
        """`a sign b`, one of which remembers."""
        compute, op = _SIGNS[sign]
        value = compute(plain(a), plain(b))
        return traced(value, ast.BinOp(written(a), op(), written(b)))

    def __repr__(self) -> str:
        return ast.unparse(self.tree)

    __str__ = float.__repr__
    __hash__ = float.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (plain(self),)

    def __neg__(self) -> Any:
        return SymFloat(-plain(self), ast.UnaryOp(ast.USub(), self.tree))

    def __abs__(self) -> Any:
        return SymFloat(abs(plain(self)), _call("abs", self))

    def __floor__(self) -> Any:
        return traced(math.floor(plain(self)), _call("math.floor", self))

    def __ceil__(self) -> Any:
        return traced(math.ceil(plain(self)), _call("math.ceil", self))

    def __round__(self, digits: Any = None) -> Any:
        return traced(round(plain(self)), _call("round", self))


def _binary(sign: str) -> tuple[Any, Any]:
    def forward(a: Any, b: Any) -> Any:
        return SymFloat.new(a, b, sign)

    def backward(a: Any, b: Any) -> Any:
        return SymFloat.new(b, a, sign)

    return forward, backward


for _name, _sign in (
    ("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("floordiv", "//"), ("pow", "**"),
    ("mod", "%"),
):  # fmt: skip
    _forward, _backward = _binary(_sign)
    setattr(SymFloat, f"__{_name}__", _forward)
    setattr(SymFloat, f"__r{_name}__", _backward)


class Truth(int):
    """True or false, and the condition it is: `bool` has no subclasses."""

    tree: ast.expr

    def __new__(cls, value: bool, tree: ast.expr) -> Truth:
        self = int.__new__(cls, value)
        self.tree = tree
        return self

    def __repr__(self) -> str:
        return ast.unparse(self.tree)

    __hash__ = int.__hash__


class Word(str):
    """Text, and the expression it is."""

    tree: ast.expr

    def __new__(cls, value: str, tree: ast.expr) -> Word:
        self = str.__new__(cls, value)
        self.tree = tree
        return self


class Listed(list[Any]):
    """A list under a name, each entry with its index: `kernel[0]`."""

    tree: ast.expr

    def __init__(self, values: Iterable[Any], tree: ast.expr) -> None:
        super().__init__(
            traced(v, ast.Subscript(tree, ast.Constant(k), ast.Load()))
            for k, v in enumerate(values)
        )
        self.tree = tree

    def part(self, ends: slice, tree: ast.Slice) -> Listed:
        """`kernel[1:]`; each entry is still that of the whole list."""
        found = Listed((), ast.Subscript(self.tree, tree, ast.Load()))
        found += self[ends]
        return found


# ---------------------------------------------------------------- evaluating


def _call(name: str, *values: Any) -> ast.expr:
    return ast.Call(parsed(name), [written(v) for v in values], [])


class LengthError(ValueError):
    """How long a list is follows from a value that remembers, which no list of values can say."""

    def __init__(self, decides: Any) -> None:
        super().__init__("the length of a list is not fixed")
        self.decides = decides


def _function(name: str, compute: Callable[..., Any], *, whole: bool = False) -> Any:
    """`whole`: of a whole number it is that number."""

    def run(*values: Any) -> Any:
        found = compute(*map(plain, values))
        if not any(map(remembers, values)):
            return found
        if whole and isinstance(values[0], Sym):
            return values[0]
        return traced(found, _call(name, *values))

    return run


def _length(values: Any) -> int:
    """`len(widths)` of a list under a name."""
    if not isinstance(values, Listed):
        return len(values)
    return Sym.of(f"len({ast.unparse(values.tree)})", len(values))


def _range(*bounds: Any) -> list[int]:
    for bound in bounds:
        if remembers(bound):
            raise LengthError(bound)
    return list(range(*map(int, bounds)))


def _total(values: Sequence[Any]) -> Any:
    found: Any = 0
    for value in values:
        found = found + value
    return found


def _extreme(name: str, compute: Callable[..., Any]) -> Any:
    """`min` and `max`: of a number alone it is that number, where Python wants a list."""
    several = _function(name, compute)

    def run(*values: Any) -> Any:
        alone = len(values) == 1 and not isinstance(plain(values[0]), tuple | list)
        return values[0] if alone else several(*values)

    return run


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": _extreme("min", min), "max": _extreme("max", max), "abs": _function("abs", abs),
    "ceil": _function("math.ceil", math.ceil, whole=True),
    "floor": _function("math.floor", math.floor, whole=True),
    "round": _function("round", round, whole=True), "int": _function("int", int, whole=True),
    "len": _length, "sum": _total, "range": _range, "float": float,
    "make_divisible": _function("make_divisible", make_divisible),
    "sqrt": _function("math.sqrt", math.sqrt), "log": _function("math.log", math.log),
    "log2": _function("math.log2", math.log2), "sorted": _function("sorted", sorted),
}  # fmt: skip
FUNCTIONS |= {f"math.{f}": FUNCTIONS[f] for f in ("ceil", "floor", "sqrt", "log", "log2")}

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt,
    ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip
_MIRROR: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq, ast.NotEq: ast.NotEq, ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
}  # fmt: skip

Names = Mapping[str, Any]
FAILURES = (LookupError, ArithmeticError, TypeError, ValueError, AttributeError)


def evaluate(tree: ast.expr, names: Names) -> Any:
    """The value of an expression; one of FAILURES where it has none."""
    return _RUN[type(tree)](tree, names)


def _binop(n: ast.BinOp, names: Names) -> Any:
    a, b = evaluate(n.left, names), evaluate(n.right, names)
    if type(a) is int and type(b) is int and type(n.op) is not ast.Pow:  # nearly always
        return _OPERATORS[type(n.op)](a, b)
    if isinstance(n.op, ast.Pow) and abs(b) > MOST:
        raise ValueError("the exponent is too large")
    if isinstance(n.op, ast.Add) and isinstance(a, (list, tuple)):
        return [*a, *b]
    if type(a) is float and isinstance(b, Sym):  # float knows of ints, and would not ask
        return SymFloat.new(a, b, _SIGN[type(n.op)])
    return _OPERATORS[type(n.op)](a, b)


def _compare(n: ast.Compare, names: Names) -> Any:
    values = [evaluate(part, names) for part in (n.left, *n.comparators)]
    pairs = zip(n.ops, values, values[1:], strict=False)
    found = all(_OPERATORS[type(op)](plain(a), plain(b)) for op, a, b in pairs)
    if not any(map(remembers, values)):
        return found
    first, ops, rest = written(values[0]), n.ops, [written(v) for v in values[1:]]
    if len(ops) == 1 and isinstance(first, ast.Constant):
        first, ops, rest = rest[0], [_MIRROR[type(ops[0])]()], [first]
    return Truth(found, ast.Compare(first, ops, rest))


def _boolop(n: ast.BoolOp, names: Names) -> Any:
    """What is known to be idle falls away; what decides alone is the answer."""
    stops = isinstance(n.op, ast.Or)
    parts: list[Truth] = []
    for value in n.values:
        try:
            found = evaluate(value, names)
        except FAILURES:
            if parts and any(bool(p) is stops for p in parts):
                break  # never reached where the part before it decides
            raise
        if isinstance(found, Truth):
            parts.append(found)
        elif bool(found) is stops:
            return stops  # whatever stands before it
    if not parts:
        return not stops
    if len(parts) == 1:
        return parts[0]
    decided = any(parts) if stops else all(parts)
    return Truth(decided, ast.BoolOp(n.op, [p.tree for p in parts]))


def _unary(n: ast.UnaryOp, names: Names) -> Any:
    value = evaluate(n.operand, names)
    if isinstance(n.op, ast.USub):
        return -value
    if not isinstance(value, Truth):
        return not value
    tree = value.tree
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _OPPOSITE:
        tree = ast.Compare(tree.left, [_OPPOSITE[type(tree.ops[0])]()], tree.comparators)
    elif isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
        tree = tree.operand
    else:
        tree = ast.UnaryOp(ast.Not(), tree)
    return Truth(not value, tree)


def _choice(n: ast.IfExp, names: Names) -> Any:
    test = evaluate(n.test, names)
    taken, other = (n.body, n.orelse) if test else (n.orelse, n.body)
    value = evaluate(taken, names)
    if not isinstance(test, Truth):
        return value
    try:
        beside = evaluate(other, names)
        mine, theirs = written(value), written(beside)
    except FAILURES:  # it has no value here
        return value
    if type(plain(value)) is not type(plain(beside)):
        return value
    if _text(mine) == _text(theirs):
        return value
    then, orelse = (mine, theirs) if test else (theirs, mine)
    return traced(plain(value), ast.IfExp(test.tree, then, orelse))


def _calling(n: ast.Call, names: Names) -> Any:
    key = n.func.id if isinstance(n.func, ast.Name) else ast.unparse(n.func)
    values = [evaluate(a, names) for a in (*n.args, *(k.value for k in n.keywords))]
    return FUNCTIONS[key](*values)


def _subscript(n: ast.Subscript, names: Names) -> Any:
    owner = evaluate(n.value, names)
    if isinstance(n.slice, ast.Slice):
        ends = (n.slice.lower, n.slice.upper, n.slice.step)
        parts = [None if p is None else int(evaluate(p, names)) for p in ends]
        if isinstance(owner, Listed) and all(
            p is None or isinstance(p, ast.Constant) for p in ends
        ):
            return owner.part(slice(*parts), n.slice)
        return list(owner)[slice(*parts)]
    index = evaluate(n.slice, names)
    found = owner[index]
    if isinstance(owner, Listed) and isinstance(index, Sym):
        return traced(plain(found), ast.Subscript(owner.tree, index.tree, ast.Load()))
    return plain(found) if isinstance(index, Sym) else found


def rounds(n: ast.ListComp, names: Names) -> list[Names]:
    """What each entry of a comprehension sees. Raises LengthError."""
    found = [names]
    for part in n.generators:
        found = [inner for outer in found for inner in _rounds(part, outer)]
    return found


def _rounds(part: ast.comprehension, names: Names) -> Iterable[Names]:
    assert isinstance(part.target, ast.Name)
    for value in evaluate(part.iter, names):
        inner = {**names, part.target.id: value}
        tests = [evaluate(test, inner) for test in part.ifs]
        for test in tests:
            if remembers(test):
                raise LengthError(test)
        if all(tests):
            yield inner


def _joined(n: ast.JoinedStr, names: Names) -> str:
    return "".join(
        str(v.value if isinstance(v, ast.Constant) else plain(evaluate(v.value, names)))
        for v in n.values
        if isinstance(v, (ast.Constant, ast.FormattedValue))
    )


_RUN: dict[type[ast.AST], Callable[[Any, Names], Any]] = {
    ast.Constant: lambda n, _: n.value,
    ast.Name: lambda n, names: names[n.id],
    ast.Attribute: lambda n, names: getattr(evaluate(n.value, names), n.attr),
    ast.Tuple: lambda n, names: [evaluate(e, names) for e in n.elts],
    ast.List: lambda n, names: [evaluate(e, names) for e in n.elts],
    ast.BinOp: _binop, ast.Compare: _compare, ast.BoolOp: _boolop, ast.UnaryOp: _unary,
    ast.IfExp: _choice, ast.Call: _calling, ast.Subscript: _subscript, ast.JoinedStr: _joined,
    ast.ListComp: lambda n, names: [evaluate(n.elt, inner) for inner in rounds(n, names)],
}  # fmt: skip
