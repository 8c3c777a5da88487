"""YAML text → plain data and the place of everything: the strict part of YAML 1.2 for specs.

    body: [relu, {conv: 8}]    data   {"body": ["relu", {"conv": 8}]}
                               marks  (0, 4, {"body": (0, 4, (6, 23, [(7, 11), (13, 22, …)]))})

PyYAML's events (those of libyaml, where PyYAML has it) say what stands where; the data are made of
them here, with a stack of its own: PyYAML's composer and constructor recurse, unfold aliases and
read scalars as YAML 1.1. Anchors, aliases, tags, merge keys, directives and keys that are no words
are refused, and so is text without quotes that goes on below with a sign of YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml

from archspec.limits import DEFAULT, Limits
from archspec.text import above, misread, scalars
from archspec.text.misread import Slip, Spot
from archspec.text.words import FORBIDDEN, character, opening

# A scalar is (start, stop), a list (start, stop, [mark]), a mapping (start, stop, {key: entry})
# with entry = (start, stop, mark).
Mark = tuple[Any, ...]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ODD = 20  # characters that are not allowed, of those that are named
_MANY = 300  # faults after which a text is not read on

_DIRECTIVE = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\n)*+%")
_BEHIND = re.compile(r"[ \t]*([^\s#]|(?<=\S)#)")  # more than a comment on a line
_PROPERTY = re.compile(r"[&!*][^\s,\[\]{}]*\s*")
_WORD = re.compile(r"[^\s$<]+")  # no expression, no merge key
# How no line begins that goes on with the text above.
_BROKEN = re.compile(r"(?<=\S)[ \t]*+\n\s*+(?=[-?:](?:\s|\Z)|[,\[\]{}#&*!|>'\"%@`])")
# Signs between two nodes that YAML allows and a spec does not: `? key`, `"text"# no comment`,
# `{key:[…]}`; and comments, which may hold them.
_BETWEEN = re.compile(r"(?<!\S)#[^\n]*|(?P<hash>#)|(?P<question>\?)|(?P<colon>:)")
_PECULIAR = ("?", ":,", ":[", ":]", ":{", ":}", '":', "':")


class UnreadableError(Exception):
    """A text that is no strict YAML; `args` are its faults (Slip), to where the grammar is lost."""


def load(text: str, limits: Limits = DEFAULT, loader: Any = None) -> tuple[Any, Mark]:
    """The data of one document and its marks. Line ends are LF. Raises UnreadableError."""
    loader = loader or LOADER
    text = text if text.endswith("\n") else f"{text}\n"
    if odd := list(_odd(text)):
        raise UnreadableError(*odd)
    found = Reading(text, limits)
    found.read(text, loader)
    if found.slips and "$(" in text:
        # an expression that YAML cuts off hides what follows: read as if all stood in quotes
        again = Reading(text, limits, quoted=True)
        again.read(scalars.covered(text), loader)
        found = again if any(slip.code in ("E103", "E116") for slip in again.slips) else found
    if found.slips:
        slips = [*dict.fromkeys(above.blamed(text, slip) for slip in found.slips)]
        raise UnreadableError(*above.first(text, slips))
    return found.root()


def _odd(text: str) -> Iterator[Slip]:
    """The first characters that are refused wherever they stand."""
    alone = text.find("\r")
    if alone >= 0:
        said = "lines end in CR alone, U+000D, as old Macs wrote them"
        yield Slip("E103", said, alone, "save the file with LF line ends", alone + 1)
    others = (found for found in FORBIDDEN.finditer(text) if found.group() != "\r")
    for found in islice(others, _ODD):
        said = f"{character(found.group())} is not allowed"
        yield Slip("E103", said, found.start(), "remove it", found.end())


def _peculiar(text: str) -> bool:
    """Whether anything is in the text that YAML allows between two nodes, and a spec does not."""
    comments = text.count(" #") + text.count("\n#") + text.startswith("#")
    return text.count("#") > comments or any(sign in text for sign in _PECULIAR)


@dataclass(slots=True, eq=False)
class Open:
    """A list or mapping whose end is not reached; `key` is that of the value that comes next."""

    mapping: bool
    data: Any
    marks: Any
    start: int = 0
    flow: bool = False
    key: tuple[str, int, int] | None = None


class Reading:
    """Events → data, marks and slips.

    `open` are the collections around the present event, the document as a list of one. Where
    `quoted`, the events are those of the text with its expressions covered.
    """

    def __init__(self, text: str, limits: Limits, *, quoted: bool = False) -> None:
        self.text, self.limits, self.quoted = text, limits, quoted
        self.open = [Open(False, [], [])]
        self.slips: list[Slip] = []
        self.documents = 0
        self.last: Mark = (0, 0)  # place of the last scalar, alias or flow collection
        self.last_in = self.open[0]
        self.known: dict[str, Any] = {}  # plain scalars of one word that have no fault
        self.foreign = not text.isascii() and scalars.LOOKALIKE.search(text) is not None

    def root(self) -> tuple[Any, Mark]:
        """The data of the document and its marks."""
        document = self.open[0]
        return (document.data[0], document.marks[0]) if document.data else (None, (0, 0))

    def read(self, text: str, loader: Any) -> None:
        """Everything that the events of `text` say, to where its grammar is lost."""
        handlers = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.start,
            yaml.SequenceStartEvent: self.start,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
            yaml.DocumentEndEvent: self.document,
        }
        try:
            if directive := _DIRECTIVE.match(text):
                raise UnreadableError(misread.directive(self.spot(directive.end() - 1)))
            events = yaml.parse(text, loader)
            for event in self.strict(events) if _peculiar(text) else events:
                kind = type(event)
                if kind in handlers:
                    handlers[kind](event)
        except UnreadableError as lost:
            self.slips += lost.args
        except yaml.MarkedYAMLError as error:
            places = [m.index for m in (error.problem_mark, error.context_mark) if m is not None]
            spot = self.spot(places[0], places[-1])
            found = misread.slip(spot, f"{error.context or ''}: {error.problem}")
            self.slips += [found] if found not in self.slips else []
        except (ValueError, OverflowError):  # of an escape, from PyYAML without libyaml
            self.slips.append(misread.escape(text, self.last[1]))

    def strict(self, events: Iterable[Any]) -> Iterator[Any]:
        """The events, where nothing stands between them that YAML allows and a spec does not."""
        end = 0
        for event in events:
            for found in _BETWEEN.finditer(self.text, end, event.start_mark.index):
                self.between(found.lastgroup, found.start())
            end = event.end_mark.index
            yield event

    def between(self, sign: str | None, at: int) -> None:
        """A sign between two nodes; `sign` is its name, None that of a comment."""
        if sign == "question":
            raise UnreadableError(misread.no_word(at))
        if sign == "hash":
            raise UnreadableError(misread.no_space_before(at))
        # JSON's `{"key":1}` is YAML too, in braces
        json = self.text[self.last[0]] in "\"'" and self.text[self.open[-1].start] == "{"
        if sign == "colon" and not json and not self.text[at + 1].isspace():
            raise UnreadableError(misread.no_space_behind(self.text, at))

    def spot(self, at: int, opened: int = -1) -> Spot:
        """A place as `misread` looks at it."""
        top = self.open[-1]
        at = min(at, len(self.text) - 1)
        expects = "value" if top.key else "key" if top.mapping else "item"
        direct = top is self.last_in
        # not `[key: value]`, which has no braces
        top = next(c for c in reversed(self.open) if not c.flow or self.text[c.start] in "[{")
        return Spot(self.text, at, opened, self.last, top.start, top.flow, expects, direct)

    def note(self, code: str, message: str, mark: Mark, help: str = "") -> None:
        """A fault that reading survives."""
        self.add(Slip(code, message, mark[0], help, max(mark[1], mark[0] + 1)))

    def add(self, slip: Slip) -> None:
        if len(self.slips) >= _MANY:
            raise UnreadableError(slip)
        self.slips.append(slip)

    # ------------------------------------------------------------------ events

    def document(self, event: Any) -> None:
        start = event.start_mark.index
        self.documents += type(event) is yaml.DocumentStartEvent
        if self.documents > 1:
            said = "a second document starts here; a file holds one spec"
            raise UnreadableError(
                Slip("E113", said, start, "put it into a file of its own", start + 3)
            )
        if event.explicit and (behind := _BEHIND.match(self.text, start + 3)):
            self.last = (start, start + 3)
            raise UnreadableError(misread.follows(self.spot(behind.start(1))))

    def start(self, event: Any) -> None:
        start = event.start_mark.index
        if event.anchor is not None or event.tag is not None:
            start = self.properties(start)
        top = self.open[-1]
        if (top.mapping and top.key is None) or (event.flow_style and self.text[start] == "?"):
            raise UnreadableError(misread.no_word(start, self.text))
        if len(self.open) > self.limits.nesting:
            said = f"lists and mappings are nested more than {self.limits.nesting} deep"
            raise UnreadableError(Slip("E402", said, start, "move the inner part into a block"))
        of: Any = dict if type(event) is yaml.MappingStartEvent else list
        self.open.append(Open(of is dict, of(), of(), start, bool(event.flow_style)))

    def end(self, event: Any) -> None:
        top = self.open.pop()
        stop = event.end_mark.index
        if top.flow and event.start_mark.index < stop:
            self.last, self.last_in = (top.start, stop), self.open[-1]
        elif not top.mapping:  # the place of a block list is its first dash
            stop = top.start + 1
        else:  # that of a block mapping its first key, and that of `[key: value]` all of it
            first = next(iter(top.marks.values()))
            stop = max(first[1], first[2][1]) if top.flow else first[1]
        self.put(top.data, (top.start, stop, top.marks))

    def alias(self, event: Any) -> None:
        start, stop = mark = event.start_mark.index, event.end_mark.index
        top = self.open[-1]
        self.properties(start)
        self.last, self.last_in = mark, top
        if top.mapping and top.key is None:
            top.key = ("", start, stop)
        else:
            self.put(None, mark)

    def scalar(self, event: Any) -> None:
        start, stop = mark = event.start_mark.index, event.end_mark.index
        value, style, top = event.value, event.style, self.open[-1]
        if event.anchor is not None or event.tag is not None:
            start, stop = mark = min(self.properties(start), stop), stop
        if style:
            self.styled(value, style, mark)
        if top.mapping and top.key is None:
            if not style and type(self.known.get(value)) is not str:
                self.plain_key(value, mark)
            top.key = (value, start, stop)
        elif style:
            self.put(value, mark)
        elif not value:
            self.put(None, self.place_of_nothing(start))
        elif value in self.known:
            self.put(self.known[value], mark)
        else:
            self.put(self.plain(value, mark), mark)
        if value or style:
            self.last, self.last_in = mark, top

    def put(self, value: Any, mark: Mark) -> None:
        """A value that is complete, into what it stands in."""
        top = self.open[-1]
        if not top.mapping:
            top.data.append(value)
            top.marks.append(mark)
            return
        assert top.key is not None
        key, start, stop = top.key
        top.key = None
        if key in top.data:
            self.twice(key, top.marks[key], (start, stop))
            return
        if value is None and top.flow and self.text[stop : stop + 2].lstrip()[:1] != ":":
            missing = misread.no_space(self.text, start, stop)
            if missing:
                raise UnreadableError(missing)
            if meant := misread.no_colon(self.text, start, stop):
                self.slips = [slip for slip in self.slips if not start <= slip.start < stop]
                if "$" in meant.help or '"' in meant.help:  # it may end in the middle
                    raise UnreadableError(meant)
                self.add(meant)
        top.data[key] = value
        top.marks[key] = (start, stop, mark)

    def place_of_nothing(self, start: int) -> Mark:
        """The place of a value that is not there: its key, or its dash."""
        if self.open[-1].key is not None:
            return self.open[-1].key[1:]
        dash = self.text.rfind("-", 0, start)
        return (dash, dash + 1) if len(self.open) > 1 else (0, 0)

    def twice(self, key: str, first: Mark, again: Mark) -> None:
        """A key that its mapping has already."""
        if self.told(again):
            return
        one, other = (self.text.count("\n", 0, mark[0]) + 1 for mark in (first, again))
        where = f"twice on line {one}" if one == other else f"on line {one} and on line {other}"
        self.note("E106", f"`{opening(key)}` is given {where}", again, "remove one of them")

    # ------------------------------------------------------------------ scalars

    def too_long(self, value: str, mark: Mark) -> bool:
        if len(value) <= self.limits.scalar:
            return False
        said = f"a text of {len(value)} characters; at most {self.limits.scalar} are allowed"
        self.note("E403", said, (mark[0], mark[0] + 1), "shorten it")
        return True

    def styled(self, value: str, style: str, mark: Mark) -> None:
        """The faults of a scalar in quotes, or of one on lines of its own."""
        self.too_long(value, mark)
        if style == '"' and (odd := FORBIDDEN.search(value)):
            self.note("E103", f"{character(odd.group())} is not allowed", mark, "remove it")
        if style in "|>" and (bad := misread.block_scalar(self.spot(mark[0], mark[0]))):
            raise UnreadableError(bad)

    def plain(self, text: str, mark: Mark) -> Any:
        """What a plain scalar says that is met for the first time."""
        start, stop = mark
        several = self.text.find("\n", start, stop) >= 0
        if self.quoted and not several:
            text = self.text[start:stop] or text  # nothing, where an anchor reaches to its end
        try:
            value = scalars.core(text)
        except scalars.NumberError as bad:
            self.note("E112", f"the number `{opening(text)}` {bad.rule}", mark, bad.help)
            return 0
        if value is text and self.too_long(text, mark):
            return text
        if several:
            self.continued(start, stop)
        fault = self.faulty(text, start, stop)
        if fault is not None:
            self.add(fault)
        elif _WORD.fullmatch(text):
            self.known[text] = value
        return value

    def faulty(self, text: str, start: int, stop: int) -> Slip | None:
        """What is wrong with a plain scalar that is text."""
        at, top = text.find("$("), self.open[-1]
        if self.foreign and (fault := misread.foreign_sign(self.text, start, stop, flow=top.flow)):
            return fault
        if top.flow and not top.mapping and (fault := misread.apart(self.text, start, stop)):
            return fault
        if at >= 0 and (self.quoted or text.count("(", at) > text.count(")", at)):
            return misread.cut_off(self.text, start, stop, flow=self.open[-1].flow)
        return None

    def continued(self, start: int, stop: int) -> None:
        """A plain scalar of several lines: none of them may look like more than text."""
        if self.open[-1].flow:
            at = stop - len(self.text[start:stop].partition("\n")[2].lstrip())
            raise UnreadableError(misread.unfinished(self.spot(at)))
        if broken := _BROKEN.search(self.text, start, stop):
            raise UnreadableError(misread.below_a_value(self.text, start, broken.end()))

    def plain_key(self, key: str, mark: Mark) -> None:
        """A key without quotes that is met for the first time."""
        if not key:
            raise UnreadableError(misread.no_word(mark[0]))
        if missing := misread.no_space_in_key(self.text, mark[0], mark[1]):
            raise UnreadableError(missing)
        if key == "<<":
            said = "a merge key `<<` is not part of the language"
            self.note("E109", said, mark, "use a block with params")
        elif not isinstance(self.plain(key, mark), str):
            if self.told(mark):
                return
            if comma := self.comma(key, mark):
                self.add(comma)
                return
            help = f'write "{opening(key)}" in quotes if a name is meant'
            self.note("E111", f"the key `{opening(key)}` is not text", mark, help)

    def told(self, mark: Mark) -> bool:
        """Whether the complaint before speaks of it: of several numbers without a key."""
        return bool(self.slips) and self.slips[-1].start <= mark[0] < (self.slips[-1].stop or 0)

    def comma(self, key: str, mark: Mark) -> Slip | None:
        """`{kernel, 3}`, `{kernel: 3, 3}`, where a number cannot be a key."""
        top = self.open[-1]
        before = str(next(reversed(top.data), ""))
        if top.flow and not top.data:
            return misread.without_key(self.text, mark)
        if not top.flow or not before.isidentifier():
            return None
        if top.data[before] is not None:
            return misread.without_brackets(self.text, before, mark)
        start, stop = top.marks[before][:2]
        if self.text[stop : mark[0]].strip() != ",":
            return None
        said = f"`,` stands where `:` is meant, after `{opening(before)}`"
        return Slip("E104", said, start, f"write `{opening(before)}: {key}`", mark[1])

    def properties(self, start: int) -> int:
        """Notes the anchors, tags and aliases at `start`; where they end."""
        while found := _PROPERTY.match(self.text, start):
            self.add(misread.property_(self.text, start))
            start = found.end()
        return start
