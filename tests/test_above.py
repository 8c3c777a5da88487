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
    "a dash is missing before an op": ("- flatten", "flatten", "E104", 15, "`- ` is missing"),
    "a dash is missing inside of a block": ("- relu", "relu", "E104", 10, "`- ` is missing, which"),
    "a dash and a long one": ("- relu", "- – relu", "E103", 10, "follows `-`, which starts"),
    "a dash is missing before a call": ("- Unit: 8", "Unit:\n    out: 8", "E104", 14, "`- ` is"),
    "a dash without a space": ("- flatten", "-flatten", "E115", 15, "missing after `-`"),
    "a dash without a space before a key": ("- id: last", "-id: last", "E115", 11, "after `-`"),
    "an equals sign": ("id: last", "id=last", "E104", 11, "`=` stands where `:` is meant"),
    "a colon is missing": ("id: last", "id last", "E104", 11, "`:` is missing after `id`"),
    "a space is missing": ("id: last", "id:last", "E115", 11, "missing after `:`"),
    "a long dash": ("- id: last", "– id: last", "E103", 11, "a hyphen, starts an item"),
    "a quote that another line ends": (
        "{out: required}",
        '{out: "required}',
        "E114",
        6,
        "is not closed on its line",
    ),
    "the first of a list is indented more": ("- Unit: 8", " - Unit: 8", "E117", 14, "column 4"),
    "by two columns": ("  - Unit: 8", "    - Unit: 8", "E117", 14, "neighbours in column 3"),
    "one of a list is indented less": (
        "      - relu",
        "    - relu",
        "E117",
        10,
        "a list item stands",
    ),
    "the first of a list in the column of its key": (
        "      - id: first", "    - id: first", "E117", 8, "its neighbours in column 9",
    ),
    "the keys of a block in its column": (
        "    params: {out: required}", "  params: {out: required}", "E117", 6, "column 3",
    ),
    "a block in the column of the keys of another": (
        "body:\n  - Unit", "    Other:\n    params: {out: 1}\n    body: relu\nbody:\n  - Unit",
        "E117", 13, "`Other` stands among the keys of the block above it",
    ),
    "the name of a block is missing": (
        "body:\n  - Unit", "    inputs: [x]\n    body: [relu]\nbody:\n  - Unit",
        "E106", 13, "`inputs` is of another block than the keys above it: its name is missing",
    ),
    "a block in the column of the document": (
        "  Unit:\n    params: {out: required}", "Unit:\n    params: {out: required}\n  B:",
        "E117", 5,
        "starts in column 1, and its neighbours in column 3",
    ),
    "an item is indented more than its keys": (
        "      - id: first\n", "        - id: first\n", "E117", 8,
        "this line starts in column 9, and the items of `body` in column 7",
    ),
    "two lines that are swapped": (
        "input: [3, 8, 8]\nblocks:", "blocks:\ninput: [3, 8, 8]", "E117", 4,
        "`input: [3, 8, 8]` parts `blocks:` from what belongs to it",
    ),
    "an item and the key below it": (
        "  - linear: 10", "init:\n  - linear: 10\n  linear: zeros", "E117", 16,
        "an item of the list above stands below `init:`",
    ),
    "the first line of an item is missing": (
        "      - id: first\n        conv", "        conv", "E104", 8, "`- ` is missing",
    ),
    "a bracket is open on the line of a dash": (
        "- id: first\n        conv: {out: $out, kernel: 3}",
        "- conv: {out: $out, kernel: 3\n        id: first", "E114", 8, "`{` is not closed",
    ),
    "a comma is missing": ("[3, 8, 8]", "[3, 8 8]", "E104", 3, "`,` is missing behind `8`"),
    "a wide comma": ("[3, 8, 8]", "[3, 8，8]", "E103", 3, "stands where `,` divides"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_the_line_that_is_wrong_is_blamed(kind: str) -> None:
    old, new, code, line, said = BROKEN[kind]
    assert SPEC.count(old) == 1, old
    with pytest.raises(SpecError) as caught:
        loads(SPEC.replace(old, new) + '# "')
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


@pytest.mark.parametrize(
    ("end", "line"), [("blocks:\n", 4), ("    params:", 6), ("      - id: fir", 8)]
)
def test_a_file_that_is_cut_off_says_so_once(end: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        loads(SPEC[: SPEC.index(end) + len(end)])
    (fault,) = caught.value.faults
    source = caught.value.sources[fault.loc.file]
    assert isinstance(source, Source)
    assert fault.message == "the document ends here; `body` is missing"
    assert source.place(fault.loc).line == line


ONCE = {
    "a bracket": "params: {widths: 116, 232, 464], last: 10}\ninput: [8]\nbody: [{linear: $last}]",
    "a total": "input: [8]\nbody: [relu]\nexpect: {t {params: 0}}",
    "a param of the document": (
        "params: {drpo: 0.1}\ninput: [8]\nblocks:\n"
        "  A: {params: {drop: $drop}, body: [{dropout: $drop}]}\n"
        "  B: {params: {drop: $drop}, body: [{dropout: $drop}]}\nbody: [A, B, {dropout: $drop}]"
    ),
    "a value in two expressions": (
        "params: {n: -4}\ninput: [8]\n"
        "body: [{linear: $(int(log2(n)))}, {linear: $(2 + int(log2(n)))}]"
    ),
    "a list that is none of numbers": (
        "input: [8]\nbody:\n  - {repeat: {c: [4，2, 1]}, linear: $(c + 1)}\n"
        "  - {relu: , expect: [2]}"
    ),
    "an axis that is wrong, and used": (
        "params: {n: many}\ninput: [$n, 8, 8]\nbody: [{conv: {out: $n, kernel: 1}}]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ONCE)
def test_one_thing_is_one_complaint(kind: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\nname: t\n{ONCE[kind]}\n")
    assert len(caught.value.faults) == 1, str(caught.value)


def test_what_has_no_name_is_not_called_by_one_of_ours() -> None:
    """The group's own name has a fault: what is in it is said as far as it is known."""
    with pytest.raises(SpecError) as caught:
        loads("""\
spec: 1
name: t
params: {n: $(1 / 0)}
input: [8]
blocks:
  B:
    params: {n: required}
    body:
      - {id: a, linear: 8}
      - {id: x$n, body: [{linear: 8}, {linear: 4}]}
      - {linear: 3, from: input}
  C: {params: {n: required}, body: [{B: {n: $n}}]}
body: [{id: a, linear: 8}, {C: {n: $n}}, {linear: 3, from: input}]
""")
    said = [fault.message for fault in caught.value.faults]
    assert said == ["division by zero", "no output needs `linear2`"]
