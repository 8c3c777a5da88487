"""The value of an operation's key → arguments by name, or inputs.

    read("linear", 10, …)             # {"out": 10}
    read("add", ["a", "prev"], …)     # [Template("a"), Template("prev")]
    read("Part", 10, …)               # 10: which of its params that is, the block says
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from archspec.expressions import Expr, Template
from archspec.language.kinds import Steps, all_of, parse_inside, path_of, refuse
from archspec.language.models import Value
from archspec.language.names import COMPANIONS, MODIFIERS
from archspec.language.sentences import cut
from archspec.layers import REGISTRY, BadArgument
from archspec.layers.fields import REQUIRED, Wrong, written

if TYPE_CHECKING:
    from archspec.layers import Layer

Faults = list[tuple[Steps, PydanticCustomError]]
Checked = dict[str, list[BadArgument]]  # what is wrong with calls, by their text

BESIDE = frozenset((*MODIFIERS, *COMPANIONS))


def read(op: str, node: Any, steps: Steps, checked: Checked) -> Any:
    """What an op or a block is given. `steps` lead from the item to the value."""
    cls = REGISTRY.get(op)
    faults: Faults = []
    if cls is None:
        given = _of_call(op, node, steps, faults)
    elif cls.takes == ("*",) and isinstance(node, list):
        given = _inputs(op, node, steps, faults)
    else:
        given = _of_op(cls, node, steps, faults, checked)
    all_of(faults)
    return given


def _inputs(op: str, node: list[Any], steps: Steps, faults: Faults) -> list[Template]:
    """Of a merge that is given a list: paths."""
    if not node:
        help = "name at least one item, or leave it out"
        faults.append((steps, refuse("E204", f"`{op}` is an empty list", help)))
    found = []
    for i, entry in enumerate(node):
        try:
            found.append(path_of(entry))
        except PydanticCustomError as wrong:
            faults.append(((*steps, i), wrong))
    return found


def _of_call(op: str, node: Any, steps: Steps, faults: Faults) -> Value:
    """Of a block: any values."""
    if not isinstance(node, dict):
        return parse_inside(node, steps, faults)
    for key in node:
        if key in BESIDE:
            faults.append(((*steps, key), _belongs_beside(key, op)))
    return {key: parse_inside(node[key], (*steps, key), faults) for key in node}


def _of_op(
    cls: type[Layer], node: Any, steps: Steps, faults: Faults, checked: Checked
) -> dict[str, Value]:
    """Of an op: its parameters by name, checked where they are no expressions."""
    op, main = cls.op, cls.main()
    if cls.takes == ("*",) and isinstance(node, str) and "$" not in node:
        help = f"write `{op}: [prev, {cut(node)}]`"
        faults.append((steps, refuse("E204", f"`{op}` takes its inputs as a list", help)))
        return {}
    bare = node is not None and (not isinstance(node, dict) or _is_main(cls, node))
    if bare and main is None:
        help = f"write `{op}` alone"
        faults.append((steps, refuse("E208", f"`{op}` takes no parameters", help)))
        return {}
    given: dict[str, Any] = {main: node} if bare else node or {}
    where = {key: steps if bare else (*steps, key) for key in given}
    beside = [key for key in given if key in BESIDE and key not in parameters(op)]
    faults += [(where[key], _belongs_beside(key, op)) for key in beside]
    before = len(faults)
    args = {
        key: parse_inside(given[key], where[key], faults) for key in given if key not in beside
    }
    if len(faults) > before:
        return args
    shown = f"{op}{args!r}"
    if shown not in checked:
        checked[shown] = examine(op, args)
    unknown = beside or any(key not in parameters(op) for key in args)
    for bad in checked[shown]:
        if bad.code == "E209" and unknown:
            continue  # what is misspelt is not missing as well
        at = where.get(bad.field or "", steps)
        on_key = bad.field not in where or bad.field not in parameters(op)
        code: Any = bad.code
        faults.append((at, refuse(code, bad.message, bad.help, on_key=on_key)))
    return args


def _belongs_beside(key: str, op: str) -> PydanticCustomError:
    said = f"`{key}` belongs beside `{op}`, not inside its parameters"
    return refuse("E212", said, f"write `{{{op}: …, {key}: …}}`", on_key=True)


def parameters(op: str) -> Mapping[str, Any]:
    """The parameters of an op; none where it is no op."""
    cls = REGISTRY.get(op)
    return {} if cls is None else cls.fields


def _is_main(cls: type[Layer], node: dict[str, Any]) -> bool:
    """Whether a mapping is the main parameter's value: `activation: {elu: 1.0}`."""
    main = cls.main()
    if main is None or any(key in parameters(cls.op) for key in node):
        return False
    try:
        cls.fields[main].check(node)
    except Wrong:
        return False
    return True


# ------------------------------------------------------------------ what the layers say
# Stands in for `archspec.layers.examine`: goes when layers have it.


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
