"""A seed -> a spec of a small random network of windows: stacks, branches, resampling."""

from __future__ import annotations

import json
import random
from typing import Any

Item = dict[str, Any]


class Network:
    """Items in order, with the sizes they give; every item is used by a later one."""

    def __init__(self, seed: int, plain: bool) -> None:
        self.rng = random.Random(seed)
        self.plain = plain
        self.axes = self.rng.choice([1, 1, 2])
        self.shape = [
            self.rng.choice([1, 2]),
            *(self.rng.randint(14, 24) for _ in range(self.axes)),
        ]
        self.items: list[Item] = []
        self.text = self._text()

    def _text(self) -> str:
        at, shape = "input", self.shape
        for _ in range(self.rng.randint(1, 3)):
            at, shape = self._stack(at, shape, self.rng.randint(1, 2))
            if not self.plain and self.rng.random() < 0.6:
                at, shape = self._branches(at, shape)
        if not self.items:
            at, shape = self._add({"relu": None}, at, shape)
        head = ["spec: 1", "name: drawn", f"input: {json.dumps(self.shape)}", "body:"]
        return "\n".join([*head, *(f"  - {json.dumps(item)}" for item in self.items)]) + "\n"

    def _add(self, item: Item, start: str | list[str], shape: list[int]) -> tuple[str, list[int]]:
        name = f"n{len(self.items)}"
        self.items.append({"id": name, **item, "from": start})
        return name, shape

    def _stack(self, at: str, shape: list[int], length: int) -> tuple[str, list[int]]:
        for _ in range(length):
            kinds = ["conv", "conv", "avg_pool", "max_pool", "relu"]
            if not self.plain and max(shape[1:]) <= 24:
                kinds += ["conv_transpose", "upsample"]
            at, shape = getattr(self, "_" + self.rng.choice(kinds))(at, shape)
        return at, shape

    def _relu(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        return self._add({"relu": None}, at, shape)

    def _conv(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        return self._sliding(at, shape, "conv", {"out": self.rng.choice([1, 2]), "bias": False})

    def _avg_pool(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        return self._sliding(at, shape, "avg_pool", {})

    def _max_pool(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        return self._sliding(at, shape, "max_pool", {})

    def _sliding(self, at: str, shape: list[int], op: str, args: Item) -> tuple[str, list[int]]:
        kernel, stride = self.rng.randint(1, 4), self.rng.choice([1, 1, 2, 3])
        dilation = 1 if op == "avg_pool" else self.rng.choice([1, 1, 2])
        covers = dilation * (kernel - 1) + 1
        padding = self.rng.randint(0, (covers if op == "conv" else kernel) // 2)
        out = [(n + 2 * padding - covers) // stride + 1 for n in shape[1:]]
        if min(out) < 1 or min(shape[1:]) < covers:
            return at, shape
        args |= {"kernel": kernel, "stride": stride, "padding": padding}
        if dilation > 1:
            args["dilation"] = dilation
        return self._add({op: args}, at, [args.get("out", shape[0]), *out])

    def _conv_transpose(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        kernel, stride = self.rng.randint(1, 4), self.rng.randint(1, 3)
        dilation = self.rng.choice([1, 1, 2])
        padding = self.rng.randint(0, (kernel - 1) // 2)
        more = self.rng.randint(0, max(stride, dilation) - 1)
        out = [
            (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1 for n in shape[1:]
        ]
        if min(out) < 1:
            return at, shape
        args = {"out": 1, "kernel": kernel, "stride": stride, "padding": padding, "bias": False}
        args |= {"output_padding": more, "dilation": dilation}
        return self._add({"conv_transpose": args}, at, [1, *out])

    def _upsample(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        scale = self.rng.choice([2, 3])
        smooth = {1: "linear", 2: "bilinear"}[self.axes]
        args = {"scale": scale, "mode": self.rng.choice(["nearest", smooth])}
        return self._add({"upsample": args}, at, [shape[0], *(n * scale for n in shape[1:])])

    def _branches(self, at: str, shape: list[int]) -> tuple[str, list[int]]:
        paths = [
            self._stack(at, shape, self.rng.randint(0, 2)) for _ in range(self.rng.randint(2, 3))
        ]
        sizes = [min(s[a] for _, s in paths) for a in range(1, len(shape))]
        cut = [self._cut(path, s, sizes) for path, s in paths]
        channels = [s[0] for _, s in cut]
        names = [name for name, _ in cut]
        if len(set(channels)) == 1 and self.rng.random() < 0.5:
            return self._add({"add": None}, names, [channels[0], *sizes])
        return self._add({"concat": None}, names, [sum(channels), *sizes])

    def _cut(self, at: str, shape: list[int], sizes: list[int]) -> tuple[str, list[int]]:
        for axis, size in enumerate(sizes, 1):
            spare = shape[axis] - size
            if spare:
                start = self.rng.choice([0, spare, spare // 2])
                shape = [size if a == axis else n for a, n in enumerate(shape)]
                args = {"axis": axis, "start": start, "stop": start + size}
                at, shape = self._add({"slice": args}, at, shape)
        return at, shape
