"""An argument that is a name → the place where its value is written: that is what is wrong.

params: {width: -1}                                                          <- here
blocks: {Unit: {params: {out: required}, body: [{conv: {out: $out, kernel: 3}}]}}
body: [{Unit: $width}]

`$out` is what the call gives, and `$width` what the document says: one value in three places, and
a person mends it in one. A value that is computed is wrong where it is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from archspec.expand.tree import Copy, Value
from archspec.expressions import Expr, ExpressionError, evaluate, is_whole
from archspec.language import REQUIRED, Block, Item, Spec
from archspec.text.faults import Loc
from archspec.text.words import kind, show, written


class Around(NamedTuple):
    """Where a call stands: what is made before it in its block, and what it is given, by name."""

    made: Sequence[tuple[Copy, Item, object]]
    inputs: Mapping[str, Value]
    given: Mapping[str, Value]


@dataclass(slots=True)
class Link:
    """One step down: a copy of a repeated item, or a call and the path it stands under."""

    item: Item
    index: int = 0  # of the copy
    count: int = 0  # of copies; 0: a call
    args: Mapping[str, Any] | None = None
    path: tuple[str, ...] = ()
    called: tuple[Block, Spec] | None = None  # the block, and the file that it stands in
    around: Around | None = None  # of a call that is walked into


@dataclass(frozen=True, slots=True)
class Said:
    """A document, and what is chosen from outside of it."""

    spec: Spec
    variant: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> tuple[Any, Loc] | None:
        """What a param is, as written, and where."""
        chosen = self.spec.variants.get(self.variant or "", {})
        if name not in self.spec.params:
            return None
        loc = _at(self.spec.loc, "params", name)
        if name in self.params:
            return self.params[name], loc
        if name in chosen:
            return chosen[name], _at(self.spec.loc, "variants", str(self.variant), name)
        return self.spec.params[name], loc


Links = Sequence[Link]
_Places = dict[Loc, Any]  # values that may be wrong, by place


_FEW = 50  # places that a value is computed from, of which one is looked for
_MOST = 2**31
_SIZE = 64  # one that most others divide, or are multiples of


class Odd(NamedTuple):
    """A value, as written, that is no size: nothing, a text, 0, 1.5, an empty list."""

    loc: Loc
    text: str


class _Found(NamedTuple):
    """What stands for a name: as written, where, what is around it, and which entry is meant."""

    value: Any
    loc: Loc
    around: Links
    entry: tuple[int, ...] = ()

    def inside(self) -> _Found:
        """The entry that is meant, where the text shows it."""
        value, loc, entry = self.value, self.loc, self.entry
        while entry and isinstance(value, (list, tuple)) and entry[0] < len(value):
            value, loc, entry = value[entry[0]], _at(loc, entry[0]), entry[1:]
        return _Found(value, loc, self.around, entry)


def place(value: Any, links: Links, document: Said) -> Loc | None:
    """Where the value of what is written as nothing but a name stands; None: here.

    That is the last in the chain of names, seen from inside of `links`: a value, or an expression.
    Of a list it is the one entry that is no size: `[-1, $width]`, where `width` is a text.
    """
    if isinstance(value, (list, tuple)):
        return _entry(value, links, document)
    loc: Loc | None = None
    entry: tuple[int, ...] = ()
    while isinstance(value, Expr) and value.names == {value.text.strip()}:
        found = _look(value.text.strip(), links, document)
        if found is None or found.value is REQUIRED:
            break
        value, loc, links, entry = found._replace(entry=(*found.entry, *entry)).inside()[:4]
    return loc


def _entry(entries: Iterable[Any], links: Links, document: Said) -> Loc | None:
    """The place of the one entry, a name, that is no size, where all others are or read it."""
    worth = [(entry, _worth(entry, (links, document), {}, None)) for entry in entries]
    odd = [entry for entry, value in worth if not _size(value) and value != -1]
    found = {place(entry, links, document) for entry in odd} - {None}
    at = next(iter(found), None)
    if at is None or len(found) > 1:
        return None
    around = {Loc(at.file, at.path[:k]) for k in range(len(at.path) + 1)}
    if any(around.isdisjoint(places(entry, links, document)) for entry in odd):
        return None
    return at


def places(value: Any, links: Links, document: Said) -> list[Loc]:
    """All places that a value is computed from."""
    return [*_leaves(value, links, document)]


def causes(value: Any, links: Links, document: Said) -> tuple[Loc | Odd, ...]:
    """All places that a value is computed from; those that say what is no size once more."""
    leaves = _leaves(value, links, document)
    said = ((at, leaf) for at, leaf in leaves.items() if not isinstance(leaf, Expr))
    return (*leaves, *(Odd(at, written(leaf)) for at, leaf in said if not _sizes(leaf)))


def one_of(sizes: Collection[int], value: Any, links: Links, document: Said) -> Loc | None:
    """The place of a number that is one of `sizes`, among those that a value is computed from."""
    for at, leaf in _leaves(value, links, document).items():
        if is_whole(leaf) and leaf in sizes:
            return at
        for k, entry in enumerate(leaf if isinstance(leaf, (list, tuple)) else ()):
            if is_whole(entry) and entry in sizes:
                return _at(at, k)
    return None


def _leaves(value: Any, links: Links, document: Said) -> dict[Loc, Any]:
    """What a value is computed from, as written, by place."""
    known: dict[Loc, Any] = {}
    entries = value if isinstance(value, (list, tuple)) else [value]
    todo = [(entry, links) for entry in entries]
    while todo:
        value, links = todo.pop()
        for name in value.names if isinstance(value, Expr) else ():
            found = _look(name, links, document)
            if found is not None and (found := found.inside()).loc not in known:
                known[found.loc] = found.value
                todo.append((found.value, found.around))
    return known


def culprit(value: Any, links: Links, document: Said, message: str = "") -> Loc | None:
    """The place of the one value that makes what is computed from it wrong; None: not one alone.

    That is nothing, a number that is no size, a text or what is no number at all: of which the
    `message` speaks, or with a size in its place one comes out.

        params: {width: 64, scale: "2"}      <- here
        body: [{linear: $(width * scale)}]
    """
    if len(places(value, links, document)) > _FEW:
        return None
    odd: _Places = {}
    _worth(value, (links, document), odd, None)
    found = [
        at
        for at, leaf in odd.items()
        if _speaks(message, leaf)
        or (_replaced(leaf) and _fits(_worth(value, (links, document), {}, at)))
    ]
    return found[0] if len(found) == 1 else None


def uneven(values: Iterable[Any], links: Links, document: Said) -> Loc | None:
    """The one list of the chosen variant, of another length than its default, that is read."""
    name, spec = str(document.variant), document.spec
    chosen = spec.variants.get(name, {})
    lengths = {k: _length(spec.params.get(k)) for k, v in chosen.items() if _length(v)}
    found = {
        at: None
        for value in values
        for at in places(value, links, document)
        if at.path[:2] == ("variants", name) and at.file == spec.loc.file
        and lengths.get(str(at.path[2]), 0) not in (0, _length(chosen[str(at.path[2])]))
    }  # fmt: skip
    return next(iter(found)) if len(found) == 1 else None


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 0


def _worth(value: Any, seen: tuple[Links, Said], odd: _Places, one: Loc | None) -> Any:
    """A value from what the text says alone, with 1 at a place; None where that is not enough.

    Notes what is `odd`.
    """
    if isinstance(value, (list, tuple)):
        return [_worth(entry, seen, odd, one) for entry in value]
    if not isinstance(value, Expr):
        return value
    env: dict[str, Any] = {}
    for name in value.names:
        found = _look(name, *seen)
        if found is not None:
            env[name] = _one(found.inside(), seen[1], odd, one)
    try:
        return evaluate(value, env) if env.keys() >= value.names else None
    except ExpressionError:
        return None


def _one(found: _Found, document: Said, odd: _Places, one: Loc | None) -> Any:
    """What a name stands for."""
    value = _entries(found, document, odd, one)
    for place in found.entry:
        value = next(iter(value[place:]), None) if isinstance(value, (list, tuple)) else None
    return value


def _entries(found: _Found, document: Said, odd: _Places, one: Loc | None) -> Any:
    value, loc = found.value, found.loc
    if loc == one:
        return _SIZE
    if value and isinstance(value, (list, tuple)):
        odd[loc] = value
        every = (found._replace(entry=(k,)).inside() for k in range(len(value)))
        return [_entries(entry, document, odd, one) for entry in every]
    if not isinstance(value, Expr) and not _size(value):
        odd[loc] = value
    return _worth(value, (found.around, document), odd, one)


def _speaks(message: str, value: Any) -> bool:
    """Whether it is the value that a message names; of a truth it is its use that is wrong."""
    no = f": {show(value)} is no" in f": {message}" and not isinstance(value, bool)
    return no or f" is {written(value)};" in message or f" is {kind(value)};" in message


def _replaced(value: Any) -> bool:
    """Whether a value may stand where a size is meant: nothing, a text, a whole number, a list."""
    return value is None or isinstance(value, (str, list, tuple)) or is_whole(value)


def _fits(value: Any) -> bool:
    return all(map(is_whole, value)) if isinstance(value, list) else _size(value)


def _sizes(value: Any) -> bool:
    """Whether it is a size, or a list of some."""
    return all(map(_sizes, value)) and value != [] if isinstance(value, list) else _size(value)


def _size(value: Any) -> bool:
    return is_whole(value) and 0 < value < _MOST


def _look(name: str, links: Links, document: Said) -> _Found | None:
    for k in reversed(range(len(links))):
        link, around = links[k], links[:k]
        if link.called is not None:
            return _of_call(name, links[: k + 1], document)
        repeat = link.item.repeat
        if repeat is not None and name in repeat.columns:
            return _Found(repeat.columns[name], _at(repeat.loc, name), around, (link.index,))
    said = document.value(name)
    return said and _Found(*said, ())


def _of_call(name: str, links: Links, document: Said) -> _Found | None:
    """A param of the block that the last link calls: as it is given, or its default."""
    *around, link = links
    assert link.called is not None
    (block, spec), item = link.called, link.item
    if name not in block.params:
        return _of_default(name, around, link.called, document)
    if name in item.args:
        return _Found(item.args[name], Loc(item.loc.file, (*item.given, name)), around)
    if block.items is not spec.items:
        default = block.params[name]
        reads = default.names if isinstance(default, Expr) else frozenset()
        own = not reads.isdisjoint(block.params.keys() - {name})
        loc = _at(block.loc, "params", name)
        return _Found(default, loc, links if own else _of_file(around, spec))
    caller = next((one.called[1] for one in reversed(around) if one.called), document.spec)
    use = caller.use.get(block.name)
    variant = None if use is None else use.variant
    said = Said(spec, variant).value(name)
    return said and _Found(*said, links)


def _of_default(
    name: str, around: Links, called: tuple[Block, Spec], document: Said
) -> _Found | None:
    """What a default of a block reads that is none of its params: one of the file's."""
    block, spec = called
    ids = (item.id.text for item in block.items if item.id is not None)
    whole = _of_file(around, spec)
    if name in block.inputs or name in ids or not (whole or spec is document.spec):
        return None
    return _look(name, whole, document)


def _of_file(links: Links, spec: Spec) -> Links:
    """Those that lead into a file: what its defaults read, its params are."""
    for k in reversed(range(len(links))):
        called = links[k].called
        if called is not None and called[1] is spec and called[0].items is spec.items:
            return links[: k + 1]
    return ()


def _at(loc: Loc, *path: str | int) -> Loc:
    return Loc(loc.file, (*loc.path, *path))
