"""Weights → a model, by name, all or none of them; and into a file.

`load` matches names in this order: layers that are the same in a network the source was saved from,
equal names, the table `rename` of the spec. Names, shapes and dtypes are compared before any data
is read. What does not fit is an error, except in the spec's `head` and where `allow` says so.
"""

from __future__ import annotations

from archspec.weights.backwards import export
from archspec.weights.errors import WeightsError
from archspec.weights.loading import convert, load, plan, save
from archspec.weights.origin import report
from archspec.weights.preprocessing import preprocess
from archspec.weights.proposal import Proposal, propose
from archspec.weights.reporting import Report

__all__ = [
    "Proposal", "Report", "WeightsError", "convert", "export", "load", "plan", "preprocess",
    "propose", "report", "save",
]  # fmt: skip
