"""The line that is to blame is often not the one where YAML gives up."""

from __future__ import annotations

import pytest

from archspec.network import loads
from archspec.text.faults import SpecError
from archspec.text.source import Source

SPEC = """\
spec: 1
name: t
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: required}
    body:
      - id: first
        conv: {out: $out, kernel: 3}
      - relu
      - id: last
        conv: {out: $out, kernel: 3}
body:
  - Unit: 8
  - flatten
  - linear: 10
"""

# what is written instead, the code, the line that is blamed, what is said of it
BROKEN = {
    "a dash is missing before a key": ("- id: last", "id: last", "E117", 11, "starts in column 7"),
    "a dash is missing before the first": (
        "- id: first",
        "id: first",
        "E104",
        8,
        "`- ` is missing",
    ),
    "a dash is missing before an op": ("- flatten", "flatten", "E104", 15, "`flatten` has no `:`"),
    "a dash without a space": ("- flatten", "-flatten", "E115", 15, "missing after `-`"),
    "a dash without a space before a key": ("- id: last", "-id: last", "E115", 11, "after `-`"),
    "an equals sign": ("id: last", "id=last", "E104", 11, "`=` stands where `:` is meant"),
    "a colon is missing": ("id: last", "id last", "E104", 11, "`:` is missing after `id`"),
    "a space is missing": ("id: last", "id:last", "E115", 11, "missing after `:`"),
    "a long dash": ("- id: last", "– id: last", "E103", 11, "a hyphen, starts an item"),
    "the first of a list is indented more": ("- Unit: 8", " - Unit: 8", "E117", 14, "column 4"),
    "by two columns": ("  - Unit: 8", "    - Unit: 8", "E117", 14, "neighbours in column 3"),
    "one of a list is indented less": (
        "      - relu",
        "    - relu",
        "E117",
        10,
        "a list item stands",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_line_that_is_wrong_is_blamed(kind: str) -> None:
    old, new, code, line, said = BROKEN[kind]
    assert SPEC.count(old) == 1
    with pytest.raises(SpecError) as caught:
        loads(SPEC.replace(old, new))
    (fault,) = caught.value.faults
    source = caught.value.sources[fault.loc.file]
    assert isinstance(source, Source)
    assert (fault.code, source.place(fault.loc).line) == (code, line)
    assert said in fault.message


def test_a_line_that_is_wrong_itself_stays_blamed() -> None:
    with pytest.raises(SpecError) as caught:
        loads(SPEC.replace("      - relu", "         - relu"))
    (fault,) = caught.value.faults
    source = caught.value.sources[fault.loc.file]
    assert isinstance(source, Source)
    assert source.place(fault.loc).line == 10
