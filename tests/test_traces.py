"""What the stages print: the tree of expansion, and what lowering decided of each class."""

from __future__ import annotations

import ast

import pytest
import random_specs
from shipped import program

from archspec import Program, load, loads, shelf
from archspec.emit.trace import lowered
from archspec.expand.trace import tree

SMALL = """\
spec: 1
name: small
params: {classes: 5, deep: true}
input: [3, 8, 8]
blocks:
  Unit:
    params: {out: ~, stride: 1, slope: 0.1, hidden: $(2 * out)}
    body:
      - residual:
          - {conv: {out: $hidden, kernel: 3, stride: $stride, padding: 1}}
          - {leaky_relu: $slope}
          - {conv: {out: $out, kernel: 1}}
        shortcut: [{conv: {out: $out, kernel: 1, stride: $stride}}]
body:
  - {id: stem, Unit: {out: 4}}
  - {id: stage, Unit: {out: 8, stride: 2}, repeat: 2}
  - {relu: , when: $(not deep)}
  - global_avg_pool
  - {id: head, linear: $classes}
"""

TREE = """\
small {classes: 5, deep: true}                              [3, 8, 8] → [5]
  stem  Unit {out: 4, stride: 1, slope: 0.1, hidden: 8}     [3, 8, 8] → [4, 8, 8]
    (residual1)  residual → add                             [3, 8, 8] → [4, 8, 8]
      main:
        stem.conv1  conv {out: 8, kernel: 3, stride: 1, padding: 1}  [3, 8, 8] → [8, 8, 8]
        stem.leaky_relu1  leaky_relu {negative_slope: 0.1}  [8, 8, 8] → [8, 8, 8]
        stem.conv2  conv {out: 4, kernel: 1}                [8, 8, 8] → [4, 8, 8]
      shortcut:
        stem.conv3  conv {out: 4, kernel: 1, stride: 1}     [3, 8, 8] → [4, 8, 8]
  Unit ×2
    stage.0  Unit {out: 8, stride: 2, slope: 0.1, hidden: 16}  [4, 8, 8] → [8, 4, 4]
      (residual1)  residual → add                           [4, 8, 8] → [8, 4, 4]
        main:
          stage.0.conv1  conv {out: 16, kernel: 3, stride: 2, padding: 1}  [4, 8, 8] → [16, 4, 4]
          stage.0.leaky_relu1  leaky_relu {negative_slope: 0.1}  [16, 4, 4] → [16, 4, 4]
          stage.0.conv2  conv {out: 8, kernel: 1}           [16, 4, 4] → [8, 4, 4]
        shortcut:
          stage.0.conv3  conv {out: 8, kernel: 1, stride: 2}  [4, 8, 8] → [8, 4, 4]
    stage.1  Unit {out: 8, stride: 2, slope: 0.1, hidden: 16}  [8, 4, 4] → [8, 2, 2]
      (residual1)  residual → add                           [8, 4, 4] → [8, 2, 2]
        main:
          stage.1.conv1  conv {out: 16, kernel: 3, stride: 2, padding: 1}  [8, 4, 4] → [16, 2, 2]
          stage.1.leaky_relu1  leaky_relu {negative_slope: 0.1}  [16, 2, 2] → [16, 2, 2]
          stage.1.conv2  conv {out: 8, kernel: 1}           [16, 2, 2] → [8, 2, 2]
        shortcut:
          stage.1.conv3  conv {out: 8, kernel: 1, stride: 2}  [8, 4, 4] → [8, 2, 2]
  relu, absent
  global_avg_pool1  global_avg_pool                         [8, 2, 2] → [8]
  head  linear {out: 5}                                     [8] → [5]
"""

LOWERED = """\
class Unit: block `Unit` at small.yaml:6:3

  in_channels: int  argument: a size of what comes in
  out: int          argument: differs between instances: 4, 8
  stride: int = 1   argument: differs between instances: 1, 2
  slope             fixed: 0.1 in all
  hidden            computed: 2 * out

  instance  in_channels  out  stride  slope  hidden
  stem                3    4       1    0.1       8
  stage.0             4    8       2    0.1      16
  stage.1             8    8       2    0.1      16

class Small: all of small.yaml

  classes: int = 5  argument: the class is right for 10 and 15 as well
  deep              fixed: it is no number, so other values are not tried

  instance     classes  deep
  the network        5  true
"""


def test_a_small_spec() -> None:
    program = loads(SMALL, name="small.yaml")
    assert tree(program.graph.root) == TREE
    assert lowered(program) == LOWERED


def test_resnet50() -> None:
    program = load("resnet50")
    shown = lowered(program)
    assert "\n  stride: int = 1   argument: differs between instances: 1, 2\n" in shown
    assert "\n  out               computed: 4 * width\n" in shown
    assert "\n  layer2.0          256    128       2         1   512\n" in shown
    rows = tree(program.graph.root)
    assert " layer1.0.downsample.0  conv " in rows
    assert " layer4.1.conv3  conv " in rows
    (alike,) = (row for row in rows.splitlines() if " layer4.2 " in row)
    assert ", as layer4.1  " in alike


def signatures(code: str) -> dict[str, list[str]]:
    """The arguments of every class as they are written."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(code).body:
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name] = []
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                args = inner.args
                plain = [None] * (len(args.args) - len(args.defaults))
                for arg, default in zip(args.args, [*plain, *args.defaults], strict=True):
                    assigned = "" if default is None else f" = {ast.unparse(default)}"
                    found[node.name].append(ast.unparse(arg) + assigned)
    return {name: args[1:] for name, args in found.items()}


def agrees(program: Program) -> None:
    """Each class with its arguments, all with a reason and a value in each instance."""
    shown = lowered(program)
    assert shown == lowered(program)
    written = signatures(program.code)
    classes = shown.removeprefix("class ").split("\n\nclass ")
    assert len(classes) == shown.count("class ") - shown.count("the class ")
    for text in classes:
        name = text.partition(":")[0]
        head, _, table = text.partition("\n  instance")
        reasons = [line for line in head.splitlines()[1:] if line]
        cut = [line.partition("  argument: ") for line in reasons]
        assert [left.strip() for left, mark, _ in cut if mark] == written[name]
        for line in reasons:
            assert line.partition(": ")[2]
        assert not reasons or len(table.splitlines()) > 1


@pytest.mark.parametrize("name", shelf.names())
def test_of_a_shipped_spec(name: str) -> None:
    chosen = program(name)
    agrees(chosen)
    rows = tree(chosen.graph.root)
    assert rows == tree(chosen.graph.root)
    if ", as " not in rows and " weights" not in rows:
        shown = {row.split()[0] for row in rows.splitlines()}
        shown |= {name.strip("()") for name in shown}  # merges of groups without a name
        paths = {node.path for node in chosen.graph.steps if node.layer is not None}
        assert {path.rpartition(".")[2] for path in paths - shown} <= shown


@pytest.mark.parametrize("seed", range(40))
def test_of_a_random_spec(seed: int) -> None:
    program = loads(random_specs.from_seed(seed), name="random.yaml")
    agrees(program)
    assert tree(program.graph.root).startswith(program.name)
