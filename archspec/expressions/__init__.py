"""`$(…)`: parse, check, evaluate. Python's grammar over a whitelist; nothing is ever executed.

The text is split into known tokens before Python's parser sees it; the tree is checked node by node
and becomes nested closures of this package. Sizes are bounded before they are computed.
"""

from __future__ import annotations

from archspec.expressions.arithmetic import FUNCTIONS, make_divisible
from archspec.expressions.grammar import parse
from archspec.expressions.texts import evaluate, render, resolve, scalar, template
from archspec.expressions.values import Env, Expr, ExpressionError, Loop, Record, Template

__all__ = [
    "FUNCTIONS",
    "Env",
    "Expr",
    "ExpressionError",
    "Loop",
    "Record",
    "Template",
    "evaluate",
    "make_divisible",
    "parse",
    "render",
    "resolve",
    "scalar",
    "template",
]
