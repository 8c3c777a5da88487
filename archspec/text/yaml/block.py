"""Lines and their indentation → data: a document."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from archspec.text.yaml.flow import Flow
from archspec.text.yaml.reader import GAP, NO_SPACE, PLAIN, REST, Mark, Parsed, StopReadingError
from archspec.text.yaml.scalars import (
    BLOCK_HEAD,
    DOUBLE,
    END,
    SINGLE,
    SPACES,
    block_extent,
    block_lines,
    folded,
    plain_line,
    short,
)


class Block(Flow):
    """Block nodes; after each, `p` stands on the first token of a line."""

    def document(self) -> Parsed:
        self.next_line()
        t, p = self.t, self.p
        if self.col == 0 and t[p] == "%":
            self.stop(
                "E113",
                "a `%` directive is not part of the language",
                p,
                t.index("\n", p),
                "remove the line",
            )
        if t.startswith("---", p) and self.col == -1:
            self.p = p + 3
            self.end_line("`---`")
        if self.col == -1:
            self.finish()
            return None, (0, 0)
        parsed = self.block(-1)
        self.finish()
        return parsed

    def finish(self) -> None:
        """Nothing may follow the document."""
        t, p = self.t, self.p
        if t.startswith("...", p) and self.col == -1:
            self.p = p + 3
            self.end_line("`...`")
            p = self.p
            if t[p] != END:
                self.stop(
                    "E113",
                    "text follows the end of the document, `...`",
                    p,
                    t.index("\n", p),
                    "remove `...`",
                )
        if t.startswith("---", p) and self.col == -1:
            self.stop(
                "E113",
                "a second document starts here; a file holds one spec",
                p,
                p + 3,
                "put it into a file of its own",
            )
        if t[p] != END:
            self.misplaced(-1)

    def misplaced(self, parent: int) -> NoReturn:
        """A line that belongs to no list or mapping around it."""
        p = self.p
        stop = self.t.index("\n", p)
        rule = f"this line starts in column {self.col + 1}, where no list or mapping has its items"
        self.stop(
            "E117", rule, p, stop, "items of a list and keys of a mapping start in one column"
        )

    def block(self, parent: int) -> Parsed:
        """The node at `p`, whose column is `col`, inside a collection in column `parent`."""
        t = self.t
        if t[self.p] in "&!":
            self.properties()
            if t[self.p] == "\n":
                return self.below(parent, self.p)
        p = self.p
        char = t[p]
        if char == "-" and t[p + 1] in " \n\t":
            return self.block_list(p - self.line)
        if char in "\"'":
            found = (SINGLE if char == "'" else DOUBLE).match(t, p)
            if found and "\n" not in found.group() and self.colon(found.end()):
                return self.block_mapping(p - self.line)
            return self.inline(parent)
        plain = PLAIN.match(t, p)
        if (plain and t[plain.end()] == ":") or (char in "?:" and t[p + 1] in " \t\n"):
            return self.block_mapping(p - self.line)
        return self.inline(parent)

    def colon(self, at: int) -> int:
        """Just behind the `:` of a key that ends at `at`, or 0."""
        at = GAP.match(self.t, at).end()  # type: ignore[union-attr]
        return at + 1 if self.t[at] == ":" and self.t[at + 1] in " \t\n" else 0

    def block_list(self, column: int) -> Parsed:
        t, start = self.t, self.p
        self.deeper(start)
        data: list[Any] = []
        marks: list[Mark] = []
        while True:
            dash = self.p
            self.p = dash + 1
            if t[self.p] == "\t":
                self.stop("E105", "a tab follows `-`", self.p, self.p + 1, "write a space")
            if REST.match(t, self.p):
                value, mark = self.below(column, dash, lists=False)
            else:
                self.p = SPACES.match(t, self.p).end()  # type: ignore[union-attr]
                value, mark = self.block(column)
            data.append(value)
            marks.append(mark)
            if self.col != column or not (t[self.p] == "-" and t[self.p + 1] in " \t\n"):
                break
        if self.col > column:
            self.misplaced(column)
        self.depth -= 1
        return data, (start, start + 1, marks)

    def block_mapping(self, column: int) -> Parsed:
        t, start = self.t, self.p
        self.deeper(start)
        data: dict[str, Any] = {}
        marks: dict[str, tuple[int, int, Mark]] = {}
        while True:
            begin = self.p
            key, end = self.block_key()
            value, mark = self.block_value(column, begin, end)
            self.enter(data, marks, key, value, (begin, end, mark))
            if self.col != column:
                break
            if t[self.p] == "-" and t[self.p + 1] in " \t\n":
                rule = "a list item stands in the column of the keys above it"
                self.stop(
                    "E117",
                    rule,
                    self.p,
                    self.p + 1,
                    "indent the list under its key, or write the key",
                )
        if self.col > column:
            self.misplaced(column)
        self.depth -= 1
        first = next(iter(marks.values()))
        return data, (start, first[1], marks)

    def block_key(self) -> tuple[str, int]:
        """The key at `p` and where it ends; `p` is then behind its colon."""
        t, p = self.t, self.p
        char = t[p]
        if char in "\"'":
            found = (SINGLE if char == "'" else DOUBLE).match(t, p)
            behind = self.colon(found.end()) if found else 0
            if found and behind and "\n" not in found.group():
                self.p = behind
                return self.quoted(p, found.end()), found.end()
        if char in "&!":
            self.properties()
            return self.block_key()
        if char in "?[{:" and not PLAIN.match(t, p):
            self.complex_key(p)
        plain = PLAIN.match(t, p)
        if plain is None or t[plain.end()] != ":":
            self.no_key(p, plain)
        text = plain.group().rstrip(" \t")
        self.p = plain.end() + 1
        return self.key_text(text, p), p + len(text)

    def no_key(self, p: int, plain: re.Match[str] | None) -> NoReturn:
        """A line inside a mapping that is no `key: value`."""
        t = self.t
        stop = t.index("\n", p)
        text = plain.group().rstrip() if plain else t[p:stop]
        joined = NO_SPACE.fullmatch(text)
        if joined:
            self.missing_space(p, joined)
        if t[p] in "*&":
            self.alias(p)
            raise StopReadingError
        if t[p] in "\"'" and not (SINGLE if t[p] == "'" else DOUBLE).match(t, p):
            self.stop(
                "E114", f"the quote {t[p]} is not closed", p, p + 1, "close it on the same line"
            )
        rule = f"`{short(text)}` has no `:`; a mapping consists of `key: value` lines"
        self.stop(
            "E104", rule, p, p + len(text), "add `:`, or a `-` where an item of a list is meant"
        )

    def block_value(self, column: int, begin: int, end: int) -> Parsed:
        """What follows the colon of a key in column `column`."""
        t = self.t
        if not REST.match(t, self.p):
            self.p = GAP.match(t, self.p).end()  # type: ignore[union-attr]
            if t[self.p] in "&!":
                self.properties()
        if not REST.match(t, self.p):
            return self.inline(column)
        value, mark = self.below(column, begin)
        return value, (begin, end) if value is None else mark

    def below(self, column: int, at: int, *, lists: bool = True) -> Parsed:
        """The node on the lines below, or null.

        It stands deeper than `column`; a list under a key may stand in it.
        """
        self.p = self.t.index("\n", self.p) + 1
        self.next_line()
        if self.col > column:
            return self.block(column)
        if (
            lists
            and self.col == column >= 0
            and self.t[self.p] == "-"
            and self.t[self.p + 1] in " \t\n"
        ):
            return self.block_list(column)
        return None, (at, at + 1)

    def inline(self, parent: int) -> Parsed:
        """A scalar or flow collection that starts at `p`, to the end of its line or lines."""
        t, p = self.t, self.p
        char = t[p]
        if char in "\"'":
            end = self.quote_end(p)
            self.p = end
            if not REST.match(t, end) and "\n" in t[p:end]:
                self.stop(
                    "E114", f"the quote {char} is not closed on its line", p, p + 1, "close it"
                )
            self.end_line("the closing quote")
            return self.quoted(p, end), (p, end)
        if char in "[{":
            parsed = self.flow()
            self.end_line(f"the closing `{t[self.p - 1]}`")
            return parsed
        if char in "|>":
            return self.block_scalar(parent)
        if char == "*":
            self.alias(p)
            self.end_line("the alias")
            return None, (p, p + 1)
        plain = PLAIN.match(t, p)
        if plain is None:
            self.no_scalar(p)
        return self.block_plain(parent, plain)

    def no_scalar(self, p: int) -> NoReturn:
        char = self.t[p]
        if char in "]},":
            self.stop(
                "E104",
                f"`{char}` closes or divides nothing here",
                p,
                p + 1,
                "remove it, or put the text in quotes",
            )
        if char == "-":
            self.stop(
                "E117",
                "a list cannot start on the line of its key",
                p,
                p + 1,
                "start it on the next line, or write `[…]`",
            )
        if char in "?:":
            self.complex_key(p)
        self.stop("E104", f"a text cannot start with `{char}`", p, p + 1, "put it in quotes")

    def block_plain(self, parent: int, plain: re.Match[str]) -> Parsed:
        t, start = self.t, plain.start()
        text = plain.group().rstrip(" \t")
        end = start + len(text)
        self.check_open(text, start)
        if t[plain.end()] == ":":
            rule = f"a second `: ` stands on this line, behind `{short(text)}`"
            self.stop(
                "E104",
                rule,
                plain.end(),
                plain.end() + 1,
                "put the value in quotes, or write a mapping as `{key: value}`",
            )
        self.p = end
        self.end_line(f"`{short(text)}`")
        if self.col <= parent:
            return self.scalar(text, start), (start, end)
        return self.continued(parent, start, end)

    def continued(self, parent: int, start: int, end: int) -> Parsed:
        """A plain text that goes on, indented, on the lines below."""
        t = self.t
        while self.col > parent:
            p = self.p
            plain = PLAIN.match(t, p)
            text = plain.group().rstrip(" \t") if plain else ""
            commented = "#" in t[end:p]
            if plain is None or t[plain.end()] == ":" or commented:
                above = short(t[start:end].split("\n")[0])
                rule = f"this line is indented below `{above}`, which is a value already"
                self.stop(
                    "E117",
                    rule,
                    p,
                    t.index("\n", p),
                    "start it in the column of the line above, or put a long text in quotes",
                )
            end = p + len(text)
            self.p = end
            self.end_line(f"`{short(text)}`")
        value = "".join(piece for piece, _ in folded(t, start, end, plain_line))
        self.check_open(value, start)
        return self.bounded(value, start), (start, end)

    def block_scalar(self, parent: int) -> Parsed:
        t, start = self.t, self.p
        head = BLOCK_HEAD.match(t, start)
        if head is None:
            self.stop(
                "E104",
                f"`{t[start]}` starts a text on the lines below; nothing else may follow",
                start,
                t.index("\n", start),
                "put the value in quotes",
            )
        indent, stop = block_extent(t, head, parent)
        if indent < 0:
            self.stop(
                "E117", "the lines of this text are indented unevenly", head.end(), head.end() + 1
            )
        value = "".join(piece for piece, _ in block_lines(t, start, stop))
        self.p = stop
        self.next_line()
        return self.bounded(value, start), (start, stop)
