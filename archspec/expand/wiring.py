"""`from`, `shared`, `outputs` → values: dotted paths, looked up outward and followed inward.

And values → inputs, in the order in which an op, a block or a group takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from archspec.expand.names import NAMELESS, Frame, Given, Named
from archspec.expand.plan import CALL, Ids, Plan
from archspec.expand.state import COMPARE, Env, HiddenError, State, block_of, deeper
from archspec.expand.tree import Body, Copy, Value, hides
from archspec.expressions import Expr
from archspec.language import Block, Item, Ref
from archspec.language.names import input_name
from archspec.text.faults import Loc, Step, unread
from archspec.text.words import did_you_mean, listed, near

Entry = Named | Copy | Value
Ins = tuple[Value | None, ...]
Inputs = dict[str, Value]  # of a call, those that are given by name


def entry(state: State, ref: Ref, env: Env, frame: Frame) -> Entry:
    """What a path (not `prev`, no pattern) leads to. Raises HiddenError."""
    return entries(state, ref, env, frame)[0]


def entries(
    state: State, ref: Ref, env: Env, frame: Frame, before: Entry | None = None
) -> list[Entry]:
    """What a path leads to; of a pattern as many as there are, in order, and maybe none.

    `before` is what `prev` leads into. Raises HiddenError.
    """
    path = state.text(ref.path, env, ref.loc)
    head, *rest = path.split(".")
    if head == "prev":
        found = [] if before is None else [before]
    elif head.endswith("*"):
        state.worked(sum(len(seen.names) for seen in frame.outward()) // 2, ref.loc)
        found = [inner for _, inner in numbered(frame.outward(), head[:-1])]
    else:
        named = frame.find(head)
        found = [] if named is None else [named]
    if found and isinstance(found[0], Named) and found[0].missing:
        message = f"`{head}` is an input that this call does not give"
        help = f"use it where it is: `when: $(given.{head})`"
        state.fault("E312", message, ref.loc, help, cause=(head,))
        raise HiddenError
    if not found:
        _nothing(state, ref, path, head, frame)
        raise HiddenError
    return [inner for one in found for inner in _inward(state, ref, one, (head, rest))]


def numbered(frames: Iterable[Frame], name: str) -> list[tuple[str, Entry]]:
    """What is called `name` with a number behind it, in the nearest frame that has any."""
    every = (parts(Named(frame=frame), f"{name}*") for frame in frames)
    return next((found for found in every if found), [])


def _inward(state: State, ref: Ref, found: Entry, path: tuple[str, list[str]]) -> list[Entry]:
    """What the rest of a path leads to, from what it leads to so far. Raises HiddenError."""
    seen, rest = path
    if not rest:
        return [found]
    first = rest[0]
    if first.endswith("*"):
        if isinstance(found, Value) or _faulty(found):
            _no_part(state, ref, seen, first, found)
            raise HiddenError
        every = [(f"{seen}.{name}", inner) for name, inner in parts(found, first)]
        return [e for at, inner in every for e in _inward(state, ref, inner, (at, rest[1:]))]
    inner, taken = inside(found, rest)
    if inner is None:
        if not _faulty(found) and not _unknown(found):
            _no_part(state, ref, seen, first, found)
        raise HiddenError
    return _inward(state, ref, inner, (".".join((seen, *rest[:taken])), rest[taken:]))


def parts(found: Entry, pattern: str) -> list[tuple[str, Entry]]:
    """What `*` stands for inside of something, by name; of `y*` what is called y and a number.

    The copies of a repeat, the paths of branches, the items of a group, the outputs of an op or
    block (but for those there are in training only), in order. What is absent is left out.
    """
    copy = found.copy if isinstance(found, Named) else found
    every: list[tuple[str, Entry]] = []
    if isinstance(copy, Copy) and copy.branches:
        frame = found.frame if isinstance(found, Named) else None
        every = [_path(place, body, frame) for place, body in enumerate(copy.branches)]
    elif isinstance(found, Named) and found.frame is not None:
        every = list(found.frame.names.items())
    elif isinstance(copy, Copy):
        training = () if copy.instance is None else copy.instance.training
        every = [(n, v) for n, v in copy.outs.items() if n.partition(".")[0] not in training]
    name = re.compile(re.escape(pattern[:-1]) + ("[0-9]+" if pattern != "*" else ".*"))
    return [
        (n, e)
        for n, e in every
        if name.fullmatch(n) and not (isinstance(e, Named) and (e.absent or e.missing))
    ]


def _path(place: int, body: Body, frame: Frame | None) -> tuple[str, Entry]:
    """A path of branches: what its key names, else what flows out of it."""
    named = frame.names.get(body.segment or "") if frame is not None else None
    return body.segment or str(place), named or body.output or Value(None)


def value(state: State, ref: Ref, found: Entry) -> Value:
    """The value of what a path led to. Raises HiddenError."""
    if isinstance(found, Value):
        return found
    if found.out is not None:
        return found.out
    path = ref.path.text
    if isinstance(found, Copy) and found.outs:
        listed = ", ".join(f"`{path}.{name}`" for name in found.outs)
        message = f"`{path}` has several outputs and none is called `output`"
        state.fault("E313", message, ref.loc, f"name one: {listed}")
    elif isinstance(found, Named) and found.of is not None:
        message = f"`{path}` is a list of {found.of}"
        state.fault("E313", message, ref.loc, f"take one, `{path}.0`, or all: `{path}.*`")
    elif isinstance(found, Named) and found.frame is not None:
        message = f"`{path}` is not finished here: an item sees those before it"
        state.fault("E312", message, ref.loc)
    else:
        state.fault("E313", f"nothing flows out of `{path}`", ref.loc)
    raise HiddenError


def _faulty(found: Entry) -> bool:
    """Whether it has a fault of its own, so that what it gives is not known."""
    if isinstance(found, Named) and found.twice:
        return True
    copy = found.copy if isinstance(found, Named) else found
    return isinstance(copy, Copy) and not copy.group and copy.layer is None and not copy.instance


def _unknown(found: Entry) -> bool:
    """Whether a fault hides what there is of it: a repeat without a count, a list with a gap."""
    if not isinstance(found, Named):
        return False
    if found.frame is None:
        return found.copy is None and found.out is not None and found.out.type is None
    listed = found.frame.names.values() if found.of in ("inputs", "outputs") else ()
    return any(isinstance(one, Value) and one.type is None for one in listed)


def inside(found: Entry, rest: list[str]) -> tuple[Entry | None, int]:
    """One step inward, and how many segments it took: an output may be called `levels.0`."""
    if isinstance(found, Named):
        if found.frame is not None and rest[0] in found.frame.names:
            return found.frame.names[rest[0]], 1
        return inside(found.copy, rest) if found.copy is not None else (None, 1)
    if isinstance(found, Copy) and not found.group:
        for taken in range(1, len(rest) + 1):
            name = ".".join(rest[:taken])
            if name in found.outs:
                return found.outs[name], taken
        listed = {n: v for n, v in found.outs.items() if n.startswith(f"{rest[0]}.")}
        if listed:
            names = {n.partition(".")[2]: v for n, v in listed.items()}
            return Named(frame=Frame(None, names={**names}), of="outputs"), 1
    return None, 1


def _nothing(state: State, ref: Ref, path: str, head: str, frame: Frame) -> None:
    if state.noted("E312", ref.loc) or state.once_more("E312", ref.loc, (head,)):
        return  # the remedy is dear, and nobody reads it
    known = [name for f in frame.outward() for name in f.names if not name.isdigit()]
    known.append("prev")
    what = f"`{head}`" if head == path else f"`{head}` of `{path}`"
    message = f"there is no item {what} before this one"
    if may_be(head, known, hidden=block_of(ref.loc) in state.overfed):
        return
    if unread(len(state.faults), known):
        state.fault("E312", message, ref.loc, _SIGHT, cause=(head,))
        return
    block = next((link.called[0] for link in reversed(state.links) if link.called), None)
    ids = _ids(state, block)
    later = next((item for item in ids.named.get(head, ()) if _beside(item, ref)), None)
    help = _copies(path, frame) or _deeper(head, frame)
    if later is not None:
        help = help or "an item sees what stands above it: move one of them"
    begun = ref.path.parts[0] if len(ref.path.parts) > 1 else None
    if begun not in ids.begun:  # no id that goes on with an expression, as the path does
        help = help or _meant(ref, path, known)
    # what is computed is another name in each copy: one of them is no remedy
    help = help or did_you_mean("" if ref.path.names else head, known) or _SIGHT
    if head == "prev":
        help = "only `from` knows it: give the item an `id`, and write that"
    steps = _declared(state, block, near(head, known))
    if later is not None:
        steps = (Step(later.loc, f"`{head}` is here", COMPARE),)
    with state.beside(*steps):
        state.fault("E312", message, ref.loc, help, cause=(head,))


def _declared(state: State, block: Block | None, name: str) -> tuple[Step, ...]:
    """Where the item stands that may be meant; of an input, or where none is near, the inputs."""
    made = (item for copy, item, _ in state.made if name in (*copy.segments[-1:], copy.merged))
    ids = _ids(state, block)
    written = chain(
        ids.named.get(name, ()), (item for item in ids.computed if _may_give(item, name))
    )
    given = block is not None and block.named_inputs and (not name or name in block.inputs)
    if block is None or not given:
        item = next(chain(made, written), None) if name else None
        return () if item is None else (Step(_named_at(item), f"`{name}` is here", COMPARE),)
    loc = Loc(block.loc.file, (*block.loc.path, "inputs"))
    return (Step(loc, f"`{block.name}` takes {listed(block.slots)}", COMPARE),)


def _ids(state: State, block: Block | None) -> Ids:
    """Those of the body that is walked."""
    whole = state.chosen.spec if block is None and state.chosen is not None else block
    if id(whole) not in state.ids:
        state.ids[id(whole)] = Ids(whole.items if whole is not None else ())
    return state.ids[id(whole)]


def _named_at(item: Item) -> Loc:
    """Where an item has its name from: the column of which its id is made, or it itself."""
    columns = item.repeat.columns if item.repeat is not None else ()
    names = item.id.names if item.id is not None else ()
    column = next((name for name in columns if name in names), None)
    if item.repeat is None or column is None:
        return item.loc
    return deeper(item.repeat.loc, column)


def _beside(item: Item, ref: Ref) -> bool:
    """Whether an item stands beside what a path is in."""
    *around, place = item.loc.path
    depth = len(around)
    beside = list(ref.loc.path[:depth]) == around and len(ref.loc.path) > depth
    return beside and ref.loc.path[depth] != place


def _may_give(item: Item, name: str) -> bool:
    """Whether an id, whatever its expressions give, may be a name."""
    parts = item.id.parts if item.id is not None else ()
    rule = "".join(r"\w+" if isinstance(part, Expr) else re.escape(part) for part in parts)
    return re.fullmatch(rule, name) is not None


def _copies(path: str, frame: Frame) -> str:
    """`y.*` for `y*`, where `y` is what has parts; or ""."""
    head, dot, rest = path.partition(".")
    found = frame.find(head[:-1]) if head.endswith("*") else None
    if not isinstance(found, Named) or not parts(found, "*"):
        return ""
    return f"did you mean `{head[:-1]}.*{dot}{rest}`?"


def _meant(ref: Ref, path: str, known: Iterable[str]) -> str:
    """The path with the name in it that was likely meant, as it is to be written; or ""."""
    head, dot, rest = path.partition(".")
    guess = near(head, known)
    first = ref.path.parts[0] if ref.path.parts else ""
    if not guess or not isinstance(first, str):
        return ""
    if dot and not ref.path.names:
        return f"did you mean `{guess}.{rest}`?"
    computed = head.removeprefix(first)  # `1024` of `shrink_$size`
    if first == head or not computed or not guess.endswith(computed):
        return ""
    return f"did you mean `{guess.removesuffix(computed)}{ref.path.text[len(first) :]}`?"


def may_be(head: str, known: Iterable[str], *, hidden: bool = False) -> bool:
    """Whether a name that nothing has may be that of what a fault hides.

    Of an item whose id, or whose copies, have a fault; or, where inputs are `hidden`, one of these.
    """
    named = [*known]
    if not hidden and not any(name.startswith(NAMELESS) for name in named):
        return False
    return head.endswith("*") or near(head, named).rstrip(_DIGITS) in ("", head.rstrip(_DIGITS))


def _deeper(name: str, frame: Frame) -> str:
    """Where it stands, if that is inside of an item that is seen."""
    every = (inner for outer in frame.outward() for inner in _within(outer))
    found = next((f for f in islice(every, _LOOKED) if name in f.names), None)
    if found is None:
        return ""
    path = ".".join(found.path)
    return f"it stands inside of `{path}`: `{path}.{name}`"


def _within(frame: Frame) -> Iterator[Frame]:
    """The groups and copies that have names in a frame, and those in them."""
    for named in frame.names.values():
        if isinstance(named, Named) and named.frame is not None:
            yield named.frame
            yield from _within(named.frame)


_LOOKED = 1000  # groups: a near name is worth no more
_DIGITS = "0123456789"
_SIGHT = "paths lead to earlier items of this block, and to inputs"


def _no_part(state: State, ref: Ref, seen: str, part: str, found: Entry) -> None:
    known: Iterable[str] = ()
    if isinstance(found, Named) and found.frame is not None:
        known = found.frame.names
    copy = found.copy if isinstance(found, Named) else found
    if isinstance(copy, Copy) and not known:
        known = copy.outs
    if may_be(part, known):
        return
    if isinstance(copy, Copy) and copy.layer is not None and hides(copy.outs.values()):
        return  # it has a fault: another op may be meant
    message = f"`{seen}` has no part `{part}`"
    if isinstance(copy, Copy) and copy.instance is not None:
        message = f"`{seen}` has no output `{part}`: a path leads into a block only to its outputs"
    state.fault("E312", message, ref.loc, did_you_mean(part, list(known)), cause=(part,))


# ---------------------------------------------------------------- what an item takes


def nothing_flows(state: State, loc: Loc) -> None:
    """Note that the item before leaves nothing to take."""
    message = "nothing flows into this item: the one before has no output called `output`"
    names = " or ".join(f"`prev.{name}`" for name in state.offered[:3])
    around = [
        Step(item.loc, f"nor does anything flow into `{item.op}`", COMPARE) for item in state.dry
    ]
    with state.beside(*around[:1]):
        help = "say which with `from`" + (f": {names}" if names else "")
        state.fault("E313", message, loc, help)


def single(state: State, plan: Plan, given: Given) -> Value:
    """The one input of a group."""
    item = plan.item
    if len(given) == 1:
        return given[0][1]
    if given:
        message = f"`{item.op}` takes one input, not {len(given)}"
        help = "name the others with `from` inside, where they are used"
        state.fault("E311", message, deeper(item.loc, "from"), help)
    else:
        nothing_flows(state, item.loc)
    return Value(None)


def aligned(state: State, plan: Plan, takes: tuple[str, ...], given: Given) -> Ins:
    """The inputs of an op in the order of `takes`, None for an optional one that is not given."""
    if takes == ("*",):
        if not given:
            nothing_flows(state, plan.item.loc)
        return tuple([v for _, v in given]) or (Value(None),)
    if len(takes) == len(given) == 1 and given[0][0] is None:  # nearly all
        return (given[0][1],)
    found = fed(state, plan, takes, given)
    ins = [found.get(input_name(text)) for text in takes]
    while ins and ins[-1] is None:
        ins.pop()
    return tuple(ins)


def fed(state: State, plan: Plan, takes: tuple[str, ...], given: Given) -> Inputs:
    """The inputs by name, in the order of `takes`: `skip?` may be missing, `xs*` are xs.0, xs.1."""
    if len(takes) == len(given) == 1 and given[0][0] is None and takes[0].isidentifier():
        return {takes[0]: given[0][1]}  # nearly all
    names = [input_name(text) for text in takes if not text.endswith("*")]
    rest = takes[len(names)][:-1] if len(takes) > len(names) else ""
    found: Inputs = {}
    more: list[Value] = []
    unnamed = iter(names)
    for slot, value in given:
        name = slot or next((n for n in unnamed if n not in found), rest)
        if name in found or not name:
            _miscounted(state, plan, takes, len(given))
            return {name: Value(None) for name in names}
        if name == rest:
            more.append(value)
        else:
            found[name] = value
    needed = {*takes}.intersection(names)
    missing = [text for text in takes if text in needed and text not in found]
    if missing or (rest and not names and not given):
        if given:
            _miscounted(state, plan, takes, len(given), missing)
        else:
            nothing_flows(state, plan.item.loc)
        return {name: Value(None) for name in names}
    ordered = {name: found[name] for name in names if name in found}
    return ordered | {f"{rest}.{k}": value for k, value in enumerate(more)}


def _miscounted(
    state: State, plan: Plan, takes: tuple[str, ...], count: int, missing: list[str] | None = None
) -> None:
    item, names = plan.item, [input_name(text) for text in takes]
    loc = deeper(item.loc, "from") if item.inputs is not None else item.loc
    if not names:
        state.fault("E311", f"`{item.said}` takes no input", loc, "leave `from` out")
        return
    listed = ", ".join(f"`{name}`" for name in names)
    plural = "s" if len(names) > 1 else ""
    message = f"`{item.said}` takes the input{plural} {listed}; it is given {count}"
    lacking = ", ".join(f"`{name}`" for name in missing or ())
    help = f"name {lacking} too: `from: [prev, …]`" if lacking else ""
    cause: tuple[str, ...] = (item.said, lacking) if plan.kind == CALL else ()
    block = ("blocks", item.said)
    steps: tuple[Step, ...] = ()
    if plan.kind == CALL:
        at = Loc(loc.file, (*block, "inputs"))
        steps = (Step(at, f"`{item.said}` takes {listed}", COMPARE),)
    if plan.kind == CALL and not lacking:
        state.overfed.add(block)
        help = f"name all that it takes under `inputs` of `{item.said}`, or pass fewer"
        cause = ("inputs", item.said)
    with state.beside(*steps):
        state.fault("E311", message, loc, help, cause=cause)
