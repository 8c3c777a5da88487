"""A network that is expanded → the same at other values: emission asks what would be there.

What is alike is shared: an instance of a block that the change does not reach is the same object.

    network: {classes: 1000}     again at {classes: 10}: another root, and the same bottlenecks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archspec.expand.items import instance
from archspec.expand.namespace import Callee, Namespace
from archspec.expand.params import inputs as input_types
from archspec.expand.params import params as network_params
from archspec.expand.state import HiddenError, LimitError
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.language import Item
from archspec.layers.base import TensorType

Shapes = Mapping[str, Sequence[int]]


class Again:
    """Asks an expanded network for other values; None is the answer where they have faults."""

    def __init__(
        self, root: Instance, variant: str | None, params: Mapping[str, Any], inputs: Shapes
    ) -> None:
        self.root, self.variant, self.params, self.inputs = root, variant, params, inputs

    def network(self, params: Mapping[str, Any]) -> Instance | None:
        """The network with some params changed."""
        file: Namespace = self.root.origin

        def make() -> Instance:
            assert self.root.spec is not None
            given = {**self.params, **params}
            args = network_params(file.state, self.root.spec, self.variant, given)
            kinds, axes = input_types(file.state, self.root.spec, args, self.inputs)
            found = instance(Callee(self.root.block, file), args, list(kinds.values()))
            found.free_axes = axes
            return found

        return _sound(file, make)

    def block(
        self, like: Instance, home: Instance, item: Item, changed: Mapping[str, Any],
        kinds: Sequence[TensorType | None],
    ) -> Instance | None:  # fmt: skip
        """An instance like another that `item` calls in `home`, its file, with some params changed.

        `kinds` are the types of its inputs. Defaults that are computed are worked out anew.
        """
        file: Namespace = home.origin

        def make() -> Instance:
            state, callee = file.state, file.block(like.block.name)
            types = [None if t is None else state.canonical(t) for t in kinds]
            seen = dict(zip(callee.block.inputs, map(state.record, types), strict=True))
            args: dict[str, Any] = {}
            for name, default in callee.block.params.items():
                if name in changed or name in item.args or not isinstance(default, Expr):
                    args[name] = changed.get(name, like.args[name])
                else:
                    env = {**file.document, **seen, **args}
                    args[name] = state.value(default, env, callee.block.loc)
            state.enter(item, args, ())
            found = instance(callee, args, types)
            state.leave()
            return found

        around, file.document = file.document, dict(home.args)
        try:
            return _sound(file, make)
        finally:
            file.document = around


def _sound(file: Namespace, make: Callable[[], Instance]) -> Instance | None:
    """What is made, if nothing is wrong with it; else it is forgotten again."""
    state = file.state
    state.expecting, state.copies, known = None, 0, len(state.instances)
    try:
        found: Instance | None = make()
    except (HiddenError, LimitError, RecursionError):
        found = None
    if state.faults or found is None:
        for key in list(state.instances)[known:]:
            del state.instances[key]
        state.forgive()
        return None
    return found
