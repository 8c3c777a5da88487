"""The value of an operation's key → arguments by name.

    linear: 10         →  {"out": 10}
    Part: {out: $w}    →  {"out": Expr("w")}

What an op takes, its layer says (`archspec.layers.examine`); what a block takes, names say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from archspec.language.kinds import evaluable
from archspec.language.names import COMPANIONS, MODIFIERS
from archspec.language.refusals import Faults, Steps, refuse
from archspec.language.values import Value
from archspec.layers import REGISTRY, BadArgument, examine
from archspec.layers.complaints import along
from archspec.text.words import cut

if TYPE_CHECKING:
    from archspec.layers import Layer

Checked = dict[str, list[BadArgument]]  # what is wrong with calls, by their text

BESIDE = frozenset((*MODIFIERS, *COMPANIONS))


def of_block(
    op: str, node: Any, params: Iterable[str], steps: Steps, faults: Faults
) -> dict[str, Value]:
    """Of a block: any values. A bare one is its first param."""
    if node is None:
        return {}
    if not isinstance(node, dict):
        return {next(iter(params), ""): evaluable(node, steps, faults)}
    beside = BESIDE.difference(params)  # a param that is called as a modifier is a fault already
    faults += [((*steps, key), _belongs_beside(key, op)) for key in node if key in beside]
    return {key: evaluable(node[key], (*steps, key), faults) for key in node}


def of_op(
    cls: type[Layer], node: Any, steps: Steps, faults: Faults, checked: Checked
) -> dict[str, Value]:
    """Of an op: its parameters, checked where they are no expressions."""
    op, known, main = cls.op, cls.model_fields, cls.main()
    a_word = isinstance(node, str) and "$" not in node
    if cls.takes == ("*",) and a_word and not (main and cls.accepts(main, node)):
        names = [name for name in re.split(r"[\s,;+]+", node) if re.search(r"\w", name)]
        help = f"write `{op}: [{cut(', '.join(names))}]`"
        if names == [node]:
            help = f"write `{op}: [prev, {cut(node)}]`; all copies of one item are `{cut(node)}.*`"
        faults.add(steps, "E204", f"`{op}` takes its inputs as a list", help)
        return {}
    given = {} if node is None else node
    bare = not isinstance(given, dict) or (
        # `activation: {elu: 1.0}`: a mapping that is the main parameter's value
        main is not None and known.keys().isdisjoint(given) and cls.accepts(main, given)
    )
    if bare and main is None:
        help = (along(op, node) if type(node) is int else "") or f"write `{op}` alone"
        faults.add(steps, "E208", f"`{op}` takes no parameters", help)
        return {}
    if bare:
        given = {main: node}
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
    wrong = checked[shown]
    misspelt = beside or not known.keys() >= args.keys() or (bare and len(wrong) > 1)
    for bad in wrong:
        if bad.code != "E209" or not misspelt:  # what is misspelt is not missing as well
            code: Any = bad.code
            on_key = bad.field not in where or bad.field not in known
            help = (_meant_by(cls, node) if bare else "") or bad.help
            fault = refuse(code, bad.message, help, on_key=on_key)
            faults.append((where.get(bad.field or "", steps), fault))
    return args


def _meant_by(cls: type[Layer], node: Any) -> str:
    """A width where a norm is, as torch's take it; names in a list, which are inputs."""
    if cls.main() == "eps" and type(node) is int:
        return f"write `{cls.op}` alone: its channels are inferred"
    several = len(cls.takes) > 1 and isinstance(node, list) and node
    if not several or not all(isinstance(name, str) for name in node):
        return ""
    return f"inputs stand beside `{cls.op}`: `{{from: [{cut(', '.join(node))}], {cls.op}: }}`"


def _belongs_beside(key: str, op: str) -> PydanticCustomError:
    said = f"`{key}` belongs beside `{op}`, not inside its parameters"
    return refuse("E212", said, f"write `{{{op}: …, {key}: …}}`", on_key=True)


def parameters(op: str) -> Mapping[str, Any]:
    """The parameters of an op; none where it is no op."""
    cls = REGISTRY.get(op)
    return {} if cls is None else cls.model_fields
