"""Networks of other papers: checked, emitted, built, run in training and in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archspec.build import build, network_class
from archspec.program import Program, load

torch = pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "networks"
NETWORKS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# what runs in a second; the others run on the meta device, where nothing is computed
SMALL = {"dcgan_discriminator", "dcgan_generator", "siamese", "tcn", "transformer", "vae"}


@pytest.fixture(scope="module", params=NETWORKS)
def program(request: pytest.FixtureRequest) -> Program:
    return load(FOLDER / f"{request.param}.yaml")


def inputs(program: Program, device: str) -> list[Any]:
    """Random tensors, two samples of each input."""
    found = []
    for node in program.graph.nodes:
        if node.layer is not None:
            continue
        (kind,) = node.outs
        shape = (2, *kind.shape)
        if kind.dtype == "float":
            found.append(torch.rand(shape, device=device))
        else:
            dtype = torch.int64 if kind.dtype == "int" else torch.bool
            found.append(torch.zeros(shape, dtype=dtype, device=device))
    return found


def shapes(program: Program, *, training: bool) -> Any:
    """What the graph says comes out."""
    graph = program.graph
    found: dict[str, Any] = {}
    for name, edges in graph.outputs.items():
        if name in graph.training_outputs and not training:
            continue
        sizes = [(2, *graph.nodes[e.node].outs[e.output].shape) for e in edges]
        found[name] = sizes if name in program.spec.lists else sizes[0]
    return next(iter(found.values())) if len(graph.outputs) == 1 or len(found) == 1 else found


def shaped(result: Any) -> Any:
    if isinstance(result, dict):
        return {name: shaped(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [shaped(value) for value in result]
    return tuple(result.shape)


def test_is_sound(program: Program) -> None:
    assert program.faults() == []
    assert [w.message for w in program.warnings if w.code in ("W108", "W109")] == []
    assert all(row.bytes_out for row in program.analysis.rows)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_runs(program: Program, training: bool) -> None:
    small = Path(program.source.name).stem in SMALL
    if small:
        module = build(program)
    else:
        with torch.device("meta"):
            module = network_class(program)()
    module.train(training)
    with torch.no_grad():
        result = module(*inputs(program, "cpu" if small else "meta"))
    assert shaped(result) == shapes(program, training=training)
    found = {name: tuple(w.shape) for name, w in module.state_dict().items()}
    assert len(found) >= sum(row.params > 0 for row in program.analysis.rows)
