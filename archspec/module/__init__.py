"""Program → nn.Module: the class of the emitted text, proved against the graph first.

emitted    the text, run: its classes, and what of them a pickle holds
trial      an instance on the meta device: are its weights and outputs those of the graph?
blame      an error in the emitted text: which item of the spec is meant?
detection  torchvision's ops of detectors, or plain torch in their place
reparam    layers whose weight a norm computes, in pickles

build("resnet50", classes=10)    Resnet50((conv1): Conv2d(3, 64, …) … (fc): Linear(2048, 10))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.deep import deep
from archspec.expand.graph import Node
from archspec.language.weights import SOURCES
from archspec.module import blame, reparam, trial
from archspec.module.emitted import BuildError, network_class, torch_module
from archspec.module.trial import Wrong
from archspec.network import Program
from archspec.text.faults import CodedError, SpecError
from archspec.units import size

if TYPE_CHECKING:
    from torch import nn

    from archspec.language import Item

__all__ = ["BuildError", "build", "compare", "network_class", "prove"]


def build(
    spec: str | Path | Program,
    variant: str | None = None,
    *,
    weights: str | Path | Mapping[str, Any] | None = None,
    source: str | None = None,
    allow: Iterable[str] = (),
    adapt_input: bool = False,
    cast: bool = False,
    entry: str | None = None,
    prefix: Mapping[str, str] | str | None = None,
    **params: Any,
) -> nn.Module:
    """The network as a PyTorch module in training mode: freshly initialised, or with `weights`.

    `spec` is a path, the name of a spec that comes with archspec, or a Program; `variant` and
    `params` choose as in `load`. The module's class is the emitted source: `inspect.getsource`
    and tracebacks show it. Weights have the names and shapes of the spec's graph, and so have the
    outputs: a copy on the meta device, which computes nothing, is run first (`prove`).

    `weights` is the path of a file, a state_dict, or a source that the spec names: "torchvision",
    "timm", "file". All of it is loaded, except where the spec's `head` does not fit: that stays
    freshly initialised. A source that only files name which the spec uses is for these;
    `{"net": PATH}` says what is for the used file at `net`. `archspec.weights.report(model)` says
    what was done. `source`, `allow`, `adapt_input`, `cast`, `entry`, `prefix` are those of
    `archspec.weights.load`. A param that is called so is set by `archspec.load`, and the weights
    are then loaded by `archspec.weights.load`.

    Raises SpecError for faults in the spec; BuildError when torch is not installed, or when the
    module does not match its graph; WeightsError when the weights do not fit.
    """
    program = network.program(spec, variant, **params)
    said = {"source": source, "entry": entry, "prefix": prefix}
    how: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    how |= {"allow": allow} if allow != () else {}
    flags = {"adapt_input": adapt_input, "cast": cast}
    how |= {key: value for key, value in flags.items() if value is not False}
    _clear(program, how)
    torch_module()
    cls = _written(program)
    prove(cls, program)
    module = _made(cls, program)
    reparam.allow_pickling(module)
    if weights is not None or how:
        from archspec.weights import load

        named = isinstance(weights, str) and weights in SOURCES and source is None
        if named:
            how["source"] = weights
        load(module, None if named else weights, **how)
    return module


def _clear(program: Program, how: Mapping[str, Any]) -> None:
    """Raises BuildError where what is said of weights may be meant for a param of the spec."""
    name = next((key for key in how if key in program.spec.params), None)
    if name is not None:
        message = f"`{name}` is a param of `{program.spec.name}`, and says how weights are loaded"
        help = f"load(SPEC, {name}=…) sets the param, weights.load(model, …, {name}=…) the other"
        raise BuildError("E619", message, help)


def prove(cls: type[nn.Module], program: Program) -> None:
    """Raises BuildError unless the class makes what the graph says, and that runs as it says.

    On the meta device: weights by name and shape, which are frozen; then the shape and dtype of
    every output, in evaluation and in training, and at another size where axes are free. Nothing
    is computed, no random number is drawn, and the module that is made later is another one.
    """
    import torch

    with torch.device("meta"):
        module = _made(cls, program)
    compare(module, program)
    wrong = trial.run(module, program)
    if wrong is not None and isinstance(wrong.cause, RecursionError):
        with deep():  # on the meta device torch calls deeper than where it computes
            wrong = trial.run(module, program)
    if wrong is not None:
        raise _fault("E902", program, wrong) from wrong.cause


def compare(module: nn.Module, program: Program) -> None:
    """Raises BuildError E901 unless the module's weights, and which are frozen, are the graph's."""
    wrong = trial.weights(module, program.graph)
    if wrong is not None:
        raise _fault("E901", program, wrong)


def _written(program: Program) -> type[nn.Module]:
    """The class of the emitted text. Raises BuildError, whatever went wrong in writing it."""
    try:
        return network_class(program)
    except (BuildError, SpecError, MemoryError):
        raise
    except CodedError as known:
        raise BuildError(known.code, known.message, known.help) from known
    except Exception as failed:
        wrong = Wrong("cannot be written", blame.writing(program, failed), failed)
        raise _fault("E902", program, wrong) from failed


def _made(cls: type[nn.Module], program: Program) -> nn.Module:
    """An instance of the class. Raises BuildError, whatever its constructor raises."""
    import torch

    try:
        return cls()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as failed:
        wrong = Wrong("cannot be made", blame.making(program, failed), failed)
        raise _fault("E902", program, wrong) from failed


def _fault(code: str, program: Program, wrong: Wrong) -> BuildError:
    """The complaint: what is wrong, with the item that is meant and its place."""
    cause, where = wrong.cause, wrong.where
    said = f"the emitted module of `{program.name}` {wrong.said}"
    if cause is not None:
        said += f": {' '.join(f'{type(cause).__name__}: {cause}'.split())[:300]}"
    item = where.item if isinstance(where, Node) else where
    if item is not None:
        path = where.path if isinstance(where, Node) else item.op
        said += f"\n  --> {program.sources[item.loc.file].position(item.loc)}   {path}"
    if cause is not None and "allocate memory" in str(cause):  # torch's own words on a CPU
        bytes = program.analysis.totals.weight_bytes
        return BuildError(code, said, f"its weights take {size(bytes)}, more than is free here")
    return BuildError(code, said, _remedy(where, cause))


_KNOWN = (2, 12)  # the first torch all of whose words may be emitted


def _remedy(where: Node | Item | None, cause: Exception | None) -> str:
    """Whose defect it is: that of a plug-in, if the op is one of its; or torch is too old."""
    import torch

    older = tuple(int(n) for n in torch.__version__.split(".")[:2]) < _KNOWN
    if older and isinstance(cause, TypeError) and "unexpected keyword" in str(cause):
        return f"torch {torch.__version__} does not know it: `pip install 'torch>=2.12'`"
    layer = where.layer if isinstance(where, Node) else None
    package = type(layer).__module__.partition(".")[0]
    if layer is not None and package != "archspec":
        return f"`{layer.op}` is an op of `{package}`: see that its `call` is what `infer` says"
    return "this is a defect of archspec, not of your spec; please report it with the spec"
