"""The keys of an item → its one operation, or what was meant instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.language.form import Form, Path, Sight
from archspec.language.models import Value
from archspec.language.names import COMPANIONS, MODIFIERS, STRUCTURE, is_block
from archspec.layers import other_names
from archspec.layers.base import BadArgument
from archspec.text.words import cut, did_you_mean, listed, near

if TYPE_CHECKING:
    from archspec.layers.base import Layer

BESIDE = frozenset(MODIFIERS) | frozenset(COMPANIONS)


@dataclass(frozen=True, slots=True)
class Head:
    """What a call must know of a block: its params (None where they are unknown), its inputs."""

    params: Mapping[str, Value] | None
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What is known where an item stands: names for expressions, blocks to call."""

    sight: Sight
    blocks: Mapping[str, Head]
    open: bool = False  # a fault hides what other blocks there are


class Operations:
    """What operations there are, and what a word that is none of them may mean."""

    def __init__(self, form: Form, ops: Mapping[str, type[Layer]]) -> None:
        self.form = form
        self.ops = ops
        self._checked: dict[str, list[BadArgument]] = {}

    def known(self, key: str, around: Around) -> bool:
        return key in self.ops or key in around.blocks or key in STRUCTURE

    def operation(self, node: dict[str, Any], path: Path, around: Around) -> str | None:
        """The one operation key of an item."""
        others = [key for key in node if key not in BESIDE]
        if len(others) == 1 and self.known(others[0], around):
            return others[0]
        known = [key for key in others if self.known(key, around)]
        if len(known) > 1:
            message = f"an item has exactly one operation; {listed(known)} are {len(known)}"
            self.form.fault(
                "E214",
                message,
                (*path, known[1]),
                "make each an item of its own, with its own `-`",
                on_key=True,
            )
            return None
        if not others:
            self.form.fault(
                "E214", "the item has no operation", path, "add an op, a block, or `body`"
            )
            return None
        if not known:
            worst = next((key for key in others if self.suggestion(key, around)), others[0])
            self.unknown_operation(worst, (*path, worst), around, on_key=True)
            return None
        for key in others:
            if key != known[0]:
                self.stray(key, known[0], (*path, key), around)
        return known[0]

    def suggestion(self, word: str, around: Around) -> str:
        """The operation that an unknown word is likely meant to be."""
        plain = (
            word.lower().replace("_", "").rstrip("123d")
            if word[-1:].lower() == "d"
            else word.lower().replace("_", "")
        )
        flat = {op.replace("_", ""): op for op in self.ops}
        if plain in flat:
            return flat[plain]
        ours = other_names().get(plain)
        if ours:
            return ours
        return near(word, around.blocks) or near(word, [*self.ops, *STRUCTURE])

    def unknown_operation(
        self, word: str, path: Path, around: Around, *, on_key: bool = False
    ) -> None:
        form = self.form
        head, colon, rest = word.partition(":")
        if colon and rest and self.known(head, around):
            form.fault(
                "E115",
                "a space is missing after `:`",
                path,
                f"write `{head}: {cut(rest)}`",
                span=(len(head), len(head) + 1),
            )
            return
        if "$" in word:
            form.fault(
                "E207",
                f"`{cut(word)}` is an expression; an operation is a word",
                path,
                on_key=on_key,
            )
            return
        if word in BESIDE:
            form.fault(
                "E214",
                f"`{word}` is a modifier, not an operation",
                path,
                "add an op, a block, or `body`",
                on_key=on_key,
            )
            return
        guess = self.suggestion(word, around)
        plain = word.lower().replace("_", "").rstrip("123d")
        if (
            guess
            and plain in (*other_names(), *(op.replace("_", "") for op in self.ops))
            and guess != word
        ):
            form.fault(
                "E211",
                f"`{cut(word)}` is spelled `{guess}` here",
                path,
                f"write `{guess}`",
                on_key=on_key,
            )
            return
        if is_block(word) and around.open:
            return
        cause: tuple[object, ...] = ("block", word)
        if is_block(word):
            cause = cause if around.blocks else ("blocks",)
            message = f"there is no block `{cut(word)}` in this file"
            help = did_you_mean(word, around.blocks) or "declare it under `blocks`"
        else:
            message, help = f"there is no op `{cut(word)}`", "`archspec list --ops` shows the ops"
        help = f"did you mean `{guess}`?" if guess else help
        form.fault("E207", message, path, help, on_key=on_key, cause=cause)

    def stray(self, key: str, op: str, path: Path, around: Around) -> None:
        """An unknown key beside an operation."""
        params = self.parameters(op, around)
        if key in params:
            message = f"`{key}` is a parameter of `{op}` and stands beside it"
            self.form.fault("E213", message, path, f"write `{op}: {{{key}: …}}`", on_key=True)
            return
        self.form.unknown(key, path, [*MODIFIERS, *COMPANIONS, *params], "beside an operation")

    def parameters(self, op: str, around: Around) -> Collection[str]:
        if op in around.blocks:
            return around.blocks[op].params or ()
        return self.ops[op].model_fields if op in self.ops else ()
