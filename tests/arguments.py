"""Emitted classes → whether each constructor argument does what it says.

Every argument is set to two other values that the spec accepts, all else as it is. What the class
then has and computes is held against a spec of that block alone whose call says these values:

    class Unit(nn.Module):                      blocks: {Unit: …}          as it stands
        def __init__(self, in_channels,    ↔    input: [in_channels, H, W]
                     out, stride=1)             body: [{id: it, Unit: {out: …, stride: …}}]

The class of a group is held against its item alone. Where that names what stands outside of it, it
is not looked at: its arguments are those of the class around it, which is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from test_random_specs import check_outputs, inputs_of
from torch import nn

from archspec.emit.lowering.calls import titles
from archspec.emit.lowering.network import class_name, lower
from archspec.emit.lowering.scope import Info
from archspec.emit.lowering.whole import Whole, Witnessed
from archspec.emit.syntax import Dotted
from archspec.expand.tree import Copy, Instance, Value
from archspec.expressions import Expr
from archspec.layers.base import TensorType
from archspec.module import compare
from archspec.network import Program, load
from archspec.text.faults import SpecError

RUN = 2e6  # numbers in weights and inputs: what is larger is compared on the meta device
Arguments = dict[str, Any]


def lies(program: Program, folder: Path) -> Iterator[str]:
    """What is wrong with each argument that is tried at another value: "" where nothing is.

    `folder` holds the files that specs of the program `use`; a file is written there.
    """
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(program.code, program.name, "exec"), names)
    cls = names[class_name(program.name)]
    given = {n: p.default for n, p in inspect.signature(cls).parameters.items()}
    yield from _tried(given, cls, lambda at: program.with_(**at), program.name)
    again, init = program.again, program.spec.init
    whole = Whole([again.root], "", (), init, Witnessed(again, tries=False))
    for info in lower(again, program.name, init, traced=True).order[:-1]:
        found = _alone(whole, info, program.graph.root, folder)
        if found is not None:
            values = info.values[id(found.part)]
            given = {p.name: values[p.name] for p in info.parameters}
            make = _maker(names[info.name], found)
            yield from _tried(given, make, found.program, info.name)


def _tried(
    given: Arguments, make: Callable[..., Any], spec: Callable[[Arguments], Program], title: str
) -> Iterator[str]:
    for name, value in given.items():
        count = 0
        for other in others(value):
            at = {**given, name: other}
            try:
                wanted = spec(at)
            except SpecError:
                continue
            wrong = _wrong(lambda at=at: make(**at), wanted)  # type: ignore[misc]
            yield f"{title}({', '.join(f'{k}={v}' for k, v in at.items())}): {wrong}" * bool(wrong)
            count += 1
            if count == 2:
                break


def others(value: Any) -> list[Any]:
    """Values near this one, the more likely to be accepted first."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, float):
        return [1.5 * value + 0.01, 0.5 * value]
    if isinstance(value, int):
        near = (2 * value, value + 1, 3 * value, value - 1, value // 2)
        return [n for n in near if (n < 0 if value < 0 else n > 0) and n != value]
    if isinstance(value, tuple) and value and all(type(v) is int for v in value):
        return [(*value[:-1], value[-1] + 2), tuple(2 * v for v in value), (*value, value[-1])]
    if isinstance(value, Dotted):
        return [Dotted(n) for n in ("nn.ReLU", "nn.SiLU", "nn.Tanh") if n != value]
    return [w for w in ("relu", "silu", "tanh") if w != value] if isinstance(value, str) else []


# ---------------------------------------------------------------- what a class is, alone


class Alone:
    """A part of a network as a spec of its own; `part` is what the class was written of."""

    def __init__(self, part: Any, inputs: dict[str, Value], outs: list[str], folder: Path) -> None:
        self.part, self.inputs, self.outs, self.folder = part, inputs, outs, folder
        self.late: frozenset[str] = frozenset()  # outputs that are there in training only

    def document(self, at: Arguments) -> dict[str, Any]:
        """The spec at some arguments, but for its inputs."""
        raise NotImplementedError

    def program(self, at: Arguments) -> Program:
        """Raises SpecError where the spec does not accept these arguments."""
        text = yaml.safe_dump({"spec": 1, "name": "alone", **self.document(at)}, sort_keys=False)
        path = self.folder / "alone.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path)

    def shapes(self, at: Arguments) -> dict[str, Any]:
        """Inputs as a spec has them; a width that two have in common changes in both."""
        found = {}
        moved: dict[tuple[int, int, int], int] = {}
        for j, (text, value) in enumerate(self.inputs.items()):
            assert value.type is not None
            sizes = []
            for axis, n in enumerate(value.type.shape):
                title = titles(text, j, value.type)[axis]
                key = (value.type.rank, axis, n)
                sizes.append(at[title] if title in at else moved.get(key, n))
                moved.setdefault(key, sizes[-1])
            found[text] = {"shape": sizes, "dtype": value.type.dtype}
        return found


class AloneBlock(Alone):
    """A block: the spec calls it."""

    def __init__(self, whole: Whole, instance: Instance, folder: Path) -> None:
        inputs = {n: v for n, v in instance.inputs.items() if v.type is not None}
        outs = [
            name if not isinstance(out, tuple) else f"{name}.{k}"
            for name, out in instance.outputs.items()
            for k in range(len(out) if isinstance(out, tuple) else 1)
        ]
        super().__init__(instance, inputs, outs, folder)
        self.late = frozenset(n for n in outs if n.partition(".")[0] in instance.training)
        self.home = whole.document[id(instance)]
        self.given = whole.given.get(id(instance.block), set())

    def document(self, at: Arguments) -> dict[str, Any]:
        instance, args = self.part, {}
        for p, default in instance.block.params.items():
            if p in at or p in self.given or not isinstance(default, Expr):
                args[p] = at.get(p, instance.args[p])
        call = {"id": "it", instance.block.name: plain(args), "from": list(self.inputs)}
        found = {
            "params": plain({p: at.get(p, v) for p, v in self.home.args.items()}),
            "input": self.shapes(at), **_definitions(self.home), "body": [call],
        }  # fmt: skip
        if len(self.outs) > 1:
            found["outputs"] = {n.replace(".", "_"): f"it.{n}" for n in self.outs}
        return found


class AloneGroup(Alone):
    """An item that is a group: it stands in the body, what it sees are params."""

    def __init__(self, whole: Whole, home: Instance, item: Any, copy: Copy, folder: Path) -> None:
        frame = whole.frames[id(copy)]
        captures = list(frame.captures.values())
        super().__init__(copy, {"input": captures[0]}, ["it"], folder)
        self.home, self.env = home, {k: v for k, v in copy.env.items() if k != "loop"}
        self.item = _data(home)
        for key in item.loc.path:
            self.item = self.item[key]
        self.alone = len(captures) == len(frame.exports) == 1 and not frame.outward

    def document(self, at: Arguments) -> dict[str, Any]:
        left_out = ("id", "repeat", "when", "from", "tap", "expect", "freeze")
        item = {k: _by_itself(v) for k, v in self.item.items() if k not in left_out}
        params = {**self.home.args, **self.env}
        return {
            "params": plain({p: at.get(p, v) for p, v in params.items()}),
            "input": self.shapes(at), **_definitions(self.home), "body": [{"id": "it", **item}],
        }  # fmt: skip


def _alone(whole: Whole, info: Info, root: Instance, folder: Path) -> Alone | None:
    """What a class is to be held against: the smallest of what it serves in the network."""
    served: list[Alone] = []
    for home, item, copy in _copies(root, root, set()):
        if copy.instance is not None and id(copy.instance) in info.values:
            served.append(AloneBlock(whole, copy.instance, folder))
        elif id(copy) in info.values:
            found = AloneGroup(whole, home, item, copy, folder)
            known = {*found.env, *found.home.args, *titles("x", 0, _kind(found))}
            if found.alone and {p.name for p in info.parameters} <= known:
                served.append(found)
    return min(served, key=lambda a: getattr(a.part, "size", 0), default=None)


def _kind(found: Alone) -> TensorType | None:
    (value,) = found.inputs.values()
    return value.type


def _copies(around: Instance, home: Instance, seen: set[int]) -> Iterator[tuple[Any, Any, Copy]]:
    """All that stands in a network, with its item, and the file that this is written in."""
    stack = [around.body]
    while stack:
        for occurrence in stack.pop().items:
            for copy in occurrence.copies:
                if copy is None:
                    continue
                yield home, occurrence.item, copy
                stack += copy.parts()
                inner = copy.instance
                if inner is not None and id(inner) not in seen:
                    seen.add(id(inner))
                    yield from _copies(inner, home if inner.spec is None else inner, seen)


def _by_itself(value: Any) -> Any:
    """The same without `freeze` and `tie`, which the class around a group does."""
    if isinstance(value, dict):
        return {k: _by_itself(v) for k, v in value.items() if k not in ("freeze", "tie")}
    return [_by_itself(v) for v in value] if isinstance(value, list) else value


def _data(home: Instance) -> Any:
    assert home.spec is not None
    return yaml.safe_load(home.spec.sources[home.spec.loc.file].text)


def _definitions(home: Instance) -> dict[str, Any]:
    return {k: v for k, v in _data(home).items() if k in ("blocks", "use")}


def plain(value: Any) -> Any:
    """As YAML has it; a class of modules as the word for it."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, Dotted):
        return value.rpartition(".")[2].lower()
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


# ---------------------------------------------------------------- modules


def _maker(cls: Any, alone: Alone) -> Callable[..., nn.Module]:
    def make(**at: Any) -> nn.Module:
        values = {
            k: getattr(nn, v.rpartition(".")[2]) if isinstance(v, Dotted) else v
            for k, v in at.items()
        }
        return Outside(cls(**values), alone)

    return make


class Outside(nn.Module):
    """A network of one module."""

    def __init__(self, it: nn.Module, alone: Alone) -> None:
        super().__init__()
        self.it, self.outs, self.late = it, alone.outs, alone.late

    def forward(self, *xs: Any) -> Any:
        found = self.it(*xs)
        if len(self.outs) == 1:
            return found
        named = {
            n.replace(".", "_"): v
            for n, v in zip(self.outs, found, strict=True)
            if self.training or n not in self.late
        }
        return named if len(named) > 1 else next(iter(named.values()))


def _wrong(make: Callable[[], nn.Module], wanted: Program) -> str:
    """Keys, shapes and outputs of a module against those of a spec: what differs."""
    size = sum(w.size for _, w, _ in wanted.graph.weights())
    size += sum(v.type.size for v in wanted.graph.root.inputs.values() if v.type)
    try:
        with torch.device("cpu" if size < RUN else "meta"):
            torch.manual_seed(0)
            module = make()
            compare(module, wanted)
            if size < RUN:
                check_outputs(wanted, module)
            else:
                _check_shapes(wanted, module.eval())
    except Exception as failed:
        return f"{type(failed).__name__}: {str(failed)[:200]}"
    return ""


def _check_shapes(wanted: Program, module: nn.Module) -> None:
    found = module(*inputs_of(wanted, "meta").values())
    values = [found] if isinstance(found, torch.Tensor) else found.values()
    flat = [t for v in values for t in (v if isinstance(v, list) else [v])]
    root = wanted.graph.root
    kept = [o for n, o in root.outputs.items() if n not in root.training]
    shapes = [v.type.shape for o in kept for v in (o if isinstance(o, tuple) else (o,)) if v.type]
    assert [tuple(t.shape[1:]) for t in flat] == shapes
