"""A line that does not fit → the line above it that is to blame, where one is.

    body:
       - flatten      <- starts in column 4, all others in column 3
      - relu          YAML: this line starts in a column where no list has its items

YAML takes what comes first for right. A person sees that the first is the odd one: it is written as
no other line of the file, or lacks the sign that its neighbours have.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from archspec.text.misread import Slip
from archspec.text.words import opening

_FAR = 60  # lines that are looked at
_WINDOW = 8_000  # characters of a block that may stand in a wrong column
_STEP = 2  # columns that most files indent by
_VALUE = "which is a value already"
_LIST = re.compile(r"\b(body|sequential|residual|shortcut):$")
_LISTS = re.compile("body|sequential|residual|shortcut|branches|blocks|repeat|id|params")
_SIGN = re.compile(r"(--+|[*+\u2022\xb7])(?: +|$)")  # of a list, elsewhere
_NO_COMMENT = re.compile(r" *(//|/\*|--|;)")
_ROW = re.compile(r"( *)((?:- +)*)([^\s#].*)")
_DASH = re.compile(r"-(?=[A-Za-z{\[])")
_EQUALS = re.compile(r"([a-z]\w*) ?=+ ?(?=\S)")
_NO_COLON = re.compile(r"([a-z]\w*) *(?=[\[{])")
_COMMENT = re.compile(r"\s+#.*|\s+$")
_BLOCK = re.compile(r"[A-Z]\w*:")
_OF_BLOCK = re.compile(r"(params|inputs|body|sequential|outputs):")
# What has keys below it; an op has none where it stands without a value.
_SECTION = re.compile(
    r"([A-Z]\w*|input|params|blocks|use|variants|init|expect|outputs|weights|branches|repeat):"
)


class _Row(NamedTuple):
    """A line: where it starts in the text, its column, whether it starts an item, what it says."""

    start: int
    column: int
    item: bool
    said: str
    at: int  # where that starts

    @property
    def key(self) -> int:
        """The column of its first word, behind the dashes."""
        return self.at - self.start

    @property
    def open(self) -> bool:
        """Whether what belongs to it stands on the lines below."""
        return self.said.endswith(":")


def blamed(text: str, slip: Slip) -> Slip:
    """The slip; of a line that does not fit, that of the line above which is wrong."""
    if slip.code == "E106":
        first = text.rfind("\n", 0, max(slip.start - _WINDOW, 0)) + 1
        end = text.find(":", slip.start) + 1
        around = _rows(text[:end], first)
        return _inward(_rows(text[: slip.start], first)) or _unnamed(around, slip) or slip
    if slip.code != "E117" and " has no `:`" not in slip.message:
        return slip
    end = text.find("\n", slip.start)
    rows = _rows(text[: len(text) if end < 0 else end])
    if len(rows) < 2:
        return slip
    *above, here = rows
    if slip.start not in (here.start + here.column, here.at):
        return slip  # it is something further on in the line that does not fit
    near = above[-_FAR:]
    after = _rows(text[end : end + _WINDOW])[:1] if end >= 0 else []
    if here.open and not here.item and after and after[0].column < here.column:
        return slip  # nothing belongs to it: it stands in a wrong column itself
    return (
        _alone(near, here)
        or (_VALUE in slip.message and _headed(near, here))
        or _signs(near, here)
        or _dashes(near, here)
        or _dash(near, here)
        or _column(_rows(text), near, here)
        or _deeper(near, here)
        or _swapped(near, here)
        or _unmarked(near, here, slip)
        or _beside(text, slip, above[-1])
    )


def _beside(text: str, slip: Slip, row: _Row) -> Slip:
    """The slip, with the line above named: that may as well be the one in a wrong column."""
    if slip.code != "E117" or not slip.help:
        return slip
    line = text.count("\n", 0, row.start) + 1
    return slip._replace(help=f"{slip.help}; or move line {line}, above it")


def first(text: str, slips: list[Slip]) -> list[Slip]:
    """The slips without those that follow from another one.

    Where a bracket is missing, numbers look like keys; a dash that is none takes a line away.
    """
    slips = _once(text, slips)
    *before, last = slips
    if last.code not in ("E104", "E114", "E117"):
        return slips
    if last.code != "E114" and any(slip.code == "E103" for slip in before):
        return before
    line = text.rfind("\n", 0, last.start) + 1
    if last.code == "E117" and line:  # of two lines in each other's place the upper may be a key
        line = text.rfind("\n", 0, line - 1) + 1
    return [s for s in before if s.start < line or s.code not in ("E106", "E111")] + [last]


def _once(text: str, slips: list[Slip]) -> list[Slip]:
    """The slips; of keys given twice one after the other the first: what they belong to is gone."""
    rows = _rows(text)
    places = {row.at: k for k, row in enumerate(rows)}
    found: list[Slip] = []
    before = -1
    for k, slip in enumerate(slips):
        here = places.get(slip.start, -1)
        if k and slip.start == slips[k - 1].start:
            continue  # of one word one thing is said
        ahead = slips[k - 1].code if k and "\n" not in text[slips[k - 1].start : slip.start] else ""
        if slip.code == "E116" and ahead not in ("", "E116"):
            continue  # what is lost before it in the line may be why
        if slip.code != "E106" or here < 0:
            found.append(slip)
            continue
        between = rows[before + 1 : here] if before >= 0 else []
        if before < 0 or any(row.column <= rows[here].column for row in between):
            found.append(slip)
        before = here
    return found


def _rows(text: str, first: int = 0) -> list[_Row]:
    """The lines of a text that say anything, from character `first` on."""
    found = []
    start = first
    for line in text[first:].split("\n"):
        row = _ROW.match(line)
        if row is not None:
            said = _COMMENT.sub("", row[3])
            found.append(_Row(start, len(row[1]), bool(row[2]), said, start + row.start(3)))
        start += len(line) + 1
    return found


def _alone(above: list[_Row], here: _Row) -> Slip | None:
    """A dash whose item stands on the line below it, further left."""
    rows = [*above, here]
    for row, below in reversed([*pairwise(rows)]):
        if row.said == "-" and below.column <= row.column:
            help = f"move `{opening(below.said)}` up to it"
            return Slip("E104", "an item stands on the line of its `-`", row.at, help)
    return None


def _headed(above: list[_Row], here: _Row) -> Slip | None:
    """The line right above that something belongs to, and that has more or less than its colon."""
    row = above[-1]
    key, colon, value = row.said.partition(":")
    if value.startswith("="):  # `spec := 1`
        key, colon = row.said, ""
    if row.column > here.column or (row.column == here.column and (colon or row.item)):
        return None
    if not colon and (
        not row.item or _LISTS.fullmatch(key.rstrip(",;.")) or re.search("[,;]", key)
    ):
        word, _, rest = re.sub(r"[,;.:=]+( |$)", " ", row.said).strip().partition(" ")
        help = f"write `{word}: {opening(rest.lstrip())}`" if rest else f"write `{word}:`"
        said = f"`:` is missing after `{opening(word)}`"
        if rest.startswith("- "):
            said, help = (
                f"two items stand on one line: `{word}` and another",
                "start a line at `- `",
            )
        return Slip("E104", said, row.at, help, row.at + len(row.said))
    holds = (
        _SECTION.match(f"{key}:")
        or (key != "id" and _LISTS.fullmatch(key))
        or _NO_COMMENT.match(value)
    )
    if not colon or not holds or value.strip()[:1] in ("", "$", "[", "{", "'", '"', "|", ">"):
        return None
    begin = row.at + len(row.said) - len(value.lstrip())
    said = f"text follows `{opening(key)}:`, and what belongs to it stands below"
    help = f"write `# {opening(value.strip(' /*-;'))}`, a comment, or remove it"
    return Slip("E104", said, begin, help, row.at + len(row.said))


def _signs(above: list[_Row], here: _Row) -> Slip | None:
    """A line that lacks a space or a colon, of those that `here` may be thought to go on with."""
    for row in reversed([*above, here]):
        if _DASH.match(row.said):
            help = f"write `- {opening(row.said[1:])}`"
            return Slip("E115", "a space is missing after `-`", row.at, help)
        if found := _EQUALS.match(row.said):
            rest = opening(row.said[found.end() :])
            help = f"write `{found[1]}: {rest}`"
            said = f"`=` stands where `:` is meant, after `{found[1]}`"
            return Slip("E104", said, row.at, help, row.at + found.end())
        if found := _NO_COLON.match(row.said):
            help = f"write `{found[1]}: {opening(row.said[found.end() :])}`"
            said = f"`:` is missing after `{found[1]}`"
            return Slip("E104", said, row.at, help, row.at + found.end(1))
        if row is not here and row.column < here.column and ":" in row.said:
            return None
    return None


def _dash(above: list[_Row], here: _Row) -> Slip | None:
    """A line without `- ` among items of a list, which `here` belongs to or is one of."""
    row = _bare(above, here)
    if row is None:
        return None
    said = "`- ` is missing, which starts an item of a list"
    sign = _SIGN.match(row.said)
    item = row.said
    if sign:
        said, item = f"`{sign[1]}` stands where `- ` starts an item of a list", item[sign.end() :]
    return Slip("E104", said, row.at, f"write `- {opening(item)}`", row.at + len(row.said))


def _dashes(above: list[_Row], here: _Row) -> Slip | None:
    """An item with two dashes, where the lines below it belong to one with a single dash."""
    row = next((r for r in reversed(above) if r.column <= here.column), None)
    if row is None or here.item or row.key - row.column != 2 * _STEP:
        return None
    if here.column != row.column + _STEP:
        return None
    said = "two dashes start an item of a list in a list"
    return Slip("E104", said, row.start + row.column, f"write `- {opening(row.said)}`", row.at)


def _bare(above: list[_Row], here: _Row) -> _Row | None:
    k = _around(above, here.column)
    inside = above[k + 1 :]
    if k >= 0 and here.item and inside and not inside[0].item and _LIST.search(above[k].said):
        return inside[0]  # the first of a list
    k = _around(above, here.column + 1)
    if k < 0 or above[k].item:
        return None
    row = above[k]
    beside = here.item and row.column == here.column
    within = not here.item and here.column == row.column + _STEP  # a key of it, if it had a dash
    if row.open and not beside and not within:
        return None
    before = next((r for r in reversed(above[:k]) if r.column <= row.column), None)
    if before is None:
        return None
    listed = before.item and before.column == row.column
    first = before.column < row.column and _LIST.search(before.said) is not None
    return row if listed or first else None


def _unmarked(above: list[_Row], here: _Row, slip: Slip) -> Slip | None:
    """A word in the column of the items above it: `relu` for `- relu`."""
    before = next((r for r in reversed(above) if r.column <= here.column), None)
    if here.item or before is None or not before.item or before.column < here.column:
        return None
    if " has no `:`" not in slip.message:
        return None
    said = "`- ` is missing, which starts an item of a list"
    return Slip("E104", said, here.at, f"write `- {opening(here.said)}`", slip.stop)


def _around(above: list[_Row], column: int) -> int:
    """The last line that starts left of a column; -1 where there is none."""
    return next((k for k in reversed(range(len(above))) if above[k].column < column), -1)


def _inward(above: list[_Row]) -> Slip | None:
    """A block that is indented as the keys of the one before it, whose keys it then repeats.

    `above` ends with what comes before a key that is given twice, on its own line.
    """
    column = above[-1].column if above else 0
    below = ""
    for row in reversed(above):
        if row.column < column:
            return None
        if row.column == column and not row.item and _BLOCK.fullmatch(row.said):
            if not _OF_BLOCK.match(below):
                return None  # it is a call, with its arguments below
            said = f"`{row.said[:-1]}` stands among the keys of the block above it"
            help = "start it in the column of the other blocks"
            return Slip("E117", said, row.at, help, row.at + len(row.said) - 1)
        below = row.said
    return None


def _unnamed(rows: list[_Row], slip: Slip) -> Slip | None:
    """The keys of a block without its name, which look like more of the block above.

    `rows` end with the key that is given twice.
    """
    if not rows or rows[-1].at != slip.start or not _OF_BLOCK.fullmatch(rows[-1].said):
        return None
    *above, begin = rows
    column = begin.column
    around = [row for row in reversed(above) if row.column <= column]
    while around and around[0].said.startswith(("params:", "inputs:")):
        begin = around.pop(0)
    block = next((row for row in around if row.column < column), begin)
    key = begin.said.partition(":")[0]
    again = around and around[0].said.startswith(f"{key}:")  # no more than a key given twice
    if not _BLOCK.fullmatch(block.said) or around[0] is block or again:
        return None
    said = f"`{key}` is of another block than the keys above it: its name is missing"
    help = "write the name of the block above it, or remove what is there twice"
    return Slip("E106", said, begin.at, help, begin.at + len(key))


def _deeper(above: list[_Row], here: _Row) -> Slip | None:
    """The first line of a list that stands deeper than the items of it that follow."""
    column = here.column if here.item else here.column - _STEP
    k = _around(above, column)
    if k < 0 or not _LIST.search(above[k].said) or len(above) < k + 2:
        return None
    row, around = above[k + 1], above[k]
    if around.key + _STEP != column or row.column <= column:
        return None
    said = f"this line starts in column {row.column + 1}, and the items of"
    said += f" `{opening(around.said[:-1])}` in column {column + 1}"
    help = "start it there too, or write the item that it belongs to above it"
    return Slip("E117", said, row.at, help, row.at + len(row.said))


def _swapped(above: list[_Row], here: _Row) -> Slip | None:
    """A line that stands between another and what belongs below that."""
    k = _around(above, here.column)
    if k < 1:
        return None
    before, row, inside = above[k - 1], above[k], above[k + 1 :]
    keyed = row.item and before.open and before.column == row.key
    beside = not inside and not row.open and (before.column == row.column or keyed)
    whole = row.said[0] in "[{" or ":" not in row.said  # no key of `row` can follow
    keys = before.item and not here.item and before.key == here.column
    keys = keys and before.said[0] not in "[{" and ":" in before.said
    below = before.open or (keys and whole)
    parted = bool(inside) and row.open and before.column == here.column > row.column
    deep = parted and before.open and inside[0].column > here.column
    items = parted and before.item and not here.item and all(r.item for r in inside)
    if not ((beside and below) or deep or items):
        return None
    said = f"`{opening(row.said)}` parts `{opening(before.said)}` from what belongs to it"
    if items:
        said = f"an item of the list above stands below `{opening(row.said)}`"
    help = "move it, so that each line stands above what belongs to it"
    return Slip("E117", said, row.at, help, row.at + len(row.said))


def _column(rows: list[_Row], above: list[_Row], here: _Row) -> Slip | None:
    """A line above that starts in another column than its neighbours."""
    counts = Counter(r.column for r in rows)
    row = _odd(above, here, counts)
    if row is None:
        return None
    column = here.column + 1
    said = f"this line starts in column {row.column + 1}, and its neighbours in column {column}"
    begin = row.start + row.column
    help = "items of a list and keys of a mapping start in one column"
    return Slip("E117", said, begin, help, row.at + len(row.said))


def _odd(above: list[_Row], here: _Row, counts: Counter[int]) -> _Row | None:
    """The line that stands in a column of its own, where that is not `here`."""
    if len(above) == 1 and here.column == 0 < above[0].column:
        return above[0]  # the first line of the text
    k = _around(above, here.column)
    if k >= 0 and above[k].said == "shortcut:" and _far(above[k], above[k + 1 :]):
        return above[k]
    if k > 0 and (_left(above[k - 1], above[k], here) or _rare(above[k], here, counts)):
        return above[k]
    if k > 0 and above[k].column == 0 and _BLOCK.fullmatch(above[k].said):
        return above[k]  # a block in the column of the document's keys
    inside = above[k + 1 :]  # what stands where `here` does
    if k > 0 and _out(above[k - 1], above[k], (*inside, here)[0]):
        return above[k]
    if inside and k >= 0:
        first = inside[0]
        alone = sum(row.column == first.column for row in inside) == 1
        block = _BLOCK.fullmatch(first.said) is not None and not first.item
        unnamed = above[k].said == "blocks:" and _OF_BLOCK.match(first.said) is not None
        usual = (above[k].column + _STEP, above[k].key + _STEP)
        fits = here.column in usual and here.column < first.column
        lost = _far(above[k], inside) and above[k].open  # the line between is gone
        fits = fits or (lost and here.column == above[k].key + 2 * _STEP and not here.item)
        odd = alone or block or unnamed or lost
        return first if odd and fits and counts[here.column] > 1 else None
    if len(above) < 2 or above[-1].column >= here.column or above[-1].open:
        return None
    before, row = above[-2:]  # the line above stands left of `here`: and of the one before it?
    between = before.column == here.column and before.item == row.item == here.item
    rare = row.column % _STEP and not here.column % _STEP
    return row if between or (rare and counts[row.column] < counts[here.column]) else None


def _far(row: _Row, inside: list[_Row]) -> bool:
    """Whether what stands below a line is indented by more than a list and its items are."""
    return bool(inside) and inside[0].column == row.key + 3 * _STEP


def _out(before: _Row, row: _Row, first: _Row) -> bool:
    """Whether a key of a list stands left of the item above, to which its own items belong."""
    keyed = first.item and not row.item and _LIST.search(row.said) is not None
    deep = (before.key + _STEP, before.key + 2 * _STEP)
    return keyed and row.column < before.key and first.column in deep


def _rare(row: _Row, here: _Row, counts: Counter[int]) -> bool:
    """Whether a line alone starts in its column, which is none that files indent by."""
    return row.column % _STEP > 0 == here.column % _STEP and counts[row.column] == 1


def _left(before: _Row, row: _Row, here: _Row) -> bool:
    """Whether a line belongs below the one before, as `here` shows, and stands in its column."""
    if not before.open or row.column != before.key:
        return False
    if not row.column and not (before.said == "blocks:" and _BLOCK.fullmatch(row.said)):
        return False
    if row.item:
        return here.column in (row.column + _STEP, row.key + _STEP)
    return _SECTION.fullmatch(before.said) is not None and here.column == row.column + _STEP
