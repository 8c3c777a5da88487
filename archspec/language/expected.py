"""`expect` of a document → the totals of each variant, and the warnings that are meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archspec.language.form import NOTHING, Form, Path
from archspec.language.models import Value
from archspec.text.words import cut, did_you_mean

TOTALS = ("params", "trainable", "buffers", "macs", "flops")
_WARNING = re.compile(r"W[0-9]{3}")


def section(
    form: Form, node: Any, name: str, variants: Mapping[str, Any], *, hazy: bool
) -> tuple[dict[str, dict[str, Value]], frozenset[str]]:
    """Totals by variant, and the warnings that are meant."""
    given = dict(form.mapping(node, ("expect",), "`expect`"))
    meant = _meant(form, given.pop("warnings")) if "warnings" in given else NOTHING
    if given and all(key in TOTALS for key in given):  # of the spec itself
        return {name: _totals(form, given, ("expect",))}, meant
    found = {}
    for variant, entry in given.items():
        path: Path = ("expect", variant)
        if variant != name and variant not in variants:
            if not hazy:
                message = f"there is no variant `{cut(variant)}`"
                help = did_you_mean(variant, (name, *variants))
                cause = () if variants else ("variants",)
                form.fault("E225", message, path, help, on_key=True, cause=cause)
            continue
        found[variant] = _totals(form, form.mapping(entry, path, "totals"), path)
    return found, meant


def _totals(form: Form, node: dict[str, Any], path: Path) -> dict[str, Value]:
    for key, value in node.items():
        if key not in TOTALS:
            form.fault(
                "E222",
                f"there is no total `{cut(key)}`",
                (*path, key),
                did_you_mean(key, TOTALS),
                on_key=True,
            )
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            form.wrong_kind(f"the total `{key}`", "a whole number", value, (*path, key))
    return dict(node)


def _meant(form: Form, node: Any) -> frozenset[str]:
    path: Path = ("expect", "warnings")
    if not isinstance(node, list):
        form.wrong_kind("`warnings`", "a list of codes", node, path, "for example `[W104]`")
        return NOTHING
    for i, code in enumerate(node):
        if not isinstance(code, str) or not _WARNING.fullmatch(code):
            form.fault(
                "E222",
                f"`{cut(str(code))}` is not the code of a warning",
                (*path, i),
                "for example W104",
            )
    return frozenset(code for code in node if isinstance(code, str))
