"""Public complaints about training: what others stop at within an epoch, or never notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import archspec  # noqa: E402
from archspec.text.faults import SpecError  # noqa: E402
from archspec.train.errors import TrainError  # noqa: E402
from archspec.train.samples import _upright, loaded, size_of  # noqa: E402
from archspec.weights.errors import WeightsError  # noqa: E402

VECTORS = """
spec: 1
name: net
input: [4]
body:
  - linear: {out: 8, bias: false}
  - {id: bn, batch_norm: }
  - relu
  - {id: fc, linear: 2}
"""
PICTURES = """
spec: 1
name: net
params: {classes: 2}
input: [3, 4, 4]
body: [flatten, {linear: $classes}]
"""


def fit(spec: str, data: Any, **keys: Any) -> Any:
    model = archspec.build(archspec.loads(spec))
    return archspec.train.fit(model, data, log=None, quiet=True, **{"epochs": 1, **keys})


def vectors(samples: int) -> Any:
    x, y = torch.randn(samples, 4), torch.arange(samples) % 2
    return (x, y), (x, y)


# "Expected more than 1 value per channel when training", in the last step of the first epoch


def test_a_lone_last_sample_behind_which_a_batch_norm_has_no_variance() -> None:
    with pytest.raises(SpecError) as refused:
        fit(VECTORS, vectors(33), batch=32)
    said = str(refused.value)
    assert "`bn` takes statistics over a batch, and the last of 33 samples is one by itself" in said
    assert "for example `batch: 31`" in said
    assert fit(VECTORS, vectors(33), batch=31).metrics
    with pytest.raises(SpecError, match="each sample is one by itself"):
        fit(VECTORS, vectors(33), batch=1)


def test_a_lone_sample_is_enough_where_the_norm_keeps_its_statistics_or_has_space() -> None:
    head = [{"name": "head", "train": ["fc"]}]
    assert fit(VECTORS, vectors(33), batch=32, phases=head).metrics
    frozen = VECTORS.replace("batch_norm: }", "batch_norm: , freeze: true}")
    assert fit(frozen, vectors(33), batch=32).metrics
    with pytest.raises(SpecError, match="E802"):  # the second phase trains it
        fit(VECTORS, vectors(33), batch=32, phases=[*head, {"name": "all", "train": "all"}])
    maps = VECTORS.replace("[4]", "[3, 4, 4]").replace(
        "linear: {out: 8", "conv: {out: 8, kernel: 3"
    )
    maps = maps.replace("- {id: fc", "- flatten\n  - {id: fc")
    assert fit(maps, (torch.randn(3, 3, 4, 4), torch.tensor([0, 1, 0])), batch=1).metrics


@pytest.mark.parametrize(
    ("samples", "batch", "processes", "lone"),
    [(33, 32, 1, True), (32, 32, 1, False), (34, 32, 1, False), (67, 32, 2, True),
     (68, 32, 2, False), (64, 1, 1, True), (64, 1, 2, True), (3, 32, 2, True)],
)  # fmt: skip
def test_of_several_processes_each_has_its_share(
    samples: int, batch: int, processes: int, lone: bool
) -> None:
    from archspec.train.loading import Order
    from archspec.train.refusals import Last

    shares = {
        len(share)
        for rank in range(processes)
        for whole in [Order(samples, batch, 0, rank=rank, world=processes)]
        for share in whole.mine(whole.batches(0))
    }
    assert Last(samples, batch, processes).lone is (1 in shares) is lone


def test_optimizers_that_do_not_take_these_weights_are_refused_before() -> None:
    with pytest.raises(SpecError, match="`muon` refuses these weights: Muon only supports 2D"):
        fit(VECTORS, vectors(8), optimizer="muon")
    with pytest.raises(SpecError, match="SparseAdam does not support dense gradients"):
        fit(VECTORS, vectors(8), optimizer="sparse_adam")


def test_a_rate_that_is_never_reached_is_refused() -> None:
    for keys in (
        {"schedule": {"cosine": {"warmup": 9}}},
        {
            "schedule": "cosine",
            "phases": [{"train": "all", "schedule": {"constant": {"warmup": 9}}}],
        },
    ):
        with pytest.raises(SpecError) as refused:
            fit(VECTORS, vectors(32), batch=4, **keys)
        assert "`warmup` takes 9 steps, and there are 8 in all" in str(refused.value)
        assert fit(VECTORS, vectors(32), batch=4, **{**keys, "epochs": 2}).metrics


# folders and tables


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for shade, name in enumerate(("cat", "dog")):
        Path("pets", name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 4), (40 * shade, i, 0)).save(f"pets/{name}/{i}.png")
    return tmp_path


def test_what_is_hidden_in_a_folder_is_no_sample(pets: Path) -> None:
    """macOS leaves `._0.png`, Jupyter copies: ImageFolder takes them for samples and classes."""
    Path("pets/cat/._0.png").write_bytes(b"Mac OS X")
    for folder in ("pets/.ipynb_checkpoints", "pets/cat/.ipynb_checkpoints"):
        Path(folder).mkdir()
        Path(folder, "0-checkpoint.png").write_bytes(Path("pets/cat/0.png").read_bytes())
    assert fit(PICTURES, {"train": "pets", "val": 0}).metrics
    from archspec.train.samples import below

    assert [one.name for one in below(Path("pets"))] == 2 * ["0.png", "1.png", "2.png"]


def test_one_class_is_told_from_nothing(pets: Path) -> None:
    for name in ("0", "1", "2"):
        Path(f"pets/dog/{name}.png").unlink()
    Path("pets/dog").rmdir()
    with pytest.raises(TrainError, match="the data have one class, `cat`, and none to tell it"):
        fit(PICTURES, "pets")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,class\npets/cat/0.png,cat\npets/dog/0.png,\n", "line 3 of `t.csv` has no target"),
        ("pets/cat/0.png,cat\npets/dog/0.png,dog\n", "the first line of `t.csv` is a sample"),
        ("file;class\npets/cat/0.png;cat\n", "a comma stands between columns, here it is ';'"),
    ],
)
def test_tables_that_others_read_wrongly_in_silence(pets: Path, text: str, said: str) -> None:
    Path("t.csv").write_text(text)
    with pytest.raises(TrainError) as refused:
        fit(PICTURES, "t.csv")
    assert said in str(refused.value)


def test_spaces_in_a_table_make_no_class_of_their_own(pets: Path) -> None:
    lines = [
        "pets/cat/0.png,cat",
        "pets/cat/1.png, cat",
        "pets/dog/0.png,dog ",
        "pets/dog/1.png,dog",
    ]
    Path("t.csv").write_text("\n".join(["file, class", *lines]))
    assert fit(PICTURES, {"train": "t.csv", "val": 0}).metrics


# pixels


def test_sixteen_bits_a_pixel_are_not_white(tmp_path: Path) -> None:
    """Pillow's own conversion cuts off all above 255: X-rays and micrographs are white then."""
    from PIL import Image

    grey = numpy.array([[0, 256, 32768], [65535, 511, 4096]], dtype="uint16")
    for name in ("x.png", "x.tiff"):
        Image.fromarray(grey).save(tmp_path / name)
        for mode in ("L", "RGB"):
            found = numpy.asarray(loaded(tmp_path / name, mode)).reshape(2, 3, -1)[..., 0]
            assert (found == grey // 256).all()
    Image.fromarray(grey.astype("float32")).save(tmp_path / "f.tiff")
    with pytest.raises(TrainError, match=r"numbers of 32 bits \(F\)"):
        loaded(tmp_path / "f.tiff", "RGB")


def test_a_photograph_is_read_as_it_is_looked_at(tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("RGB", (6, 4))
    picture.paste((255, 255, 255), (0, 0, 6, 2))  # white above, as the sensor saw it
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned to the right by 90 degrees: white on the right
    for name in ("p.jpg", "p.png", "p.webp"):
        picture.save(tmp_path / name, exif=exif, quality=100)
        found = numpy.asarray(loaded(tmp_path / name, "L"))
        assert found.shape == (6, 4)
        assert size_of(tmp_path / name) == (4, 6)
        assert (found[:, 3] > 200).all()
        assert (found[:, 0] < 50).all()
    picture.save(tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as opened:
        assert _upright(opened) is opened  # nothing is decoded to know its size


# a disk that is full


@contextmanager
def room(bytes: int) -> Iterator[None]:
    """No file may be larger."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("bytes", [60, 600, 1500])
def test_a_full_disk_ends_a_run_that_can_be_gone_on_with(tmp_path: Path, bytes: int) -> None:
    """Elsewhere `PytorchStreamWriter failed writing file`, and half a checkpoint."""
    wide = VECTORS.replace("out: 8", "out: 40")
    torch.manual_seed(1)
    data, log = vectors(8), {"folder": str(tmp_path / "run"), "save": 1}
    keys: dict[str, Any] = {"batch": 4, "epochs": 4, "quiet": True}

    def full(row: Any) -> None:
        if row["epoch"] == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))

    resource = pytest.importorskip("resource")
    torch.manual_seed(0)
    with room(resource.RLIM_INFINITY), pytest.raises(TrainError) as refused:
        archspec.train.fit(archspec.build(archspec.loads(wide)), data, log=log, after=full, **keys)
    assert "cannot be written: File too large" in str(refused.value)
    assert "archspec train --resume" in str(refused.value)
    assert not list((tmp_path / "run").rglob(".*"))
    gone_on = archspec.train.resume(tmp_path / "run", data, quiet=True)
    torch.manual_seed(0)
    whole = archspec.train.fit(archspec.build(archspec.loads(wide)), data, log=None, **keys)
    assert gone_on.best == {**whole.best, "seconds": gone_on.best["seconds"]}


def test_a_full_disk_leaves_no_half_of_a_weights_file(tmp_path: Path) -> None:
    model = archspec.build("lenet5")
    with room(1000), pytest.raises(WeightsError, match="cannot be written: File too large"):
        archspec.weights.save(model, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
