"""`{…}` and `[…]` → data."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from archspec.text.yaml.reader import GAP, NO_SPACE, PLAIN_IN_FLOW, Mark, Parsed, Reader
from archspec.text.yaml.scalars import END, SPACES, short

_FLOW_GAP = re.compile(r"[ \t\n]*(?:(?<=[ \t\n])#[^\n]*[ \t\n]*)*")


class Flow(Reader):
    """Flow nodes; each ends just behind its bracket, quote or last character."""

    def gap(self) -> str:
        """The next character that is not white space or comment."""
        self.p = _FLOW_GAP.match(self.t, self.p).end()  # type: ignore[union-attr]
        return self.t[self.p]

    def flow(self, start: int = -1, close: str = "") -> Parsed:
        """A flow collection or, inside the one that opens at `start`, a scalar."""
        t = self.t
        if t[self.p] in "&!":
            self.properties()
        p = self.p
        char = t[p]
        if char == "{":
            return self.flow_mapping()
        if char == "[":
            return self.flow_list()
        if char in "\"'":
            self.p = end = self.quote_end(p)
            return self.quoted(p, end), (p, end)
        if char == "*":
            self.alias(p)
            return None, (p, self.p)
        if char in ",]}":
            return None, (p, p)
        plain = PLAIN_IN_FLOW.match(t, p)
        if plain is None:
            if char == END:
                self.expected(start, close, "a value is missing")
            self.stop("E104", f"a text cannot start with `{char}`", p, p + 1, "put it in quotes")
        text = plain.group().rstrip(" \t")
        self.p = end = p + len(text)
        if "$(" in text:
            self.check_open(text, p)
        return self.scalar(text, p), (p, end)

    def flow_mapping(self) -> Parsed:
        t, start = self.t, self.p
        self.deeper(start)
        data: dict[str, Any] = {}
        marks: dict[str, tuple[int, int, Mark]] = {}
        self.p = start + 1
        while self.gap() != "}":
            begin = self.p
            key, end = self.flow_key(start)
            at = GAP.match(t, self.p).end()  # type: ignore[union-attr]
            if t[at] == ":" and (t[at + 1] in " \t\n,[]{}" or t[begin] in "\"'"):
                self.p = at + 1
                self.gap()
                value, mark = self.flow(start, "}")
                if value is None and mark[0] == mark[1]:
                    mark = (begin, end)
            else:
                joined = NO_SPACE.fullmatch(t, begin, end)
                if joined:
                    self.missing_space(begin, joined)
                value, mark = None, (begin, end)
            self.enter(data, marks, key, value, (begin, end, mark))
            self.comma(start, "}")
        self.p += 1
        self.depth -= 1
        return data, (start, self.p, marks)

    def flow_key(self, start: int) -> tuple[str, int]:
        t, p = self.t, self.p
        if t[p] in "&!":
            self.properties()
            self.gap()
            p = self.p
        char = t[p]
        if char in "\"'":
            self.p = end = self.quote_end(p)
            return self.quoted(p, end), end
        if char in "[{" or (char == "?" and t[p + 1] in " \t\n"):
            self.complex_key(p)
        if char == "*":
            self.alias(p)
            return "", self.p
        plain = PLAIN_IN_FLOW.match(t, p)
        if plain is None:
            self.expected(start, "}", "a key is missing")
        text = plain.group().rstrip(" \t")
        self.p = end = p + len(text)
        self.check_open(text, p)
        return self.key_text(text, p), end

    def flow_list(self) -> Parsed:
        t, start = self.t, self.p
        self.deeper(start)
        data: list[Any] = []
        marks: list[Mark] = []
        self.p = start + 1
        while self.gap() != "]":
            begin = self.p
            if t[begin] == ",":
                self.stop(
                    "E104",
                    "`,` without an item before it",
                    begin,
                    begin + 1,
                    "remove it, or write `null`",
                )
            value, mark = self.flow(start, "]")
            self.p = GAP.match(t, self.p).end()  # type: ignore[union-attr]
            if t[self.p] == ":" and t[self.p + 1] in " \t\n,[]{}":
                value, mark = self.pair(value, mark, start)
            data.append(value)
            marks.append(mark)
            self.comma(start, "]")
        self.p += 1
        self.depth -= 1
        return data, (start, self.p, marks)

    def pair(self, key: Any, where: Mark, opening: int) -> Parsed:
        """A mapping of one entry, written in a list without braces: `[conv: 64, relu]`."""
        start, stop = where[0], where[1]
        if len(where) > 2:
            self.complex_key(start)
        if not isinstance(key, str):
            self.note(
                "E111",
                f"the key `{short(self.t[start:stop])}` is not text",
                start,
                stop,
                "put it in quotes if a name is meant",
            )
            key = str(key)
        self.p += 1
        self.gap()
        value, mark = self.flow(opening, "]")
        if value is None and mark[0] == mark[1]:
            mark = (start, stop)
        return {key: value}, (start, max(stop, mark[1]), {key: (start, stop, mark)})

    def comma(self, start: int, close: str) -> None:
        """Past a `,`, or to the closing bracket."""
        char = self.gap()
        if char == ",":
            self.p += 1
        elif char != close:
            self.expected(start, close, f"`,` or `{close}` is missing")

    def expected(self, start: int, close: str, what: str) -> NoReturn:
        """A flow collection that opens at `start` does not go on as it must."""
        t, p = self.t, self.p
        opening = t.rfind("\n", 0, start) + 1
        here = t.rfind("\n", 0, p) + 1
        indents = [SPACES.match(t, line).end() - line for line in (opening, here)]  # type: ignore[union-attr]
        if t[p] == END or (here > opening and indents[1] <= indents[0]):
            self.stop(
                "E114", f"`{t[start]}` is not closed", start, start + 1, f"close it with `{close}`"
            )
        if t[p] == ":":
            before = re.split(r"[,{\[]", t[here:p])[-1].strip()
            self.stop(
                "E104",
                f"a second `: ` follows in `{short(before)}`",
                p,
                p + 1,
                "a `,` is missing before the key, or the value needs quotes",
            )
        shown = short(t[p : t.index("\n", p)])
        self.stop(
            "E104",
            f"{what} before `{shown}`",
            p,
            p + 1,
            f"`{t[start]}` opens on line {self.row(start)}",
        )
