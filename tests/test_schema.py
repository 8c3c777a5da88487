"""The JSON Schema and the reader are of one mind: made of the same models, and compared here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_specs import specs

from archspec.language import parse
from archspec.language.schema import schema
from archspec.text.faults import SpecError
from archspec.text.source import Source, from_text, read

ROOT = Path(__file__).resolve().parent.parent
BAD = sorted((ROOT / "tests" / "bad").glob("*.yaml"))
SCHEMA = schema()
# What no schema says: expressions, files, names that are declared elsewhere or are words of Python,
# two keys that must agree.
UNSAID = {
    "E101", "E121", "E122", "E123", "E205", "E206", "E216", "E219", "E220", "E223", "E224", "E225",
    "E227", "E229", "E403", "E405",
}  # fmt: skip
# The same under codes that are said otherwise: of blocks, of what an op makes of its arguments.
OF_NAMES = {
    "activation_unknown", "axis_of_two_sizes", "block_misspelt", "block_param_missing",
    "block_misspelt_as_an_op", "block_param_unknown", "block_unknown", "block_without_params",
    "from_input_unknown", "no_operation", "op_of_keras", "op_of_torch",
    "out_missing_without_depthwise", "two_operations", "use_param_unknown",
    "variant_param_unknown",
}  # fmt: skip
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}  # fmt: skip


def accepts(rule: dict[str, Any], value: Any) -> bool:
    """Whether a value is right by a JSON Schema (draft 7), of the keywords that ours has."""
    return all(_KEYWORDS[key](wanted, value, rule) for key, wanted in rule.items())


def _of_type(wanted: str, value: Any, rule: dict[str, Any]) -> bool:
    return isinstance(value, _TYPES[wanted]) and (
        wanted == "boolean" or not isinstance(value, bool)
    )


def _properties(wanted: dict[str, Any], value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    return all(accepts(wanted[key], value[key]) for key in wanted if key in value)


def _additional(wanted: Any, value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    patterns = rule.get("patternProperties", ())
    rest = [
        k
        for k in value
        if k not in rule.get("properties", ()) and not any(re.search(p, k) for p in patterns)
    ]
    return (
        not rest
        if wanted is False
        else all(wanted is True or accepts(wanted, value[k]) for k in rest)
    )


def _patterns(wanted: dict[str, Any], value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        accepts(asked, value[k]) for p, asked in wanted.items() for k in value if re.search(p, k)
    )


def _dependencies(wanted: dict[str, Any], value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        accepts(asked, value) if isinstance(asked, dict) else all(k in value for k in asked)
        for key, asked in wanted.items()
        if key in value
    )


def _size(kind: type, least: bool) -> Any:
    def check(wanted: int, value: Any, rule: dict[str, Any]) -> bool:
        return not isinstance(value, kind) or (
            len(value) >= wanted if least else len(value) <= wanted
        )

    return check


def _number(right: Any) -> Any:
    return lambda wanted, value, rule: not isinstance(value, (int, float)) or right(value, wanted)


def _said(wanted: Any, value: Any, rule: dict[str, Any]) -> bool:
    return True


_KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("$schema", "title", "description", "default", "definitions"), _said),
    "$ref": lambda w, v, r: accepts(SCHEMA["definitions"][w.rpartition("/")[2]], v),
    "anyOf": lambda w, v, r: any(accepts(one, v) for one in w),
    "not": lambda w, v, r: not accepts(w, v),
    "oneOf": lambda w, v, r: sum(accepts(one, v) for one in w) == 1,
    "type": _of_type,
    "const": lambda w, v, r: v == w and type(v) is type(w),
    "enum": lambda w, v, r: any(v == one and type(v) is type(one) for one in w),
    "pattern": lambda w, v, r: not isinstance(v, str) or bool(re.search(w, v)),
    "required": lambda w, v, r: not isinstance(v, dict) or all(key in v for key in w),
    "properties": _properties,
    "patternProperties": _patterns,
    "additionalProperties": _additional,
    "propertyNames": lambda w, v, r: not isinstance(v, dict) or all(accepts(w, key) for key in v),
    "dependencies": _dependencies,
    "items": lambda w, v, r: not isinstance(v, list) or all(accepts(w, one) for one in v),
    "minItems": _size(list, True),
    "maxItems": _size(list, False),
    "minProperties": _size(dict, True),
    "maxProperties": _size(dict, False),
    "minLength": _size(str, True),
    "minimum": _number(lambda value, wanted: value >= wanted),
    "maximum": _number(lambda value, wanted: value <= wanted),
    "exclusiveMinimum": _number(lambda value, wanted: value > wanted),
    "exclusiveMaximum": _number(lambda value, wanted: value < wanted),
}


def of_form(source: Source) -> set[str]:
    """The codes of what the reader refuses in one file; none where it takes it."""
    try:
        parse(source)
    except SpecError as bad:
        return {fault.code for fault in bad.faults if fault.loc.file == source.name}
    return set()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_specs_are_right(path: Path) -> None:
    assert accepts(SCHEMA, read(path).data)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_the_reader_refuses_the_schema_refuses(path: Path) -> None:
    try:
        source = read(path, name=path.name)
    except SpecError:
        return  # no YAML
    codes = of_form(source)
    if path.stem in OF_NAMES or not codes:
        assert accepts(SCHEMA, source.data)
    elif not codes <= UNSAID:
        assert not accepts(SCHEMA, source.data), codes


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(specs())
def test_random_specs_are_right(text: str) -> None:
    source = from_text(text)
    assert not of_form(source)
    assert accepts(SCHEMA, source.data)
