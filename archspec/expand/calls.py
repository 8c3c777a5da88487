"""Block calls → instances: one for each block, arguments and input types; equal calls share it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from archspec.expand import needed, slots, wiring
from archspec.expand.names import Frame, Named
from archspec.expand.state import UNKNOWN, HiddenError, Link, deeper, frozen
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expand.walk import Walk
from archspec.language import REQUIRED, Block

if TYPE_CHECKING:
    from archspec.expand.names import Spot
    from archspec.expand.plan import Plan
    from archspec.expand.slots import Given, Ins
    from archspec.expand.state import Env, State
    from archspec.language import Ref, Spec, Use
    from archspec.layers.base import TensorType


class Namespace:
    """The blocks that items of one file may call; `used`: a file that another takes in."""

    def __init__(self, state: State, spec: Spec, *, used: bool = False) -> None:
        self.state = state
        self.spec = spec
        self.used = used
        self.document: Env = {}  # params of the document that is being expanded: defaults read them
        self._used: dict[str, Namespace] = {}

    def block(self, name: str) -> tuple[Block, Namespace]:
        """A block and the file its items stand in. Raises KeyError."""
        found = self.spec.blocks.get(name)
        if found is not None:
            return found, self
        use = self.spec.use[name]
        if name not in self._used:
            assert use.spec is not None
            self._used[name] = Namespace(self.state, use.spec, used=True)
        return as_block(name, use), self._used[name]

    def call(self, walk: Walk, plan: Plan, spot: Spot, given: Given, first: Value | None) -> Copy:
        """A block call."""
        block, inner = self.block(plan.item.op)
        ins = slots.aligned(self.state, plan, block.inputs, given)
        if inner is not self:
            ins = inner.fitting(plan, ins)
        args = self._arguments(walk, plan, spot, block, inner, ins, first)
        name = spot.label or spot.frame.automatic(plan.word)
        return self._made(walk, plan, spot, name, block, inner, args, ins)

    def again(self, walk: Walk, plan: Plan, spot: Spot, given: Given, owner: Copy) -> Copy:
        """The call of an earlier copy on other inputs."""
        assert owner.instance is not None
        block = owner.instance.block
        inner = self.block(block.name)[1]
        ins = slots.aligned(self.state, plan, block.inputs, given)
        name = spot.label or spot.frame.automatic(plan.word)
        return self._made(walk, plan, spot, name, block, inner, dict(owner.args), ins)

    def _made(
        self,
        walk: Walk,
        plan: Plan,
        spot: Spot,
        name: str,
        block: Block,
        inner: Namespace,
        args: Env,
        ins: Ins,
    ) -> Copy:
        item, state = plan.item, self.state
        types = [v.type if v is not None else None for v in ins]
        where = (*spot.frame.path, name)
        state.links.append(Link(item, args=args, path=where))
        state.enter(item)
        instance = inner.instance(block, args, types, item)
        state.leave()
        state.links.pop()
        outs = flattened(instance, block)
        copy = Copy(
            (*spot.prefix, name),
            spot.env,
            spot.index,
            ins,
            outs,
            flowing(instance, outs),
            None,
            args,
            instance,
        )
        walk.claim(spot.frame, name, copy, plan)
        walk.add(copy, item, spot.frame)
        return copy

    def _arguments(
        self,
        walk: Walk,
        plan: Plan,
        spot: Spot,
        block: Block,
        inner: Namespace,
        ins: Ins,
        first: Value | None,
    ) -> Env:
        """All params of a block: as given, else their defaults."""
        item, state = plan.item, self.state
        env = walk.sight(plan, spot.env, first)
        found: Env = {}
        inside: Env = {
            name: state.record(v.type if v is not None else None)
            for name, v in zip(block.inputs, (*ins, *[None] * len(block.inputs)), strict=False)
        }
        for name, default in block.params.items():
            try:
                if name in item.args:
                    loc = deeper(item.loc, item.op, name)
                    found[name] = state.value(item.args[name], env, loc)
                elif default is REQUIRED:
                    message = f"`{item.op}` needs `{name}`"
                    state.fault("E212", message, item.key, f"write `{item.op}: {{{name}: …}}`")
                    raise HiddenError
                else:
                    loc = deeper(block.loc, "params", name)
                    found[name] = state.value(default, {**inner.document, **inside, **found}, loc)
            except HiddenError:
                state.blind = True
                found[name] = UNKNOWN
        return found

    def fitting(self, plan: Plan, ins: Ins) -> Ins:
        """The inputs of a used file, as many axes and of the dtype that it declares."""
        for declared, value in zip(self.spec.inputs.values(), ins, strict=False):
            kind = None if value is None else value.type
            if kind is None or (kind.rank == len(declared.shape) and kind.dtype == declared.dtype):
                continue
            op, wanted = plan.item.op, f"{len(declared.shape)} axes of {declared.dtype}"
            message = f"`{op}` takes an input with {wanted}; it is given {kind} of {kind.dtype}"
            self.state.fault("E311", message, plan.item.key)
            return tuple(Value(None) for _ in ins)
        return ins

    # ------------------------------------------------------------ instances

    def instance(
        self,
        block: Block,
        args: Env,
        types: list[TensorType | None],
        item: Any,
        wanted: frozenset[str] | None = None,
    ) -> Instance:
        """The instance of a block; `wanted`: the outputs it is to have, where not all.

        Raises LimitError.
        """
        state = self.state
        key = (id(block), frozen(args), self._document(block), tuple(map(id, types)), wanted)
        found = state.instances.get(key)
        if found is not None:
            return found
        if key in state.instances:
            message = f"`{block.name}` calls itself with the same arguments and inputs, without end"
            raise state.stop("E407", message, item.key, "end the recursion with `when`")
        state.instances[key] = None
        state.kept += (block, *types)
        found = state.instances[key] = self._elaborated(block, args, types, item, wanted)
        return found

    def _document(self, block: Block) -> Any:
        """The document's params, where what blocks in it are given may depend on them."""
        own = block.items is self.spec.items  # they are its arguments
        return None if own or not self.spec.inherits else frozen(self.document)

    def _elaborated(
        self,
        block: Block,
        args: Env,
        types: list[TensorType | None],
        item: Any,
        wanted: frozenset[str] | None,
    ) -> Instance:
        if block.items is not self.spec.items:
            return self._body(block, args, types, item, wanted)
        around, self.document = self.document, args
        try:
            return self._body(block, args, types, item, wanted)
        finally:
            self.document = around

    def _body(
        self,
        block: Block,
        args: Env,
        types: list[TensorType | None],
        item: Any,
        wanted: frozenset[str] | None,
    ) -> Instance:
        state = self.state
        padded = [*types, *[None] * (len(block.inputs) - len(types))]
        inputs = {name: Value(kind) for name, kind in zip(block.inputs, padded, strict=True)}
        spec = self.spec if block.items is self.spec.items else None
        init = self._init(spec, args)
        walk = Walk(state, self, inputs, block.items, args)
        frame = Frame(None, numbered=block.numbered, inputs=inputs)
        first = next(iter(inputs.values()), None)
        faults = len(state.faults)
        items, out = walk.body(block.items, args, frame, first)
        body = Body(items, first, out, block.numbered)
        outputs, training = _outputs(walk, block, frame, out, args)
        if wanted is not None:
            outputs = {name: value for name, value in outputs.items() if name in wanted}
        training &= set(outputs)
        found = Instance(block, args, inputs, body, outputs, training, spec, init, walk.size)
        if len(state.faults) == faults and not _hidden(inputs, outputs):
            prunes = spec is not None and self.used
            needed.check(walk, found, prunes=prunes, call=item if wanted is None else None)
        return found

    def _init(self, spec: Spec | None, args: Env) -> Any:
        """What a document says of its weights, evaluated."""
        if spec is None or spec.init is None:
            return None
        walk = Walk(self.state, self, {}, (), args)
        try:
            return walk.fillers(spec.init, args)
        except HiddenError:
            return None


def _hidden(inputs: dict[str, Value], outputs: dict[str, Value | tuple[Value, ...]]) -> bool:
    """Whether a fault hides what flows in or out."""
    flat = [v for out in outputs.values() for v in (out if isinstance(out, tuple) else (out,))]
    return any(v.type is None for v in (*inputs.values(), *flat))


def _outputs(
    walk: Walk, block: Block, frame: Frame, out: Value | None, args: Env
) -> tuple[dict[str, Value | tuple[Value, ...]], frozenset[str]]:
    """The outputs by name, absent taps left out; and those that are there in training only."""
    if block.outputs is None:
        if out is None:
            message = f"the last item of `{block.name}` has several outputs, none called `output`"
            walk.state.fault("E313", message, block.loc, "name what flows out with `outputs`")
        return {"output": out or Value(None)}, frozenset()
    found: dict[str, Value | tuple[Value, ...]] = {}
    training: set[str] = set()
    for name, refs in block.outputs.items():
        values = [v for ref in refs for v in (_output(walk, ref, frame, args),) if v is not None]
        if not values:
            continue
        if any(id(v) in walk.training for v in values):
            training.add(name)
        found[name] = tuple(values) if name in block.lists else values[0]
    if not found:
        message = f"`{block.name}` has no outputs: all that it names are taps that are absent"
        walk.state.fault("E312", message, block.loc)
        found = {"output": Value(None)}
    return found, frozenset(training)


def _output(walk: Walk, ref: Ref, frame: Frame, args: Env) -> Value | None:
    """The value of an output; None for a tap that is absent."""
    state = walk.state
    try:
        found = wiring.entry(state, ref, args, frame)
        if isinstance(found, Named) and found.absent and found.tap:
            return None
        return wiring.value(state, ref, found)
    except HiddenError:
        return Value(None)


def flattened(instance: Instance, block: Block) -> dict[str, Value]:
    """The outputs of a call: `levels.0`, `levels.1` for a list."""
    found: dict[str, Value] = {}
    for name, out in instance.outputs.items():
        if isinstance(out, tuple):
            found.update((f"{name}.{k}", Value(v.type)) for k, v in enumerate(out))
        else:
            found[name] = Value(out.type)
    return found


def flowing(instance: Instance, outs: dict[str, Value]) -> Value | None:
    """The output that flows on: the only one (taps for training do not count), or `output`."""
    if "output" in outs:
        return outs["output"]
    always = [name for name in instance.outputs if name not in instance.training]
    return outs.get(always[0]) if len(always) == 1 else None


# ---------------------------------------------------------------- used files

_BLOCKS: dict[int, tuple[weakref.ref[Use], Block]] = {}


def as_block(name: str, use: Use) -> Block:
    """A used file as a block; the same object each time: emission tells blocks apart by it."""
    known = _BLOCKS.get(id(use))
    if known is not None and known[0]() is use:
        return known[1]
    spec = use.spec
    assert spec is not None
    params = {**spec.params, **spec.variants.get(use.variant or "", {})}
    outputs = spec.outputs if use.outputs is None else use.outputs
    block = Block.model_construct(
        name=name, params=params, inputs=tuple(spec.inputs), named_inputs=spec.named_inputs,
        items=spec.items, numbered=spec.numbered, outputs=outputs, loc=spec.loc,
    )  # fmt: skip
    key = id(use)
    _BLOCKS[key] = weakref.ref(use, lambda _: _BLOCKS.pop(key, None)), block
    return block
