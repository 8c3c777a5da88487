"""A spec's text → texts that are broken in one place, as people break them.

    - {id: conv1, conv: {out: 64, kernel: 7}}   →   - {id: conv1, conv: {out: 64, kernal: 7}}
    body:                                       →   body

Each kind is a pattern and what is written in its place, at one of all its matches; some take a line
away or move it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

from archspec.layers import REGISTRY

Match = re.Match[str]
Line = Callable[[list[str], random.Random], "tuple[list[str], int] | None"]


class Break(NamedTuple):
    """One thing wrong: what kind, the text, the line that was broken, and how it was before."""

    kind: str
    text: str
    line: int
    before: str


# ------------------------------------------------------------------ words


def misspelt(word: str, rng: random.Random) -> str:
    """A letter doubled, left out, replaced, or two swapped."""
    k = rng.randrange(1, len(word)) if len(word) > 1 else 0
    ways = [
        word[:k] + word[k] + word[k:], word[:k] + word[k + 1 :], word[:k] + "x" + word[k + 1 :],
        word[: k - 1] + word[k] + word[k - 1] + word[k + 1 :] if k else word + word,
    ]  # fmt: skip
    return rng.choice([way for way in ways if way not in (word, "")] or [word + "x"])


def _number(text: str, rng: random.Random) -> str:
    return rng.choice(
        [f"-{text}", "0", f"{text}.5", f"{text}000000000000000000000", str(int(text) + 1)]
    )


_ELSEWHERE = {
    "conv": "Conv2d", "linear": "Linear", "batch_norm": "BatchNorm2d", "relu": "ReLU",
    "max_pool": "MaxPool2d", "layer_norm": "LayerNorm", "dropout": "Dropout", "gelu": "GELU",
    "embedding": "Embedding", "sigmoid": "Sigmoid", "softmax": "Softmax", "silu": "SiLU",
}  # fmt: skip
_OUT = {"out": "out_channels", "kernel": "kernel_size", "eps": "epsilon", "heads": "num_heads"}

_BEHIND = r"(?:(?<=- )|(?<=[{\[,] )|(?<=[{\[]))"  # where an item's operation may stand
_OP = rf"{_BEHIND}({'|'.join(sorted(REGISTRY, key=len, reverse=True))})(?=:| *$|[\],])"
_PARAM = r"\b(out|kernel|stride|padding|groups|bias|dilation|eps|hidden|heads|dim|axis|size)(?=: )"
_MODIFIER = (
    r"\b(id|from|repeat|when|tap|shortcut|merge|branches|residual|body|sequential|params|outputs|"
    r"inputs|input|blocks|variants|head|init|expect)(?=:)"
)
_CALL = rf"{_BEHIND}([A-Z]\w+)(?=:| *$|[\],])"

# kind: what is found, and what is written for its first group
WORDS: dict[str, tuple[str, Callable[[str, random.Random], str]]] = {
    "op misspelt": (_OP, misspelt),
    "op in capitals": (_OP, lambda w, _: w.capitalize()),
    "op as torch calls it": (_OP, lambda w, _: _ELSEWHERE.get(w, f"{w}2d")),
    "parameter misspelt": (_PARAM, misspelt),
    "parameter as torch calls it": (_PARAM, lambda w, _: _OUT.get(w, f"{w}s")),
    "key misspelt": (_MODIFIER, misspelt),
    "key in capitals": (_MODIFIER, lambda w, _: w.capitalize()),
    "block misspelt where it is called": (_CALL, misspelt),
    "block misspelt where it is": (r"^  ([A-Z]\w+)(?=:$)", misspelt),
    "name misspelt where it is read": (r"\$\(?([a-z]\w+)", misspelt),
    "param misspelt where it is": (r"params: \{(?:[^{}]*, )?([a-z]\w*)(?=: )", misspelt),
    "column misspelt": (r"repeat: \{(?:[^{}]*, )?([a-z]\w*)(?=: )", misspelt),
    "column in capitals": (r"repeat: \{(?:[^{}]*, )?([a-z]\w*)(?=: )", lambda w, _: w.upper()),
    "id misspelt": (r"\bid: ([a-z]\w+)(?=[,}\n])", misspelt),
    "path misspelt": (r"\bfrom: \[?([a-z]\w+)", misspelt),
    "head misspelt": (r"^head: ([a-z]\w+)", misspelt),
    "a space is missing behind a colon": (r"\w(: )(?=[\w\[{$-])", lambda w, _: ":"),
    "a colon is missing": (r"[a-z](:)(?= )", lambda w, _: ""),
    "an equals sign": (r"[a-z](: )(?=\w)", lambda w, _: "="),
    "a quote is open": (r": ()(?=[a-z]\w+[,}\n])", lambda w, _: '"'),
    "a bracket is missing at the end": (r"([\]}])", lambda w, _: ""),
    "a bracket is missing at the beginning": (r"([\[{])", lambda w, _: ""),
    "a bracket too many": (r"([\]}])", lambda w, _: w + w),
    "another bracket": (r"([\]}])", lambda w, _: "]" if w == "}" else "}"),
    "a comma is missing": (r"\w(, )", lambda w, _: " "),
    "a comma too many": (r"\w(, )", lambda w, _: ",, "),
    "a wide comma": (r"\w(, )", lambda w, _: "，"),
    "a tab": (r"^(  )(?= *[\w-])", lambda w, _: "\t"),
    "indented more": (r"^( +)(?=[\w-])", lambda w, rng: w + " " * rng.choice([1, 2])),
    "indented less": (r"^(  +)(?=[\w-])", lambda w, rng: w[: -rng.choice([1, 2])]),
    "a dash is missing": (r"^ +(- )", lambda w, _: ""),
    "a dash without a space": (r"^ +(- )", lambda w, _: "-"),
    "a long dash": (r"^ +(-) ", lambda w, _: "–"),
    "a space that does not break": (r"\w:( )\w", lambda w, _: "\u00a0"),
    "a number out of range": (r"(?:: |\[|, )(\d+)(?=[,\]}\n])", _number),
    "a number in quotes": (r"(?:: |\[|, )(\d+)(?=[,\]}\n])", lambda w, _: f"'{w}'"),
    "a word for a number": (r"(?:: |\[|, )(\d+)(?=[,\]}\n])", lambda w, _: "many"),
    "truth misspelt": (r": (true|false)\b", misspelt),
    "a value is missing": (r": (\d+|true|false|\$\w+)(?=[,}\n])", lambda w, _: ""),
    "an argument is missing": (r"(?<=[{ ])([a-z]\w*: [\w$.]+, )", lambda w, _: ""),
    "an entry is missing": (r"\[(?:[^\[\]{}]*, )?([\w$]+, )", lambda w, _: ""),
    "an entry too many": (r"\[(?:[^\[\]{}]*, )?([\w$]+, )", lambda w, _: w + w),
}  # fmt: skip


# ------------------------------------------------------------------ lines


def _some(lines: list[str], rng: random.Random) -> int:
    return rng.choice([k for k, line in enumerate(lines) if k > 1 and line.strip()])


def _gone(lines: list[str], rng: random.Random) -> tuple[list[str], int] | None:
    k = _some(lines, rng)
    return [*lines[:k], *lines[k + 1 :]], k


def _twice(lines: list[str], rng: random.Random) -> tuple[list[str], int] | None:
    k = _some(lines, rng)
    return [*lines[: k + 1], *lines[k:]], k


def _swapped(lines: list[str], rng: random.Random) -> tuple[list[str], int] | None:
    k = _some(lines[:-1], rng)
    return [*lines[:k], lines[k + 1], lines[k], *lines[k + 2 :]], k


def _cut(lines: list[str], rng: random.Random) -> tuple[list[str], int] | None:
    k = _some(lines, rng)
    return [*lines[:k], lines[k][: rng.randrange(1, len(lines[k]) + 1)]], k


LINES: dict[str, Line] = {
    "a line is missing": _gone, "a line too many": _twice, "two lines are swapped": _swapped,
    "the file is cut off": _cut,
}  # fmt: skip

KINDS = (*WORDS, *LINES)


def broken(kind: str, text: str, rng: random.Random) -> Break | None:
    """The text with one thing of this kind wrong; None where there is no place for it."""
    if kind in LINES:
        lines = text.splitlines(keepends=True)
        made = LINES[kind](lines, rng)
        if made is None or made[0] == lines:
            return None
        return Break(kind, "".join(made[0]), made[1] + 1, lines[made[1]])
    pattern, write = WORDS[kind]
    begin = text.index("\n", text.index("\nname:") + 1)  # titles and sources are words of people
    found = [m for m in re.finditer(pattern, text, re.MULTILINE) if _counts(m, text, begin)]
    if not found:
        return None
    match = rng.choice(found)
    new = write(match[1], rng)
    if new == match[1]:
        return None
    line = text.count("\n", 0, match.start(1)) + 1
    before = text.splitlines()[line - 1]
    return Break(kind, text[: match.start(1)] + new + text[match.end(1) :], line, before)


def _counts(match: Match, text: str, begin: int) -> bool:
    line = text[text.rfind("\n", 0, match.start(1)) + 1 : match.start(1)]
    return match.start(1) > begin and not re.match(r"(title|cite|note):", line) and "#" not in line
