"""An op from another package → what its class lacks, or why it cannot be had, in one sentence.

    expect_layer(Softmin)         raises ValueError: Softmin lacks the method `infer`
    offers()["softmin"].load()    raises ValueError: soft 1.0 offers `softmin`, which fails: …

What a class says is tried on its examples, so that a slip is found where the class is registered
and not in the first network that uses it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from archspec.layers.base import Call, Layer, TensorType, Weight

GROUP = "archspec.layers"  # of entry points
# What a call may name of torch without saying so in `uses`.
TORCH = frozenset({
    "add", "arange", "bool", "cartesian_prod", "cat", "einsum", "empty", "empty_like", "eye",
    "float32", "linalg", "linspace", "long", "maximum", "minimum", "ones", "ones_like", "pow",
    "randn_like", "sigmoid", "split", "split_with_sizes", "stack", "take_along_dim", "tensor",
    "unflatten", "zeros", "zeros_like",
})  # fmt: skip
# Words that are no ops: what structures a body, and what stands beside an operation.
RESERVED = frozenset({
    "body", "sequential", "branches", "residual", "shared", "call", "with", "merge", "shortcut",
    "id", "from", "repeat", "when", "shortcut_when", "tap", "tie", "expect", "freeze", "init",
    "note",
})  # fmt: skip
WORD = re.compile(r"[a-z][a-z0-9_]*")

_OF_TORCH = re.compile(r"torch(\.[a-z]\w*)+")
_OF_NN = re.compile(r"nn\.[A-Z]\w*")
_MODULE = re.compile(r"(?:[A-Za-z]\w*\.)+[A-Z]\w*")
_WRAPS = (None, "nn.Parameter", "nn.Buffer", "weight_norm", "spectral_norm")
_WRITTEN = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Constant, ast.Subscript,
    ast.Slice, ast.Tuple, ast.List, ast.Starred, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp,
    ast.IfExp, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip


# ---------------------------------------------------------------- what a class lacks


def expect_layer(cls: type[Layer]) -> None:
    """Raises ValueError, with the first thing that a class lacks or says wrongly."""
    wrong = next(_lacks(cls), "")
    if wrong:
        raise ValueError(wrong)


def _lacks(cls: type[Layer]) -> Iterator[str]:
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        yield f"{cls!r} is no subclass of archspec.layers.Layer"
    title, op = cls.__name__, getattr(cls, "op", None)
    if not isinstance(op, str) or not WORD.fullmatch(op):
        yield f"`op` of {title} is {op!r}; it is lower case letters, digits and _"
    if op in RESERVED:
        yield f"`op` of {title} is {op!r}, which has a meaning of its own in the language"
    if not isinstance(getattr(cls, "family", None), str):
        yield f"{title} lacks `family`, the word for its colour"
    if cls.resolve is not Layer.resolve:
        return  # another layer takes its place
    if cls.infer is Layer.infer:
        yield f"{title} lacks the method `infer`"
    if cls.call is Layer.call and not cls.target:
        yield f"{title} lacks `target`, or the method `call`"
    if not cls.__module__.startswith(f"{__package__}."):  # the tests try the ops of archspec
        yield from _names(cls)
        yield from _tried(cls)


def _names(cls: type[Layer]) -> Iterator[str]:
    """What is wrong with the names that a class of another package brings into emitted files."""
    title = cls.__name__
    said = [("uses", name) for name in cls.uses]
    if _says_target(cls):
        said.append(("target", cls.target))
    for where, name in said:
        function = where == "uses" and _OF_TORCH.fullmatch(name)
        if function or (where == "target" and _OF_NN.fullmatch(_plain(name))):
            continue
        if not _MODULE.fullmatch(_plain(name)):
            ways = "`nn.Name`" if where == "target" else "a function of torch, `torch.fft.rfft`,"
            yield (
                f"`{where}` of {title} names {name!r}; it is {ways} or a class of a package with "
                "all that leads to it, `my_package.my_module.MyClass`"
            )
        package = name.partition(".")[0]
        if find_spec(package) is None:
            yield f"`{where}` of {title} names {name!r}; there is no package `{package}`"


def _says_target(cls: type[Layer]) -> bool:
    """Whether `target` was written outside of archspec, and not taken over from a built-in op."""
    says = next(base for base in cls.__mro__ if "target" in vars(base))
    return bool(cls.target) and not says.__module__.startswith(f"{__package__}.")


def _plain(target: str) -> str:
    return target.replace("{n}", "1")


def _tried(cls: type[Layer]) -> Iterator[str]:
    """What is wrong with what a class says of its examples."""
    if not cls.examples:
        yield f"{cls.__name__} lacks `examples`, arguments and shapes of inputs to try it on"
    for args, shapes in cls.examples:
        where = f"{cls.__name__} on its example {args!r}, {', '.join(map(str, shapes))}"
        try:
            kinds = [*cls.example_dtypes, *("float" for _ in shapes)]
            types = [TensorType(s, d) for s, d in zip(shapes, kinds, strict=False)]
            layer = cls.model_validate(args)
            for wrong in _answers(layer, types):
                yield f"{where}: {wrong}"
        except Exception as failed:  # code of others, which may fail in any way
            yield f"{where}: {type(failed).__name__}: {' '.join(str(failed).split())}"


def _answers(layer: Layer, types: list[TensorType]) -> Iterator[str]:
    outs, weights = layer.infer(*types), layer.weights(*types)
    if not _all(outs, TensorType):
        yield f"`infer` returns {outs!r}; it is a tuple of one TensorType for each output"
    if len(outs) != len(layer.gives) and layer.gives != ("*",):
        yield f"`infer` returns {len(outs)} types; `gives` names {len(layer.gives)} outputs"
    if not _all(weights, Weight):
        yield f"`weights` returns {weights!r}; it is a tuple of Weight"
    made = layer.call(*types)
    if not isinstance(made, Call):
        yield f"`call` returns {made!r}; it is a Call"
    if made.target is not None and made.target not in targets(type(layer)):
        yield f"`call` makes `{made.target}`, which neither `target` nor `uses` names"
    if made.wrap not in _WRAPS:
        yield f"`wrap` is {made.wrap!r}; it is one of {', '.join(map(repr, _WRAPS[1:]))}"
    known: set[str | None] = {"self"} if made.target else set()
    known |= {f"x{i}" for i in range(len(types))} | {a.name for a in made.free}
    yield from _spoken(type(layer), "forward", made.forward, known)
    for text in made.results:
        yield from _spoken(type(layer), "results", text, {"r"})


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, tuple) and all(isinstance(v, kind) for v in values)


def _spoken(cls: type[Layer], where: str, text: str, known: set[str | None]) -> Iterator[str]:
    """What is wrong with an expression that `forward` is to say."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, TypeError):
        yield f"`{where}` is {text!r}, which is no expression of Python"
        return
    for node in ast.walk(tree):
        if not isinstance(node, _WRITTEN):
            yield f"`{where}` is {text!r}; emission writes no {type(node).__name__}"
        if isinstance(node, ast.Name) and node.id not in {*known, "torch", "nn", "math"}:
            yield f"`{where}` is {text!r}; nothing is called `{node.id}` there"
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            yield f"`{where}` is {text!r}; emission writes no name like `{node.attr}`"
    for name in re.findall(r"\btorch\.[\w.]+", text):
        if name.removeprefix("torch.") not in TORCH and name not in cls.uses:
            yield f"`{where}` calls `{name}`, which `uses` does not name"


def targets(cls: type[Layer]) -> frozenset[str]:
    """The modules that a layer may be made of: `target`, for every number of axes, and `uses`."""
    said = {cls.target.format(n=n) for n in (1, 2, 3)} - {""}
    return frozenset(said | set(cls.uses) - functions(cls))


def functions(cls: type[Layer]) -> frozenset[str]:
    """The functions of torch that a layer calls beside those that are always allowed."""
    return frozenset(filter(_OF_TORCH.fullmatch, cls.uses))


def modules(cls: type[Layer]) -> Iterator[str]:
    """Those of them that are imported from a package: `my_package.quantiser.VectorQuantiser`."""
    return (t for t in sorted(targets(cls)) if _MODULE.fullmatch(t) and not _OF_NN.fullmatch(t))


# ---------------------------------------------------------------- what is installed


@dataclass(slots=True)
class Offer:
    """The entry points of one name: each a distribution's word for the class of an op."""

    op: str
    points: list[Any] = field(default_factory=list)

    @property
    def of(self) -> str:
        """The distributions, with their versions."""
        dists = (p.dist for p in self.points)
        return " and ".join(f"{d.name} {d.version}" if d is not None else "?" for d in dists)

    def load(self) -> type[Layer]:
        """The class. Raises ValueError, whatever its package does."""
        if len(self.points) > 1:
            raise ValueError(f"{self.of} both offer the op `{self.op}`; uninstall one of them")
        try:
            cls: type[Layer] = self.points[0].load()
            expect_layer(cls)
        except Exception as failed:  # code of others, which may fail in any way
            kind = "" if type(failed) is ValueError else f"{type(failed).__name__}: "
            why = f"{kind}{' '.join(str(failed).split())}"
            raise ValueError(f"{self.of} offers the op `{self.op}`, which fails: {why}") from None
        if cls.op != self.op:
            raise ValueError(
                f"{self.of} offers the op `{self.op}`, but `op` of {cls.__name__} is {cls.op!r}; "
                "an entry point has the name of its op"
            )
        return cls


@cache
def offers() -> dict[str, Offer]:
    """What the installed distributions offer, by op. Nothing is imported yet."""
    from importlib.metadata import entry_points  # slow to import, seldom needed

    found: dict[str, Offer] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, Offer(point.name)).points.append(point)
    return found
