"""Values as they are computed: equal computations are one object, so that "the same" is `is`.

torch.cat([self.conv(x), x], 1)        conv = terms("call", "conv", (x,), ())
                                       terms("torch.cat", ((conv, x), 1), ())
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archspec.text.faults import Loc


class Refused(Exception):  # noqa: N818 (said of a text)
    """What is wrong with the text, said of the member at `path`, or of the class at hand.

    `line` is the line of the text, 0 where none is known. `whose` is the class or block that the
    path starts from, `loc` the place of the item: who knows them fills them in.
    """

    def __init__(self, message: str, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.path, self.line = path, line
        self.whose = ""
        self.loc: Loc | None = None


def unknown(what: str) -> Refused:
    """What the proof cannot follow is refused as well."""
    return Refused(f"has what the proof does not know: {what}")


class Term:
    """A tensor, or a fact of one: `of` is an operation and its operands.

    `shape` is set where the graph has the value: sizes without the batch axis. `lone`: it has no
    batch axis, as a parameter has none; `led`: but a stored axis of 1 in its place. `arity`: how
    many results the graph takes out of it.
    """

    __slots__ = ("arity", "led", "lone", "of", "serial", "shape")

    def __init__(self, of: tuple[Any, ...], serial: int) -> None:
        self.of, self.serial = of, serial
        self.shape: tuple[int, ...] | None = None
        self.lone = self.led = False
        self.arity = 0


_PURE = frozenset({
    "param", "part", "index", ".expand", "Add", "Sub", "Mult", "Div", "MatMult", "Pow", "USub",
    "FloorDiv", "Mod",
})  # fmt: skip


def _undone(operation: str, *of: Any) -> Term | None:
    """What a computation that changes nothing is made of: axes turned and turned back.

    The states that a module gives are contiguous, which other results need not be.
    """
    if operation == ".transpose" and of[0].of[0] == ".transpose" and of[1:] == of[0].of[2:]:
        return of[0].of[1]  # type: ignore[no-any-return]
    given = of[0] if operation == ".contiguous" and of[1:] == ((), ()) else None
    while given is not None and given.of[0] == "part":
        given = given.of[1]
        if given.of[0] == "call":
            return of[0]  # type: ignore[no-any-return]
    return None


class Terms:
    """All terms of a run, each once. `closed`: all that the graph computes is known."""

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], Term] = {}
        self.closed = False
        self.batch = self("batch")  # the size of the batch axis, of whatever tensor

    def __call__(self, *of: Any) -> Term:
        same = _undone(*of)
        if same is not None:
            return same
        found = self.known.get(of)
        if found is None:
            if self.closed and of[0] not in _PURE:  # it might change what it is given
                raise Refused(
                    f"computes {of[0].removeprefix('.')} of other things than in the spec"
                )
            found = self.known[of] = Term(of, len(self.known))
        return found

    def bare(self, term: Term, beside: Term) -> Term:
        """A parameter that was given the batch axis of what it meets, without it.

        Torch broadcasts it to the same.
        """
        if term.of[0] != ".expand" or not term.of[1].lone or beside.lone:
            return term
        batch, *axes = term.of[2]
        return term.of[1] if batch is self.batch and all(size == -1 for size in axes) else term

    def part(self, whole: Term, place: int) -> Term:
        """One of several results."""
        if not self.closed:
            whole.arity = max(whole.arity, place + 1)
        return self("part", whole, place)

    def shape(self, term: Term) -> tuple[Any, ...]:
        """The sizes of a value of the graph. Raises Refused."""
        expanded = term.of[0] == ".expand" and term.of[2][:1] == (self.batch,)
        if term.shape is None and not expanded:
            raise unknown("the shape of a value that the graph does not have")
        first = (1,) * term.led if term.lone else (self.batch,)
        return (*first, *(term.shape or ()))


@dataclass(frozen=True, slots=True)
class Dotted:
    """A name of torch's: `nn.Conv2d`, `torch.cat`."""

    name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of a value, not yet called; of a tensor also what is no method, `x.device`."""

    name: str
    of: Any


def frozen(value: Any) -> Any:
    """A value as a key: 1, 1.0 and True are told apart; lists and tuples, 0.0 and -0.0 are not."""
    kind = type(value)
    if kind is int or kind is Term or kind is str or value is None:
        return value
    if kind is tuple or kind is list:
        return tuple([frozen(v) for v in value])
    if kind is float or kind is bool or value is ...:
        return (kind, repr(value or kind()))
    if kind is slice:
        return (slice, frozen((value.start, value.stop, value.step)))
    if kind is Dotted or (kind is Bound and type(value.of) is Term) or hasattr(value, "methods"):
        return value
    raise unknown(f"a {kind.__name__} as an argument")


def named(kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments by name as a key."""
    return frozen(sorted(kwargs.items())) if kwargs else ()
