"""Items of one block instance → occurrences: unrolling, naming, wiring and shapes in one walk."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archspec.expand import groups, mismatch, shared, slots, wiring
from archspec.expand.names import Frame, Named, Spot
from archspec.expand.plan import CALL, OP, SHARED, Plan
from archspec.expand.repeats import Count, copies, environment
from archspec.expand.state import UNKNOWN, HiddenError, Link, Mismatch, deeper
from archspec.expand.tree import Copy, Occurrence, Value
from archspec.expand.wiring import text_of
from archspec.expressions import Expr, Loop
from archspec.language.names import bad_id
from archspec.layers import REGISTRY, Layer

if TYPE_CHECKING:
    from archspec.expand.calls import Namespace
    from archspec.expand.slots import Given, Ins
    from archspec.expand.state import Env, State
    from archspec.language import Filler, Init, Item
    from archspec.layers.base import TensorType

_RECORDS = frozenset({"prev"})


class Walk:
    """The walk over one instance's body."""

    def __init__(
        self,
        state: State,
        namespace: Namespace,
        inputs: dict[str, Value],
        items: tuple[Item, ...],
        env: Env,
    ) -> None:
        self.state = state
        self.namespace = namespace
        self.inputs = inputs
        self.items = items
        self.env = env
        self.records: Env = {name: state.record(v.type) for name, v in inputs.items()}
        self.recorded = frozenset(inputs) | _RECORDS
        self.made: list[tuple[Copy, Item, Frame]] = []  # ops and calls, in order
        self.size = 0
        self.training: set[int] = set()  # ids of values that are there in training only
        self.tapped = False
        self.unrolling = 0
        self.serials: Counter[int] = Counter()
        self._totals: Counter[int] | None = None

    # ------------------------------------------------------------ bodies

    def body(
        self,
        items: tuple[Item, ...],
        env: Env,
        frame: Frame,
        line: Value | None,
        label: str | None = None,
    ) -> tuple[tuple[Occurrence, ...], Value | None]:
        """The occurrences of a list, and what flows out of its end. `label` names a single item."""
        found: list[Occurrence] = []
        plans = self.state.plans
        for item in items:
            plan = plans.get(id(item)) or self.state.plan(item)
            if plan.quick and label is None and line is not None:
                occurrence = self.quick(plan, env, frame, line)
                line = occurrence.out
            else:
                occurrence, line = self.occurrence(plan, env, frame, line, label)
            found.append(occurrence)
        return tuple(found), line

    def quick(self, plan: Plan, env: Env, frame: Frame, line: Value) -> Occurrence:
        """One op on the line with literal arguments: most items of most networks."""
        item = plan.item
        kind = line.type
        out = plan.one.get(kind) if kind is not None else None
        if out is None and kind is not None:
            out = self._first(plan, kind)
        value = Value(out)
        name = plan.ident or frame.automatic(plan.word)
        copy = Copy((name,), env, 0, (line,), {plan.output: value}, value, plan.layer, item.args)
        if name in frame.names:
            self.claim(frame, name, copy, plan)
        else:
            frame.names[name] = copy
        self.add(copy, item, frame)
        return Occurrence(item, (copy,), value, plan.ident)

    def _first(self, plan: Plan, kind: TensorType) -> TensorType | None:
        item = plan.item
        assert plan.layer is not None
        try:
            (out,) = self.state.infer(plan.layer, (kind,), item.key)
        except Mismatch as bad:
            self.state.fault(bad.code, bad.message, item.key, bad.help)
            return None
        plan.one[kind] = out
        return out

    def add(self, copy: Copy, item: Item, frame: Frame) -> None:
        """Take an op or call into account. Raises LimitError."""
        self.made.append((copy, item, frame))
        self.size += 1 if copy.instance is None else copy.instance.size
        if self.size > self.state.limits.nodes:
            raise self.state.too_many(self.size, item.loc)
        if self.tapped or self.training or (copy.instance is not None and copy.instance.training):
            self._trained(copy, item)

    def _trained(self, copy: Copy, item: Item) -> None:
        """What a tap for training gives is seen by taps for training and by `outputs` only."""
        if self.tapped:
            self.training.update(map(id, copy.outs.values()))
            return
        for value in self.taken(copy):
            if id(value) in self.training:
                message = f"`{item.op}` takes what is computed in training only"
                help = "make it a tap too: `tap: train`, or the tap `always`"
                self.state.fault("E317", message, item.loc, help)
        instance = copy.instance
        if instance is not None and instance.training:
            outs = copy.outs
            self.training.update(id(outs[n]) for n in instance.training if n in outs)

    @staticmethod
    def taken(copy: Copy) -> list[Value]:
        """The values that an op, a call or a merge takes."""
        if copy.branches:
            return [b.output for b in copy.branches if b.output is not None]
        if copy.body is None:
            return [v for v in copy.ins if v is not None]
        short = copy.ins[0] if copy.shortcut is None else copy.shortcut.output
        return [v for v in (copy.body.output, short) if v is not None]

    # ------------------------------------------------------------ occurrences

    def occurrence(
        self, plan: Plan, env: Env, frame: Frame, line: Value | None, label: str | None = None
    ) -> tuple[Occurrence, Value | None]:
        """One item with all its copies, and what flows on after it."""
        item = plan.item
        if item.repeat is not None:
            return self.repeated(plan, env, frame, line, label)
        name = label
        if plan.ident is not None:
            name = plan.ident
        elif plan.labels is not None:
            name = self.label(plan, env)
        copy, out, line = self.copy(plan, Spot(env, frame, line, name))
        found = Occurrence(item, (copy,), out, name)
        if item.expect is not None and copy is not None:
            found.out = self.expected(plan, copy, out)
            line = found.out if line is out else line
        return found, line

    def repeated(
        self, plan: Plan, env: Env, frame: Frame, line: Value | None, label: str | None
    ) -> tuple[Occurrence, Value | None]:
        """An item with `repeat`: its copies one after the other."""
        item, state = plan.item, self.state
        try:
            count, columns = copies(state, item, env)
        except HiddenError:
            hidden = Value(None)
            self._name_hidden(plan, env, frame, label, hidden)
            return Occurrence(item, (), hidden), line if item.tap else hidden
        self._bounded(plan, env, count)
        name = label or (None if plan.apart else self.label(plan, env))
        container = None
        if name is not None:
            inner_frame = frame.inside(name, numbered=True)
            container = Named(frame=inner_frame, absent=True, tap=item.tap is not None)
            frame.claim(name, container)
        total = self.total(plan, count)
        found: list[Copy | None] = []
        start = line
        out = line = line if count else self._passed(plan, env, frame, line)
        state.links.append(link := Link(item, 0, count))
        for index in range(count):
            link.index = index
            serial = self.serials[id(item)]
            self.serials[id(item)] += 1
            inner = environment(env, columns, index)
            inner["loop"] = Loop(index, count, serial, total)
            if name is not None:
                spot = Spot(inner, inner_frame, line, None, (name,), index, place=True)
            else:
                own = self.label(plan, inner) if plan.apart else None
                spot = Spot(inner, frame, line, own, (), index)
            copy, out, line = self.copy(plan, spot, repeated=True)
            found.append(copy)
        state.links.pop()
        self.unrolling -= 1
        occurrence, line = self._gathered(plan, found, out, line, frame, container, name)
        return occurrence, start if item.tap is not None else line

    def _passed(self, plan: Plan, env: Env, frame: Frame, line: Value | None) -> Value | None:
        """What an item without copies passes on: its first input, where its path is plain."""
        refs = plan.item.inputs
        if not refs or any(isinstance(part, Expr) for part in refs[0].path.parts):
            return line
        return self.given(plan, Spot(env, frame, line))[1]

    def _gathered(
        self, plan: Plan, found: list[Copy | None], out: Value | None, line: Value | None,
        frame: Frame, container: Named | None, name: str | None,
    ) -> tuple[Occurrence, Value | None]:  # fmt: skip
        """The copies as one occurrence; `line` is what flows out of the last."""
        item = plan.item
        present = [copy for copy in found if copy is not None]
        if item.expect is not None and present:
            expected = self.expected(plan, present[-1], out)
            line = expected if line is out else line
            out = expected
        if container is not None and name is not None:
            container.out = out
            container.absent = not present
            if present and frame.names.get(name) is not container:
                self.claim(frame, name, container, plan)
        return Occurrence(item, tuple(found), out, name), line

    def _name_hidden(
        self, plan: Plan, env: Env, frame: Frame, label: str | None, hidden: Value
    ) -> None:
        """A repeat that cannot be counted still answers for its id."""
        name = label or plan.ident
        if name is not None:
            frame.claim(name, Named(hidden, absent=True))

    def _bounded(self, plan: Plan, env: Env, count: int) -> None:
        """Refuse before unrolling what would be too large. Raises LimitError."""
        state = self.state
        most = state.limits.nodes
        state.copies += count
        if not self.unrolling:
            least = Count(most).ops(plan.item, env) if count <= most else count
            if self.size + least > most:
                raise state.too_many(self.size + least, plan.item.loc)
        if state.copies > most:
            raise state.too_many(state.copies, plan.item.loc)
        self.unrolling += 1

    def total(self, plan: Plan, count: int) -> int:
        """`loop.total`: the copies this item makes in the whole body."""
        if not plan.counted:
            return count
        if self._totals is None:
            self._totals = Counter()
            Count(self.state.limits.nodes).totals(self.items, self.env, 1, self._totals)
        return self._totals[id(plan.item)]

    def label(self, plan: Plan, env: Env) -> str | None:
        """The id, its expressions replaced."""
        if plan.labels is None:
            return plan.ident
        item = plan.item
        loc = deeper(item.loc, "id")
        try:
            name = text_of(self.state, plan.labels, env, loc)
        except HiddenError:
            return self._nameless()
        wrong = bad_id(name, item.op)
        if wrong:
            self.state.fault("E205", wrong, loc, "choose another id")
            return self._nameless()
        return name

    def _nameless(self) -> str:
        """A name that no item can have, for one whose own has a fault."""
        return f"?{len(self.made)}.{len(self.state.links)}.{self.state.copies}"

    def claim(self, frame: Frame, name: str, entry: Named | Copy, plan: Plan) -> None:
        """Take a name in; two equal paths are a fault."""
        if frame.claim(name, entry):
            return
        item, state = plan.item, self.state
        path = ".".join((*state.path(), *frame.path, name))
        loc = deeper(item.loc, "id") if item.id is not None else item.loc
        old = frame.names.get(name)
        if isinstance(old, Value):
            state.fault("E314", f"`{name}` is an input here", loc, "choose another `id`")
            return
        if item.id is None:
            help = f"the unnamed `{item.op}` is called `{name}` here; give it an `id`"
        elif any(link.count for link in state.links):
            apart = f"`{name}_$(loop.index)`"
            help = f"give the repeat an `id`, or let the id tell its copies apart: {apart}"
        else:
            help = "choose another `id`"
        around = next((link.item for link in reversed(state.links) if link.count), None)
        cause = () if around is None else (around.loc.path,)  # its columns, for all in it
        state.fault("E314", f"two items have the path `{path}`", loc, help, cause=cause)

    # ------------------------------------------------------------ one copy

    def copy(
        self, plan: Plan, spot: Spot, *, repeated: bool = False
    ) -> tuple[Copy | None, Value | None, Value | None]:
        """One copy (None where its `when` is false), its value, and what flows on."""
        item = plan.item
        given, first = self.given(plan, spot)
        there = item.when is True or self._there(plan, spot, first)
        if not there:
            return self._absent(plan, spot, first, repeated=repeated)
        outer, self.tapped = self.tapped, self.tapped or item.tap == "train"
        copy = self.make(plan, spot, given, first)
        self.tapped = outer
        if copy is None:  # `shared` with what is absent
            return self._absent(plan, spot, first, repeated=repeated)
        self._modify(plan, spot, copy, first)
        # a tap never moves the line, and what takes no input stands beside it
        moves = (item.tap is None or repeated) and (bool(copy.ins) or copy.instance is not None)
        return copy, copy.out, copy.out if moves else spot.line

    def _there(self, plan: Plan, spot: Spot, first: Value | None) -> bool:
        """Whether `when` holds; what cannot be known is taken for absent."""
        item = plan.item
        try:
            env = self.sight(plan, spot.env, first)
            return self.state.condition(item.when, env, deeper(item.loc, "when"), "when")
        except HiddenError:
            return False

    def _absent(
        self, plan: Plan, spot: Spot, first: Value | None, *, repeated: bool
    ) -> tuple[None, Value | None, Value | None]:
        """An item that is not there passes its first input on."""
        item = plan.item
        if spot.label is not None:
            name = spot.label
            gone = Named(first or Value(None), absent=True, tap=item.tap is not None)
            spot.frame.claim(name, gone)
        moves = item.tap is None or repeated
        return None, first, first if moves else spot.line

    def make(self, plan: Plan, spot: Spot, given: Given, first: Value | None) -> Copy | None:
        """The copy of an item that is there."""
        kind = plan.kind
        if kind == OP:
            return self.op(plan, spot, given, first)
        if kind == CALL:
            return self.namespace.call(self, plan, spot, given, first)
        if kind == SHARED:
            return shared.again(self, plan, spot, given)
        return groups.make(self, plan, spot, slots.single(self.state, plan, given))

    def _modify(self, plan: Plan, spot: Spot, copy: Copy, first: Value | None) -> None:
        """`freeze` and `init`."""
        item = plan.item
        if item.freeze is None and item.init is None:
            return
        env = self.sight(plan, spot.env, first)
        try:
            if item.freeze is not None:
                loc = deeper(item.loc, "freeze")
                copy.freeze = self.state.condition(item.freeze, env, loc, "freeze")
            if item.init is not None:
                copy.init = self.fillers(item.init, env)
        except HiddenError:
            return

    def fillers(self, init: Init, env: Env) -> Init:
        """Fillers with their arguments evaluated. Raises HiddenError."""
        return {op: {k: self._filler(f, env) for k, f in by.items()} for op, by in init.items()}

    def _filler(self, filler: Filler, env: Env) -> Filler:
        if not any(isinstance(value, Expr) for value in filler.args.values()):
            return filler
        args = {k: self.state.value(v, env, filler.loc) for k, v in filler.args.items()}
        return replace(filler, args=args)

    def sight(self, plan: Plan, env: Env, first: Value | None) -> Env:
        """What an item's expressions see: with the inputs and `prev`, where they ask for them."""
        if plan.reads.isdisjoint(self.recorded):
            return env
        prev = UNKNOWN if first is None else self.state.record(first.type)
        return {**self.records, **env, "prev": prev}

    # ------------------------------------------------------------ inputs

    def given(self, plan: Plan, spot: Spot) -> tuple[Given, Value | None]:
        """The inputs an item says or implies, and its first: `prev` in its expressions."""
        refs = plan.item.inputs
        if refs is None:
            line = spot.line
            if line is None or (plan.kind == OP and not plan.takes):
                return [], line
            return [(None, line)], line
        found: Given = []
        for ref in refs:
            try:
                value = self.seen(ref, spot)
            except HiddenError:
                value = Value(None)
            found.append((ref.slot, value))
        return found, found[0][1] if found else spot.line

    def seen(self, ref: Any, spot: Spot) -> Value:
        """The value a path leads to. Raises HiddenError."""
        if ref.path.text == "prev":
            if spot.line is None:
                slots.nothing_flows(self.state, ref.loc)
                raise HiddenError
            return spot.line
        state = self.state
        return wiring.value(state, ref, wiring.entry(state, ref, spot.env, spot.frame))

    # ------------------------------------------------------------ ops

    def op(self, plan: Plan, spot: Spot, given: Given, first: Value | None) -> Copy:
        """One op."""
        item = plan.item
        ins = slots.aligned(self.state, plan, plan.takes, given)
        args = item.args
        layer: Layer | None = None
        try:
            if not plan.literal:
                env = self.sight(plan, spot.env, first)
                args = self.arguments(plan, env)
            layer = plan.layer or self.state.layer(item.op, args, item)
        except HiddenError:
            pass
        if plan.literal:
            plan.layer = layer
        outs = self.outputs(plan, layer, ins)
        name = spot.label or spot.frame.automatic(plan.word)
        out = outs.get("output") if len(outs) > 1 else next(iter(outs.values()), None)
        copy = Copy((*spot.prefix, name), spot.env, spot.index, ins, outs, out, layer, args)
        self.claim(spot.frame, name, copy, plan)
        self.add(copy, item, spot.frame)
        return copy

    def arguments(self, plan: Plan, env: Env) -> dict[str, Any]:
        """An item's arguments, evaluated: all faults of one item at once. Raises HiddenError."""
        item, state = plan.item, self.state
        found: dict[str, Any] = {}
        failed = False
        for name, value in item.args.items():
            try:
                found[name] = state.value(value, env, deeper(item.loc, item.op, name))
            except HiddenError:
                failed = True
        if failed:
            raise HiddenError
        return found

    def outputs(self, plan: Plan, layer: Layer | None, ins: Ins) -> dict[str, Value]:
        """The outputs of an op by name; without types where something is hidden."""
        gives = REGISTRY[plan.item.op].gives if layer is None else layer.gives
        types = tuple(v.type if v is not None else None for v in ins)
        hidden = any(v is not None and v.type is None for v in ins)
        if layer is not None and not hidden:
            try:
                outs = self.state.infer(layer, types, plan.item.key)
            except Mismatch as bad:
                item = plan.item
                details = mismatch.inputs(self, plan.takes, ins) if len(ins) > 1 else ()
                self.state.fault(bad.code, bad.message, item.key, bad.help, details)
            else:
                return {name: Value(kind) for name, kind in zip(gives, outs, strict=True)}
        return {name: Value(None) for name in gives or ("output",)}

    # ------------------------------------------------------------ expectations

    def expected(self, plan: Plan, copy: Copy, out: Value | None) -> Value | None:
        """The output where its shape is as expected; else a value that hides what follows."""
        item, state = plan.item, self.state
        if out is None or out.type is None or item.expect is None:
            return out
        if item.loc.file != state.expecting:
            return out
        loc = deeper(item.loc, "expect")
        first = next((v for v in copy.ins if v is not None), None)
        try:
            env = self.sight(plan, dict(copy.env), first)
            sizes = state.value(list(item.expect), env, loc)
        except HiddenError:
            return Value(None)
        found = out.type.shape
        pairs = zip(sizes, found, strict=False)
        if len(sizes) == len(found) and all(s is None or s == n for s, n in pairs):
            return out
        wanted = "[" + ", ".join("~" if s is None else str(s) for s in sizes) + "]"
        message = f"`expect` says {wanted}; the output of `{item.op}` has the shape {out.type}"
        state.fault("E501", message, loc)
        return Value(None)
