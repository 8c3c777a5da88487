"""Instance → which values cross the edge of each part that becomes a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from archspec.expand.tree import Body, Copy, Instance, Seen, Value, listed


@dataclass(slots=True, eq=False)
class Frame:
    """A named group or branch; `captures` come in, `exports` go out, by first use."""

    depth: int
    parent: Frame | None
    path: tuple[str, ...] = ()  # from the instance
    outward: bool = False  # something inside uses the weights of a module outside
    captures: dict[int, Value] = field(default_factory=dict)
    exports: dict[int, Value] = field(default_factory=dict)


class Frames:
    """The frames of one instance, by the id of their Copy (or of a branch's Body)."""

    def __init__(self, instance: Instance) -> None:
        self.of: dict[int, Frame] = {}
        # id of a value -> who reads it, where its frame and theirs meet; 0: an output
        self.consumers: dict[int, list[int]] = {}
        self.reused: set[int] = set()  # ids of copies whose weights are used again
        self.key: dict[int, int] = {}  # id of a frame -> id of its copy
        self.home: dict[int, Frame] = {}
        self.paths: dict[int, tuple[str, ...]] = {}  # of copies, from the instance
        root = Frame(0, None)
        for value in instance.inputs.values():
            self.home[id(value)] = root
        self._body(instance.body, root)
        for out in instance.outputs.values():
            for value in out if isinstance(out, tuple) else (out,):
                if value is not None:
                    self._use(value, root, 0)

    def _body(self, body: Body, frame: Frame) -> None:
        for copy in body.copies():
            self._copy(copy, frame)

    def _copy(self, copy: Copy, frame: Frame) -> None:
        path = self.paths[id(copy)] = frame.path + copy.segments
        if copy.shared is not None:
            self.reused.add(id(copy.shared))
            owner = self.paths.get(id(copy.shared), path)
            around: Frame | None = frame
            while around is not None and around.path and owner[: len(around.path)] != around.path:
                around.outward = True
                around = around.parent
        if not copy.group or copy.segments:
            for value in _read(copy):
                self._use(value, frame, id(copy))
        if copy.group:
            self._group(copy, self._enter(copy, frame, copy.segments) if copy.segments else frame)
            for value in copy.outs.values():
                self.home.setdefault(id(value), frame)
        else:
            for value in copy.outs.values():
                self.home[id(value)] = frame

    def _enter(self, key: object, frame: Frame, segments: tuple[str, ...]) -> Frame:
        inner = self.of[id(key)] = Frame(frame.depth + 1, frame, (*frame.path, *segments))
        self.key[id(inner)] = id(key)
        return inner

    def _group(self, copy: Copy, frame: Frame) -> None:
        if copy.body is not None:
            self._body(copy.body, frame)
        if copy.shortcut is not None:
            self._body(copy.shortcut, frame)
        for branch in copy.branches:
            inner = (
                self._enter(branch, frame, (branch.segment,))
                if branch.segment is not None
                else frame
            )
            self.paths[id(branch)] = inner.path
            self._body(branch, inner)
            if branch.output is not None:
                self._use(branch.output, frame, id(copy))
        if copy.branches or (copy.layer is not None and copy.body is not None):
            self._merge(copy, frame)

    def _merge(self, copy: Copy, frame: Frame) -> None:
        """What a merge reads, and that what it gives is made here."""
        for part in (copy.body, copy.shortcut):
            if part is not None and part.output is not None:
                self._use(part.output, frame, id(copy))
        taken = copy.ins[0] if copy.ins else None
        identity = copy.body is not None and copy.shortcut is None and not copy.plain
        if identity and taken is not None:
            self._use(taken, frame, id(copy))
        for value in copy.outs.values():
            self.home.setdefault(id(value), frame)

    def _use(self, value: Value, frame: Frame, reader: int) -> None:
        home = self.home.get(id(value))
        if home is None:
            return
        inner: Frame = frame
        outer: Frame = home
        while inner is not outer:
            if inner.depth >= outer.depth:
                inner.captures[id(value)] = value
                assert inner.parent is not None
                reader, inner = self.key[id(inner)], inner.parent
            else:
                outer.exports[id(value)] = value
                assert outer.parent is not None
                outer = outer.parent
        self.consumers.setdefault(id(value), []).append(reader)


def _read(copy: Copy) -> Iterator[Value]:
    """What it takes, and in forward sees the sizes of."""
    yield from (value for value in copy.ins if value is not None)
    if copy.running:
        for seen in copy.env.values():
            if isinstance(seen, Seen):
                yield seen.value
            elif listed(seen):
                yield from (one.value for one in seen)
