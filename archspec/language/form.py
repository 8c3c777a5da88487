"""Plain data → checked values: what all parts of a document have in common, and the faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from archspec.expressions import Expr, ExpressionError, Template, scalar, template
from archspec.language.models import Ref, Value
from archspec.language.names import is_path
from archspec.text.faults import Fault, Loc
from archspec.text.source import Source
from archspec.text.words import cut, did_you_mean, kind, near

Path = tuple[str | int, ...]
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sight:
    """The names that expressions at one place see."""

    params: frozenset[str] = NOTHING
    inputs: frozenset[str] = NOTHING  # the records
    columns: frozenset[str] = NOTHING
    loop: bool = False
    later: frozenset[str] = NOTHING  # params and columns that are declared, but not for this place
    open: bool = False  # a fault hides what else there is: no name is unknown

    def inside(self, columns: Collection[str]) -> Sight:
        """What an item with a `repeat` of these columns, and everything in it, sees."""
        return replace(self, columns=self.columns | frozenset(columns), loop=True)

    def values(self) -> frozenset[str]:
        """For arguments and conditions."""
        found = self.params | self.columns | self.inputs | {"prev"}
        return found | {"loop"} if self.loop else found

    def segments(self) -> frozenset[str]:
        """For the segments of `id`, `from`, `shared`."""
        found = self.params | self.columns
        return found | {"loop"} if self.loop else found

    def counts(self) -> frozenset[str]:
        """For `repeat`, `input`, `outputs`."""
        return self.params | self.columns


def block_of(path: Path) -> str:
    """The block that a place of the file belongs to, or ""."""
    return str(path[1]) if path[:1] == ("blocks",) and len(path) > 1 else ""


class Form:
    """Reads one file's data; what finds something wrong notes a fault and returns a stand-in."""

    def __init__(self, source: Source, faults: list[Fault]) -> None:
        self.file = source.name
        self.faults = faults
        self.unseen: set[str] = set()  # blocks that read names they do not have

    # -------------------------------------------------------- complaints

    def loc(self, path: Path, *, on_key: bool = False, span: tuple[int, int] | None = None) -> Loc:
        return Loc(self.file, path, on_key, span)

    def fault(
        self, code: str, message: str, path: Path, help: str = "", *, on_key: bool = False,
        span: tuple[int, int] | None = None, cause: tuple[object, ...] = (),
    ) -> None:  # fmt: skip
        loc = Loc(self.file, path, on_key, span)
        cause = (self.file, *cause) if cause else ()
        self.faults.append(Fault(code, message, loc, help, cause=cause))

    def wrong_kind(self, what: str, wanted: str, value: Any, path: Path, help: str = "") -> None:
        message = f"{what} is {kind(value)}; it takes {wanted}"
        self.fault(
            "E204",
            message,
            path,
            help,
            on_key=value is None and isinstance(path[-1:] and path[-1], str),
        )

    def unknown(
        self, key: str, path: Path, known: Collection[str], where: str,
        cause: tuple[object, ...] = (),
    ) -> None:  # fmt: skip
        message, help = f"`{cut(key)}` has no meaning {where}", did_you_mean(key, known)
        self.fault("E201", message, path, help, on_key=True, cause=cause)

    def keys(self, node: dict[str, Any], path: Path, known: Collection[str], where: str) -> None:
        """Notes the keys that are not known."""
        for key in node:
            if key not in known:
                self.unknown(key, (*path, key), known, where)

    def lacks(self, node: dict[str, Any], key: str, known: Collection[str]) -> bool:
        """Whether a key is missing and not merely misspelt, which is a fault already."""
        return key not in node and not self.misspelt(node, key, known)

    def misspelt(self, node: dict[str, Any], key: str, known: Collection[str]) -> bool:
        return key not in node and any(
            other not in known and near(other, known) == key for other in node
        )

    def hazy(
        self, node: dict[str, Any], key: str, known: Collection[str], rule: Callable[[str], str]
    ) -> bool:
        """Whether a fault hides the names that the mapping under a key declares."""
        found = node.get(key)
        if found is None:
            return self.misspelt(node, key, known)
        return not isinstance(found, dict) or any(map(rule, found))

    def name(self, name: str, path: Path, rule: Callable[[str], str], help: str = "") -> bool:
        """Whether a key may be a name."""
        wrong = rule(name)
        if wrong:
            code = "E403" if wrong.startswith("a name of") else "E205"
            self.fault(code, wrong, path, help or "choose another name", on_key=True)
        return not wrong

    # -------------------------------------------------------- values

    def mapping(self, node: Any, path: Path, what: str) -> dict[str, Any]:
        """A mapping, empty where nothing is written."""
        if node is None:
            return {}
        if not isinstance(node, dict):
            self.wrong_kind(what, "a mapping", node, path)
            return {}
        return node

    def text(self, node: Any, path: Path, what: str) -> str:
        """One text without expressions; "" is a fault, and what is returned where there is one."""
        if not isinstance(node, str) or not node:
            self.wrong_kind(
                what,
                "text",
                node or None if isinstance(node, str) else node,
                path,
                "put it in quotes" if node else "write it, or leave the key out",
            )
            return ""
        if "$" not in node:
            return node
        try:
            plain = scalar(node)
        except ExpressionError as bad:
            self.expression(bad, path)
            return ""
        if isinstance(plain, Expr):
            self.fault("E220", f"{what} can hold no expression", path, "a dollar sign is `$$`")
            return ""
        return plain

    def expression(self, bad: ExpressionError, path: Path) -> None:
        self.fault(bad.code, bad.message, path, bad.help, span=(bad.start, bad.stop))

    def value(self, node: Any, path: Path, sees: frozenset[str], sight: Sight) -> Value:
        """A value as written, its expressions parsed and their names looked up."""
        if isinstance(node, str):
            return self.scalar(node, path, sees, sight) if "$" in node else node
        if isinstance(node, list):
            return [self.value(entry, (*path, i), sees, sight) for i, entry in enumerate(node)]
        if isinstance(node, dict):
            return {
                key: self.value(entry, (*path, key), sees, sight) for key, entry in node.items()
            }
        return node

    def scalar(self, text: str, path: Path, sees: frozenset[str], sight: Sight) -> Value:
        try:
            found = scalar(text)
        except ExpressionError as bad:
            self.expression(bad, path)
            return None
        if isinstance(found, Expr):
            self.look(found, path, sees, sight)
        return found

    def look(self, expr: Expr, path: Path, sees: frozenset[str], sight: Sight) -> None:
        """Notes the names of an expression that have no value at this place."""
        if not expr.names <= sees:
            for name in sorted(expr.names - sees):
                self.blind(name, expr, path, sees, sight)
            return
        records = sight.inputs | {"prev", "loop"}
        for owner, key in expr.fields:
            if owner not in records:
                help = f"write `${owner}`; fields have `prev`, `loop` and inputs"
                self.fault(
                    "E220",
                    f"`{owner}` is a param, which has no `.{key}`",
                    path,
                    help,
                    span=_span(expr, owner),
                )

    def blind(self, name: str, expr: Expr, path: Path, sees: frozenset[str], sight: Sight) -> None:
        if sight.open:
            return
        span = _span(expr, name)
        if name == "loop":
            where = "only inside a `repeat`" if sight.loop is False else "not in `repeat` itself"
            self.fault("E220", f"`loop` has a value {where}", path, span=span)
        elif name in sight.later:
            help = "a param sees those above it; a column sees none of its own `repeat`"
            self.fault("E220", f"`{name}` has no value here yet", path, help, span=span)
        elif name in ("prev", "input") or name in sight.inputs:
            self.fault(
                "E220",
                f"`{name}` has no value here",
                path,
                "only params and columns have",
                span=span,
            )
        else:
            owner = block_of(path)
            self.unseen.add(owner)
            message, help = f"`{cut(name)}` is not known here", did_you_mean(name, sorted(sees))
            missing = bool(owner) and not sight.params  # one fault: it declares none
            cause = ("params", owner) if missing else ("name", owner, name)
            self.fault("E219", message, path, help, span=span, cause=cause)

    def condition(self, node: Any, path: Path, what: str, sight: Sight) -> Value:
        """true, false, or an expression."""
        if isinstance(node, bool):
            return node
        if isinstance(node, str) and "$" in node:
            return self.scalar(node, path, sight.values(), sight)
        words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
        help = (
            f"write `{words[node.lower()]}`"
            if isinstance(node, str) and node.lower() in words
            else ""
        )
        if isinstance(node, str) and not help:
            help = f"an expression is written `$({cut(node)})`"
        self.wrong_kind(what, "true, false or an expression", node, path, help)
        return True

    # -------------------------------------------------------- paths

    def template(self, node: Any, path: Path, what: str, sight: Sight) -> Template | None:
        """A name or path with expressions in its segments."""
        if not isinstance(node, str) or not node:
            self.wrong_kind(what, "a name", node, path)
            return None
        try:
            found = template(node)
        except ExpressionError as bad:
            self.expression(bad, path)
            return None
        sees = sight.segments()
        before = len(self.faults)
        for part in found.parts:
            if isinstance(part, Expr):
                self.look(part, path, sees, sight)
        return found if len(self.faults) == before else None

    def ref(
        self, node: Any, path: Path, what: str, sight: Sight, slot: str | None = None
    ) -> Ref | None:
        """One dotted path to an item."""
        found = self.template(node, path, what, sight)
        if found is None:
            return None
        shape = "".join(part if isinstance(part, str) else "0" for part in found.parts)
        if isinstance(found.parts[0], Expr):
            shape = f"a{shape}"  # its value may be a word
        if not is_path(shape):
            self.fault(
                "E205", f"`{cut(node)}` is not a path: names and numbers with dots between", path
            )
            return None
        return Ref(slot=slot, path=found, loc=self.loc(path))

    def refs(self, node: Any, path: Path, what: str, sight: Sight) -> tuple[Ref, ...]:
        """A list of paths, or one."""
        if isinstance(node, list):
            if not node:
                self.fault(
                    "E204",
                    f"{what} is an empty list",
                    path,
                    "name at least one item, or leave it out",
                )
            found = [
                self.ref(entry, (*path, i), f"an entry of {what}", sight)
                for i, entry in enumerate(node)
            ]
        else:
            found = [self.ref(node, path, what, sight)]
        return tuple(ref for ref in found if ref is not None)

    def outputs(
        self, node: Any, path: Path, sight: Sight, rule: Callable[[str], str]
    ) -> tuple[dict[str, tuple[Ref, ...]] | None, frozenset[str]]:
        """`outputs`: paths by name, and which of them are lists."""
        if not isinstance(node, dict):
            example = (
                f"`outputs: {{output: {node}}}`"
                if isinstance(node, str) and is_path(node)
                else "`outputs: {logits: fc}`"
            )
            self.wrong_kind(
                "`outputs`", "a mapping from names to paths", node, path, f"for example {example}"
            )
            return None, NOTHING
        if not node:
            self.fault("E204", "`outputs` is empty", path, "leave it out for the last item")
            return None, NOTHING
        plain = replace(sight, loop=False)
        found = {}
        for name, entry in node.items():
            self.name(name, (*path, name), rule)
            found[name] = self.refs(entry, (*path, name), f"the output `{cut(name)}`", plain)
        return found, frozenset(name for name, entry in node.items() if isinstance(entry, list))


def _span(expr: Expr, name: str) -> tuple[int, int]:
    """Where a name stands in the scalar of its expression."""
    found = re.search(rf"(?<![A-Za-z0-9_.]){re.escape(name)}(?![A-Za-z0-9_])", expr.text)
    start = expr.offset + (found.start() if found else 0)
    return start, start + len(name)
