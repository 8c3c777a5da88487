"""Every architecture: its totals, the shapes its paper prints, and the reference's own numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from references import NAMED, REFERENCES, Reference
from rows import Row, measured, published, shipped
from shipped import program
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archspec import weights
from archspec.module import compare, network_class
from archspec.network import Program

pytestmark = pytest.mark.zoo

MEASURED = measured()
PUBLISHED = published()
SHIPPED = shipped()
LIVE = ("torchvision", "timm", "torch.nn")
COMPARED = {*REFERENCES, *NAMED}
POOL = 1 << 20  # random numbers that weights are cut from


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small pictures: several threads would spend their time waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def on_meta(chosen: Program) -> nn.Module:
    with torch.device("meta"):
        return network_class(chosen)()


# ---------------------------------------------------------------- totals and shapes


def test_every_row_is_a_spec() -> None:
    have = {(row.spec, row.name) for row in SHIPPED}
    assert [str(row) for row in MEASURED if (row.spec, row.name) not in have] == []


def test_every_live_reference_is_compared_with() -> None:
    wanted = [r for r in MEASURED if r.facts.get("reference", "").startswith(LIVE)]
    assert len(wanted) >= 30
    assert [str(row) for row in wanted if (row.spec, row.name) not in REFERENCES] == []


@pytest.mark.parametrize("row", MEASURED, ids=str)
def test_totals_are_the_measured(row: Row) -> None:
    chosen = program(row.spec, row.name)
    totals = chosen.analysis.totals
    assert totals.trainable == row.facts.get("params", totals.trainable)
    assert totals.macs == row.facts.get("macs", totals.macs)
    shape = chosen.graph.steps[0].outs[0].shape
    wanted = row.facts.get("input", [])  # names are free axes
    assert [s if isinstance(w, int) else w for w, s in zip(wanted, shape, strict=False)] == wanted


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("row", SHIPPED, ids=str)
def test_module_is_what_the_spec_expects(row: Row) -> None:
    """Its weights, PyTorch's count of its arithmetic, and the shapes that come out."""
    chosen = program(row.spec, row.name)
    assert chosen.warnings == []
    module = on_meta(chosen).eval()
    compare(module, chosen)
    assert sum(p.numel() for p in module.parameters()) == row.facts["params"]
    samples = [x.to("meta") for x in inputs(chosen, 2, None)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert shapes_of(module(*samples)) == said(chosen, training=False)
    assert counter.get_total_flops() // 4 == row.facts["macs"]
    if chosen.graph.training_outputs or (row.spec, row.name) not in COMPARED:
        with torch.no_grad():
            assert shapes_of(module.train()(*samples)) == said(chosen, training=True)


def shapes_of(result: Any) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for _, tensor in tensors(result)]


def said(chosen: Program, *, training: bool) -> list[tuple[int, ...]]:
    """The shapes of the outputs as the graph has them, of two samples."""
    graph = chosen.graph
    return [
        (2, *graph.steps[edge.node].outs[edge.output].shape)
        for name, edges in graph.outputs.items()
        if training or name not in graph.training_outputs
        for edge in edges
    ]


@pytest.mark.parametrize("row", PUBLISHED, ids=str)
def test_is_what_the_paper_prints(row: Row) -> None:
    chosen = program(row.spec, row.name)
    totals = chosen.analysis.totals
    assert totals.trainable == row.facts.get("params", totals.trainable)
    printed = row.facts.get("printed", {})
    counted = {"params": totals.trainable, "macs": totals.macs}
    assert {key: as_printed(counted[key], text) for key, text in printed.items()} == printed
    shapes = row.facts.get("shapes", {})
    assert {path: shape_at(chosen, path) for path in shapes} == shapes


def as_printed(count: int, text: str) -> str:
    """A count in the unit of a figure in a paper, to as many digits: 4231976, `4.2 million`."""
    number, unit = text.split()
    digits = len(number.partition(".")[2])
    return f"{count / {'million': 1e6, 'billion': 1e9}[unit]:.{digits}f} {unit}"


def shape_at(chosen: Program, path: str) -> list[int]:
    """What leaves an op, a block or a group."""
    nodes = [n for n in chosen.graph.steps if f"{n.path}.".startswith(f"{path}.")]
    return list(nodes[-1].outs[0].shape)


# ---------------------------------------------------------------- outputs


def inputs(chosen: Program, batch: int, sizes: tuple[tuple[int, ...], ...] | None) -> list[Tensor]:
    """Random samples of each input: numbers as pictures have them, tokens of two kinds, masks.

    Of a mask the first place is never hidden: nothing can be said of a sample without any.
    """
    kinds = [node.outs[0] for node in chosen.graph.steps if node.layer is None]
    sizes = sizes or tuple(kind.shape for kind in kinds)
    samples = []
    for kind, size in zip(kinds, sizes, strict=True):
        if kind.dtype == "int":
            samples.append(torch.randint(2, (batch, *size)))
            continue
        sample = torch.randn(batch, *size)
        if kind.dtype == "bool":
            sample = sample > 0.5
            sample[:, 0] = False
        samples.append(sample)
    return samples


def random_reference(reference: Reference) -> nn.Module:
    """The reference with random weights and random statistics.

    Made without storage and filled from one pool of numbers, scaled by the fan so that signals
    neither vanish nor overflow: torch's own initialisation would take most of the time.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # of initialisation that is not wanted here
        module = with_storage(reference.build())
    pool = torch.randn(POOL)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        with torch.no_grad():
            _fill(name, tensor, pool)
            for prefix, factor in reference.factors.items():
                if name.startswith(prefix):
                    tensor.mul_(factor)
    return module


def with_storage(module: nn.Module) -> nn.Module:
    """From the meta device to the CPU, not filled; what is tied stays so, unlike by torch alone."""
    first: dict[int, str] = {}
    parameters = module.named_parameters(remove_duplicate=False)
    origins = {name: first.setdefault(id(p), name) for name, p in parameters}
    module.to_empty(device="cpu")
    for name, origin in origins.items():
        owner, _, leaf = name.rpartition(".")
        if name != origin:
            setattr(module.get_submodule(owner), leaf, module.get_parameter(origin))
    return module


def _fill(name: str, tensor: Tensor, pool: Tensor) -> None:
    if not tensor.is_floating_point():
        tensor.zero_()  # num_batches_tracked
    elif name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
        tensor.uniform_(0.5, 1.5)
    elif tensor.dim() < 2:
        tensor.normal_(std=0.1)
    else:
        fan = max(1, tensor[0].numel())
        flat, start = tensor.view(-1), int(torch.randint(POOL // 2, ()))
        for part in flat.split(POOL // 2):
            part.copy_(pool[start : start + len(part)])
        flat.mul_((2 / fan) ** 0.5)


def without_noise(module: nn.Module) -> nn.Module:
    """The module with dropout and stochastic depth off."""
    for part in module.modules():
        for name in ("p", "dropout", "drop_rate", "drop_prob"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    return module


def carried(theirs: nn.Module, chosen: Program, reference: Reference) -> nn.Module:
    """Ours with the weights and statistics of theirs, every one of them."""
    ours = on_meta(chosen)
    held = ours.state_dict().keys()
    constant = any(name not in held for name, _ in ours.named_buffers())  # what no weights hold
    ours = network_class(chosen)() if constant else with_storage(ours)
    report = weights.load(ours, theirs.state_dict(), reference.source, spec=chosen)
    assert len(report.loaded) == len({t.data_ptr() for t in theirs.state_dict().values()})
    counters = {line for line in report.fresh if line.name.endswith("num_batches_tracked")}
    assert not set(report.fresh) - counters  # which frozen norms of others lack
    assert not report.left_over
    return ours


def tensors(result: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a result, each with where it is."""
    if isinstance(result, Tensor):
        yield "", result
        return
    entries = result.items() if isinstance(result, dict) else enumerate(result)
    for key, value in entries:
        for path, tensor in tensors(value):
            yield f"{key}.{path}", tensor


def assert_identical(found: Any, wanted: Any, rounding: float = 0.0) -> None:
    ours, theirs = dict(tensors(found)), dict(tensors(wanted))
    assert ours.keys() == theirs.keys()
    for path, tensor in theirs.items():
        assert torch.isfinite(tensor).all(), f"nothing to compare in {path}"
        spread = tensor.double().std()
        assert spread > 0, f"nothing to compare in {path}"
        if rounding:
            assert (ours[path] - tensor).abs().max() <= rounding * spread, path
        else:
            assert torch.equal(ours[path], tensor), path


@pytest.fixture
def _plain_attention() -> Iterator[None]:
    """Attention by its own operations: in evaluation torch fuses whole encoder layers otherwise."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.usefixtures("torchvision", "_plain_attention")
@pytest.mark.parametrize("key", REFERENCES, ids=lambda key: key[1])
def test_equals_its_reference(key: tuple[str, str]) -> None:
    torch.manual_seed(0)
    reference = REFERENCES[key]
    chosen = program(*key)
    if reference.params:
        chosen = chosen.with_(**reference.params)
    theirs = random_reference(reference)
    ours = carried(theirs, chosen, reference)
    pair = [without_noise(ours), without_noise(theirs)]
    samples = inputs(chosen, 2, reference.sizes)
    if reference.rounding:
        pair = [module.double() for module in pair]
        samples = [x.double() if x.is_floating_point() else x for x in samples]
    for training in (False, True):
        with torch.no_grad():
            found, wanted = (module.train(training)(*samples) for module in pair)
        assert_identical(found, reference.result(wanted), reference.rounding)
    ours_after = dict(ours.named_buffers())
    after = theirs if reference.source is None else carried(theirs, chosen, reference)
    for name, buffer in after.named_buffers():  # statistics: equal momentum
        assert torch.equal(ours_after[name], buffer), name
    if reference.gradient:
        assert_identical(gradients(ours, samples), gradients(theirs, samples))


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("key", NAMED, ids=lambda key: key[1])
def test_has_the_weights_of_its_reference(key: tuple[str, str]) -> None:
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        theirs = NAMED[key]()
    ours, wanted = (
        {name: tensor.shape for name, tensor in module.state_dict().items()}
        for module in (on_meta(program(*key)), theirs)
    )
    assert ours == wanted


def gradients(module: nn.Module, samples: list[Tensor]) -> list[Tensor]:
    """Of a random weighting of the outputs, with respect to the inputs."""
    leaves = [sample.clone().requires_grad_() for sample in samples]
    found = [out for _, out in tensors(module.eval()(*leaves)) if out.is_floating_point()]
    torch.manual_seed(1)
    loss = torch.stack([(out * torch.randn_like(out)).sum() for out in found]).sum()
    return list(torch.autograd.grad(loss, leaves))
