"""Ids with a dot: containers that several items fill in turn, `convs.0`, `bns.0`, `convs.1` …"""

from __future__ import annotations

from pathlib import Path

import pytest
from arguments import lies
from test_lowering import check

import archspec
from archspec.network import loads
from archspec.text.faults import SpecError

# https://arxiv.org/abs/1904.01169, figure 2b, with the names of its code.
RES2NET = """
spec: 1
name: res2net
input: [8, 16, 16]
blocks:
  Bottle2neck:
    params: {width: 4, scale: 4}
    body:
      - {id: conv1, conv: {out: $(width * scale), kernel: 1, bias: false}}
      - {id: bn1, batch_norm: }
      - {id: xs, split: $scale}
      - {id: y0, from: xs.0, body: []}
      - {from: xs.1, body: []}
      - repeat: {i: "$(range(scale - 1))"}
        body:
          - {add: [prev, xs.$(i + 1)], when: $(i > 0)}
          - {id: convs.$i, conv: {out: $width, kernel: 3, padding: 1, bias: false}}
          - {id: bns.$i, batch_norm: }
          - {id: y$(i + 1), relu: }
      - concat: y*
      - {id: conv3, conv: {out: 8, kernel: 1, bias: false}}
body:
  - Bottle2neck
  - {Bottle2neck: {width: 8}}
head: bottle2neck2.convs.1
"""
LINE = """
spec: 1
input: [3, 16, 16]
body:
  - repeat: {i: [0, 1, 2], c: [4, 8, 16]}
    body:
      - {id: convs.$i, conv: {out: $c, kernel: 3}}
      - {id: bns.$i, batch_norm: }
      - relu
  - {id: head.fc-a, conv: {out: 4, kernel: 1}}
  - {id: tail.0, conv: {out: 4, kernel: 1}}
  - {id: tail.2, conv: {out: 4, kernel: 1}}
  - {id: again, shared: tail.0}
  - {from: [convs.*], identity: , when: false}
  - {from: [tail.0, again], add: }
"""


def test_two_lists_run_in_step(tmp_path: Path) -> None:
    program = loads(RES2NET)
    check(program)
    assert not any(lies(program, tmp_path))
    names = [n for n in archspec.build(program).state_dict() if n.startswith("bottle2neck1.")]
    assert "bottle2neck1.convs.0.weight" in names
    assert "bottle2neck1.bns.2.running_var" in names
    code = program.code
    assert "self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3))" in code
    assert "y = self.y2(self.bns[1](self.convs[1](x + xs2)))" in code


def test_members_of_a_container_have_any_name() -> None:
    program = loads(LINE)
    check(program)
    convs = "nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 16, 3)])"
    assert f"self.convs = {convs}" in program.code
    assert "self.tail[0]" in program.code
    names = list(archspec.build(program).state_dict())
    assert [n for n in names if n.endswith("weight") and "bns" not in n] == [
        "convs.0.weight", "convs.1.weight", "convs.2.weight", "head.fc-a.weight",
        "tail.0.weight", "tail.2.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("items", "code", "sentence"),
    [
        ("{id: a.0, relu: }, {id: a.0, relu: }", "E314", "two items have the path `a.0`"),
        ("{id: a, relu: }, {id: a.0, relu: }", "E314", "`a` is another item here"),
        ("{id: a.b.c, relu: }", "E205", "`a.b.c` is not a name for an item: one dot"),
        ("{id: a., relu: }", "E205", "`a.` is not a name for an item: one dot"),
        ("{id: a.b, body: [relu]}", "E205", "`a.b` has a dot, and `body` names what is inside"),
        ("{id: a.b, repeat: 2, relu: }", "E205", "`a.b` names one item of a container"),
        ("{branches: {a.b: relu}, merge: concat}", "E205", "`a.b` is not a name for an item"),
        ("{id: a.b, parameter: [4]}", "E205", "`a.b` is not a name for an item: one dot"),
        ("{id: a.0, relu: }, {from: a, tanh: }", "E313", "`a` is a list of items"),
    ],
)
def test_dots_that_mean_nothing(items: str, code: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(f"spec: 1\ninput: [4]\nbody: [{items}]\n")
    (fault,) = caught.value.faults
    assert (fault.code, sentence in fault.message) == (code, True), fault.message


OPTIONAL = """
spec: 1
name: optional
input: [8, 16]
blocks:
  Level:
    params: {attend: true, deep: true}
    body:
      - repeat: {i: [0, 1, 2]}
        body:
          - {id: fcs.$i, linear: 16}
          - {id: attentions.$i, from: [prev, prev, prev], attention: {heads: 2}, when: $attend}
      - {id: fcs.3, linear: 16, when: $deep}
body:
  - Level
  - {Level: {attend: false}}
  - {Level: {deep: false}}
"""
HEAD = "spec: 1\nname: n\ninput: [8]\nblocks:\n  P:\n"
OFTEN = {  # members of containers under conditions, and calls that tell them apart
    "under two conditions": """\
    params: {a: true, b: true}
    body:
      - linear: 8
      - {id: c.0, linear: 8, when: $a}
      - relu
      - {id: c.1, linear: 8, when: $b}
      - {id: d.0, linear: 8}
      - {id: d.1, linear: 8, when: $a}
body: [P, {P: {a: false}}, {P: {b: false}}]
""",
    "as many as a count says": """\
    params: {n: 3}
    body:
      - repeat: {i: [0, 1, 2]}
        body:
          - {id: c.$i, linear: 8, when: $(i < n)}
          - relu
body: [P, {P: {n: 2}}, {P: {n: 1}}]
""",
    "from a number on": """\
    params: {n: 0}
    body:
      - repeat: {i: [0, 1, 2]}
        body:
          - {id: c.$i, linear: 8, when: $(i >= n)}
          - relu
body: [P, {P: {n: 1}}, {P: {n: 2}}]
""",
    "one inside of the other": """\
    params: {a: true, b: true}
    body:
      - {id: c.0, linear: 8, when: $a}
      - relu
      - when: $a
        body:
          - {id: c.1, linear: 8}
          - relu
          - {id: c.2, linear: 8, when: $b}
      - relu
body: [P, {P: {a: false}}, {P: {b: false}}]
""",
    "in a group and behind it": """\
    params: {a: true}
    body:
      - when: $a
        residual:
          - {id: c.0, linear: 8}
          - relu
          - {id: c.1, linear: 8}
      - relu
      - {id: c.2, linear: 8, when: $a}
      - {id: e.0, linear: 8}
body: [P, {P: {a: false}}, P]
""",
    "under opposite conditions": """\
    params: {a: true}
    body:
      - {id: c.0, linear: 8, when: $a}
      - {id: c.0, tanh: , when: $(not a)}
      - {id: c.1, linear: 8}
body: [P, {P: {a: false}}, P]
""",
}


@pytest.mark.parametrize("text", [OPTIONAL, *(HEAD + text for text in OFTEN.values())])
def test_a_container_whose_members_may_be_absent(tmp_path: Path, text: str) -> None:
    program = loads(text)
    check(program)
    assert not any(lies(program, tmp_path))


def test_members_under_one_condition_are_one_list() -> None:
    code = loads(OPTIONAL).code
    assert code.count("self.attentions = nn.ModuleList(") == 1
    assert "x = self.attentions[2](x, x, x" in code
    assert "attentions.1" not in code
