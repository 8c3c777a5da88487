"""Pairs of names → a short table that says the same: common parts, numbers as variables."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from archspec.language.renames import Rename, names, pattern

Pair = tuple[str, str]  # a name of ours, the name in the source

_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,8})(?![0-9])")
_VARIABLES = "ijklmnpqrs"


def fold(pairs: Collection[Pair], reshaped: Collection[str] = ()) -> dict[str, Any]:
    """`rename` for these pairs: what it gives for each of our names is checked.

    Our names in `reshaped` get entries of their own that say so. Equal names need none.
    """
    wanted = dict(pairs)
    table: dict[str, Any] = {a: {"from": wanted[a], "reshape": True} for a in sorted(reshaped)}
    plain = {a: b for a, b in pairs if a not in table}
    parts = dict.fromkeys(_part(a, b, plain) for a, b in plain.items() if a != b)
    for group in _alike(parts):
        for left, right in _general(group, plain):
            table[left] = right
    return table


def _part(ours: str, theirs: str, pairs: Mapping[str, str]) -> Pair:
    """The shortest parts of both names whose exchange is right for all names below ours."""
    here, there = ours.split("."), theirs.split(".")
    most = 0
    while most < min(len(here), len(there)) and here[-1 - most] == there[-1 - most]:
        most += 1
    for cut in range(most, 0, -1):
        left, right = (".".join([*x[:-cut], ""]) for x in (here, there))
        if left and all(
            b == right + a.removeprefix(left) for a, b in pairs.items() if a.startswith(left)
        ):
            return left, right
    return ours, theirs


def _alike(parts: Iterable[Pair]) -> list[list[Pair]]:
    """Groups that differ in numbers alone."""
    groups: dict[Pair, list[Pair]] = {}
    for left, right in parts:
        key = _NUMBER.sub("#", left), _NUMBER.sub("#", right)
        groups.setdefault(key, []).append((left, right))
    return list(groups.values())


def _general(group: list[Pair], pairs: Mapping[str, str]) -> list[Pair]:
    """One entry for the whole group where one is right; else the fewest, by one number apart."""
    if len(group) == 1:
        return group
    entry = _formula(group)
    if entry is not None and _right(entry, group, pairs):
        return [entry]
    best = group
    numbers = [_NUMBER.findall(left) for left, _ in group]
    for slot in range(len(numbers[0])):
        apart: dict[str, list[Pair]] = {}
        for found, pair in zip(numbers, group, strict=True):
            apart.setdefault(found[slot], []).append(pair)
        if 1 < len(apart) < len(best):
            entries = [entry for inner in apart.values() for entry in _general(inner, pairs)]
            best = min(best, entries, key=len)
    return best


def _formula(group: Sequence[Pair]) -> Pair | None:
    """Our numbers as variables where they vary; each of theirs constant, or one of ours shifted."""
    left = [list(map(int, _NUMBER.findall(a))) for a, _ in group]
    right = [list(map(int, _NUMBER.findall(b))) for _, b in group]
    slots = [[row[k] for row in left] for k in range(len(left[0]))]
    varying = [k for k, values in enumerate(slots) if len(set(values)) > 1]
    if len(varying) > len(_VARIABLES):
        return None
    named = dict(zip(varying, _VARIABLES, strict=False))
    texts = []
    for k in range(len(right[0])):
        values = [row[k] for row in right]
        text = _term(values, {named[slot]: slots[slot] for slot in varying})
        if text is None:
            return None
        texts.append(text)
    ours = [f"{{{named[k]}}}" if k in named else str(values[0]) for k, values in enumerate(slots)]
    return _filled(group[0][0], ours), _filled(group[0][1], texts)


def _term(values: Sequence[int], known: Mapping[str, Sequence[int]]) -> str | None:
    """`3`, `{i}`, `{i+1}`; None where neither gives these values."""
    if len(set(values)) == 1:
        return str(values[0])
    for name, ours in known.items():
        shifts = {b - a for a, b in zip(ours, values, strict=True)}
        if len(shifts) == 1:
            shift = shifts.pop()
            return f"{{{name}{shift:+}}}" if shift else f"{{{name}}}"
    return None


def _filled(text: str, numbers: Sequence[str]) -> str:
    """The text with its numbers replaced, one after the other."""
    left = iter(numbers)
    return _NUMBER.sub(lambda _: next(left), text)


def _right(entry: Pair, group: Sequence[Pair], pairs: Mapping[str, str]) -> bool:
    """Whether an entry gives the wanted name for each of ours that it matches, all the group's."""
    ours = pattern(entry[0])
    rename = Rename(ours, (names(entry[1], ours.variables),))
    found = {a: sources[0] for a in pairs if (sources := rename.sources(a)) is not None}
    if any(pairs[a] != b for a, b in found.items()):
        return False
    return all(any(a == left or a.startswith(left) for a in found) for left, _ in group)


def section(table: Mapping[str, Any], ignore: Sequence[str] = ()) -> str:
    """`weights: {ignore: …, rename: …}` as a spec has it, one entry a line; "" for none."""
    if not table and not ignore:
        return ""
    lines = ["weights:"]
    if ignore:
        lines.append(f"  ignore: {json.dumps([*ignore])}")
    if table:
        lines.append("  rename:")
    for left, right in table.items():
        text = (
            f'"{right}"'
            if isinstance(right, str)
            else f'{{from: "{right["from"]}", reshape: true}}'
        )
        lines.append(f'    "{left}": {text}')
    return "\n".join(lines) + "\n"
