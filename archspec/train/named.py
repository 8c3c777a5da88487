"""Name and arguments → what torch or torchvision calls so: optimizers, losses, augmentations.

    optimizer: {sgd: {lr: 0.1}}     →  Called("sgd", {"lr": 0.1}), made by torch.optim.SGD
    loss: smooth_l1                 →  Called("smooth_l1", {}), torch.nn.functional.smooth_l1_loss

Arguments are checked by the signature of what is called, so that all of torch is there, at the
version that is installed, and nothing of it is said here once more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PlainValidator

from archspec.language.refusals import Faults, refuse, takes, wrong_kind
from archspec.text.words import cut, written
from archspec.train.errors import library, torch_or_refuse


class Called(NamedTuple):
    """A name and its arguments."""

    name: str
    args: dict[str, Any]


_SGD = "{sgd: {lr: 0.1}}"
# What torch fills in itself, or the engine does.
_NOT_WRITTEN = frozenset({
    "self", "params", "input", "target", "anchor", "positive", "negative", "size_average",
    "reduce", "reduction", "args", "kwargs",
})  # fmt: skip
# Losses of torch.nn.functional that take other things than outputs and targets.
_OTHER_INPUTS = frozenset({
    "ctc_loss", "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss",
    "triplet_margin_with_distance_loss", "linear_cross_entropy",
})  # fmt: skip


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


@cache
def optimizers() -> dict[str, Any]:
    """Those of torch.optim that take a step by themselves, by name in small letters."""
    optim = torch_or_refuse().optim
    base = optim.Optimizer
    every = [one for one in vars(optim).values() if inspect.isclass(one) and issubclass(one, base)]
    return {one.__name__.lower(): one for one in every if one is not base and not _asks_back(one)}


def _asks_back(optimizer: Any) -> bool:
    """Whether its step needs a function that computes the loss again (L-BFGS)."""
    closure = inspect.signature(optimizer.step).parameters["closure"]
    return closure.default is inspect.Parameter.empty


@cache
def losses() -> dict[str, Any]:
    """Those of torch.nn.functional that compare outputs with targets, and ours."""
    functional = torch_or_refuse().nn.functional
    from archspec.train.losses import OWN as OWN_LOSSES

    found = {}
    for name in dir(functional):
        whole = name.endswith(("_loss", "_entropy", "_entropy_with_logits", "_div"))
        if whole and name not in _OTHER_INPUTS and not name.startswith("_"):
            found[name.removesuffix("_loss")] = getattr(functional, name)
    return {**found, **OWN_LOSSES}


def arguments(made: Callable[..., Any]) -> Collection[str]:
    """The names of what may be written for it."""
    return [n for n in inspect.signature(made).parameters if n not in _NOT_WRITTEN]


def _called(what: str, example: str, node: Any) -> Called:
    """A word, or a word and its arguments."""
    if isinstance(node, str) and node:
        return Called(node, {})
    if not isinstance(node, dict) or len(node) != 1 or not isinstance(next(iter(node)), str):
        raise wrong_kind(f"one {what}", f"for example `{example}`")
    ((name, given),) = node.items()
    if given is not None and not isinstance(given, dict):
        help = f"for example `{example}`"
        raise refuse("E801", f"`{cut(name)}` takes its arguments by name", help)
    return Called(name, given or {})


def _checked(what: str, known: Callable[[], dict[str, Any]], example: str, node: Any) -> Called:
    """What is called exists and takes these arguments."""
    found = _called(what, example, node)
    by_name = {_plain(name): name for name in known()}
    name = by_name.get(_plain(found.name))
    if name is None:
        said = f"there is no {what} `{cut(found.name)}`"
        raise refuse("E801", said, near=(found.name, list(known())))
    known_args = arguments(known()[name])
    with Faults() as faults:
        for key in found.args:
            if key not in known_args:
                said = f"`{found.name}` takes no argument `{cut(str(key))}`"
                near = (str(key), known_args)
                faults.add((found.name, key), "E801", said, on_key=True, near=near)
    return Called(name, found.args)


def _optimizer(node: Any) -> Called:
    name = _called("optimizer", _SGD, node).name
    if _plain(name) == "lbfgs":
        said = f"`{cut(name)}` computes the loss several times a step, which `fit` does once"
        raise refuse("E801", said, "take `adamw` or `sgd`, or write a loop for it")
    found = _checked("optimizer", optimizers, _SGD, node)
    _expect_lists(found)
    _expect_rate(found)
    try:
        value = torch_or_refuse().nn.Parameter(torch_or_refuse().zeros(1, 1))
        value.grad = torch_or_refuse().zeros(1, 1)
        made(found, [value]).step()  # only then `sparse_adam` says that it takes no plain gradients
    except Exception as bad:  # it stumbles over a wrong value in any way
        said = f"torch's `{found.name}` refuses this: {cut(str(bad), 120)}"
        raise refuse("E801", said, "see torch.optim in PyTorch's documentation") from None
    return found


def _expect_lists(called: Called) -> None:
    """Arguments of an optimizer that are several numbers, as `betas`, are so many."""
    known = inspect.signature(optimizers()[called.name]).parameters
    with Faults() as faults:
        for key, given in called.args.items():
            usual = known[key].default
            count = len(given) if isinstance(given, list) else 0
            if isinstance(usual, tuple) and count != len(usual):
                said = f"`{key}` is {cut(written(given))}; it takes a list of {len(usual)} numbers"
                help = f"for example `{key}: {list(usual)}`"
                faults.add((called.name, key), "E801", said, help)


def _expect_rate(called: Called) -> None:
    """A rate is above 0, as those of phases: torch takes 0, and nothing would be learnt."""
    with Faults() as faults:
        if called.args.get("lr", 1) == 0:
            said = f"`lr` is {written(called.args['lr'])}: no weight would move"
            help = f"write a number above 0, for example `{{{called.name}: {{lr: 1.0e-3}}}}`"
            faults.add((called.name, "lr"), "E801", said, help)


def _loss(node: Any) -> Called:
    found = _checked("loss", losses, "{smooth_l1: {beta: 0.5}}", node)
    for key in _tensors(found):
        given = found.args[key]
        every = given if isinstance(given, list) and given else [given]
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in every):
            help = f"for example `{{{found.name}: {{{key}: [1, 2.5]}}}}`"
            raise refuse("E801", f"`{key}` is {cut(written(given))}; it takes numbers", help)
    return found


def _tensors(called: Called) -> list[str]:
    """Which of the arguments of a loss torch takes as tensors."""
    known = inspect.signature(losses()[called.name]).parameters
    return [name for name in called.args if "Tensor" in str(known[name].annotation)]


def made(called: Called, params: Any) -> Any:
    """The optimizer, over parameters or groups of them."""
    args = {key: tuple(v) if isinstance(v, list) else v for key, v in called.args.items()}
    return optimizers()[called.name](params, **args)


def loss(called: Called) -> Callable[..., Any]:
    """The loss: outputs, targets → the mean over samples.

    What torch takes as a tensor (`weight`, `pos_weight`) is written as numbers.
    """
    function, torch, whole = losses()[called.name], torch_or_refuse(), _tensors(called)
    plain = {name: value for name, value in called.args.items() if name not in whole}

    def measured(*inputs: Any, **more: Any) -> Any:
        given = {
            name: torch.as_tensor(called.args[name]).to(inputs[0], non_blocking=True)
            for name in whole
        }
        return function(*inputs, **plain, **given, **more)

    return measured


# ------------------------------------------------------------------ augmentations

# name → what it takes, in a sentence, and the largest number
OWN: dict[str, tuple[str, float]] = {
    "flip": ("`horizontal`, `vertical` or `both`", 0),
    "translate": ("a share of the side, above 0 and up to 1", 1),
    "rotate": ("degrees, above 0 and up to 180", 180),
    "scale": ("a share, above 0 and below 1: 0.1 is from 0.9 to 1.1", 0.99),
    "crop": ("pixels that are padded on each side before, a whole number above 0", 10_000),
    "brightness": ("a share, above 0 and up to 1", 1),
    "contrast": ("a share, above 0 and up to 1", 1),
    "jitter": ("a share, above 0 and up to 1: of brightness, contrast and colour", 1),
    "resize": ("the smallest share that is cut out and enlarged, above 0 and below 1", 0.99),
    "mixup": ("the alpha of a beta distribution, above 0: 0.2", 100),
}  # fmt: skip


@cache
def torchvision_transforms() -> dict[str, Any]:
    """Those of torchvision.transforms.v2, by name. Raises TrainError where it does not load."""
    found = library("torchvision.transforms.v2", "an augmentation of torchvision")
    return {
        name: one
        for name, one in vars(found).items()
        if inspect.isclass(one) and issubclass(one, found.Transform)
    }


def _augmentation(node: Any) -> Called:
    """One of ours, small letters and one number; or a transform of torchvision's by its name."""
    if isinstance(node, str) and node[:1].isupper():
        node = {node: {}}
    if not isinstance(node, dict) or len(node) != 1:
        raise wrong_kind("one augmentation", "for example `{rotate: 10}`")
    ((name, given),) = node.items()
    if isinstance(name, str) and name[:1].isupper():
        return _checked(
            "transform of torchvision", torchvision_transforms, "{ColorJitter: {hue: 0.1}}", node
        )
    if name not in OWN:
        said = f"there is no augmentation `{cut(str(name))}`"
        help = "torchvision's are written as it spells them: `ColorJitter`"
        near = {"near": (str(name), list(OWN))} if isinstance(name, str) else {}
        raise refuse("E801", said, help, **near)
    wanted = _unfit(name, given)
    if wanted:
        raise refuse("E801", f"`{name}` is {cut(written(given))}; it takes {wanted}")
    return Called(name, {"by": given})


def _unfit(name: str, given: Any) -> str:
    """What one of ours takes, where this is not it."""
    wanted, most = OWN[name]
    if name == "flip":
        good = given in ("horizontal", "vertical", "both")
    elif name == "crop":
        good = type(given) is int and 0 < given <= most
    else:
        number = isinstance(given, (int, float)) and not isinstance(given, bool)
        good = number and 0 < given <= most
    return "" if good else wanted


_Written = str | Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
Named = Annotated[
    Called,
    PlainValidator(
        lambda node: _called("task", "{reconstruction: {noise: 0.3}}", node),
        json_schema_input_type=_Written,
    ),
]
Optimizer = Annotated[Called, PlainValidator(_optimizer, json_schema_input_type=_Written)]
Loss = Annotated[Called, PlainValidator(_loss, json_schema_input_type=_Written)]
_Augmentation = Annotated[Called, PlainValidator(_augmentation, json_schema_input_type=_Written)]
Augmentations = Annotated[
    tuple[_Augmentation, ...],
    takes("a list of augmentations", list, help="for example `[{rotate: 10}]`"),
]
