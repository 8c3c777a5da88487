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

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import yaml

from archspec.expressions import Expr, Template
from archspec.language.models import Block, Input, Item, Spec, Use
from archspec.language.values import REQUIRED, Axis, Filler, Merge, Ref


def parsed(spec: Spec) -> str:
    """The document: what holds nothing but scalars is on one line."""
    layout: dict[str, Any] = {"default_flow_style": None, "width": inf, "sort_keys": False}
    text: str = yaml.dump(_plain(spec), Dumper=_Written, allow_unicode=True, **layout)
    return text


class _Written(yaml.SafeDumper):
    """What is met twice is written twice; a list is indented below its key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _plain(value: Any) -> Any:
    """A part of a document as mappings, lists, texts and numbers."""
    value = _PLAIN.get(type(value), lambda same: same)(value)
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _said(**values: Any) -> dict[str, Any]:
    """Those that say something."""
    return {k: value for k, value in values.items() if value is not None and value not in ((), {})}


def _spec(spec: Spec) -> dict[str, Any]:
    inputs: Any = spec.inputs if spec.named_inputs else next(iter(spec.inputs.values()))
    head = _said(
        spec=1, name=spec.name, params=spec.params, variants=spec.variants, input=inputs,
        use=spec.use, blocks=spec.blocks,
    )  # fmt: skip
    return {**head, **_body(spec), **_said(head=spec.head, init=spec.init)}


def _block(block: Block) -> dict[str, Any]:
    inputs = block.slots if block.named_inputs else ()
    return {**_said(params=block.params, inputs=inputs), **_body(block)}


def _body(whole: Spec | Block) -> dict[str, Any]:
    word = "sequential" if whole.numbered else "body"
    return {word: list(whole.items), **_said(outputs=_outputs(whole))}


def _outputs(whole: Spec | Block | Use) -> dict[str, Any]:
    """By name one path, or a list of them."""
    return {
        name: list(refs) if len(refs) > 1 or name in whole.lists else refs[0]
        for name, refs in (whole.outputs or {}).items()
    }


def _merge(merge: Merge) -> Any:
    return {merge.op: merge.args} if merge.args else merge.op


def _item(item: Item) -> dict[str, Any]:
    """The operation, then the modifiers."""
    held: Any = item.args if item.target is None else item.target
    if item.branches:
        by_key = {one.key: list(one.items) for one in item.branches}
        listed = [one.items[0] if one.each else list(one.items) for one in item.branches]
        held = listed if None in by_key else by_key
    elif item.items or item.op in ("body", "sequential", "residual"):
        held = list(item.items)
    inputs: Any = item.inputs or ()
    if any(ref.slot for ref in inputs):
        given = {ref.slot: [r for r in inputs if r.slot == ref.slot] for ref in inputs}
        inputs = {
            slot: several if len(several) > 1 else several[0] for slot, several in given.items()
        }
    found = _said(
        shortcut=None if item.shortcut is None else list(item.shortcut),
        **{"from": inputs},
        id=item.id,
        merge=None if item.merge is None else _merge(item.merge),
        repeat=item.repeat and (item.repeat.columns or item.repeat.count),
        tap=item.tap,
        when=None if item.when is True else item.when,
        shortcut_when=None if item.shortcut_when is True else item.shortcut_when,
        expect=item.expect,
        freeze=item.freeze,
        tie=item.tie,
        init=(item.init or {}).get("*", item.init),
    )
    return {item.op: held, **found}


def _input(value: Input) -> Any:
    shape = list(value.shape)
    if value.dtype != "float":
        return {"shape": shape, "dtype": value.dtype}
    return shape or {"shape": []}


# What a part of a document is written as; others are that already.
_PLAIN: dict[type, Callable[[Any], Any]] = {
    Spec: _spec,
    Block: _block,
    Item: _item,
    Input: _input,
    Use: lambda use: _said(file=use.file, variant=use.variant, outputs=_outputs(use)),
    Expr: lambda value: f"$({value.text})",
    Template: lambda value: value.text,
    Ref: lambda value: value.path.text,
    Filler: lambda value: {value.name: value.args} if value.args else value.name,
    Axis: lambda value: {value.name: value.size},
    tuple: list,
    str: lambda value: value.replace("$", "$$"),
    type(REQUIRED): str,
}
