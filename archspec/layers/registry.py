"""Op and arguments → layer, or what is wrong with them.

    create("conv", {"out": 64, "kernel": 3})  →  Conv(out=64, kernel=3, stride=1, …)
    examine("conv", {"out": 0, "kernel": Expr("$k")})  →  [BadArgument("`out` of `conv` is 0; …")]

A family of ops is imported when one of them is asked for, so that a network pays for what it uses.
So is an op that an installed distribution offers; what it is worth is seen then (`plugin.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import ValidationError

from archspec.expressions import Expr
from archspec.layers.base import BadArgument, Layer
from archspec.layers.complaints import complaints
from archspec.layers.plugin import RESERVED, WORD, expect_layer, offers
from archspec.text.words import meant

# Where ops stand, in the order in which they are listed. It saves time and nothing else: an op that
# it does not name is found by importing every module of this folder.
_INDEX = {
    op: module
    for module, ops in (
        ("conv", "conv conv_transpose"),
        ("pool", "max_pool max_unpool avg_pool lp_pool adaptive_avg_pool adaptive_max_pool"),
        ("pool", "global_avg_pool global_max_pool"),
        ("norm", "batch_norm instance_norm layer_norm rms_norm group_norm local_response_norm"),
        ("activation", "relu relu6 leaky_relu prelu elu celu selu gelu quick_gelu silu mish"),
        (
            "activation",
            "hardswish hardsigmoid hardtanh sigmoid tanh softplus identity abs activation softmax",
        ),
        ("activation", "log_sigmoid log_softmax glu maxout"),
        ("linear", "linear embedding"),
        ("recurrent", "lstm gru rnn"),
        ("attention", "attention"),
        ("dot_attention", "dot_attention rotary"),
        ("relative", "relative_position_bias shift_mask"),
        ("merge", "parameter add sub mul div mean max min matmul concat scale"),
        ("constant", "constant"),
        ("einsum", "einsum"),
        ("arithmetic", "exp log sqrt sin cos pow clamp detach"),
        ("reduction", "reduce normalize cumsum argmax top_k"),
        ("shape", "flatten unflatten reshape permute select slice split"),
        ("places", "flip stack expand one_hot gather"),
        ("edge", "pad crop roll"),
        ("resample", "upsample pixel_shuffle pixel_unshuffle channel_shuffle unfold"),
        ("sampling", "affine_grid grid_sample fold"),
        ("noise", "dropout spatial_dropout alpha_dropout drop_path gaussian_noise sample_normal"),
        ("position", "sine_positions sine_embedding"),
        ("detection", "grid_points anchor_boxes nms roi_align"),
    )
    for op in ops.split()
}


class Registry(Mapping[str, type[Layer]]):
    """Layer types by op. Installed distributions are asked for a name that is not built in.

    One whose class cannot be had, or is not what it should be, is left out; `refused` says why.
    """

    def __init__(self, index: Mapping[str, str]) -> None:
        self._index = index
        self._known: dict[str, type[Layer]] = {}
        self._all_built_in = False
        self.refused: dict[str, str] = {}  # by op, in one sentence each

    def __getitem__(self, op: str) -> type[Layer]:
        if op not in self._known:
            if op in self._index:
                self._import(self._index[op])
            elif _may_be_an_op(op):
                self._look_for(op)
        return self._known[op]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(dict.fromkeys((*self._index, *self._known)))

    def __len__(self) -> int:
        self._load()
        return len(self._known)

    def __contains__(self, op: object) -> bool:
        if op in self._index or op in self._known:
            return True
        if _may_be_an_op(op):
            self._look_for(str(op))
        return op in self._known

    def _import(self, module: str) -> None:
        """Takes in the ops of one module of this folder."""
        name = f"{__package__}.{module}"
        for cls in vars(import_module(name)).values():
            own = isinstance(cls, type) and cls.__module__ == name
            if own and issubclass(cls, Layer) and "op" in vars(cls):
                self.add(cls)

    def _load(self) -> None:
        """Takes in all there is: the modules of this folder, and what distributions offer."""
        self._load_built_in()
        for op, offer in offers().items():
            if op in self._index:
                self.refused[op] = f"{offer.of} offers the op `{op}`, which is built in"
            self._look_for(op)

    def names(self) -> list[str]:
        """The ops, those too that distributions offer; of these none is imported."""
        self._load_built_in()
        return list(dict.fromkeys((*self._index, *self._known, *offers())))

    def elsewhere(self) -> dict[str, str]:
        """What other libraries call ops, `dense` and `bn`, and our names for them."""
        self._load_built_in()
        return {name: op for op, cls in self._known.items() for name in cls.elsewhere}

    def _load_built_in(self) -> None:
        if not self._all_built_in:
            self._all_built_in = True
            for module in iter_modules([str(Path(__file__).parent)]):
                self._import(module.name)

    def _look_for(self, op: str) -> None:
        """Takes in an op that the index does not name, if it is anywhere."""
        self._load_built_in()
        if op in self._known or op in self.refused or op not in offers():
            return
        try:
            self.add(offers()[op].load())
        except ValueError as failed:
            self.refused[op] = str(failed)

    def add(self, cls: type[Layer]) -> None:
        """Takes a layer type in. Raises ValueError when it lacks something or its name is taken."""
        expect_layer(cls)
        op = cls.op
        home = f"{__package__}.{self._index[op]}" if op in self._index else cls.__module__
        if self._known.get(op, cls) is not cls or cls.__module__ != home:
            raise ValueError(f"`{op}` is an op already")
        self._known[op] = cls


def _may_be_an_op(op: object) -> bool:
    return isinstance(op, str) and op not in RESERVED and bool(WORD.fullmatch(op))


REGISTRY = Registry(_INDEX)


def register(cls: type[Layer]) -> type[Layer]:
    """Makes a layer type of one's own an op; also a decorator.

    It is tried on its examples. Raises ValueError: what it lacks or says wrongly, or that its name
    is taken.
    """
    REGISTRY.add(cls)
    return cls


def create(op: str, args: Mapping[str, Any]) -> Layer:
    """The layer for an op and its arguments by name. Raises BadArgument, the first there is."""
    try:
        cls = REGISTRY[op]
    except KeyError:
        why = REGISTRY.refused.get(op, f"`{op}` is not an op")
        raise BadArgument(None, why, meant(op, REGISTRY.names()), "E207") from None
    given = cls.meant(args)
    try:
        return cls.model_validate(given).resolve()
    except ValidationError as error:
        raise next(complaints(cls, given, error)) from None


def examine(op: str, args: Mapping[str, Any]) -> list[BadArgument]:
    """All that is wrong with an op's arguments as written. Raises KeyError: no such op.

    An argument that is an expression, or holds one, passes: its value is not known yet. Rules
    between arguments are looked at when every argument is known.
    """
    cls = REGISTRY[op]
    given = cls.meant(args)
    known = {
        name: value
        for name, value in given.items()
        if name not in cls.model_fields or not _holds_expression(value)
    }
    later = given.keys() - known.keys()
    if cls.main() in later:
        later |= set(cls.bare.values())  # an expression may turn out to be any of them
    try:
        layer = cls.model_validate(known, context=later or None)
        if not later:
            layer.resolve()
    except ValidationError as error:
        found = complaints(cls, given, error)
        return [bad for bad in found if bad.code != "E209" or bad.field not in later]
    except BadArgument as bad:
        return [bad]
    return []


def _holds_expression(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_expression, value))
    if isinstance(value, dict):
        return any(map(_holds_expression, value.values()))
    return isinstance(value, Expr)


def ops_of(family: str) -> tuple[str, ...]:
    """The ops of a family, in order."""
    return tuple(op for op, cls in REGISTRY.items() if cls.family == family)
