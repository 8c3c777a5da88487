"""Program → nn.Module: runs the text that `emit` wrote, and compares its weights with the graph."""

from __future__ import annotations

import hashlib
import linecache
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.emit import class_name
from archspec.program import Program, load

if TYPE_CHECKING:
    from torch import nn


class BuildError(RuntimeError):
    """The module cannot be built.

    Torch is missing, or (a defect of archspec) the module does not match its graph.
    """

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(f"{code} {message}" + (f"\n  help: {help}" if help else ""))
        self.code, self.message, self.help = code, message, help


def build(spec: str | Path | Program, variant: str | None = None, **params: Any) -> nn.Module:
    """The network as a PyTorch module, freshly initialised, in training mode.

    `spec` is a path, the name of a spec that comes with archspec, or a Program; `variant` and
    `params` choose as in `load`. The module's class is the emitted source: `inspect.getsource`
    and tracebacks show it. Weights have the names and shapes of the spec's graph.

    Raises SpecError for faults in the spec; BuildError when torch is not installed, or when the
    module does not match its graph.
    """
    program = _program(spec, variant, params)
    torch = _torch()
    cls = network_class(program)
    with torch.device("meta"):
        compare(cls(), program)
    module: nn.Module = cls()
    return module


def network_class(program: Program) -> type[nn.Module]:
    """The class that the emitted source defines.

    Its constructor takes the params that stay arguments. Raises BuildError when torch is not
    installed.
    """
    _torch()
    text = program.code
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    title = f"archspec_emitted.{program.name}_{digest}"
    module = sys.modules.get(title)
    if module is None:
        filename = f"<archspec {program.name} {digest}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        module = types.ModuleType(title)
        module.__file__ = filename
        sys.modules[title] = module  # torch.compile and pickle look the module up by name
        try:
            # the one lowering: emission has parsed and checked this text
            exec(compile(text, filename, "exec"), module.__dict__)
        except BaseException:
            del sys.modules[title]
            raise
    found: type[nn.Module] = getattr(module, class_name(program.name))
    return found


def compare(module: nn.Module, program: Program) -> None:
    """Raises BuildError E901 unless the module's weights, and which are frozen, are the graph's."""
    wanted: dict[str, tuple[int, ...]] = {}
    frozen: set[str] = set()
    for node in program.graph.nodes:
        if node.layer is None or node.shared is not None:
            continue
        for w in node.layer.weights(*node.ins):
            text = f"{node.path}.{w.name}" if w.name else node.path
            wanted[text] = w.shape
            if node.frozen and not w.buffer:
                frozen.add(text)
    found = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    if found != wanted:
        different = sorted(set(found.items()) ^ set(wanted.items()))[:4]
        raise BuildError(
            "E901",
            f"the emitted module of `{program.name}` differs from its graph: {different}",
            _REPORT,
        )
    every = [id(p) for _, p in module.named_parameters(remove_duplicate=False)]
    if len(every) != len(set(every)):
        message = f"the emitted module of `{program.name}` has one weight under two paths"
        raise BuildError("E901", message, _REPORT)
    free = {n for n, p in module.named_parameters() if not p.requires_grad}
    if free != frozen:
        raise BuildError(
            "E901",
            f"the emitted module of `{program.name}` freezes {sorted(free ^ frozen)[:4]} wrongly",
            _REPORT,
        )


_REPORT = "this is a defect of archspec, not of your spec; please report it with the spec"


def _program(spec: str | Path | Program, variant: str | None, params: dict[str, Any]) -> Program:
    if not isinstance(spec, Program):
        return load(spec, variant, **params)
    if variant is None and not params:
        return spec
    return spec.with_(variant, **params)


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        raise BuildError(
            "E601", "building a module needs PyTorch", "pip install 'archspec[torch]'"
        ) from None
    return torch
