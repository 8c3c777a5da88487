"""What networks that do not ship asked for: Res2Net, BiFPN, T5, attention by its inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archspec
from archspec.text.faults import SpecError


def network(text: str) -> Any:
    return archspec.build(archspec.loads("spec: 1\nname: net\n" + text)).eval()


def helped(text: str) -> tuple[str, str]:
    """The code of the one fault of a spec, and what helps."""
    with pytest.raises(SpecError) as caught:
        archspec.loads("spec: 1\nname: net\n" + text)
    (fault,) = caught.value.faults
    return fault.code, fault.help


RES2NET = """
input: [16, {H: 6}, {W: 5}]
blocks:
  Scales:
    params: {first: false}
    body:
      - {id: parts, split: 4}
      - repeat: {i: [0, 1, 2]}
        body:
          - {add: [prev, parts.$i], when: $(i > 0 and not first)}
          - {when: $(i == 0 or first), body: [{from: parts.$i, identity: }]}
          - {id: convs.$i, conv: {out: 4, kernel: 3, padding: 1}}
          - {id: y$i, relu: }
      - concat: [y*, parts.3]
body:
  - {id: first, Scales: {first: true}}
  - {id: second, Scales: }
"""


def scales(block: Any, x: Tensor, *, first: bool) -> Tensor:
    parts, found = x.chunk(4, 1), []
    for i in range(3):
        taken = parts[i] if i == 0 or first else found[-1] + parts[i]
        found.append(block.convs[i](taken).relu())
    return torch.cat([*found, parts[3]], 1)


def test_one_block_takes_a_part_alone_or_with_the_part_before() -> None:
    """Res2Net (Gao et al. 2019), figure 2: the first block of a stage adds nothing."""
    model, x = network(RES2NET), torch.randn(2, 16, 6, 5)
    expected = scales(model.second, scales(model.first, x, first=True), first=False)
    assert torch.equal(model(x), expected)
    assert type(model.first) is type(model.second)


def test_what_is_only_handed_on_is_another_value_under_the_condition() -> None:
    text = """
input: [4, 6]
blocks:
  Side:
    params: {upper: false}
    body:
      - {id: parts, split: 2}
      - {id: a, from: parts.0, relu: }
      - {when: $upper, body: [{from: parts.1, identity: }]}
      - {id: b, tanh: }
      - concat: [a, b]
body: [{id: u, Side: {upper: true}}, {id: v, Side: }]
"""
    model, x = network(text), torch.randn(3, 4, 6)

    def side(x: Tensor, *, upper: bool) -> Tensor:
        a = x[:, :2].relu()
        return torch.cat([a, (x[:, 2:] if upper else a).tanh()], 1)

    assert torch.equal(model(x), side(side(x, upper=True), upper=False))


@pytest.mark.parametrize("listed", ["[p2, p3]", "p*"])
def test_a_list_may_be_all_that_comes_out(listed: str) -> None:
    text = f"""
input: [3, 8, 8]
body:
  - {{id: p2, conv: {{out: 4, kernel: 3, padding: 1}}}}
  - {{id: p3, max_pool: 2}}
outputs: {{levels: {listed}}}
"""
    model, x = network(text), torch.randn(2, 3, 8, 8)
    found = model(x)
    assert list(found) == ["levels"]
    p2 = model.p2(x)
    assert torch.equal(found["levels"][0], p2)
    assert torch.equal(found["levels"][1], nn.functional.max_pool2d(p2, 2))


def test_a_size_that_comes_back_is_called_as_it_was() -> None:
    def said(scale: int) -> str:
        conv = "conv: {out: 4, kernel: 3, stride: 2, padding: 1}"
        text = f"input: [3, {{H: 32}}]\nbody: [{conv}, upsample: {scale}, {{relu: }}]\n"
        code: str = archspec.loads("spec: 1\nname: net\n" + text).code
        return next(line for line in code.splitlines() if "->" in line and '"""' in line)

    assert said(2) == '    """[3, H] -> [4, H]."""'
    assert said(3) == '    """[3, H] -> [4, 3 * H / 2]."""'


def test_copies_that_all_take_the_first_input_are_no_chain() -> None:
    text = """
input: {a: [4, 8], mask: [4, 8]}
blocks:
  Layer: {inputs: [x, mask], body: [{add: [x, mask]}, relu]}
body: [{id: layers, from: [a, mask], repeat: 3, Layer: }]
"""
    said = (
        "each copy takes `a`; in a chain, of which each takes the copy before, it is\n"
        "`from: [prev, mask]`, behind `{from: a, identity: }`"
    )
    assert helped(text) == ("E315", said)
    chain = "body: [{from: a, identity: }, {id: layers, from: [prev, mask], repeat: 3, Layer: }]\n"
    model = network(text.split("body: [{id")[0] + chain)
    a, mask = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    expected = a
    for _ in range(3):
        expected = (expected + mask).relu()
    assert torch.equal(model(a, mask), expected)


def test_what_takes_nothing_is_off_the_line() -> None:
    text = """
input: [4, 8]
body:
  - {id: places, constant: {arange: 4}}
  - {id: table, embedding: {num: 4, dim: 8}}
  - add: [table, input]
"""
    said = "`places` is off the line, since it takes nothing; write `from: places` to take it"
    assert helped(text) == ("E303", said)


def test_inputs_where_a_parameter_stands() -> None:
    text = "input: {q: [1, 4, 8], k: [1, 5, 8]}\nbody: [{dot_attention: [q, k, k]}]\n"
    said = "inputs stand beside `dot_attention`: `{from: [q, k, k], dot_attention: }`"
    assert helped(text) == ("E210", said)


def test_an_absent_item_hands_on_its_first_input_past_the_item_before() -> None:
    text = """
input: [4, 8]
blocks:
  Sum:
    params: {side: true}
    body:
      - {id: a, relu: }
      - {id: b, tanh: }
      - {id: sum, mul: [a, b], when: $side}
      - {id: other, add: [a, b], when: $(not side)}
body: [Sum]
"""
    said = "`other` is absent here and passes on `a`, the first of its `from`"
    assert helped(text) == ("E315", said)


def test_what_keras_writes_into_a_layer() -> None:
    for parameter, said in (
        ("activation: relu", "an activation is an item of its own, behind it: `- relu`"),
        ("kernel_initializer: he_normal", "how a weight begins stands in `init`, beside the op"),
    ):
        text = f"input: [3, 8, 8]\nbody: [{{conv: {{out: 4, kernel: 3, {parameter}}}}}]\n"
        assert helped(text) == ("E208", said)


def test_a_param_that_is_called_as_a_modifier_is_one_fault() -> None:
    text = """
input: [4, 8]
blocks:
  Bottleneck: {params: {shortcut: true}, body: [{relu: , when: $shortcut}]}
body: [{Bottleneck: {shortcut: false}}]
"""
    assert helped(text) == ("E205", "choose another name")


def test_a_size_is_no_share_of_one_whose_letter_stands_nowhere() -> None:
    """16 places beside 64 features: the mask is no quarter of them."""
    text = """
input: {x: [{N: 16}, 64], mask: [{N: 16}, {M: 16}]}
blocks:
  Mix: {inputs: [x, mask], body: [{linear: $(x.features)}, {matmul: [mask, prev]}]}
body: [{id: mix, from: [x, mask], Mix: }]
"""
    code = archspec.loads("spec: 1\nname: net\n" + text).code
    assert '"""[N, in_features], [N, D\'] -> [N, in_features]."""' in code
