"""`head` → paths that are there: a slip in it would refuse the very weights it is to let go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archspec.expand.plan import CALL, OP, SHARED, Plan, has_expression
from archspec.expand.state import deeper
from archspec.expand.tree import Body, Copy
from archspec.expressions import Expr
from archspec.text.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archspec.expand.state import State
    from archspec.expand.tree import Instance
    from archspec.language import Branch, Item, Spec

Names = list[str]
Place = tuple[tuple[str, ...], Copy | Body]  # segments still to go, and what they lead to

_NUMBER = re.compile(r"\d+")


def check(state: State, spec: Spec, root: Instance | None, *, chosen: bool) -> None:
    """Note each path of `head` that nothing has.

    `root` is None where faults hide what is there; `chosen`: a variant or params change the
    network. A path that is in the text, but not in this network, is no fault.
    """
    for k, path in enumerate(spec.head):
        names = path.split(".")
        if root is not None and _missing(root, names)[0] == len(names):
            continue
        text = _Text(chosen=chosen)
        if text.body(spec, spec.items, names, numbered=spec.numbered, open=root is None):
            continue
        missing, known = _missing(root, names) if root is not None else (0, [])
        depth = len(names) - min(text.known, default=len(names))
        if depth > missing or root is None:
            missing, known = depth, text.known.get(len(names) - depth, [])
        if state.said("E312", spec.loc, (names[0],)):
            continue  # it is missing elsewhere too
        name, before = names[missing], ".".join(names[:missing])
        lacks = f"`{before}` has no part `{name}`" if before else f"there is no item `{name}`"
        message = lacks if path == name else f"{lacks}, for `{path}`"
        help = did_you_mean(name, known) or (f"name `{before}` itself" if before else "")
        state.fault("E318", message, deeper(spec.loc, "head", k), help, cause=(name,))


# ---------------------------------------------------------------- what is there


def _missing(root: Instance, names: Names) -> tuple[int, list[str]]:
    """How many of `names` lead somewhere, and what stands beside the first that does not."""
    places: list[Place] = [((), root.body)]
    for k, name in enumerate(names):
        inside = [entry for place in places for entry in _below(place)]
        places = [place for segment, place in inside if segment == name]
        if not places:
            return k, list(dict.fromkeys(segment for segment, _ in inside))
    return len(names), []


def _below(place: Place) -> Iterator[tuple[str, Place]]:
    """What stands one segment further in."""
    segments, what = place
    if segments:
        yield segments[0], (segments[1:], what)
        return
    for body in (what,) if isinstance(what, Body) else what.below():
        if body.segment is not None and body is not what:
            yield body.segment, ((), body)
            continue
        for copy in body.copies():
            if copy.segments:
                yield copy.segments[0], (copy.segments[1:], copy)
            else:
                yield from _below(((), copy))


# ---------------------------------------------------------------- what is in the text


class _Text:
    """Whether a path is one that some choice of params would give.

    `known` are the ids at each place it came to, by how many segments were then to go. In the
    functions, `open` is whether anything on the way may be absent here; `numbered` whether what
    has no id is named by its place.
    """

    def __init__(self, *, chosen: bool) -> None:
        self.chosen = chosen
        self.known: dict[int, list[str]] = {}

    def body(
        self, spec: Spec, items: Iterable[Item], names: Names, *, numbered: bool, open: bool
    ) -> bool:
        return any(self.item(spec, item, names, numbered=numbered, open=open) for item in items)

    def item(
        self, spec: Spec, item: Item, names: Names, *, numbered: bool, open: bool,
        label: str | None = None,
    ) -> bool:  # fmt: skip
        plan = Plan(item)
        open = open or item.when is not True or (self.chosen and _varies(item))
        pattern = re.escape(label) if label is not None else _pattern(plan, numbered=numbered)
        if pattern is None:
            return self.inside(spec, item, names, numbered=numbered, open=open)
        known = self.known.setdefault(len(names), [])
        known += [name for name in (label or plan.ident,) if name is not None]
        if not re.fullmatch(pattern, names[0]):
            return False
        rest = names[1:]
        under = item.repeat is not None and not plan.apart and (label or item.id is not None)
        if rest and under:
            if not _NUMBER.fullmatch(rest[0]):
                return False
            rest = rest[1:]
        if not rest:
            return open
        return self.inside(spec, item, rest, numbered=item.op == "sequential", open=open)

    def inside(self, spec: Spec, item: Item, names: Names, *, numbered: bool, open: bool) -> bool:
        if item.target is not None:
            return open  # another item's weights
        called = spec.blocks.get(item.op)
        if called is not None:
            return self.body(spec, called.items, names, numbered=called.numbered, open=open)
        used = spec.use[item.op].spec if item.op in spec.use else None
        if used is not None:
            return self.body(used, used.items, names, numbered=used.numbered, open=open)
        beside = open or item.shortcut_when is not True
        return (
            self.body(spec, item.items, names, numbered=numbered, open=open)
            or self.body(spec, item.shortcut or (), names, numbered=numbered, open=beside)
            or any(self.branch(spec, b, names, numbered=numbered, open=open) for b in item.branches)
        )

    def branch(
        self, spec: Spec, branch: Branch, names: Names, *, numbered: bool, open: bool
    ) -> bool:
        key, items = branch.key, branch.items
        if key is None or not items:
            return self.body(spec, items, names, numbered=numbered, open=open)
        if len(items) == 1 and items[0].id is None:
            return self.item(spec, items[0], names, numbered=numbered, open=open, label=key)
        if names[0] != key or len(names) == 1:
            return names[0] == key and open
        return self.body(spec, items, names[1:], numbered=False, open=open)


def _varies(item: Item) -> bool:
    """Whether params may change how many copies there are."""
    repeat = item.repeat
    return repeat is not None and has_expression([repeat.count, repeat.columns])


def _pattern(plan: Plan, *, numbered: bool) -> str | None:
    """What the name of an item looks like; None where it is transparent."""
    if plan.ident is not None:
        return re.escape(plan.ident)
    if plan.labels is not None:
        return "".join(r"\w+" if isinstance(p, Expr) else re.escape(p) for p in plan.labels.parts)
    if plan.kind in (OP, CALL, SHARED):
        return r"\d+" if numbered else rf"{plan.word}\d+"
    return r"\d+" if numbered and plan.item.op != "body" else None
