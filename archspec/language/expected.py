"""`expect` of a document as written → totals by variant.

expect: {params: 10, warnings: [W104]}
→  {"net": {"params": 10}}; the codes are read by themselves
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictInt,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema

from archspec.language.kinds import MAPPING
from archspec.language.refusals import Faults, refuse, takes
from archspec.text.words import cut

TOTALS = ("params", "trainable", "buffers", "macs", "flops")
_WARNING = re.compile(r"W[0-9]{3}")


def is_total(key: str, value: object) -> bool:
    """Whether an entry can only be one of `expect`: totals of a variant, or warnings."""
    totals = isinstance(value, dict) and bool(value) and all(name in TOTALS for name in value)
    return totals or (key == "warnings" and isinstance(value, list))


def _by_variant(node: Any, info: ValidationInfo[Any]) -> Any:
    """`warnings` aside, the keys are totals of the spec itself, or variants."""
    if not isinstance(node, dict):
        return node
    rest = {key: node[key] for key in node if key != "warnings"}
    with Faults() as faults:
        for variant, totals in rest.items():
            if isinstance(totals, dict) and "warnings" in totals:
                said = "`warnings` are those of all variants, and stand under none"
                help = "write it beside the variants: `expect: {warnings: [W104]}`"
                faults.add((variant, "warnings"), "E222", said, help, on_key=True)
    return {info.context.name: rest} if rest and all(key in TOTALS for key in rest) else rest


def _total_name(key: str) -> str:
    if key not in TOTALS:
        said = f"there is no total `{cut(key)}`"
        raise refuse("E222", said, on_key=True, near=(key, TOTALS))
    return key


def _code(value: Any) -> str:
    if not isinstance(value, str) or not _WARNING.fullmatch(value):
        said = f"`{cut(str(value))}` is not the code of a warning"
        raise refuse("E222", said, "for example W104")
    return value


_CODES = {"type": "array", "items": {"type": "string", "pattern": _WARNING.pattern}}
_TOTALS = {key: {"type": "integer", "minimum": 0} for key in TOTALS}
_ONE = {"type": "object", "properties": _TOTALS, "additionalProperties": False}
_OWN = {**_ONE, "properties": {**_TOTALS, "warnings": _CODES}}
_EACH = {
    "type": "object",
    "properties": {"warnings": _CODES},
    "additionalProperties": {"anyOf": [_ONE, {"type": "null"}]},
}
_Total = Annotated[StrictInt, Field(ge=0)]
_Totals = Annotated[dict[Annotated[str, AfterValidator(_total_name)], _Total], *MAPPING]
Expected = Annotated[
    dict[str, _Totals],
    *MAPPING,
    BeforeValidator(_by_variant),
    WithJsonSchema({"anyOf": [_OWN, _EACH, {"type": "null"}]}),
]
Warnings = Annotated[
    frozenset[Annotated[str, PlainValidator(_code)]],
    takes("a list of codes", list, help="for example `[W104]`"),
    SkipJsonSchema(),
]
