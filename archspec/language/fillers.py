"""`init` as written → fillers by op and weight.

    {linear: {weight: xavier_uniform, bias: 0}}
    {"linear": {"weight": Written("xavier_uniform", {}, ("linear", "weight")),
                "bias": Written("constant", {"val": 0}, ("linear", "bias"))}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from archspec.language.kinds import Steps, all_of, evaluable, parsed, refuse, wrong_kind
from archspec.language.models import Value
from archspec.language.sentences import cut
from archspec.layers import REGISTRY

# The functions of torch.nn.init without their underscore, and bilinear interpolation for transposed
# convolutions (Long et al. 2015): their parameters, and the main one.
FILLERS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "uniform": (("a", "b"), None),
    "normal": (("mean", "std"), "std"),
    "trunc_normal": (("mean", "std", "a", "b"), "std"),
    "constant": (("val",), "val"),
    "ones": ((), None),
    "zeros": ((), None),
    "eye": ((), None),
    "dirac": (("groups",), None),
    "xavier_uniform": (("gain",), None),
    "xavier_normal": (("gain",), None),
    "kaiming_uniform": (("a", "mode", "nonlinearity"), None),
    "kaiming_normal": (("a", "mode", "nonlinearity"), None),
    "orthogonal": (("gain",), None),
    "sparse": (("sparsity", "std"), "std"),
    "bilinear": ((), None),
}
_WORDS = {
    "mode": ("fan_in", "fan_out"),
    "nonlinearity": (
        "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu",
    ),
}  # fmt: skip
_REQUIRED = {"constant": "val", "sparse": "sparsity"}
WEIGHTS = ("weight", "bias")
EVERY = "*"


class Written(NamedTuple):
    """A filler, and the steps from `init` to it."""

    name: str
    args: Mapping[str, Value]
    steps: Steps


Found = dict[str, dict[str, Written]]
Faults = list[tuple[Steps, PydanticCustomError]]


def _by_op(node: Any) -> Found:
    """`init` of a document, or of an item with others inside: op → weight → filler."""
    faults: Faults = []
    found: Found = {}
    if not isinstance(node or {}, dict):
        raise wrong_kind("a mapping")
    for op, entry in (node or {}).items():
        if op not in REGISTRY:
            said = f"`{cut(op)}` is no op whose weights could be filled"
            faults.append(((op,), refuse("E221", said, on_key=True, near=(op, list(REGISTRY)))))
        else:
            found[op] = _weights(entry, (op,), faults)
    all_of(faults)
    return found


def _of_item(node: Any, info: ValidationInfo) -> Found:
    """`init` of an item; one that holds others may say it by op."""
    holds = info.data.get("op") not in REGISTRY
    by_op = isinstance(node, dict) and node and not any(k in FILLERS or k in WEIGHTS for k in node)
    if holds and by_op:
        return _by_op(node)
    faults: Faults = []
    found = {EVERY: _weights(node, (), faults)}
    all_of(faults)
    return found


def _weights(node: Any, steps: Steps, faults: Faults) -> dict[str, Written]:
    if not isinstance(node, dict) or not any(key in WEIGHTS for key in node):
        entries = {"weight": (node, steps)}
    else:
        entries = {key: (node[key], (*steps, key)) for key in WEIGHTS if key in node}
        for key in node:
            if key not in WEIGHTS:
                said = f"`{cut(key)}` has no meaning beside a weight's filler"
                wrong = refuse("E201", said, on_key=True, near=(key, WEIGHTS))
                faults.append(((*steps, key), wrong))
    found = {}
    for key, (entry, at) in entries.items():
        try:
            found[key] = _filler(entry, at, faults)
        except PydanticCustomError as wrong:
            faults.append((at, wrong))
    return found


def _filler(node: Any, steps: Steps, faults: Faults) -> Written:
    if isinstance(node, str) and "$" in node:
        return Written("constant", {"val": parsed(node)}, steps)
    if isinstance(node, (int, float)) and not isinstance(node, bool):
        return Written("constant", {"val": node}, steps)
    if isinstance(node, str):
        name, args, at = node, None, steps
    elif isinstance(node, dict) and len(node) == 1:
        ((name, args),) = node.items()
        at = (*steps, name)
    else:
        wanted = "a name of torch.nn.init, one with parameters, or a number"
        raise wrong_kind(wanted, "for example `{normal: 0.02}`", what="a filler")
    if name in FILLERS:
        return Written(name, _arguments(name, args, at, faults), at)
    said, close = f"`{cut(name)}` is no filler of torch.nn.init", name.removesuffix("_")
    faults.append((at, refuse("E221", said, on_key=at != steps, near=(close, list(FILLERS)))))
    return Written(name, {}, at)


def _arguments(name: str, node: Any, steps: Steps, faults: Faults) -> dict[str, Value]:
    known, main = FILLERS[name]
    bare = node is not None and not isinstance(node, dict)
    if bare and main is None:
        named = f"its parameters by name: {', '.join(known)}" if known else "no parameters"
        faults.append((steps, refuse("E221", f"`{name}` takes {named}")))
        return {}
    given = {main: node} if bare else node or {}
    found = {}
    for key, entry in given.items():
        at = steps if bare else (*steps, key)
        try:
            found[key] = _argument(name, key, entry, known)
        except PydanticCustomError as wrong:
            faults.append((at, wrong))
    missing = _REQUIRED.get(name)
    if missing and missing not in given and all(key in known for key in given):
        help = f"write `{{{name}: {{{missing}: 0.5}}}}`"
        faults.append((steps, refuse("E221", f"`{name}` needs `{missing}`", help)))
    return found


def _argument(name: str, key: str, value: Any, known: tuple[str, ...]) -> Value:
    """A parameter of a filler: an expression, a word of torch's, or a number."""
    if key not in known:
        said = f"`{name}` has no parameter `{cut(key)}`"
        raise refuse("E221", said, on_key=True, near=(key, known))
    if isinstance(value, str) and "$" in value:
        return evaluable(value)
    if key in _WORDS:
        if value not in _WORDS[key]:
            said = f"`{key}` of `{name}` is {cut(str(value))}"
            raise refuse("E221", said, near=(str(value), _WORDS[key]))
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_kind("a number", what=f"`{key}` of `{name}`")
    if key in ("std", "sparsity") and value < 0:
        raise refuse("E221", f"`{key}` of `{name}` is {value}; it is at least 0")
    return value


_EXPRESSION = {"type": "string", "pattern": r"^\$"}
_NUMBER = {"anyOf": [{"type": "number"}, _EXPRESSION]}


def _schema(name: str) -> dict[str, Any]:
    """What a filler with its parameters looks like."""
    known, main = FILLERS[name]
    given = {
        key: {"anyOf": [{"enum": list(_WORDS[key])}, _EXPRESSION]} if key in _WORDS else _NUMBER
        for key in known
    }
    needed = [_REQUIRED[name]] if name in _REQUIRED else []
    mapping = {"type": "object", "properties": given, "additionalProperties": False}
    choices = [mapping | ({"required": needed} if needed else {})]
    choices += [] if needed and main != needed[0] else [{"type": "null"}]
    return {"anyOf": choices + ([_NUMBER] if main is not None else [])}


_ONE = {
    "anyOf": [
        {"enum": [name for name in FILLERS if name not in _REQUIRED]},
        *_NUMBER["anyOf"],
        {
            "type": "object",
            "properties": {name: _schema(name) for name in FILLERS},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
_SCHEMA = {
    "anyOf": [
        _ONE,
        {
            "type": "object",
            "properties": dict.fromkeys(WEIGHTS, _ONE),
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}


def _ops_schema() -> dict[str, Any]:
    ops = {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"}}
    return ops | {"additionalProperties": _SCHEMA}


InitByOp = Annotated[Any, PlainValidator(_by_op), WithJsonSchema(_ops_schema())]
AnyInit = Annotated[
    Any, PlainValidator(_of_item), WithJsonSchema({"anyOf": [_SCHEMA, _ops_schema()]})
]
