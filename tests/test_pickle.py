"""A built module, or a part of it, in a pickle: here, in another process, and changed."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archspec import emit
from archspec.module import BuildError, build, emitted, network_class
from archspec.network import load, loads
from archspec.weights.origin import program_of

BACKBONE = """\
spec: 1
params: {width: 4}
input: [3, 16, 16]
blocks:
  Unit:
    params: {out: required}
    body: [{id: conv, conv: {out: $out, kernel: 3, padding: 1}}, batch_norm, relu]
variants: {wide: {width: 6}}
body:
  - {id: c1, Unit: $width}
  - {id: c2, Unit: $(2 * width)}
  - global_avg_pool
  - {id: fc, linear: 10}
"""

DETECTOR = """\
spec: 1
params: {boxes: 5}
input: [3, {H: 16}, {W: 16}]
use: {Backbone: {file: parts/backbone.yaml, variant: wide, outputs: {output: c2, fine: c1}}}
body:
  - {id: net, Backbone: , repeat: 1}
  - concat: [net.0.fine, prev]
  - {id: head, sequential: [{conv: {out: $boxes, kernel: 1}}, {drop_path: 0.1}]}
"""

NORMED = """\
spec: 1
name: normed
input: [3, 8, 8]
body:
  - {conv: {out: 4, kernel: 3, reparam: weight_norm}}
  - {conv: {out: 4, kernel: 3, reparam: spectral_norm}}
"""


@pytest.fixture
def detector(tmp_path: Path) -> nn.Module:
    """A network of two files, chosen and changed."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "backbone.yaml").write_text(BACKBONE)
    (tmp_path / "detector.yaml").write_text(DETECTOR)
    module: Any = build(load(tmp_path / "detector.yaml", boxes=3, inputs={"input": [3, 8, 4]}))
    module.net.requires_grad_(False)
    module.head[0] = nn.Conv2d(18, 2, 1)
    module.head.note = "changed"
    module.register_forward_hook(doubled)
    return module.eval()


def doubled(_: nn.Module, __: object, found: torch.Tensor) -> torch.Tensor:
    """A hook that a pickle finds by its name."""
    return 2 * found


def same_state(a: nn.Module, b: nn.Module) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return list(mine) == list(other) and all(torch.equal(mine[k], other[k]) for k in mine)


OTHER = """
import io, pickle, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(int(sys.argv[2]))  # sums are split among them
whole, part, unit, x, wanted = pickle.load(sys.stdin.buffer)
assert torch.equal(whole(x), wanted)
assert part is whole.net and unit is part[0].c1 and whole.head.note == "changed"
assert not whole.training and not unit.conv.weight.requires_grad
assert type(unit).__name__ == "Unit", type(unit)
saved = io.BytesIO()
torch.save(whole, saved)
saved.seek(0)
again = torch.load(saved, weights_only=False)
assert type(again) is type(whole) and torch.equal(again(x), wanted)
"""


def test_another_process_needs_no_file(detector: Any, tmp_path: Path) -> None:
    x = torch.rand(2, 3, 8, 4)
    content = pickle.dumps((detector, detector.net, detector.net[0].c1, x, detector(x)))
    assert content.count(b"variant: wide") == 1
    assert bytes(tmp_path) not in content
    for file in tmp_path.rglob("*.yaml"):
        file.unlink()
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(Path(__file__).parent), str(torch.get_num_threads())],
        input=content, cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def test_all_that_pickles_takes_it(detector: Any, tmp_path: Path) -> None:
    saved = io.BytesIO()
    torch.save(detector, saved)
    saved.seek(0)
    copies = [pickle.loads(pickle.dumps(detector, protocol)) for protocol in range(6)]
    copies += [torch.load(saved, weights_only=False), copy.deepcopy(detector), copy.copy(detector)]
    copies.append(pickle.loads(ForkingPickler.dumps(copy.deepcopy(detector))))  # to a process
    joblib = pytest.importorskip("joblib")
    joblib.dump(detector, tmp_path / "model.joblib")
    copies.append(joblib.load(tmp_path / "model.joblib"))
    for found in copies:
        assert type(found) is type(detector)
        assert same_state(found, detector)
        assert found.head.note == "changed"
        assert program_of(found) is program_of(detector)


def test_a_part_is_pickled_alone(detector: Any) -> None:
    for part in (detector.net, detector.net[0], detector.net[0].c2, detector.head):
        found = pickle.loads(pickle.dumps(part))
        assert type(found) is type(part)
        assert same_state(found, part)


def test_a_class_of_ones_own_is_pickled_as_any_other() -> None:
    found = pickle.loads(pickle.dumps(Mine()))
    assert type(found) is Mine
    assert found.linear1.out_features == 4


class Mine(network_class(loads("spec: 1\nname: small\ninput: [8]\nbody: [{linear: 4}]"))):  # type: ignore[misc]
    """What a user derives from an emitted class."""


CAUSAL = """\
spec: 1
name: causal
input: [3, 8]
body: [{conv: {out: 4, kernel: 2, padding: causal, reparam: weight_norm}}, relu]
"""


@pytest.mark.parametrize("text", [NORMED, CAUSAL], ids=["torch's classes", "emitted classes"])
def test_norms_that_compute_weights_are_pickled(text: str) -> None:
    program = loads(text)
    module = build(program).eval()
    first = next(iter(module.children()))
    state = torch.get_rng_state()
    found, part = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps((module, first)))))
    assert torch.equal(torch.get_rng_state(), state)
    assert next(iter(found.children())) is part
    assert same_state(found, module)
    shape = next(node.outs[0].shape for node in program.graph.steps)
    x = torch.rand(2, *shape)
    assert torch.equal(found(x), module(x))
    found(x).sum().backward()
    assert all(p.grad is not None for p in found.parameters())


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"variant: wide", b"variant: narr"), (b"kernel: 3", b"kernel: 1"), (b"boxes", b"bozes")],
)
def test_a_changed_text_is_refused(detector: Any, old: bytes, new: bytes) -> None:
    content = pickle.dumps(detector)
    assert old in content
    with pytest.raises(BuildError, match="E609 the pickle was changed"):
        pickle.loads(content.replace(old, new))


def test_a_class_that_the_spec_does_not_make_is_refused(detector: Any) -> None:
    content = pickle.dumps(detector.net)
    with pytest.raises(BuildError, match="E609 the pickle was changed: its spec makes no class"):
        pickle.loads(content.replace(b"Unit\x94", b"Unix\x94"))


def test_source_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle.dumps(build(loads("spec: 1\nname: old\ninput: [8]\nbody: [{linear: 4}]")))
    write = emit._written

    def other(*given: Any) -> tuple[str, Any]:
        text, declared = write(*given)
        return text.replace("Old:", "New:"), declared

    monkeypatch.setattr(emitted, "_EMITTED", {})
    monkeypatch.setattr(emit, "_written", other)
    with pytest.raises(BuildError, match=r"E610 archspec .* pickled `old`") as caught:
        pickle.loads(content)
    assert "save its state_dict" in caught.value.help


def test_threads_build_one_class() -> None:
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: build("unet", depth=2, base=3), range(4)))
    assert len({type(module) for module in built}) == 1
    assert type(pickle.loads(pickle.dumps(built[0]))) is type(built[1])
