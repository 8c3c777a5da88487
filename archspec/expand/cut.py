"""`outputs` of a `use`, and `freeze` with paths → what they mean inside of a network.

    use: {Net: {file: resnet50, outputs: {c4: layer3}}}    the walk ends behind layer3
    {id: net, Net: , freeze: [conv1, layer1]}              marks net.conv1, and all in net.layer1

A path of these two goes into blocks, where `from` sees outputs alone: a published network is cut,
and frozen, between any two layers that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from archspec.expand import heads, wiring
from archspec.expand.names import Frame, Named
from archspec.expand.plan import below
from archspec.expand.state import State, deeper
from archspec.expand.tree import Asked, Body, Copy, Path, Value
from archspec.expand.walk import Walk
from archspec.expressions import ExpressionError, render
from archspec.language import Block, Item, Ref, Spec
from archspec.text.faults import Loc
from archspec.text.words import did_you_mean

Outputs = dict[str, Value | tuple[Value, ...]]  # by name; a tuple where a list was asked for
_Tree = dict[str, Any]  # paths by their segments, one in another; `_END` where one ends
_END = ""
Remade = Callable[[Walk, Copy, Asked], None]  # gives a call another instance of its block


# ---------------------------------------------------------------- where a network is cut


class Reached(NamedTuple):
    """What a path leads to: a value; or a call, and the path that goes on inside of its block."""

    value: Value | None
    call: Copy | None = None
    rest: Path = ()


def reached(path: Sequence[str], frame: Frame) -> Reached | None:
    """What a path leads to, if that is there by now."""
    found, rest = frame.names.get(path[0]), list(path[1:])
    while found is not None and rest:
        inner, taken = wiring.inside(found, rest)
        copy = found.copy if isinstance(found, Named) else found
        if inner is None and isinstance(copy, Copy) and copy.instance is not None:
            return Reached(None, copy, tuple(rest))
        found, rest = inner, rest[taken:]
    if isinstance(found, Named):
        found = None if found.absent else found.out
    value = found.out if isinstance(found, Copy) else found
    return None if value is None else Reached(value)


def over(walk: Walk) -> bool:
    """Whether all is there that a `use` asks for, so that the rest of its file is not walked.

    Not inside of a residual or of branches, whose paths are to meet.
    """
    return bool(walk.ends) and not walk.joins and all(reached(p, walk.top) for p in walk.ends)


def paths(walk: Walk, refs: Iterable[Ref]) -> list[Path]:
    """The segments of each; none of those whose expressions have a fault, which is said later."""
    found = []
    for ref in refs:
        try:
            found.append(tuple(render(ref.path, walk.env).split(".")))
        except ExpressionError:
            continue
    return found


def opened(walk: Walk, wanted: Iterable[Path], remake: Remade) -> None:
    """The blocks that paths lead into get outputs there."""
    asked: dict[Copy, list[Path]] = {}
    for path in wanted:
        found = reached(path, walk.top)
        if found is not None and found.call is not None:
            asked.setdefault(found.call, []).append(found.rest)
    for copy, rests in asked.items():
        assert copy.instance is not None
        old = copy.instance.asked
        remake(walk, copy, old._replace(taps=(*old.taps, *rests)))


def taps(walk: Walk, wanted: Iterable[Path], outputs: Outputs) -> dict[str, str]:
    """Adds the values of paths inside of a block to its outputs; their paths by the names there."""
    found = {}
    for path in wanted:
        at = reached(path, walk.top)
        if at is not None and at.value is not None:
            name = "_".join(path)
            while name in outputs:
                name += "_"
            outputs[name], found[name] = at.value, ".".join(path)
    return found


def complain(walk: Walk, body: Body, block: Block) -> bool:
    """Whether an output that a `use` asks for names nothing of its file; that is said."""
    faults = len(walk.state.faults)
    there = heads.places_in(body)
    for ref, path in zip(block.cut, paths(walk, block.cut), strict=False):
        missing, known = there.missing(path)
        entry = walk.top.names.get(path[0])
        at = reached(path, walk.top)
        if missing == len(path) or (at and at.value) or (isinstance(entry, Named) and entry.absent):
            continue
        if wiring.may_be(path[0], walk.top.names):
            continue
        lacks = f"`{block.name}` has no item `{path[0]}`"
        if missing:
            lacks = f"`{'.'.join(path[:missing])}` of `{block.name}` has no part `{path[missing]}`"
        help = did_you_mean(path[missing], known) or "`archspec expand` of the file shows its paths"
        walk.state.fault("E312", lacks, ref.loc, help, cause=(path[0],))
    return len(walk.state.faults) > faults


def taken(walk: Walk, copy: Copy, names: Iterable[str]) -> None:
    """Note which outputs that a `use` names are taken."""
    if copy.instance is not None and copy.instance.block.cut:
        block = copy.instance.block
        known = walk.state.cuts.setdefault(id(block), (walk.namespace.spec, block, set()))
        known[2].update(names)


def unused(state: State) -> None:
    """Outputs that a `use` names and nothing takes: a fault, unless another variant may."""
    for spec, block, names in state.cuts.values():
        for name, refs in (block.outputs or {}).items():
            if name in names or _spoken(spec, name):
                continue
            message = f"nothing takes the output `{name}` of `{block.name}`"
            loc = Loc(refs[0].loc.file, refs[0].loc.path[:4], on_key=True)
            help = "take it with `from`, or leave it out: what only it needs is not built then"
            state.fault("E315", message, loc, help)


def _spoken(spec: Spec, name: str) -> bool:
    """Whether a path in a file speaks of the output of a call, or might."""
    items = [*spec.items, *(item for block in spec.blocks.values() for item in block.items)]
    every = [i for item in items for i in (item, *below(item))]
    refs = [ref for item in every for ref in item.refs]
    outputs = [spec.outputs, *(block.outputs for block in spec.blocks.values())]
    refs += [ref for named in outputs for several in (named or {}).values() for ref in several]
    return any(
        not isinstance(part, str) or name in part.split(".") for r in refs for part in r.path.parts
    )


# ---------------------------------------------------------------- what is frozen


def freeze(walk: Walk, copy: Copy, item: Item, wanted: Sequence[Path], remake: Remade) -> None:
    """Freeze the paths inside of a call or a group; one that is not there is a fault."""
    _inside(walk, copy, _tree(_sound(walk, copy, item, wanted)), remake)


def mark(walk: Walk, body: Body, wanted: Iterable[Path], remake: Remade) -> None:
    """Mark what is frozen in a body; what an item says of itself there goes before."""
    _marked(walk, body, _tree(wanted), remake)


def _marked(walk: Walk, body: Body, wanted: _Tree, remake: Remade) -> None:
    if body.segment is not None:
        wanted = _below(wanted, (body.segment,))
    for copy in body.copies():
        inner = _below(wanted, copy.segments)
        if _END in inner:
            copy.freeze = True if copy.freeze is None else copy.freeze
        else:
            _inside(walk, copy, inner, remake)


def _inside(walk: Walk, copy: Copy, wanted: _Tree, remake: Remade) -> None:
    if not wanted:
        return
    if copy.instance is not None:
        asked = copy.instance.asked
        remake(walk, copy, asked._replace(frozen=asked.frozen | set(_paths(wanted))))
    for body in copy.parts():
        _marked(walk, body, wanted, remake)


def _tree(paths: Iterable[Path]) -> _Tree:
    tree: _Tree = {}
    for path in paths:
        at = tree
        for segment in path:
            at = at.setdefault(segment, {})
        at[_END] = {}
    return tree


def _paths(tree: _Tree) -> Iterator[Path]:
    for segment, inner in tree.items():
        yield from [()] if segment == _END else [(segment, *rest) for rest in _paths(inner)]


def _below(tree: _Tree, segments: Path) -> _Tree:
    """What is left of the paths behind some segments: an end where they end there or before."""
    for segment in segments:
        if _END in tree:
            break
        tree = tree.get(segment, {})
    return tree


def _look(state: State, spec: Spec, block: Block | None, wanted: Sequence[Path]) -> None:
    """Notes whether paths that are absent in a call stand in the text of its block, each once."""
    new = [path for path in wanted if block is not None and (id(block), path) not in state.written]
    if block is not None and new:
        found = zip(new, heads.written(spec, block, new), strict=True)
        state.written.update(((id(block), path), is_there) for path, is_there in found)


def _sound(walk: Walk, copy: Copy, item: Item, wanted: Sequence[Path]) -> Iterator[Path]:
    """The paths that lead to something inside; of others that is said, unless `when` is why."""
    there, spec = heads.places_in(copy), walk.namespace.spec
    block = None if copy.instance is None else copy.instance.block
    if copy.instance is not None and copy.instance.spec is not None:
        spec = copy.instance.spec
    _look(walk.state, spec, block, [path for path in wanted if there.missing(path)[0] < len(path)])
    for k, path in enumerate(wanted):
        missing, known = there.missing(path)
        if missing == len(path):
            yield path
            continue
        loc = deeper(item.loc, "freeze", k)
        if walk.state.noted("E318", loc):  # of another copy: its remedy is dear
            continue
        shown = ".".join(path)
        if copy.layer is not None and not copy.group:
            said, help = f"there is nothing inside of `{item.op}`", "write `freeze: true`"
        elif block is None or not walk.state.written[id(block), path]:
            said = f"`{item.op}` has no part `{shown}`"
            help = did_you_mean(path[missing], known)
        elif block.cut:
            said = f"`{shown}` is not in what `use` keeps of `{block.name}`, so it cannot be frozen"
            help = "what its outputs need is kept: name an output behind it, or leave the path out"
        else:
            continue  # absent in this variant
        walk.state.fault("E318", said, loc, help, cause=(path[0],))
