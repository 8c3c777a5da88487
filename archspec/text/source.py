"""Path → Source: text, plain data, the place of all of it; quotes faults with a caret."""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from archspec.limits import DEFAULT, Limits
from archspec.text import reading, scalars
from archspec.text.beside import beside
from archspec.text.faults import Fault, Loc, Quoting, SpecError, Step, remedy
from archspec.text.misread import Slip
from archspec.text.words import printable, shortened

_WIDTH = 100  # columns of an excerpt
_MARGIN = 9  # beside it, for the number of its line and an ellipsis
_CHAIN = 8  # links of a chain that are shown
_GROUPS = frozenset({"residual", "branches"})
_LACKING = ("E202", "E209", "E214")  # codes of what an item or a call does not have
_ENDS = "the file ends here, within a line: if it was cut off, what followed is missing too"


class Place(NamedTuple):
    """Line and column, both from 1, and how many characters are meant."""

    line: int
    column: int
    length: int


@dataclass(slots=True, eq=False)
class Source:
    """One spec file as read: `data` is plain dicts, lists and scalars in the order written."""

    name: str
    text: str = field(repr=False)
    data: Any = field(default=None, repr=False)
    marks: reading.Mark = field(default=(0, 0), repr=False)
    path: Path | None = field(default=None, repr=False)
    _lines: list[int] = field(default_factory=list, init=False, repr=False)  # where they start

    def place(self, loc: Loc) -> Place:
        """Where `loc` stands; the nearest thing around it where the path leads nowhere."""
        start, stop = self._range(loc)
        return self._at(start, stop)

    def blank(self, loc: Loc) -> bool:
        """Whether nothing is written behind the key at a place: `stride: `, and not `null`."""
        return self._range(loc) == self._range(Loc(loc.file, loc.path, on_key=True))

    def ends(self, loc: Loc) -> bool:
        """Whether the text ends with what is meant, and without the end of its line."""
        return 0 < len(self.text) == self._range(loc)[1]

    def end(self) -> tuple[str | int, ...]:
        """The path of what stands last."""
        path: list[str | int] = []
        node = self.data
        while node and isinstance(node, (dict, list)):
            path.append([*node][-1] if isinstance(node, dict) else len(node) - 1)
            node = _child(node, path[-1])
        return tuple(path)

    def position(self, loc: Loc) -> str:
        """`file:line:column`."""
        where = self.place(loc)
        return f"{printable(self.name)}:{where.line}:{where.column}"

    def quote(
        self, fault: Fault, others: Mapping[str, Quoting] | None = None, width: int | None = None
    ) -> str:
        """The fault as text: code, sentence, place, excerpt with caret, details, chain, remedy.

        The excerpt is cut to a terminal of `width` columns.
        """
        sources = {**(others or {}), self.name: self}
        lines = [f"{fault.code} {printable(fault.message)}"]
        if self.text:
            context = self.context(fault.loc)
            lines += [f"  --> {self.position(fault.loc)}   {context}".rstrip()]
            most = _WIDTH if width is None else min(_WIDTH, max(width - _MARGIN, 20))
            lines += self._excerpt(self.place(fault.loc), most)
        else:
            lines += [f"  --> {printable(self.name)}"]
        lines += [f"  {printable(detail)}" for detail in fault.details]
        lines += _chain(fault.chain, sources)
        return "\n".join([*lines, *remedy(fault)])

    def context(self, loc: Loc) -> str:
        """The block and the named items around a place: `Bottleneck.residual`."""
        names: list[str] = []
        node = self.data
        path = loc.path
        for depth, step in enumerate(path):
            if (depth == 1 and path[0] == "blocks") or step in _GROUPS:
                names.append(str(step))
            node = _child(node, step)
            own = node.get("id") if isinstance(node, dict) else None
            if isinstance(own, str) and path[0] != "params":
                names.append(own)
        return ".".join(printable(shortened(name, 40)) for name in names)

    def _range(self, loc: Loc) -> tuple[int, int]:
        """First and last character of what `loc` means."""
        mark, node = self.marks, self.data
        start, stop = mark[:2]
        for step in loc.path:
            inner = mark[2] if len(mark) > 2 else None
            if inner is None and mark[1] > mark[0] and not loc.on_key:
                break  # a bare value stands for a mapping of one
            if isinstance(inner, dict) and step in inner:
                start, stop, mark = inner[step]
            elif isinstance(inner, list) and isinstance(step, int) and step < len(inner):
                mark = inner[step]
                start, stop = mark[:2]
            else:
                return start, stop
            node = _child(node, step)
        if loc.on_key:
            return start, stop
        if loc.span is not None and len(mark) == 2:
            text = node if isinstance(node, str) else self.text[mark[0] : mark[1]]
            return scalars.span(self.text, (mark[0], mark[1]), text, loc.span)
        return mark[:2]

    def _at(self, start: int, stop: int) -> Place:
        if not self._lines:
            self._lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        line = bisect_right(self._lines, start)
        begin, end = self._ends(line)
        return Place(line, start - begin + 1, max(min(stop, end) - start, 1))

    def _line(self, number: int) -> str:
        """One line, without its end; from 1."""
        begin, end = self._ends(number)
        return self.text[begin:end]

    def _ends(self, number: int) -> tuple[int, int]:
        """Where a line begins, and where its end stands; from 1."""
        last = number == len(self._lines)
        return self._lines[number - 1], len(self.text) if last else self._lines[number] - 1

    def _excerpt(self, where: Place, most: int) -> list[str]:
        """The line with the place, cut to `most` columns, and the caret below it."""
        line = self._line(where.line)
        column, length = where.column - 1, where.length
        if len(line) > most:
            left = max(0, min(column - most // 3, len(line) - most))
            more = left + most < len(line)
            line = line[left : left + most]
            line = ("…" + line[1:] if left else line) + ("…" if more else "")
            column -= left
        line = printable(line)
        length = max(1, min(length, len(line) - column))
        return [f"{where.line:>5} | {line}".rstrip(), f"      | {' ' * column}{'^' * length}"]


def read(path: str | Path, *, limits: Limits = DEFAULT, name: str | None = None) -> Source:
    """The spec file at `path`, read as strict YAML. Raises SpecError.

    `name` is what messages call it: the path as given, if left out.
    """
    shown = name if name is not None else os.fspath(path)
    raw = _bytes(path, shown, limits.file_bytes)
    return _parse(_decode(raw, shown), shown, Path(path), limits)


def from_text(
    text: str, name: str = "<text>", *, limits: Limits = DEFAULT, path: Path | None = None
) -> Source:
    """A spec given as text; `path` is the file that it stands for. Raises SpecError."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.file_bytes:
        raise _unread(name, "E401", _too_large(limits.file_bytes))
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace("\r\n", "\n")
    return _parse(text, name, path, limits)


def _parse(text: str, name: str, path: Path | None, limits: Limits) -> Source:
    try:
        data, marks = reading.load(text, limits)
    except reading.UnreadableError as bad:
        raise _misread(name, text, bad.args) from None
    return Source(name, text, data, marks, path)


def in_order(faults: Iterable[Fault], sources: Mapping[str, Source]) -> list[Fault]:
    """The faults in the order of the texts; nothing is guessed where one ends within a line."""
    order = {name: k for k, name in enumerate(sources)}

    def place(fault: Fault) -> tuple[int, int, int]:
        source = sources.get(fault.loc.file)
        where = source.place(fault.loc)[:2] if source is not None else (0, 0)
        return order.get(fault.loc.file, 0), *where

    return [_ended(f, sources.get(f.loc.file)) for f in sorted(faults, key=place)]


def _ended(fault: Fault, source: Source | None) -> Fault:
    if source is None:
        return fault
    if fault.code in _LACKING and not source.ends(fault.loc):
        end = source.end()
        around = fault.loc.path[: len(fault.loc.path) - (fault.loc.on_key and fault.code != "E209")]
        if around and not source.text.endswith("\n") and end[: len(around)] == around:
            step = Step(Loc(source.name, end), "the file ends here, within a line", "compare")
            return replace(fault, chain=(*fault.chain, step))
    if not source.ends(fault.loc):
        return fault
    if fault.help.startswith("did you mean"):  # a word that is cut off may be any that begins so
        return replace(fault, help=_ENDS)
    if not fault.help.startswith("write"):
        return fault
    return replace(fault, details=(*fault.details, _ENDS))


def _misread(name: str, text: str, slips: Iterable[Slip]) -> SpecError:
    """Faults of a text that is no strict YAML: at characters, not at paths."""
    slips = sorted(slips, key=lambda slip: slip.start)
    marks = (0, 0, [(slip.start, max(slip.stop, slip.start + 1)) for slip in slips])
    faults = [
        Fault(slip.code, slip.message, Loc(name, (i,)), slip.help) for i, slip in enumerate(slips)
    ]
    sources = {name: Source(name, text, None, marks)}
    return SpecError(in_order(faults, sources), sources)


def _unread(name: str, code: str, message: str, help: str = "") -> SpecError:
    return SpecError([Fault(code, message, Loc(name), help)], {name: Source(name, "")})


# ------------------------------------------------------------------ bytes


_REASONS = {
    errno.ENOENT: "the file does not exist",
    errno.ENOTDIR: "the file does not exist: a part of the path is not a folder",
    errno.EACCES: "the file may not be read",
    errno.EPERM: "the file may not be read",
    errno.EISDIR: "this is a folder, not a spec file",
    errno.ELOOP: "the path is a link that leads to itself",
    errno.ENAMETOOLONG: "the path is too long",
}


def _bytes(path: str | Path, name: str, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises SpecError."""
    raw = bytearray()
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                said = "this is not a regular file (a pipe or a device)"
                raise _unread(name, "E101", said, "copy the text into a file")
            while len(raw) <= most and (chunk := file.read(1 << 20)):
                raw += chunk
    except OSError as failed:
        if os.path.isdir(path):  # noqa: PTH112  (Path's raises for a path that is too long)  # Windows refuses to open a folder with EACCES
            raise _unread(name, "E101", _REASONS[errno.EISDIR], "name a file in it") from None
        reason = _REASONS.get(failed.errno or 0, f"the file cannot be read: {failed.strerror}")
        missing = failed.errno == errno.ENOENT
        help = (missing and beside(path, name)) or "check the path"
        raise _unread(name, "E101", reason, help) from None
    except ValueError:
        said = "the path contains a NUL character"
        raise _unread(name, "E101", said, "check the path") from None
    if len(raw) > most:
        help = "raise `Limits(file_bytes=…)` from Python if it is meant"
        raise _unread(name, "E401", _too_large(most), help)
    return bytes(raw)


def _at_once(path: str, flags: int) -> int:
    """Opens a file, and a pipe that nobody writes to without waiting for one."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _too_large(most: int) -> str:
    return f"the file is larger than {most:,} bytes"


_OTHERS = (
    (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe\x00\x00", "UTF-32"), (b"\xfe\xff", "UTF-16"),
    (b"\xff\xfe", "UTF-16"),
)  # fmt: skip


def _decode(raw: bytes, name: str) -> str:
    """UTF-8 text with LF line ends, without a byte order mark. Raises SpecError."""
    for mark, encoding in _OTHERS:
        if raw.startswith(mark):
            said = f"the file is {encoding}; a spec is UTF-8"
            raise _unread(name, "E102", said, "save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        start = len(raw[: bad.start].decode("utf-8"))
        said = f"byte 0x{raw[bad.start]:02x} is not UTF-8"
        slip = Slip("E102", said, start, "save the file as UTF-8")
        raise _misread(name, raw.decode("utf-8", "replace"), [slip]) from None


# ------------------------------------------------------------------ text


def _child(node: Any, step: str | int) -> Any:
    inside: Any = node if isinstance(node, (dict, list)) else ()
    try:
        return inside[step]
    except (KeyError, IndexError, TypeError):
        return None


def _chain(chain: tuple[Step, ...], sources: Mapping[str, Quoting]) -> list[str]:
    """One line a place, those at the same place joined; a long chain is cut in the middle."""

    def position(step: Step) -> str:
        source = sources.get(step.loc.file)
        where = source.position(step.loc) if source else printable(step.loc.file)
        return f"{step.how} {where}"

    shown = [
        f"  {where}   {'; '.join(_middle([printable(step.text) for step in steps]))}"
        for where, steps in groupby(chain, position)
    ]
    if len(shown) > _CHAIN:
        half = _CHAIN // 2
        shown[half:-half] = [f"  … {len(shown) - _CHAIN} more …"]
    return shown


def _middle(texts: list[str]) -> list[str]:
    """At most four of the links at one place."""
    return texts if len(texts) <= 4 else [*texts[:2], f"… {len(texts) - 3} more …", texts[-1]]
