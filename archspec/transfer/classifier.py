"""Codes → a linear classifier: a support vector machine or logistic regression, by scikit-learn.

    linear(codes)                            Linear("svm", C=0.01, 6 classes, 4096 numbers)
    linear(codes).score(others)              0.93
    linear(codes).into(model)                the network itself now says so

What is fitted on scaled codes is a linear map of the codes as they are: the numbers of the scaling
go into its weights. So a classifier is a matrix and a bias, and nothing else has to be kept.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archspec.text.words import did_you_mean
from archspec.train.errors import TrainError, library
from archspec.train.sets import main
from archspec.transfer.cut import before_head
from archspec.transfer.encode import Codes
from archspec.version import VERSION
from archspec.weights import files, origin

if TYPE_CHECKING:
    from archspec.expand.graph import Node
    from archspec.network import Program

KINDS = ("svm", "logistic")
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of C that are tried: small is much regularised
_FOLDS = 5
_STEPS = 2000


@dataclass(frozen=True, repr=False)
class Linear:
    """A linear classifier on codes: `weight` [K, D], `bias` [K]; the largest of the K sums counts.

    `c` is how much errors weigh against large weights, `tried` the share that was right with it in
    cross-validation (None: `c` was given, or the classes are too small for it). Of `logistic` the
    softmax of the sums are probabilities.
    """

    weight: Tensor
    bias: Tensor
    classes: tuple[str, ...]
    kind: str
    c: float
    tried: float | None = None
    node: str = ""
    pool: str = "flatten"

    def sums(self, codes: Codes | Tensor) -> Tensor:
        """[N, K] of codes [N, D]. Raises TrainError for codes from elsewhere."""
        if isinstance(codes, Codes) and (codes.node, codes.pool) != (self.node, self.pool):
            message = f"the codes are of `{codes.node}` ({codes.pool})"
            help = f"the classifier was fitted on `{self.node}` ({self.pool})"
            raise TrainError("E841", message, help)
        x = codes.x if isinstance(codes, Codes) else codes
        if x.ndim != 2 or x.shape[1] != self.weight.shape[1]:
            message = f"codes have shape {list(x.shape)}, not [N, {self.weight.shape[1]}]"
            raise TrainError("E841", message, "take them at the node it was fitted on")
        return x @ self.weight.T + self.bias

    def predict(self, codes: Codes | Tensor) -> list[str]:
        """The class of each, by name."""
        return [self.classes[number] for number in self.sums(codes).argmax(1).tolist()]

    def score(self, codes: Codes) -> float:
        """The share that is right."""
        _same(codes.classes, self.classes)
        return float((self.sums(codes).argmax(1) == codes.y).float().mean())

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """As safetensors, whole or not at all. Raises WeightsError."""
        said = {"classes": self.classes, "kind": self.kind, "c": self.c, "tried": self.tried,
                "node": self.node, "pool": self.pool}  # fmt: skip
        metadata = {files.MARK: VERSION, "linear": json.dumps(said)}
        files.save({"weight": self.weight, "bias": self.bias}, path, metadata, force=force)

    @classmethod
    def load(cls, path: str | Path) -> Linear:
        """One that was saved. Raises WeightsError, TrainError."""
        with files.opened(path) as archive:
            try:
                said = json.loads(archive.metadata["linear"])
                found = cls(
                    archive.tensor("weight"), archive.tensor("bias"), tuple(said.pop("classes")),
                    **said,
                )  # fmt: skip
            except (KeyError, ValueError, TypeError):
                message = f"`{path}` holds no classifier"
                raise TrainError("E841", message, "`Linear.save` writes one") from None
        if found.weight.shape[:1] != found.bias.shape or len(found.classes) != len(found.bias):
            raise TrainError("E841", f"`{path}` is damaged", "fit it again")
        return found

    def into(self, model: nn.Module) -> None:
        """Makes it the linear head of a network: its outputs are then the sums.

        The network is one with as many classes whose head reads the codes that this was fitted on.
        Raises TrainError.
        """
        program = origin.program_of(model)
        if program is None:
            message = f"`{type(model).__name__}` was not built by archspec: its head is not known"
            raise TrainError("E841", message, "copy `weight` and `bias` yourself")
        head = _head(program, self)
        layer = model.get_submodule(head.path)
        with torch.no_grad():
            for name, value in (("weight", self.weight), ("bias", self.bias)):
                getattr(layer, name).copy_(value)

    def __repr__(self) -> str:
        classes, width = self.weight.shape
        return f'<Linear "{self.kind}", C={self.c:g}: {classes} classes, {width:,} numbers>'


def linear(
    codes: Codes, kind: str = "svm", *, c: float | None = None, scale: bool = True
) -> Linear:
    """A linear classifier of codes: a linear "svm", or "logistic" regression.

    `scale`: the codes are brought to mean 0 first, and by one number for all to deviation 1, so
    that one C suits all networks; a unit that is seldom active stays small.
    `c`, the weight of errors, is chosen by cross-validation where it is not given: the smallest of
    STRENGTHS that is best. Raises TrainError; scikit-learn has to be installed.
    """
    if kind not in KINDS:
        help = did_you_mean(kind, KINDS) or "it is `svm` or `logistic`"
        raise TrainError("E841", f"there is no linear classifier `{kind}`", help)
    if c is not None and not c > 0:
        raise TrainError("E841", f"C is {c}; it is above 0", "leave it out, and it is chosen")
    classes, least = _classes(codes)
    model, x, y = _model(kind), codes.x.double(), codes.y.numpy()
    mean = x.mean(0) if scale else x.new_zeros(x.shape[1])
    spread = float((x - mean).square().mean().sqrt()) or 1.0 if scale else 1.0
    scaled = ((x - mean) / spread).numpy()
    tried = None
    with warnings.catch_warnings():
        # a C that is far too large does not end in time, and is not the best one
        warnings.simplefilter("ignore", library("sklearn.exceptions", _FOR).ConvergenceWarning)
        if c is None and least > 1:
            c, tried = _chosen(model, scaled, y, min(_FOLDS, least))
        c = 1.0 if c is None else float(c)
        weight, bias = _numbers(model.set_params(C=c).fit(scaled, y))
    weight = weight / spread
    bias = (bias - weight @ mean).float()
    return Linear(weight.float(), bias, classes, kind, c, tried, codes.node, codes.pool)


_FOR = "a linear classifier"


def _classes(codes: Codes) -> tuple[tuple[str, ...], int]:
    """Their names, and the samples of the smallest. Raises TrainError."""
    y = codes.y
    if y.ndim != 1 or y.is_floating_point() or not len(y):
        message = f"targets are {list(y.shape)} of {y.dtype}, not the number of a class each"
        raise TrainError("E841", message, "give codes of samples whose classes are known")
    counts = torch.bincount(y, minlength=len(codes.classes))
    names = codes.classes or tuple(map(str, range(len(counts))))
    missing = [name for name, count in zip(names, counts.tolist(), strict=True) if not count]
    if missing or len(counts) < 2:
        message = f"class `{missing[0]}` has no samples" if missing else "all are of one class"
        raise TrainError("E841", message, "a classifier needs some of each of two classes or more")
    return names, int(counts.min())


def _model(kind: str) -> Any:
    if kind == "svm":
        return library("sklearn.svm", _FOR).LinearSVC(max_iter=_STEPS, random_state=0)
    return library("sklearn.linear_model", _FOR).LogisticRegression(max_iter=_STEPS)


def _chosen(model: Any, x: Any, y: Any, folds: int) -> tuple[float, float]:
    """The best C, and the share that is right with it in cross-validation."""
    selection = library("sklearn.model_selection", _FOR)
    parts = selection.StratifiedKFold(folds, shuffle=True, random_state=0)
    search = selection.GridSearchCV(model, {"C": STRENGTHS}, cv=parts, refit=False).fit(x, y)
    return float(search.best_params_["C"]), float(search.best_score_)


def _numbers(model: Any) -> tuple[Tensor, Tensor]:
    """Weight [K, D] and bias [K]."""
    weight, bias = torch.tensor(model.coef_), torch.tensor(model.intercept_)
    if len(weight) > 1:
        return weight, bias
    # of two classes scikit-learn keeps the sum for the second alone
    return torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2


def _same(theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    if theirs and theirs != ours:
        message = f"the samples have the classes {', '.join(theirs[:5])}"
        raise TrainError("E841", message, f"the classifier knows {', '.join(ours[:5])}")


# ------------------------------------------------------------------ as the head of a network


def _head(program: Program, linear: Linear) -> Node:
    """The linear map that reads the codes and whose output counts. Raises TrainError."""
    graph, code = program.graph, before_head(program)
    node = graph.steps[graph.outputs[main(program)][0].node]
    classes, width = linear.weight.shape
    if code.path != linear.node or (linear.pool == "average" and code.outs[0].rank > 1):
        message = f"the head of `{program.name}` reads `{code.path}`"
        help = f"the classifier was fitted on `{linear.node}` ({linear.pool})"
        raise TrainError("E841", message, help)
    while node.layer is not None and (node.layer.asleep or node.op == "softmax"):
        node = graph.steps[node.inputs[0].node]
    reads = node
    while reads.inputs and reads is not code and (reads is node or reads.layer.asleep):  # type: ignore[union-attr]
        reads = graph.steps[reads.inputs[0].node]
    shapes = {weight.name: weight.shape for weight in node.weights()}
    if node.op == "linear" and reads is code and shapes == {
        "weight": (classes, width), "bias": (classes,)
    }:  # fmt: skip
        return node
    has = f"{list(shapes['weight'])}" if "weight" in shapes else f"a `{node.op}`"
    message = f"the head `{node.path}` of `{program.name}` is {has}, the classifier"
    help = f"build it with classes={classes}, its head one `linear` with a bias"
    raise TrainError("E841", f"{message} {[classes, width]} and a bias", help)
