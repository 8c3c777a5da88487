"""Parts of networks that do not ship, as a newcomer wrote them: equal to plain torch."""

from __future__ import annotations

import pytest
import torch

import archspec

ROUTING = """
spec: 1
name: routing
input: {b: [4], votes: [3, 4]}
blocks:
  Round:
    inputs: [b, votes]
    params: {last: required}
    body:
      - {id: v, from: [b, votes], einsum: "j,ij->i"}
      - {id: fixed, from: votes, detach: , when: $(not last)}
      - {id: agree, from: [fixed, v], einsum: "ij,i->j", when: $(not last)}
      - {id: next, add: [b, agree], when: $(not last)}
    outputs: {output: next, v: v}
body:
  - {id: r, repeat: 3, from: [prev, votes], Round: {last: $(loop.last)}}
outputs: {v: r.2.v}
"""


def test_capsules_agree_in_all_rounds_but_the_last() -> None:
    """What is absent passes on another rank, and nobody takes it."""
    b, votes = torch.rand(2, 4), torch.rand(2, 3, 4)
    expected = b
    for _ in range(2):
        v = torch.einsum("aj,aij->ai", expected, votes)
        expected = expected + torch.einsum("aij,ai->aj", votes, v)
    expected = torch.einsum("aj,aij->ai", expected, votes)
    found = archspec.build(archspec.loads(ROUTING))(b, votes)
    assert torch.equal(found, expected)


def test_a_block_may_end_in_fewer_axes_where_a_param_says_so() -> None:
    text = """
spec: 1
name: net
input: [4, 6]
blocks:
  Pool:
    params: {flag: required}
    body: [{linear: 8}, {reduce: {by: sum, axis: 0}, when: $flag}]
body: [{id: a, Pool: false}, relu, {id: b, Pool: true}]
"""
    module = archspec.build(archspec.loads(text))
    x = torch.rand(2, 4, 6)
    expected = module.b.linear1(module.a.linear1(x).relu()).sum(1)
    assert torch.equal(module(x), expected)
    single = text.replace("{id: a, Pool: false}, relu, ", "")
    assert archspec.build(archspec.loads(single))(x).shape == (2, 8)


COUPLINGS = """
spec: 1
name: realnvp
input: [6]
blocks:
  Coupling:
    inputs: [x, logdet?]
    body:
      - {id: halves, split: 2}
      - {id: s, from: halves.0, linear: 3}
      - {from: s, exp: }
      - {id: b, mul: [halves.1, prev]}
      - {id: z, concat: [b, halves.0]}
      - {id: own, from: s, reduce: {by: sum, axis: 0}}
      - {add: [own, logdet], when: $(given.logdet)}
      - {id: ld, identity: }
    outputs: {z: z, ld: ld}
body:
  - {id: flows, from: input, repeat: 3, Coupling: }
outputs: {z: flows.2.z, logdet: flows.2.ld}
"""


def test_a_block_of_two_outputs_follows_itself() -> None:
    """Couplings of a normalizing flow: what changes, and how much room it takes."""
    module = archspec.build(archspec.loads(COUPLINGS))
    x = torch.rand(2, 6)
    z, logdet = x, torch.zeros(2)
    for flow in module.flows:
        a, b = z.chunk(2, 1)
        scale = flow.s(a)
        z, logdet = torch.cat([b * scale.exp(), a], 1), logdet + scale.sum(1)
    found = module(x)
    assert torch.allclose(found["z"], z, rtol=0, atol=0)
    assert torch.allclose(found["logdet"], logdet, rtol=1e-6)


HEAD = "{spec: 1, name: net, input: {x: [6, 4], mask: {shape: [4], dtype: bool}}, body: ["


@pytest.mark.parametrize(
    ("body", "codes", "help"),
    [
        (
            "{id: v, from: x, linear: 4}, {id: v, split: 2}, {from: v.1, linear: $(v.rank)}",
            ["E314"], "choose another `id`: an item before this one has it",
        ),
        (
            "{id: g, from: x, repeat: 2, body: [{id: y, relu: }]}, {add: [x, y]}",
            ["E312"], "it stands inside of `g.0`: `g.0.y`",
        ),
        ("{from: x, relu: }], outputs: {y: prev}", ["E312"],
            "only `from` knows it: give the item an `id`, and write that"),
        ("{from: x, mean: 1}", ["E208"],
            "along an axis of one input it is `reduce: {by: mean, axis: 1}`"),
        ("{id: a, from: x, repeat: 2, relu: }, {stack: a.*, axis: 1}", ["E213"],
            "write `from: a.*` beside `stack: {axis: 1}`"),
        ("{from: mask, mul: 2.0}", ["E303"],
            "true and false are for the masks of attention; numbers, 1 and 0, are `float`"),
        ("{from: x, embedding: {num: 3, dim: 2}}", ["E303"],
            "whole numbers are an input of `dtype: int`, or a `constant`, which `from` names"),
        ("{from: x, flatten: {end: 1}}", ["E208"],
            "it goes to the last axis; `reshape` joins others"),
        ('{from: x, mul: "$(sin(2))"}', ["E123"],
            "it is an op: an item of its own, behind a `constant`"),
        ("{from: x, linear: $(0.5 * 8)}", ["E210"],
            "use `//` where it is computed; of a number with a point, `int(…)`"),
    ],
)  # fmt: skip
def test_a_slip_is_told_once_and_with_what_mends_it(body: str, codes: list[str], help: str) -> None:
    text = HEAD + body + ("}" if "outputs" in body else "]}")
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads(text)
    told = [f for f in caught.value.faults if f.code not in ("E315", "E316")]
    assert [f.code for f in told] == codes
    assert told[0].help == help


def test_a_table_of_distances_is_written_as_its_formula() -> None:
    """Of EfficientFormer and LeViT: 49 × 49 entries, each the distance of two places in a map."""
    text = """
spec: 1
name: distances
params: {n: 7}
input: [1, $(n ** 2), $(n ** 2)]
body:
  - id: index
    constant: "$([[abs(i // n - j // n) * n + abs(i % n - j % n) for j in range(n ** 2)] for i in range(n ** 2)])"
  - {id: biases, parameter: $(n ** 2)}
  - {id: flat, from: index, reshape: -1}
  - {from: [biases, flat], gather: 0}
  - {id: bias, reshape: [1, $(n ** 2), $(n ** 2)]}
  - add: [input, bias]
"""  # noqa: E501
    module = archspec.build(archspec.loads(text))
    place = torch.stack(torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")).flatten(1)
    row, column = (place[:, :, None] - place[:, None]).abs()
    assert torch.equal(module.index, row * 7 + column)
    biases, x = torch.nn.init.normal_(module.biases), torch.rand(2, 1, 49, 49)
    assert torch.equal(module(x), x + biases[row * 7 + column])


def test_the_work_of_all_comprehensions_is_bounded() -> None:
    lines = "\n".join(
        f'  p{i}: "$(len([1 for i in range(99) for j in range(99)]))"' for i in range(999)
    )
    text = f"spec: 1\nname: net\nparams:\n{lines}\ninput: [3]\nbody: [{{linear: $p0}}]\n"
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads(text)
    (fault,) = caught.value.faults
    assert fault.code == "E406"
    assert "--max-nodes" in fault.help
