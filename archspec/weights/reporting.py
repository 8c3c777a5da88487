"""What becomes of every tensor, of the model's and of the source's: data, and text to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from archspec.weights.recipes import Recipe, Stored

_MOST = 12  # tensors that a text lists under one heading


@dataclass(frozen=True, slots=True)
class Line:
    """One tensor: its name, its shape here and in the source, what it is made of, and why.

    `twice`: where the source has it under other names as well.
    """

    name: str
    here: Stored | None = None  # None: it is the source's only
    there: Stored | None = None  # None: the source has none; after conversion, where there is one
    recipe: Recipe | None = None
    why: str = ""
    twice: tuple[Recipe, ...] = ()

    def record(self) -> dict[str, Any]:
        """As plain data."""
        found: dict[str, Any] = {"name": self.name}
        for key, stored in (("shape", self.here), ("source_shape", self.there)):
            if stored is not None:
                found[key] = list(stored.shape)
        if self.recipe is not None:
            found |= {"sources": list(self.recipe.sources), "matched": self.recipe.how}
        return found | ({"why": self.why} if self.why else {})

    def __str__(self) -> str:
        here, there = self.here, self.there
        text = f"{self.name} {list(here.shape)}" if here is not None else self.name
        if here is not None and there is not None and here.shape != there.shape:
            text += f", in the source {list(there.shape)}"
            if not self.why and _alike(here.shape, there.shape):
                source = self.recipe.sources[0] if self.recipe else self.name
                text += f"; `{{from: {source}, reshape: true}}` in `rename` takes it"
        return text + (f": {self.why}" if self.why else "")


def _alike(here: Sequence[int], there: Sequence[int]) -> bool:
    """Whether it is the weight of one layer in two forms: `linear` and a convolution, [1, T, D]."""
    plain = [n for n in here if n != 1] == [n for n in there if n != 1]
    return len(here) != len(there) and prod(here) == prod(there) and (plain or here[0] == there[0])


@dataclass(frozen=True, slots=True)
class Report:
    """A transfer: what is loaded and how each name was matched, and all that is not.

    `fresh` keeps what the model was initialised with: the head, and what the caller allowed.
    `left_over` are tensors of the source that nothing took, and that are allowed to be. `missing`,
    `conflicts` and `unexpected` are why a transfer is refused; where all three are empty it is
    `ok`. `notes` is what else was done: a wrapper's prefix taken off, a first convolution adapted.
    """

    model: str
    source: str
    loaded: tuple[Line, ...] = ()
    fresh: tuple[Line, ...] = ()
    left_over: tuple[Line, ...] = ()
    missing: tuple[Line, ...] = ()
    conflicts: tuple[Line, ...] = ()
    unexpected: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()  # what may be meant, where tensors are not matched

    @property
    def ok(self) -> bool:
        """Whether every tensor is accounted for."""
        return not (self.missing or self.conflicts or self.unexpected)

    @property
    def groups(self) -> Iterator[tuple[str, tuple[Line, ...]]]:
        """Title and tensors of each kind of fate."""
        yield "re-initialised", self.fresh
        yield "left over", self.left_over
        yield "missing", self.missing
        yield "conflict", self.conflicts
        yield "unexpected", self.unexpected

    def record(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "model": self.model,
            "source": self.source,
            "ok": self.ok,
            "loaded": [line.record() for line in self.loaded],
            **{
                title.replace("-", "_").replace(" ", "_"): [line.record() for line in lines]
                for title, lines in self.groups
            },
            "notes": list(self.notes),
            "hints": list(self.hints),
        }

    def _folded(self) -> list[str]:
        """What is left over, as one where nothing around it is taken: a stage, not its tensors."""
        recipes = [line.recipe for line in self.loaded if line.recipe is not None]
        taken = {prefix for r in recipes for name in r.sources for prefix in _prefixes(name)}
        found: dict[str, list[Line]] = {}
        for line in self.left_over:
            first = next((p for p in _prefixes(line.name) if p not in taken), line.name)
            found.setdefault(first, []).append(line)
        return [
            str(lines[0]) if len(lines) == 1 else f"{first}, {_count(len(lines))}: {lines[0].why}"
            for first, lines in found.items()
        ]

    def __str__(self) -> str:
        total = sum(line.here is not None for _, lines in self.groups for line in lines)
        total += len(self.loaded)
        lines = [f"{self.model} <- {self.source}"]
        lines.append(f"{'loaded':<15} {len(self.loaded):,} of {total:,} tensors")
        ways = Counter(line.recipe.how for line in self.loaded if line.recipe is not None)
        shown = ways.most_common(_MOST)
        lines += [f"{n:>15,} by {how}" for how, n in shown]
        others = sum(ways.values()) - sum(n for _, n in shown)
        if others:
            lines.append(f"{others:>15,} in {len(ways) - _MOST:,} other ways")
        for title, group in self.groups:
            if group:
                lines.append(f"{title:<15} {_count(len(group))}")
            texts = self._folded() if group is self.left_over else list(map(str, group))
            lines += [f"{'':<15} {text}" for text in texts[:_MOST]]
            if len(texts) > _MOST:
                lines.append(f"{'':<15} and {len(texts) - _MOST:,} more")
        lines += [f"{'note':<15} {note}" for note in self.notes]
        if not self.ok:
            lines += [f"{'help':<15} {hint}" for hint in self.hints]
        return "\n".join(lines)


def _count(n: int) -> str:
    return f"{n:,} tensor" if n == 1 else f"{n:,} tensors"


def _prefixes(name: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.weight`."""
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        yield ".".join(parts[:k])
