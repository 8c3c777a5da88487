"""`$(…)`: parse, check, evaluate. Python's grammar over a whitelist; nothing is ever executed.

The text is split into known tokens before Python's parser sees it; the tree is checked node by node
and becomes nested closures of this package. Sizes are bounded before they are computed.

    scalar("$(4 * width)")                       Expr("4 * width"), which reads `width`
    evaluate(that, {"width": 64})                256
    render(template("enc$i"), {"i": 2})          "enc2"
    evaluate(that, {"width": "wide"})            E361 at `4 * width`: "wide" is not a number

Four files, each on those above it: `values` (what is read), `arithmetic` (what is computed),
`grammar` (a text becomes an Expr), `texts` (the strings of a file).
"""

from __future__ import annotations

from archspec.expressions.arithmetic import FUNCTIONS, make_divisible
from archspec.expressions.grammar import Expr, ExpressionError, parse
from archspec.expressions.texts import Template, evaluate, render, resolve, scalar, template
from archspec.expressions.values import Env, Given, Loop, Missing, Record, is_number, is_whole

__all__ = [
    "FUNCTIONS",
    "Env",
    "Expr",
    "ExpressionError",
    "Given",
    "Loop",
    "Missing",
    "Record",
    "Template",
    "evaluate",
    "is_number",
    "is_whole",
    "make_divisible",
    "parse",
    "render",
    "resolve",
    "scalar",
    "template",
]
