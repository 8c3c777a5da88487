"""A line such as `[(CONV → RELU)×2 → POOL]×3 → FC` → the text of a spec to go on from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from archspec.frames import frame

LINE = "[(CONV → RELU)×2 → POOL]×3 → (FC → RELU)×1 → FC"
MAX_LINE = 1000  # characters; more than any figure's caption has
MAX_NESTING = 12

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<arrow>→|⟶|⇒|-+>|=>|>|,|[-–—−]+)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<times>(?:[×xX*^·]|\*\*)\s*\{?\s*(?P<count>[0-9]+|[A-Za-z])\s*\}?(?![A-Za-z0-9]))
    | (?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
    | (?P<optional>\?)
    | (?P<word>[A-Za-z][A-Za-z_]*)(?P<sizes>[-_]?[0-9]+(?:[-x][0-9]+)*|\(\s*[0-9]+\s*\))?
    )""",
    re.VERBOSE,
)

# word, lower case -> what it is here
_WORDS = {
    "conv": "conv", "convolution": "conv", "conv2d": "conv",
    "pool": "pool", "maxpool": "pool", "max_pool": "pool", "maxpooling": "pool",
    "avgpool": "avg_pool", "avg_pool": "avg_pool", "averagepool": "avg_pool",
    "fc": "linear", "linear": "linear", "dense": "linear", "full": "linear",
    "bn": "batch_norm", "batchnorm": "batch_norm", "batch_norm": "batch_norm",
    "lrn": "local_response_norm", "dropout": "dropout", "drop": "dropout",
    "gap": "global_avg_pool", "global_avg_pool": "global_avg_pool",
    "flatten": "flatten", "input": "input", "softmax": "softmax",
    "relu": "relu", "gelu": "gelu", "silu": "silu", "elu": "elu", "selu": "selu", "mish": "mish",
    "tanh": "tanh", "sigmoid": "sigmoid",
}  # fmt: skip
_PARAMS = {"linear": "fc", "batch_norm": "bn", "local_response_norm": "lrn"}
_SPATIAL = {"conv", "pool", "avg_pool", "global_avg_pool", "local_response_norm"}
_KNOWN = "CONV, POOL, AVGPOOL, FC, BN, LRN, DROPOUT, GAP, FLATTEN, RELU, GELU, SILU, TANH, SIGMOID"


class LineError(ValueError):
    """What is wrong with a line; `column` is 0-based."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message, self.column = message, column


@dataclass(slots=True)
class _Word:
    op: str
    sizes: tuple[int, ...] = ()
    count: int | str = 1
    optional: str = ""  # the param that says whether it is there
    last: bool = False  # the linear map that gives the classes


@dataclass(slots=True)
class _Group:
    column: int = 0  # of its bracket
    items: list[_Word | _Group] = field(default_factory=list)
    count: int | str = 1
    optional: str = ""


def write(line: str = LINE, name: str = "network") -> str:
    """The text of a starter spec for `line`, named `name`. Raises LineError.

    Steps are joined by `→`, `->`, a comma or a dash, groups stand in brackets, copies are `×3`,
    `x3`, `*3`, `^3`, `³` or a letter (`×N`), which becomes a param, as what has a `?` behind it
    does. `CONV64` and `FC4096` give a width, `CONV3-64` a kernel and a width. Widths that the line
    leaves open double after every pooling. A SOFTMAX that no linear map precedes gets one.
    """
    return _Writer(_parse(line), name).text()


def _parse(line: str) -> _Group:
    if len(line) > MAX_LINE:
        raise LineError(f"the line has {len(line)} characters, the limit is {MAX_LINE}", 0)
    stack = [_Group()]  # the brackets that are open, and the line
    previous: _Word | _Group | None = None
    at, joined = 0, False
    end = len(line.rstrip())
    while at < end:
        match = _TOKEN.match(line, at)
        if match is None:
            raise LineError(_stray(line[at:end].split()[0]), _first(line, at))
        if match["arrow"] and joined:
            raise LineError(f"nothing stands before `{match['arrow']}`", _first(line, at))
        start, at, joined = _first(line, at), match.end(), bool(match["arrow"])
        if match["open"]:
            _open(stack, start)
            previous = None
        elif match["close"]:
            previous = _close(stack, line, start)
        elif match["times"] or match["power"] or match["optional"]:
            _mark(previous, match, start)
        elif match["word"]:
            previous = _word(match, start)
            stack[-1].items.append(previous)
    return _whole(stack, line)


def _stray(found: str) -> str:
    if found[0].isdecimal():
        return f"`{found}` stands by itself: `CONV64` gives a width, `×3` copies"
    return f"`{found}` is not understood; steps are joined by `->`, as in `CONV -> RELU`"


def _whole(stack: list[_Group], line: str) -> _Group:
    """The line, if all its brackets are closed and it names a layer."""
    if len(stack) > 1:
        raise LineError(f"`{line[stack[-1].column]}` is not closed", stack[-1].column)
    if all(word.op == "input" for word in _words(stack[0])):
        raise LineError("the line names no layer", 0)
    return stack[0]


def _first(line: str, at: int) -> int:
    """The next column that is not white space."""
    return at + len(line[at:]) - len(line[at:].lstrip())


def _open(stack: list[_Group], start: int) -> None:
    if len(stack) > MAX_NESTING:
        raise LineError(f"brackets are nested deeper than {MAX_NESTING}", start)
    stack.append(_Group(start))


def _close(stack: list[_Group], line: str, start: int) -> _Group:
    if len(stack) == 1:
        raise LineError("a bracket closes here that was never opened", start)
    group = stack.pop()
    opened = line[group.column]
    if opened + line[start] not in ("()", "[]"):
        raise LineError(f"`{line[start]}` does not close `{opened}`", start)
    if not group.items:
        raise LineError("there is nothing in these brackets", start)
    stack[-1].items.append(group)
    return group


def _mark(previous: _Word | _Group | None, match: re.Match[str], start: int) -> None:
    """What stands behind a word or a group: `×3`, or `?`, a param that says whether it is there."""
    if previous is None:
        does = "leave out" if match["optional"] else "repeat"
        raise LineError(f"`{match[0].strip()}` follows nothing that it could {does}", start)
    if match["optional"]:
        op = next(_words(previous)).op
        previous.optional = _PARAMS.get(op, op)
        return
    count = match["count"] or match["power"].translate(_SUPERSCRIPTS)
    previous.count = int(count[:6]) if count.isdecimal() else count.lower()
    if isinstance(previous.count, int) and previous.count > 1000:
        raise LineError(f"`{match[0].strip()}`: copies are 0 to 1000", start)


def _word(match: re.Match[str], start: int) -> _Word:
    op = _WORDS.get(match["word"].lower())
    if op is None:
        raise LineError(f"`{match['word']}` is no layer; known are {_KNOWN}", start)
    sizes = tuple(int(number[:6]) for number in re.findall("[0-9]+", match["sizes"] or ""))
    if any(not 1 <= size <= 65536 for size in sizes):
        raise LineError(f"`{match[0].strip()}`: sizes are 1 to 65536", start)
    return _Word(op, sizes)


class _Writer:
    """Walks the tree once; what it learns on the way becomes params and the input."""

    def __init__(self, tree: _Group, name: str) -> None:
        self.tree, self.name = tree, name
        self.params: dict[str, str] = {"classes": "10"}
        self.flat = False
        self.spatial = any(word.op in _SPATIAL for word in _words(tree))
        self.pools = _pools(tree)
        self.stage = 0

    def text(self) -> str:
        last = _last_linear(self.tree)
        if last is None and _ends_in_softmax(self.tree):
            last = _Word("linear")
            self.tree.items.insert(-1, last)
        if last is not None:
            last.last = True
        body = self._items(self.tree, 2, column=None)
        params = ", ".join(f"{key}: {value}" for key, value in self.params.items())
        size = max(32, 2**self.pools) if self.pools <= 10 else 1024
        shape = f"[3, {size}, {size}]" if self.spatial else "[784]"
        return frame(
            "starter.yaml.jinja",
            name=self.name,
            params=f"{{{params}}}",
            shape=shape,
            body=body,
        )

    def _items(self, group: _Group, indent: int, column: str | None) -> list[str]:
        lines: list[str] = []
        for item in group.items:
            if isinstance(item, _Group):
                lines += self._group(item, indent, column)
            else:
                lines += self._op(item, indent, column)
        return lines

    def _group(self, group: _Group, indent: int, column: str | None) -> list[str]:
        if group.count == 1 and not group.optional:
            return self._items(group, indent, column)
        pad = " " * indent
        lead = self._flatten(group, indent)
        if group.count == 1:
            inner = self._items(group, indent + 4, column)
            return [*lead, f"{pad}- when: {self._when(group)}", f"{pad}  body:", *inner]
        before = self.stage
        opens = any(word.op == "conv" and not word.sizes for word in _words(group))
        if column is None and _pools(group) and opens and group.count:
            repeat, column = self._stages(group), "c" if isinstance(group.count, int) else "stage"
        else:
            repeat = str(self._count(group.count))
        inner = self._items(group, indent + 4, column)
        copies = group.count if isinstance(group.count, int) else 3
        self.stage = before + (self.stage - before) * copies
        when = [f"{pad}  when: {self._when(group)}"] if group.optional else []
        return [*lead, f"{pad}- repeat: {repeat}", *when, f"{pad}  body:", *inner]

    def _when(self, item: _Word | _Group) -> str:
        self.params.setdefault(item.optional, "true")
        return f"${item.optional}"

    def _stages(self, group: _Group) -> str:
        """Widths of the copies: a list where their number is known, else each copy's place."""
        if isinstance(group.count, int):
            widths = [min(64 * 2 ** (self.stage + i), 512) for i in range(group.count)]
            return f"{{c: [{', '.join(map(str, widths))}]}}"
        self._count(group.count)
        self.params["width"] = "64"
        return f"{{stage: $(range({group.count}))}}"

    def _count(self, count: int | str) -> int | str:
        if isinstance(count, int):
            return count
        self.params.setdefault(count, "2")
        return f"${count}"

    def _flatten(self, item: _Word | _Group, indent: int) -> list[str]:
        """`- flatten` in front of the first linear map that follows maps."""
        first = next(_words(item)).op
        if not self.spatial or self.flat or first not in ("linear", "flatten"):
            return []
        self.flat = True
        return [] if first == "flatten" else [" " * indent + "- flatten"]

    def _op(self, word: _Word, indent: int, column: str | None) -> list[str]:
        pad = " " * indent
        if word.op == "input":
            return []
        lead = self._flatten(word, indent)
        if word.op == "global_avg_pool":
            self.flat = True
        text = self._call(word, column)
        beside = [] if word.count == 1 else [f"repeat: {self._count(word.count)}"]
        beside += [f"when: {self._when(word)}"] if word.optional else []
        if not beside:
            return [*lead, f"{pad}- {text}"]
        mapping = text if ":" in text else f"{text}: "
        return [*lead, f"{pad}- {{{', '.join([mapping, *beside])}}}"]

    def _call(self, word: _Word, column: str | None) -> str:
        match word.op:
            case "conv":
                kernel = word.sizes[0] if len(word.sizes) > 1 else 3
                width = str(word.sizes[-1]) if word.sizes else self._width(column)
                return f"conv: {{out: {width}, kernel: {kernel}, padding: half}}"
            case "pool" | "avg_pool":
                self.stage += 1
                op = "max_pool" if word.op == "pool" else "avg_pool"
                return f"{op}: {word.sizes[0] if word.sizes else 2}"
            case "linear":
                if word.last and not word.sizes:
                    return "linear: $classes"
                if word.sizes:
                    return f"linear: {word.sizes[-1]}"
                self.params["hidden"] = "256"
                return "linear: $hidden"
            case "local_response_norm":
                return "local_response_norm: 5"
        return word.op

    def _width(self, column: str | None) -> str:
        if column == "stage":
            return '"$(width * 2 ** min(stage, 3))"'  # quoted: a comma ends a value in braces
        return f"${column}" if column else str(min(64 * 2**self.stage, 512))


def _words(item: _Word | _Group) -> Iterator[_Word]:
    """All words in it, in order."""
    if isinstance(item, _Word):
        yield item
    else:
        for inner in item.items:
            yield from _words(inner)


def _pools(item: _Word | _Group) -> int:
    """How often the maps are halved; a letter counts as the 2 it stands for at first."""
    copies = item.count if isinstance(item.count, int) else 2
    if isinstance(item, _Word):
        return copies * (item.op in ("pool", "avg_pool"))
    return copies * sum(_pools(inner) for inner in item.items)


def _last_linear(group: _Group) -> _Word | None:
    """The linear map that ends the line, if one does and is there once: it gives the classes."""
    for item in reversed(group.items):
        if item.count == 0:
            continue
        if isinstance(item, _Group):
            return _last_linear(item) if item.count == 1 and not item.optional else None
        if item.op == "linear":
            return item if item.count == 1 and not item.optional else None
        if item.op not in ("softmax", "sigmoid"):
            return None
    return None


def _ends_in_softmax(group: _Group) -> bool:
    last = group.items[-1]
    return isinstance(last, _Word) and last.op == "softmax"
