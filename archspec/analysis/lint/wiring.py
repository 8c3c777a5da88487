"""Rules about which item takes what, where the text may be read in two ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from archspec.analysis.lint.context import Context
from archspec.expand.plan import Plan
from archspec.text.faults import Fault

if TYPE_CHECKING:
    from archspec.expand.tree import Body, Copy, Instance, Occurrence, Value


class Place(NamedTuple):
    """One copy of an item, and the item before it in the same body."""

    copy: Copy
    of: Occurrence
    before: Occurrence | None


def chained(context: Context) -> Iterator[Fault]:
    """W114: copies that stand behind one another are merged as if they stood side by side.

        input: [64]
        body: [{id: experts, from: input, repeat: 4, linear: 64}, {id: sum, add: experts.*}]
        # `sum` merges all copies of `experts`, which are a chain: only the first takes `input`,
        # each other takes the copy before

    Told of a repeat whose `from` names where it starts, of which an item takes every copy: an
    `add` whatever it takes beside them, any other if it takes nothing else. Left alone: a `concat`
    of what a chain starts from and its copies (DenseNet, VoVNet, C2f), chains without `from`.
    """
    for bodies in _bodies(context.graph.root):
        places = [place for body in bodies for place in _places(body)]
        takers: dict[Value | None, list[Place]] = {}
        for place in places:
            for value in {*place.copy.ins}:
                takers.setdefault(value, []).append(place)
        for of in (of for body in bodies for of in body.items):
            outs = {copy.out for copy in of.copies if copy is not None}
            if of.item.repeat is None or len(outs) < 2 or not Plan(of.item).starts:
                continue
            for place in takers.get(next(iter(outs)), ()):
                taken = {*place.copy.ins}
                if outs == taken or (outs < taken and place.of.item.op == "add"):
                    yield _merged(of, place)


def _merged(of: Occurrence, place: Place) -> Fault:
    assert of.item.inputs is not None  # it says where it starts
    start, copies = of.item.inputs[0].path.text, of.item.id.text if of.item.id else of.item.said
    told = f"`{_name(place)}` merges all copies of `{copies}`, which are a chain: "
    told += f"only the first takes `{start}`, each other takes the copy before"
    help = "copies side by side are paths: `branches: {repeat: …, …}` with `from` and `merge` "
    help += "beside it"
    return Fault("W114", told, place.of.item.key, help=help)


def beside(context: Context) -> Iterator[Fault]:
    """W115: an item without `from` stands behind a tensor that it could take, and does not take it.

        input: [4, 8]
        body: [{id: query, parameter: [4, 8]}, {id: q, linear: 8}, {add: [q, query]}]
        # `q` takes what flows in, not `query` above it, which is off the line; both are [4, 8]

    A `parameter` or `constant` takes nothing, so it is off the line. Left alone: tensors of another
    shape than what is taken, and items that say `from`, or take a list.
    """
    for bodies in _bodies(context.graph.root):
        for place in (place for body in bodies for place in _places(body)):
            tensor = None if place.before is None else place.before.out
            taken = next(iter(place.copy.ins), None)
            if place.of.item.inputs is not None or tensor is None or taken is None:
                continue
            if _tensor(place.before) and _alike(tensor, taken):
                yield _passed_by(place, tensor)


def _tensor(of: Occurrence | None) -> bool:
    """Whether it takes nothing and is there: a parameter, a constant."""
    return of is not None and any(c.layer and not c.layer.takes for c in of.copies if c is not None)


def _alike(one: Value, other: Value) -> bool:
    kinds = one.type, other.type
    return len({(kind.shape, kind.dtype) for kind in kinds if kind is not None}) == 1


def _passed_by(place: Place, tensor: Value) -> Fault:
    assert place.before is not None
    above = place.before.name or place.before.item.op
    told = f"`{_name(place)}` takes what flows in, not `{above}` above it, which is off the line; "
    told += f"both are {tensor.type}"
    help = f"`from: {above}` takes it; else `from: prev` says that the line is meant"
    return Fault("W115", told, place.of.item.key, help=help)


def absent(context: Context) -> Iterator[Fault]:
    """W116: a path without any item that is there gives once more what enters it.

        params: {pool: false}
        input: [8, 6, 6]
        body: [{branches: [{conv: {out: 8, kernel: 1}}, {relu: , when: $pool}], merge: concat}]
        # no item of this path is there, so that `concat` takes what enters the path as it is

    Left alone: a path beside others in an `add`, where the identity is what a projection that is
    not needed leaves, as in a residual's shortcut; unless another path is the identity too.
    """
    for bodies in _bodies(context.graph.root):
        for place in (place for body in bodies for place in _places(body)):
            copy = place.copy
            if copy.cut or copy.layer is None or not copy.group:
                continue
            paths = copy.parts()
            same = [body for body in paths if body.output is body.input]
            twice = len(same) + (len(paths) == 1) > 1
            gone = [body for body in same if body.items and not any(body.copies())]
            if gone and (twice or (copy.branches and copy.layer.op != "add")):
                yield _identity(gone[0], copy.layer.op)


def _identity(body: Body, merge: str) -> Fault:
    told = f"no item of this path is there, so that `{merge}` takes what enters the path as it is"
    help = "to leave the path out, put `repeat: 1` beside its `when`, in a list of paths; of a "
    help += "residual, put `when` beside `residual`"
    return Fault("W116", told, body.items[0].item.key, help=help)


# ---------------------------------------------------------------- the tree


def _bodies(root: Instance) -> Iterator[list[Body]]:
    """Of each block, as often as it was made, the bodies that see one another's values."""
    made, pending = {id(root)}, [root]
    while pending:
        bodies = [pending.pop().body]
        for body in bodies:  # it grows
            for copy in body.copies():
                bodies += copy.parts()
                if copy.instance is not None and id(copy.instance) not in made:
                    made.add(id(copy.instance))
                    pending.append(copy.instance)
        yield bodies


def _places(body: Body) -> Iterator[Place]:
    before = None
    for of in body.items:
        for copy in of.copies:
            if copy is not None:
                yield Place(copy, of, before)
        before = of


def _name(place: Place) -> str:
    """What it is called in its block."""
    copy = place.copy
    return ".".join(copy.segments) or copy.merged or place.of.item.said
