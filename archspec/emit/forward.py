"""Dataflow → the body of `forward`.

Calls are nested where a reader would nest them, variables are named by liveness.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from archspec.emit.syntax import For, If, Line, Stmt, call, exchanged, ids, name, rebuilt
from archspec.emit.text import render
from archspec.emit.tidy import join_ifs

NESTED = 84  # the longest line that nesting calls may make
_ALWAYS = 1 << 30  # later than all steps
_RUN = 3  # so many calls of a list's modules become a loop


Form = list["int | Form"]


class Var:
    """A value that a variable of forward holds."""

    __slots__ = ("batchless", "hint", "id", "led", "named", "several", "short")
    count = 0

    def __init__(self, hint: str = "") -> None:
        Var.count += 1
        self.id, self.hint = Var.count, hint
        self.short = ""  # of one of several results: its own name, without that of its item
        self.several = False  # a tuple, as nn.LSTM gives it
        self.named = False  # it is called by its hint, wherever that is free
        self.batchless = False  # a parameter, or made of parameters alone: no batch axis
        self.led = False  # in its place there is a stored axis of 1

    @property
    def ref(self) -> ast.expr:
        """A placeholder that the variable's name replaces."""
        return ast.Name(f"@{self.id}")


class Step:
    """A step of forward."""

    __slots__ = ()


@dataclass(slots=True)
class Assign(Step):
    """`outs = value`.

    `inner`: the call may stand inside the next one (conv in norm in activation); `merge`: others
    may stand inside this one; `form`: places of `outs` in tuples, `[0, [1, 2]]` of `x, (h, c)`.
    """

    outs: Sequence[Var]
    value: ast.expr
    inner: bool = False
    merge: bool = False
    form: Form | None = None
    nested: dict[int, ast.expr] | None = None  # what stands in place of a Var
    length: int = 0  # of all that as text, variables counted as one character; 0: not measured
    _reads: list[int] | None = None

    @property
    def reads(self) -> list[int]:
        """The Vars that it reads, in the order of evaluation."""
        if self._reads is None:
            self._reads = reads(self.value)
        return self._reads

    def absorb(self, prev: Assign, place: int) -> None:
        """Puts the value of `prev` where this one reads its result, the read at `place`."""
        order = self.reads
        self.nested = {**(self.nested or {}), **(prev.nested or {}), order[place]: prev.value}
        self._reads = [*order[:place], *prev.reads, *order[place + 1 :]]


@dataclass(slots=True)
class Either(Step):
    """`if test:` body; afterwards `out` is `then` where the test holds, else `other`."""

    test: ast.expr
    body: list[Step]
    out: Var
    then: Var
    other: Var


@dataclass(slots=True)
class Training(Step):
    """`if self.training:` body; what it defines is used under the same condition only."""

    body: list[Step]


@dataclass(slots=True)
class Loop(Step):
    """`for target in iter:` body.

    `out` starts as `start`, is `carried` in the body, and `end` after each round. `lists`: those
    that each round adds a value to, with that value.
    """

    target: Var
    iter: ast.expr
    body: list[Step]
    carried: Var
    start: Var
    end: Var
    out: Var
    lists: Sequence[tuple[Var, Var]] = ()


def reads(node: ast.expr) -> list[int]:
    """The Vars an expression reads, in the order of evaluation."""
    return [int(text[1:]) for text in ids(node, []) if text[0] == "@"]


# ---------------------------------------------------------------- what is undone


def straightened(steps: Sequence[Step], known: dict[int, ast.expr] | None = None) -> None:
    """A tensor that is turned for its reader, which turns it back, is handed on as it was.

    h = state.transpose(0, 1)
    self.decoder(x, h.transpose(0, 1).contiguous())       self.decoder(x, state)
    """
    known = {} if known is None else known

    def undone(node: ast.expr) -> ast.expr | None:
        inner = _method(_method(node, "contiguous"), "transpose")
        return known.get(int(inner.id[1:])) if isinstance(inner, ast.Name) else None

    for s in steps:
        if isinstance(s, Assign):
            if known:
                s.value = exchanged(s.value, undone)
                s._reads = None
            turned = _method(s.value, "transpose")
            if isinstance(turned, ast.Name) and len(s.outs) == 1:
                known[s.outs[0].id] = turned
        elif isinstance(s, (Either, Training, Loop)):
            straightened(s.body, known)


def _method(node: ast.expr | None, text: str) -> ast.expr | None:
    """What `.contiguous()` or `.transpose(0, 1)` is called on, if it is."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    same = node.func.attr == text and [render(a) for a in node.args] in ([], ["0", "1"])
    return node.func.value if same else None


def direct(steps: list[Step], count: Counter[int]) -> list[Step]:
    """A tensor of the class's own is read where it is used: no variable holds it.

    y = self.points(x)
    t = self.halves
    torch.cat([y - t, y + t], 1)        torch.cat([y - self.halves, y + self.halves], 1)
    """
    every = list(_assigns(steps))
    inside = Counter(v for s in every for v in s.reads)
    held = {
        s.outs[0].id: s.value
        for s in every
        if len(s.outs) == 1 and _is_own(s.value) and inside[s.outs[0].id] == count[s.outs[0].id]
    }

    def read(text: str) -> ast.expr | None:
        return held.get(int(text[1:])) if text[0] == "@" else None

    for s in every:
        if not held.keys().isdisjoint(s.reads):
            s.value, s._reads = rebuilt(s.value, read), None
    return _without(steps, held)


def _is_own(node: ast.expr) -> bool:
    """Whether it is `self.halves` or `self.get_buffer("level.halves")`, and nothing else."""
    return re.fullmatch(r'self\.(\w+|get_(parameter|buffer)\("[\w.]+"\))', render(node)) is not None


def _assigns(steps: Iterable[Step]) -> Iterator[Assign]:
    for s in steps:
        if isinstance(s, Assign):
            yield s
        elif isinstance(s, (Either, Training, Loop)):
            yield from _assigns(s.body)


def _without(steps: Iterable[Step], held: Mapping[int, ast.expr]) -> list[Step]:
    """The steps but those that give one of these Vars."""
    left: list[Step] = []
    for s in steps:
        if isinstance(s, (Either, Training, Loop)):
            s.body = _without(s.body, held)
        if not isinstance(s, Assign) or len(s.outs) != 1 or s.outs[0].id not in held:
            left.append(s)
    return left


# ---------------------------------------------------------------- loops


def rolled(steps: list[Step], count: Counter[int], lengths: Mapping[str, int]) -> list[Step]:
    """Modules of a list that are called one after the other are gone through in a loop.

    x = self.stages[0](x)              for layer in self.stages[:3]:
    x = self.stages[1](x)                  x = layer(x)
    x = self.stages[2](x)

    `count`: how often a Var is read; `lengths`: how many modules a list has, by its text.
    """
    done: list[Step] = []
    at = 0
    while at < len(steps):
        run = [first] if (first := entry(steps[at])) is not None else []
        while run and at + len(run) < len(steps):
            before, after = run[-1], entry(steps[at + len(run)])
            if after is None or after[:2] != (before[0], before[1] + 1):
                break
            if after[2].reads != [before[2].outs[0].id] or count[before[2].outs[0].id] != 1:
                break
            run.append(after)
        text = run[0][0] if run else ""
        every = len(run) == lengths.get(text)
        if len(run) < _RUN or (text == "self" and not every):
            done.append(steps[at])
            at += 1
            continue
        done.append(_loop([r[2] for r in run], (run[0][1], run[-1][1] + 1), lengths.get(text, 0)))
        at += len(run)
    return done


def entry(step: Step) -> tuple[str, int, Assign] | None:
    """A call of a list's module on one variable: the list, the module's place, the step."""
    if not isinstance(step, Assign) or len(step.outs) != 1 or not isinstance(step.value, ast.Call):
        return None
    func, args = step.value.func, step.value.args
    if not isinstance(func, ast.Subscript) or not isinstance(func.slice, ast.Constant):
        return None
    alone = len(args) == 1 and isinstance(args[0], ast.Name) and not step.value.keywords
    index = func.slice.value
    return (render(func.value), index, step) if alone and isinstance(index, int) else None


def _loop(calls: list[Assign], span: tuple[int, int], length: int) -> Loop:
    first, last = calls[0], calls[-1]
    assert isinstance(first.value, ast.Call)
    assert isinstance(first.value.func, ast.Subscript)
    over = first.value.func.value
    if span != (0, length):
        lower = ast.Constant(span[0]) if span[0] else None
        upper = ast.Constant(span[1]) if span[1] != length else None
        over = ast.Subscript(over, ast.Slice(lower, upper))
    layer, carried, end, start = Var("layer"), Var(), Var(), Var()
    layer.named = True
    start.id = first.reads[0]
    step = Assign([end], ast.Call(layer.ref, [carried.ref], []))
    return Loop(layer, over, [step], carried, start, end, last.outs[0])


# ---------------------------------------------------------------- nesting


def uses(steps: Iterable[Step], count: Counter[int]) -> Counter[int]:
    """How often each Var is read, added to `count`."""
    for s in steps:
        if isinstance(s, Assign):
            for v in s.reads:
                count[v] += 1
        elif isinstance(s, Either):
            count.update([*reads(s.test), s.then.id, s.other.id, s.other.id])
            uses(s.body, count)
        elif isinstance(s, Training):
            uses(s.body, count)
        elif isinstance(s, Loop):
            count.update([*reads(s.iter), s.start.id, s.start.id, s.end.id, s.end.id])
            count.update([v.id for _, v in s.lists for _ in range(2)])
            uses(s.body, count)
    return count


def nest(steps: list[Step], count: Counter[int]) -> list[Step]:
    """Puts a call whose result is used once, by the next step, into that step."""
    done: list[Step] = []
    for s in steps:
        if isinstance(s, (Either, Training, Loop)):
            s.body = nest(s.body, count)
        elif isinstance(s, Assign):
            _absorb(s, done, count)
        done.append(s)
    return done


def _absorb(s: Assign, before: list[Step], count: Counter[int]) -> None:
    limit = None
    while before and isinstance(prev := before[-1], Assign) and len(prev.outs) == 1:
        var = prev.outs[0].id
        order = s.reads
        if count[var] != 1 or var not in order or not (prev.inner or s.merge):
            return
        place = order.index(var)
        if limit is not None and place >= limit:
            return
        length = _length(s) + _length(prev) - 1
        if length > _room(s, prev):
            return
        s.absorb(prev, place)
        s.length, limit = length, place
        if not s.merge:
            # conv(x) inside norm(…): go on with what conv(x) itself takes, as one chain
            limit = None
            s.inner = s.inner and prev.inner
        before.pop()


def _room(s: Assign, prev: Assign) -> int:
    """How long the line may become; one of calls of what calls give is not broken well."""
    twice = any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Call) for n in ast.walk(prev.value)
    )
    target = len(s.outs[0].hint) if s.outs else 0
    return NESTED - target if twice and isinstance(s.value, ast.BinOp) else NESTED


def _length(s: Assign) -> int:
    if not s.length:
        s.length = len(render(s.value)) - sum(len(str(v)) for v in s.reads)
    return s.length


# ---------------------------------------------------------------- variables


class _Classes:
    """Vars that must share one variable, and from where to where it is needed."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.first: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.hints: dict[int, list[str]] = {}
        self.shorts: dict[int, str] = {}
        self.tuples: set[int] = set()
        self.named: set[int] = set()  # those called by their hint, however short they live

    def find(self, var: int) -> int:
        while self.parent.setdefault(var, var) != var:
            self.parent[var] = var = self.parent[self.parent[var]]
        return var

    def born(self, var: Var, at: int) -> None:
        self.first[var.id] = self.last[var.id] = at
        self.hints[var.id] = [var.hint] if var.hint else []
        self.shorts[var.id] = var.short
        if var.several:
            self.tuples.add(var.id)
        if var.named:
            self.named.add(var.id)

    def used(self, var: int, at: int) -> None:
        self.last[var] = max(self.last.get(var, at), at)

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        self.parent[b] = a
        self.first[a] = min(self.first[a], self.first[b])
        self.last[a] = max(self.last[a], self.last[b])
        self.hints[a] += self.hints[b]
        if b in self.named:
            self.named.add(a)


class Naming:
    """A variable for every Var: x for the line, the author's id for what is kept, else y or z."""

    def __init__(
        self,
        inputs: Sequence[Var],
        names: Sequence[str],
        steps: list[Step],
        outputs: Iterable[Var],
        reserved: set[str],
    ) -> None:
        self.classes = _Classes()
        self.at = 0
        self.reserved = reserved
        for v in inputs:
            self.classes.born(v, 0)
        self._scan(steps)
        self.at += 1
        for v in outputs:
            self.classes.used(v.id, self.at)
        self._coalesce(steps)
        self.names: dict[int, str] = {}
        self._allocate(dict(zip((v.id for v in inputs), names, strict=True)))

    def _scan(self, steps: list[Step]) -> None:
        c = self.classes
        for s in steps:
            self.at += 1
            if isinstance(s, Assign):
                for v in s.reads:
                    c.used(v, self.at)
                for out in s.outs:
                    c.born(out, self.at)
                    if isinstance(s.value, ast.Attribute):  # its type is no plain tensor's
                        c.named.add(out.id)
                        c.hints[out.id] = c.hints[out.id] or [s.value.attr]
            elif isinstance(s, Either):
                c.used(s.other.id, self.at)
                self._scan(s.body)
                self.at += 1
                c.used(s.then.id, self.at)
                c.born(s.out, self.at)
            elif isinstance(s, Training):
                self._scan(s.body)
            elif isinstance(s, Loop):
                self._scan_loop(s)

    def _scan_loop(self, s: Loop) -> None:
        c = self.classes
        begin = self.at
        for v in reads(s.iter):
            c.used(v, self.at)
        c.used(s.start.id, self.at)
        c.born(s.carried, self.at)
        c.born(s.target, self.at)
        known = set(c.first)
        self._scan(s.body)
        self.at += 1
        c.used(s.end.id, self.at)
        for many, value in s.lists:  # a list's variable is never a tensor's
            c.born(many, 0)
            c.used(many.id, _ALWAYS)
            c.used(value.id, self.at)
        for v in known:  # what the body reads from outside lives through every round
            if v != s.carried.id and c.last[v] > begin:
                c.used(v, self.at)
        c.used(s.target.id, self.at)
        c.born(s.out, self.at)

    def _coalesce(self, steps: list[Step]) -> None:
        c = self.classes
        for s in steps:
            if isinstance(s, Either):
                self._coalesce(s.body)
                inside = {v.id for t in s.body for v in _defined(t)}
                if s.then.id in inside:
                    c.join(s.out.id, s.then.id)
                born = c.first.get(c.find(s.then.id), 0)  # with all that shares its variable
                if c.last[c.find(s.other.id)] <= born or c.last[s.other.id] <= born:
                    c.join(s.other.id, s.out.id)
            elif isinstance(s, Training):
                self._coalesce(s.body)
            elif isinstance(s, Loop):
                self._coalesce(s.body)
                c.join(s.carried.id, s.end.id)
                c.join(s.carried.id, s.out.id)
                if c.last[s.start.id] <= c.first[s.carried.id]:
                    c.join(s.carried.id, s.start.id)

    def _allocate(self, fixed: dict[int, str]) -> None:
        c = self.classes
        roots = sorted({c.find(v) for v in c.first}, key=lambda r: (c.first[r], r))
        active: list[tuple[int, str]] = []  # a heap of when names are free again
        taken = Counter(self.reserved)
        for v, text in fixed.items():
            self.names[c.find(v)] = text
        for root in roots:
            while active and active[0][0] <= c.first[root]:
                taken[heappop(active)[1]] -= 1
            if root not in self.names:
                wishes = self._wishes(root, line=not taken["x"])
                self.names[root] = next(t for t in wishes if t and not taken[t])
            heappush(active, (c.last[root], self.names[root]))
            taken[self.names[root]] += 1

    def _wishes(self, root: int, *, line: bool) -> Iterator[str]:
        """Names for a variable, the best first; `line`: what was called x is used up."""
        c = self.classes
        hints = [h for h in c.hints[root] if h]
        if root in c.tuples:  # a variable of its own, because its type differs
            yield "result"
            hints = ["result"]
            yield from (f"result{k}" for k in range(2, 1 << 20))
        long = c.last[root] - c.first[root]
        if hints and (long > 3 or root in c.named or c.shorts[root] or (long > 1 and not line)):
            yield c.shorts[root]
            yield hints[0]
            yield from (f"{c.shorts[root]}{k}" for k in range(2, 1 << 20) if c.shorts[root])
        yield from ("x", "y", "z")
        yield from hints[:1]
        yield from ("w", "v", "u")
        base, number = (hints or ["t"])[0], 2
        while True:
            yield f"{base}{number}"
            number += 1

    def of(self, var: int) -> str:
        return self.names[self.classes.find(var)]

    # ------------------------------------------------------------ text

    def _targets(self, s: Assign) -> str:
        """The variables of an assignment; `_` for one of several that nothing reads."""
        c = self.classes
        if len(s.outs) == 1 and s.form is None:
            return self.of(s.outs[0].id)
        texts = ["_" if c.last[v.id] == c.first[v.id] else self.of(v.id) for v in s.outs]
        return ", ".join(texts) if s.form is None else _arranged(s.form, texts)

    def text(self, steps: list[Step]) -> list[Stmt]:
        lines: list[Stmt] = []
        for s in steps:
            if isinstance(s, Assign):
                s.value, s.nested = self.value(s), None  # what it was is not needed any more
                lines.append(Line(s.value, self._targets(s)))
            elif isinstance(s, Either):
                out, then, other = (self.of(v.id) for v in (s.out, s.then, s.other))
                if out != other:
                    lines.append(Line(name(other), out))
                body = self.text(s.body)
                if then != out:
                    body.append(Line(name(then), out))
                lines.append(If(self.filled(s.test, {}), body))
            elif isinstance(s, Training):
                lines.append(If(name("self.training"), self.text(s.body)))
            elif isinstance(s, Loop):
                start, carried = self.of(s.start.id), self.of(s.carried.id)
                if start != carried:
                    lines.append(Line(name(start), carried))
                lines += [Line(ast.List([]), self.of(m.id), "list[Tensor]") for m, _ in s.lists]
                body = self.text(s.body)
                body += [Line(_append(self.of(m.id), self.of(v.id))) for m, v in s.lists]
                lines.append(For(self.of(s.target.id), self.filled(s.iter, {}), body))
        return join_ifs(lines)

    def value(self, s: Assign) -> ast.expr:
        """The value of a step, with all that stands inside it."""
        return self.filled(s.value, s.nested or {})

    def filled(self, node: ast.expr, nested: Mapping[int, ast.expr]) -> ast.expr:
        def new(text: str) -> ast.expr | None:
            if text[0] != "@":
                return None
            var = int(text[1:])
            return self.filled(nested[var], nested) if var in nested else ast.Name(self.of(var))

        return rebuilt(node, new)


def _append(many: str, value: str) -> ast.expr:
    return call(f"{many}.append", name(value))


def _arranged(form: Form, texts: Sequence[str]) -> str:
    """`[0, [1, 2]]` of x, h, c → `x, (h, c)`; a tuple of which nothing is read is `_`."""
    parts = [texts[p] if isinstance(p, int) else f"({_arranged(p, texts)})" for p in form]
    return ", ".join("_" if set(p) <= set("(_, )") else p for p in parts)


def _defined(step: Step) -> list[Var]:
    if isinstance(step, Assign):
        return list(step.outs)
    if isinstance(step, (Either, Loop)):
        return [step.out, *(v for s in step.body for v in _defined(s))]
    return [v for s in step.body for v in _defined(s)] if isinstance(step, Training) else []
