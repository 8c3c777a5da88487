"""Parts of networks that do not ship, as a newcomer wrote them: equal to plain torch."""

from __future__ import annotations

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
