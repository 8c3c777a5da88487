"""A trained network, other data → what the network knows, used: codes, classifiers, plans.

    at = archspec.transfer.codes(model, "data/birds")       x [N, 4096]: the network as a fixed eye
    classifier = archspec.transfer.linear(at)               a linear SVM on them
    classifier.into(model)                                  its weights are the network's new head

Which way of transfer suits which data, `plan` says; fine-tuning itself is `archspec.train`, with
the phases of a plan. `cut` and `encode` are where codes come from, `classifier` what is fitted on
them, `cases` the advice, `states` which weights a phase of a plan trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archspec.train.errors import member

if TYPE_CHECKING:
    from archspec.transfer.cases import Advice, advise
    from archspec.transfer.classifier import Linear, linear
    from archspec.transfer.encode import Codes, codes

_HOME = {
    "Advice": "cases", "Codes": "encode", "Linear": "classifier", "advise": "cases",
    "codes": "encode", "linear": "classifier",
}  # fmt: skip

__all__ = ["Advice", "Codes", "Linear", "advise", "codes", "linear"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `archspec.transfer` has no attribute `{name}`")
    return member(f"archspec.transfer.{_HOME[name]}", name, "transfer")
