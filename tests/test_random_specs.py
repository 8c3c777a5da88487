"""What is predicted is what torch does; what is emitted computes what the graph says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from interpreter import Interpreter
from random_specs import specs
from torch.utils.flop_counter import FlopCounterMode

from archspec.language import Axis
from archspec.module import network_class
from archspec.network import Program, loads
from archspec.text.faults import SpecError

BATCH = 3
DISCARDED = 0.1  # of the drawn specs, at most
DTYPES = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def inputs_of(program: Program, device: str, batch: int = BATCH) -> dict[str, Any]:
    """Random inputs by name."""
    found = {}
    for node in program.graph.steps:
        if node.layer is None:
            (t,) = node.outs
            if device == "meta":
                found[node.path] = torch.empty(
                    batch, *t.shape, dtype=DTYPES[t.dtype], device="meta"
                )
            elif t.dtype == "float":
                found[node.path] = torch.randn(batch, *t.shape)
            else:
                found[node.path] = torch.randint(0, 2, (batch, *t.shape)).to(DTYPES[t.dtype])
    return found


def randomise(module: Any) -> None:
    """Weights and statistics that hide nothing: no zeros, no ones."""
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(-0.6, 0.6)
        for name, b in module.named_buffers():
            if name.endswith("running_var"):
                b.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                b.uniform_(-0.5, 0.5)


def differences(ours: Any, theirs: Any, at: str = "output") -> list[str]:
    """Where two results differ; NaN equals NaN."""
    if isinstance(theirs, Mapping):
        if not isinstance(ours, Mapping) or list(ours) != list(theirs):
            return [f"{at}: a {type(ours).__name__}, not a dict of {list(theirs)}"]
        return [d for k in theirs for d in differences(ours[k], theirs[k], f"{at}.{k}")]
    if isinstance(theirs, (list, tuple)):
        if not isinstance(ours, (list, tuple)) or len(ours) != len(theirs):
            return [f"{at}: not a list of {len(theirs)}"]
        return [
            d
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            for d in differences(a, b, f"{at}.{i}")
        ]
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return [f"{at}: {ours.dtype} {tuple(ours.shape)} for {theirs.dtype} {tuple(theirs.shape)}"]
    if not torch.equal(ours, theirs) and not bool(
        ((ours == theirs) | (ours.isnan() & theirs.isnan())).all()
    ):
        return [f"{at}: off by up to {float((ours - theirs).abs().max())}"]
    return []


def check_weights(program: Program, module: Any) -> None:
    """state_dict keys, shapes and the analysis' totals."""
    wanted = {
        f"{node.path}.{w.name}" if w.name else node.path: w.shape
        for node in program.graph.steps
        if node.layer is not None and node.shared is None
        for w in node.layer.weights(*node.ins)
        if w.persistent
    }
    state = module.state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == wanted
    totals = program.analysis.totals
    assert totals.params == sum(p.numel() for p in module.parameters())
    assert totals.trainable == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert totals.buffers == sum(math.prod(b.shape) for b in module.buffers())


def check_arithmetic(program: Program, module: Any, device: str) -> None:
    """Multiply-accumulates against torch's own count."""
    inputs = list(inputs_of(program, device).values())
    totals = program.analysis.totals
    for training, macs in ((False, totals.macs), (True, totals.macs_training)):
        if training and macs == totals.macs and not program.graph.training_outputs:
            continue  # nothing is computed but what was counted
        module.train(training)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(*inputs)
        assert counter.get_total_flops() == 2 * BATCH * macs, f"training: {training}"


def check_outputs(program: Program, module: Any) -> None:
    """The emitted module against the interpreter, in evaluation and, seeded alike, in training."""
    randomise(module)
    inputs = inputs_of(program, "cpu")
    state = {k: v.clone() for k, v in module.state_dict().items()}
    oracle = Interpreter(program.graph, state)
    for training in (False, True):
        module.train(training)
        with torch.no_grad():
            torch.manual_seed(1)
            ours = module(*inputs.values())
            torch.manual_seed(1)
            theirs = oracle(inputs, training=training)
        found = differences(ours, theirs)
        assert not found, ("in training, " if training else "in evaluation, ") + "; ".join(found)
    after = oracle.state_dict()
    assert not differences(
        module.state_dict(), {k: after[k] for k in module.state_dict()}, "after training"
    )


def shapes(program: Program, other: Mapping[str, int]) -> dict[str, list[int]]:
    """The shapes of the inputs where free axes have other sizes."""
    found = {}
    for name, declared in program.spec.inputs.items():
        axes = zip(declared.shape, program.graph.at(name).outs[0].shape, strict=True)
        found[name] = [other.get(a.name, n) if isinstance(a, Axis) else n for a, n in axes]
    return found


def other_sizes(program: Program) -> Iterator[dict[str, int]]:
    """For each free axis a size beside the usual, as `sizes` says; the next larger, or smaller."""
    for size in program.analysis.sizes:
        for axis in size.axes:
            usual = program.graph.free_axes.get(axis)
            if usual is None or size.training:
                continue
            near = (usual + step * n for n in range(1, 2 * size.period + 1) for step in (1, -1))
            other = next(n for n in near if size.accepts(n))
            yield dict.fromkeys(size.axes if size.together else (axis,), other)


def check_other_sizes(program: Program, module: Any) -> None:
    """The module as it is, at sizes that are said to fit, against the graph of that size."""
    module.eval()
    for other in other_sizes(program):
        there = loads(program.source.text, inputs=shapes(program, other))
        inputs = inputs_of(there, "cpu")
        with torch.no_grad():
            ours = module(*inputs.values())
            theirs = Interpreter(there.graph, module.state_dict())(inputs, training=False)
        assert not differences(ours, theirs), f"at {other}"


FUSED = frozenset({"attention", "lstm", "gru", "rnn"})  # torch counts them on the meta device only


def check(text: str) -> Program:
    """All of it for one spec. Raises SpecError, or AssertionError where something differs."""
    program = loads(text)
    cls = network_class(program)
    torch.manual_seed(0)
    module = cls()
    check_weights(program, module)
    check_outputs(program, module)
    check_other_sizes(program, module)
    fused = any(node.layer is not None and node.layer.op in FUSED for node in program.graph.steps)
    if fused:
        with torch.device("meta"):
            module = cls()
    check_arithmetic(program, module, "meta" if fused else "cpu")
    return program


def run(examples: int) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def holds(text: str) -> None:
        seen["drawn"] += 1
        try:
            check(text)
        except SpecError:
            seen["refused"] += 1
            reject()

    holds()
    assert seen["refused"] <= DISCARDED * seen["drawn"], seen


KEPT = sorted((Path(__file__).resolve().parent / "specs" / "drawn").glob("*.yaml"))


@pytest.mark.parametrize("path", KEPT, ids=[p.stem for p in KEPT])
def test_drawn_once_and_kept(path: Path) -> None:
    """Specs that an earlier emission got wrong, made as small as they go."""
    check(path.read_text(encoding="utf-8"))


def test_some_random_specs() -> None:
    """As many as fit in: `python -m benchmarks.trust random` goes on for as long as one likes."""
    run(120)
