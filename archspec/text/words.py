"""Values and names → the words of a complaint: one spelling of each, everywhere.

written([1, None, {"a": True}])   [1, null, {a: true}]     as an author writes it
show("same")                      "same"                   as a sentence names it
kind(3)                           the number 3             where something else belongs
listed(["conv", "add", "max"])    `conv`, `add` and `max`
did_you_mean("cnov", ["conv"])    did you mean `conv`?
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from operator import eq
from typing import Any

_FEW = 6  # entries of a list that a sentence shows
_NAMED = 30  # names in one sentence
_KNOWN = 24  # names that a remedy lists
_LIKE = 0.65  # how alike a word is to a name of which it is a slip
_LONGER = 1  # letters that it has more or less, if it begins in another way
_MANY = 64  # names that a word is compared with letter by letter; of more those beside it
_TWICE = 0.75  # how alike a word is to one that is given already, of which it is a slip
_WORD = 64  # characters of a word that may be a slip of another

# `kernel; 3`, `kernel := 3`, `params {out`: another sign where a key and its value are parted.
_GLUED = re.compile(r"([A-Za-z_]\w*)(?: *(?::=|=|;) *|[.,] +| +(?=[{\[]))(.+)", re.DOTALL)

# Refused wherever they stand: controls, what reorders or hides text, letters and marks that are
# blank, lone surrogates, non-characters. A variation selector only chooses how a sign looks.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"
    "\ufeff\ufff9-\uffff\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor or hide what it says."""
    text = text.replace("\t", " ").replace("\n", " ")
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def character(char: str) -> str:
    """A character's number and name: `U+202E (right-to-left override)`."""
    import unicodedata

    return f"U+{ord(char):04X} ({unicodedata.name(char, 'a control character').lower()})"


def cut(text: str, most: int = 60) -> str:
    """The text on one line, of at most `most` characters."""
    return shortened(" ".join(text.split()), most)


def shortened(text: str, most: int) -> str:
    """The text as it is, of at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def opening(text: str) -> str:
    """How a text begins: its first line, of at most 40 characters."""
    return shortened(text.split("\n", 1)[0], 40)


def written(value: object) -> str:
    """A value as an author writes it: `true`, `null`, `[1, 2]`, `{a: 1}`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    return str(value)


def show(value: object) -> str:
    """A value as a sentence names it: `true`, a text in quotes, the first entries of a list."""
    if value is None:
        return "nothing (`null`)"
    if isinstance(value, bool):
        return f"`{written(value)}`"
    if isinstance(value, str):
        return f'"{cut(value)}"'
    if isinstance(value, (list, tuple)):
        shown = ", ".join(show(entry) for entry in value[:_FEW])
        return f"[{shown}{', …' if len(value) > _FEW else ''}]"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, int) and value.bit_length() >= 256:
        return "a very large number"
    return cut(str(value))


def kind(value: Any) -> str:
    """What a value is, where another kind belongs: `a list`, `the number 3`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return written(value)
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"the text `{cut(str(value))}`"


def joined(parts: Iterable[object], last: str = "and") -> str:
    """`a, b and c`; of very many how many more there are."""
    named = [*map(str, parts)]
    more = len(named) - _NAMED
    *before, end = [*named[:_NAMED], f"{more:,} more"] if more > 1 else named
    return f"{', '.join(before)} {last} {end}" if before else end


def listed(names: Iterable[str], last: str = "and") -> str:
    """Names in a sentence, each in backticks."""
    return joined((f"`{name}`" for name in names), last)


def near(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The one of `known` that `word` is likely a slip of, or "".

    `likeness`, from 0 to 1: by how much the letters are the same in order.
    """
    return next(iter(_nearest(word, known, likeness)), "")


def _nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> list[str]:
    """Those of `known` that a word is likely a slip of: several where they are equally near."""
    import difflib  # only a faulty spec pays for it

    if len(word) > _WORD:
        return []
    folded, names, backwards = _index(tuple(known))
    plain = word.lower().replace("_", "")
    likely: Iterable[str] = folded
    if len(folded) > _MANY:  # a slip stands between a beginning and an end that are right
        ends = (name[::-1] for name in _beside(plain[::-1], backwards))
        likely = dict.fromkeys((*_beside(plain, names), *ends))
    slips = {name: _slip(plain, name) for name in likely}
    best = max(slips.values(), default=0)
    found = [name for name, slip in slips.items() if slip == best]
    if best < 2 and (not best or likeness == 1):
        found = difflib.get_close_matches(plain, likely, n=3, cutoff=likeness)
    alike = {name: difflib.SequenceMatcher(None, name, plain).ratio() for name in found}
    if not best:  # that two thirds of the letters are the same says little, but for `ker`
        alike = {name: r for name, r in alike.items() if r >= _LIKE and _formed(plain, name)}
    if best:  # one letter away is one letter away: of several none is meant before the others
        return [folded[name] for name in sorted(alike, key=alike.__getitem__, reverse=True)]
    return [folded[name] for name in alike if alike[name] == max(alike.values())]


def _formed(word: str, name: str) -> bool:
    """Whether two words are about as long, or begin or end in one way."""
    begins = name.startswith(word[:3]) or word.startswith(name) or name.endswith(word)
    return begins or abs(len(word) - len(name)) <= _LONGER


def _slip(word: str, name: str) -> int:
    """2 where two letters changed places (61 is 16 rather than 19) or one is there twice; 1 where
    one is another, or one is too many or missing; else 0.
    """
    same = sum(takewhile(bool, map(eq, word, name)))
    before, word, name = word[:same], word[same:], name[same:]
    if word[:2] == name[1::-1] and word[2:] == name[2:]:
        return 2
    long = same + len(word) > 3
    twice = word[:1].isalpha() and before.endswith(word[:1])
    if long and twice and word[1:] == name:
        return 2
    return int(long and (word[1:] in (name, name[1:]) or word == name[1:]))


@lru_cache(maxsize=8)
def _index(known: tuple[str, ...]) -> tuple[dict[str, str], list[str], list[str]]:
    """Names by how they are compared; these in order, and in the order of their ends, turned."""
    folded = {k.lower().replace("_", ""): k for k in sorted(known, reverse=True)}
    return folded, sorted(folded), sorted(name[::-1] for name in folded)


def _beside(word: str, names: Sequence[str]) -> Sequence[str]:
    """The names next to a word in their order."""
    at = bisect_left(names, word)
    return names[max(0, at - _MANY // 2) : at + _MANY // 2]


def meant(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The remedy for a misspelt word: the name it is near, or ""."""
    names = [*known]
    glued = _GLUED.fullmatch(word)
    if glued and glued[1] in names:
        return f"write `{glued[1]}: {cut(glued[2])}`"
    guesses = _nearest(word, names, likeness)
    return f"did you mean {listed(sorted(guesses), 'or')}?" if guesses else ""


def free(word: str, known: Iterable[str], given: Collection[str]) -> str:
    """The remedy for a misspelt key, which means none that is `given` beside it; or ""."""
    names = list(known)
    guess = meant(word, [name for name in names if name not in given])
    twice = "" if guess else near(word, [name for name in names if name in given], _TWICE)
    return guess or (f"`{twice}` is given already: leave `{cut(word)}` out" if twice else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for an unknown word: the near name where there is one, else what is known."""
    names = list(known)
    few = 0 < len(names) <= _KNOWN
    return meant(word, names) or ("known: " + ", ".join(f"`{n}`" for n in names) if few else "")
