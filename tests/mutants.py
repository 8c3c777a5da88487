"""An emitted text → texts that differ from it in one token, and whether one still does the same.

self.conv1 = nn.Conv2d(3, 8, 1)   →   self.conv1 = nn.Conv2d(3, 9, 1)
x = self.conv1(x)                 →   x = self.conv2(x)
x.reshape(x.shape[0], x.shape[2]) →   x.reshape(x.shape[0], 32)
"""

from __future__ import annotations

import ast
import io
import keyword
import random
import re
import tokenize
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from archspec.emit.torch_code import source
from archspec.network import Program

_OTHER = {
    "+": "-", "-": "+", "*": "//", "//": "*", "/": "*", "**": "*", "@": "+", "==": "!=",
    "!=": "==", "<": ">", ">": "<", "<=": ">", ">=": "<", "True": "False", "False": "True",
    "and": "or", "or": "and", "not": "", "None": "0",
}  # fmt: skip
MOST = 64  # sizes tried
_FIXED = frozenset({"nn", "torch", "Tensor", "super", "__init__", "forward"})
_DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


def mutants(text: str, seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Texts with one token changed, each with what was changed."""
    rng, lines = random.Random(seed), text.splitlines(keepends=True)
    given = _given(text)
    tokens = [
        t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.start[0] not in given
    ]
    names = sorted({t.string for t in tokens if _named(t)})
    tokens = [t for t in tokens if t.type == tokenize.NUMBER or _named(t) or t.string in _OTHER]
    for _ in range(count):
        token = rng.choice(tokens)
        new = _changed(token, names, rng)
        if new != token.string:
            (row, start), (_, end) = token.start, token.end
            line = lines[row - 1]
            mutant = [*lines[: row - 1], line[:start] + new + line[end:], *lines[row:]]
            yield "".join(mutant), f"{line.strip()}  [{token.string} -> {new}], line {row}"


def with_fixed_sizes(text: str) -> Iterator[Iterator[str]]:
    """For each size that forward reads of a tensor: the text with a number there, of many."""
    begin = next(n.lineno for n in ast.parse(text).body if _of_the_spec(n)) - 1
    at = sum(map(len, text.splitlines(keepends=True)[:begin]))
    for m in re.finditer(r"\w+\.shape\[[1-9]\]", text[at:]):
        before, after = text[: at + m.start()], text[at + m.end() :]
        yield (f"{before}{n}{after}" for n in range(MOST))


def _of_the_spec(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and node.name not in source()


def _given(text: str) -> set[int]:
    """The lines that are the same in every text: imports, and definitions that torch lacks."""
    return {
        line
        for node in ast.parse(text).body
        if isinstance(node, (ast.Import, ast.ImportFrom)) or getattr(node, "name", "") in source()
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }


def _named(token: tokenize.TokenInfo) -> bool:
    fixed = keyword.iskeyword(token.string) or token.string in _FIXED
    return token.type == tokenize.NAME and not fixed


def _changed(token: tokenize.TokenInfo, names: list[str], rng: random.Random) -> str:
    text = token.string
    if token.type == tokenize.NUMBER:
        n = ast.literal_eval(text)
        return rng.choice((str(n + 1), str(n - 1), str(2 * n), "0", "1", "2"))
    if text in _OTHER:
        return _OTHER[text]
    stem = re.sub(r"\d+$", "", text)
    near = [n for n in names if re.sub(r"\d+$", "", n) == stem and n != text]
    return rng.choice(near if near and rng.random() < 0.6 else names)


# ---------------------------------------------------------------- the same to torch


def network(text: str) -> type[nn.Module]:
    """The class of the network that a text defines."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, "<mutant>", "exec"), names)
    found: type[nn.Module] = names[ast.parse(text).body[-1].name]  # type: ignore[attr-defined]
    return found


def difference(text: str, other: type[nn.Module], program: Program) -> str:
    """What a text does in another way than the right class, in one word; "" if nothing."""
    try:
        return _difference(network(text), other, program)
    except Exception as failed:
        return f"{type(failed).__name__}: {failed}"


def _difference(cls: type[nn.Module], other: type[nn.Module], program: Program) -> str:
    torch.manual_seed(0)
    module = cls()
    torch.manual_seed(0)
    right = other()
    here, there = module.state_dict(), right.state_dict()
    if {k: v.shape for k, v in here.items()} != {k: v.shape for k, v in there.items()}:
        return "weights"
    if any(not torch.equal(here[k], v) for k, v in there.items()):
        return "initial values"
    learned = [{n: p.requires_grad for n, p in m.named_parameters()} for m in (module, right)]
    if learned[0] != learned[1]:
        return "what is learned"
    state = {k: _numbers(k, v) for k, v in there.items()}
    for m in (module, right):
        m.load_state_dict(state)
    inputs = _inputs(program)
    for training in (False, True):
        outputs = [_run(m, inputs, training) for m in (module, right)]
        if not _equal(*outputs):
            return "outputs"
    after = zip(module.state_dict().values(), right.state_dict().values(), strict=True)
    return "" if all(_equal(a, b) for a, b in after) else "statistics"


def _numbers(name: str, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return like
    return torch.rand(like.shape) + 0.1 if "var" in name else 0.4 * torch.randn(like.shape)


def _inputs(program: Program) -> list[Tensor]:
    types = [node.outs[0] for node in program.graph.steps if node.layer is None]
    return [
        torch.randn(2, *t.shape)
        if t.dtype == "float"
        else torch.randint(0, 2, (2, *t.shape)).to(_DTYPES[t.dtype])
        for t in types
    ]


def _run(module: nn.Module, inputs: list[Tensor], training: bool) -> Any:
    torch.manual_seed(3)
    with torch.no_grad():
        return module.train(training)(*inputs)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        same = a.shape == b.shape and a.dtype == b.dtype
        return same and bool(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_equal(a[k], b[k]) for k in a)
    listed = isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b)
    return listed and all(map(_equal, a, b))
