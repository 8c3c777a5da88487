"""`when: false`: what an item that is not there says is not looked for."""

from __future__ import annotations

import pytest

from archspec.network import loads
from archspec.text.faults import SpecError

HEAD = """
spec: 1
params: {depth: 2, deep: false}
input: [4, 8, 8]
body:
  - {id: a0, relu: }
"""


def ops(body: str) -> list[str]:
    return [step.path for step in loads(HEAD + body).graph.steps][1:]


def sentence(body: str) -> str:
    with pytest.raises(SpecError) as caught:
        loads(HEAD + body)
    (fault,) = caught.value.faults
    return fault.message


def test_inputs_beyond_the_first_are_not_looked_for() -> None:
    body = "  - {concat: [a0, a1, a2], when: $(depth > 2)}\n  - tanh\n"
    assert ops(body) == ["a0", "tanh1"]
    deeper = "  - {id: a1, relu: }\n  - {id: a2, relu: }\n" + body
    assert [s.path for s in loads(HEAD + deeper, depth=3).graph.steps][-2:] == ["concat1", "tanh1"]


def test_a_first_input_that_is_not_there_matters_only_where_it_is_taken() -> None:
    absent = "  - {concat: [b7, a0], when: $deep}\n"
    assert ops(f"{absent}  - {{from: a0, tanh: }}\n") == ["a0", "tanh1"]
    lacks = "there is no item `b7` before this one"
    assert sentence(f"{absent}  - tanh\n") == lacks
    assert sentence(f"{absent}  - {{linear: $(prev.channels)}}\n") == lacks
    assert sentence(f"{absent}  - {{residual: [tanh]}}\n") == lacks
    assert sentence(absent) == lacks
    assert sentence("  - {from: b7, relu: , when: $(prev.channels > 1)}\n") == lacks
    assert sentence(f"{absent}  - {{from: [a0, prev], add: }}\n") == lacks


def test_arguments_and_columns_are_not_computed() -> None:
    body = (
        '  - {conv: {out: "$([1][depth])", kernel: 1}, when: $deep}\n'
        "  - {from: b7, conv: {out: $(a0.depth), kernel: 1}, when: $deep}\n"
        '  - {repeat: {k: "$([1][depth])"}, conv: {out: $k, kernel: 1}, when: $deep, from: a0}\n'
        "  - {residual: [relu], shortcut: [{from: b7, relu: }], shortcut_when: $deep, from: a0}\n"
    )
    assert ops(body) == ["a0", "relu1"]


def test_they_are_where_the_item_is_there() -> None:
    body = '  - {repeat: {k: "$([1][depth])"}, conv: {out: $k, kernel: 1}, when: $(depth > 1)}\n'
    assert sentence(body).startswith("the index 2 is outside")
