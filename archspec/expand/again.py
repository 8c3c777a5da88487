"""A network that is expanded → the same at other values: emission asks what would be there.

What is alike is shared: an instance of a block that the change does not reach is the same object.

    network: {classes: 1000}     again at {classes: 10}: another root, and the same bottlenecks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from archspec.expand.calls import received
from archspec.expand.items import instance
from archspec.expand.namespace import Callee, Namespace
from archspec.expand.origin import Link
from archspec.expand.params import inputs as input_types
from archspec.expand.params import params as network_params
from archspec.expand.state import HiddenError, LimitError
from archspec.expand.tree import Copy, Instance, Occurrence, Value
from archspec.expressions import Expr
from archspec.language import Item
from archspec.layers.base import TensorType

if TYPE_CHECKING:
    from archspec.expand.schedule import Schedule

Shapes = Mapping[str, Sequence[int]]
_SHARED = 1000  # instances that are kept for networks to come


class Again:
    """Asks an expanded network for other values; None is the answer where they have faults."""

    def __init__(
        self, found: Schedule, variant: str | None, params: Mapping[str, Any], inputs: Shapes
    ) -> None:
        self.root, self.running = found.root, found.running
        self.variant, self.params, self.inputs = variant, params, inputs

    @contextmanager
    def forgotten(self) -> Iterator[None]:
        """What is expanded meanwhile is not kept for networks to come."""
        known = self.known()
        try:
            yield
        finally:
            self.forget(known)

    def known(self) -> list[int]:
        """How much is kept for networks to come: what `forget` takes, to drop what comes later."""
        return [*map(len, self._kept()), len(self.root.origin.state.kept)]

    def forget(self, known: list[int]) -> None:
        *counts, named = known
        for kept, count in zip(self._kept(), counts, strict=True):
            for key in list(kept)[count:]:
                del kept[key]
        del self.root.origin.state.kept[named:]

    def _kept(self) -> tuple[dict[Any, Any], ...]:
        state = self.root.origin.state
        return state.instances, state.layers, state.types, state.inferred

    def follows(self, value: Value, axis: int) -> bool:
        """Whether a size of a value of the network follows from a free axis."""
        axes = self.running.axes.get(id(value), ()) if self.running is not None else ()
        return axis < len(axes) and axes[axis]

    def network(self, params: Mapping[str, Any]) -> Instance | None:
        """The network with some params changed."""
        file: Namespace = self.root.origin

        def make() -> Instance:
            assert self.root.spec is not None
            given = {**self.params, **params}
            args = network_params(file.state, self.root.spec, self.variant, given)
            kinds, axes = input_types(file.state, self.root.spec, args, self.inputs)
            found = instance(Callee(self.root.block, file), args, kinds)
            found.free_axes = axes
            return found

        return self._marked(_sound(file, make))

    def networks(self, each: Iterable[Mapping[str, Any]]) -> Iterator[Instance | None]:
        """`network` of many params, one after the other.

        A network is not kept itself, and of blocks only so many, which others may share.
        """
        instances = self.root.origin.state.instances
        own = len(instances)
        for params in each:
            before = len(instances)
            found = self.network(params)
            first = before if len(instances) <= own + _SHARED else own
            for key in list(instances)[first : before + 1]:  # its own is the first that it made
                del instances[key]
            yield found

    def block(
        self, like: Instance, home: Instance, item: Item, changed: Mapping[str, Any],
        kinds: Mapping[str, TensorType | None],
    ) -> Instance | None:  # fmt: skip
        """An instance like another that `item` calls in `home`, its file, with these params.

        `kinds` are the types of its inputs by name. Other params are as they are in the other
        instance, but that defaults that are computed are worked out anew.
        """
        file: Namespace = home.origin

        def make() -> Instance:
            state, callee = file.state, file.block(like.block.name)
            types = {n: None if t is None else state.canonical(t) for n, t in kinds.items()}
            seen = {name: state.record(kind) for name, kind in types.items()}
            seen |= received(callee.block, seen)
            args: dict[str, Any] = {}
            for name, default in callee.block.params.items():
                if name in changed or not isinstance(default, Expr):
                    args[name] = changed.get(name, like.args[name])
                else:
                    env = {**file.document, **seen, **args}
                    args[name] = state.value(default, env, callee.block.loc)
            state.enter(Link(item, args=args))
            found = instance(callee, args, types, like.asked)
            state.leave()
            return found

        around, file.document = file.document, dict(home.args)
        try:
            return self._marked(_sound(file, make))
        finally:
            file.document = around

    @cached_property
    def _known(self) -> tuple[set[int], set[int]]:
        """The network's instances, and the items with an argument that follows from a free axis."""
        seen: set[int] = set()
        items = {id(o.item) for o in _occurrences(self.root, seen) if any(map(_runs, o.copies))}
        return seen, items

    def _marked(self, found: Instance | None) -> Instance | None:
        """The same, its items marked as those of the network are."""
        if found is not None and self.root.free_axes and self._known[1]:
            seen, items = self._known
            for occurrence in _occurrences(found, set(seen)):
                for copy in occurrence.copies if id(occurrence.item) in items else ():
                    if copy is not None:
                        copy.running = True
        return found


def _runs(copy: Copy | None) -> bool:
    return copy is not None and copy.running


def _occurrences(instance: Instance, seen: set[int]) -> Iterator[Occurrence]:
    """All items of an instance and of those it calls, but for those that are seen already."""
    if id(instance) in seen:
        return
    seen.add(id(instance))
    stack = [instance.body]
    while stack:
        for occurrence in stack.pop().items:
            yield occurrence
            for copy in occurrence.copies:
                if copy is not None:
                    stack += copy.parts()
                    if copy.instance is not None:
                        yield from _occurrences(copy.instance, seen)


def _sound(file: Namespace, make: Callable[[], Instance]) -> Instance | None:
    """What is made, if nothing is wrong with it; else it is forgotten again."""
    state = file.state
    state.expecting, state.copies, known = None, 0, len(state.instances)
    done, state.work.done = state.work.done, 0  # the limit is one network's
    state.trying = True
    try:
        found: Instance | None = make()
    except (HiddenError, LimitError, RecursionError) as failed:
        clear_frames(failed.__traceback__)  # else errors that hold each other hold what was made
        found = None
    finally:
        state.trying, state.work.done = False, done
    if found is None:
        for key in list(state.instances)[known:]:
            del state.instances[key]
        state.forgive()
        return None
    return found
