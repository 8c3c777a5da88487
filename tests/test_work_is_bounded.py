"""Short specs of much work: each is refused, or read, within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import archspec
from archspec.limits import Limits
from archspec.text.faults import SpecError

HEAD = "spec: 1\nname: much\ninput: [4]\n"


def each(count: int, text: str) -> str:
    return "".join(text.replace("@@", str(i + 1)).replace("@", str(i)) for i in range(count))


CALLS = "blocks: {A: {params: {d: required}, body: [%s]}}\nbody: [{A: 40}, relu]\n"
SPECS: dict[str, tuple[Callable[[], str], str]] = {
    "a block of nothing that calls itself twice": (
        lambda: CALLS % ", ".join(["{A: $(d - 1), when: $(d > 0)}"] * 2), "E406"),
    "one that calls itself a thousand times": (
        lambda: CALLS % "{A: $(d - 1), repeat: 1000, when: $(d > 0)}", "E406"),
    "blocks of nothing, each twice in the next": (
        lambda: "blocks:\n" + each(60, "  A@: {body: [{A@@: }, {A@@: }]}\n")
        + "  A60: {body: [{relu: , when: false}]}\nbody: [{A0: }, relu]\n", "E406"),
    "a million absent items": (
        lambda: "body: [{repeat: 1000000, body: [{relu: , when: false}]}, relu]\n", "E406"),
    "lists in one another, each twice in the next": (
        lambda: "params: {a0: [1]" + each(60, ', a@@: "$([a@, a@])"') + "}\n"
        "body: [{repeat: $(len(a60)), relu: }]\n", "E405"),
    "a thousand repeats of a thousand": (
        lambda: "body: [{repeat: 1000, body: [{repeat: 1000, body: [relu]}, relu]}]\n", "E406"),
    "a thousand wrong references to a thousand names": (
        lambda: "body:\n" + each(1000, "  - {id: name_@, relu: }\n")
        + each(1000, "  - {relu: , from: naem_@}\n"), "E312"),
    "fifty thousand names that an op does not know": (
        lambda: "body: [{conv: {" + ", ".join(f"zz{i}: 1" for i in range(50_000)) + "}}]\n",
        "E208"),
    "fifteen thousand names that a block does not know": (
        lambda: "blocks:\n  A:\n    params:\n" + each(15_000, "      a@: 1\n")
        + "    body: [relu]\nbody:\n  - A:\n" + each(15_000, "      x@: 1\n"), "E208"),
    "two thousand files that are not there": (
        lambda: "use:\n" + each(2000, "  A@: file_@.yaml\n") + "body: [relu]\n", "E223"),
    "ten thousand totals of no variant": (
        lambda: "body: [relu]\nexpect:\n" + each(10_000, "  v@: {params: 0}\n"), "E225"),
    "a long list summed in each of many copies": (
        lambda: 'params: {a: "$(range(9999))"}\n'
        'body: [{repeat: 99999, linear: "$(1 + 0 * sum(a))"}]\n', "E406"),
    "a long list in each of many params": (
        lambda: "params:\n" + each(2000, "  p@: $([0]*9999)\n") + "body: [relu]\n", "E406"),
    "a block of a long list, called often": (
        lambda: "blocks: {B: {params: {n: $(range(9999))}, body: [relu]}}\n"
        "body: [{repeat: 90000, B: }]\n", "E406"),
    "a block of many params, called often": (
        lambda: f"blocks: {{B: {{params: {{{each(2000, 'p@: 1, ')}}}, body: [relu]}}}}\n"
        "body: [{repeat: 90000, B: }]\n", "E406"),
    "an item of nine thousand inputs, again and again": (
        lambda: "body: [{repeat: 5000, add: [" + "prev, " * 9000 + "]}]\n", "E406"),
    "outputs that are lists of all copies": (
        lambda: "body: [{id: r, repeat: 5000, relu: }]\n"
        f"outputs: {{{each(5000, 'o@: r.*, ')}}}\n", "E406"),
    "ties to one weight": (
        lambda: "body: [{id: a, linear: 4}, {repeat: 1000, linear: 4, tie: a}]\n", ""),
    "ties to nothing": (
        lambda: "body: [{id: a, linear: 4}, {repeat: 1000, linear: 4, tie: aa$(loop.index)}]\n",
        "E312"),
    "keys given twice, at two ends of the file": (
        lambda: each(2000, "k@: 1\n") * 2 + "body: [relu]\n", "E106"),
    "unknown fields": (
        lambda: "body:\n" + each(2000, "  - {linear: $(input.chanels@)}\n"), "E123"),
    "misspelt ops": (lambda: "body:\n" + "  - rleu\n" * 2000, "E207"),
    "open expressions": (lambda: f"body: [{each(2000, '{linear: $(1}, ')}]\n", "E122"),
    "params that read one another": (
        lambda: "params: {a0: 1" + each(2000, ", a@@: $a@") + "}\nbody: [relu]\n", ""),
    "a head of names that are nowhere": (
        lambda: f"head: [{each(1000, 'x@, ')}]\nbody: [relu]\n", "E318"),
    "a head of a thousand names that are absent": (
        lambda: f"params: {{x: false}}\nhead: [{each(1000, 'x@, ')}]\nbody:\n"
        + each(1000, "  - {id: x@, relu: , when: $(x)}\n") + "  - relu\n", ""),
    "one weight tied five thousand times": (
        lambda: "body:\n  - {id: w, linear: {out: 4, bias: false}}\n"
        + "  - {linear: {out: 4, bias: false}, tie: w}\n" * 5000, ""),
    "keys that no document has": (
        lambda: each(8000, "k@: 1\n") + "body: [relu]\n", "E201"),
    "keys in an item, on one line": (
        lambda: f"body: [{{linear: 3, {each(8000, 'k@: 1, ')}}}]\n", "E201"),
    "paths to nothing": (lambda: "body:\n" + each(4000, "  - {from: zz@, relu: }\n"), "E312"),
    "totals of no variant": (
        lambda: "body: [relu]\nexpect:\n" + each(8000, "  v@: {params: 1}\n"), "E225"),
    "variants that set all params": (
        lambda: f"params: {{{each(120, 'p@: 1, ')}}}\nvariants:\n"
        + "".join(f"  v{k}: {{{each(120, 'p@: 2, ')}}}\n" for k in range(120))
        + "body: [relu]\n", ""),
    "products that are lists": (
        lambda: "body:\n" + '  - {linear: "$(1 + 0 * len([0] * 9999))"}\n' * 3000, "E406"),
    "expressions too deep": (
        lambda: "params:\n" + each(200, f"  a@: $({'-' * 900}1)\n") + "body: [relu]\n", "E405"),
    "frozen parts, half of which are absent": (
        lambda: "blocks: {B: {body: [" + each(600, "{id: c@, when: $(@ % 2 == 0), linear: 4}, ")
        + f"]}}}}\nbody: [{{B: , freeze: [{each(600, 'c@, ')}]}}]\n", ""),
    "frozen parts without a name, half of which are absent": (
        lambda: "blocks: {B: {body: [" + each(600, "{when: $(@ % 2 == 0), linear: 4}, ")
        + f"]}}}}\nbody: [{{B: , freeze: [{each(600, 'linear@@, ')}]}}]\n", ""),
    "frozen parts that are absent, in each of many calls": (
        lambda: "blocks: {B: {body: [relu, " + each(60, "{id: c@, when: false, linear: 4}, ")
        + f"]}}}}\nbody: [{{repeat: 60, B: , freeze: [{each(60, 'c@, ')}]}}]\n", ""),
    "params that read nothing": (
        lambda: "params: {" + each(5000, "a@: 1, ") + "}\nbody: [relu]\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_a_short_spec_is_short_work(name: str) -> None:
    made, code = SPECS[name]
    text, start = HEAD + made(), time.process_time()
    found = ""
    try:
        archspec.loads(text)
    except SpecError as error:
        found = error.faults[0].code
    assert time.process_time() - start < 4  # 0.1 to 0.6 s
    assert found == code


LARGE: dict[str, tuple[str, str, str]] = {
    "calls, written one by one": (
        "blocks: {B: {body: [relu]}}\nbody: [" + "B, " * 50_000 + "relu]\n",
        "at least 50,002 items are written; at most 5,000 are allowed",
        "",
    ),
    "paths of branches, each an item": (
        "body: [{branches: [" + "relu, " * 2600 + "relu], merge: concat}]\n",
        "at least 5,001 items are written; at most 5,000 are allowed",
        "",
    ),
    "groups shared twice in one another": (
        "body:\n- {id: a0, body: [relu]}\n"
        + each(39, "- {id: a@@, body: [{shared: a@}, {shared: a@}]}\n"),
        "to work the network out takes more than 100,000 operations",
        "body.",
    ),
    "copies that are each another layer": (
        "body: [{repeat: 4999, dropout: $(0.5 * loop.index / loop.count)}]\n",
        "to work the network out takes more than 100,000 operations",
        "body.0",
    ),
    "calls that are each another instance": (
        "blocks: {B: {params: {n: 1}, body: [relu]}}\nbody: [{repeat: 4999, B: $(loop.index)}]\n",
        "to work the network out takes more than 100,000 operations",
        "",
    ),
    "an item of many inputs": (
        "body: [{add: [" + "prev, " * 20_000 + "]}]\n",
        "to work the network out takes more than 100,000 operations",
        "body.0",
    ),
    "a total that is wrong, of plain ops": (
        "body: [" + "relu, " * 4999 + "]\nexpect: {much: {params: 7}}\n",
        "`params` of `much` is 0; the spec expects 7",
        "expect.much.params",
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_costs_more_than_an_op_counts_more(name: str) -> None:
    """Plain ops go to the limit; what is dearer is refused before it, at its place."""
    text, said, place = LARGE[name]
    with pytest.raises(SpecError) as caught:
        archspec.loads(HEAD + text, limits=archspec.Limits(nodes=5_000))
    (fault,) = caught.value.faults
    assert said in fault.message
    assert ".".join(map(str, fault.loc.path)).startswith(place)


def test_a_variant_counts_with_those_before_it(tmp_path: Path) -> None:
    """One that is wrong is found, unless the others have taken all that the limits allow."""
    text = "params: {n: 2500, w: 3}\nvariants: {a: {n: 2580}, b: {w: 9}}\nbody:\n"
    text += "- {repeat: $n, relu: }\n- {conv: {out: 1, kernel: $w}}\n"
    (tmp_path / "t.yaml").write_text(HEAD.replace("[4]", "[1, 4, 4]") + text, encoding="utf-8")

    def check(nodes: int) -> list[tuple[str, str]]:
        found = archspec.check(tmp_path / "t.yaml", limits=archspec.Limits(nodes=nodes))
        return [(fault.code, fault.message) for fault in found]

    with pytest.raises(SpecError, match="in the variant `b`"):
        check(10_000)
    assert check(2600) == [("W113", "the variant `b` was not looked at: there is too much")]


def test_a_wrong_total_of_many_inputs() -> None:
    inputs = each(2000, "i@: [3, 8], ")
    text = f"spec: 1\nname: much\ninput: {{{inputs}}}\nbody: [{{from: i0, relu: }}]\n"
    start = time.process_time()
    with pytest.raises(SpecError, match="E502 `params` of `much` is 0; the spec expects 7"):
        archspec.loads(f"{text}expect: {{much: {{params: 7}}}}\n")
    assert time.process_time() - start < 4  # 0.4 s; a minute, were each input tried otherwise


def test_of_many_networks_each_may_take_what_one_may() -> None:
    """So `search` looks at as many as it likes."""
    convs = "".join(f"- conv: {{out: $(a + {k}), kernel: 1}}\n" for k in range(40))
    text = f"spec: 1\nname: n\ninput: [3, 4, 4]\nparams: {{a: 3}}\nbody:\n{convs}"
    program = archspec.loads(text, limits=Limits(nodes=100))
    assert all(found is not None for found in program.each({"a": k} for k in range(4, 80)))


def test_many_used_files_that_are_not_there(tmp_path: Path) -> None:
    spec = tmp_path / "many.yaml"
    spec.write_text(f"{HEAD}use:\n{each(1000, '  A@: resnet_@' + chr(10))}body: [relu]\n")
    start = time.process_time()
    with pytest.raises(SpecError) as refused:
        archspec.load(spec)
    assert time.process_time() - start < 4  # 0.5 s; minutes where each reads what ships
    assert {fault.code for fault in refused.value.faults} == {"E101"}
