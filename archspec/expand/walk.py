"""The walk over one block's body: what it sees, what it has named, what it has made so far.

`items.py` walks; what it and the modules below it share is here. Nothing here goes further in.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import NamedTuple

from archspec.expand import wiring
from archspec.expand.names import NAMELESS, Frame, Given, Named, Spot
from archspec.expand.namespace import Namespace
from archspec.expand.plan import OP, Plan, below
from archspec.expand.repeats import Count
from archspec.expand.state import COPY, EDGE, UNKNOWN, Env, HiddenError, State, deeper
from archspec.expand.tree import Copy, Path, Value
from archspec.expressions import Template, is_number
from archspec.language import Item, Ref
from archspec.language.names import bad_id, other_id
from archspec.text.faults import Fault


class Made(NamedTuple):
    """An op, a call or a merge, and the frame that its name stands in."""

    copy: Copy
    item: Item
    frame: Frame

    @property
    def path(self) -> tuple[str, ...]:
        """Its path in the block."""
        name = self.copy.segments[-1] if self.copy.segments else self.copy.merged
        assert name is not None  # an op, a call and a merge each have one
        return (*self.frame.path, name)


class Walk:
    """The walk over one instance's body."""

    def __init__(
        self, namespace: Namespace, inputs: dict[str, Value], items: tuple[Item, ...], env: Env
    ) -> None:
        self.state: State = namespace.state
        self.namespace = namespace
        self.inputs = inputs
        self.items = items
        self.env = env
        self.records: Env = {name: self.state.record(v.type) for name, v in inputs.items()}
        self.made: list[Made] = []  # in order
        self.used: set[Copy] = set()  # those whose weights others use, by `tie`
        self.size = 0
        self.steps = 0  # copies, present or not, with those inside of calls
        self.training: set[Value] = set()  # what is there in training only
        self.tapped = False  # whether this is inside of a tap for training
        self.serials: Counter[int] = Counter()  # copies made so far, by id of the item
        self._totals: Counter[int] | None = None
        self.top = Frame(None)  # the names of the body itself
        self.ends: list[Path] = []  # where a used file is cut
        # what an absent item passes on, where there is none: a fault once anything takes it
        self.missing: dict[Value | None, Fault] = {}
        self.over = False  # whether all of these are reached
        self.joins = 0  # residuals and branches around

    # ------------------------------------------------------------ what is made

    def add(self, copy: Copy, item: Item, frame: Frame) -> None:
        """Take an op or call into account. Raises LimitError."""
        self.made.append(Made(copy, item, frame))
        self.size += 1 if copy.instance is None else copy.instance.size
        if self.size > self.state.limits.nodes:
            raise self.state.too_many(self.size, item.loc)
        if self.tapped or self.training or (copy.instance is not None and copy.instance.training):
            self._trained(copy, item)

    def step(self, item: Item, inside: int = 0) -> None:
        """Take a copy into account, present or not, and what a call takes. Raises LimitError."""
        self.steps += 1 + inside
        if self.steps > self.state.limits.steps:
            raise self.state.too_long(item.loc)
        self.state.worked(COPY, item.loc)

    def _trained(self, copy: Copy, item: Item) -> None:
        """What a tap for training gives is seen by taps for training and by `outputs` only."""
        if self.tapped:
            self.training.update(copy.outs.values())
            return
        if not self.training.isdisjoint(copy.taken()):
            message = f"`{item.op}` takes what is computed in training only"
            help = "make it a tap too: `tap: train`, or the tap `always`"
            self.state.fault("E317", message, item.loc, help)
        if copy.instance is not None:
            self.training.update(copy.outs[n] for n in copy.instance.training if n in copy.outs)

    # ------------------------------------------------------------ names

    def place(self, copy: Copy, plan: Plan, spot: Spot) -> Copy:
        """An op or call takes its name, and is taken into account. Raises LimitError."""
        self.claim(spot.frame, copy.segments[-1], copy, plan)
        self.add(copy, plan.item, spot.frame)
        return copy

    def label(self, plan: Plan, env: Env) -> str | None:
        """The id, its expressions replaced."""
        if plan.labels is None:
            return plan.ident
        item = plan.item
        loc = deeper(item.loc, "id")
        try:
            name = self.state.text(plan.labels, env, loc)
        except HiddenError:
            return self.nameless()
        wrong = bad_id(name, item.op)
        if wrong:
            self.state.fault("E205", wrong, loc, other_id(name))
            return self.nameless()
        return name

    def inward(self, plan: Plan, spot: Spot) -> None:
        """`convs.0` → its place in what stands under `convs`, which others fill too."""
        if spot.label is None or spot.label.startswith(NAMELESS):
            return
        above, _, name = spot.label.partition(".")
        entry = spot.frame.names.get(above)
        if entry is None:
            entry = Named(frame=spot.frame.inside(above), of="items")
            spot.frame.claim(above, entry)
        if not isinstance(entry, Named) or entry.of != "items" or entry.frame is None:
            loc = deeper(plan.item.loc, "id")
            self.state.fault("E314", f"`{above}` is another item here", loc, "choose another `id`")
            spot.label = self.nameless()
            return
        spot.frame, spot.prefix, spot.label = entry.frame, (*spot.prefix, above), name

    def nameless(self) -> str:
        """A name that no item can have, for one whose own has a fault."""
        return f"{NAMELESS}{len(self.made)}.{len(self.state.links)}.{self.state.copies}"

    def claim(self, frame: Frame, name: str, entry: Named | Copy, plan: Plan) -> None:
        """Take a name in; two equal paths are a fault."""
        if frame.claim(name, entry):
            return
        if isinstance(entry, Copy):
            self.used.add(entry)  # that no output needs it follows
        item, state = plan.item, self.state
        loc = deeper(item.loc, "id") if item.id is not None else item.loc
        known = frame.names.get(name)
        if isinstance(known, Value) or (isinstance(known, Named) and (known.of or known.missing)):
            state.fault("E314", f"`{name}` is an input here", loc, "choose another `id`")
            return
        frame.names[name] = Named(Value(None), twice=True)
        around = next((link.item for link in reversed(state.links) if link.count), None)
        here = takewhile(lambda link: link.called is None, reversed(state.links))
        outer = next((link.item for link in reversed([*here]) if link.count), around)
        if item.id is None:
            help = f"the unnamed `{item.op}` is called `{name}` here; give it an `id`"
        elif around is not None and around.loc == item.loc:
            help = f"let the id tell its copies apart: `{name}_$(loop.index)`"
        elif self._has_another(item):
            help = "choose another `id`: an item before this one has it"
        elif around is not None:
            apart = f"let the id tell its copies apart: `{name}_$(loop.index)`"
            help = f"give the repeat an `id`, or {apart}"
        else:
            help = "choose another `id`"
        path = ".".join((*state.path(), *frame.path, name))
        cause = () if outer is None else (outer.loc.path,)  # its columns, for all in it
        state.fault("E314", f"two items have the path `{path}`", loc, help, cause=cause)

    def _has_another(self, item: Item) -> bool:
        """Whether the id of an item is written at another one of this block too."""
        every = (i for one in self.items for i in (one, *below(one)) if i is not item)
        return any(
            i.id is not None and item.id is not None and i.id.text == item.id.text for i in every
        )

    # ------------------------------------------------------------ what expressions see

    def sight(self, plan: Plan, spot: Spot, first: Value | None) -> Env:
        """What an item's expressions see: items, inputs and `prev` where they ask for them."""
        return self._sight(plan.reads, plan, spot, first)

    def there(self, plan: Plan, spot: Spot, first: Value | None) -> bool | None:
        """Whether an item is not left out, and its `when` holds; None where a fault hides it."""
        if self.state.untrained and plan.item.tap == "train":
            return False
        if first in self.missing and "prev" in plan.asks:
            self.state.again(self.missing[first])
        return self.state.condition(plan.item, "when", self._sight(plan.asks, plan, spot, first))

    def _sight(self, reads: frozenset[str], plan: Plan, spot: Spot, first: Value | None) -> Env:
        if reads <= spot.env.keys():
            return spot.env
        prev = UNKNOWN if first is None else self.state.record(first.type)
        seen = self.seen(reads, plan, spot)
        return {**self.records, **seen, **spot.env, "prev": prev}

    def seen(self, reads: frozenset[str], plan: Plan, spot: Spot) -> Env:
        """The items that expressions of an item read, and the inputs, by name."""
        found: Env = {}
        for name in reads - spot.env.keys() - {"prev"}:
            value = self.inputs.get(name) or self._item(plan, spot, name)
            found[name] = UNKNOWN if value is None else self.state.seen(value)
        return found

    def _item(self, plan: Plan, spot: Spot, name: str) -> Value | None:
        """An earlier item by its id; None where it has a fault."""
        ref = Ref(path=Template(name, (name,)), loc=plan.item.loc)
        try:
            found = wiring.entry(self.state, ref, {}, spot.frame)
            if isinstance(found, Copy) and found.out is None and found.outs:
                message = f"`{name}` has several outputs, and none is called `output`"
                part = f"`{{id: part, identity: , from: {name}.{next(iter(found.outs))}}}`"
                self.state.fault("E313", message, ref.loc, f"give one an item of its own: {part}")
                return None
            value = wiring.value(self.state, ref, found)
        except HiddenError:
            return None
        if value in self.training and not self.tapped:
            message = f"`{plan.item.op}` takes the size of what is computed in training only"
            self.state.fault("E317", message, plan.item.loc, "make it a tap too: `tap: train`")
        return value

    def total(self, plan: Plan, count: int) -> int:
        """`loop.total`: the copies this item makes in the whole body."""
        if not plan.counted:
            return count
        if self._totals is None:
            self._totals = Counter()
            Count(self.state).totals(self.items, self.env, 1, self._totals)
        return self._totals[id(plan.item)]

    def expected(self, plan: Plan, copy: Copy, out: Value | None) -> bool:
        """Whether the output has the shape that is expected, as far as that is known."""
        item, state = plan.item, self.state
        if out is None or out.type is None or item.loc.file != state.expecting:
            return True
        loc = deeper(item.loc, "expect")
        first = next((v for v in copy.ins if v is not None), None)
        try:
            prev = UNKNOWN if first is None else state.record(first.type)
            env = {**self.records, **copy.env, "prev": prev}
            sizes = state.value(list(item.expect or ()), env, loc)
        except HiddenError:
            return False
        every = [k for k, s in enumerate(sizes) if s is not None]
        negative = next((k for k in every if not is_number(sizes[k]) or sizes[k] < 0), None)
        if negative is not None:
            message = f"`expect` says {sizes[negative]}; a size is a number from 0"
            fault = Fault("E501", message, deeper(loc, negative))
            state.wrong((item.expect or ())[negative], fault, f"`expect` of `{item.said}`")
            return False
        found = out.type.shape
        pairs = zip(sizes, found, strict=False)
        if len(sizes) == len(found) and all(s is None or s == n for s, n in pairs):
            return True
        wanted = "[" + ", ".join("~" if s is None else str(s) for s in sizes) + "]"
        message = f"`expect` says {wanted}; the output of `{item.op}` has the shape {out.type}"
        if not state.faults:  # else what is wrong may be the reason
            state.fault("E501", message, loc)
        return False

    # ------------------------------------------------------------ inputs

    def offer(self, before: wiring.Entry | None) -> None:
        """What leaves nothing on the line has these outputs to choose from."""
        self.state.offered = tuple(before.outs) if isinstance(before, Copy) else ()

    def first(self, plan: Plan, spot: Spot) -> Value | None:
        """The first input of an item that may be absent, which it then passes on."""
        behind = plan.starts and spot.later
        with self.state.aside() as faults:
            found = (
                v for ref in plan.item.inputs or () for v in self._seen(ref, spot, behind=behind)
            )
            value = next(found, spot.line)
        if faults:
            self.missing[value] = faults[0]
            self.state.blind = True
        return value

    def given(self, plan: Plan, spot: Spot) -> Given:
        """The inputs an item says or implies."""
        refs = plan.item.inputs
        if refs is None:
            if spot.line is None or (plan.kind == OP and not plan.takes):
                return ()
            return ((None, spot.line),)
        behind = plan.starts and spot.later
        self.state.worked(max(len(refs) - 2, 0) * EDGE, plan.item.loc)
        found = [(ref.slot, v) for ref in refs for v in self._seen(ref, spot, behind=behind)]
        self.state.worked(max(len(found) - len(refs), 0) * EDGE, plan.item.loc)
        if not found:
            path = refs[0].path.text
            message = f"`{path}` stands for nothing here, and `{plan.item.op}` has no other input"
            help = "there is no copy of it before this item; a `when` leaves an item out"
            self.state.fault("E313", message, refs[0].loc, help)
        return found or ((None, Value(None)),)

    def _seen(self, ref: Ref, spot: Spot, *, behind: bool) -> list[Value]:
        """What a path leads to, or what the copy before gives; untyped where it has a fault.

        Of a pattern that is all outputs of the copy before, and of a block none of whose outputs
        is called `output`.
        """
        called = isinstance(spot.before, Copy) and spot.before.instance is not None
        every = behind and (ref.many or (called and spot.line is None))
        if ref.path.text == "prev" or (behind and not (ref.many or every)):
            if spot.line is None:
                wiring.nothing_flows(self.state, ref.loc)
            return [spot.line or Value(None)]
        try:
            if every and spot.before is not None:
                found = [inner for _, inner in wiring.parts(spot.before, "*")]
            elif self._unmade(ref, spot):
                return []
            else:
                found = wiring.entries(self.state, ref, spot.env, spot.frame, spot.before)
            return [wiring.value(self.state, ref, entry) for entry in found]
        except HiddenError:
            return [Value(None)]

    def _unmade(self, ref: Ref, spot: Spot) -> bool:
        """Whether a pattern `y*` means copies of which none is there (yet): ids begin so."""
        head = ref.path.parts[0]
        if not isinstance(head, str) or not head.endswith("*") or "." in head:
            return False
        items = [i for item in self.items for i in (item, *below(item)) if i.id is not None]
        ids = any(i.id.parts[0] == head[:-1] and len(i.id.parts) > 1 for i in items)
        return ids and not wiring.numbered(spot.frame.outward(), head[:-1])
