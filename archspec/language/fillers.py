"""`init` as written → fillers by op and weight.

linear: {weight: xavier_uniform, bias: 0}
→  {"linear": {"weight": Filler(name="xavier_uniform"),
               "bias": Filler(name="constant", args={"val": 0})}}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from archspec.language.expected import is_total
from archspec.language.kinds import evaluable, parsed
from archspec.language.refusals import Faults, Steps, refuse, wrong_kind
from archspec.language.values import Filler, Init, Value
from archspec.layers import REGISTRY
from archspec.text.faults import Loc
from archspec.text.words import cut

Schema = dict[str, Any]

# The functions of torch.nn.init without their underscore, bilinear interpolation for transposed
# convolutions (Long et al. 2015), and numbers as they are: their parameters, and the main one.
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
    "values": (("val",), "val"),
}
# As Keras and others call them.
_ELSEWHERE = {
    "he_normal": "kaiming_normal", "he_uniform": "kaiming_uniform",
    "glorot_normal": "xavier_normal", "glorot_uniform": "xavier_uniform",
    "random_normal": "normal", "random_uniform": "uniform", "truncated_normal": "trunc_normal",
    "zero": "zeros", "one": "ones", "none": "", "default": "",
}  # fmt: skip
_WORDS = {
    "mode": ("fan_in", "fan_out"),
    "nonlinearity": (
        "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu",
    ),
}  # fmt: skip
_REQUIRED = {"constant": "val", "sparse": "sparsity", "values": "val"}
WEIGHTS = ("weight", "bias")
EVERY = "*"


def _by_op(node: Any, info: ValidationInfo[Any]) -> Init:
    """`init` of a document, or of an item with others inside: op → weight → filler."""
    if not isinstance(node or {}, dict):
        raise wrong_kind("a mapping")
    found: Init = {}
    with Faults() as faults:
        for op, entry in (node or {}).items():
            if is_total(op, entry):
                said = f"`{cut(op)}` is a total of `expect`, not an op of `init`"
                faults.add((op,), "E221", said, "write `expect:` above it", on_key=True)
                break
            if op in REGISTRY:
                found[op] = _weights(entry, (op,), info.data["loc"], faults)
            else:
                said = f"`{cut(op)}` is no op whose weights could be filled"
                faults.add((op,), "E221", said, on_key=True, near=(op, list(REGISTRY)))
    return found


def _of_item(node: Any, info: ValidationInfo[Any]) -> Init:
    """`init` of an item; one that holds others may say it by op."""
    holds = info.data.get("op") not in REGISTRY
    by_op = isinstance(node, dict) and node and not any(k in FILLERS or k in WEIGHTS for k in node)
    if holds and by_op:
        return _by_op(node, info)
    with Faults() as faults:
        return {EVERY: _weights(node, (), info.data["loc"], faults)}


def _weights(node: Any, steps: Steps, item: Loc, faults: Faults) -> dict[str, Filler]:
    entries = {"weight": (node, steps)}
    if isinstance(node, dict) and any(key in WEIGHTS for key in node):
        entries = {key: (node[key], (*steps, key)) for key in WEIGHTS if key in node}
        for key in node:
            if key not in WEIGHTS:
                said = f"`{cut(key)}` has no meaning beside a weight's filler"
                fault = refuse("E201", said, on_key=True, near=(key, WEIGHTS))
                faults.append(((*steps, key), fault))
    return {key: _filler(one, at, item, faults) for key, (one, at) in entries.items()}


def _filler(node: Any, steps: Steps, item: Loc, faults: Faults) -> Filler:
    name, args, at = "constant", {}, steps
    text = isinstance(node, str)
    if (text and "$" in node) or (isinstance(node, (int, float)) and not isinstance(node, bool)):
        args = {"val": evaluable(node, steps, faults)}
    elif text or (isinstance(node, dict) and len(node) == 1):
        ((name, given),) = node.items() if isinstance(node, dict) else [(node, None)]
        at = (*steps, name) if isinstance(node, dict) else steps
        if name in FILLERS:
            args = _arguments(name, given, at, faults)
        else:
            said, close = f"`{cut(name)}` is no filler of torch.nn.init", name.removesuffix("_")
            near = (_ELSEWHERE.get(close, close), list(FILLERS))
            faults.add(at, "E221", said, on_key=at != steps, near=near)
    else:
        wanted = "a name of torch.nn.init, one with parameters, or a number"
        fault = wrong_kind(wanted, "for example `{normal: 0.02}`", what="a filler")
        faults.append((steps, fault))
    return Filler(name=name, args=args, loc=Loc(item.file, (*item.path, "init", *at)))


def _arguments(name: str, node: Any, steps: Steps, faults: Faults) -> dict[str, Value]:
    """The parameters of a filler by name."""
    known, main = FILLERS[name]
    given = {} if node is None else node
    bare = not isinstance(given, dict)
    if bare and main is None:
        wanted = f"its parameters by name: {', '.join(known)}" if known else "no parameters"
        faults.add(steps, "E221", f"`{name}` takes {wanted}")
        return {}
    if bare:
        given = {main: node}
    found = {
        key: faults.at(steps if bare else (*steps, key), _argument, name, key, entry)
        for key, entry in given.items()
    }
    missing = _REQUIRED.get(name)
    if missing and missing not in given and all(key in known for key in given):
        example = "[[0, 1, 0], [1, -4, 1], [0, 1, 0]]" if name == "values" else "0.5"
        help = f"write `{{{name}: {{{missing}: {example}}}}}`"
        faults.add(steps, "E221", f"`{name}` needs `{missing}`", help)
    return found


def _argument(name: str, key: str, value: Any) -> Value:
    """A parameter of a filler: an expression, a word of torch's, or a number."""
    known = FILLERS[name][0]
    if key not in known:
        said = f"`{name}` has no parameter `{cut(key)}`"
        raise refuse("E221", said, on_key=True, near=(key, known))
    if isinstance(value, str) and "$" in value:
        return parsed(value)
    if name == "values":
        return _numbers(value)
    if key in _WORDS:
        if value not in _WORDS[key]:
            said = f"`{key}` of `{name}` is {cut(str(value))}"
            raise refuse("E221", said, near=(str(value), _WORDS[key]))
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_kind("a number", what=f"`{key}` of `{name}`")
    elif key in ("std", "sparsity") and value < 0:
        raise refuse("E221", f"`{key}` of `{name}` is {value}; it is at least 0")
    return value


def _numbers(value: Any) -> Value:
    """The numbers of a weight in rows of equal length; expressions among them."""
    if isinstance(value, str) and "$" in value:
        return parsed(value)
    if isinstance(value, list) and value:
        rows = [_numbers(entry) for entry in value]
        if len({_lengths(row) for row in rows}) == 1:
            return rows
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise wrong_kind("numbers in rows of equal length", what="`values`")


def _lengths(row: Value) -> tuple[int, ...]:
    return (len(row), *_lengths(row[0])) if isinstance(row, list) else ()


InitByOp = Annotated[Init | None, PlainValidator(_by_op), WithJsonSchema({"type": "object"})]
AnyInit = Annotated[Init | None, PlainValidator(_of_item), WithJsonSchema({})]

# ------------------------------------------------------------------ the schema

_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\$"}]}
_NUMBERS: Schema = {"anyOf": [{"type": "array"}, *_NUMBER["anyOf"]]}


def _mapping(given: Schema, **rest: Any) -> Schema:
    return {"type": "object", "properties": given, "additionalProperties": False, **rest}


def _parameters(name: str) -> Schema:
    """What may stand behind the name of a filler."""
    known, main = FILLERS[name]
    words = {k: {"enum": list(_WORDS[k])} for k in known if k in _WORDS}
    needed = [_REQUIRED[name]] if name in _REQUIRED else []
    number = _NUMBERS if name == "values" else _NUMBER
    choices = [_mapping(dict.fromkeys(known, number) | words, required=needed)]
    choices += [] if needed else [{"type": "null"}]
    return {"anyOf": choices + ([number] if main is not None else [])}


def schema(ops: list[str]) -> dict[str, Schema]:
    """The definitions of a filler, of the fillers of an item, and of those by op."""
    one: Schema = {"$ref": "#/definitions/filler"}
    named = {name: _parameters(name) for name in FILLERS}
    bare: Schema = {"enum": [name for name in FILLERS if name not in _REQUIRED]}
    choices = [bare, *_NUMBER["anyOf"], _mapping(named, minProperties=1, maxProperties=1)]
    each = _mapping(dict.fromkeys(WEIGHTS, one), minProperties=1)
    by_op = {"type": "object", "propertyNames": {"enum": ops}}
    return {
        "filler": {"description": "a name of torch.nn.init or a mapping", "anyOf": choices},
        "fillers": {"description": "one, or {weight: …, bias: …}", "anyOf": [one, each]},
        "init": {**by_op, "additionalProperties": {"$ref": "#/definitions/fillers"}},
    }
