"""The value of an operation's key → arguments by name.

    linear: 10         →  {"out": 10}
    Part: {out: $w}    →  {"out": Expr("w")}

What an op takes, its layer says (`archspec.layers.examine`); what a block takes, names say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from archspec.expressions import Expr
from archspec.language.kinds import Faults, Steps, evaluable, refuse
from archspec.language.names import COMPANIONS, MODIFIERS
from archspec.language.sentences import cut
from archspec.language.values import Value
from archspec.layers import REGISTRY, BadArgument
from archspec.layers.fields import REQUIRED, Wrong, written

if TYPE_CHECKING:
    from archspec.layers import Layer

Checked = dict[str, list[BadArgument]]  # what is wrong with calls, by their text

BESIDE = frozenset((*MODIFIERS, *COMPANIONS))


def of_block(op: str, node: Any, first: str, steps: Steps, faults: Faults) -> dict[str, Value]:
    """Of a block: any values. A bare one is its `first` param."""
    if node is None:
        return {}
    if not isinstance(node, dict):
        return {first: evaluable(node, steps, faults)}
    faults += [((*steps, key), _belongs_beside(key, op)) for key in node if key in BESIDE]
    return {key: evaluable(node[key], (*steps, key), faults) for key in node}


def of_op(
    cls: type[Layer], node: Any, steps: Steps, faults: Faults, checked: Checked
) -> dict[str, Value]:
    """Of an op: its parameters, checked where they are no expressions."""
    op, main = cls.op, cls.main()
    if cls.takes == ("*",) and isinstance(node, str) and "$" not in node:
        help = f"write `{op}: [prev, {cut(node)}]`"
        faults.append((steps, refuse("E204", f"`{op}` takes its inputs as a list", help)))
        return {}
    given = {} if node is None else node
    bare = not isinstance(given, dict) or _is_main(op, main, given)
    if bare and main is None:
        help = f"write `{op}` alone"
        faults.append((steps, refuse("E208", f"`{op}` takes no parameters", help)))
        return {}
    if bare:
        given = {main: node}
    known = parameters(op)
    where = {key: steps if bare else (*steps, key) for key in given}
    beside = [key for key in given if key in BESIDE and key not in known]
    faults += [(where[key], _belongs_beside(key, op)) for key in beside]
    before = len(faults)
    args = {key: evaluable(given[key], where[key], faults) for key in given if key not in beside}
    if len(faults) > before:
        return args
    shown = f"{op}{args!r}"
    if shown not in checked:
        checked[shown] = examine(op, args)
    misspelt = bool(beside) or any(key not in known for key in args)
    for bad in checked[shown]:
        if bad.code != "E209" or not misspelt:  # what is misspelt is not missing as well
            code: Any = bad.code
            on_key = bad.field not in where or bad.field not in known
            fault = refuse(code, bad.message, bad.help, on_key=on_key)
            faults.append((where.get(bad.field or "", steps), fault))
    return args


def _belongs_beside(key: str, op: str) -> PydanticCustomError:
    said = f"`{key}` belongs beside `{op}`, not inside its parameters"
    return refuse("E212", said, f"write `{{{op}: …, {key}: …}}`", on_key=True)


def _is_main(op: str, main: str | None, node: dict[str, Any]) -> bool:
    """Whether a mapping is the main parameter's value: `activation: {elu: 1.0}`."""
    if main is None or any(key in parameters(op) for key in node):
        return False
    return not _wrong(op, main, node)


# ------------------------------------------------------------------ what the layers say
# Stands in for what `archspec.layers` is to have: then all below goes.


def parameters(op: str) -> Mapping[str, Any]:
    """The parameters of an op; none where it is no op."""
    cls = REGISTRY.get(op)
    return {} if cls is None else cls.fields


def _wrong(op: str, key: str, value: Any) -> bool:
    """Whether a parameter does not take a value."""
    try:
        REGISTRY[op].fields[key].check(value)
    except Wrong:
        return True
    return False


def examine(op: str, args: Mapping[str, Value]) -> list[BadArgument]:
    """All that is wrong with the arguments of an op as written; expressions pass."""
    cls = REGISTRY[op]
    found = [_unknown(cls, key) for key in args if key not in cls.fields]
    if not found and not any(map(_has_expression, args.values())):
        try:
            cls(**args).resolve()
        except BadArgument as bad:
            needs = bad.field and "needs" in bad.message
            help = bad.help or (f"write `{op}: {{{bad.field}: …}}`" if needs else "")
            return [BadArgument(bad.field, bad.message, help, bad.code)]
        return []
    whole = isinstance(args.get(cls.main() or ""), list)  # may stand for another parameter
    for key, field in cls.fields.items():
        if key not in args and field.default is REQUIRED and not whole:
            message = f"`{op}` needs `{key}`, {field.kind.says}"
            found.append(BadArgument(key, message, f"write `{op}: {{{key}: …}}`", "E209"))
        if key in args and not _has_expression(args[key]):
            try:
                field.check(args[key])
            except Wrong as wrong:
                message = f"`{key}` of `{op}` is {cut(written(args[key]))}; {wrong.rule}"
                found.append(BadArgument(key, message, wrong.help))
    return found


def _unknown(cls: type[Layer], key: str) -> BadArgument:
    try:
        cls(**{key: None})
    except BadArgument as bad:  # it knows other libraries' spellings and what is inferred
        parts = bad.message.split("`")
        help = f"write `{parts[3]}`" if "is spelled" in bad.message else ""
        return BadArgument(key, bad.message, bad.help or help, bad.code)
    raise AssertionError(key)


def _has_expression(value: Value) -> bool:
    if isinstance(value, Expr):
        return True
    if isinstance(value, list):
        return any(_has_expression(entry) for entry in value)
    return isinstance(value, dict) and any(_has_expression(entry) for entry in value.values())
