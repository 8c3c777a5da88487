"""Exports are run: by ONNX Runtime and by torch, at sizes that were not exported."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import archspec
from archspec.cli.app import app
from archspec.module import exchange
from archspec.module.exchange import ExportError, export
from archspec.save import NotOursError
from archspec.train.start import fit

TWO = """\
spec: 1
name: two
input:
  picture: [1, {H: 6}, {W: 6}]
  scale: [3]
body:
  - {id: conv, from: picture, conv: {out: 3, kernel: 3, padding: 1}}
  - {id: bn, batch_norm: {}}
  - {id: drop, dropout: 0.5}
  - {id: map, conv: {out: 1, kernel: 1}}
  - {id: pooled, from: drop, global_avg_pool: {}}
  - {id: scores, add: [pooled, scale]}
outputs: {map: map, scores: scores}
"""
STEPS = """\
spec: 1
name: steps
input: [{T: 5}, 4]
body:
  - {id: lstm, lstm: 6}
  - {id: fc, linear: 3}
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(text: str = TWO) -> nn.Module:
    return archspec.build(archspec.loads(text))


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def opened(path: Path) -> Any:
    facts = {exchange.PT2_FACTS: ""}
    program = torch.export.load(path, extra_files=facts)
    return program, json.loads(facts[exchange.PT2_FACTS])


def close(one: Any, other: Tensor) -> None:
    torch.testing.assert_close(torch.as_tensor(one), other, rtol=1e-4, atol=1e-5)


def test_onnx_has_the_names_and_free_axes_of_the_spec(tmp_path: Path) -> None:
    model = build()
    model.bn.eval()  # each part is afterwards in the mode that it was in
    found = export(model, tmp_path / "two.onnx", metadata={"classes": '["a"]'})
    assert (model.training, model.bn.training, model.drop.training) == (True, False, True)
    assert found.inputs == {"picture": ("batch", 1, "H", "W"), "scale": ("batch", 3)}
    assert found.outputs == ("map", "scores")
    assert found.apart < 1e-5
    run = session(found.path)
    assert [(one.name, one.shape) for one in run.get_inputs()] == [
        ("picture", ["batch", 1, "H", "W"]), ("scale", ["batch", 3])
    ]  # fmt: skip
    assert [one.name for one in run.get_outputs()] == ["map", "scores"]
    facts = run.get_modelmeta().custom_metadata_map
    assert facts["classes"] == '["a"]'
    assert facts["archspec"] == archspec.__version__
    onnx.checker.check_model(str(found.path))
    x, scale = torch.randn(4, 1, 9, 11), torch.randn(4, 3)
    wanted = model.eval()(x, scale)
    ours = run.run(None, {"picture": x.numpy(), "scale": scale.numpy()})
    for name, value in zip(found.outputs, ours, strict=True):
        close(value, wanted[name])
    for _ in range(2):  # over its own
        export(model, tmp_path / "two.pt2")
    program, facts = opened(tmp_path / "two.pt2")
    there = program.module()(x, scale)
    for name, value in wanted.items():
        close(there[name], value)
    assert facts["inputs"] == ["picture", "scale"]


def test_recurrent_layers_over_any_number_of_steps(tmp_path: Path) -> None:
    model = build(STEPS)
    found = export(model, tmp_path / "steps.onnx")
    assert found.inputs == {"input": ("batch", "T", 4)}
    x = torch.randn(3, 17, 4)
    close(session(found.path).run(None, {"input": x.numpy()})[0], model.eval()(x))
    with pytest.raises(ExportError, match=r"E822 `lstm` \(lstm\) has as many steps in a \.pt2"):
        export(model, tmp_path / "steps.pt2")
    assert not (tmp_path / "steps.pt2").exists()


def test_the_reference_of_onnx_where_there_is_no_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export(build(STEPS), tmp_path / "steps.onnx").apart < 1e-5


# ------------------------------------------------------------------ refusals


def test_other_numbers_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = exchange._runner

    def runs(change: Callable[[Tensor], Tensor]) -> None:
        run = lambda content: lambda given: list(map(change, real(content)(given)))  # noqa: E731
        monkeypatch.setattr(exchange, "_runner", run)

    runs(lambda y: 1.001 * y)
    with pytest.raises(ExportError, match=r"E822 .*`output` .* on \[2, 5, 4\]: by 1\.0e-03"):
        export(build(STEPS), tmp_path / "steps.onnx")
    runs(lambda y: y[:2])  # of a batch that was fixed
    with pytest.raises(ExportError, match=r"differs from the module's on \[3, "):
        export(build(STEPS), tmp_path / "steps.onnx")
    assert not list(tmp_path.iterdir())


PADDED = """\
spec: 1
name: padded
input: [2, {H: 4}, 4]
body:
  - {id: o, conv: {out: 2, kernel: 1}}
  - pad: {amounts: [[0, $(-prev.height % 3)], [0, 0]]}
  - max_pool: {kernel: 3, stride: 1, padding: 1}
  - crop: {offset: [0, 0], size: [$(o.height), 4]}
"""


def test_sizes_that_an_exporter_takes_for_granted(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"E822 .*does not run on \[3, 2, 9, 4\]") as failed:
        export(build(PADDED), tmp_path / "padded.pt2")
    assert failed.value.help == "with a fixed size for `H` it may hold; nothing was written"
    assert not list(tmp_path.iterdir())
    two = PADDED.replace("[2, {H: 4}, 4]", "{a: [2, {H: 4}, 4], b: [1, {H: 4}, 4]}")
    two = two.replace("{id: o, conv: ", "{id: o, from: ab, conv: ")
    two = two.replace("body:\n", "body:\n  - {id: ab, concat: [a, b]}\n")
    with pytest.raises(ExportError) as failed:  # an axis of two inputs is named once
        export(build(two), tmp_path / "two.pt2")
    assert failed.value.help == "with a fixed size for `H` it may hold; nothing was written"
    export(build(PADDED.replace("{H: 4}", "4")), tmp_path / "padded.pt2")


def test_an_op_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    text = "spec: 1\nname: odd\ninput: [2, 7, 7]\nbody: [relu, {id: p, adaptive_max_pool: 3}]\n"
    with pytest.raises(ExportError, match=r"E822 `odd` is not exported to ONNX: `p` \(adaptive"):
        export(build(text), tmp_path / "odd.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="archspec did not build this Linear"):
        export(nn.Linear(2, 2), tmp_path / "net.onnx")
    with pytest.raises(ExportError, match=r"the ending `\.tflite` .* means no format of a network"):
        export(build(), tmp_path / "net.tflite")
    (tmp_path / "mine.onnx").write_bytes(b"not archspec's")
    with pytest.raises(NotOursError):
        export(build(STEPS), tmp_path / "mine.onnx")
    assert (tmp_path / "mine.onnx").read_bytes() == b"not archspec's"
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r"(?s)E602 .* needs the package onnxscript.*\[export\]"):
        export(build(), tmp_path / "net.onnx")


# ------------------------------------------------------------------ the command


def test_a_run_takes_its_classes_along(tmp_path: Path) -> None:
    text = "spec: 1\nname: few\ninput: [1, 8, 8]\nbody: [flatten, {id: fc, linear: 10}]\nhead: fc\n"
    (tmp_path / "few.yaml").write_text(text)
    folder = tmp_path / "run"
    data = {"train": "digits", "samples": 99}
    fit(build(text), data, epochs=1, log={"folder": str(folder)}, quiet=True)

    def call(*words: object) -> Any:
        return CliRunner().invoke(app, ["export", *map(str, words)])

    done = call(folder, "-o", tmp_path / "run.pt2")
    assert done.exit_code == 0, done.output
    assert "input input: batch x 1 x 8 x 8" in done.output
    assert "run.pt2: " in done.output
    _, facts = opened(tmp_path / "run.pt2")
    normal = archspec.train.load(folder).facts.normal
    assert json.loads(facts["classes"]) == list("0123456789")
    assert normal is not None
    assert json.loads(facts["shift"]) == list(normal.shift)
    assert call(tmp_path / "few.yaml", "-o", tmp_path / "few.pt2").exit_code == 0
    (tmp_path / "other.onnx").write_bytes(b"\x08")
    wrong = call(folder, "-o", tmp_path / "other.onnx")
    assert (wrong.exit_code, (tmp_path / "other.onnx").read_bytes()) == (2, b"\x08")
    assert "was not written by archspec" in wrong.output
