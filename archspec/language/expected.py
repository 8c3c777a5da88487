"""`expect` of a document as written → totals by variant, and the warnings that are meant."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from archspec.language.kinds import MAPPING, Form, refuse, takes, wrong_kind
from archspec.language.sentences import cut

TOTALS = ("params", "trainable", "buffers", "macs", "flops")
OWN = "\0own"  # in place of a variant's name: of the spec itself
_VARIANTS = "\0variants"
_WARNING = re.compile(r"W[0-9]{3}")


def _total_name(key: str) -> str:
    if key not in TOTALS:
        said = f"there is no total `{cut(key)}`"
        raise refuse("E222", said, on_key=True, near=(key, TOTALS))
    return key


def _total(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise wrong_kind("a whole number")
    return value


def _code(value: Any) -> str:
    if not isinstance(value, str) or not _WARNING.fullmatch(value):
        said = f"`{cut(str(value))}` is not the code of a warning"
        raise refuse("E222", said, "for example W104")
    return value


_Totals = Annotated[
    dict[
        Annotated[str, AfterValidator(_total_name)],
        Annotated[
            int, PlainValidator(_total), WithJsonSchema({"type": "integer", "minimum": 0})
        ],
    ],
    *MAPPING,
]
_OWN_SCHEMA = {key: {"type": "integer", "minimum": 0} for key in TOTALS}


class Expected(Form):
    """Totals of the spec as it stands or by variant, and `warnings`."""

    warnings: Annotated[
        list[Annotated[str, PlainValidator(_code), WithJsonSchema({"pattern": _WARNING.pattern})]],
        takes("a list of codes", list, help="for example `[W104]`"),
    ] = []
    variants: Annotated[dict[str, _Totals], BeforeValidator(dict)] = Field({}, alias=_VARIANTS)

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        """`warnings` aside, the keys are totals or variants."""
        if not isinstance(node, dict):
            raise wrong_kind("a mapping")
        rest = {key: node[key] for key in node if key != "warnings"}
        found = {_VARIANTS: {OWN: rest} if rest and all(k in TOTALS for k in rest) else rest}
        return found | ({"warnings": node["warnings"]} if "warnings" in node else {})
