"""Ops that no output needs: they are a fault, or of a used file fall away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile

from archspec.expand.names import NAMELESS
from archspec.expand.plan import below
from archspec.expand.state import COMPARE, deeper
from archspec.expand.tree import Body, Copy, Instance, Occurrence, Value
from archspec.expand.walk import Made, Walk
from archspec.language import Block, Item
from archspec.text.faults import Step
from archspec.text.words import listed


def complain(walk: Walk, around: Instance, dead: list[Made]) -> None:
    """Name the ends of what leads nowhere, not all that leads to them, in one complaint.

    One mistake often leaves several: a `concat` that takes them no longer.
    """
    taken = {v for copy, _, _ in dead for v in copy.taken()}
    every = [made for made in dead if taken.isdisjoint(made.copy.outs.values())]
    ends = {made.item.loc: made for made in every}  # of copies of one item the first
    first, *others = reversed(ends.values())
    block, item = around.block, first.item
    path = _spoken(first.path) or item.said
    names = [_spoken(made.path) or made.item.said for made in others]
    details = (f"nor does any need {listed(names)}",) if names else ()
    with walk.state.beside(*_passed_over(around.body, first), *_named(block)):
        # taps that no `outputs` name: that is what is missing
        cause = ("outputs",) if item.tap is not None and not block.outputs else ()
        help, message = _help(around.body, first, path), f"no output needs `{path}`"
        walk.state.fault("E315", message, item.loc, help, details, cause)


def _help(body: Body, made: Made, path: str) -> str:
    """What makes an item needed."""
    item = made.item
    help = "name it in `outputs`, take it with `from`, or leave it out"
    gone = _passing(body, path, item)
    if gone is not None and gone.item.inputs:
        first, name = gone.item.inputs[0].path.text, gone.name or gone.item.op
        help = f"`{name}` is absent here and passes on `{first}`, the first of its `from`"
    if item.tap is not None:
        return "name it in `outputs`, or leave it out"
    if item.repeat is not None:
        return _chained(item) or help
    if made.copy.layer is not None and not made.copy.layer.takes:
        return (
            f"it takes nothing, so it is off the line: write `from: {path}` where it is taken, "
            "name it in `outputs`, or leave it out"
        )
    return help


def _spoken(path: tuple[str, ...]) -> str:
    """A path as a person may know it: what is called by no name that is right is left out."""
    if path[-1].startswith(NAMELESS):
        return ""
    return ".".join(part for part in path if not part.startswith(NAMELESS))


def _named(block: Block) -> tuple[Step, ...]:
    """Where the outputs are named, if they are."""
    if not block.outputs:
        return ()
    said = f"it names {listed(block.outputs)}"
    return (Step(deeper(block.loc, "outputs"), said, COMPARE),)


def _passed_over(body: Body, made: Made) -> tuple[Step, ...]:
    """The item that follows, where it names what it takes, and this not."""
    inside = {made.item, *below(made.item)}
    behind = dropwhile(lambda found: found[1] is not made.copy, _every(body))
    after = next((item for item, _ in behind if item not in inside), None)
    if after is None or not after.inputs:
        return ()
    taken = listed(ref.path.text for ref in after.inputs)
    return (Step(after.loc, f"the next, `{after.said}`, takes {taken}", COMPARE),)


def _every(body: Body) -> Iterator[tuple[Item, Copy | None]]:
    """The copies in a body, in order; of absent items those that pass on another value."""
    for occurrence in body.items:
        for copy in occurrence.copies:
            if copy is not None or occurrence.item.inputs:
                yield occurrence.item, copy
            for inner in copy.parts() if copy is not None else ():
                yield from _every(inner)


def _chained(item: Item) -> str:
    """How a repeated item of several inputs is a chain, if none of them is the copy before."""
    texts = [ref.path.text for ref in item.inputs or ()]
    if len(texts) < 2 or any(text.split(".")[0] == "prev" for text in texts):
        return ""
    return (
        f"each copy takes `{texts[0]}`; in a chain, of which each takes the copy before, it is\n"
        f"`from: [{', '.join(['prev', *texts[1:]])}]`, behind `{{from: {texts[0]}, identity: }}`"
    )


def _passing(body: Body, path: str, item: Item) -> Occurrence | None:
    """An absent item that would take what is at a path, or follows it, and passes on another."""
    before = None
    for occurrence in body.items:
        refs = [] if any(occurrence.copies) else [*(occurrence.item.inputs or ())]
        if any(ref.path.text == path for ref in refs[1:]) or (refs and before is item):
            return occurrence
        before = occurrence.item
    return None


def prune(instance: Instance, dead: list[Made], spare: set[Value]) -> None:
    """Take dead ops out of the tree; names stay as they were with them.

    `spare` are values that calls which stay no longer give.
    """
    gone = {copy for copy, _, _ in dead}
    lost = spare.union(value for copy in gone for value in copy.outs.values())
    _pruned(instance.body, gone, lost)
    instance.size -= sum(1 if c.instance is None else c.instance.size for c in gone)


def _pruned(body: Body, gone: set[Copy], lost: set[Value]) -> bool:
    """Whether anything of a body is left."""
    left = False
    for occurrence in body.items:
        occurrence.copies = tuple(
            copy if copy is not None and _kept(copy, gone, lost) else None
            for copy in occurrence.copies
        )
        left = left or any(copy is not None for copy in occurrence.copies)
        if occurrence.out in lost:
            occurrence.out = _end((occurrence,))
    if body.output in lost:
        body.output = _end(body.items)
    return left


def _end(items: Sequence[Occurrence]) -> Value | None:
    """What now flows out of items: the one output of the last that is left."""
    left = [copy for occurrence in items for copy in occurrence.copies if copy is not None]
    return left[-1].out if left and len(left[-1].outs) == 1 else None


def _kept(copy: Copy, gone: set[Copy], lost: set[Value]) -> bool:
    """Whether a copy, or anything in it, is left."""
    dead = copy in gone
    if not dead and (copy.layer is not None or copy.instance is not None):
        return True
    kept = [_pruned(body, gone, lost) for body in copy.parts()]
    if dead:
        # paths that are needed, though what merges them is not, stay side by side
        copy.layer, copy.merged, copy.cut = None, None, True
    if copy.out in lost:
        copy.out = copy.body.output if copy.body is not None and not dead else None
        copy.outs = {"output": copy.out} if copy.out is not None else {}
    return any(kept)
