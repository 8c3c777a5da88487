"""A pattern of axes by letters → torch.einsum, checked.

einsum: "hqd,hkd->hqk", on [8, 7, 64] and [8, 5, 64]
    torch.einsum("ahqd,ahkd->ahqk", x0, x1)        [8, 7, 5]; a is the batch axis
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from string import ascii_letters
from typing import Annotated

from pydantic import Field

from archspec.layers.base import (
    WHOLE,
    Arg,
    Call,
    Kept,
    Layer,
    Mismatch,
    Reach,
    TensorType,
)
from archspec.layers.strides import Lying, Sizes, Strides, viewed
from archspec.layers.window import expect_dtype
from archspec.text.words import listed

_PATTERN = re.compile(r"([A-Za-z]*(?:,[A-Za-z]*)?)->([A-Za-z]*)")


class Einsum(Layer):
    """Products of one input or two, summed over the letters that the result leaves out.

    torch.einsum; each letter is an axis behind the batch axis: "qd,kd->qk".
    """

    autocast = "half"
    op = "einsum"
    family = "merge"
    merges = functional = True
    takes = ("*",)
    examples = (
        ({"pattern": "qd,kd->qk"}, ((7, 6), (5, 6))),
        ({"pattern": "hqd,hkd->hqk"}, ((2, 7, 6), (2, 5, 6))),
        ({"pattern": "chw->c"}, ((4, 8, 9),)),
        ({"pattern": "ij,jk->ki"}, ((3, 4), (4, 5))),
        ({"pattern": "ij->ji"}, ((3, 4),)),
    )

    pattern: Annotated[str, Field(strict=True, max_length=64)] = Field(
        description="letters of each input's axes, `->`, letters of the result's: `qd,kd->qk`"
    )

    def check(self) -> None:
        pattern = self.pattern.replace(" ", "")
        if not _PATTERN.fullmatch(pattern):
            why = "letters for each of one input or two, then `->` and letters: `qd,kd->qk`"
            raise self.bad("pattern", why, code="E210")
        terms, out = self.parts
        for term in (*terms, out):
            if len(set(term)) < len(term):
                raise self.bad("pattern", f"a letter stands twice in {term}", code="E210")
        unknown = sorted(set(out) - set("".join(terms)))
        if unknown:
            why = f"{listed(unknown)} of the result stands in no input"
            raise self.bad("pattern", why, code="E210")

    @property
    def parts(self) -> tuple[list[str], str]:
        """The letters of each input, and those of the result."""
        inputs, _, out = self.pattern.replace(" ", "").partition("->")
        return inputs.split(","), out

    def sizes(self, ins: tuple[TensorType, ...]) -> dict[str, int]:
        """The cells of each letter. Raises Mismatch."""
        terms, _ = self.parts
        if len(terms) != len(ins):
            why = f"it names {len(terms)} inputs, and there are {len(ins)}"
            raise self.misfit("pattern", why, code="E311")
        found: dict[str, int] = {}
        for term, t in zip(terms, ins, strict=True):
            expect_dtype(self.op, t)
            if len(term) != t.rank:
                raise self.misfit("pattern", f"{term or 'no letter'} is said of {t}", code="E302")
            for letter, n in zip(term, t.shape, strict=True):
                if found.setdefault(letter, n) != n:
                    message = f"`{letter}` of `einsum` is {found[letter]} cells and {n}"
                    raise Mismatch(message, code="E203")
        return found

    def infer(self, *ins: TensorType) -> tuple[TensorType, ...]:
        sizes, (_, out) = self.sizes(ins), self.parts
        return (TensorType(tuple(sizes[letter] for letter in out), "float", map=False),)

    def reach(self, *ins: TensorType) -> tuple[tuple[Reach, ...], ...]:
        terms, out = self.parts
        at = {letter: Reach(axis) for axis, letter in enumerate(out)}
        return tuple(tuple(at.get(letter, WHOLE) for letter in term) for term in terms)

    def macs(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        return math.prod(self.sizes(ins).values()) if len(ins) == 2 else 0

    def flops(self, ins: tuple[TensorType, ...], outs: tuple[TensorType, ...]) -> int:
        summed = len(ins) == 1 and ins[0].size > outs[0].size
        return 2 * self.macs(ins, outs) + (ins[0].size if summed else 0)

    def keeps(self, *ins: TensorType) -> Kept:
        return Kept(factors=(0, 1)) if len(ins) == 2 else Kept()

    @property
    def view(self) -> bool:  # type: ignore[override]
        """Whether it does no more than give the axes other places."""
        terms, out = self.parts
        return len(terms) == 1 and len(terms[0]) == len(out)

    def lies(self, out: Sizes, *given: Lying) -> Strides | None:
        if not self.view:
            return None
        (term,), letters = self.parts
        strides = given[0][1]
        return (strides[0], *(strides[1 + term.index(letter)] for letter in letters))

    def copies(self, place: int, given: Mapping[int, Lying]) -> int:
        """One where torch can't see an input as a matrix for each cell that both have.

        Its axes are those that both inputs and the result have, then its own, then the summed, for
        the second the summed first (ATen/native/Linear.cpp, sumproduct_pair). The samples, `,`, are
        axes of both but where one is for all: of that a copy is none of a sample.
        """
        sizes, strides = given[place]
        terms, out = self.parts
        own, out = f",{terms[place]}", f",{out}"
        other = terms[1 - place] if given[1 - place][0][0] == 1 else f",{terms[1 - place]}"
        if sizes[0] == 1:
            return 0
        summed = sorted(set(own) & set(other) - set(out))
        if not summed:  # a product cell by cell
            return 0
        both = [letter for letter in out if letter in own and letter in other]
        rest = [letter for letter in out if letter in own and letter not in other]
        groups = (both, rest, summed) if place == 0 else (both, summed, rest)
        order = [own.index(letter) for group in groups for letter in group]
        cells = tuple(math.prod(sizes[own.index(letter)] for letter in group) for group in groups)
        seen = tuple(sizes[axis] for axis in order), tuple(strides[axis] for axis in order)
        return int(viewed(seen, cells) is None)

    def call(self, *ins: TensorType) -> Call:
        terms, out = self.parts
        batch = next(c for c in ascii_letters if c not in self.pattern)
        written = f"{','.join(batch + term for term in terms)}->{batch}{out}"
        inputs = ", ".join(f"x{i}" for i in range(len(ins)))
        pattern = Arg(written, "pattern")
        forward = f"torch.einsum(pattern, {inputs})"
        if len(terms) < 2:
            return Call(None, forward=forward, free=(pattern,))
        mixed = Arg(f"{batch}{terms[0]},{terms[1]}->{batch}{out}", "mixed")  # one for all samples
        beside = 1, "torch.einsum(mixed, x0, x1)"
        return Call(None, forward=forward, free=(pattern, mixed), beside=beside)
