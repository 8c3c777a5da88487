"""One item of a body as written → Item: one operation, arguments by name, modifiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archspec.language.form import Path
from archspec.language.models import Branch, Item
from archspec.language.modifiers import READERS, Modifiers
from archspec.language.names import COMPANIONS, MERGES, MODIFIERS, STRUCTURE, bad_id
from archspec.language.operations import BESIDE, Around
from archspec.text.words import listed, near, written

_MERGED = {
    "sum": "add",
    "plus": "add",
    "cat": "concat",
    "prod": "mul",
    "avg": "mean",
    "average": "mean",
}
_OWNERS = {
    "merge": ("residual", "branches"),
    "shortcut": ("residual",),
    "shortcut_when": ("residual",),
}


class Items(Modifiers):
    """Reads the items of one file."""

    def body(self, node: Any, path: Path, around: Around, what: str) -> tuple[Item, ...]:
        """A list of items, or one that stands for a list of one."""
        if isinstance(node, list):
            found = [self.item(entry, (*path, i), around) for i, entry in enumerate(node)]
        elif isinstance(node, (str, dict)):
            found = [self.item(node, path, around)]
        else:
            self.form.wrong_kind(
                what, "a list of items", node, path, "`[]` is the identity" if node is None else ""
            )
            return ()
        return tuple(item for item in found if item is not None)

    def item(self, node: Any, path: Path, around: Around) -> Item | None:
        if isinstance(node, str):
            return self.word(node, path, around)
        if not isinstance(node, dict):
            help = "put a path of several items under `body:`" if isinstance(node, list) else ""
            self.form.wrong_kind("an item", "a word or a mapping", node, path, help)
            return None
        op = self.operation(node, path, around)
        return None if op is None else self.full(op, node, path, around)

    def word(self, text: str, path: Path, around: Around) -> Item | None:
        """A bare word: an op or block without arguments."""
        if not self.known(text, around):
            self.unknown_operation(text, path, around)
            return None
        if text in STRUCTURE:
            example = "a path" if text == "shared" else "items"
            self.form.fault(
                "E204", f"`{text}` stands without {example}", path, f"write `{text}: …`"
            )
            return None
        args = self.arguments(text, None, path, around)[0]
        loc = self.form.loc(path)
        return Item(op=text, args=args, loc=loc, key=loc)

    def full(self, op: str, node: dict[str, Any], path: Path, around: Around) -> Item:
        form = self.form
        found: dict[str, Any] = {
            "op": op,
            "loc": form.loc(path),
            "key": form.loc((*path, op), on_key=True),
        }
        if "repeat" in node:
            faults = len(form.faults)
            found["repeat"], columns = self.repeat(node["repeat"], (*path, "repeat"), around)
            sight = around.sight.inside(columns)
            if len(form.faults) > faults and not columns:
                sight = replace(sight, open=True)
            around = replace(around, sight=sight)
        elif form.misspelt(node, "repeat", (*MODIFIERS, *COMPANIONS, op)):
            around = replace(around, sight=replace(around.sight, open=True))
        if op in STRUCTURE:
            self.structure(op, node, path, around, found)
        else:
            beside = any(key in self.parameters(op, around) for key in node if key not in BESIDE)
            found["args"], inputs = self.arguments(
                op, node[op], (*path, op), around, excused=beside
            )
            if inputs is not None:
                found["inputs"] = inputs
        self.companions(op, node, path)
        for key, read in READERS.items():
            if key in node:
                read(self, op, node[key], (*path, key), around, found)
        return Item(**found)

    def companions(self, op: str, node: dict[str, Any], path: Path) -> None:
        """Modifiers that only some operations have."""
        for key, owners in _OWNERS.items():
            if key in node and op not in owners:
                message = f"`{key}` means nothing on `{op}`; it belongs to {listed(owners)}"
                self.form.fault("E215", message, (*path, key), "remove it", on_key=True)

    def structure(
        self, op: str, node: dict[str, Any], path: Path, around: Around, found: dict[str, Any]
    ) -> None:
        inner = node[op]
        at = (*path, op)
        if op == "shared":
            found["target"] = self.form.ref(inner, at, "`shared`", around.sight)
        elif op == "branches":
            found["branches"] = self.branches(inner, at, around)
        else:
            found["items"] = self.body(inner, at, around, f"`{op}`")
        if op == "residual" and "shortcut" in node:
            found["shortcut"] = self.body(
                node["shortcut"], (*path, "shortcut"), around, "`shortcut`"
            )
        if op in ("residual", "branches"):
            found["merge"] = self.merge(op, node, path)

    def merge(self, op: str, node: dict[str, Any], path: Path) -> str:
        if "merge" not in node:
            if op == "branches" and self.form.lacks(node, "merge", (*MODIFIERS, *COMPANIONS, op)):
                self.form.fault(
                    "E202",
                    "`branches` needs `merge`",
                    (*path, op),
                    "add `merge: concat` (or add, mul, mean, max) beside it",
                    on_key=True,
                )
            return "add"
        how = node["merge"]
        if how in MERGES and isinstance(how, str):
            return how
        shown = f"`merge` is {written(how)}; it takes {listed(MERGES, 'or')}"
        guess = _MERGED.get(str(how), "") or near(str(how), MERGES)
        self.form.fault(
            "E204", shown, (*path, "merge"), f"did you mean `{guess}`?" if guess else ""
        )
        return "add"

    def branches(self, node: Any, path: Path, around: Around) -> tuple[Branch, ...]:
        form = self.form
        if isinstance(node, dict) and node:
            for key in node:
                form.name(key, (*path, key), bad_id)
            entries = [(key, entry, (*path, key)) for key, entry in node.items()]
        elif isinstance(node, list) and node:
            entries = [(None, entry, (*path, i)) for i, entry in enumerate(node)]
        else:
            form.wrong_kind("`branches`", "paths by name, or a list of paths", node or None, path)
            return ()
        return tuple(
            Branch(key=key, items=self.body(entry, at, around, "a path"), loc=form.loc(at))
            for key, entry, at in entries
        )
