"""What recurrent layers keep for the backward pass, against what torch keeps."""

from __future__ import annotations

import pytest
import torch
from saved import FEW, PAGES, of_a_sample

import archspec

EXACT = [
    "gru: 6", "gru: {hidden: 6, layers: 3}", "gru: {hidden: 6, bidirectional: true}",
    "gru: {hidden: 6, layers: 3, dropout: 0.5, bidirectional: true}", "rnn: 6",
    "rnn: {hidden: 6, layers: 2, nonlinearity: relu}",
    "rnn: {hidden: 6, layers: 3, dropout: 0.5, bidirectional: true}",
]  # fmt: skip
LSTM = [
    "lstm: 6", "lstm: {hidden: 17, layers: 2}", "lstm: {hidden: 6, bidirectional: true}",
    "lstm: {hidden: 64, layers: 2, bidirectional: true}", "lstm: {hidden: 64, bias: false}",
    "lstm: {hidden: 16, layers: 3, dropout: 0.5, bidirectional: true}",
    "lstm: {hidden: 16, layers: 2, dropout: 0.5}",
]  # fmt: skip


def ratio(item: str, shape: tuple[int, int], few: int = FEW) -> float:
    """What is said of a network of one layer, of what torch does."""
    text = f"spec: 1\nname: t\ninput: {list(shape)}\nbody: [{{id: r, {item}}}]\n"
    program = archspec.loads(text)
    kept = of_a_sample(archspec.build(program), lambda n: [torch.rand(n, *shape)], few)
    return program.analysis.totals.saved_bytes / kept


@pytest.mark.parametrize("item", EXACT)
def test_what_is_kept(item: str) -> None:
    assert ratio(item, (9, 5)) == 1


@pytest.mark.parametrize("item", LSTM)
@pytest.mark.parametrize("shape", [(5, 3), (3, 40)])
def test_what_the_kernel_of_lstm_keeps(item: str, shape: tuple[int, int]) -> None:
    """Of samples enough: each part of oneDNN's workspace begins at a page."""
    assert ratio(item, shape, PAGES) == 1


def test_the_rows_of_that_kernel_are_not_multiples_of_256() -> None:
    assert ratio("lstm: 256", (2, 300), PAGES) == 1


# ------------------------------------------------------------------ of whom, and how it lies

BODIES = {
    "a constant takes no gradient": "conv: {out: 4, kernel: 3}\nid: k, constant: [[[0.5]]]\n"
    "mul: [prev, k]",
    "a constant that divides is kept once": "conv: {out: 4, kernel: 3}\n"
    "id: k, constant: [[[0.5]]]\ndiv: [prev, k]",
    "a divisor of one without gradient": "id: k, constant: [[[0.5]]]\n"
    "id: a, conv: {out: 4, kernel: 3}\ndiv: [k, a]",
    "a parameter is one for all samples": "conv: {out: 4, kernel: 3}\n"
    "id: p, parameter: [4, 1, 1]\nmul: [prev, p]\nrelu",
    "three factors": "id: a, conv: {out: 4, kernel: 3}\nid: b, sigmoid: \nid: c, tanh: \n"
    "mul: [a, b, c]",
    "three factors, the last a constant": "id: a, conv: {out: 4, kernel: 3}\nid: b, sigmoid: \n"
    "id: k, constant: [[[0.5]]]\nmul: [a, b, k]",
    "three factors, two without gradient": "id: k, identity: \n"
    "id: l, roll: {shifts: [1], axis: [1]}\nid: a, conv: {out: 2, kernel: 3, padding: 1}\n"
    "mul: [k, l, a]",
    "a group norm of what has its channels last": "conv: {out: 4, kernel: 3}\n"
    "layer_norm: {axis: channels}\nrelu\ngroup_norm: 2",
    "a group norm of a part": "conv: {out: 4, kernel: 3}\nslice: {start: 1, axis: 1}\n"
    "group_norm: 2",
    "recurrent layers one after the other": "flatten: 1\ngru: 4\n"
    "rnn: {hidden: 3, bidirectional: true}\nlinear: 3",
    "attention behind a recurrent layer": "flatten: 1\ngru: 4\nattention: 2\nlinear: 3",
    "grouped queries of what is not in order": "flatten: 1\npermute: [1, 0]\n"
    "linear: 4\npermute: [1, 0]\nlinear: 4\npermute: [1, 0]\nattention: {heads: 1, kv_heads: 1}",
    "nothing behind a stop": "id: a, conv: {out: 4, kernel: 3}\ndetach\nsigmoid\ntanh\n"
    "conv: {out: 2, kernel: 1}",
    "a linear map copies what is not in order": "conv: {out: 4, kernel: 3}\nflatten: 1\n"
    "permute: [1, 0]\nlinear: 3\nlinear: 3",
    "what lies in order is none of its own": "conv: {out: 4, kernel: 3}\nflatten: 1\nlinear: 3",
    "what is made cell by cell lies so too": "conv: {out: 4, kernel: 3}\nflatten: 1\n"
    "permute: [1, 0]\nrelu\nlinear: 3",
    "channels last with gaps": "layer_norm: {axis: channels}\nslice: {start: 1}\n"
    "conv: {out: 4, kernel: 3}\nflatten\nlinear: 3",
    "channels last of one row": "flatten: 1\npermute: [1, 0]\nlinear: 6\npermute: [1, 0]\n"
    "conv: {out: 4, kernel: 3}\nrelu\nflatten\nlinear: 3",
    "no average keeps channels last in three axes": "unflatten: {axis: 0, shape: [2, 1]}\n"
    "layer_norm: {axis: channels}\navg_pool: {kernel: [1, 2, 2]}\nrelu\nflatten\nlinear: 3",
    "channels repeated": "conv: {out: 1, kernel: 3}\nexpand: [4, -1, -1]\nsigmoid\nflatten\n"
    "linear: 3",
    "rolled, and by nothing": "layer_norm: {axis: channels}\nroll: {shifts: 2, axis: [1]}\n"
    "roll: {shifts: 6, axis: [2]}\nsigmoid\nflatten\nlinear: 3",
    "maxima of what takes no gradient": "id: k, identity: \nid: l, roll: {shifts: [1], axis: [1]}\n"
    "id: a, conv: {out: 2, kernel: 3, padding: 1}\nmax: [k, l, a]",
    "an odd cell that is cut": "conv_transpose: {out: 3, kernel: 3, stride: 2, padding: same}\n"
    "tanh\nabs",
    "a map put together of columns": "conv: {out: 8, kernel: 3}\nflatten: 1\n"
    "fold: {size: 5, kernel: 2}\nsin",
    "the logarithm of a sigmoid": "conv: {out: 4, kernel: 3}\nlog_sigmoid\nsin",
    "a draw": "id: m, conv: {out: 4, kernel: 3}\nid: v, from: input, conv: {out: 4, kernel: 3}\n"
    "from: [m, v], sample_normal: \nsin",
    "a matrix for all heads": "id: a, conv: {out: 4, kernel: 3}\nid: b, from: input, "
    "conv: {out: 1, kernel: 3}\nmatmul: [a, b]",
    "a first state": "conv: {out: 1, kernel: 3}\nid: h, flatten: 1\nselect: {index: 0, axis: 0}\n"
    "unflatten: {axis: 0, shape: [1, 16]}\nid: s, sigmoid: \nid: x, from: h, permute: [1, 0]\n"
    "from: [x, s], gru: 16\nlinear: 3",
    "attention whose features are not innermost": "conv: {out: 8, kernel: 3}\nid: q, flatten: 1\n"
    "id: h, unflatten: {axis: 0, shape: [2, 4]}\nid: t, permute: [0, 2, 1]\n"
    "from: [t, t, t], dot_attention: \nsin",
    "attention gives what lies as its query": "flatten: 1\npermute: [1, 0]\nid: x, linear: 8\n"
    "unflatten: {axis: 1, shape: [2, 4]}\nid: q, permute: [1, 0, 2]\n"
    "from: [q, q, q], dot_attention: \npermute: [1, 0, 2]\nflatten: 1\nlinear: 3",
    "local responses of a volume that is turned": "conv: {out: 4, kernel: 3}\n"
    "unflatten: {axis: 0, shape: [2, 2]}\npermute: [0, 3, 2, 1]\nlocal_response_norm: 2\n"
    "flatten\nlinear: 3",
    "they in a sequential": "id: s, sequential: [conv: {out: 4, kernel: 3}, "
    "unflatten: {axis: 0, shape: [2, 2]}, permute: [0, 3, 2, 1], "
    "local_response_norm: 2, flatten, linear: 3]",
    "there and back": "conv: {out: 4, kernel: 3}\npermute: [1, 2, 0]\ngelu\npermute: [2, 0, 1]\n"
    "flatten\nlinear: 3",
    "a norm over channels": "conv: {out: 4, kernel: 3}\nlayer_norm: {axis: channels}\nflatten\n"
    "linear: 3",
    "channels last go through": "layer_norm: {axis: channels}\nconv: {out: 4, kernel: 3}\n"
    "batch_norm\nrelu\nmax_pool: 2\nflatten\nlinear: 3",
    "a part": "conv: {out: 4, kernel: 3}\nslice: {start: 1}\nsigmoid\nflatten\nlinear: 3",
    "a part that is joined": "conv: {out: 4, kernel: 3}\nslice: {start: 1, axis: 1}\nflatten\n"
    "linear: 3",
    "windows": "conv: {out: 4, kernel: 3, padding: 1}\nreshape: [4, 3, 2, 3, 2]\n"
    "permute: [1, 3, 2, 4, 0]\nreshape: [9, 4, 4]\nlinear: 3\nlinear: 3",
    "heads": "conv: {out: 4, kernel: 3}\nflatten: 1\npermute: [1, 0]\nid: x, linear: 4\n"
    "reshape: [16, 2, 2]\nid: q, permute: [1, 0, 2]\npermute: [0, 2, 1]\nmatmul: [q, prev]",
    "einsum that turns": "conv: {out: 4, kernel: 3}\nflatten: 1\neinsum: \"ct->tc\"\nsin\n"
    "linear: 3",
    "einsum of what cannot be seen as matrices": "id: a, conv: {out: 4, kernel: 3}\n"
    "id: h, unflatten: {axis: 0, shape: [2, 2]}\nflatten: 2\nid: q, permute: [2, 0, 1]\n"
    "from: [q, q], einsum: \"thd,shd->hts\"\nsin",
    "einsum without a sum": "id: a, conv: {out: 4, kernel: 3}\neinsum: \"chw->whc\"\n"
    "from: [prev, a], einsum: \"whc,chw->hwc\"\nsin",
    "points take no gradient": "id: a, conv: {out: 4, kernel: 3}\ngrid_points: \nsin\n"
    "conv: {out: 4, kernel: 1}\nadd: [prev, a]",
    "filled by what takes no gradient": "conv: {out: 4, kernel: 3, padding: 1, "
    "padding_mode: reflect}\nsin",
    "filled once": "conv: {out: 4, kernel: 1}\nsin\nconv: {out: 4, kernel: 3, stride: 2, "
    "padding: same, padding_mode: replicate}\nsin",
    "filled by no cell": "conv: {out: 4, kernel: 1}\nsin\nconv: {out: 4, kernel: 3, "
    "padding_mode: reflect}\nsin",
    "a table for all samples": "id: x, conv: {out: 4, kernel: 1}\nid: t, parameter: [4, 6, 2]\n"
    "from: t, linear: 3\nsin\nid: s, linear: 6\nmul: [x, s]",
    "one matrix for all samples": "flatten: 1\nid: x, linear: 4\nid: w, sin: \n"
    "id: k, parameter: [3, 2]\nid: m, matmul: [k, x]\nid: l, parameter: [4, 4]\n"
    "id: n, matmul: [m, l]\nconcat: [n, w]\nlinear: 3\nsin",
    "heads' matrices for all samples": "id: x, conv: {out: 4, kernel: 3}\n"
    "id: k, parameter: [4, 3, 4]\nid: m, matmul: [k, x]\nid: l, parameter: [4, 5, 4]\n"
    "from: [m, l], einsum: \"hqd,hkd->hqk\"\nsin",
    "key and value are one": "flatten: 1\nid: x, linear: 4\nid: v, sin: \n"
    "from: [x, v, v], attention: 2\nsin",
    "query and key are one": "flatten: 1\nid: x, linear: 4\nid: v, sin: \n"
    "from: [x, x, v], attention: {heads: 2, dropout: 0.1}\nsin",
    "attention of what is one for all samples": "id: x, flatten: 1\nid: k, parameter: [5, 4]\n"
    "from: k, attention: 2\nid: s, sin: \nfrom: x, linear: 4\nfrom: [prev, s], attention: 2",
    "first states of an LSTM": "conv: {out: 1, kernel: 3}\nid: h, flatten: 1\n"
    "id: s, sigmoid: \nid: x, from: h, permute: [1, 0]\nfrom: [x, s, s], lstm: 16\nlinear: 3",
    "an LSTM copies what another layer keeps": "flatten: 1\nlinear: 4\nsoftmax\nlstm: 4\nlinear: 3",
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_sample_keeps_what_torch_keeps(what: str) -> None:
    lines = BODIES[what].split("\n")
    items = "".join(f"  - {{{line}}}\n" if ":" in line else f"  - {line}\n" for line in lines)
    program = archspec.loads(f"spec: 1\nname: t\ninput: [2, 6, 6]\nbody:\n{items}")
    few = PAGES if "lstm" in items else FEW
    kept = of_a_sample(archspec.build(program), lambda n: [torch.rand(n, 2, 6, 6)], few)
    assert program.analysis.totals.saved_bytes == kept


SAME = [
    "conv: {out: 4, kernel: $k, stride: $s, padding: same}",
    "conv: {out: 4, kernel: $k, stride: $s, padding: same, reparam: scaled_weight_standard}",
    "conv: {out: 4, kernel: $k, stride: $s, padding: same, padding_mode: replicate}",
    "max_pool: {kernel: $k, stride: $s, padding: same}",
    "avg_pool: {kernel: $k, stride: $s, padding: same}",
]


@pytest.mark.parametrize("op", SAME)
def test_one_class_for_odd_and_even_kernels_pads_the_even_ones(op: str) -> None:
    text = "spec: 1\nname: t\ninput: [2, 6, 6]\nblocks:\n  B:\n    params: {k: 1, s: 1}\n"
    text += f"    sequential: [conv: {{out: 4, kernel: 1}}, sin, {op}, sin]\n"
    text += "body: [{B: {k: 3}}, {B: {k: 2}}, B, {B: {s: 2}}, {B: {k: 3, s: 2}}]\n"
    program = archspec.loads(text)
    assert program.code.count("class B(") == 1
    assert "Same(" in program.code
    kept = of_a_sample(archspec.build(program), lambda n: [torch.rand(n, 2, 6, 6)])
    assert program.analysis.totals.saved_bytes == kept
