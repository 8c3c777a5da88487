"""What goes into a block call and what comes out: its params, the outputs of its instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archspec.expand import cut, params, wiring
from archspec.expand.cut import Outputs
from archspec.expand.names import Frame, Named, Spot
from archspec.expand.namespace import Callee
from archspec.expand.origin import Link
from archspec.expand.plan import Plan, has_expression
from archspec.expand.state import EDGE, EVALUATED, FEW, UNKNOWN, Env, HiddenError, State, deeper
from archspec.expand.tree import Body, Copy, Instance, Value
from archspec.expand.walk import Walk
from archspec.expand.wiring import Inputs
from archspec.expressions import Expr, Given, Missing
from archspec.language import REQUIRED, Block, Ref
from archspec.text import words
from archspec.text.faults import Loc
from archspec.text.words import did_you_mean, show

_PLAIN = (int, float, bool, str)


def callee(walk: Walk, plan: Plan, spot: Spot) -> Callee:
    """The block that an item calls, by what `call` gives for this copy. Raises HiddenError."""
    item, state, known = plan.item, walk.state, walk.namespace
    if not isinstance(item.callee, Expr):
        return known.block(item.callee or item.op)
    loc = deeper(item.loc, "call")
    name = state.value(item.callee, walk.sight(plan, spot, spot.first), loc)
    state.steady("`call`", name, loc)
    names = known.names()
    if not isinstance(name, str):
        message = f"`call` is {show(name)}; it takes the name of a block"
        state.fault("E361", message, loc, did_you_mean("", names) if names else "")
        raise HiddenError
    if name not in names:
        message = f"there is no block `{words.cut(name)}` in this file"
        state.fault("E207", message, loc, did_you_mean(name, names), cause=("call", name))
        raise HiddenError
    found = known.block(str(name))
    _fits(state, plan, found)
    return found


def _fits(state: State, plan: Plan, callee: Callee) -> None:
    """What is given by name, the block has. Raises HiddenError."""
    item, block = plan.item, callee.block
    wrong = [name for name in item.args if name not in block.params]
    for name in wrong:
        help = did_you_mean(name, block.params) if block.params else "it takes none"
        message = f"`{block.name}` has no parameter `{words.cut(name)}`"
        state.fault("E208", message, deeper(item.loc, "with", name), help, cause=(message,))
    known = {None, *block.inputs, block.rest}
    slots = [ref for ref in item.inputs or () if ref.slot not in known]
    for ref in slots:
        message = f"`{block.name}` has no input `{ref.slot}`"
        help = did_you_mean(str(ref.slot), block.inputs)
        state.fault("E311", message, ref.loc, help, cause=(message,))
    if wrong or slots:
        raise HiddenError


def arguments(plan: Plan, callee: Callee, ins: Inputs, env: Env) -> Env:
    """All params of a block: as given, in terms of the caller's `env`, else their defaults."""
    item, (block, file) = plan.item, callee
    state = file.state
    found: Env = {}
    inside = {name: state.record(value.type) for name, value in ins.items()}
    inside |= received(block, inside)
    state.worked(max(len(block.params) - FEW, 0), item.loc)
    seen = {**file.document, **inside} if len(item.args) < len(block.params) else {}
    for name, default in block.params.items():
        try:
            if name in item.args:
                loc = Loc(item.loc.file, (*item.given, name), span=item.loc.span)
                found[name] = state.value(item.args[name], env, loc)
            elif default is REQUIRED:
                message = f"`{block.name}` needs `{name}`"
                word = "with" if item.op == "call" else item.op
                state.fault("E212", message, item.key, f"write `{word}: {{{name}: …}}`")
                raise HiddenError
            elif not callee.whole and (type(default) in _PLAIN or not has_expression([default])):
                found[name] = default
            else:
                state.worked(EVALUATED, item.loc)
                with state.inside(Link(item, args=found, called=(block, file.spec))):
                    found[name] = _default(callee, name, default, seen)
        except HiddenError:
            state.blind = True
            found[name] = UNKNOWN
        seen[name] = found[name]
    return found


def _default(callee: Callee, name: str, default: Any, seen: Env) -> Any:
    """What a param is that a call does not give; of a used file maybe what its variant says.

    Raises HiddenError.
    """
    (block, file), state = callee, callee.file.state
    if not callee.whole or name not in file.chosen:
        return state.value(default, seen, deeper(block.loc, "params", name))
    loc = deeper(block.loc, "variants", str(file.variant), name)
    value, usual = state.value(default, seen, loc), file.spec.params[name]
    if usual is not REQUIRED:
        usual = state.value(usual, seen, deeper(block.loc, "params", name))
    return params.like(state, name, value, usual, loc)


def received(block: Block, records: Mapping[str, Any]) -> Env:
    """What a block's expressions see of its inputs anywhere: those of a list, and which it has.

    `records` are those of the inputs that are given, by name.
    """
    found: Env = {}
    if block.rest:
        listed = [record for name, record in records.items() if name not in block.inputs]
        found[block.rest] = UNKNOWN if UNKNOWN in listed else listed
    if block.optional:
        found["given"] = Given({name: name in records for name in block.optional})
        found |= {name: Missing() for name in block.optional if name not in records}
    return found


def named_inputs(block: Block, ins: Inputs) -> dict[str, Named | Copy | Value]:
    """What paths see of a block's inputs."""
    found: dict[str, Named | Copy | Value] = {}
    for name in block.inputs:
        found[name] = ins.get(name) or Named(missing=True)
    if block.rest:
        values = [v for name, v in ins.items() if name not in block.inputs]
        inside = {str(place): value for place, value in enumerate(values)}
        found[block.rest] = Named(frame=Frame(None, names={**inside}), of="inputs")
    return found


def outputs(walk: Walk, block: Block, body: Body) -> tuple[Outputs, frozenset[str]]:
    """The outputs by name, absent taps left out; and those that are there in training only."""
    out = body.output
    if cut.complain(walk, body, block):
        return dict.fromkeys(block.outputs or (), Value(None)), frozenset()
    if block.outputs is None:
        if out is None:
            message = f"the last item of `{block.name}` has several outputs, none called `output`"
            walk.state.fault("E313", message, block.loc, "name what flows out with `outputs`")
        return {"output": out or Value(None)}, frozenset()
    found: Outputs = {}
    training: set[str] = set()
    for name, refs in block.outputs.items():
        values = [v for ref in refs for v in _output(walk, ref)]
        if not values:
            continue
        if not walk.training.isdisjoint(values):
            training.add(name)
        found[name] = tuple(values) if name in block.lists else values[0]
    if not found:
        message = f"`{block.name}` has no outputs: all that it names are taps that are absent"
        walk.state.fault("E312", message, block.loc)
        found = {"output": Value(None)}
    return found, frozenset(training)


def _output(walk: Walk, ref: Ref) -> list[Value]:
    """The value of an output, or of all that a pattern stands for; none for an absent tap."""
    state = walk.state
    try:
        found = wiring.entries(state, ref, walk.env, walk.top)
        state.worked(max(len(found) - 2, 0) * EDGE, ref.loc)
        if not found:
            message = f"`{ref.path.text}` stands for nothing: there is no copy of it"
            state.fault("E313", message, ref.loc, "an output is at least one tensor")
        gone = [one for one in found if isinstance(one, Named) and one.absent and one.tap]
        return [wiring.value(state, ref, one) for one in found if one not in gone]
    except HiddenError:
        return [Value(None)]


def outside(instance: Instance) -> dict[str, Value]:
    """The outputs as the caller names them: `levels.0`, `levels.1` for a list."""
    found: dict[str, Value] = {}
    for name, out in instance.outputs.items():
        if isinstance(out, tuple):
            found.update((f"{name}.{k}", Value(v.type)) for k, v in enumerate(out))
        else:
            found[instance.taps.get(name, name)] = Value(out.type)
    return found


def named(instance: Instance, asked: Iterable[str]) -> set[str]:
    """The outputs of an instance to which what the caller names belongs."""
    taken, taps = {*asked}, instance.taps
    dots = ((path, k) for path in taken for k, letter in enumerate(path) if letter == ".")
    lists = {path[:k] for path, k in dots}
    return {n for n in instance.outputs if taps.get(n, n) in taken or n in lists}


def flowing(instance: Instance, outs: dict[str, Value]) -> Value | None:
    """The output that flows on: the only one (taps for training do not count), or `output`."""
    if "output" in outs:
        return outs["output"]
    always = [name for name in instance.outputs if name not in instance.training]
    return outs.get(instance.taps.get(always[0], always[0])) if len(always) == 1 else None
