"""Emitted classes → whether each constructor argument says what it is called.

Every argument is set to two other values that the spec accepts. What the class then has and gives
is held against a spec of that block alone, its call given these values:

    class Unit(nn.Module):                      blocks: {Unit: …}          as it stands
        def __init__(self, in_channels,    ↔    input: [in_channels, H, W]
                     out, stride=1)             body: [{id: it, Unit: {out: …, stride: …}}]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from test_random_specs import check_outputs
from torch import nn

from archspec.emit.lowering import network
from archspec.emit.lowering.modules import titles
from archspec.emit.lowering.scope import Info
from archspec.emit.lowering.whole import Whole, called
from archspec.emit.syntax import Dotted
from archspec.expand.tree import Instance
from archspec.expressions import Expr
from archspec.module import compare
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

RUN = 2e6  # numbers in weights and inputs: what is larger is compared on the meta device
_WORDS = ("relu", "silu", "tanh")


def classes(program: Program) -> dict[str, Any]:
    """All that the emitted text defines."""
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(program.code, program.name, "exec"), names)
    return names


def others(value: Any) -> list[Any]:
    """Values near this one, the more likely to be accepted first."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, float):
        return [1.5 * value + 0.01, 0.5 * value]
    if isinstance(value, int):
        return [n for n in (2 * value, value + 1, 3 * value, value - 1, value // 2) if n > 0]
    if isinstance(value, tuple) and value and all(type(v) is int for v in value):
        return [(*value[:-1], value[-1] + 2), tuple(2 * v for v in value), (*value, value[-1])]
    if isinstance(value, Dotted):
        return [Dotted(n) for n in ("nn.ReLU", "nn.SiLU", "nn.Tanh") if n != value]
    if isinstance(value, str):
        return [w for w in _WORDS if w != value]
    return []


def lies_of_network(program: Program, *, run: bool = True) -> Iterator[str]:
    """What is wrong with the network's own arguments; an empty line for each that is right."""
    import inspect

    cls = classes(program)[network.class_name(program.name)]
    for name, argument in inspect.signature(cls).parameters.items():
        tried = 0
        for value in others(argument.default):
            try:
                wanted = program.with_(**{name: value})
            except SpecError:
                continue
            yield _wrong(lambda v=value, n=name: cls(**{n: v}), wanted, run, f"{name}={value}")
            tried += 1
            if tried == 2:
                break


def lies_of_classes(
    program: Program, folder: Path, *, run: bool = True
) -> Iterator[str]:
    """The same for each block's class, in one of its instances; `folder` holds the specs."""
    names = classes(program)
    whole = network.lower(program.graph.root, program.name, program.again, program.spec.init)
    instances = {id(i): i for i in _instances(program.graph.root)}
    for info in whole.order:
        served = [instances[k] for k in info.values if k in instances]
        if served and info.parameters:
            yield from _class(whole, info, served, names, folder, run)


def _instances(root: Instance) -> Iterator[Instance]:
    stack, seen = [root], set()
    while stack:
        for _, copy in called(stack.pop().body):
            assert copy.instance is not None
            if id(copy.instance) not in seen:
                seen.add(id(copy.instance))
                stack.append(copy.instance)
                yield copy.instance


def _class(
    whole: Whole, info: Info, served: list[Instance], names: Mapping[str, Any], folder: Path,
    run: bool,
) -> Iterator[str]:  # fmt: skip
    instance = min(served, key=lambda i: i.size)
    alone = Alone(whole, info, instance, folder)
    at = {p.name: info.values[id(instance)][p.name] for p in info.parameters}
    for name, value in at.items():
        tried = 0
        for other in others(value):
            given = {**at, name: other}
            try:
                wanted = alone.program(given)
            except SpecError as e:
                #print('   refused', info.name, name, other, e)
                continue
            tried += 1
            says = f"{info.name}({', '.join(f'{k}={v}' for k, v in given.items())}), by {name}"
            yield _wrong(lambda: alone.module(names, given), wanted, run, says)
            if tried == 2:
                break


class Alone:
    """A block's class, and the spec of that block alone."""

    def __init__(self, whole: Whole, info: Info, instance: Instance, folder: Path) -> None:
        self.info, self.instance, self.folder = info, instance, folder
        home = whole.document[id(instance)]
        assert home.spec is not None
        source = home.spec.sources[home.spec.loc.file]
        self.data = yaml.safe_load(source.text)
        self.home = home
        self.given = whole.given.get(id(instance.block), set())

    def program(self, at: Mapping[str, Any]) -> Program:
        """Raises SpecError where the spec does not accept these values."""
        instance, block = self.instance, self.instance.block
        args = {}
        for p, default in block.params.items():
            if p in at:
                args[p] = at[p]
            elif p in self.given or not isinstance(default, Expr):
                args[p] = instance.args[p]
        if any(isinstance(v, Dotted) for v in args.values()):
            args = {k: v.rpartition(".")[2].lower() if isinstance(v, Dotted) else v for k, v in args.items()}
        document = {p: at.get(p, v) for p, v in self.home.args.items()} if p_in(self.home) else {}
        inputs = {}
        # sizes of another input that are not said apart are those of the first
        (first, *_) = instance.inputs.values()
        own = dict(zip(titles("", 0, len(first.type.shape)), first.type.shape)) if first.type else {}
        moved = {n: at[t] for t, n in own.items() if t in at}
        for j, (text, value) in enumerate(instance.inputs.items()):
            if value.type is None:
                continue
            shape = value.type.shape
            sizes = [at.get(t, moved.get(n, n) if j else n) for t, n in zip(titles(text, j, len(shape)), shape, strict=True)]
            inputs[text] = {"shape": sizes, "dtype": value.type.dtype}
        outs = list(self.outs())
        made = {
            "spec": 1, "name": "alone", "params": plain(document), "input": inputs,
            **{k: self.data[k] for k in ("blocks", "use") if k in self.data},
            "body": [{"id": "it", block.name: plain(args), "from": list(inputs)}],
        }
        if len(outs) > 1:
            made["outputs"] = {k.replace(".", "_"): f"it.{k}" for k in outs}
        text = yaml.safe_dump(made, sort_keys=False)
        if "use" in made:
            (self.folder / "alone.yaml").write_text(text, encoding="utf-8")
            return load(self.folder / "alone.yaml")
        return loads(text)

    def outs(self) -> Iterator[str]:
        for name, out in self.instance.outputs.items():
            if isinstance(out, tuple):
                yield from (f"{name}.{k}" for k in range(len(out)))
            else:
                yield name

    def module(self, names: Mapping[str, Any], at: Mapping[str, Any]) -> nn.Module:
        values = {k: getattr(nn, v.rpartition(".")[2]) if isinstance(v, Dotted) else v for k, v in at.items()}
        made = names[self.info.name](**values)
        outs = [k.replace(".", "_") for k in self.outs()]
        late = {k for k in outs if k.rsplit("_", 1)[0] in self.instance.training or k in self.instance.training}
        return Outside(made, outs, late)


def p_in(home: Instance) -> bool:
    return bool(home.args)


def plain(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {k: plain(v) for k, v in values.items()}
    return [plain(v) for v in values] if isinstance(values, (list, tuple)) else values


class Outside(nn.Module):
    """A network of one module."""

    def __init__(self, it: nn.Module, outs: list[str], late: set[str]) -> None:
        super().__init__()
        self.it, self.outs, self.late = it, outs, late

    def forward(self, *xs: Any) -> Any:
        found = self.it(*xs)
        if len(self.outs) == 1:
            return found
        named = dict(zip(self.outs, found, strict=True))
        if not self.training:
            named = {k: v for k, v in named.items() if k not in self.late}
        if len(named) == 1:
            (found,) = named.values()
            return found
        return named


def _wrong(make: Any, wanted: Program, run: bool, says: str) -> str:
    """What is wrong with a module, or an empty line."""
    size = sum(w.size for _, w, _ in wanted.graph.weights())
    size += sum(v.type.size for v in wanted.graph.root.inputs.values() if v.type)
    small = run and size < RUN
    try:
        with torch.device("cpu" if small else "meta"):
            module = make()
            compare(module, wanted)
            if small:
                torch.manual_seed(0)
                check_outputs(wanted, module)
            else:
                _shapes(wanted, module)
    except Exception as failed:
        return f"{says}: {type(failed).__name__}: {str(failed)[:160]}"
    return ""


def _shapes(wanted: Program, module: nn.Module) -> None:
    from test_random_specs import inputs_of
    module.eval()
    found = module(*inputs_of(wanted, "meta", 2).values())
    root = wanted.graph.root
    flat = [found] if isinstance(found, torch.Tensor) else [
        t for v in found.values() for t in (v if isinstance(v, list) else [v])]
    kept = [v for n, o in root.outputs.items() if n not in root.training for v in (o if isinstance(o, tuple) else (o,))]
    shapes = [(2, *v.type.shape) for v in kept if v.type]
    assert [tuple(t.shape) for t in flat] == shapes, (shapes, [tuple(t.shape) for t in flat])
