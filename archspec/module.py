"""Program → nn.Module: runs the text that `emit` wrote, and compares its weights with the graph."""

from __future__ import annotations

import hashlib
import linecache
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import network
from archspec.emit.lowering.network import class_name
from archspec.language.weights import SOURCES
from archspec.network import Program
from archspec.text.faults import CodedError
from archspec.weights import origin

if TYPE_CHECKING:
    from torch import nn


class BuildError(CodedError):
    """The module cannot be built.

    Torch is missing, or (a defect of archspec) the module does not match its graph.
    """


def build(
    spec: str | Path | Program,
    variant: str | None = None,
    *,
    weights: str | Path | None = None,
    adapt_input: bool = False,
    **params: Any,
) -> nn.Module:
    """The network as a PyTorch module in training mode: freshly initialised, or with `weights`.

    `spec` is a path, the name of a spec that comes with archspec, or a Program; `variant` and
    `params` choose as in `load`. The module's class is the emitted source: `inspect.getsource`
    and tracebacks show it. Weights have the names and shapes of the spec's graph.

    `weights` is the path of a file, or a source that the spec names ("torchvision", "timm",
    "file"). All of it is loaded, except where the spec's `head` does not fit: that stays freshly
    initialised. `archspec.weights.report(model)` says what was done, `archspec.weights.load` can do
    more. `adapt_input` fits the first convolution to another number of input channels.

    Raises SpecError for faults in the spec; BuildError when torch is not installed, or when the
    module does not match its graph; WeightsError when the weights do not fit.
    """
    program = network.program(spec, variant, **params)
    torch = _torch()
    cls = network_class(program)
    with torch.device("meta"):
        compare(cls(), program)
    module: nn.Module = cls()
    if weights is not None:
        from archspec.weights import load

        state, source = (None, str(weights)) if weights in SOURCES else (weights, None)
        load(module, state, source, adapt_input=adapt_input)
    return module


def network_class(program: Program) -> type[nn.Module]:
    """The class that the emitted source defines.

    Its constructor takes the params that stay arguments. Raises BuildError when torch is not
    installed.
    """
    _torch()
    text = program.code
    whole = text + program.source.text  # equal code of two specs may differ in `head`, `weights`
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    title = f"archspec_emitted.{program.name}_{digest}"
    module = sys.modules.get(title)
    if module is None:
        filename = f"<archspec {program.name} {digest}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        module = types.ModuleType(title)
        module.__file__ = filename
        sys.modules[title] = module  # torch.compile and pickle look the module up by name
        try:
            # The one lowering. No text of a spec runs here: emission wrote this from checked names
            # and numbers, and `emit.check` has parsed it and refused all it does not know.
            exec(compile(text, filename, "exec"), module.__dict__)
        except BaseException as failed:
            del sys.modules[title]
            if isinstance(failed, (ImportError, RuntimeError)) and "torchvision" in text:
                raise _without_torchvision(program, failed) from None
            raise
        origin.remember(module, program)
    found: type[nn.Module] = getattr(module, class_name(program.name))
    return found


def compare(module: nn.Module, program: Program) -> None:
    """Raises BuildError E901 unless the module's weights, and which are frozen, are the graph's."""
    wanted: dict[str, tuple[int, ...]] = {}
    frozen: set[str] = set()
    for name, weight, node in program.graph.weights():
        wanted[name] = weight.shape
        if node.frozen and not weight.buffer:
            frozen.add(name)
    found = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    every = [p for _, p in module.named_parameters(remove_duplicate=False)]
    still = {n for n, p in module.named_parameters() if not p.requires_grad}
    if found != wanted:
        wrong = f"differs from its graph: {sorted(set(found.items()) ^ set(wanted.items()))[:4]}"
    elif len(every) != len(set(every)):
        wrong = "has one weight under two paths"
    elif still != frozen:
        wrong = f"freezes {sorted(still ^ frozen)[:4]} wrongly"
    else:
        return
    help = "this is a defect of archspec, not of your spec; please report it with the spec"
    raise BuildError("E901", f"the emitted module of `{program.name}` {wrong}", help)


def _without_torchvision(program: Program, failed: Exception) -> BuildError:
    """The text imports torchvision.ops: it is not there, or its own import failed."""
    message = f"building `{program.name}` needs torchvision.ops"
    if isinstance(failed, ModuleNotFoundError):
        return BuildError("E602", message, "pip install 'archspec[torchvision]'")
    help = "install the torchvision that was built for your PyTorch"
    return BuildError("E602", f"{message}, whose import fails: {failed}", help)


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        help = "pip install 'archspec[torch]'"
        raise BuildError("E601", "building a module needs PyTorch", help) from None
    return torch
