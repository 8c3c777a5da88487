"""Weights whose memory is not what it seems: shared, repeated, elsewhere, of two entries."""

import json
import zipfile

import pytest

import archspec

torch = pytest.importorskip("torch")

_SPEC = """spec: 1
name: two
input: [4]
body:
  - {id: a, linear: 4}
  - {id: b, linear: 4}
"""


@pytest.fixture
def model():
    return archspec.build(archspec.loads(_SPEC))


def _source():
    return {n: v.clone() for n, v in archspec.build(archspec.loads(_SPEC)).state_dict().items()}


def _refused(model, state, **how):
    """The sentence; the model is as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(archspec.weights.WeightsError) as refused:
        archspec.weights.load(model, state, **how)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(refused.value)


def test_one_file_mapped_twice(model, tmp_path):
    """Two addresses of the same bytes: the source changes as the model is written."""
    both = [torch.from_file(str(tmp_path / "m"), shared=True, size=16) for _ in range(2)]
    both[0].copy_(torch.arange(16.0))
    model.a.weight.data = both[0].view(4, 4)
    turned = torch.arange(16.0).view(4, 4).t()
    archspec.weights.load(model, _source() | {"a.weight": both[1].view(4, 4).t()})
    assert torch.equal(model.a.weight, turned)


def test_weights_that_overlap(model):
    model.b.bias = torch.nn.Parameter(model.a.weight.detach()[0])
    said = _refused(model, _source())
    assert "E614" in said
    assert "`b.bias` and `a.weight` share memory" in said


def test_a_weight_that_repeats_one_number(model):
    model.b.bias = torch.nn.Parameter(torch.zeros(1).expand(4))
    assert "the numbers of `b.bias` share memory" in _refused(model, _source())


def test_a_weight_whose_rows_overlap(model):
    model.b.weight = torch.nn.Parameter(torch.zeros(7).unfold(0, 4, 1))
    assert "the numbers of `b.weight` share memory" in _refused(model, _source())


def test_a_storage_inside_another(model):
    """The source lies behind a weight that begins later than the array it is a slice of."""
    array = pytest.importorskip("numpy").arange(40, dtype="float32")
    model.a.weight.data = torch.from_numpy(array)[8:24].view(4, 4)
    model.b.bias.data = torch.from_numpy(array[:4])
    turned = torch.from_numpy(array[12:28]).view(4, 4).t()
    wanted = turned.clone()
    archspec.weights.load(model, {**model.state_dict(), "a.weight": turned})
    assert torch.equal(model.a.weight, wanted)


def test_one_buffer_of_two_names(model):
    """As of parameters: it is one weight, and the source must agree."""
    model.a.register_buffer("scale", torch.ones(4))
    model.b.register_buffer("scale", model.a.scale)
    agrees = _source() | {"a.scale": torch.full((4,), 2.0), "b.scale": torch.full((4,), 2.0)}
    archspec.weights.load(model, agrees)
    assert model.b.scale.tolist() == [2.0] * 4
    assert "here they are one weight" in _refused(model, agrees | {"b.scale": torch.ones(4)})


def test_tensors_whose_numbers_are_elsewhere(model):
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        imagined = torch.empty(4)
    assert "E608 `a.bias` in `state_dict` is a FakeTensor" in _refused(
        model, _source() | {"a.bias": imagined}
    )
    model.a.register_buffer("scale", imagined)
    with pytest.raises(archspec.weights.WeightsError, match=r"E614 `a\.scale` of the model"):
        archspec.weights.load(model, _source())


def test_weights_that_are_not_made_yet(model, tmp_path):
    source = _source()
    model.b = torch.nn.LazyLinear(4)
    for act in (
        lambda: archspec.weights.load(model, source),
        lambda: archspec.weights.save(model, tmp_path / "lazy.safetensors"),
    ):
        with pytest.raises(archspec.weights.WeightsError, match=r"E614 `b\.weight` of the model"):
            act()
    made = archspec.build(archspec.loads(_SPEC))
    assert "E608 `b.weight` in `state_dict`" in _refused(made, model.state_dict())


def test_a_state_of_more_than_tensors(model):
    """As of layers that torch quantised, and of `get_extra_state`."""

    class Scaled(torch.nn.Linear):
        def get_extra_state(self):
            return {"scale": 2}

    model.b = Scaled(4, 4)
    with pytest.raises(archspec.weights.WeightsError, match=r"E614 `b\._extra_state` of the model"):
        archspec.weights.load(model, _source())


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.zeros(4, 4, device="meta"), "E614 `b.weight` of the model is on the meta device"),
        (torch.eye(4).to_sparse(), "E614 `b.weight` of the model is a"),
        (torch.eye(4, dtype=torch.complex128), "E608 a tensor of the model is torch.complex128"),
    ],
)
def test_weights_that_a_file_does_not_hold(model, tmp_path, weight, said):
    model.b.weight = torch.nn.Parameter(weight)
    with pytest.raises(archspec.weights.WeightsError) as refused:
        archspec.weights.save(model, tmp_path / "b.safetensors")
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_view_that_torch_negates_when_it_is_read(model, tmp_path):
    """As the imaginary part of a conjugate: the sign is not in its memory."""
    model.b.weight = torch.nn.Parameter(torch._neg_view(torch.eye(4)))
    archspec.weights.save(model, tmp_path / "b.safetensors")
    archspec.weights.load(model, tmp_path / "b.safetensors")
    assert torch.equal(model.b.weight, -torch.eye(4))


def test_numbers_beyond_the_range_of_the_model(model):
    said = _refused(model.half(), _source() | {"a.bias": torch.full((4,), 7e4)}, cast=True)
    assert "holds more than float16 can" in said
    assert "model of float32" in said


@pytest.mark.parametrize("wrong", [None, 3, [3]])
def test_allow_that_is_no_list_of_paths(model, wrong):
    assert "E617 allow=[…] is a list of paths" in _refused(model, _source(), allow=wrong)


def test_what_is_no_module():
    with pytest.raises(archspec.weights.WeightsError, match="E617 weights are loaded into a mod"):
        archspec.weights.load({}, _source())


def _zip(state, path, change):
    """torch.save's file, its entries changed and their checksums with them."""
    torch.save(state, path)
    with zipfile.ZipFile(path) as file:
        entries = [(entry.filename, file.read(entry)) for entry in file.infolist()]
    with zipfile.ZipFile(path, "w") as file:
        for name, data in change(entries):
            file.writestr(name, data)
    return path


def test_an_entry_that_is_shorter_than_its_tensor(model, tmp_path):
    """A map would read on, into what comes behind."""
    path = _zip(
        _source(), tmp_path / "short.pt",
        lambda entries: [(n, d[:-4] if n.endswith("/data/0") else d) for n, d in entries],
    )  # fmt: skip
    assert "tensors have more bytes than its entries" in _refused(model, path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice(model, tmp_path):
    path = _zip(_source(), tmp_path / "twice.pt", lambda entries: [*entries, entries[0]])
    assert "twice" in _refused(model, path)


def test_an_index_that_names_an_index(model, tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": dict.fromkeys(_source(), path.name)}))
    assert "E604" in _refused(model, path)


def test_a_file_that_cannot_be_read_on(model):
    """As on a disk that fails: it opens, and reading is refused."""
    assert "E604 `mem` cannot be read" in _refused(model, "/proc/self/mem")


def test_equal_weights_are_equal_files(model, tmp_path):
    """So that one SHA-256 is of all of them."""
    model.a.weight.data[0, 0] = 0.5
    for name in "abcdefgh":
        archspec.weights.save(model, tmp_path / f"{name}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    loaded = archspec.build(archspec.loads(_SPEC), weights=tmp_path / "a.safetensors")
    assert torch.equal(loaded.a.weight, model.a.weight)
