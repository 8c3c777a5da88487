"""Random choices -> spec text: a machine that knows channels and size, so most draws are valid.

Sizes only ever halve, rounding up, or stay, so two paths fit when they halve equally often.
Channels are known as an expression of the spec, or not at all (after a repeat, or an item that may
be absent); what is drawn next goes by that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Item = dict[str, Any]

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|\$[a-z][a-z0-9_]*")
_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
_LISTS = ("body", "sequential", "residual", "shortcut")


# ---------------------------------------------------------------- text


def flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else '"' + value.replace('"', '\\"') + '"'
    return repr(value)


def block_style(items: Sequence[Item], pad: str) -> Iterator[str]:
    """A list of items, one key a line."""
    for item in items:
        lead = f"{pad}- "
        for key, value in item.items():
            if key in _LISTS and value and isinstance(value, list):
                yield f"{lead}{key}:"
                yield from block_style(value, pad + "    ")
            elif key == "branches":
                yield f"{lead}{key}:"
                if isinstance(value, dict):
                    for name, path in value.items():
                        yield f"{pad}    {name}:" if path else f"{pad}    {name}: []"
                        yield from block_style(path, pad + "      ")
                else:
                    for path in value:
                        if isinstance(path, dict):
                            yield f"{pad}    - {flow(path)}"
                            continue
                        yield f"{pad}    - body:" if path else f"{pad}    - []"
                        yield from block_style(path, pad + "        ")
            else:
                yield f"{lead}{key}: {flow(value)}".rstrip()
            lead = f"{pad}  "


# ---------------------------------------------------------------- what is known while drawing


def total(lines: Sequence[Line]) -> str | None:
    """The channels of some lines one behind the other, where all are known and short."""
    text = " + ".join(f"({e.channels})" for e in lines)
    return text if all(e.channels for e in lines) and len(text) < 50 else None


@dataclass(frozen=True)
class Line:
    """The tensor that flows.

    Its channels as an expression (None: not known), and how often its size was halved.
    """

    channels: str | None
    halved: int = 0


@dataclass
class Block:
    """A block that calls may name."""

    name: str
    params: dict[str, Any]  # name -> default, as written; "required"
    keeps: bool  # the shape of its input is the shape of its output
    inputs: tuple[str, ...] = ()  # where it has several, as they are declared


@dataclass(frozen=True)
class Scope:
    """Where the next item stands."""

    numbers: tuple[str, ...] = ()  # names of whole numbers that may be channels
    flags: tuple[str, ...] = ()  # names of booleans
    acts: tuple[str, ...] = ()  # names of activations
    copies: int = 0  # repeats around, within the block
    naming: str = "free"  # free | loop (ids must say which copy) | none
    columns: tuple[str, ...] = ()  # of the innermost repeat
    in_block: bool = False
    steady: bool = False  # paths meet behind: the size may not change
    depth: int = 0


@dataclass
class Seen:
    """An item that `from` may name, or a pattern that stands for several of one shape."""

    path: str
    line: Line
    several: bool = False


@dataclass
class Known:
    """The items in sight, innermost body last."""

    bodies: list[list[Seen]] = field(default_factory=lambda: [[]])

    def all(self) -> list[Seen]:
        return [s for body in self.bodies for s in body if not s.several]

    def several(self) -> list[Seen]:
        return [s for body in self.bodies for s in body if s.several]


class Machine:
    """Draws one spec. `choose(n)` is a number from 0 to n - 1."""

    def __init__(self, choose: Callable[[int], int], size: int = 6) -> None:
        self.choose = choose
        self.budget = size + self.choose(2 * size)
        self.numbers = count(1)
        self.blocks: list[Block] = []
        self.texts: list[str] = []
        self.known = Known()
        self.outputs: dict[str, Any] = {}
        self.params: dict[str, Any] = {}
        self.classes: Any = 3
        self.axes = 2
        self.listed = 0  # entries of the param `widths`, where a body sees it
        self.free = False  # whether axes of space are free
        self.smallest = 1  # size that every map of this spec surely has, at the start

    # ------------------------------------------------------------ choices

    def pick(self, options: Sequence[T]) -> T:
        return options[self.choose(len(options))]

    def chance(self, percent: int) -> bool:
        return self.choose(100) < percent

    def fresh(self, base: str) -> str:
        return f"{base}{next(self.numbers)}"

    def even(self) -> int:
        return self.pick((2, 4, 4, 6, 8))

    def channels(self, scope: Scope, line: Line) -> str:
        """An expression for a number of channels; always even and above 0."""
        kind = self.choose(10)
        if kind < 4 or (kind < 7 and not scope.numbers):
            return str(self.even())
        if kind == 4 and scope.copies:
            first, rest = self.pick(((4, 6), (8, 2), (2, 4)))
            return f"({first} if loop.first else {rest})"
        if kind < 7:
            name = self.pick((*scope.numbers, *(f"widths[{k}]" for k in range(self.listed))))
            return self.pick(
                (
                    name,
                    name,
                    f"2 * {name}",
                    f"({name} + 2)",
                    f"min({name}, 6)",
                    f"{name} // 4 * 2 + 2",
                )
            )
        if kind == 7:
            return "prev.channels"
        if kind == 8 and not scope.copies:
            return self.pick(
                (
                    "(prev.channels + 2)",
                    "2 * (prev.channels // 4 + 1)",
                    "make_divisible(prev.channels * 1.5, 4)",
                )
            )
        if kind == 9 and scope.in_block:
            return "input.channels"
        return line.channels or "prev.channels"

    def fixed(self, scope: Scope, line: Line) -> str:
        """The same, of what does not depend on the line: several paths may end in it."""
        chosen = self.channels(scope, line)
        return str(self.even()) if "prev" in chosen else chosen

    @staticmethod
    def value(expression: str) -> Any:
        """An expression as it is written in the spec."""
        if expression.isdigit():
            return int(expression)
        return f"${expression}" if expression.isidentifier() else f"$({expression})"

    def condition(self, scope: Scope, line: Line) -> str:
        options = ["prev.channels > 4", "prev.channels != 6"]
        options += [] if self.free else ["prev.features > 2"]
        options += [f for f in scope.flags for _ in range(3)] + [f"not {f}" for f in scope.flags]
        options += [f"{n} > 4" for n in scope.numbers]
        if scope.copies:
            options += ["loop.first", "not loop.last", "loop.index % 2 == 0", "loop.serial > 1"]
        if scope.in_block:
            options += ["prev.channels == input.channels"]
        return self.pick(options)

    def identity(self, scope: Scope, item: Item, percent: int = 30) -> str | None:
        """Perhaps an id: the spec text, and (returned) the path under which `from` finds it."""
        if scope.naming == "none" or not self.chance(percent):
            return None
        name = self.fresh("t")
        if scope.naming == "loop":
            item["id"] = self.pick(
                (
                    f"{name}_$(loop.index)",
                    f"{name}_$(loop.index + 1)",
                    *(f"{name}_${c}" for c in scope.columns),
                )
            )
            return None
        item["id"] = name
        return name

    # ------------------------------------------------------------ single ops

    def activation(self, scope: Scope) -> Item:
        if scope.acts and self.chance(40):
            return {"activation": f"${self.pick(scope.acts)}"}
        return self.pick(
            (
                {"relu": None},
                {"relu": None},
                {"gelu": None},
                {"silu": None},
                {"tanh": None},
                {"leaky_relu": 0.1},
                {"elu": {"alpha": 0.5}},
                {"hardtanh": {"min_val": 0, "max_val": 6}},
                {"activation": {"softplus": {"beta": 2}}},
                {"prelu": None},
                {"abs": None},
                {"sigmoid": None},
            )
        )

    def norm(self) -> Item:
        return self.pick(
            (
                {"batch_norm": None},
                {"batch_norm": None},
                {"batch_norm": {"eps": 0.001, "momentum": 0.2}},
                {"group_norm": 2},
                {"layer_norm": {"axis": "channels"}},
                {"local_response_norm": 2},
                {"batch_norm": {"affine": False}},
                {"batch_norm": {"bias": False}},
                {"group_norm": {"groups": 2, "bias": False}},
            )
        )

    def conv(
        self, scope: Scope, line: Line, out: str | None = None, halve: bool = False
    ) -> tuple[Item, Line]:
        """A convolution that keeps the size or halves it."""
        chosen = out or self.channels(scope, line)
        kernel = self.pick((1, 3, 3, 5))
        args: Item = {"out": self.value(chosen), "kernel": kernel}
        if halve:
            args["stride"] = 2
        if kernel > 1 or self.chance(20):
            args["padding"] = self.pick(("half", "same", (kernel - 1) // 2))
        if args.get("padding") == "half" and self.chance(20):
            args["dilation"] = 2
        if self.chance(40):
            args["bias"] = False
        if self.chance(10):
            args["groups"] = 2
        elif out is None and not halve and self.chance(15):
            args["groups"] = self.pick(("depthwise", "$(prev.channels)"))
            args["out"] = "$(prev.channels)"
            chosen = line.channels or "prev.channels"
            if args["groups"] == "depthwise" and self.chance(50):
                del args["out"]
        if self.chance(4):
            args["reparam"] = "weight_norm"
        after = line.channels if chosen == "prev.channels" else chosen
        known = None if after is None or "prev" in after else after
        return {"conv": args}, Line(known, line.halved + halve)

    def keeper(self, scope: Scope) -> Item:
        """An op that keeps the shape whatever it is."""
        kind = self.choose(10)
        if kind < 4:
            return self.activation(scope)
        if kind < 7:
            return self.norm()
        return self.pick(
            (
                {"dropout": 0.3},
                {"spatial_dropout": 0.2},
                {"scale": 0.5},
                {"identity": None},
                {"drop_path": 0.1},
                {"softmax": 0},
                {"max_pool": {"kernel": 3, "stride": 1, "padding": 1}},
                # torch's 3-D average refuses an input smaller than the kernel, padded or not
                {"hardswish": None}
                if scope.in_block or self.axes == 3
                else {"avg_pool": {"kernel": 3, "stride": 1, "padding": 1}},
                {"roll": {"shifts": [1], "axis": [1]}},
                {"channel_shuffle": 2},
            )
        )

    def halving(self, scope: Scope, line: Line) -> tuple[Item, Line]:
        if self.chance(50):
            return self.conv(scope, line, halve=True)
        pool = "max_pool" if self.axes == 3 else self.pick(("max_pool", "avg_pool"))
        args = self.pick(({"kernel": 2, "ceil": True}, {"kernel": 3, "stride": 2, "padding": 1}))
        return {pool: dict(args)}, replace(line, halved=line.halved + 1)

    # ------------------------------------------------------------ paths

    @contextmanager
    def inside(self) -> Iterator[list[Seen]]:
        self.known.bodies.append([])
        yield self.known.bodies[-1]
        self.known.bodies.pop()

    def path(
        self,
        scope: Scope,
        line: Line,
        *,
        out: str | None = None,
        halve: int = 0,
        keep: bool = False,
        length: int | None = None,
    ) -> tuple[list[Item], Line]:
        """Items from `line` to one with `out` channels (None: any), halved so often more.

        `keep`: the shape does not change.
        """
        items: list[Item] = []
        start = line
        scope = replace(scope, depth=scope.depth + 1, steady=scope.steady or keep)
        todo = self.choose(3) if length is None else length
        left = halve
        for _ in range(todo):
            if self.budget <= 0:
                break
            self.budget -= 1
            more, line = self.item(
                scope, line, keep=keep and out is None and start.channels is None
            )
            items += more
        while left:
            item, line = self.halving(scope, line)
            items.append(item)
            left -= 1
        target = out if out is not None else (start.channels if keep else None)
        if target is not None and line.channels != target:
            item, line = self.conv(scope, line, out=target)
            items.append(item)
        return items, line

    def item(self, scope: Scope, line: Line, *, keep: bool = False) -> tuple[list[Item], Line]:
        """The next item or two. `keep`: the channels do not change."""
        simple = scope.depth > 4 or self.budget <= 0
        kind = self.choose(10 if simple else 32)
        if kind < 4 and not keep:
            item, after = self.conv(scope, line)
            return self.decorated(scope, line, item, after)
        if kind < 10 or (keep and kind < 12):
            item = self.keeper(scope)
            return self.decorated(scope, line, item, line, always_same=True)
        makers: list[Callable[[Scope, Line, bool], tuple[list[Item], Line]]] = [
            self.residual,
            self.residual,
            self.residual,
            self.branches,
            self.branches,
            self.repeat,
            self.repeat,
            self.repeat,
            self.call,
            self.call,
            self.group,
            self.group,
            self.merge,
            self.merge,
            self.shared,
            self.split,
            self.arithmetic,
            self.arithmetic,
            self.arithmetic,
            self.numbered,
            self.tied,
            self.fixed_numbers,
        ]
        return makers[kind - 10](scope, line, keep)

    def decorated(
        self, scope: Scope, line: Line, item: Item, after: Line, always_same: bool = False
    ) -> tuple[list[Item], Line]:
        """An op with its modifiers: id, when, repeat, freeze, init."""
        item = dict(item)
        path = self.identity(scope, item)
        if self.chance(15):
            item["when"] = self.value(self.condition(scope, line))
            after = (
                line
                if always_same
                else replace(
                    after, channels=after.channels if after.channels == line.channels else None
                )
            )
        elif always_same and self.chance(6) and scope.naming == "free":
            item["repeat"] = self.pick((0, 1, 2, 3, *(f"$({n} // 2)" for n in scope.numbers[:1])))
        if self.chance(4):
            item["freeze"] = self.pick((True, *(f"${f}" for f in scope.flags)))
        if "conv" in item and "reparam" not in item["conv"] and self.chance(6):
            item["init"] = self.pick(
                (
                    "kaiming_normal",
                    {"normal": 0.02},
                    {"normal": {"std": 0.01}},
                    {"values": self.kernel(item["conv"]["kernel"])},
                )
            )
        if self.chance(3):
            item["note"] = "drawn: # at random"
        if path is not None:
            self.known.bodies[-1].append(Seen(path, after))
        return [item], after

    def kernel(self, sizes: Any) -> Any:
        """The numbers of a kernel, for all channels."""
        values: Any = 0.25
        for size in [sizes] * self.axes if isinstance(sizes, int) else sizes[::-1]:
            values = [values] * size
        return values

    def tied(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """Convolutions of one weight, the later ones with a bias of their own, or in a group."""
        if scope.naming != "free":
            return self.arithmetic(scope, line, keep)
        conv = {"out": "$(prev.channels)", "kernel": 3, "padding": 1}
        name = self.fresh("w")
        first: Item = {"id": name, "conv": {**conv, "bias": bool(self.choose(2))}}
        again: Item = {"id": self.fresh("w"), "conv": {**conv, "bias": bool(self.choose(2))}}
        again["tie"] = name
        if self.chance(30):
            again = {"id": self.fresh("g"), "sequential": [again, self.activation(scope)]}
        elif self.chance(30):
            again["repeat"] = 2
        if self.chance(15):
            first["freeze"] = True
        return [first, self.activation(scope), again], line

    def fixed_numbers(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """A constant that what flows is multiplied by, or added to."""
        if scope.naming != "free":
            return self.arithmetic(scope, line, keep)
        value: Any = self.pick((0.5, -1.25, *(f"$({n} * 0.5)" for n in scope.numbers)))
        for _ in range(self.axes + 1):
            value = [value]
        name = self.fresh("k")
        persistent = {} if self.chance(50) else {"persistent": False}
        item: Item = {"id": name, "constant": {"value": value, **persistent}}
        return [item, {self.pick(("mul", "add")): ["prev", name]}], line

    def residual(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        item: Item = {}
        path = self.identity(scope, item, 15)
        inner = replace(scope, steady=True, naming="free" if path else scope.naming)
        kind = self.choose(6)
        with self.inside():
            if kind < 3 or (keep and kind == 3):
                after = self._around(item, scope, inner, line)
            elif kind == 3 and not scope.copies:
                after = self._beside(item, inner, line)
            elif keep:
                main, after = self.path(inner, line, keep=True)[0], line
                item |= {"residual": main or [self.keeper(inner)], "shortcut": [self.keeper(inner)]}
            else:
                after = self._projected(item, scope, inner, line)
        if path:
            self.known.bodies[-1].append(Seen(path, after))
        return [item], after

    def _around(self, item: Item, scope: Scope, inner: Scope, line: Line) -> Line:
        """An identity around a path that comes back to the shape."""
        main, _ = self.path(inner, line, keep=True)
        item["residual"] = main or [self.keeper(inner)]
        if self.chance(20):
            item["merge"] = self.pick(("mul", "mean", "max"))
        if self.chance(20):
            item["shortcut_when"] = self.value(self.condition(scope, line))
        if self.chance(10):
            item["when"] = self.value(self.condition(scope, line))
        return line

    def _beside(self, item: Item, inner: Scope, line: Line) -> Line:
        """An identity and a path, one behind the other."""
        out = str(self.even()) if self.chance(50) else None
        main, after = self.path(inner, line, out=out)
        item |= {"residual": main or [self.keeper(inner)], "merge": "concat"}
        return replace(after, channels=total([line, after]))

    def _projected(self, item: Item, scope: Scope, inner: Scope, line: Line) -> Line:
        """A path to another shape, and a projection that may be there only where it is needed."""
        out = self.fixed(scope, line)
        halve = 0 if scope.steady else self.choose(2)
        main, _ = self.path(inner, line, out=out, halve=halve)
        short, _ = self.path(inner, line, out=out, halve=halve, length=0)
        if not short and self.chance(50):
            short = [self.keeper(inner)]
        if short and not halve and self.chance(60):
            short = [{"sequential": short, "when": f"$(prev.channels != {out})"}]
        item |= {"residual": main or [self.keeper(inner)], "shortcut": short}
        return Line(out, line.halved + halve)

    def branches(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        merge = self.pick(("add", "mul", "mean", "max", *(() if keep else ("concat",) * 3)))
        named = scope.naming == "free" and self.chance(60)
        halve = 0 if keep or scope.steady else self.choose(3) // 2
        out = None if keep or merge == "concat" else self.fixed(scope, line)
        item: Item = {}
        path = self.identity(scope, item, 15)
        inner = replace(scope, steady=True, naming="free" if named or path else scope.naming)
        paths: dict[str, list[Item]] = {}
        ends: list[Line] = []
        inner_seen: list[Seen] = []
        for _ in range(2 + self.choose(2)):
            key = self.fresh("b")
            with self.inside() as seen:
                paths[key], end = self.path(inner, line, out=out, halve=halve, keep=keep)
            ends.append(end)
            if named and path:
                inner_seen += [Seen(f"{path}.{key}.{s.path}", s.line) for s in seen]
        item["branches"] = paths if named else list(paths.values())
        if not named and not halve and not keep and self.chance(50):
            item["branches"], more = self._columned(item["branches"], line, out)
            ends += more
        item["merge"] = merge
        if path and not named and merge != "concat" and not halve:
            self.known.bodies[-1].append(Seen(f"{path}.*", ends[0], several=True))
        after = line if keep else Line(total(ends) if merge == "concat" else out, ends[0].halved)
        if path:
            self.known.bodies[-1] += [Seen(path, after), *inner_seen]
        if merge == "concat" and scope.copies:  # copies must not grow without end
            more, after = self.conv(scope, after, out=str(self.even()))
            return [item, more], after
        return [item], after

    def _columned(
        self, paths: list[Any], line: Line, out: str | None
    ) -> tuple[list[Any], list[Line]]:
        """Paths with one for each copy of a convolution among them, and where those end."""
        width = out or str(self.even())
        kernels = self.pick(([1, 3], [3, 3], [1, 3, 5]))
        column = self.fresh("k")
        conv = {"out": self.value(width), "kernel": f"${column}", "padding": "half"}
        copies: Item = {"repeat": {column: kernels}, "conv": conv}
        if self.chance(30):
            copies = {"repeat": len(kernels), "conv": {**conv, "kernel": 3}}
        at = self.choose(len(paths) + 1)
        found = [*paths[:at], copies, *paths[at:]]
        return found, [Line(width, line.halved)] * len(kernels)

    def repeat(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        if scope.copies >= 2:
            return self.group(scope, line, keep)
        times = self.pick((1, 2, 2, 3, 3))
        columns = self._columns(times)
        item: Item = {"repeat": columns or self._times(scope, times)}
        unique = tuple(n for n in columns if n[0] == "k")
        named = scope.naming == "free" and self.chance(60)
        templated = named and bool(unique) and self.chance(40)
        if named:
            name = self.fresh("s")
            item["id"] = f"{name}_${unique[0]}" if templated else name
        alone = scope.naming == "free" and not scope.copies
        inner = replace(
            scope,
            copies=scope.copies + 1,
            naming="free" if named else "loop" if alone else "none",
            columns=() if named else unique,
            numbers=scope.numbers + tuple(n for n in columns if n[0] == "c"),
            flags=scope.flags + tuple(n for n in columns if n[0] == "f"),
            acts=scope.acts + tuple(n for n in columns if n[0] == "a"),
        )
        seen, start, end = self._copied(item, inner, line, keep)
        literal = bool(columns) or item["repeat"] == times
        if keep and named and literal and not templated and "residual" not in item:
            here = self.known.bodies[-1]
            here.append(Seen(f"{name}.{self.choose(times)}", line))
            here += [
                Seen(f"{name}.{self.choose(times)}.{s.path}", s.line)
                for s in seen
                if s.line == line
            ]
        if keep and named:
            pattern = f"{name}_*" if templated else f"{name}.*"
            self.known.bodies[-1].append(Seen(pattern, line, several=True))
        if keep:
            return [item], line
        if named and literal and not templated and "residual" not in item:
            copy = self.choose(times)
            halved = line.halved + (copy + 1) * (end.halved - start.halved)
            self.known.bodies[-1].append(Seen(f"{name}.{copy}", Line(None, halved)))
        known = end.channels is not None and not any(n in end.channels for n in ("loop", *columns))
        same = end.halved == start.halved
        return [item], Line(
            end.channels if known and same else None,
            line.halved + times * (end.halved - start.halved),
        )

    def _columns(self, times: int) -> dict[str, list[Any]]:
        """Columns: channels (c), different numbers (k), switches (f), activations (a)."""
        kind = self.choose(3)
        if not kind:
            return {}
        columns: dict[str, list[Any]] = {self.fresh("c"): [self.even() for _ in range(times)]}
        if kind == 2:
            columns[self.fresh("k")] = list(range(1, times + 1))
            if self.chance(40):
                columns[self.fresh("f")] = [bool(self.choose(2)) for _ in range(times)]
            if self.chance(25):
                words = ("relu", "gelu", "tanh", "hardswish")
                columns[self.fresh("a")] = [self.pick(words) for _ in range(times)]
        return columns

    def _times(self, scope: Scope, times: int) -> Any:
        more = [f"${n}" for n in scope.numbers[:1] if scope.depth < 3]
        more += [f"$({n} // 2 + 1)" for n in scope.numbers[:1]]
        return self.pick((times, times, *more))

    def _copied(
        self, item: Item, inner: Scope, line: Line, keep: bool
    ) -> tuple[list[Seen], Line, Line]:
        """What a repeat repeats; where a copy starts and ends, its channels known if they stay."""
        start = line if keep and "loop" not in (line.channels or "") else Line(None, line.halved)
        how = self.choose(5)
        halve = 0 if keep or inner.steady or inner.copies > 1 else self.choose(3) // 2
        with self.inside() as seen:
            if how == 0:
                found, end = self.residual(inner, start, keep)
            else:
                length = 1 + self.choose(3)
                found, end = self.path(inner, start, halve=halve, keep=keep, length=length)
        found = found or [self.keeper(inner)]
        if how == 0 and not {"id", "when"} & found[0].keys():
            item |= found[0]
        else:
            item["sequential" if how == 1 else "body"] = found
        return seen, start, end

    def group(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        item: Item = {}
        path = self.identity(scope, item, 60)
        inner = replace(scope, naming="free") if "id" in item else scope
        halve = 0 if keep or scope.steady or scope.copies else self.choose(4) // 3
        with self.inside() as seen:
            found, after = self.path(inner, line, halve=halve, keep=keep, length=1 + self.choose(3))
        found = found or [self.keeper(inner)]
        item["sequential" if self.chance(50) else "body"] = found
        if keep and after == line and self.chance(15):
            item["when"] = self.value(self.condition(scope, line))
        if path:
            here = self.known.bodies[-1]
            here += [Seen(f"{path}.{s.path}", s.line) for s in seen if "when" not in item]
            here.append(Seen(path, after))
        return [item], after

    def merge(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """An earlier item comes in beside the line."""
        seen = self.known.all()
        fitting = [s for s in seen if s.line.halved == line.halved]
        same = [s for s in fitting if s.line == line and "loop" not in (line.channels or "loop")]
        grows = not keep and not scope.copies
        if same and self.chance(50):
            op = self.pick(("add", "mul", "mean", "max", "sub"))
            other = self.pick(same).path
            if self.chance(50):
                return [{op: [other, "prev"]}], line
            return self.decorated(scope, line, {op: ["prev", other]}, line)[0], line
        if fitting and grows:
            beside = self.pick(fitting)
            item = {"concat": self.pick(([beside.path, "prev"], ["prev", beside.path]))}
            return [item], replace(line, channels=total([beside.line, line]))
        many = [s for s in self.known.several() if s.line == line]
        if many and "loop" not in (line.channels or "loop"):
            op = self.pick(("add", "mul", "mean", "max"))
            return [{op: ["prev", *(s.path for s in many[-2:])]}], line
        larger = [s for s in seen if s.line.halved < line.halved]
        if larger and grows and not scope.steady:
            beside = self.pick(larger)
            mode = "nearest" if scope.in_block else self.pick(("nearest", _SMOOTH[self.axes]))
            up = {"upsample": {"mode": mode}, "from": ["prev", beside.path]}
            return [up, {"concat": [beside.path, "prev"]}], Line(None, beside.line.halved)
        return self.group(scope, line, keep)

    def shared(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """An item that keeps a known shape, and later once more."""
        if scope.naming != "free" or line.channels is None:
            return self.call(scope, line, keep)
        name = self.fresh("w")
        first: Item = {"id": name}
        kind = self.choose(3)
        if kind == 0:
            first |= self.conv(scope, line, out=line.channels)[0]
        elif kind == 1:
            with self.inside():
                found, _ = self.path(replace(scope, naming="free"), line, keep=True, length=2)
            first[self.pick(("body", "sequential"))] = found or [self.norm()]
        else:
            first |= self.norm()
        again: Item = {"shared": name}
        middle = [self.activation(scope)] if self.chance(60) else []
        if self.chance(20):
            again["when"] = self.value(self.condition(scope, line))
        return [first, *middle, again], line

    def split(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """Two halves of the channels, one of them worked on, joined again."""
        if scope.naming != "free":
            return self.call(scope, line, keep)
        name, part = self.fresh("p"), self.fresh("q")
        stays = keep or scope.copies > 0
        joined = [f"{name}.1", part] if stays else [f"{name}.0", part, f"{name}.1", part]
        items: list[Item] = [
            {"id": name, "split": 2},
            {"id": part, **self.activation(scope), "from": f"{name}.0"},
            {"concat": joined},
        ]
        return items, line if stays else replace(line, channels=None)

    def numbered(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """Items called 0, 1, 2 …, which others take; one of them may have several outputs."""
        if scope.naming != "free":
            return self.arithmetic(scope, line, keep)
        path = self.fresh("n")
        first, last = self.activation(scope), self.activation(scope)
        inside: list[Item] = [first, self.norm(), last]
        if self.chance(50):
            halves = self.pick(({"split": 2}, {"split": {"parts": 2, "axis": 0}}))
            inside = [first, halves, {**last, "from": f"{path}.1.1"}]
            inside.append({"concat": [f"{path}.1.0", f"{path}.2"]})
        else:
            self.known.bodies[-1] += [Seen(f"{path}.{k}", line) for k in range(len(inside))]
        self.known.bodies[-1] += [Seen(path, line), Seen(f"{path}.0", line)]
        return [{"id": path, "sequential": inside}], line

    def arithmetic(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        """Arguments worked out of sizes; the shape is what it was."""
        name = self.fresh("o") if scope.naming == "free" else ""
        makers = [self._scaled, self._rolled]
        makers += [self._padded] if scope.in_block else []
        if name:
            makers += [self._overlapping] * 2 + [self._unpooled]
            makers += [] if scope.in_block else [self._reshaped, self._resized, self._framed]
        return self.pick(makers)(scope, name), line

    def space(self, name: str) -> list[str]:
        """The sizes of space of an item."""
        return [f"$({name}.{axis})" for axis in ("depth", "height", "width")[3 - self.axes :]]

    def _scaled(self, scope: Scope, name: str) -> list[Item]:
        """Two factors, told apart by where they come from."""
        factors = ["$(prev.channels ** -0.5)", "$(1 / prev.width)", "$(prev.width / 4)", 0.5]
        return [
            {"scale": self.pick(factors)},
            self.activation(scope),
            {"scale": self.pick(factors)},
        ]

    def _rolled(self, scope: Scope, name: str) -> list[Item]:
        shifts = self.pick(("$(prev.width // 2)", "$(prev.width - 1)", "$(-prev.channels // 2)"))
        return [{"roll": {"shifts": [shifts], "axis": [self.pick((-1, 1))]}}]

    def _padded(self, scope: Scope, name: str) -> list[Item]:
        """Some cells more, and those of the block's input again."""
        more: Item = {"amounts": [1, 2], "axis": -1}
        cut: Item = {"start": 1, "stop": "$(input.width + 1)", "axis": -1}
        return [{"pad": more}, self.activation(scope), {"slice": cut}]

    def _overlapping(self, scope: Scope, name: str) -> list[Item]:
        """Both halves one behind the other, cut to what it was."""
        left, right = self.fresh("l"), self.fresh("r")
        stop: Item = {"stop": f"$(({name}.width + 1) // 2)", "axis": -1}
        start: Item = {"start": f"$({name}.width // 2)", "axis": -1}
        last = self.pick((-1, -1, "$(prev.rank - 1)"))
        return [
            {"id": name, **self.activation(scope)},
            {"id": left, "slice": stop},
            {"id": right, "slice": start, "from": name},
            {"concat": {"axis": -1}, "from": self.pick(([left, right], [right, left]))},
            {"slice": {"stop": f"$({name}.width)", "axis": last}},
        ]

    def _reshaped(self, scope: Scope, name: str) -> list[Item]:
        """Other axes, and back."""
        flat = self.pick(
            (
                {"reshape": [f"$({name}.channels)", -1]},
                {"reshape": [-1, f"$({name}.width)"]},
                {"unflatten": {"axis": 0, "shape": [2, -1]}},
                {"unflatten": {"axis": -1, "shape": [f"$({name}.width)", 1]}},
                {"flatten": -2},
            )
        )
        back: Item = {"reshape": [f"$({name}.channels)", *self.space(name)]}
        return [{"id": name, **self.activation(scope)}, flat, self.activation(scope), back]

    def _resized(self, scope: Scope, name: str) -> list[Item]:
        small: Item = {"max_pool": {"kernel": 2, "ceil": True}}
        modes = ("nearest", _SMOOTH[self.axes])
        large: Item = {"upsample": {"size": self.space(name), "mode": self.pick(modes)}}
        return [{"id": name, **self.activation(scope)}, small, large]

    def _unpooled(self, scope: Scope, name: str) -> list[Item]:
        """The largest cells alone, where they stood."""
        low = self.fresh("low")
        return [
            {"id": name, **self.activation(scope)},
            {"id": low, "max_pool": {"kernel": 2, "ceil": True, "indices": True}},
            {"from": [f"{low}.output", f"{low}.indices", name], "max_unpool": 2},
        ]

    def _framed(self, scope: Scope, name: str) -> list[Item]:
        """Padded to a multiple of three along each axis, and cut again."""
        amounts = [[0, f"$(-{size[2:-1]} % 3)"] for size in self.space("prev")]
        crop: Item = {"crop": {"offset": [0] * self.axes, "size": self.space(name)}}
        return [{"id": name, **self.activation(scope)}, {"pad": {"amounts": amounts}}, crop]

    # ------------------------------------------------------------ blocks

    def call(self, scope: Scope, line: Line, keep: bool) -> tuple[list[Item], Line]:
        usable = [b for b in self.blocks if b.keeps or not keep]
        if not usable:
            return [self.keeper(scope)], line
        block = self.pick(usable)
        args = {
            n: self.argument(n, scope, line, keep)
            for n, d in block.params.items()
            if d == "required" or self.chance(50)
        }
        item: Item = {}
        path = self.identity(scope, item, 30)
        item[block.name] = args or None
        stride = args.get("stride", 1) // 2
        after = line if block.keeps else Line(self._given(args.get("out")), line.halved + stride)
        if block.inputs:
            return self._paired(block, item, scope, line, after, keep)
        if block.keeps and self.chance(10):
            item["when"] = self.value(self.condition(scope, line))
        elif path and not stride and self.chance(25):
            item["repeat"] = self.pick((0, 2, 3) if after == line else (2, 3))
            return [item], after
        if path:
            self.known.bodies[-1].append(Seen(path, after))
        return [item], after

    def argument(self, name: str, scope: Scope, line: Line, keep: bool) -> Any:
        """A value for a block's param."""
        if name in ("width", "out"):
            return self.value(self.channels(scope, line))
        if name == "stride":
            return 1 if keep or scope.steady or scope.copies else self.pick((1, 2))
        if name == "act":
            given = tuple(f"${a}" for a in scope.acts)
            return self.pick(("relu", "gelu", "tanh", {"leaky_relu": 0.2}, *given))
        if name == "flag":
            loop = ("$(loop.first)", "$(not loop.last)") if scope.copies else ()
            return self.pick((True, False, *(f"${f}" for f in scope.flags), *loop))
        return self.pick((0, 1, 2, 3) if name == "depth" else (1, 2, 3))

    @staticmethod
    def _given(out: Any) -> str | None:
        """The channels behind a call with this argument."""
        if isinstance(out, str):
            return None if "prev" in out else out[1:]
        return None if out is None else str(out)

    def _paired(
        self, block: Block, item: Item, scope: Scope, line: Line, after: Line, keep: bool
    ) -> tuple[list[Item], Line]:
        """A call of several inputs, and perhaps a use of its other output."""
        others = [s.path for s in self.known.all() if s.line.halved == line.halved] or ["prev"]
        other = self.pick(others)
        last = block.inputs[-1]
        if last[-1] == "*":
            item["from"] = ["prev", *(self.pick(others) for _ in range(self.choose(4)))]
            return [item], after
        item["from"] = self.pick((["prev", other], {"x": "prev", last.rstrip("?"): other}))
        if last[-1] == "?":
            if self.chance(50):
                del item["from"]
            return [item], after
        if scope.naming != "free" or scope.copies or keep or self.chance(50):
            return [item], after
        item.setdefault("id", self.fresh("t"))
        extra = {"concat": [f"{item['id']}.extra", "prev"]}
        return [item, extra], replace(after, channels=None)

    def block(self) -> None:
        """One more block, of one of the shapes that networks are made of, its inside drawn."""
        name = self.fresh("Part")
        kind = self.pick(
            (
                "free",
                "free",
                "residual",
                "keep",
                "dense",
                "recursive",
                "pair",
                "chain",
                "squeeze",
                "list",
                "optional",
            )
        )
        outer, self.known = self.known, Known()
        params, keeps, body, more = getattr(self, f"_{kind}")(name)
        self.known = outer
        lines = [f"  {name}:"]
        if params:
            lines.append(f"    params: {flow(params)}")
        if more.get("inputs"):
            lines.append(f"    inputs: {flow(more['inputs'])}")
        key = more.get("key", "body")
        lines += [f"    {key}:", *block_style(body, "      ")]
        if more.get("outputs"):
            lines.append(f"    outputs: {flow(more['outputs'])}")
        self.texts += lines
        self.blocks.append(Block(name, params, keeps, tuple(more.get("inputs", ()))))

    def _params(self, *wanted: str) -> tuple[dict[str, Any], Scope]:
        params: dict[str, Any] = {}
        outer = {n: (f"${n}",) if n in self.params else () for n in ("p", "w", "act")}
        if "width" in wanted:
            params["width"] = self.pick(("required", "required", 4, *outer["p"]))
        if "out" in wanted:
            twice = "$(2 * width)" if "width" in params else 4
            params["out"] = self.pick(("required", 6, twice, "$(input.channels)", *outer["w"]))
        if self.chance(30):
            params["act"] = self.pick(("relu", "silu", "required", *outer["act"]))
        if self.chance(40):
            params["flag"] = self.pick((True, False, "required", "$flag"))
        if self.chance(20):
            params["n"] = self.pick((1, 2, "required"))
        params = dict(
            sorted(
                params.items(),
                key=lambda p: p[1] != "required" and isinstance(p[1], str) and "$" in p[1],
            )
        )
        scope = Scope(
            numbers=tuple(n for n in params if n in ("width", "out")),
            flags=tuple(n for n in params if n == "flag"),
            acts=tuple(n for n in params if n == "act"),
            in_block=True,
            steady=True,
        )
        return params, scope

    def _free(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("width", "out")
        line = Line("input.channels")
        body, _ = self.path(scope, line, out="out", length=1 + self.choose(3))
        return params, False, body or [{"conv": {"out": "$out", "kernel": 1}}], {}

    def _keep(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("width")
        body, _ = self.path(scope, Line("input.channels"), keep=True, length=1 + self.choose(3))
        return params, True, body or [{"relu": None}], {}

    def _chain(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("out")
        body = [self.conv(scope, Line("input.channels"), out="out")[0]]
        body += [
            self.pick(
                (
                    self.norm(),
                    self.activation(scope),
                    {"conv": {"out": "$out", "kernel": 3, "padding": 1}},
                )
            )
            for _ in range(self.choose(3))
        ]
        return params, False, body, {"key": self.pick(("body", "sequential"))}

    def _residual(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("width", "out")
        params["stride"] = 1
        inner, _ = self.path(scope, Line("input.channels"), keep=True)
        body: list[Item] = [
            {
                "residual": [
                    *inner,
                    {
                        "id": "conv_a",
                        "conv": {
                            "out": "$width",
                            "kernel": 3,
                            "stride": "$stride",
                            "padding": 1,
                            "bias": False,
                        },
                    },
                    {"id": "norm_a", **self.norm()},
                    self.activation(scope),
                    {"id": "conv_b", "conv": {"out": "$out", "kernel": 1}},
                ],
                "shortcut": [
                    {
                        "id": "down",
                        "sequential": [
                            {"conv": {"out": "$out", "kernel": 1, "stride": "$stride"}},
                            {"batch_norm": None},
                        ],
                        "when": "$(stride != 1 or prev.channels != out)",
                    }
                ],
            },
            self.activation(scope),
        ]
        if self.chance(25):
            del body[0]["shortcut"]
            body[0]["shortcut_when"] = "$(stride == 1 and prev.channels == out)"
        return params, False, body, {}

    def _dense(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("width")
        params["n"] = self.pick((2, "required"))
        layer = [
            self.norm(),
            self.activation(scope),
            {"conv": {"out": "$width", "kernel": 3, "padding": 1}},
        ]
        item: Item = {"residual": layer, "merge": "concat", "repeat": "$n"}
        if self.chance(50):
            item = {"id": "layer", "body": [{"residual": layer, "merge": "concat"}], "repeat": "$n"}
        keep = self.chance(50)
        tail: list[Item] = (
            [{"conv": {"out": "$(input.channels)", "kernel": 1}}]
            if keep
            else [{"conv": {"out": "$(prev.channels // 4 * 2 + 2)", "kernel": 1}}]
        )
        return params, keep, [item, *tail], {}

    def _recursive(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, scope = self._params("width")
        params = {"depth": "required", **params}
        ask = {n: f"${n}" for n in params if n in ("act", "flag", "n")}
        again = {
            name: {
                "depth": "$(depth - 1)",
                "width": self.pick(("$(width + 2)", "$width", "$(2 * width)")),
                **ask,
            }
        }
        merge = self.pick(("add", "concat", "add"))
        first: list[Item] = [{"conv": {"out": "$width", "kernel": 3, "padding": 1}}]
        inner, _ = self.path(scope, Line("width"), keep=True, length=self.choose(2))
        back: Item = {"conv": {"out": "$width", "kernel": 1}}
        body: list[Item] = [
            *first,
            *inner,
            {"residual": [again, back], "merge": merge, "when": "$(depth > 0)"},
            {"conv": {"out": "$(input.channels)", "kernel": 1}},
        ]
        if self.chance(30):
            body[-2]["residual"].insert(
                1, {"id": "extra", **self.activation(scope), "when": "$(depth > 1)"}
            )
        return params, True, body, {}

    def _pair(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params, _ = self._params("out")
        body: list[Item] = [
            {"id": "a", "conv": {"out": "$out", "kernel": 3, "padding": 1}, "from": "x"},
            {"id": "b", "conv": {"out": "$out", "kernel": 1}, "from": "y"},
            {"id": "sum", self.pick(("add", "mul", "max")): ["a", "b"]},
        ]
        outputs = {"output": "sum", "extra": "b"}
        if params["out"] == "$(input.channels)":
            params["out"] = "$(y.channels)"
        return params, False, body, {"inputs": ["x", "y"], "outputs": outputs}

    def _list(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        """As many inputs as are given, each with its own convolution."""
        params = {"out": self.pick(("required", 4, "$(x.channels + len(xs))"))}
        ways: Item = {
            "id": "ways", "repeat": "$(len(xs))", "from": "xs.$(loop.index)",
            "conv": {"out": self.pick(("$out", "$(xs[loop.index].channels)")), "kernel": 1},
        }  # fmt: skip
        if ways["conv"]["out"] == "$out":
            joined: Item = {self.pick(("add", "mean", "max")): ["a", "ways.*"]}
        else:
            joined = {"concat": self.pick((["a", "ways.*"], ["xs.*", "a", "ways.*"]))}
        first: Item = {"id": "a", "conv": {"out": "$out", "kernel": 1}, "from": "x"}
        last: Item = {"conv": {"out": "$out", "kernel": 1}}
        return params, False, [first, ways, joined, last], {"inputs": ["x", "xs*"]}

    def _optional(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        """A second input that may be left out."""
        params = {"out": self.pick(("required", 4, "$(y.channels if given.y else 2)"))}
        body: list[Item] = [
            {"id": "a", "conv": {"out": "$out", "kernel": 3, "padding": 1}},
            {
                "id": "b", "from": "y", "conv": {"out": "$out", "kernel": 1},
                "when": "$(given.y)",
            },
            {self.pick(("add", "mul", "max")): ["a", "b"], "when": "$(given.y)"},
            self.activation(Scope()),
        ]  # fmt: skip
        return params, False, body, {"inputs": ["x", "y?"]}

    def _squeeze(self, name: str) -> tuple[dict[str, Any], bool, list[Item], Item]:
        params: dict[str, Any] = {"ratio": 2}
        body: list[Item] = [
            {"adaptive_avg_pool": 1},
            {"id": "fc1", "conv": {"out": "$(max(2, input.channels // ratio))", "kernel": 1}},
            self.activation(Scope()),
            {"id": "fc2", "conv": {"out": "$(input.channels)", "kernel": 1}},
            {"sigmoid": None},
            {"mul": self.pick((["prev", "input"], ["input", "prev"]))},
        ]
        return params, True, body, {}

    # ------------------------------------------------------------ networks

    def network(self) -> str:
        """The whole text."""
        world = self.pick(("map", "map", "map", "map", "two", "sequence"))
        self.axes = self.pick((2, 2, 2, 1, 3))
        self.free = world == "map" and self.chance(30)
        scope = self.given()
        if world != "sequence":
            for _ in range(self.choose(4)):
                self.block()
            if self.chance(20):
                self.params["widths"] = [self.even(), self.even()]
                self.listed = 2
        inputs, body = getattr(self, f"_{world}")(scope)
        text = ["spec: 1", "name: drawn", f"params: {flow(self.params)}", f"input: {flow(inputs)}"]
        if self.texts:
            text += ["blocks:", *self.texts]
        text += ["body:", *block_style(body, "  ")]
        if self.outputs:
            text.append(f"outputs: {flow(self.outputs)}")
        if self.chance(10):
            text.append(
                "init: {conv: {weight: {normal: 0.05}}, batch_norm: {weight: {constant: 0.9}}}"
            )
        return "\n".join(text) + "\n"

    def given(self) -> Scope:
        """The document's params."""
        params = self.params = {"flag": bool(self.choose(2))}
        if self.chance(60):
            params["p"] = self.even()
        if "p" in params and self.chance(40):
            params["w"] = self.pick((4, "$(2 * p)", "$(p + 2)"))
        if self.chance(30):
            params["act"] = self.pick(("relu", "gelu"))
        if self.chance(60):
            params["classes"] = self.pick((3, 5))
            self.classes = "$classes"
        return Scope(
            numbers=tuple(n for n in params if n in ("p", "w")),
            flags=("flag",),
            acts=tuple(n for n in params if n == "act"),
        )

    def sizes(self) -> list[int]:
        most = {1: (16, 12, 9, 5), 2: (8, 6, 5, 4), 3: (4, 5, 4, 3)}[self.axes]
        size = self.pick(most)
        return (
            [size] * self.axes if self.chance(60) else [self.pick(most) for _ in range(self.axes)]
        )

    def _map(self, scope: Scope) -> tuple[Any, list[Item]]:
        start = self.even()
        shape: list[Any] = [start, *self.sizes()]
        if self.free:
            some = self.pick((1, self.axes))
            named = [{name: n} for name, n in zip("HWD", shape[1:], strict=False)]
            shape = [start, *named[:some], *shape[1 + some :]]
        line = Line(str(start))
        body: list[Item] = []
        if self.chance(30):
            body, line = self.skeleton(scope, line, shape[1:])
        more, line = self.path(
            scope, line, length=1 + self.choose(3) if body else 3 + self.choose(3)
        )
        body += more or [{"relu": None}]
        inside = [seen.path for seen in self.known.bodies[0] if "." in seen.path]
        body += self.taps(scope, line)
        if inside and self.chance(30):
            self.outputs["inner"] = self.pick(inside)
        free = any(isinstance(n, dict) for n in shape)
        body += self.tail(scope, free)
        self.finish(body)
        return shape, body

    # ------------------------------------------------------------ skeletons

    def skeleton(self, scope: Scope, line: Line, sizes: Sequence[Any]) -> tuple[list[Item], Line]:
        """What whole networks are made of."""
        makers = [self._stages, self._ladder]
        if all(isinstance(n, int) and n % 4 == 0 for n in sizes):
            makers.append(self._nested)
        return self.pick(makers)(scope, line)

    def _stages(self, scope: Scope, line: Line) -> tuple[list[Item], Line]:
        """Stages of residual blocks, their depths a param, the table of the paper a repeat."""
        many = 2 + self.choose(2)
        self.params["depths"] = [self.pick((1, 2, 2, 3)) for _ in range(many)]
        widths = [self.even() for _ in range(many)]
        strides = [self.pick((1, 2)) for _ in range(many)]
        stride = "$(s if loop.first else 1)"
        first: Item = {"out": "$c", "kernel": 3, "stride": stride, "padding": 1, "bias": False}
        main: list[Item] = [
            {"conv": first},
            self.norm(),
            self.activation(scope),
            {"id": "last", "conv": {"out": "$c", "kernel": 1}},
        ]
        if self.chance(40):
            main.append({"drop_path": "$(0.2 * loop.serial / loop.total)"})
        down: Item = {"id": "down", "conv": {"out": "$c", "kernel": 1, "stride": stride}}
        down["when"] = "$(prev.channels != c or (loop.first and s != 1))"
        stage: Item = {"id": "stage_$k", "body": [{"residual": main, "shortcut": [down]}]}
        stage["body"].append(self.activation(scope))
        stage["repeat"] = "$n"
        columns = {"n": "$depths", "c": widths, "s": strides, "k": list(range(1, many + 1))}
        between = [self.activation(scope)] if self.chance(30) else []
        item = {"repeat": columns, "body": [stage, *between]}
        return [item], Line(str(widths[-1]), line.halved + strides.count(2))

    def _ladder(self, scope: Scope, line: Line) -> tuple[list[Item], Line]:
        """Down and up again; a step up takes what its step down had, by an id made of a column."""
        many = 1 + self.choose(3)
        widths = [self.even() for _ in range(many)]
        steps = list(range(1, many + 1))
        down: list[Item] = [
            {"id": "enc_$k", "conv": {"out": "$c", "kernel": 3, "padding": 1}},
            self.activation(scope),
            {"max_pool": {"kernel": 2, "ceil": True}},
        ]
        up: list[Item] = [
            {"upsample": {"mode": "nearest"}, "from": ["prev", "enc_$k"]},
            {"concat": self.pick((["prev", "enc_$k"], ["enc_$k", "prev"]))},
            {"conv": {"out": "$c", "kernel": 3, "padding": "half"}},
        ]
        items: list[Item] = [
            {"repeat": {"k": steps, "c": widths}, "body": down},
            {"id": "middle", "conv": {"out": 4, "kernel": 1}},
            {"repeat": {"k": steps[::-1], "c": widths[::-1]}, "body": up},
        ]
        return items, Line(str(widths[0]), line.halved)

    def _nested(self, scope: Scope, line: Line) -> tuple[list[Item], Line]:
        """A network inside itself, twice at most."""
        double: list[Item] = [{"conv": {"out": "$width", "kernel": 3, "padding": 1}}]
        double.append(self.activation(Scope()))
        back = self.pick(
            (
                [{"conv_transpose": {"out": "$width", "kernel": 2, "stride": 2}}],
                [{"upsample": 2}, {"conv": {"out": "$width", "kernel": 1}}],
            )
        )
        again: Item = {"Net": {"depth": "$(depth - 1)", "width": "$(2 * width)"}}
        inner: list[Item] = [{"max_pool": 2}, again, *back]
        merge = self.pick(("concat", "concat", "add"))
        skip: Item = {"residual": inner, "merge": merge, "when": "$(depth > 0)"}
        after = [{**item, "when": "$(depth > 0)"} for item in double]
        self.texts += ["  Net:", "    params: {depth: required, width: required}", "    body:"]
        self.texts += block_style([*double, skip, *after], "      ")
        self.params["levels"] = self.pick((1, 2))
        width = self.fixed(scope, line)
        call: Item = {"id": "net", "Net": {"depth": "$levels", "width": self.value(width)}}
        return [call], Line(width, line.halved)

    def taps(self, scope: Scope, line: Line) -> list[Item]:
        """Items off the line, each an output."""
        found: list[Item] = []
        for _ in range(max(0, self.choose(4) - 1)):
            name = self.fresh("aux")
            item: Item = {"id": name, "tap": self.pick(("train", "always"))}
            kind = self.choose(3)
            if kind == 0:
                item["sequential"] = [
                    self.keeper(scope),
                    {"global_avg_pool": None},
                    {"linear": self.classes},
                ]
            elif kind == 1:
                item |= self.activation(scope)
            else:
                item["body"] = [{"conv": {"out": 2, "kernel": 1}}, self.activation(scope)]
            if self.chance(20):
                item["when"] = self.pick(("$flag", "$(not flag)"))
            found.append(item)
            self.outputs[name] = name
        if (
            len(found) > 1
            and self.chance(30)
            and len({i["tap"] for i in found}) == 1
            and not any("when" in i for i in found)
        ):
            self.outputs = {"levels": list(self.outputs)}
        return found

    def tail(self, scope: Scope, free: bool) -> list[Item]:
        kind = self.choose(8)
        if kind < 2:
            return []
        if kind < 5 or free:
            return [{"global_avg_pool": None}, *self.perceptron(scope)]
        if kind == 5:
            return [{"flatten": None}, *self.perceptron(scope)]
        tokens: list[Item] = [{"flatten": 1}, {"permute": [1, 0]}]
        if self.axes == 1:
            tokens = tokens[1:]
        return [*tokens, *self.tokens(scope, self.even()), {"select": 0}, *self.perceptron(scope)]

    def perceptron(self, scope: Scope) -> list[Item]:
        found: list[Item] = []
        if self.chance(30):
            found.append(
                {
                    "repeat": self.pick((1, 2)),
                    "body": [
                        {"linear": self.even()},
                        self.activation(replace(scope, acts=())),
                        {"dropout": 0.2},
                    ],
                }
            )
        if self.chance(30):
            found.append({"id": self.fresh("fc"), "linear": self.classes})
        else:
            found.append(
                {"linear": self.pick((self.classes, 3, {"out": self.classes, "bias": False}))}
            )
        return found

    def tokens(self, scope: Scope, width: int) -> list[Item]:
        """Items on [T, D]."""
        found: list[Item] = [{"linear": width}]
        if self.chance(30):
            found += [
                {"id": "cls", "parameter": {"shape": [1, width], "batch": bool(self.choose(2))}},
                {"concat": ["cls", "prev"]},
            ]
        for _ in range(1 + self.choose(3)):
            kind = self.choose(7)
            if kind == 6:
                name = self.fresh("w")
                later: Item = {"id": self.fresh("w"), "linear": width, "tie": name}
                found += [{"id": name, "linear": width}, {"gelu": None}, later]
            elif kind == 5:
                found += self.pick((self._windowed, self._largest))(width)
            elif kind == 0:
                feed = [
                    {"layer_norm": None},
                    {
                        "linear": self.pick(
                            (8, "$(2 * prev.features)", *(f"${n}" for n in scope.numbers))
                        )
                    },
                    {"gelu": None},
                    {"linear": width},
                ]
                found.append({"residual": feed, **({"repeat": 2} if self.chance(30) else {})})
            elif kind == 1:
                attend: Item = {
                    "attention": {
                        "heads": self.pick((1, 2)),
                        **({"causal": True} if self.chance(30) else {}),
                        **({"kv_heads": 1} if self.chance(30) else {}),
                    }
                }
                found.append({"residual": [{"rms_norm": None}, attend]})
            elif kind == 2:
                cell = self.pick(("lstm", "gru", "rnn"))
                both = bool(self.choose(2))
                args: Item = {
                    "hidden": width // 2 if both else width,
                    **({"bidirectional": True} if both else {}),
                    **({"layers": 2} if self.chance(30) else {}),
                }
                found.append({cell: args} if self.chance(60) else {"residual": [{cell: args}]})
            elif kind == 3:
                name = self.fresh("gain")
                numbers = [round(0.5 + 0.25 * k, 2) for k in range(width)]
                found += [
                    self.pick(
                        (
                            {"id": name, "parameter": {"shape": [1, width]}},
                            {"id": name, "constant": [numbers]},
                        )
                    ),
                    {self.pick(("add", "mul")): ["prev", name]},
                ]
            else:
                found.append(
                    self.pick(
                        (
                            {"layer_norm": None},
                            {"sine_positions": None},
                            {"dropout": 0.1},
                            {"softmax": None},
                            {"tanh": None},
                        )
                    )
                )
        return found

    def _windowed(self, width: int) -> list[Item]:
        """What windows add to scores, brought to the shape of what flows."""
        here, table, mask = self.fresh("here"), self.fresh("table"), self.fresh("mask")
        return [
            {"id": here, "identity": None},
            {"id": table, "parameter": [1, width]},
            {"from": table, "relative_position_bias": [1]},
            {"reshape": [1, width]},
            {"id": f"{here}_biased", "add": [here, "prev"]},
            {"from": here, "shift_mask": {"window": [1], "shift": 0}},
            {"id": mask, "reshape": [-1, 1]},
            {"add": [f"{here}_biased", mask]},
        ]

    def _largest(self, width: int) -> list[Item]:
        """Each place by its largest feature, and by that feature's place."""
        here, best = self.fresh("here"), self.fresh("best")
        hot: Item = {"id": f"{best}_hot", "from": f"{best}.indices", "one_hot": width}
        return [
            {"id": here, "tanh": None},
            {"id": best, "top_k": 1},
            hot,
            {"reshape": [-1, width]},
            {"mul": [here, "prev", f"{best}.output"]},
        ]

    def _sequence(self, scope: Scope) -> tuple[Any, list[Item]]:
        width = self.even()
        if self.chance(60):
            inputs: Any = {"tokens": {"shape": [self.pick((4, 6, {"T": 5}))], "dtype": "int"}}
            body: list[Item] = [{"embedding": {"num": 10, "dim": width}}]
        else:
            inputs, body = [self.pick((5, {"T": 5})), self.even()], []
        body += self.tokens(scope, width)
        if self.chance(60):
            body.append({"select": self.pick((0, -1))})
        body += self.perceptron(scope)
        if self.chance(30):
            name = self.fresh("cell")
            body[len(body) - 1 :] = [{"linear": width}, {"id": name, "linear": 2}]
            self.outputs = {"y": name}
        self.finish(body)
        return inputs, body

    def _two(self, scope: Scope) -> tuple[Any, list[Item]]:
        """Two inputs, each its own path, a vector of each at the end; a tower may serve both."""
        first = self.axes
        start = self.even()
        second = first if self.chance(50) else self.pick((1, 2, 3))
        shapes = {}
        body: list[Item] = []
        ends = []
        siamese = first == second and self.chance(60)
        shape = [start, *self.sizes()]
        for place, axes in (("left", first), ("right", second)):
            self.axes = axes
            shapes[place] = shape if siamese else [start, *self.sizes()]
            name = self.fresh("tower")
            if siamese and ends:
                body.append({"id": name, "shared": ends[0], "from": place})
            else:
                with self.inside():
                    path, _ = self.path(scope, Line(str(start)), length=1 + self.choose(3))
                path += [{"global_avg_pool": None}, {"linear": 6}]
                body.append({"id": name, self.pick(("body", "sequential")): path, "from": place})
            ends.append(name)
        op = self.pick(("concat", "add", "sub", "mul"))
        body.append({"id": "joint", op: ends})
        body += self.perceptron(scope)
        if self.chance(40):
            self.outputs = (
                {"left": ends[0], "both": "joint"} if self.chance(50) else {"towers": ends}
            )
        self.finish(body)
        return shapes, body

    def finish(self, body: list[Item]) -> None:
        """The last item becomes an output by name where there are others."""
        if self.outputs:
            last = body[-1]
            if "tap" in last:
                body.append({"id": self.fresh("end"), "relu": None})
            else:
                last.setdefault("id", self.fresh("end"))
            self.outputs = {"result": body[-1]["id"], **self.outputs}


# ---------------------------------------------------------------- strategies


@lru_cache(maxsize=256)
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


@st.composite
def specs(draw: st.DrawFn) -> str:
    """The text of a random spec."""
    return Machine(lambda n: draw(_below(n))).network()


def from_seed(seed: int) -> str:
    """The same machine driven by a seed, for a sample that is the same everywhere."""
    import random

    return Machine(random.Random(seed).randrange).network()
