"""Public complaints about tools of this kind: files, words and values that people really give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archspec
from archspec.figures import chosen
from archspec.text.faults import SpecError
from archspec.weights.errors import WeightsError

torch = pytest.importorskip("torch")
NET = """
spec: 1
name: net
params: {classes: 5}
input: [3, 8, 8]
body: [{id: conv, conv: {out: 4, kernel: 3}}, relu, flatten, {id: fc, linear: $classes}]
"""
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PAGE = "<!DOCTYPE html><html><head><title>Virus scan warning</title></head></html>"


@pytest.mark.parametrize(
    ("content", "said", "help"),
    [
        (POINTER.encode(), "a pointer of Git LFS to the file", "`git lfs pull` fetches"),
        (PAGE.encode(), "a page of the web, not the file", "a link to the file itself"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file", "h5py reads it"),
        (b"\x93NUMPY\x01\x00" + bytes(90), "a NumPy file", "numpy.load reads it"),
        (b"\x1f\x8b\x08\x00\xff\xff\xff\xff" + bytes(90), "a gzip archive", "gunzip"),
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_what_was_fetched_in_place_of_weights(
    tmp_path: Path, name: str, content: bytes, said: str, help: str
) -> None:
    """Elsewhere `invalid load key, 'v'` or `'<'`, by which nobody knows what to do."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as refused:
        archspec.build(archspec.loads(NET), weights=tmp_path / name)
    assert f"`{name}` is {said}" in str(refused.value)
    assert help in str(refused.value)


def test_a_download_that_was_cut_off(tmp_path: Path) -> None:
    torch.save(archspec.build(archspec.loads(NET)).state_dict(), tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"`w\.pt` is damaged: it is cut off"):
        archspec.build(archspec.loads(NET), weights=tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (True, "weights are a path, a state_dict, or the name of a source, not bool"),
        (torch.nn.Linear(1, 1), "not Linear\n  help: of a module give `module.state_dict()`"),
        ("imagenet", "give the path of a .safetensors or .pt file, or a source that the spec"),
        ("https://example.org/w.pt", "help: fetch it, and give the path"),
    ],
)
def test_words_for_weights_that_other_libraries_have(weights: Any, said: str) -> None:
    with pytest.raises(WeightsError) as refused:
        archspec.build(archspec.loads(NET), weights=weights)
    assert said in str(refused.value)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    """`classes=labels.max() + 1`."""
    numpy = pytest.importorskip("numpy")
    for five in (numpy.array([0, 6]).max() + 1, torch.tensor([0, 6]).max() + 1):
        program = archspec.loads(NET, classes=five)
        assert program.analysis.rows[-1].shape == (7,)
        assert type(program.choice.params["classes"]) is int
    found = archspec.load("resnet50", depths=numpy.array([1, 1, 1, 1]))
    assert (
        found.analysis.totals.params
        == archspec.load("resnet50", depths=[1] * 4).analysis.totals.params
    )
    with pytest.raises(SpecError, match=r"`classes` is 7.5; it takes a whole number"):
        archspec.loads(NET, classes=numpy.float32(7.5))


def test_a_figure_for_latex_of_a_network_without_maps_of_several_sizes() -> None:
    """PlotNeuralNet and its like draw towers only."""
    text = "spec: 1\nname: net\ninput: [3, 8, 8]\nbody: [{conv: {out: 4, kernel: 1}}]"
    for program in (archspec.loads(text), archspec.load("lenet5"), archspec.load("unet")):
        drawn = archspec.render(program, format="tikz")
        assert drawn == archspec.render(program, format="tikz", view=chosen(program, "tikz"))
        assert r"\end{tikzpicture}" in drawn


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w"])
def test_a_safetensors_file_is_called_so(tmp_path: Path, name: str) -> None:
    """Elsewhere a .bin may be either, and torch.load says `invalid load key`."""
    with pytest.raises(WeightsError, match=r"help: name it `w\.safetensors`"):
        archspec.weights.save(archspec.build(archspec.loads(NET)), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "hinted"),
    [((5, 4, 6, 6), True), ((1, 5, 144), True), ((144, 5), False), ((7, 144), False)],
)
def test_a_classifier_that_was_a_convolution(tmp_path: Path, shape: Any, hinted: bool) -> None:
    """Weights out of Caffe and Keras: the report says how they are taken, and so they are."""
    made = archspec.build(archspec.loads(NET)).state_dict()
    state = made | {"fc.weight": torch.randn(shape)}
    with pytest.raises(WeightsError) as refused:
        archspec.build(archspec.loads(NET), weights=state)
    entry = "{from: fc.weight, reshape: true}"
    assert (f"`{entry}` in `rename` takes it" in str(refused.value)) is hinted
    if hinted:
        text = f'{NET}weights: {{rename: {{"fc.weight": {entry}}}}}\n'
        found = archspec.build(archspec.loads(text), weights=state)
        assert torch.equal(found.fc.weight.flatten(), state["fc.weight"].flatten())
