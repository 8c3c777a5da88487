"""Where YAML's grammar is lost → what an author should mend.

libyaml and PyYAML say what they expected; an author wants to know which sign to write, and where:

    - id:main        libyaml   mapping values are not allowed in this context   (the second line)
      conv: 8        here      E115 a space is missing after `:`                (the first line)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from archspec.text import scalars
from archspec.text.words import character, opening

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_GLUED = re.compile(rf"({_WORD}):(?!//)(\S.*)")
_NO_COLON = re.compile(rf"({_WORD}) +([^\s:]+)")
_NUMBERS = re.compile(r" *\(?[-\w.]+\)?(?=\s*[,}])(?:,\s*\(?[-\w.]+\)?(?=\s*[,}]))*")
_OTHER_COLON = re.compile(rf"({_WORD})( *=+ *| +)([^\s=:]\S*)")
_STRAY = re.compile(r"[^\w\s{}\[\]\"'$+~.-] +(\S.*)")  # a sign that begins no value, and one
_BEFORE = re.compile(r"[ -]*")  # what may stand before the first word of a line
_PROPERTY = re.compile(r"[&!*][^\s,\[\]{}]*")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPES = frozenset('0abt\tnvfre "/\\N_LP\n')
_FRAMES = re.compile(r"\{\{\s*([^{}\n]*?)\s*\}\}")  # as Jinja and Handlebars have them
_HEADER = re.compile(r"[|>][-+1-9]*(?:[ \t]+(?:#[^\n]*)?)?(?:\n|\Z)")  # of a block scalar
_CLOSE = {"{": "}", "[": "]"}
_CLOSED = {"'": "the closing quote", '"': "the closing quote", "[": "the closing `]`",
           "{": "the closing `}`", "*": "the alias"}  # fmt: skip
_PROPERTIES = {
    "&": ("E107", "an anchor", "use `params` for a value, `blocks` for items"),
    "*": ("E108", "an alias", "use `params` for a value, `blocks` for items"),
    "!": ("E110", "a tag", "remove it"),
}


class Slip(NamedTuple):
    """A fault of the text at characters [start, stop), or at one where `stop` is left out."""

    code: str
    message: str
    start: int
    help: str = ""
    stop: int = 0


class Spot(NamedTuple):
    """Where in a text reading was lost.

    At `at` stands what does not fit; `opened` is where what YAML was reading begins. `last` is the
    scalar, alias or flow collection before it, `around` the start of the collection it stands in,
    `direct` whether `last` is an entry of that one.
    """

    text: str
    at: int
    opened: int
    last: tuple[int, int]
    around: int = 0
    flow: bool = False
    expects: str = ""  # an item, a key or a value
    direct: bool = False

    @property
    def gap(self) -> str:
        """What stands between the last that was read and the spot."""
        return self.text[self.last[1] : self.at]


def slip(spot: Spot, said: str) -> Slip:
    """The fault for what libyaml or PyYAML said of a text."""
    line = _start_of_line(spot.text, spot.last[0])
    foreign = foreign_sign(spot.text, line, _end_of_line(spot.text, spot.at), flow=spot.flow)
    if foreign is not None:
        return foreign
    rule = next((rule for words, rule in _RULES if re.search(words, said)), None)
    return rule(spot) if rule else Slip("E104", f"this is no YAML: {said}", spot.at)


# ------------------------------------------------------------------ lines


def _start_of_line(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _end_of_line(text: str, at: int) -> int:
    return text.index("\n", at)


def _column(text: str, at: int) -> int:
    return at - _start_of_line(text, at)


def _indent(text: str, at: int) -> int:
    """The column of the first character of a line that is no space."""
    line = text[_start_of_line(text, at) : _end_of_line(text, at)]
    return len(line) - len(line.lstrip(" "))


def _first(text: str, at: int) -> int:
    """The column of the first character of a line that is no space and no dash of an item."""
    found = _BEFORE.match(text, _start_of_line(text, at))
    assert found is not None
    return found.end() - found.start()


def _end_of_plain(text: str, start: int) -> int:
    """Where the first line of a plain scalar ends."""
    line = re.split(" #|: ", text[start : _end_of_line(text, start)], maxsplit=1)[0]
    return start + len(line.rstrip())


# ------------------------------------------------------------------ faults of scalars


def property_(text: str, at: int) -> Slip:
    """An anchor, an alias or a tag."""
    found = _PROPERTY.match(text, at)
    assert found is not None
    if found.group() == "*" and _BEFORE.fullmatch(text, _start_of_line(text, at), at):
        said = "`*` stands where `-` starts an item of a list"
        return Slip("E104", said, at, "write `-`", at + 1)
    code, what, help = _PROPERTIES[text[at]]
    said = f"{what} `{opening(found.group())}` is not part of the language"
    return Slip(code, said, at, help, found.end())


def no_word(at: int, text: str = "") -> Slip:
    said = "a key is one word; a list, a mapping or nothing is not"
    if found := _FRAMES.match(text, max(at - 1, 0)):
        return Slip("E111", said, at - 1, f"an expression is `$({found[1]})`", found.end())
    return Slip("E111", said, at, "give the key as plain text")


def directive(spot: Spot) -> Slip:
    start = _start_of_line(spot.text, spot.at)
    said = "a `%` directive is not part of the language"
    return Slip("E113", said, start, "remove the line", _end_of_line(spot.text, start))


def foreign_sign(text: str, start: int, stop: int, *, flow: bool) -> Slip | None:
    """A sign that only looks like YAML's, between the start and the end of a scalar.

    A dash or a blank; in brackets a comma too, between two words that are not prose.
    """
    if printed := scalars.PRINTED.fullmatch(text, start, stop):
        said = f"{character(text[start])} is no quote of YAML"
        inner = printed[1] if printed[1].isidentifier() else f'"{printed[1]}"'
        return Slip("E103", said, start, f"write `{inner}`", stop)
    found = scalars.FOREIGN.search(text[start:stop])
    if found is None:
        comma = scalars.COMMA.search(text[start:stop]) if flow else None
        return comma and _comma(text, start + comma.start())
    dash = found["dash"]
    at = start + found.end() - 1
    if dash and not _BEFORE.fullmatch(text, _start_of_line(text, at), at):
        return None
    if dash and "-" in text[_start_of_line(text, at) : at]:
        said = f"{character(text[at])} follows `-`, which starts the item already"
        return Slip("E103", said, at, "remove it; an item that is a list itself starts with `- - `")
    wanted = "`-`, a hyphen, starts an item" if dash else "YAML takes only a space"
    said = f"{character(text[at])} stands where {wanted}"
    help = "write `-`" if dash else "write a space"
    return Slip("E103", said, at, help)


def _comma(text: str, at: int) -> Slip:
    said = f"{character(text[at])} stands where `,` divides"
    return Slip("E103", said, at, "write `,`")


def apart(text: str, start: int, stop: int) -> Slip | None:
    """Several numbers in the scalar at [start, stop), an entry of a list: no `,` divides them."""
    found = scalars.SEVERAL.fullmatch(text, start, stop)
    if found is None:
        return None
    written = ", ".join(number.removesuffix(".") for number in text[start:stop].split())
    said = f"`,` is missing behind `{found[1]}`"
    return Slip("E104", said, start, f"write `{opening(written)}`", stop)


def cut_off(text: str, start: int, stop: int, *, flow: bool) -> Slip | None:
    """An expression in the plain scalar at [start, stop) that YAML ends too early."""
    found = scalars.cut_off(text, start, stop, flow=flow)
    if found is None:
        return None
    at, whole, sign = found
    quote = "'" if '"' in whole else '"'
    lead = text[start:at].strip(scalars.QUOTES)
    help = f"put it in quotes: {quote}{lead}{whole}{quote}"
    begin, stop = at, at + len(whole)
    if not lead:  # quotes that are half there, or as they are printed
        begin, stop = start, stop + (text[stop] in scalars.QUOTES)
    return Slip("E116", f"YAML ends this expression at `{sign}`", begin, help, stop)


def no_space(text: str, start: int, stop: int) -> Slip | None:
    """`key:value` without a space, at [start, stop)."""
    found = _GLUED.fullmatch(text, start, stop)
    return found and _no_space(found[1], found.end(1), found[2])


def no_space_in_key(text: str, start: int, stop: int) -> Slip | None:
    """`key:{a: 1}`, in which YAML takes `key:{a` for a key, at [start, stop)."""
    found = _GLUED.fullmatch(text, start, stop)
    if found is None or found[2][0] not in _CLOSE:
        return None
    return _no_space(found[1], found.end(1), text[found.end(1) + 1 : _end_of_line(text, start)])


def no_space_behind(text: str, colon: int) -> Slip:
    """`{key:[…]}` and `{key:}`: libyaml takes neither."""
    key = re.split(r"[\s,\[\]{}]", text[_start_of_line(text, colon) : colon])[-1]
    return _no_space(key, colon, text[colon + 1 : _end_of_line(text, colon)])


def _no_space(key: str, colon: int, value: str) -> Slip:
    if value.strip() in (",", ";"):
        return Slip("E104", f"`{value.strip()}` follows `{key}:`", colon, f"write `{key}:`")
    stray = _STRAY.fullmatch(value)
    if stray is not None:
        said = f"`{value[0]}` follows `{key}:`"
        return Slip("E104", said, colon + 1, f"write `{key}: {opening(stray[1])}`", colon + 2)
    help = f"write `{key}: {opening(value)}`"
    return Slip("E115", "a space is missing after `:`", colon, help)


def no_colon(text: str, start: int, stop: int) -> Slip | None:
    """`key=value` or `key value` where a `key: value` stands in braces, at [start, stop)."""
    found = _OTHER_COLON.fullmatch(text, start, stop)
    if found is None:
        return None
    help = f"write `{found[1]}: {opening(found[3])}`"
    if "=" in found[2]:
        said = f"`=` stands where `:` is meant, after `{found[1]}`"
        return Slip("E104", said, start, help, stop)
    return Slip("E104", f"`:` is missing after `{found[1]}`", start, help, stop)


def without_brackets(text: str, key: str, mark: tuple[int, ...]) -> Slip | None:
    """`{n: 1, 2, 2}`: a list, or a decimal comma, of which a number at `mark` is made a key."""
    start = text.rfind(f"{key}:", 0, mark[0])
    found = _NUMBERS.match(text, start + len(key) + 1)
    if found is None or found.end() <= mark[0] or not start + 1:
        return None
    values = [value.strip(" ()\n") for value in found[0].strip().split(",")]
    help = f"write `{key}: [{opening(', '.join(values))}]`"
    if re.fullmatch(r"\d+(,\d{3})+", found[0].strip()):
        help = f"write `{key}: {opening(''.join(values))}`"
    elif re.fullmatch(r"\d+,\d+", found[0].strip()):
        help = f"write `{key}: {opening('.'.join(values))}`"
    said = f"the value of `{key}` ends at its `,`, since it stands in braces"
    return Slip("E111", said, mark[0], help, found.end())


def without_key(text: str, mark: tuple[int, ...]) -> Slip | None:
    """`{6, 5, padding: 2}`: numbers by their order, of which keys are made."""
    found = _NUMBERS.match(text, mark[0])
    if found is None:
        return None
    said = f"`{opening(found[0])}` stands in braces without its key"
    return Slip("E111", said, mark[0], "write each value as `key: value`", found.end())


def no_space_before(sign: int) -> Slip:
    said = "a space is missing before `#`, which starts a comment"
    return Slip("E104", said, sign, "write a space, or put the text in quotes")


def escape(text: str, start: int) -> Slip:
    """The first escape that is none, of the double-quoted text at `start`."""
    for found in _ESCAPE.finditer(text, start):
        sign = found.group()
        code = int(sign[2:], 16) if len(sign) > 2 else 0
        if 0xD800 <= code < 0xE000:
            whole = _QUOTED.match(text, start)
            stop = whole.end() if whole else found.end()
            return Slip("E103", f"{character(chr(code))} is not allowed", start, "remove it", stop)
        if code > 0x10FFFF or (len(sign) == 2 and sign[1] not in _ESCAPES):
            said = f"`{sign}` is no escape of a double-quoted text"
            help = r"write `\\` for a backslash, or use single quotes"
            return Slip("E104", said, found.start(), help, found.end())
    return Slip("E104", "an escape of this text is none", start)  # pragma: no cover


def below_a_value(text: str, start: int, at: int) -> Slip:
    """A line at `at` that would go on with the plain scalar at `start`, and is more than text."""
    stop = _end_of_plain(text, start)
    head = text[start:stop]
    if _BEFORE.fullmatch(text, _start_of_line(text, start), start):
        if missing := no_space(text, start, stop):
            return missing
        if found := _NO_COLON.fullmatch(head):
            help = f"write `{found[1]}: {opening(found[2])}`"
            return Slip(
                "E104", f"`:` is missing after `{found[1]}`", start, help, start + found.end(1)
            )
    said = f"this line is indented below `{opening(head)}`, which is a value already"
    help = "start it in the column of the line above, or put a long text in quotes"
    return Slip("E117", said, at, help, _end_of_line(text, at))


# ------------------------------------------------------------------ faults of structure


def unfinished(spot: Spot, missing: str = "") -> Slip:
    """A flow collection that does not go on as it must."""
    text, at, start = spot.text, spot.at, spot.around
    if quote := _open_quote(spot):
        return quote
    close = _CLOSE[text[start]]
    below = "\n" in text[start:at] and _indent(text, at) <= _first(text, start)
    if below or not text[at:].strip():
        return Slip("E114", f"`{text[start]}` is not closed", start, f"close it with `{close}`")
    if text[at] == ":":
        before = re.split(r"[,{\[]", text[_start_of_line(text, at) : at])[-1].strip()
        if not before:
            return no_word(at)
        if "\n" in text[start:at] and not text[at + 1 : _end_of_line(text, at)].strip():
            return Slip("E114", f"`{text[start]}` is not closed", start, f"close it with `{close}`")
        said = f"a second `: ` follows in `{opening(before)}`"
        help = "a `,` is missing before the key, or the value needs quotes"
        return Slip("E104", said, at, help)
    if text[at - 1 : at + 1] == "${":
        inside = text[at + 1 : _end_of_line(text, at)].partition("}")[0]
        help = f"an expression is `$({inside})`, and a dollar sign is `$$`"
        return Slip("E121", "`$` without a name or `(`", at - 1, help)
    missing = missing or f"`,` or `{close}`"
    said = f"{missing} is missing before `{opening(text[at : _end_of_line(text, at)])}`"
    row = text.count("\n", 0, start) + 1
    return Slip("E104", said, at, f"`{text[start]}` opens on line {row}")


def _open_quote(spot: Spot) -> Slip | None:
    """A text in quotes before the spot that began on a line above: its own sign ends another."""
    text, (start, stop) = spot.text, spot.last
    if not stop or text[start] not in "\"'" or "\n" not in text[start:stop]:
        return None
    said = f"the quote {text[start]} is not closed on its line"
    return Slip("E114", said, start, "close it")


def follows(spot: Spot) -> Slip:
    """Something on the line behind what was read, where nothing may stand."""
    text, at = spot.text, spot.at
    start, stop = spot.last
    style = text[start]
    if stop == 0:
        return no_word(at)
    if quote := _open_quote(spot):
        return quote
    before = text[_start_of_line(text, at) : at].rstrip()[-1:]
    after = _CLOSED.get(style, f"`{opening(text[start:stop])}`")
    after = f"the closing `{before}`" if before in ("]", "}") else after
    if text[at] == ":":
        said = f"{after} is used as a key; a key is one word"
        return Slip("E111", said, at, "give the key as plain text")
    said = f"text follows {after} on the same line"
    help = "remove it, or put all of it in quotes"
    return Slip("E104", said, at, help, _end_of_line(text, at))


def _colon(spot: Spot) -> Slip:
    """A `:` where no key can be."""
    text, at = spot.text, spot.at
    start, stop = spot.last
    if stop == 0 or ":" in spot.gap:
        return no_word(at)
    if text[start] in _CLOSED:
        return follows(spot)
    if "\n" in text[start:stop]:
        return below_a_value(text, start, _start_of_line(text, at) + _indent(text, at))
    line = _start_of_line(text, at)
    if equals := re.match(r"[ -]*(\w+) *(=) *\{", text[line:at]):
        word, place = equals[1], line + equals.start(2)
        said = f"`=` stands in place of `: ` after `{word}`"
        return Slip("E104", said, place, f"write `{word}: {{…}}`")
    said = f"a second `: ` stands on this line, behind `{opening(text[start:stop])}`"
    help = "put the value in quotes, or write a mapping as `{key: value}`"
    return Slip("E104", said, at, help)


def _dash(spot: Spot) -> Slip:
    """A `- ` where no item can be."""
    if spot.flow:
        return _sign(spot)
    if not spot.text[: spot.at].rstrip(" ").endswith(":"):
        return follows(spot)
    said = "a list cannot start on the line of its key"
    return Slip("E117", said, spot.at, "start it on the next line, or write `[…]`")


def _no_key(spot: Spot) -> Slip:
    """A line of a mapping that is no `key: value`."""
    text, start = spot.text, spot.opened
    if spot.expects == "item":
        return _misplaced(spot._replace(at=start))
    if text[start] in "[{":
        return no_word(start)
    if text[start] in _PROPERTIES:
        return property_(text, start)
    stop = _end_of_plain(text, start)
    if missing := no_space(text, start, stop):
        return missing
    said = f"`{opening(text[start:stop])}` has no `:`; a mapping consists of `key: value` lines"
    return Slip("E104", said, start, "add `:`, or a `-` where an item of a list is meant", stop)


def _misplaced(spot: Spot) -> Slip:
    """A token that belongs to no list or mapping around it."""
    text, at = spot.text, spot.at
    style = text[spot.last[0]]
    if "\n" not in spot.gap and style not in "|>":
        return follows(spot)
    if text[at] in "?:" and text[at + 1 : at + 2].isspace():
        return no_word(at)
    column = _column(text, at)
    if spot.expects == "key" and text[at] == "-" and column == _column(text, spot.around):
        said = "a list item stands in the column of the keys above it"
        return Slip("E117", said, at, "indent the list under its key, or write the key")
    plain = style not in _CLOSED and style not in "|>"
    if plain and spot.direct and column > _column(text, spot.around):
        return below_a_value(text, spot.last[0], at)
    said = f"this line starts in column {column + 1}, where no list or mapping has its items"
    help = "items of a list and keys of a mapping start in one column"
    return Slip("E117", said, at, help, _end_of_line(text, at))


def _behind_the_end(spot: Spot) -> Slip:
    if spot.text[spot.at] == "%" or spot.text[spot.at - 1] == "%":
        return directive(spot)
    if "\n..." not in spot.gap and not spot.text.startswith("...", spot.at):
        return _misplaced(spot)
    said = "text follows the end of the document, `...`"
    return Slip("E113", said, spot.at, "remove `...`", _end_of_line(spot.text, spot.at))


def _no_node(spot: Spot) -> Slip:
    """A sign where a value, a key or an item should be."""
    text, at = spot.text, spot.at
    if spot.flow and spot.expects == "item" and text[at : at + 1] == ",":
        return Slip("E104", "`,` without an item before it", at, "remove it, or write the item")
    if spot.flow:
        return unfinished(spot, "a key" if spot.expects == "key" else "")
    if text.startswith("...", at):
        return _behind_the_end(spot)
    if text[at] not in "]},":
        return _sign(spot)
    said = f"`{text[at]}` closes or divides nothing here"
    return Slip("E104", said, at, "remove it, or put the text in quotes")


def _sign(spot: Spot) -> Slip:
    """A sign that no text starts with."""
    text, at = spot.text, spot.at
    if text[at] == "\t":
        return _tab(text, at)
    return Slip("E104", f"a text cannot start with `{text[at]}`", at, "put it in quotes")


def _tab(text: str, at: int) -> Slip:
    line = text[_start_of_line(text, at) : at]
    if not line.strip():
        return Slip("E105", "a tab indents this line", at, "indent with spaces")
    said = "a tab follows `-`" if line.endswith("-") else "a tab stands between two words"
    return Slip("E105", said, at, "write a space")


def _quote(spot: Spot) -> Slip:
    start = spot.opened
    said = f"the quote {spot.text[start]} is not closed"
    return Slip("E114", said, start, "close it on the same line")


def block_scalar(spot: Spot) -> Slip | None:
    """A block scalar whose line holds more than its sign, or stands left of what it belongs to."""
    text, at = spot.text, spot.at
    if not _HEADER.match(text, at):
        return _block_text(spot)
    column = _column(text, at)
    left = column == _indent(text, at) and column <= _column(text, spot.around)
    return _misplaced(spot) if left and spot.last[1] else None


def _block_text(spot: Spot) -> Slip:
    start = spot.opened
    said = f"`{spot.text[start]}` starts a text on the lines below; nothing else may follow"
    return Slip("E104", said, start, "put the value in quotes", _end_of_line(spot.text, start))


# What libyaml or PyYAML says of a text, and what is to be said of it.
_RULES: tuple[tuple[str, Callable[[Spot], Slip]], ...] = (
    ("mapping values are not allowed", _colon),
    ("sequence entries are not allowed", _dash),
    ("mapping keys are not allowed", lambda spot: no_word(spot.at)),
    ("could not find expected ':'", _no_key),
    ("expected ',' or", unfinished),
    ("expected (the )?node content", _no_node),
    ("expected '?<document start>", _behind_the_end),
    ("block (mapping|collection)", _misplaced),
    ("cannot start any token|a tab character", _sign),
    ("unexpected (end of stream|document)", _quote),
    ("quoted scalar", lambda spot: escape(spot.text, spot.opened)),
    ("block scalar", _block_text),
    ("an anchor|an alias|a tag", lambda spot: property_(spot.text, spot.opened)),
    ("directive|YAML", directive),
    ("unexpected ':'", lambda spot: no_space_behind(spot.text, spot.at)),
)
