"""A module → net.onnx or net.pt2, its outputs compared with the module's before it is written.

    export(build("lenet5"), "lenet5.onnx")     lenet5.onnx: input [batch, 1, 32, 32] float32
                                               → output [batch, 10], apart by 2e-07 of the largest

The batch and the free axes of the spec stay free: what is exported is run at one size and at
another, by ONNX Runtime where it is installed, else by ONNX's own reference.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec import save
from archspec.analysis.axes import free_places
from archspec.module import blame
from archspec.text.faults import CodedError
from archspec.text.words import listed
from archspec.version import VERSION
from archspec.weights import origin
from archspec.weights.proposal import probe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspec.expand.graph import Node
    from archspec.network import Program

BATCH = "batch"
_APART = 1e-4  # of an output's largest number; float32 in another order makes some 1e-6


class ExportError(CodedError):
    """A module that cannot be exported, or whose export gives other numbers; nothing is written."""


class Exported(NamedTuple):
    """What was written: the file, its inputs and outputs by name, how far apart they are.

    An axis that may have any size has a name. `apart` is the largest difference from the module's
    outputs, as a share of the largest number of an output.
    """

    path: Path
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]
    apart: float


@dataclass(frozen=True)
class _Work:
    """A module, what it is called with, and how inputs and outputs are called."""

    model: nn.Module
    program: Program
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]
    probes: tuple[tuple[Tensor, ...], ...]  # at one size, and at another

    @property
    def free(self) -> list[dict[int, str]]:
        """Of each input the axes that stay free, by name."""
        return [
            {axis: name for axis, name in enumerate(shape) if isinstance(name, str)}
            for shape in self.inputs.values()
        ]

    @property
    def sizes(self) -> list[str]:
        """The names of free axes, each once, less the batch's."""
        names = dict.fromkeys(name for axes in self.free for name in axes.values())
        return [name for name in names if name != BATCH]


Run = Callable[[Sequence["Tensor"]], "list[Tensor]"]


def export(
    model: nn.Module,
    path: str | Path,
    *,
    metadata: Mapping[str, str] | None = None,
    force: bool = False,
) -> Exported:
    """Write a module that archspec built as ONNX (.onnx) or as torch.export's program (.pt2).

    In evaluation, with the spec's names for inputs and outputs; `metadata` goes into the file. What
    was made is run, at two sizes of the batch and of all free axes, and written where its outputs
    are the module's. A file that archspec did not write is replaced with `force` only. Raises
    ExportError, and then nothing is written; save.NotOursError.
    """
    path, program = Path(path), origin.program_of(model)
    if program is None:
        message = f"archspec did not build this {type(model).__name__}, and has no spec of it"
        raise ExportError("E822", message, "torch.onnx.export takes any module")
    if path.suffix not in FORMATS:
        message = f"the ending `{path.suffix}` of `{path}` means no format of a network"
        raise ExportError("E822", message, f"known: {', '.join(FORMATS)}")
    with _evaluating(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters about themselves; outputs are compared
        work = _work(model, program)
        content, run = FORMATS[path.suffix](work, {**(metadata or {}), "archspec": VERSION})
        apart = _apart(work, run)
    with save.replacing(path, _ours, force=force) as file:
        file.write_bytes(save.sealed(content))
    return Exported(path, work.inputs, work.outputs, apart)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation; afterwards each part is again in the mode that it was in."""
    import torch

    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _work(model: nn.Module, program: Program) -> _Work:
    import torch

    graph = program.graph
    free = free_places(graph, program.spec)
    inputs: dict[str, tuple[int | str, ...]] = {}
    for node in graph.steps:
        if node.layer is None:
            shape = enumerate(node.outs[0].shape)
            inputs[node.path] = (BATCH, *(free.get((node.index, k), n) for k, n in shape))
    here, moved = [node.outs for node in graph.steps], program.analysis.elsewhere
    there = here if moved is None else moved.types
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    probes = tuple(
        tuple(x.to(device) for x in probe(graph, types, batch))
        for types, batch in ((here, 2), (there, 3))
    )
    found = model(*probes[0])
    leaves, _ = torch.utils._pytree.tree_flatten_with_path(found)
    (first, *_) = (n for n in graph.outputs if n not in graph.training_outputs)
    several = isinstance(found, Mapping)
    outputs = []
    for keys, _ in leaves:
        names = [str(getattr(key, "key", getattr(key, "idx", key))) for key in keys]
        outputs.append(".".join(names if several else [first, *names]))
    return _Work(model, program, inputs, tuple(outputs), probes)


def _refused(work: _Work, failed: Exception, said: str) -> ExportError:
    """What failed, with the item of the spec that is meant."""
    causes = [failed]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)  # type: ignore[arg-type]
    last = causes[-1]
    where = blame.running(work.program, work.model, last) or _unknown(work, causes)
    message = f"`{work.program.name}` {said}"
    if where is not None:
        message += f": `{where.path}` ({where.op})"
    text = " ".join(str(last).split())
    return ExportError("E822", f"{message}: {type(last).__name__}: {text[:150]}", _OTHER)


def _unknown(work: _Work, causes: Sequence[Exception]) -> Node | None:
    """The op that an exporter has no translation of: it is traced again, to see what it is of."""
    import torch

    called = [name for one in causes for name in _CALLED.findall(str(one))]
    if not called:
        return None
    for node in torch.export.export(work.model, work.probes[0]).graph.nodes:
        lines = _LINE.findall(node.meta.get("stack_trace") or "")
        if str(node.target) in called and lines:
            return blame.line(work.program, int(lines[-1]))
    return None


_CALLED = re.compile(r"target=torch\.ops\.([\w.]+)")
_LINE = re.compile(rf'File "{re.escape(blame.FILENAME)}[^"]*", line (\d+)')
_OTHER = "the other of .onnx and .pt2 may hold it; `archspec compile` writes plain PyTorch"


# ------------------------------------------------------------------ the formats


def _onnx(work: _Work, metadata: Mapping[str, str]) -> tuple[bytes, Run]:
    """An ONNX model, and what runs it."""
    onnx = _library("onnx")
    import torch

    recurrent = any(isinstance(part, torch.nn.RNNBase) for part in work.model.modules())
    made = _by_script(work) if recurrent else _by_export(work)
    onnx.helper.set_model_props(made, dict(metadata))
    content = made.SerializeToString()
    return content, _runner(content)


def _by_export(work: _Work) -> Any:
    """By torch.export, as torch does it by itself."""
    import torch

    _library("onnxscript")
    try:
        found = torch.onnx.export(
            work.model, work.probes[0], dynamo=True, verbose=False,
            input_names=list(work.inputs), output_names=list(work.outputs),
            dynamic_shapes=tuple(work.free),
        )  # fmt: skip
    except Exception as failed:
        raise _refused(work, failed, "is not exported to ONNX") from failed
    assert found is not None
    return found.model_proto


def _by_script(work: _Work) -> Any:
    """By TorchScript: torch.export goes through recurrent layers step by step, of fixed number."""
    import torch

    onnx = _library("onnx")
    file: Any = io.BytesIO()
    free = dict(zip(work.inputs, work.free, strict=True))
    try:
        torch.onnx.export(
            work.model, work.probes[0], file, dynamo=False,
            input_names=list(work.inputs), output_names=list(work.outputs),
            dynamic_axes={**free, **{name: {0: BATCH} for name in work.outputs}},
        )  # fmt: skip
    except Exception as failed:
        raise _refused(work, failed, "is not exported to ONNX") from failed
    return onnx.load_from_string(file.getvalue())


def _runner(content: bytes) -> Run:
    """ONNX Runtime, or ONNX's reference."""
    import torch

    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        reference = import_module("onnx.reference")
        session = reference.ReferenceEvaluator(_library("onnx").load_from_string(content))
        names = session.input_names
    else:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]

    def run(given: Sequence[Tensor]) -> list[Tensor]:
        arrays = {name: x.cpu().numpy() for name, x in zip(names, given, strict=True)}
        return [torch.from_numpy(found) for found in session.run(None, arrays)]

    return run


def _pt2(work: _Work, metadata: Mapping[str, str]) -> tuple[bytes, Run]:
    """A program of torch.export, read back, and what runs it."""
    import torch

    _steady(work)
    dim = torch.export.Dim.DYNAMIC
    free = tuple(dict.fromkeys(axes, dim) for axes in work.free)
    try:
        made = torch.export.export(work.model, work.probes[0], dynamic_shapes=free)
    except Exception as failed:
        raise _refused(work, failed, "is not exported") from failed
    file = io.BytesIO()
    names = {"inputs": list(work.inputs), "outputs": list(work.outputs)}
    facts = json.dumps({**metadata, **names})
    torch.export.save(made, file, extra_files={PT2_FACTS: facts})
    again = torch.export.load(io.BytesIO(file.getvalue())).module()

    def run(given: Sequence[Tensor]) -> list[Tensor]:
        found: list[Tensor] = torch.utils._pytree.tree_leaves(again(*given))
        return found

    return file.getvalue(), run


def _steady(work: _Work) -> None:
    """Raises ExportError for recurrent layers over a free axis, whose steps torch.export counts."""
    for node in work.program.graph.steps:
        if work.sizes and node.layer is not None and node.layer.family == "recurrent":
            message = f"`{node.path}` ({node.op}) has as many steps in a .pt2 as it was made with"
            help = f".onnx keeps `{work.sizes[0]}` free; or give the spec's input a fixed size"
            raise ExportError("E822", message, help)


PT2_FACTS = "archspec.json"
FORMATS: dict[str, Callable[[_Work, Mapping[str, str]], tuple[bytes, Run]]] = {
    ".onnx": _onnx, ".pt2": _pt2,
}  # fmt: skip


def _ours(path: Path) -> bool:
    """Whether archspec wrote a file of either format."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            return any(name.endswith(f"/{PT2_FACTS}") for name in file.namelist())
    return save.as_written(path)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        message = f"exporting to ONNX needs the package {name}"
        raise ExportError("E602", message, "pip install 'archspec[export]'") from None


# ------------------------------------------------------------------ are they the same


def _apart(work: _Work, run: Run) -> float:
    """The largest difference from the module's outputs. Raises ExportError for one too large."""
    import torch

    worst = 0.0
    for given in work.probes:
        sizes = ", ".join(str(list(x.shape)) for x in given)
        wanted = torch.utils._pytree.tree_leaves(work.model(*given))
        try:
            found = run(given)
        except Exception as failed:
            text = " ".join(str(failed).split())[:200]
            message = f"the export of `{work.program.name}` does not run on {sizes}: {text}"
            raise ExportError("E822", message, _fix(work)) from failed
        for name, here, there in zip(work.outputs, wanted, found, strict=True):
            worst = max(worst, _difference(here, there))
            if not worst <= _APART:
                said = f"the output `{name}` of the export differs from the module's on {sizes}"
                said += f": by {worst:.1e} of its largest number"
                raise ExportError("E822", said, _fix(work))
    return worst


def _fix(work: _Work) -> str:
    """Exporters take for granted what they can not work out of free sizes."""
    if work.sizes:
        return f"with a fixed size for {listed(work.sizes)} it may hold; nothing was written"
    return "another torch, onnx or onnxruntime may do better; nothing was written"


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest, as a share of the largest number; infinite for another shape or other NaN."""
    import torch

    if one.shape != other.shape:
        return float("inf")
    a, b = one.double().cpu(), other.double().cpu()
    if not torch.equal(a.isfinite(), b.isfinite()):
        return float("inf")
    a, b = a.nan_to_num(), b.nan_to_num()
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) if a.numel() else 0.0
