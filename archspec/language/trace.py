"""Spec → its text in the longest form: what parsing made of a document, to look at.

What the author wrote, and what parsing makes of it:

    body:                         body:
      - residual: [relu]    →       - residual:
      - {id: fc, linear: 5}             - relu: {}
                                      merge: add
                                    - linear: {out: 5}
                                      id: fc

The text is a spec again, and of the same network: that is how it is tested. Title, paper, notes,
weights and expected totals are left out, because they are no part of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import yaml

from archspec.expressions import Expr, Template
from archspec.language.models import Block, Input, Item, Spec, Use
from archspec.language.values import REQUIRED, Axis, Filler, Ref


def parsed(spec: Spec) -> str:
    """The document: a line a value, items as lists."""
    inputs: Any = spec.inputs if spec.named_inputs else next(iter(spec.inputs.values()))
    lines = ["spec: 1", f"name: {spec.name}"]
    lines += _said("params", spec.params)
    lines += _said("variants", spec.variants)
    lines += _said("input", inputs)
    lines += _said("use", spec.use)
    lines += ["blocks:"] if spec.blocks else []
    for name, block in spec.blocks.items():
        lines += _below(f"{name}:", _block(block), "  ")
    lines += [*_body(spec), *_said("head", spec.head), *_said("init", spec.init)]
    return "\n".join(lines) + "\n"


def _block(block: Block) -> Iterator[str]:
    yield from _said("params", block.params)
    yield from _said("inputs", block.inputs if block.named_inputs else ())
    yield from _body(block)


def _body(whole: Spec | Block) -> Iterator[str]:
    yield from _items("sequential" if whole.numbered else "body", whole.items)
    yield from _said("outputs", _outputs(whole))


def _outputs(whole: Spec | Block | Use) -> dict[str, Any]:
    """By name one path, or a list of them."""
    return {
        name: list(refs) if len(refs) > 1 or name in whole.lists else refs[0]
        for name, refs in (whole.outputs or {}).items()
    }


def _items(word: str, items: Sequence[Item]) -> Iterator[str]:
    """`word:` and the items below it."""
    yield f"{word}:" if items else f"{word}: []"
    for item in items:
        yield from _below("  -", _item(item))


def _below(head: str, lines: Iterator[str], pad: str = "") -> Iterator[str]:
    """Lines under a name, or behind the dash of a list."""
    if head.endswith(":"):
        yield pad + head
        yield from (f"{pad}  {line}" for line in lines)
        return
    yield f"{head} {next(lines)}"
    yield from (" " * len(head) + f" {line}" for line in lines)


def _item(item: Item) -> Iterator[str]:
    """The operation, then the modifiers."""
    if item.branches:
        yield from _branches(item)
    elif item.items or item.op in ("body", "sequential", "residual"):
        yield from _items(item.op, item.items)
    else:
        yield f"{item.op}: {_flow(item.args if item.target is None else item.target)}"
    if item.shortcut is not None:
        yield from _items("shortcut", item.shortcut)
    inputs = item.inputs or None
    if inputs is not None and any(ref.slot for ref in inputs):
        yield from _said("from", {ref.slot: ref.path for ref in inputs})
    else:
        yield from _said("from", inputs)
    repeat = item.repeat and (item.repeat.columns or item.repeat.count)
    for word, value in [
        ("id", item.id), ("merge", item.merge), ("repeat", repeat), ("tap", item.tap),
        ("when", item.when), ("shortcut_when", item.shortcut_when), ("expect", item.expect),
        ("freeze", item.freeze), ("init", (item.init or {}).get("*", item.init)),
    ]:  # fmt: skip
        if value is not True or word == "freeze":
            yield from _said(word, value)


def _branches(item: Item) -> Iterator[str]:
    """A list of lists; a mapping where the branches have names."""
    yield f"{item.op}:"
    for branch in item.branches:
        _, *lines = _items("", branch.items)
        if branch.key is not None:
            yield f"  {branch.key}:" if lines else f"  {branch.key}: []"
            yield from (f"  {line}" for line in lines)
        else:
            yield from _below("  -", (line.removeprefix("  ") for line in lines or ["[]"]))


def _said(word: str, value: Any) -> Iterator[str]:
    """The line for a value, if it says something."""
    if value is not None and value not in ((), {}):
        yield f"{word}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A value on one line, as YAML reads it again."""
    layout: dict[str, Any] = {"default_flow_style": True, "width": inf, "sort_keys": False}
    text: str = yaml.dump([_plain(value)], Dumper=_Everything, allow_unicode=True, **layout)
    return text.removeprefix("[").removesuffix("]\n")


class _Everything(yaml.SafeDumper):
    """What is met twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _plain(value: Any) -> Any:
    """A value as lists, mappings, texts and numbers."""
    value = _PLAIN.get(type(value), lambda same: same)(value)
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _typed(value: Input) -> Any:
    if value.dtype == "float":
        return list(value.shape)
    return {"shape": value.shape, "dtype": value.dtype}


def _used(value: Use) -> Any:
    found = {"file": value.file, "variant": value.variant, "outputs": _outputs(value)}
    return {key: entry for key, entry in found.items() if entry}


# What a part of a document was written as: a mapping, a list, a text. Others are that already.
_PLAIN: dict[type, Callable[[Any], Any]] = {
    Expr: lambda value: f"$({value.text})",
    Template: lambda value: value.text,
    Ref: lambda value: value.path.text,
    Filler: lambda value: {value.name: value.args} if value.args else value.name,
    Axis: lambda value: {value.name: value.size},
    Input: _typed,
    Use: _used,
    tuple: list,
    type(REQUIRED): str,
    str: lambda value: value.replace("$", "$$"),
}
