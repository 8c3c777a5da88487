"""Graph → warnings: what the field knows to be a mistake, though it runs.

A rule is a function of a Context that yields faults. Its docstring begins with its code, and shows
a spec that it complains about with what it says; tests run these examples. Each rule names the
well-known designs it leaves alone; a rule that cries wolf is worse than none. A new one is a
function in one of the files here, a line in RULES, and a page for `archspec explain`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archspec.analysis.lint import fields, layers, shapes, unread, wiring, words
from archspec.analysis.lint.context import Context, Rule

if TYPE_CHECKING:
    from archspec.language import Spec
    from archspec.text.faults import Fault, Loc

__all__ = ["RULES", "Context", "warnings"]

RULES: tuple[Rule, ...] = (
    layers.linear_twice,
    layers.bias_before_a_norm,
    layers.softmax_at_the_end,
    layers.uneven_kernel,
    layers.unseen_cells,
    fields.misaligned,
    fields.far_from_the_input,
    shapes.conventions,
    unread.params,
    unread.inputs,
    wiring.chained,
    wiring.beside,
    wiring.absent,
    words.compared,
)


def warnings(context: Context) -> list[Fault]:
    """Of all rules, in their order, one a place; without those that the spec says are meant."""
    found: dict[tuple[str, Loc], list[Fault]] = {}
    for rule in RULES:
        for fault in rule(context):
            found.setdefault((fault.code, fault.loc), []).append(fault)
    meant = _meant(context.spec)
    return [
        _with_count(*faults)
        for (code, loc), faults in found.items()
        if code not in context.spec.warnings and (code, loc.file) not in meant
    ]


def _meant(spec: Spec) -> set[tuple[str, str]]:
    """Codes that used files say are meant, with the file."""
    found: set[tuple[str, str]] = set()
    for use in spec.use.values():
        if use.spec is not None:
            found |= {(code, use.spec.loc.file) for code in use.spec.warnings} | _meant(use.spec)
    return found


def _with_count(first: Fault, *more: Fault) -> Fault:
    """One fault for a place that several copies share."""
    if not more:
        return first
    copies = f"{len(more)} more {'copies' if len(more) > 1 else 'copy'}"
    return replace(first, details=(f"and in {copies}",))
