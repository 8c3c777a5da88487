"""`from` beside `repeat`: where the first copy starts; the others take the copy before."""

from __future__ import annotations

import pytest

from archspec.network import Program, loads
from archspec.text.faults import SpecError

HEAD = "spec: 1\nparams: {n: 3}\ninput: [4, 8, 8]\n"
UNIT = """
blocks:
  Unit:
    body: [{conv: {out: 2, kernel: 3, padding: 1}}, relu]
body:
  - {id: halves, split: 2}
"""
BOTTLENECKS = (
    f"{HEAD}{UNIT}"
    "  - {id: m, from: halves.1, repeat: $n, Unit: }\n"
    "  - concat: [halves.0, halves.1, m.0, m.1, m]\n"
)
BEFORE = (
    f"{HEAD}{UNIT}"
    "  - {from: halves.1, body: []}\n"
    "  - {id: m, repeat: $n, Unit: }\n"
    "  - concat: [halves.0, halves.1, m.0, m.1, m]\n"
)


def taken(program: Program, path: str) -> list[str]:
    steps = program.graph.steps
    return [steps[edge.node].path for edge in program.graph.at(path).inputs]


def test_each_copy_takes_the_one_before() -> None:
    program = loads(BOTTLENECKS)
    assert taken(program, "m.0.conv1") == ["halves"]
    assert taken(program, "m.1.conv1") == ["m.0.relu1"]
    assert taken(program, "m.2.conv1") == ["m.1.relu1"]


def test_it_is_what_a_group_before_it_was_written_for() -> None:
    assert loads(BOTTLENECKS).code == loads(BEFORE).code


@pytest.mark.parametrize("n", [1, 2, 5])
def test_any_number_of_copies(n: int) -> None:
    text = BOTTLENECKS.replace("m.0, m.1, m]", "m]")
    program = loads(text, n=n)
    before = ["halves", *(f"m.{k}.relu1" for k in range(n))]
    assert [taken(program, f"m.{k}.conv1") for k in range(n)] == [[p] for p in before[:-1]]


def test_no_copies_pass_on_what_from_names() -> None:
    text = BOTTLENECKS.replace("m.0, m.1, m]", "m]")
    assert taken(loads(text, n=0), "concat1") == ["halves"] * 3


def test_an_op_and_a_group_and_what_is_shared() -> None:
    text = f"""{HEAD}
body:
  - {{id: a, conv: {{out: 4, kernel: 1}}}}
  - {{id: b, conv: {{out: 4, kernel: 1}}}}
  - {{id: c, from: a, repeat: 2, conv: {{out: 4, kernel: 3, padding: 1}}}}
  - {{id: g, from: b, repeat: 2, body: [{{id: x, conv: {{out: 4, kernel: 1}}}}, relu]}}
  - {{id: s, from: a, repeat: 2, shared: b}}
  - add: [c, g, s]
"""
    program = loads(text)
    assert [taken(program, f"c.{k}") for k in (0, 1)] == [["a"], ["c.0"]]
    assert [taken(program, f"g.{k}.x") for k in (0, 1)] == [["b"], ["g.0.relu1"]]
    assert [taken(program, f"s.{k}") for k in (0, 1)] == [["a"], ["s.0"]]


def test_paths_that_tell_the_copies_apart_are_those_of_each() -> None:
    text = f"""{HEAD}
body:
  - {{id: x, split: 2}}
  - {{id: y$i, repeat: {{i: [0, 1]}}, from: x.$i, conv: {{out: 2, kernel: 1}}}}
  - concat: [y0, y1]
"""
    program = loads(text)
    assert [taken(program, f"y{k}") for k in (0, 1)] == [["x"], ["x"]]


def test_several_inputs_are_those_of_each() -> None:
    text = f"""{HEAD}
body:
  - {{id: a, conv: {{out: 4, kernel: 1}}}}
  - {{id: b, conv: {{out: 4, kernel: 1}}}}
  - {{id: s, repeat: 2, from: [prev, a], add: }}
"""
    program = loads(text)
    assert [taken(program, f"s.{k}") for k in (0, 1)] == [["b", "a"], ["s.0", "a"]]


def test_a_copy_that_is_absent_passes_on() -> None:
    text = BOTTLENECKS.replace("Unit: }", "Unit: , when: $(loop.index != 0)}").replace("m.0, ", "")
    program = loads(text)
    assert taken(program, "m.0.conv1") == ["halves"]  # absent copies are not counted
    assert taken(program, "m.1.conv1") == ["m.0.relu1"]


def test_copies_without_an_output_that_flows_on_cannot_follow_one_another() -> None:
    text = f"""{HEAD}
body:
  - {{id: x, conv: {{out: 4, kernel: 1}}}}
  - {{id: h, from: x, repeat: 2, split: 2}}
  - concat: [h.0.0, h.1.1]
"""
    with pytest.raises(SpecError) as caught:
        loads(text)
    assert caught.value.faults[0].code == "E313"


def test_the_module_computes_the_chain() -> None:
    torch = pytest.importorskip("torch")
    from archspec.module import build

    model = build(loads(BOTTLENECKS)).eval()
    x = torch.randn(1, 4, 8, 8)
    first, second = x.split(2, 1)
    found = [first, second]
    for unit in model.m:
        found.append(unit(found[-1]))
    assert torch.equal(model(x), torch.cat(found, 1))
