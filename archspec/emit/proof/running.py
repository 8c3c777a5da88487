"""Plan and text on the same terms: what the graph computes first, then what the text does.

    - {id: conv, conv: {out: 8, kernel: 1}}      conv : Term("call", "conv", (x,), ())
    - concat: [prev, input]                      out  : Term("torch.cat", ((conv, x), 1), ())

A text that calls `self.conv` with something else than x finds no such term, and one that returns
another term than `out` is seen at the end.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from operator import is_not
from typing import Any

from archspec.emit.proof.machine import Frame, Machine
from archspec.emit.proof.made import Box, Leaf, Ref
from archspec.emit.proof.plan import Kind, Kinds, Plan, Step
from archspec.emit.proof.terms import Refused, Term, Terms, frozen, named, unknown
from archspec.expand.tree import Instance, Value
from archspec.expressions.sym import parsed
from archspec.layers.base import TENSORS, Call


class Running:
    """A plan run on terms: first as the graph says; then the text asks it what members give.

    `given` says which inputs there are. What goes into a block and what leaves it has a batch axis.
    """

    def __init__(self, proof: Proof, plan: Plan, given: tuple[bool, ...], training: bool) -> None:
        self.proof, self.plan, self.training = proof, plan, training
        self.asked, self.counts = False, True
        self.terms = Terms()
        self.values: dict[Value, Term] = {}
        self.nested: dict[Term, Called] = {}  # by the call of a block
        self.calls: Counter[Term] = Counter()  # of members, that the graph makes
        self.made: Counter[Term] = Counter()  # and those that the text makes: chance, statistics
        self.inputs: list[Term] = []
        for value in compress(plan.instance.inputs.values(), given):
            term = self.terms("input", len(self.inputs))
            self.inputs.append(self._is(value, term, alone=False))
        for step in plan.steps:
            if training or not step.around.training:
                self._step(step)
        self.outputs = [self.with_batch(v) for v in self._kept()]
        self.terms.closed = True

    def _kept(self) -> list[Value]:
        found: list[Value] = []
        for name, out in self.plan.instance.outputs.items():
            if self.training or name not in self.plan.instance.training:
                found += out if isinstance(out, tuple) else (out,)
        return found

    def _is(self, value: Value, term: Term, *, alone: bool, led: bool = False) -> Term:
        self.values[value] = term
        kind = self.proof.kinds.type(value) if term.shape is None else None
        if kind is not None:
            term.shape, term.lone, term.led = kind.shape, alone, alone and led
        return term

    def _step(self, step: Step) -> None:
        if step.copy.instance is not None:
            self._block(step, step.copy.instance)
            return
        kind = step.kind
        assert kind is not None
        call = kind.call
        given = [None if v is None else self.values[v] for v in step.taken]
        there = [t for t in given if t is not None]
        lone = bool(there) and all(t.lone for t in there)
        alone = call.batchless or (lone and (call.broadcast or call.alone is not None))
        led = call.led or any(t.led for t in there)
        beside = call.beside is not None and _alone_at(given, call.beside[0])
        if not (call.broadcast or alone or beside):
            given = [t if t is None or not t.lone else self._expanded(t) for t in given]
        outs = step.copy.outs.values()
        if kind.nothing:
            (value,), (given_term,) = outs, there
            self._is(value, given_term, alone=given_term.lone, led=given_term.led)
            return
        if kind.function is not None:
            self._without_module(step, kind.function, given)
            return
        if kind.forward is None and len(outs) == 1 and kind.results[0] is None:
            for value in outs:
                self._is(value, self._raw(step.owner, (given[0],), ()), alone=alone, led=led)
            return
        if lone and kind.alone is not None:
            (term,) = self._results(step, kind, given, None if led else kind.alone)
            self._is(next(iter(outs)), term, alone=True, led=led)
            return
        results = self._results(step, kind, given, kind.beside if beside else None)
        for value, term in zip(outs, results, strict=True):
            self._is(value, term, alone=alone, led=led)

    def _without_module(self, step: Step, function: Call, given: Sequence[Term | None]) -> None:
        """An op that may be a function of torch as well: both ways are the same value.

        It keeps nothing, so that it does not matter how often it is called.
        """
        assert step.kind is not None
        self.counts = False
        (term,) = self._results(step, step.kind, given)
        self.counts = True
        names: dict[str, Any] = {f"x{i}": t for i, t in enumerate(given)}
        names.update({a.name or "": a.value for a in function.free})
        same = self.proof.machine.value(parsed(function.forward), Frame(names, run=self))
        self.terms.known[term.of] = same  # of two such ops that do the same, too
        for value in step.copy.outs.values():
            self._is(value, same, alone=False)

    def _results(
        self,
        step: Step,
        kind: Kind,
        given: Sequence[Term | None],
        forward: ast.expr | None = None,
    ) -> Iterator[Term]:
        """The templates of a layer's call, its inputs put in; `forward` in place of its own."""
        names: dict[str, Any] = {f"x{i}": t for i, t in enumerate(given) if t is not None}
        names.update(kind.free)
        names["self"] = Ref(step.owner, _SOMETHING)
        if kind.call.wrap in TENSORS:
            names["self"] = self.terms("param", step.owner)
        yield from self._template(kind, names, forward or kind.forward)

    def _template(
        self, kind: Kind, names: dict[str, Any], forward: ast.expr | None
    ) -> Iterator[Term]:
        frame = Frame(names, run=self)
        names["r"] = self.proof.machine.value(forward or parsed("self(x0)"), frame)
        for result in kind.results:
            yield names["r"] if result is None else self.proof.machine.value(result, frame)

    def _expanded(self, term: Term) -> Term:
        """A parameter with a batch axis."""
        rest = (-1,) * len(term.shape or ())
        found = self.terms(".expand", term, (self.terms.batch, *rest), ())
        found.shape = term.shape
        return found

    def with_batch(self, value: Value) -> Term:
        """What the network returns for a value."""
        term = self.values[value]
        return self._expanded(term) if term.lone else term

    def _raw(self, path: str, args: tuple[Any, ...], kwargs: tuple[Any, ...]) -> Term:
        found = self.terms("call", path, args, kwargs)
        self.calls[found] += self.counts
        return found

    def _block(self, step: Step, instance: Instance) -> None:
        given = [None if v is None else self.with_batch(v) for v in step.taken]
        there = tuple(t for t in given if t is not None)
        taken = tuple(t is not None for t in given)
        whole = self._raw(step.owner, there, ())
        self.nested[whole] = instance, taken, self.training
        for k, value in enumerate(step.copy.outs.values()):
            self._is(value, self.terms.part(whole, k), alone=False)

    # ------------------------------------------------------------ the text's side

    def parameter(self, ref: Ref) -> Term:
        return self.terms("param", ref.path)

    def call(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What a member gives. Raises Refused where the graph does not call it so."""
        it = ref.it
        if it is _SOMETHING:
            known = self._known if self.terms.closed else self._raw
            return known(ref.path, frozen(args), named(kwargs))
        if isinstance(it, Leaf):
            return self._leaf(ref, it, args, kwargs)
        if it.definition is not None and ref.path in self.plan.calls:
            return self._called(ref, it, args, kwargs)
        return self.inside(ref, it, args, kwargs)

    def inside(self, ref: Ref, box: Box, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The forward of a module: its class's, or one member after the other."""
        forward = box.definition.methods.get("forward") if box.definition else None
        if forward is not None:
            return self.proof.machine.call(forward, [ref, *args], kwargs, Frame({}, run=self))
        if box.kind != "nn.Sequential" or len(args) != 1 or kwargs:
            raise Refused("is called as no such module is", ref.path)
        (x,) = args
        for name in box.children:
            child = ref.child(name)
            assert child is not None
            x = self.call(child, [x], {})
        return x

    def _leaf(self, ref: Ref, leaf: Leaf, args: list[Any], kwargs: dict[str, Any]) -> Any:
        step = self.plan.leaves.get(ref.path)
        if leaf.target == "nn.Identity" and len(args) == 1:
            return args[0]
        if step is None or step.kind is None:
            raise Refused("has no place in the spec", ref.path)
        if step.kind.fits(leaf) == "module":
            names: dict[str, Any] = {f"x{i}": x for i, x in enumerate(args)}
            names.update(step.kind.free)
            names["self"] = Ref(ref.path, _SOMETHING)
            (term,) = self._template(step.kind, names, step.kind.forward)
            return term
        return self._known(ref.path, frozen(args), named(kwargs))

    def _known(self, path: str, args: tuple[Any, ...], kwargs: tuple[Any, ...]) -> Term:
        """A call that the graph makes too."""
        found = self.terms.known.get(("call", path, args, kwargs))
        if found is None:
            raise Refused("is called with other inputs than in the spec", path)
        self.made[found] += 1
        return found

    def _called(self, ref: Ref, box: Box, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A block: its instance is proved for itself."""
        forward = box.definition.methods.get("forward") if box.definition else None
        names = forward.names[1:] if forward is not None else ["x"]
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not kwargs.keys() <= set(names) - given.keys():
            raise Refused("is called with other inputs than it takes", ref.path)
        given.update(kwargs)
        order = tuple((n, _count(given[n])) for n in names if given.get(n) is not None)
        taken = [t for n, count in order for t in ([given[n]] if count is None else given[n])]
        whole = self._known(ref.path, tuple(taken), ())
        shape = self.proof.proved(box, self.nested[whole], order)
        return self._shaped(whole, shape)

    def _shaped(self, whole: Term, shape: Any) -> Any:
        """What a block returns: one term, or several as it gives them."""
        if isinstance(shape, int):
            return self.terms.part(whole, shape)
        return tuple(self._shaped(whole, s) for s in shape)


Order = tuple[tuple[str, "int | None"], ...]  # what forward takes: of a list, how many
Called = tuple[Instance, tuple[bool, ...], bool]  # which of its inputs are given; in training


def _count(given: Any) -> int | None:
    """How many tensors a list has; None for a tensor."""
    return len(given) if isinstance(given, (list, tuple)) else None


_PLANS = 64  # that are kept: of thousands of unlike blocks each is run once
_SOMETHING = Box("")  # the module of a layer, in its templates


class Proof:
    """One comparison of a text with a tree, at one size of its free axes."""

    def __init__(self, machine: Machine, kinds: Kinds) -> None:
        self.machine, self.kinds = machine, kinds
        self.plans: dict[Instance, Plan] = {}  # those made last
        self.says = False  # whether anything is said of weights in any
        self.trains = False  # or there is what is computed in training only
        self.asked = False  # whether the text asked in which mode it is
        self.shapes: dict[Any, Any] = {}  # what modules return, once proved
        self.matched: set[tuple[Box, Instance]] = set()

    def run(self, box: Box, root: Instance) -> None:
        """Raises Refused unless the network's module computes what the tree does."""
        asked = self.mode(box, root, training=True)
        if asked or self.trains:
            self.mode(box, root, training=False)

    def mode(self, box: Box, root: Instance, *, training: bool) -> bool:
        """Raises Refused unless they do the same in training, or in evaluation.

        Whether the text asked in which mode it is.
        """
        running = Running(self, self.plan(root), tuple(True for _ in root.inputs), training)
        with running.plan.named():
            self._compared(box, root, running)
        self.shapes.clear()  # they are of this mode
        asked, self.asked = self.asked or running.asked, False
        return asked

    def _compared(self, box: Box, root: Instance, running: Running) -> None:
        """The network's outputs, which have names where there are several, or a list."""
        returned = self._returned(box, running, None)
        kept = {
            n: (
                [running.with_batch(v) for v in out]
                if isinstance(out, tuple)
                else running.with_batch(out)
            )
            for n, out in root.outputs.items()
            if running.training or n not in root.training
        }
        wanted: Any = next(iter(kept.values()))
        if len(kept) > 1 or isinstance(wanted, list):
            wanted = kept
        if not _same(returned, wanted):
            raise Refused("returns something else")

    def plan(self, instance: Instance) -> Plan:
        found = self.plans.get(instance)
        if found is None:
            found = self.plans[instance] = Plan(instance, self.kinds)
            self.says = self.says or found.says
            self.trains = self.trains or any(step.around.training for step in found.steps)
            if len(self.plans) > _PLANS:
                del self.plans[next(iter(self.plans))]
        return found

    def proved(self, box: Box, called: Called, order: Order) -> Any:
        """How a module returns the outputs of an instance, by number. Raises Refused.

        The terms of the instance are made for this, once, and are gone behind it.
        """
        key = (box, called, order)
        if key not in self.shapes:
            instance, given, training = called
            running = Running(self, self.plan(instance), given, training)
            with running.plan.named():
                returned = self._returned(box, running, order)
                flat: list[Any] = []
                self.shapes[key] = _numbered(returned, flat)
                if len(flat) != len(running.outputs) or any(map(is_not, flat, running.outputs)):
                    raise Refused("returns something else")
            self.asked |= running.asked
        return self.shapes[key]

    def _returned(self, box: Box, running: Running, order: Order | None) -> Any:
        """What its forward gives on the inputs of the instance."""
        self._match(box, running.plan)
        running.made.clear()
        ref, inputs = Ref("", box), running.inputs
        if order is None or box.definition is None or "forward" not in box.definition.methods:
            returned = running.inside(ref, box, list(inputs), {})
        else:
            left = iter(inputs)
            given = {n: next(left) if k is None else [*islice(left, k)] for n, k in order}
            returned = running.inside(ref, box, [], given)
        for term, count in running.calls.items():
            if count and running.made[term] != count:
                raise Refused("is not called as often as in the spec", term.of[1])
        return returned

    # ------------------------------------------------------------ members

    def _match(self, box: Box, plan: Plan) -> None:
        """Raises Refused unless the members are those of the plan, and made as its layers say."""
        if (box, plan.instance) in self.matched:
            return
        self.matched.add((box, plan.instance))
        if box.ties != plan.ties:
            odd = min(box.ties.items() ^ plan.ties.items())[0]
            raise Refused("has its weight from somewhere else than in the spec", odd)
        found: set[str] = set()
        for path, child in _members(box, plan):
            if isinstance(child, Leaf):
                self._made(plan, path, child)
            found.add(path)
        for path, step in plan.leaves.items():
            if path not in found and step.kind is not None and step.kind.needed:
                raise Refused("is missing", path)
        for path in plan.calls:
            if path not in found:
                raise Refused("is missing", path)

    @staticmethod
    def _made(plan: Plan, path: str, leaf: Leaf) -> None:
        step = plan.leaves.get(path)
        if step is None or step.kind is None:
            if leaf.target != "nn.Identity":
                raise Refused("has no place in the spec", path)
        elif not step.kind.fits(leaf) and (leaf.target != "nn.Identity" or step.kind.needed):
            raise Refused("is made in another way than in the spec", path)


def _members(box: Box, plan: Plan) -> Iterator[tuple[str, Leaf | Box]]:
    """The ops and calls of blocks inside of a module, at any depth, by path."""
    stack: list[tuple[str, Box]] = [("", box)]
    while stack:
        prefix, inner = stack.pop()
        if inner.ties and inner is not box:
            raise unknown("weights that a part of a block ties")
        for name, child in inner.children.items():
            path = prefix + name
            if isinstance(child, Leaf) or path in plan.calls:
                yield path, child
            else:
                stack.append((f"{path}.", child))


def _alone_at(given: Sequence[Term | None], place: int) -> bool:
    """Whether of the inputs that one alone has no batch axis."""
    return [i for i, t in enumerate(given) if t is not None and t.lone] == [place]


def _same(returned: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(returned, dict)
            and list(returned) == list(wanted)
            and all(_same(returned[n], w) for n, w in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(returned, (list, tuple))
            and len(returned) == len(wanted)
            and all(map(_same, returned, wanted))
        )
    return returned is wanted


def _numbered(returned: Any, flat: list[Any]) -> Any:
    """What is returned with numbers in place of terms, and the terms in order."""
    if isinstance(returned, (tuple, list)):
        return [_numbered(v, flat) for v in returned]
    flat.append(returned)
    return len(flat) - 1
