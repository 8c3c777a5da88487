"""The JSON Schema and the reader are of one mind: made of the same models, and compared here."""

from __future__ import annotations

from pathlib import Path

import jsonschema
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
# The same under codes that are said otherwise: of blocks, of what an op makes of its arguments, of
# what YAML reads as null.
OF_NAMES = {
    "activation_unknown", "argument_empty", "axis_of_two_sizes", "block_misspelt",
    "block_misspelt_as_an_op", "block_named_as_residual", "block_param_missing",
    "block_param_unknown", "block_unknown", "block_without_params", "body_in_capitals",
    "call_of_forty_unknown_params", "dash_a_line_too_late", "from_input_unknown", "no_operation",
    "op_of_keras", "op_of_torch",
    "out_missing_without_depthwise", "params_missing_of_variants", "required_misspelt",
    "two_operations", "use_param_unknown", "variant_param_unknown",
}  # fmt: skip
JUDGE = jsonschema.Draft7Validator(SCHEMA)


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
    assert JUDGE.is_valid(read(path).data)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_the_reader_refuses_the_schema_refuses(path: Path) -> None:
    try:
        source = read(path, name=path.name)
    except SpecError:
        return  # no YAML
    codes = of_form(source)
    if path.stem in OF_NAMES or not codes:
        assert JUDGE.is_valid(source.data)
    elif not codes <= UNSAID:
        assert not JUDGE.is_valid(source.data), codes


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(specs())
def test_random_specs_are_right(text: str) -> None:
    source = from_text(text)
    assert not of_form(source)
    assert JUDGE.is_valid(source.data)
