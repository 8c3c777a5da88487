"""Shapes that disagree → the lines of a complaint: what, which shape, from where, and a remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from archspec.expand import history
from archspec.expand.plan import Plan
from archspec.expand.state import LARGE, LimitError, TooLargeError
from archspec.expand.tree import Copy, Value, types
from archspec.expand.walk import Walk
from archspec.expand.wiring import Inputs, Ins
from archspec.language import Item, Spec
from archspec.layers import REGISTRY, Mismatch
from archspec.text.faults import Step

_MAPS = 6  # items that make a map smaller, of those that are named

Row = tuple[str, Value | None, str]  # what a value is, the value, and a remark


def inputs(walk: Walk, takes: tuple[str, ...], ins: Ins) -> tuple[str, ...]:
    """A line for each input: what it is, its shape, where it comes from."""
    labels = [n.rstrip("?") for n in takes]
    if takes == ("*",):
        labels = [str(k + 1) for k in range(len(ins))]
    return _lines(walk, [(label, v, "") for label, v in zip(labels, ins, strict=False)])


def paths(walk: Walk, copy: Copy, item: Item) -> tuple[str, ...]:
    """A line for each path of a merge."""
    values = copy.taken()
    if copy.branches:
        keys = [b.key for b in item.branches] if len(values) == len(item.branches) else []
        labels = [key or f"path {k + 1}" for k, key in zip_longest(range(len(values)), keys)]
        return _lines(walk, [(n, v, "") for n, v in zip(labels, values, strict=True)])
    main, short = reversed(values) if _ordered(item) else values
    remark = "   (identity)" if copy.shortcut is None else ""
    return _lines(walk, [("main", main, ""), ("shortcut", short, remark)])


def _ordered(item: Item) -> bool:
    return item.merge is not None and REGISTRY[item.merge.op].ordered


def _lines(walk: Walk, rows: list[Row]) -> tuple[str, ...]:
    found = [(n, str(v.type), origin(walk, v) + remark) for n, v, remark in rows if v is not None]
    label = max((len(n) for n, _, _ in found), default=0)
    shape = max((len(kind) for _, kind, _ in found), default=0)
    return tuple(f"{n:<{label}}  {t:<{shape}}   {w.strip()}".rstrip() for n, t, w in found)


def made(walk: Walk, bad: Mismatch, ins: Ins) -> tuple[Step, ...]:
    """The items that gave an op shapes which it does not take."""
    first = ins[0] if ins else None
    if bad.code == "E203":
        return _apart(walk, ins, None)
    if bad.code == "E304":
        return history.of(walk, first, history.shrunk, _MAPS)
    if bad.code == "E302":
        few = history.FEW if len(ins) < 2 else 1
        steps = (step for value in ins for step in history.of(walk, value, history.rank, few))
        return tuple(dict.fromkeys(steps))
    return history.of(walk, first, history.anywhere, 2) if bad.code in ("E305", "E306") else ()


def fitting(walk: Walk, plan: Plan, spec: Spec, ins: Inputs) -> Inputs:
    """The inputs of a used file, as many axes and of the dtype that it declares."""
    for name, value in ins.items():
        declared, kind = spec.inputs[name], value.type
        if kind is None or (kind.rank == len(declared.shape) and kind.dtype == declared.dtype):
            continue
        op, wanted = plan.item.said, f"{len(declared.shape)} axes of {declared.dtype}"
        message = f"`{op}` takes an input with {wanted}; it is given {kind} of {kind.dtype}"
        with walk.state.beside(*history.of(walk, value, history.rank)):
            walk.state.fault("E311", message, plan.item.key, cause=("kind", id(value)))
        return {name: Value(None) for name in ins}
    return ins


def too_large(
    walk: Walk, item: Item, ins: Sequence[Value | None], bad: TooLargeError
) -> LimitError:
    """What makes a tensor or a weight too large: a number, or the item that it came from."""
    given, large = [*item.args.values()], {size for size in bad.shape if size >= LARGE}
    at = walk.state.place_of(large, given)
    if at is not None:
        return walk.state.stop_at(bad.fault, at, given, f"`{item.said}`")
    first = next((value for value in ins if value is not None), None)
    steps = history.of(walk, first, lambda before, _: large.isdisjoint(before), 1)
    with walk.state.beside(*steps):
        return walk.state.stop_at(bad.fault, None, given, "")


def merged(walk: Walk, copy: Copy) -> tuple[Step, ...]:
    """The items on the paths of a merge that make their shapes differ."""
    return _apart(walk, copy.taken(), getattr(copy.layer, "axis", None))


def _apart(walk: Walk, values: Sequence[Value | None], joined: int | None) -> tuple[Step, ...]:
    """The items that make shapes differ; along an axis that is `joined` they need not agree."""
    shapes = {v: v.type.shape for v in values if v is not None and v.type is not None}
    odd: list[int] = []
    if len({len(shape) for shape in shapes.values()}) == 1:
        sizes = enumerate(zip(*shapes.values(), strict=True))
        odd = [axis for axis, along in sizes if len({*along}) > 1]
        odd = [axis for axis in odd if axis != joined] or odd
    # first what makes the one that differs, where the others are alike
    kinds = {v: (len(shape), *(shape[axis] for axis in odd)) for v, shape in shapes.items()}
    alike = Counter(kinds.values())
    ordered = sorted(kinds, key=lambda value: alike[kinds[value]])
    return history.apart(walk, ordered, history.along(odd))


def origin(walk: Walk, value: Value) -> str:
    """The path of what gives a value."""
    before = walk.state.path()
    for made in reversed(walk.made):
        if value in made.copy.outs.values():
            return ".".join((*before, *made.path))
    name = next((n for n, v in walk.inputs.items() if v is value), "")
    return ".".join((*before, name)) if name and before else name


def off_the_line(walk: Walk, item: Item) -> str:
    """What would be taken if the item before, which takes nothing, were on the line."""
    before = walk.made[-1].copy if walk.made else None
    if item.inputs or before is None or before.layer is None or before.layer.takes:
        return ""
    name = ".".join(walk.made[-1].path)
    return f"`{name}` is off the line, since it takes nothing; write `from: {name}` to take it"


def alike(walk: Walk, ins: Sequence[Value | None]) -> str:
    """What would make two maps equal that differ by a few cells, as those of a U-Net do."""
    values = [v for v in ins if v is not None]
    shapes = [kind.shape for kind in types(values) if kind is not None and kind.map is not False]
    if len(shapes) != 2 or len(values) != 2 or {len(shape) for shape in shapes} - {3, 4}:
        return ""
    small, large = sorted(range(2), key=lambda k: shapes[k][1:])
    pairs = list(zip(shapes[small][1:], shapes[large][1:], strict=False))
    if len(shapes[0]) != len(shapes[1]) or not all(n <= m < 2 * n for n, m in pairs):
        return ""
    if shapes[small][1:] == shapes[large][1:]:
        return ""
    names = [_here(walk, values[k]) for k in (small, large)]
    return (
        "give both one size and take that: "
        f"`{{id: same, crop: center, from: [{names[1]}, {names[0]}]}}`,\n"
        f"or `{{id: same, upsample: , from: [{names[0]}, {names[1]}]}}`; "
        "or choose an input that the strides divide"
    )


def _here(walk: Walk, value: Value) -> str:
    """The path of what gives a value, as it is named in the block."""
    made = next((m for m in reversed(walk.made) if value in m.copy.outs.values()), None)
    return ".".join(made.path) if made else origin(walk, value).rpartition(".")[2]


def projection(copy: Copy, item: Item) -> str:
    """What would make an identity shortcut fit."""
    if copy.branches or copy.shortcut is not None or _ordered(item):
        return ""
    kinds = types(copy.taken())
    main, short = (kind.shape for kind in kinds)
    if len(main) != len(short) or not main:
        return ""
    if kinds[0].map is False or len(main) == 1:  # features, along the last axis
        if main[:-1] != short[:-1]:
            return ""
        return (
            f"the main path changes {short[-1]} features into {main[-1]}; give the shortcut a "
            f"projection, for example\nshortcut: [{{linear: {main[-1]}}}]"
        )
    ratios = {s // m if m and s % m == 0 else 0 for m, s in zip(main[1:], short[1:], strict=True)}
    if len(ratios) != 1 or 0 in ratios:
        return ""
    stride = ratios.pop()
    changed = f"changes {short[0]} channels into {main[0]}" if main[0] != short[0] else ""
    strides = f"has stride {stride}" if stride != 1 else ""
    what = " and ".join(part for part in (strides, changed) if part)
    stride_text = f", stride: {stride}" if stride != 1 else ""
    example = f"shortcut: [{{conv: {{out: {main[0]}, kernel: 1{stride_text}}}}}]"
    return f"the main path {what}; give the shortcut a projection, for example\n{example}"
