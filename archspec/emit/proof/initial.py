"""Constructors and tree → nothing, or a refusal: initial values and `freeze`, weight by weight.

What constructors say of weights is kept as `Fill`s, in order; those of a module that holds another
come after its own, so that the last one counts:

    for module in self.modules():                          conv.weight : normal(std=0.1)
        if isinstance(module, nn.Conv2d): normal_(…)       fc.weight   : zeros, not trained
    nn.init.zeros_(self.fc.weight)
    self.fc.requires_grad_(False)

The spec says the same of each op: what stands nearest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.emit.proof.machine import Machine
from archspec.emit.proof.made import ASLEEP, FREEZE, Box, Class, Fill, Leaf, Ref
from archspec.emit.proof.plan import Plan, Step
from archspec.emit.proof.running import Proof
from archspec.emit.proof.terms import Refused, frozen
from archspec.expand.flatten import nearer
from archspec.expand.tree import Instance
from archspec.language import Filler, Init
from archspec.layers.base import REPARAMETRISED, Weight

_KEPT = ("running_mean", "_u")  # statistics, and the estimate of spectral_norm
_ZEROS = ("zeros", ())  # what a parameter of its own begins with
Said = tuple[Fill, str]  # and the rest of its path, below the module at hand


def compare(proof: Proof, box: Box, root: Instance) -> None:
    """Raises Refused unless constructors fill and freeze what the spec says."""
    machine = proof.machine
    fills = [(found, fill) for found in boxes(box) for fill in found.fills]
    for found, fill in fills:
        if fill.loop is not None and machine.looped(fill, Seen(machine, "", ())):
            raise Refused("has a loop that changes containers")  # which are found too
        wide = fill.loop is not None or (fill.how == FREEZE and fill.name is None)
        if wide and Ref("", found).below(fill.path).size != fill.size:
            raise Refused("gets modules after what is said of all of them", fill.path)
    if fills or proof.says:
        comparison = Initial(proof)
        comparison.module(box, root, nearer({}, root.init or {}), False, ())


def boxes(box: Box) -> Iterator[Box]:
    """All modules that hold others, each once."""
    seen = {id(box)}
    stack = [box]
    while stack:
        found = stack.pop()
        yield found
        for child in found.children.values():
            if type(child) is Box and id(child) not in seen:
                seen.add(id(child))
                stack.append(child)


def said(weight: Weight) -> str:
    """What a weight is called in a constructor: `weight` where it is computed from others."""
    if weight.name.startswith(REPARAMETRISED):
        return weight.name.split(".")[1]
    return weight.name


@dataclass(frozen=True, slots=True)
class Seen:
    """A module as a loop over `self.modules()` sees it."""

    machine: Machine
    target: str
    weights: tuple[Weight, ...]
    prefix: str = ""  # of its weights' names, in the module that a layer is

    def is_a(self, kinds: tuple[str, ...], *, exactly: bool) -> bool:
        own = self.target
        while own:
            if own in kinds:
                return True
            definition = self.machine.globals.get(own)
            own = definition.base if isinstance(definition, Class) and not exactly else ""
        return not exactly and "nn.Module" in kinds

    def has(self, name: str) -> bool:
        if name == "parametrizations":
            return any(w.name.startswith(REPARAMETRISED) for w in self.weights)
        return any(said(w) == self.prefix + name for w in self.weights)

    def names(self) -> list[str]:
        return [w.name for w in self.weights if not w.buffer]


class Initial:
    """One comparison, each module once for all places where the same is said around it."""

    def __init__(self, proof: Proof) -> None:
        self.machine, self.proof = proof.machine, proof
        self.done: set[Any] = set()
        self.loops: dict[Any, dict[str, Any]] = {}
        self.around: dict[Any, Init] = {}

    def module(
        self, box: Box, instance: Instance, init: Init, still: bool, fills: tuple[Said, ...]
    ) -> None:
        """A module that is an instance; `fills` are what modules around it say, in order."""
        key = (box, instance, id(init), still, fills)
        if key in self.done:
            return
        self.done.add(key)
        plan = self.proof.plan(instance)
        with plan.named():
            self._members(plan, box, (init, still, fills))

    def _members(self, plan: Plan, box: Box, said: tuple[Init, bool, tuple[Said, ...]]) -> None:
        init, still, fills = said
        stack: list[tuple[str, Box, tuple[Said, ...]]] = [("", box, (*_own(box), *fills))]
        while stack:
            prefix, inner, around = stack.pop()
            parts = _parted(around)
            for name, child in inner.children.items():
                path, here = prefix + name, parts(name)
                if isinstance(child, Leaf):
                    self._leaf(plan.leaves.get(path), child, init, still, here)
                elif path in plan.calls:
                    self._call(plan.calls[path], child, init, still, here)
                else:
                    stack.append((f"{path}.", child, (*_own(child), *here)))

    def _inherited(self, init: Init, step: Step) -> Init:
        """What is said around a step, one object for the same."""
        more = [*step.around.inits]
        if step.copy.instance is not None and step.copy.instance.init is not None:
            more.append(step.copy.instance.init)
        for near in more:
            key = (id(init), id(near))
            if key not in self.around:
                self.around[key] = nearer(init, near)
            init = self.around[key]
        return init

    def _call(self, step: Step, box: Box, init: Init, still: bool, fills: tuple[Said, ...]) -> None:
        assert step.copy.instance is not None
        still = still if step.around.freeze is None else step.around.freeze
        self.module(box, step.copy.instance, self._inherited(init, step), still, fills)

    def _leaf(
        self, step: Step | None, leaf: Leaf, init: Init, still: bool, fills: tuple[Said, ...]
    ) -> None:
        if step is None or step.kind is None:
            return
        weights = step.kind.weights
        still = still if step.around.freeze is None else step.around.freeze
        init = self._inherited(init, step)
        wanted = init.get(step.kind.layer.op) or init.get("*") or {}
        if not (fills or (weights and (wanted or still))):
            return
        found = self._state(leaf, weights, fills, step.path)
        start = _ZEROS if leaf.wrap == "nn.Parameter" else None
        for weight in weights:
            if weight.buffer:
                continue
            filler = wanted.get(weight.part)
            if found.get(said(weight), start) != (_how(filler) or start):
                which = weight.name or "weight"
                raise Refused(f"begins with other values of its {which}", step.path)
            if ((FREEZE, weight.name) in found or (FREEZE, None) in found) is not still:
                raise Refused(f"is {'not ' if still else ''}frozen", step.path)
        keeps = any(weight.name.rpartition(".")[2] in _KEPT for weight in weights)
        if (ASLEEP in found) is not (still and keeps):
            raise Refused("is in evaluation mode at other times than in the spec", step.path)

    def _state(
        self, leaf: Leaf, weights: tuple[Weight, ...], fills: Sequence[Said], path: str
    ) -> dict[Any, Any]:
        """The last that is said of each weight, by name, and what else is said of the module."""
        there = {said(w) for w in weights if not w.buffer}
        found: dict[Any, Any] = {}
        for fill, rest in fills:
            if fill.loop is not None:
                found.update(self._looped(fill, leaf, weights))
            elif rest:
                raise Refused(f"has no {rest}", path)
            elif fill.how == FREEZE:
                found[FREEZE, fill.name] = True
            elif fill.how == ASLEEP:
                found[ASLEEP] = True
            elif fill.name in there:
                found[fill.name] = fill.how
            elif not fill.guarded:
                raise Refused(f"has no {fill.name} to be filled", path)
        return found

    def _looped(self, fill: Fill, leaf: Leaf, weights: tuple[Weight, ...]) -> dict[str, Any]:
        key = (id(fill), leaf, weights)
        if key not in self.loops:
            found = self.machine.looped(fill, Seen(self.machine, leaf.target, weights))
            inner = tuple(w for w in weights if w.name.startswith("out_proj."))
            if inner:  # attention holds a linear map, of a class of its own
                part = Seen(self.machine, "nn.NonDynamicallyQuantizableLinear", inner, "out_proj.")
                filled = self.machine.looped(fill, part)
                found = {**found, **{f"out_proj.{n}": how for n, how in filled.items()}}
            self.loops[key] = found
        return self.loops[key]


def _own(box: Box) -> tuple[Said, ...]:
    return tuple((fill, fill.path) for fill in box.fills)


def _parted(fills: tuple[Said, ...]) -> Callable[[str], tuple[Said, ...]]:
    """For each member what is said of it, of all fills."""
    by_name: dict[str, list[tuple[int, Said]]] = {}
    everywhere: list[tuple[int, Said]] = []
    for place, (fill, rest) in enumerate(fills):
        head, _, tail = rest.partition(".")
        if head:
            by_name.setdefault(head, []).append((place, (fill, tail)))
        else:
            everywhere.append((place, (fill, "")))

    def of(name: str) -> tuple[Said, ...]:
        named = by_name.get(name)
        if named is None:
            return tuple([s for _, s in everywhere])
        return tuple([s for _, s in sorted([*everywhere, *named], key=lambda pair: pair[0])])

    return of


def _how(filler: Filler | None) -> Any:
    """The line that a filler is."""
    if filler is None:
        return None
    return filler.name, frozen(sorted(filler.args.items()))
