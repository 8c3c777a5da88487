"""What units read, look for and keep: boxes against real gradients, ascent, inversion."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from click.testing import CliRunner

import archspec

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archspec import see  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.see.receptive import box  # noqa: E402
from archspec.see.subject import subject, tapped  # noqa: E402
from archspec.train import TrainError  # noqa: E402


def head(sides: int, channels: int = 1) -> str:
    return f"spec: 1\nname: net\ninput: [{channels}, {sides}, {sides}]\nbody:\n"


CONV = "  - {id: %s, conv: {out: 2, kernel: %s}}\n"
NETS = {
    "chain": head(20) + CONV % ("a", "3, stride: 2, padding: 1") + "  - relu\n" + CONV % ("b", 3),
    "pools": head(21)
    + CONV % ("a", 3)
    + "  - max_pool: {kernel: 3, stride: 2, padding: 1}\n"
    + CONV % ("b", "3, padding: 1")
    + "  - {avg_pool: 2}\n",
    "dilated": head(24) + CONV % ("a", "3, dilation: 2") + CONV % ("b", "[5, 1], stride: [1, 2]"),
    "residual": head(17)
    + CONV % ("a", "3, padding: 1")
    + "  - residual: [{conv: {out: 2, kernel: 3, padding: 1}}, batch_norm, relu,\n"
    + "               {conv: {out: 2, kernel: 3, padding: 1}}]\n",
    "branches": head(18)
    + "  - merge: concat\n    branches:\n"
    + "      - [{conv: {out: 2, kernel: 1, stride: 2}}]\n"
    + "      - [{conv: {out: 2, kernel: 5, padding: 2}}, {max_pool: 2}]\n",
    "global": head(12) + CONV % ("a", 3) + "  - global_avg_pool\n",
    "decoder": head(12)
    + CONV % ("a", "3, stride: 2, padding: 1")
    + "  - {conv_transpose: {out: 2, kernel: 4, stride: 2, padding: 1}}\n",
    "deeper decoder": head(16)
    + CONV % ("a", "3, stride: 2, padding: 1")
    + CONV % ("b", "3, stride: 2, padding: 1")
    + "  - {conv_transpose: {out: 2, kernel: 3, stride: 2, padding: 1, output_padding: 1}}\n"
    + "  - {conv_transpose: {out: 1, kernel: 2, stride: 2}}\n",
    "upsampling": head(12) + "  - max_pool: 2\n  - upsample: 2\n" + CONV % ("b", "3, padding: 1"),
    "sum": head(14)
    + CONV % ("a", "3, padding: 1")
    + "  - {id: e, conv: {out: 2, kernel: 3, stride: 1, padding: 1}}\n"
    + "  - {id: s, add: [e, a]}\n",
    "circular": head(12)
    + CONV % ("a", "3, padding: 1, padding_mode: circular")
    + CONV % ("b", "3, stride: 2, padding: 1, padding_mode: circular"),
    "mirrored": head(11)
    + CONV % ("a", "5, padding: 2, padding_mode: reflect")
    + "  - pad: {amounts: [[3, 0], [0, 3]], mode: reflect}\n"
    + CONV % ("b", "2, stride: 2"),
    "edges": head(10) + "  - pad: {amounts: [[3, 1], [0, 3]], mode: replicate}\n" + CONV % ("b", 2),
    "rolled": head(9) + "  - {id: r, roll: [3, -2]}\n" + CONV % ("b", 3),
}


def made(text: str) -> nn.Module:
    torch.manual_seed(0)
    return archspec.build(archspec.loads(text)).eval()


def reached(model: nn.Module, at: str) -> Any:
    """The network up to a node in which nothing cancels: weights positive, pools that average."""
    eye = tapped(subject(model), at).double()
    for parent in list(eye.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                kind = (child.kernel_size, child.stride, child.padding)
                setattr(parent, name, nn.AvgPool2d(*kind))
    for weight in eye.parameters():
        weight.data = weight.data.abs() + 0.1
    return eye


@pytest.mark.parametrize("name", NETS)
def test_a_box_is_the_reach_of_a_real_gradient(name: str) -> None:
    """Cell by cell, of every node that computes: rows and columns that have a gradient."""
    model = made(NETS[name])
    program = archspec.loads(NETS[name])
    x = torch.rand(1, *subject(model).shape, dtype=torch.float64) + 0.1
    x.requires_grad_()
    for node in program.graph.steps[1:]:
        out = reached(model, node.path)(x)[node.path]
        for cell in itertools.product(*map(range, out.shape[1:])):
            (gradient,) = torch.autograd.grad(out[(0, *cell)], x, retain_graph=True)
            rows, columns = (gradient[0, 0] != 0).nonzero().unbind(1)
            wanted = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
            assert box(program, node, cell) == tuple(map(int, wanted)), (node.path, cell)


def test_patches_are_where_a_unit_is_largest() -> None:
    model = made(NETS["pools"])
    x = torch.rand(40, 1, 21, 21, generator=torch.Generator().manual_seed(1))
    found = see.patches(model, x, "b", [1], count=3)
    maps = model.get_submodule("b")(nn.functional.max_pool2d(model.get_submodule("a")(x), 3, 2, 1))
    best = maps[:, 1].flatten(1).max(1)
    assert [one.picture for one in found.values[0]] == best.values.argsort(descending=True)[
        :3
    ].tolist()
    first = found.values[0][0]
    assert first.value == pytest.approx(float(best.values.max().detach()))
    assert 10 * first.cell[0] + first.cell[1] == int(best.indices[first.picture])
    inside = x[first.picture, :, first.box.top : first.box.bottom, first.box.left : first.box.right]
    assert torch.equal(found.rows[0].shown[0].picture, inside)
    # what lies outside the box is not read: the value stays the same to the bit
    other = torch.rand_like(x[first.picture])
    other[:, first.box.top : first.box.bottom, first.box.left : first.box.right] = inside
    again = see.activations(model, other, "b").values[0, 1, first.cell[0], first.cell[1]]
    assert float(again) == pytest.approx(first.value, abs=1e-6)


# ------------------------------------------------------------------ ascent and inversion


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network that was taught to tell three kinds of stripes apart."""
    text = (
        head(16) + CONV.replace("out: 2", "out: 8") % ("a", 5) + "  - relu\n  - max_pool: 2\n"
        "  - {id: b, conv: {out: 8, kernel: 3}}\n  - {id: r, relu: }\n  - global_avg_pool\n"
        "  - {id: fc, linear: 3}\nhead: fc\n"
    )
    model = made(text)
    drawn = torch.Generator().manual_seed(0)
    y = torch.randint(3, (256,), generator=drawn)
    down, across = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    waves = torch.stack([(way / 1.2).sin() for way in (down, across, down + across)])
    x = (0.5 + 0.4 * waves[y] + 0.1 * torch.randn(256, 16, 16, generator=drawn))[:, None]
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert float((model(x).argmax(1) == y).float().mean()) > 0.97
    return model.eval()


def means(model: nn.Module, x: Any, at: str) -> Any:
    made = see.activations(model, x, at).values
    return made.flatten(2).mean(2) if made.ndim > 2 else made


def test_ascent_ends_far_above_noise(trained: nn.Module) -> None:
    """At least nine of ten units, five standard deviations above their mean over noise."""
    noise = torch.rand(256, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    before = means(trained, noise, "b")
    found = see.maximise(trained, "b", range(8))
    after = means(trained, found.values, "b").diag()
    above = (after - before.mean(0)) / before.std(0)
    assert float((above >= 5).float().mean()) >= 0.9
    assert torch.equal(see.maximise(trained, "b", range(8)).values, found.values)
    assert not torch.equal(
        see.maximise(trained, "b", range(8), ascent=see.Ascent(seed=1)).values, found.values
    )


def test_what_a_class_looks_for_is_that_class(trained: nn.Module) -> None:
    found = see.maximise(trained, "fc", range(3))
    assert trained(found.values).argmax(1).tolist() == [0, 1, 2]
    # written as a spectrum, as many steps lead further
    pixels = see.maximise(trained, "fc", range(3), ascent=see.Ascent(fourier=False))
    reached = [means(trained, one.values, "fc").diag() for one in (found, pixels)]
    assert (reached[0] > reached[1]).all()
    # total variation keeps it smooth
    rough = see.maximise(
        trained, "fc", range(3), ascent=see.Ascent(jitter=0, l2=0, total_variation=0)
    ).values
    assert found.values.diff(dim=3).square().mean() < 0.5 * rough.diff(dim=3).square().mean()


def test_what_is_emphasised_grows_and_stays_near(trained: nn.Module) -> None:
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    found = see.emphasise(trained, x, "b", 2, steps=5)
    assert (means(trained, found.values, "b")[:, 2] > means(trained, x, "b")[:, 2]).all()
    assert float((found.values - x).square().mean().sqrt()) <= 0.05  # five steps of 0.01
    assert [one.words for one in found.rows[0].shown][2] == "change"


def test_an_inverted_picture_gives_the_same(trained: nn.Module) -> None:
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(4))
    found = see.invert(trained, x, "a", total_variation=0)
    made, wanted = (see.activations(trained, one, "a").values for one in (found.values, x))
    apart = (made - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    assert float(apart.max()) < 0.01
    assert [row.shown[1].words for row in found.rows] == [f"{one:.2%} apart" for one in apart]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: see.maximise(m, "b", [8]), "`b` has no unit 8"),
        (lambda m: see.maximise(m, "b", ["x"]), "units are numbers from 0 to 7"),
        (lambda m: see.maximise(m, "b", ascent=see.Ascent(steps=0)), "there are 0 steps"),
        (lambda m: see.emphasise(m, torch.rand(1, 16, 16), "b", 0, steps=0), "there are 0 steps"),
        (lambda m: see.invert(m, torch.rand(1, 16, 16), "b", steps=0), "there are 0 steps"),
        (lambda m: see.patches(m, torch.rand(1, 16, 16), "b", count=0), "0 patches are asked"),
        (lambda m: see.patches(m, torch.rand(1, 16, 16), "bb"), "has no node `bb`"),
    ],
)
def test_what_cannot_be_done_is_said(trained: nn.Module, call: Any, said: str) -> None:
    with pytest.raises(TrainError, match=said):
        call(trained)


@pytest.mark.parametrize(
    "words",
    [
        ["maximise", "--at", "b", "-u", "1", "--steps", "2"],
        ["emphasise", "PICTURE", "--at", "b", "-u", "1", "--steps", "2"],
        ["invert", "PICTURE", "--at", "b", "--steps", "2"],
        ["patches", "PICTURE", "--at", "b", "-u", "0", "-u", "1"],
        ["activations", "PICTURE", "--at", "b", "-u", "0"],
        ["filters"],
    ],
)
def test_commands_write_a_picture_and_a_page(words: list[str], tmp_path: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "net.yaml").write_text(NETS["pools"])
    archspec.weights.save(made(NETS["pools"]), tmp_path / "net.safetensors")
    image.new("L", (30, 21), 200).save(tmp_path / "grey.png")
    words = [str(tmp_path / "grey.png") if word == "PICTURE" else word for word in words]
    net = ["--spec", tmp_path / "net.yaml", "--weights", tmp_path / "net.safetensors"]
    done = CliRunner().invoke(app, ["see", *words, *map(str, net), "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / f"{words[0]}.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png" in (tmp_path / f"{words[0]}.html").read_text()


# ------------------------------------------------------------------ codes


def test_codes_are_a_map_and_neighbours(trained: nn.Module) -> None:
    """As scikit-learn finds them; components have no sign of their own."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    neighbors = pytest.importorskip("sklearn.neighbors")
    x = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    found = see.codes(trained, x, "b", neighbours=5)
    made = see.activations(trained, x, "b").values.flatten(1).detach().numpy()
    wanted = torch.as_tensor(decomposition.PCA(2, svd_solver="full").fit_transform(made))
    torch.testing.assert_close(found.values.places.abs(), wanted.abs(), rtol=0, atol=1e-4)
    near = neighbors.NearestNeighbors(n_neighbors=6, metric="cosine").fit(made).kneighbors(made)
    assert found.values.nearest.tolist() == near[1][:, 1:].tolist()  # the first is itself
    assert len(found.rows) == 1 + 8
    assert found.png()


def test_codes_are_those_before_the_head(trained: nn.Module) -> None:
    x = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(6))
    found = see.codes(trained, x, neighbours=2)
    assert found.title == "net: codes at global_avg_pool1"
    with pytest.raises(TrainError, match="5 neighbours are asked of 5 pictures"):
        see.codes(trained, x, neighbours=5)
