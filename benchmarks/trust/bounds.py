"""`check` of texts that ask for much: at most 3 s and 400 MB for one that is refused.

A seed draws one of the texts below and its sizes, all under 1 MiB: calls that leave no op, lists
of lists, products of repeats, thousands of misspelt names, of params, of variants. One that is
accepted may take 3 s and 400 MB, and beside them 60 µs and 8 kB for each of its nodes. Two of three
have a mistake at the very end, which is seen only after all the work.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from archspec.network import Choice, Run
from archspec.text.faults import SpecError
from archspec.text.source import from_text
from benchmarks.trust import apart

SECONDS, MEGABYTES = 3.0, 400.0
HEAD = "spec: 1\nname: t\ninput: [3, 8, 8]\n"
END = "body: [{conv: {out: 3, kernel: 1}}]\n"


def each(count: int, text: str) -> str:
    return "".join(text.replace("@@", str(i + 1)).replace("@", str(i)) for i in range(count))


def _doubling(item: str) -> Callable[[int], str]:
    """Blocks that call the next one twice, the last of which is one item."""
    return lambda n: (
        f"blocks:\n{each(n, '  A@: {body: [A@@, A@@]}' + chr(10))}  A{n}: {{body: [{item}]}}\n"
        "body: [A0, relu]\n"
    )


def _recursion(item: str) -> Callable[[int], str]:
    """A block that calls itself, so often, and at last nothing."""
    block = f"{{params: {{d: required}}, body: [{item}]}}"
    return lambda n: f"blocks:\n  A: {block}\nbody: [{{A: {n}}}, relu]\n"


def _params(text: str) -> Callable[[int], str]:
    """Params that each follow from the one before."""
    return lambda n: f"params:\n  a0: [1]\n{each(n, text)}{END}"


def _items(text: str, after: str = "") -> Callable[[int], str]:
    return lambda n: f"body:\n{each(n, text)}{after}"


def _merged(op: str) -> Callable[[int], str]:
    names = "  - {id: n@, from: input, relu: }\n"
    return lambda n: f"body:\n{each(n, names)}  - {op}: [{', '.join(f'n{i}' for i in range(n))}]\n"


def _misspelt(kind: str, right: str, wrong: str) -> Callable[[int], str]:
    return lambda n: f"{kind}:\n{each(n, right)}body:\n{each(n, wrong)}"


# What is written for a size, and the largest size whose text is under 1 MiB.
TEXTS: dict[str, tuple[Callable[[int], str], int]] = {
    "calls of nothing": (_recursion("{A: $(d - 1), when: $(d > 0)}, " * 2), 150),
    "repeated calls": (_recursion("{A: $(d - 1), repeat: 1000, when: $(d > 0)}"), 150),
    "doubling to nothing": (_doubling("{relu: , when: false}"), 150),
    "doubling to an identity": (_doubling("{residual: []}"), 150),
    "doubling to a body": (_doubling("{body: []}"), 150),
    "blocks in blocks": (
        lambda n: f"blocks:\n{each(n, '  A@: {body: [A@@]}' + chr(10))}  A{n}: {{body: [relu]}}\n"
        "body: [A0]\n",
        20_000,
    ),
    "absent": (lambda n: f"body: [relu, {{repeat: {n}, relu: , when: false}}]\n", 10**6),
    "absent items": (_items("  - {repeat: 99999, relu: , when: false}\n", "  - relu\n"), 20_000),
    "repeats of nothing": (
        lambda n: f"body: [relu, {{repeat: {n}, body: [{{repeat: {n}, body: []}}]}}]\n", 10**5
    ),
    "residuals of nothing": (lambda n: f"body: [relu, {{repeat: {n}, residual: []}}]\n", 10**6),
    "repeats": (
        lambda n: f"body: [{{repeat: {n}, body: [{{repeat: {n}, body: [relu]}}, relu]}}]\n", 1500
    ),
    "columns": (
        lambda n: f"params: {{a: {list(range(n))}}}\nbody: [" + "{repeat: {x: $a}, body: [" * 5
        + "relu" + "]}" * 5 + "]\n",
        200,
    ),
    "nested lists": (_params('  a@@: "$([a@, a@])"\n'), 20_000),
    "lists added": (_params("  a@@: $(a@ + a@)\n"), 20_000),
    "lists of lists": (_params("  a@@: $([a@ for i in a@])\n"), 10_000),
    "texts": (lambda n: f"params:\n  a0: x\n{each(n, '  a@@: $(a@ + a@)' + chr(10))}{END}", 20_000),
    "times": (lambda n: f"params:\n  a: $([1] * {n})\n  b: $(a * {n})\n{END}", 10**7),
    "a chain": (_params("  a@@: $(a@)\n"), 30_000),
    "a chain backwards": (
        lambda n: f"params:\n{each(n, '  a@: $(a@@ + 1)' + chr(10))}  a{n}: 1\n{END}", 30_000
    ),
    "params": (lambda n: f"params:\n{each(n, '  a@: 1' + chr(10))}{END}", 60_000),
    "wrong references": (
        lambda n: "body:\n" + each(n, "  - {id: name_@, relu: }\n")
        + each(n, "  - {from: nmae_@, relu: }\n"),
        10_000,
    ),
    "wrong ops": (_items("  - rleu\n"), 80_000),
    "wrong blocks": (_misspelt("blocks", "  Block@: {body: [relu]}\n", "  - Blcok@\n"), 15_000),
    "wrong params": (
        _misspelt("params", "  par_@: 1\n", "  - {conv: {out: $pra_@, kernel: 1}}\n"), 12_000
    ),
    "wrong params of a call": (
        lambda n: f"blocks:\n  A:\n    params:\n{each(n, '      par_@: 1' + chr(10))}"
        f"    body: [relu]\nbody:\n  - A:\n{each(n, '      x_@: 1' + chr(10))}",
        25_000,
    ),
    "used files that are not there": (
        lambda n: f"use:\n{each(n, '  A@: file_@.yaml' + chr(10))}body: [relu]\n", 30_000
    ),
    "outputs of nothing": (
        lambda n: f"body: [relu]\noutputs:\n{each(n, '  o@: x' + chr(10))}", 60_000
    ),
    "unknown conditions": (_items("  - {relu: , when: $(x@ > 0)}\n"), 25_000),
    "open brackets": (lambda n: "params: {" + "a: $(" * n + "\nbody: [relu]\n", 150_000),
    "open brackets, named": (lambda n: "body: [{conv: {" + each(n, "a@: $(, ") + "}}]\n", 60_000),
    "parentheses": (lambda n: f"params: {{a: $({'(' * n}1{')' * n})}}\nbody: [relu]\n", 100_000),
    "a sum": (lambda n: f"params: {{a: $({'1+' * n}1)}}\nbody: [relu]\n", 300_000),
    "bodies in bodies": (lambda n: f"body: {'[{body: ' * n}[relu]{'}]' * n}\n", 1_000),
    "relu": (_items("- relu\n"), 130_000),
    "a repeat": (lambda n: f"body: [{{repeat: {n}, relu: }}]\n", 200_000),
    "variants": (
        lambda n: f"params: {{w: 8}}\nvariants:\n{each(n, '  v@: {w: @@}' + chr(10))}"
        "body: [{conv: {out: $w, kernel: 1}}]\n",
        40_000,
    ),
    "large variants": (
        lambda n: f"params: {{w: 8}}\nvariants:\n{each(n, '  v@: {w: @@}' + chr(10))}"
        "body: [{conv: {out: $w, kernel: 1}}, {repeat: 5000, relu: }]\n",
        40_000,
    ),
    "expectations": (lambda n: "body: [relu]\nexpect:\n" + each(n, "  v@: {params: 1}\n"), 40_000),
    "concat": (_merged("concat"), 25_000),
    "add": (_merged("add"), 25_000),
    "taps": (
        lambda n: "body:\n" + each(n, "  - {id: n@, relu: }\n")
        + f"outputs: {{{', '.join(f'o{i}: n{i}' for i in range(n))}}}\n",
        20_000,
    ),
    "axes": (lambda n: f"spec: 1\nname: t\ninput: {[2] * n}\nbody: [relu]\n", 250_000),
    "a shape": (lambda n: f"body: [{{reshape: {[1] * n + [192]}}}]\n", 250_000),
    "a long list, summed": (
        lambda n: 'params: {a: "$(range(9999))"}\n'
        f'body: [{{repeat: {n}, conv: {{out: "$(1 + 0 * sum(a))", kernel: 1}}}}]\n',
        99_999,
    ),
    "long lists": (lambda n: f"params:\n{each(n, '  a@: $([0]*9999)' + chr(10))}{END}", 40_000),
    "defaults": (
        lambda n: "blocks: {B: {params: {n: $(range(9999))}, body: [relu]}}\n"
        f"body: [{{repeat: {n}, B: }}]\n",
        99_999,
    ),
    "params of a block": (
        lambda n: f"blocks: {{B: {{params: {{{each(n, 'p@: 1, ')}}}, body: [relu]}}}}\n"
        "body: [{repeat: 90000, B: }]\n",
        30_000,
    ),
    "inputs of a block": (
        lambda n: f"blocks: {{B: {{inputs: [{each(n, 'p@, ')}], body: [relu]}}}}\n"
        f"body: [{{from: [{'input, ' * n}], B: }}]\n",
        30_000,
    ),
    "all before": (
        lambda n: f"body: [{{id: d$k, repeat: {{k: $(range({n}))}}, from: [input, d*], add: }}]\n",
        9_999,
    ),
    "inputs, repeated": (
        lambda n: f"body: [{{repeat: 5000, add: [{'prev, ' * n}]}}]\n", 100_000
    ),
    "keys given twice": (lambda n: each(n, "k@: 1\n") * 2 + END, 50_000),
    "wrong fields": (
        _items("  - {conv: {out: $(input.chanels@), kernel: 1}}\n"), 20_000
    ),
    "calls, written": (
        lambda n: "blocks: {B: {body: [relu]}}\nbody: [" + "B," * n + "relu]\n", 520_000
    ),
    "branches, written": (
        lambda n: f"body: [{{branches: [{'relu,' * n}relu], merge: concat}}]\n", 200_000
    ),
    "shared twice in one another": (
        lambda n: "body:\n- {id: a0, body: [{conv: {out: 3, kernel: 1}}]}\n"
        + each(n, "- {id: a@@, body: [{shared: a@}, {shared: a@}]}\n"),
        50,
    ),
    "shared groups": (
        lambda n: f"body: [{{id: a, body: [relu]}}, {{repeat: {n}, shared: a}}]\n", 99_990
    ),
    "groups with names": (
        lambda n: f"body: [{{id: a, repeat: {n}, body: [{{id: b, body: [relu]}}]}}]\n", 99_990
    ),
    "unlike calls": (
        lambda n: "blocks: {B: {params: {n: 1}, body: [relu]}}\n"
        f"body: [{{repeat: {n}, B: $(loop.index)}}]\n",
        99_990,
    ),
    "unlike layers": (
        lambda n: f"body: [{{repeat: {n}, dropout: $(0.5 * loop.index / loop.count)}}]\n", 99_990
    ),
    "defaults that are computed": (
        lambda n: f"blocks: {{B: {{params: {{p0: 1, {each(n, 'p@@: $p@, ')}}}, body: [relu]}}}}\n"
        "body: [{repeat: 9000, B: }]\n",
        30_000,
    ),
    "frozen in vain": (
        lambda n: f"body: [{{repeat: {n}, freeze: [conv1], "
        "body: [{conv: {out: 3, kernel: 1}}, relu]}]\n",
        49_990,
    ),
    "one input, very often": (lambda n: f"body: [{{add: [{'prev,' * n}]}}]\n", 200_000),
    "a variant at the end": (
        lambda n: "params: {w: 1}\nvariants: {v: {w: 99}}\n"
        f"body: [{'relu,' * n}{{conv: {{out: 3, kernel: $w}}}}]\n",
        99_990,
    ),
    "long ids": (_items(f"  - {{id: {'n' * 3000}@, relu: }}\n"), 300),
    "keys of a document": (lambda n: each(n, "k@: 1\n"), 90_000),
    "keys without values": (lambda n: each(n, "k@:\n") + END, 120_000),
    "keys in an item": (lambda n: f"body: [{{conv: 3, {each(n, 'k@: 1, ')}}}]\n", 80_000),
    "blocks in an item": (lambda n: f"body: [{{{each(n, 'Conv@: 1, ')}}}]\n", 72_000),
    "paths to nothing": (_items("  - {from: zz@, relu: }\n"), 40_000),
    "ids that begin alike": (
        _items("  - {id: a$(@), relu: }\n  - {from: a$(@)x, relu: }\n"), 18_000
    ),
    "products that are lists": (
        _items('  - {conv: {out: "$(1 + 0 * len([0] * 9999))", kernel: 1}}\n'), 18_000
    ),
    "a scalar, very long": (lambda n: f"title: {'x' * n}\n{END}", 10**6),
    "a path, very long": (lambda n: f"body: [relu, {{from: {'a.' * n}b, relu: }}]\n", 500_000),
    "digits, very many": (lambda n: f"body: [{{dropout: 0.{'1' * n}}}]\n", 10**6),
    "tags": (_items("  - !!python/object:os.system {a: @}\n"), 25_000),
    "anchors and aliases": (lambda n: f"params:\n{each(n, '  a@: &b@ 1' + chr(10))}{END}", 50_000),
    "keys that are lists": (lambda n: f"params:\n{each(n, '  ? [a, @]' + chr(10))}{END}", 50_000),
    "huge numbers": (_params("  a@@: $(9**300 * 9**300 // 7**500)\n"), 25_000),
    "signs that mean nothing": (_params("  a@@: $(\u0663 + \u00e9@)\n"), 30_000),
    "expressions too deep": (_params(f"  a@@: $({'-' * 900}1)\n"), 1_100),
    "ternaries in a row": (
        _items(f"  - {{conv: {{out: $({'1 if 1 == 2 else ' * 40}3), kernel: 1}}}}\n"), 1_200
    ),
    "comparisons in a row": (_items(f"  - {{relu: , when: $({'1 <= ' * 150}2)}}\n"), 1_200),
    "comprehensions in columns": (
        lambda n: "blocks: {B: {params: {c: required, d: '$([i * 2 for i in c])'}, "
        "body: [{relu: , when: '$(len([j for j in d if j > 3]) > 0)'}]}}\nbody:\n"
        f"  - {{repeat: {{x: '$([[i, i] for i in range({n})])'}}, B: '$([k for k in x])'}}\n",
        3_000,
    ),
    "blocks that widen one another": (
        lambda n: "blocks:\n" + "".join(
            f"  {a}: {{params: {{w: required, d: required}}, body: [{{id: c, conv: [$w, 1]}}, "
            f"{{{b}: {{w: $(w + 1), d: $(d - 1)}}, when: $(d > 0)}}]}}\n" for a, b in ("AB", "BA")
        ).replace("conv: [$w, 1]", "conv: {out: $w, kernel: 1}")
        + f"body:\n{each(n, '  - A: {w: @@, d: 150}' + chr(10))}",
        20_000,
    ),
    "absent, each behind another": (
        lambda n: "body:\n  - {id: a0, relu: }\n"
        + each(n, "  - {id: a@@, from: a@, when: false, relu: }\n"),
        20_000,
    ),
    "variants that set all params": (
        lambda n: f"params: {{{each(n, 'p@: 1, ')}}}\nvariants:\n"
        + "".join(f"  v{k}: {{{each(n, 'p@: 2, ')}}}\n" for k in range(n)) + END,
        320,
    ),
    "words that variants set": (
        lambda n: f"params: {{a: w}}\nvariants:\n{each(n, '  v@: {a: w@}' + chr(10))}body:\n"
        + each(n, '  - {relu: , when: $(a == "x@")}\n') + "  - relu\n",
        13_000,
    ),
    "totals of variants": (
        lambda n: f"params: {{a: 1}}\nvariants:\n{each(n, '  v@: {}' + chr(10))}expect:\n"
        + each(n, "  v@: {params: 12}\n") + END,
        22_000,
    ),
    "shapes that are expected": (_items("  - {relu: , expect: [3, ~, $(4 * 2)]}\n"), 22_000),
    "a head of all": (
        lambda n: f"head: [{each(n, 'a@, ')}]\nbody:\n{each(n, '  - {id: a@, relu: }' + chr(10))}",
        25_000,
    ),
    "names of weights": (
        lambda n: "weights:\n  timm: x\n  rename:\n"
        + each(n, '    "a@.{i}.": "b{i + @}.{[0, 3, 6][i]}."\n') + END,
        18_000,
    ),
    "weights that are ignored": (
        lambda n: "weights: {timm: x, ignore: [" + each(n, "'*a*@*b*', ") + f"]}}\n{END}",
        60_000,
    ),
    "inputs in a row": (
        lambda n: f"spec: 1\nname: t\ninput: {{{each(n, 'i@: [3, 8, 8], ')}}}\nbody:\n"
        + each(n, "  - {from: [prev, i@], add: }\n  - {conv: {out: 3, kernel: 3, padding: 1}}\n"),
        9_000,
    ),
    "axes of expressions": (
        lambda n: "spec: 1\nname: t\nparams: {s: 8}\n"
        f"input: {{{each(n, 'i@: [3, {T@: $(s + @)}], ')}}}\nbody: [{{from: i0, relu: }}]\n",
        25_000,
    ),
    "columns that each item reads": (
        lambda n: f"body:\n  - repeat: {{{each(n, 'c@: [a, b], ')}}}\n    body:\n"
        + each(n, '      - {relu: , when: $(c@ == "a")}\n'),
        15_000,
    ),
    "frozen, and absent": (
        lambda n: "blocks: {B: {body: ["
        + each(n, "{id: c@, when: $(@ % 2 == 0), conv: {out: 3, kernel: 1}}, ")
        + f"]}}}}\nbody: [{{B: , freeze: [{each(n, 'c@, ')}]}}]\n",
        13_000,
    ),
    "frozen copies": (
        lambda n: f"body: [{{id: g, freeze: [{each(n, 'a.@, ')}], "
        f"body: [{{id: a, repeat: {n}, conv: {{out: 3, kernel: 1}}}}]}}]\n",
        60_000,
    ),
    "files that are not there": (
        lambda n: f"use:\n{each(n, '  A@: nothing_@' + chr(10))}{END}", 40_000
    ),
}  # fmt: skip


# Mistakes at the very end, after all the work.
LATE = ("", "expect: {t: {params: 7}}\n", "outputs: {y: nowhere}\n")


def drawn(draw: random.Random) -> tuple[str, str]:
    """A name with its size, and a text."""
    name = draw.choice(list(TEXTS))
    write, most = TEXTS[name]
    size = most if draw.random() < 0.3 else int(most ** draw.uniform(0.3, 1))
    late = draw.choice(LATE)
    while len(text := _headed(write(size) + late)) >= 1 << 20:
        size = size * 9 // 10
    return f"{name}, {size:,}{', a mistake at the end' * bool(late)}", text


def _headed(text: str) -> str:
    return text if text.startswith("spec:") else HEAD + text


def _checked(text: str) -> Iterator[str]:
    begin, before = time.process_time(), megabytes()
    nodes = 0
    try:
        program, _ = Run(from_text(text, "t.yaml"), Choice()).everywhere()
        nodes = len(program.schedule.steps)
    except SpecError:
        pass
    took, memory = time.process_time() - begin, megabytes() - before
    said = f"{took:.1f} s, {memory:.0f} MB" + (f", {nodes:,} nodes" if nodes else "")
    if took > SECONDS + 60e-6 * nodes:
        yield f"SLOW: {said}"
    elif memory > MEGABYTES + 8e-3 * nodes:
        yield f"LARGE: {said}"
    else:
        yield f"accepted: {said}" if nodes else f"refused: {said}"


def megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def trial(seed: int, folder: Path) -> Iterator[str]:
    name, text = drawn(random.Random(seed))
    for outcome in apart(lambda: _checked(text), 20, 4000):
        yield f"{outcome}, of {name}"
