"""`init` as written → fillers by op and weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.language.form import Form, Path, Sight
from archspec.language.models import Filler, Init
from archspec.text.words import cut, did_you_mean

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


def by_op(
    form: Form, node: Any, path: Path, sees: frozenset[str], sight: Sight, ops: Mapping[str, Any]
) -> Init:
    """`init` of a document, or of an item with others inside: op → weight → filler."""
    found: Init = {}
    for op, entry in form.mapping(node, path, "`init`").items():
        if op not in ops:
            form.fault(
                "E221",
                f"`{cut(op)}` is no op whose weights could be filled",
                (*path, op),
                did_you_mean(op, ops),
                on_key=True,
            )
            continue
        found[op] = _weights(form, entry, (*path, op), sees, sight)
    return found


def of_item(
    form: Form,
    node: Any,
    path: Path,
    sees: frozenset[str],
    sight: Sight,
    ops: Mapping[str, Any],
    *,
    holds: bool,
) -> Init:
    """`init` of an item; one that `holds` others may say it by op."""
    if (
        holds
        and isinstance(node, dict)
        and node
        and not any(k in FILLERS or k in WEIGHTS for k in node)
    ):
        return by_op(form, node, path, sees, sight, ops)
    return {EVERY: _weights(form, node, path, sees, sight)}


def _weights(
    form: Form, node: Any, path: Path, sees: frozenset[str], sight: Sight
) -> dict[str, Filler]:
    if isinstance(node, dict) and any(key in WEIGHTS for key in node):
        form.keys(node, path, WEIGHTS, "beside a weight's filler")
        entries = {key: (node[key], (*path, key)) for key in WEIGHTS if key in node}
    else:
        entries = {"weight": (node, path)}
    found = {key: _filler(form, entry, at, sees, sight) for key, (entry, at) in entries.items()}
    return {key: filler for key, filler in found.items() if filler is not None}


def _filler(form: Form, node: Any, path: Path, sees: frozenset[str], sight: Sight) -> Filler | None:
    if isinstance(node, str) and "$" in node:
        value = form.scalar(node, path, sees, sight)
        return Filler(name="constant", args={"val": value}, loc=form.loc(path))
    if isinstance(node, (int, float)) and not isinstance(node, bool):
        return Filler(name="constant", args={"val": node}, loc=form.loc(path))
    if isinstance(node, str):
        name, args, at = node, None, path
    elif isinstance(node, dict) and len(node) == 1:
        ((name, args),) = node.items()
        at = (*path, name)
    else:
        form.wrong_kind(
            "a filler",
            "a name of torch.nn.init, one with parameters, or a number",
            node,
            path,
            "for example `{normal: 0.02}`",
        )
        return None
    if name not in FILLERS:
        help = did_you_mean(name.removesuffix("_"), FILLERS)
        form.fault(
            "E221", f"`{cut(name)}` is no filler of torch.nn.init", at, help, on_key=at != path
        )
        return None
    values = _arguments(form, name, args, at, sees, sight)
    return Filler(name=name, args=values, loc=form.loc(at))


def _arguments(
    form: Form, name: str, node: Any, path: Path, sees: frozenset[str], sight: Sight
) -> dict[str, Any]:
    known, main = FILLERS[name]
    if node is not None and not isinstance(node, dict):
        if main is None:
            takes = f"its parameters by name: {', '.join(known)}" if known else "no parameters"
            form.fault("E221", f"`{name}` takes {takes}", path)
            return {}
        node, at = {main: node}, {main: path}
    else:
        node = node or {}
        at = {key: (*path, key) for key in node}
    found = {}
    for key, entry in node.items():
        if key not in known:
            form.fault(
                "E221",
                f"`{name}` has no parameter `{cut(key)}`",
                at[key],
                did_you_mean(key, known),
                on_key=True,
            )
            continue
        found[key] = form.value(entry, at[key], sees, sight)
        _check(form, name, key, entry, at[key])
    missing = _REQUIRED.get(name)
    if missing and missing not in found and not any(key not in known for key in node):
        form.fault(
            "E221", f"`{name}` needs `{missing}`", path, f"write `{{{name}: {{{missing}: 0.5}}}}`"
        )
    return found


def _check(form: Form, name: str, key: str, value: Any, path: Path) -> None:
    """A literal argument: a word of torch's, or a number."""
    if isinstance(value, str) and "$" in value:
        return
    words = _WORDS.get(key)
    if words is not None:
        if value not in words:
            form.fault(
                "E221",
                f"`{key}` of `{name}` is {cut(str(value))}",
                path,
                did_you_mean(str(value), words),
            )
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        form.wrong_kind(f"`{key}` of `{name}`", "a number", value, path)
    elif key in ("std", "sparsity") and value < 0:
        form.fault("E221", f"`{key}` of `{name}` is {value}; it is at least 0", path)
