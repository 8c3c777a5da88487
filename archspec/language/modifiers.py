"""What stands beside an operation → the fields of an Item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archspec.expressions import Expr
from archspec.language import fillers
from archspec.language.arguments import Arguments
from archspec.language.form import Path
from archspec.language.models import Ref, Repeat, Value
from archspec.language.names import STRUCTURE, bad_id, bad_param
from archspec.language.operations import Around
from archspec.text.words import cut, did_you_mean, written

_MOST_COPIES = 10**9


class Modifiers(Arguments):
    """Reads one modifier each; what they find goes into the fields of the item."""

    def id(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        text = self.form.template(node, path, "`id`", around.sight)
        if text is None:
            return
        shape = "".join(part if isinstance(part, str) else "0" for part in text.parts)
        first = text.parts[0]
        wrong = bad_id(f"a{shape}" if isinstance(first, Expr) else shape, op)
        if wrong:
            code = "E403" if wrong.startswith("a name of") else "E205"
            self.form.fault(code, wrong, path, "choose another id")
        found["id"] = text

    def inputs(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        form = self.form
        if found.get("inputs") is not None:
            form.fault(
                "E227",
                f"the inputs of `{op}` are given as its list and by `from`",
                path,
                "keep one of them",
                on_key=True,
            )
            return
        if isinstance(node, dict):
            found["inputs"] = self.slots(op, node, path, around)
        else:
            found["inputs"] = form.refs(node, path, "`from`", around.sight)

    def slots(self, op: str, node: dict[str, Any], path: Path, around: Around) -> tuple[Ref, ...]:
        """`from` by the names of the operation's inputs."""
        form = self.form
        known = self.takes(op, around)
        if known is None or not node:
            help = "write a list: `from: [a, b]`"
            form.fault(
                "E204",
                f"the inputs of `{op}` have no names" if node else "`from` is empty",
                path,
                help,
            )
            return ()
        found = []
        for slot, entry in node.items():
            if slot not in known:
                form.unknown(slot, (*path, slot), known, f"as an input of `{op}`")
                continue
            ref = form.ref(entry, (*path, slot), f"the input `{slot}`", around.sight, slot)
            if ref is not None:
                found.append(ref)
        return tuple(found)

    def takes(self, op: str, around: Around) -> tuple[str, ...] | None:
        """The names of an operation's inputs, where they have any."""
        if op in around.blocks:
            return around.blocks[op].inputs or None
        cls = self.ops.get(op)
        if cls is None or cls.takes == ("*",):
            return None
        return tuple(name.rstrip("?") for name in cls.takes)

    def repeat(self, node: Any, path: Path, around: Around) -> tuple[Repeat, tuple[str, ...]]:
        form, sight = self.form, around.sight
        loc = form.loc(path)
        sees = sight.counts()
        if isinstance(node, dict):
            return self.columns(node, path, around)
        if isinstance(node, str) and "$" in node:
            return Repeat(count=form.scalar(node, path, sees, sight), loc=loc), ()
        if isinstance(node, list):
            form.fault(
                "E218",
                "`repeat` is a list; columns have names",
                path,
                f"write `repeat: {{n: {cut(written(node))}}}`",
            )
        elif isinstance(node, bool) or not isinstance(node, int):
            help = "use a whole number" if isinstance(node, float) else ""
            form.fault(
                "E218",
                f"`repeat` is {written(node)}; it takes a whole number from 0, or columns",
                path,
                help,
            )
        elif not 0 <= node <= _MOST_COPIES:
            form.fault(
                "E218",
                f"`repeat` is {node}; it takes a whole number from 0 to {_MOST_COPIES}",
                path,
            )
        else:
            return Repeat(count=node, loc=loc), ()
        return Repeat(count=1, loc=loc), ()

    def columns(
        self, node: dict[str, Any], path: Path, around: Around
    ) -> tuple[Repeat, tuple[str, ...]]:
        form, sight = self.form, around.sight
        if not node:
            form.fault(
                "E218", "`repeat` has no columns", path, "write a whole number, or `{n: [2, 2, 3]}`"
            )
        seen = replace(sight, later=sight.later | frozenset(node))
        found: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for name, entry in node.items():
            at = (*path, name)
            if form.name(name, at, bad_param) and name in sight.inputs:
                form.fault(
                    "E206",
                    f"the column `{name}` hides an input of that name",
                    at,
                    "choose another name",
                    on_key=True,
                )
            if isinstance(entry, list):
                lengths[name] = len(entry)
            elif not (isinstance(entry, str) and entry.startswith("$")):
                form.fault(
                    "E218",
                    f"the column `{cut(name)}` is {written(entry)}; a column is a list",
                    at,
                    f"write `[{cut(written(entry))}]`",
                )
            found[name] = form.value(entry, at, sight.counts(), seen)
        if len(set(lengths.values())) > 1:
            self.uneven(lengths, path)
        return Repeat(columns=found, loc=form.loc(path)), tuple(node)

    def uneven(self, lengths: dict[str, int], path: Path) -> None:
        counts = list(lengths.values())
        usual = max(counts, key=counts.count)
        odd = next(name for name, count in lengths.items() if count != usual)
        shown = ", ".join(f"`{name}` {count}" for name, count in lengths.items())
        self.form.fault(
            "E216",
            f"the columns of `repeat` differ in length: {shown}",
            (*path, odd),
            "give all columns the same length",
        )

    def when(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        found["when"] = self.form.condition(node, path, "`when`", around.sight)

    def shortcut_when(
        self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]
    ) -> None:
        found["shortcut_when"] = self.form.condition(node, path, "`shortcut_when`", around.sight)

    def freeze(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        found["freeze"] = self.form.condition(node, path, "`freeze`", around.sight)

    def tap(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        if node in ("train", "always"):
            found["tap"] = node
            return
        message = f"`tap` is {written(node)}; it takes `train` or `always`"
        self.form.fault("E204", message, path, did_you_mean(str(node), ("train", "always")))

    def expect(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        form, sight = self.form, around.sight
        if isinstance(node, str) and "$" in node:
            node = form.scalar(node, path, sight.values(), sight)
            found["expect"] = None if node is None else (node,)
            form.fault(
                "E222",
                "`expect` is one expression; it takes a list with one entry an axis",
                path,
                "for example `[256, ~, ~]`",
            )
            return
        if not isinstance(node, list):
            form.wrong_kind("`expect`", "a shape", node, path, "for example `[256, ~, ~]`")
            return
        for i, entry in enumerate(node):
            sized = isinstance(entry, int) and not isinstance(entry, bool) and entry >= 0
            if not (sized or entry is None or (isinstance(entry, str) and "$" in entry)):
                form.fault(
                    "E222",
                    f"`expect` has the entry {written(entry)}; an entry is a size or `~`",
                    (*path, i),
                    "for example `[256, ~, ~]`",
                )
        found["expect"] = tuple(form.value(node, path, sight.values(), sight))

    def init(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        sight = around.sight
        holds = op in STRUCTURE or op in around.blocks
        found["init"] = fillers.of_item(
            self.form, node, path, sight.values(), sight, self.ops, holds=holds
        )

    def note(self, op: str, node: Any, path: Path, around: Around, found: dict[str, Any]) -> None:
        found["note"] = self.form.text(node, path, "`note`")


READERS = {
    "id": Modifiers.id,
    "from": Modifiers.inputs,
    "when": Modifiers.when,
    "shortcut_when": Modifiers.shortcut_when,
    "tap": Modifiers.tap,
    "expect": Modifiers.expect,
    "freeze": Modifiers.freeze,
    "init": Modifiers.init,
    "note": Modifiers.note,
}
