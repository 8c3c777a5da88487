"""The package that docs/plugins.md shows is an op; what is wrong with such a package is said."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

import archspec
from archspec.emit.check import Declared, UnsafeTextError, verify
from archspec.language.names import COMPANIONS, MODIFIERS, STRUCTURE
from archspec.language.schema import schema
from archspec.layers import REGISTRY, Layer, TensorType, create, register
from archspec.layers.base import Call, Weight
from archspec.layers.plugin import RESERVED, offers
from archspec.report import vocabulary, write

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
FILES = {
    match[1]: text
    for _, text in BLOCKS
    if (match := re.match(r'"""(my_package/\w+\.py)', text)) is not None
}
(SPEC,) = (text for word, text in BLOCKS if word == "yaml")
(POINT,) = (text for word, text in BLOCKS if word == "toml")
(PROGRAM,) = (text for word, text in BLOCKS if "archspec.register" in text)

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on the path: what `pip install` writes of it. All is forgotten again."""
    monkeypatch.setattr(REGISTRY, "_known", {**REGISTRY._known})
    monkeypatch.setattr(REGISTRY, "refused", {})
    before = set(sys.modules)

    def put(points: str, name: str = "my-package", **files: str) -> Path:
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[archspec.layers]\n{points}\n")
        for file, text in files.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        offers.cache_clear()
        return tmp_path

    yield put
    offers.cache_clear()
    for module in set(sys.modules) - before:
        if module.startswith("my_package"):
            del sys.modules[module]


def of_the_page(install: Install) -> Path:
    """The page's package, installed; beside it the page's spec."""
    (group, *lines) = POINT.splitlines()
    assert group == '[project.entry-points."archspec.layers"]'
    folder = install("\n".join(lines).replace('"', ""), **FILES)
    (folder / "vqvae.yaml").write_text(SPEC)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


# ---------------------------------------------------------------- the page's package


def test_the_command_line_finds_the_op_by_its_entry_point(install: Install) -> None:
    folder = of_the_page(install)
    done = run(folder, "-m", "archspec", "check", "vqvae.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2,579 parameters" in done.stdout


def test_a_program_registers_the_class_without_an_entry_point(install: Install) -> None:
    folder = install("", **FILES)
    (folder / "vqvae.yaml").write_text(SPEC)
    done = run(folder, "-c", f"{PROGRAM}\nprint(type(model.quantiser))")
    assert done.stdout == "<class 'my_package.quantiser.VectorQuantiser'>\n", done.stderr


def test_the_module_is_the_users_own(install: Install) -> None:
    import torch

    program = archspec.load(of_the_page(install) / "vqvae.yaml")
    (shown,) = (text for _, text in BLOCKS if text.startswith('"""Vqvae'))
    assert program.code.startswith(shown)
    model: Any = archspec.build(program)
    assert model.state_dict()["quantiser.codebook.weight"].shape == (64, 16)

    x = torch.randn(2, 3, 32, 32)
    out = model(x)
    cells = model.encoder(x)
    book = model.quantiser.codebook.weight
    far = (cells[:, None] - book[None, :, :, None, None]).square().sum(2)
    assert torch.equal(out["codes"], far.argmin(1))
    assert out["codes"].shape[1:] == (8, 8)
    nearest = book[far.argmin(1)].movedim(-1, 1)
    assert torch.allclose(out["image"], model.decoder(nearest), atol=1e-5)
    assert torch.allclose(out["loss"], 1.25 * (nearest - cells).square().mean((1, 2, 3)))
    out["image"].sum().backward()
    assert model.encoder.weight.grad.abs().sum() > 0  # straight through
    assert book.grad is None


def test_reports_and_figures_know_it(install: Install) -> None:
    program = archspec.load(of_the_page(install) / "vqvae.yaml")
    assert "quantiser,vector_quantise," in write(program, "csv")
    assert "vector quantise" in archspec.render(program, format="svg")
    assert "vector_quantise        codes, commitment=0.25" in vocabulary()
    assert "vector_quantise" in schema()["definitions"]["Item"]["anyOf"][1]["properties"]


def test_a_function_of_torch_that_the_class_declares(install: Install) -> None:
    import torch

    install("spectrum = my_package.spectrum:Spectrum", **FILES)
    program = archspec.loads("spec: 1\nname: s\ninput: [2, 8]\nbody: [spectrum]\n")
    assert "return torch.fft.rfft(x).abs()" in program.code
    x = torch.randn(3, 2, 8)
    assert torch.equal(archspec.build(program)(x), torch.fft.rfft(x).abs())


def test_names_of_the_file_are_free_for_the_module(install: Install) -> None:
    """The network, a block and the module of the op would all be called the same."""
    import torch

    of_the_page(install)
    text = "spec: 1\nname: vector_quantiser\nparams: {k: 5}\ninput: [3, 4, 4]\n"
    text += "blocks: {VectorQuantiser2: {params: {k: ~}, body: [{vector_quantise: $k}]}}\n"
    text += "body: [{VectorQuantiser2: $k}]\ninit: {vector_quantise: {weight: {constant: 0.5}}}\n"
    program = archspec.loads(text)
    assert "from my_package.quantiser import VectorQuantiser as Vector" in program.code
    model: Any = archspec.build(program)
    assert torch.allclose(model(torch.randn(2, 3, 4, 4)), torch.tensor(0.5))


SNAKE = """
from archspec.layers.activation import Activation
class Snake(Activation):
    '''Sine.'''
    op = "snake"
    target = "my_package.acts.Snake"
    examples = (({}, ((3,),)),)
"""
ACTS = """
import torch
class Snake(torch.nn.Module):
    def forward(self, x):
        return x.sin()
"""


def test_an_activation_of_a_package_is_a_param_as_any_other(install: Install) -> None:
    import torch

    files = {"my_package/ops.py": SNAKE, "my_package/acts.py": ACTS}
    install("snake = my_package.ops:Snake", **files)
    text = "spec: 1\nname: n\ninput: [3]\n"
    text += "blocks: {Act: {params: {act: snake}, body: [{linear: 3}, {activation: $act}]}}\n"
    text += "body: [Act, {Act: {act: relu}}]\n"
    program = archspec.loads(text)
    assert "act: type[nn.Module] = Snake" in program.code
    model: Any = archspec.build(program)
    x = torch.randn(2, 3)
    inner = model.act1.linear1(x).sin()
    assert torch.equal(model(x), model.act2.linear1(inner).relu())


# ---------------------------------------------------------------- packages that fail

BROKEN = {
    "is not there": ("op = no_such_package.ops:Op", "", "fails: ModuleNotFoundError: No module"),
    "fails": ("op = my_package.ops:Op", "1 / 0", "fails: ZeroDivisionError: division by zero"),
    "no class": ("op = my_package.ops:Op", "Op = 3", "fails: 3 is no subclass of archspec.layers"),
    "other name": ("op = my_package.ops:Snake", SNAKE, "but `op` of Snake is 'snake'; an entry"),
}


@pytest.mark.parametrize(("point", "text", "why"), BROKEN.values(), ids=BROKEN)
def test_a_package_that_fails_is_named(install: Install, point: str, text: str, why: str) -> None:
    install(point, **{"my_package/ops.py": text, "my_package/acts.py": ACTS})
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads("spec: 1\nname: n\ninput: [3]\nbody:\n  - op: 3\n")
    (fault,) = caught.value.faults
    assert fault.code == "E207"
    assert fault.message.startswith("my-package 1.0 offers the op `op`, ")
    assert why in fault.message
    assert "\n" not in fault.message
    assert archspec.loads("spec: 1\nname: n\ninput: [3]\nbody: [{linear: 3}]\n").code


def test_the_sentence_of_the_page(install: Install) -> None:
    install("vector_quantise = my_package.ops:VectorQuantise")
    with pytest.raises(archspec.SpecError) as caught:
        archspec.loads(SPEC)
    (sentence,) = re.findall(r"^E207 (.*)$", PAGE, flags=re.MULTILINE)
    assert caught.value.faults[0].message == sentence


def test_what_is_left_out_of_a_list_is_said(install: Install) -> None:
    folder = install("op = no_such_package.ops:Op\nconv = my_package.ops:Conv")
    done = run(folder, "-m", "archspec", "list", "--ops")
    assert done.returncode == 0
    missing = "ModuleNotFoundError: No module named 'no_such_package'"
    assert done.stderr.splitlines() == [
        f"warning: my-package 1.0 offers the op `op`, which fails: {missing}",
        "warning: my-package 1.0 offers the op `conv`, which is built in",
    ]


def test_two_packages_with_one_op(install: Install) -> None:
    install("snake = my_package.ops:Snake", **{"my_package/ops.py": SNAKE})
    install("snake = my_package.ops:Snake", "other")
    assert "snake" not in REGISTRY
    assert "offer the op `snake`; uninstall one of them" in REGISTRY.refused["snake"]


def test_a_package_is_imported_only_where_its_op_is_named(install: Install) -> None:
    install("snake = my_package.ops:Snake", **{"my_package/ops.py": SNAKE})
    assert archspec.load("resnet50").code
    with pytest.raises(archspec.SpecError, match="did you mean `snake`"):
        archspec.loads("spec: 1\nname: n\ninput: [3]\nbody: [snaek]\n")
    assert "my_package" not in sys.modules
    assert create("snake", {}).op == "snake"
    assert "my_package" in sys.modules


# ---------------------------------------------------------------- what register refuses


class Good(Layer):
    """Half of what goes in."""

    op = "good"
    family = "own"
    target = "my_package.good.Good"
    examples = (({}, ((4, 5),)),)

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t,)


class Parts(Good):
    """Two outputs."""

    gives = ("a", "b")


def says(call: Call) -> dict[str, Any]:
    return {"call": lambda self, t: call}


REFUSED: dict[str, tuple[type[Layer], dict[str, Any], str]] = {
    "no op": (Layer, {"op": None}, "`op` of Bad is None; it is lower case letters, digits and _"),
    "bad op": (Good, {"op": "Bad-op"}, "`op` of Bad is 'Bad-op'; it is lower case"),
    "word": (Good, {"op": "when"}, "`op` of Bad is 'when', which has a meaning of its own"),
    "taken": (Good, {"op": "relu"}, "`relu` is an op already"),
    "no family": (Layer, {"op": "bad"}, "Bad lacks `family`, the word for its colour"),
    "no infer": (Layer, {"op": "bad", "family": "own"}, "Bad lacks the method `infer`"),
    "no target": (Good, {"target": ""}, "Bad lacks `target`, or the method `call`"),
    "no examples": (Good, {"examples": ()}, "Bad lacks `examples`, arguments and shapes"),
    "bare": (Good, {"target": "Good"}, "`target` of Bad names 'Good'; it is `nn.Name` or a class"),
    "relative": (Good, {"target": ".good.Good"}, "`target` of Bad names '.good.Good'; it is"),
    "function": (Good, {"target": "os.system"}, "`target` of Bad names 'os.system'; it is"),
    "private": (Good, {"target": "__main__.Good"}, "`target` of Bad names '__main__.Good'; it is"),
    "package": (Good, {"target": "no_such.Good"}, "there is no package `no_such`"),
    "uses": (Good, {"uses": ("os.system",)}, "`uses` of Bad names 'os.system'; it is a function"),
    "example": (Good, {"examples": (({"k": 1}, ((3,),)),)}, "example {'k': 1}, (3,): Validation"),
    "infer": (Good, {"infer": lambda self, t: t}, "`infer` returns TensorType("),
    "outputs": (Parts, {}, "`infer` returns 1 types; `gives` names 2 outputs"),
    "fails": (Good, {"infer": lambda self, t: (t.shape[9],)}, "(4, 5): IndexError: tuple index"),
    "weights": (Good, {"weights": lambda self, t: ("w",)}, "`weights` returns ('w',); it is a"),
    "call": (Good, {"call": lambda self, t: "f(x)"}, "`call` returns 'f(x)'; it is a Call"),
    "made": (Good, says(Call("nn.ReLU")), "`call` makes `nn.ReLU`, which neither `target` nor"),
    "wrap": (Good, says(Call(None, wrap="eval")), "`wrap` is 'eval'; it is one of 'nn.Parameter'"),
    "syntax": (Good, says(Call(None, forward="x0 +")), "`forward` is 'x0 +', which is no express"),
    "lambda": (Good, says(Call(None, forward="(lambda: x0)()")), "emission writes no Lambda"),
    "name": (Good, says(Call(None, forward="f(x0)")), "nothing is called `f` there"),
    "self": (Good, says(Call(None, forward="self(x0)")), "nothing is called `self` there"),
    "input": (Good, says(Call(None, forward="x1")), "nothing is called `x1` there"),
    "dunder": (Good, says(Call(None, forward="x0.__class__")), "no name like `__class__`"),
    "torch": (Good, says(Call(None, forward="torch.load(x0)")), "`forward` calls `torch.load`, wh"),
    "results": (Good, says(Call(None, forward="x0", results=("y",))), "called `y` there"),
}  # fmt: skip


@pytest.mark.parametrize(("base", "given", "sentence"), REFUSED.values(), ids=REFUSED)
def test_register_names_what_is_wrong(
    install: Install, base: type[Layer], given: dict[str, Any], sentence: str
) -> None:
    install("", **{"my_package/good.py": ""})
    made = type("Bad", (base,), {"__module__": __name__, **given})
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        register(made)
    assert "\n" not in str(caught.value)
    assert register(Good) is REGISTRY["good"]  # what is right beside it is taken


def test_what_the_page_says_that_register_says(install: Install) -> None:
    of_the_page(install)
    shown = re.findall(r"^(?:`target` of )?VectorQuantise .*$", PAGE, flags=re.MULTILINE)
    cls: Any = REGISTRY["vector_quantise"]
    wrong = {"infer": Layer.infer}, {"target": "VectorQuantiser"}, {"infer": lambda s, t: (t,)}
    for given, sentence in zip(wrong, shown, strict=True):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            register(type("VectorQuantise", (cls,), {"__module__": "my_package.ops", **given}))


def test_the_words_that_are_no_ops_are_those_of_the_language() -> None:
    assert {*STRUCTURE, *MODIFIERS, *COMPANIONS} == RESERVED


# ---------------------------------------------------------------- nothing comes in by a spec


@pytest.mark.parametrize(
    "item",
    [
        "my_package.quantiser.VectorQuantiser", "{my_package.quantiser.VectorQuantiser: 3}",
        "my_package", "{activation: my_package.acts.Snake}", "{activation: {os.system: 1}}",
        "{linear: 3, init: {weight: os.system}}", "{linear: 3, init: {my_package: zeros}}",
        "{linear: $(my_package.quantiser)}", "{linear: 3, target: my_package.acts.Snake}",
        "{linear: 3, id: my_package.quantiser}", "{from: my_package, linear: 3}",
    ],
)  # fmt: skip
def test_a_spec_alone_names_nothing_to_import(install: Install, item: str) -> None:
    install("", **FILES, **{"my_package/acts.py": ACTS})
    with pytest.raises(archspec.SpecError):
        archspec.loads(f"spec: 1\nname: n\ninput: [3, 4, 4]\nbody:\n  - {item}\n")
    assert "my_package" not in sys.modules


class Careless(Layer):
    """Writes what a spec says into the code: the gate still lets through what it declares."""

    op = "careless"
    family = "own"
    examples = (({"name": "abs"}, ((3,),)),)
    uses = ("torch.abs", "torch.sin")

    name: str = Field("abs")

    def infer(self, t: TensorType) -> tuple[TensorType, ...]:
        return (t,)

    def weights(self, t: TensorType) -> tuple[Weight, ...]:
        return ()

    def call(self, t: TensorType) -> Call:
        return Call(None, forward=f"torch.{self.name}(x0)")


def test_what_a_spec_says_is_not_code_even_where_a_plug_in_makes_it_so(install: Install) -> None:
    install("")
    register(Careless)
    text = "spec: 1\nname: n\ninput: [3]\nbody: [{careless: NAME}]\n"
    assert "torch.sin(x)" in archspec.loads(text.replace("NAME", "sin")).code
    for name in ("load", "sin.load", "hub.load", "os.system"):
        with pytest.raises(UnsafeTextError):
            _ = archspec.loads(text.replace("NAME", name)).code


def test_the_gate_lets_through_what_is_declared_and_nothing_beside() -> None:
    declared = Declared({"a.b.Own": "Own", "a.b.Two": "Two2"}, frozenset({"torch.fft.rfft"}))
    body = "\nclass N(nn.Module):\n    def forward(self, x):\n        return {}\n"
    head = "import torch\nfrom torch import nn\n"
    own = "from a.b import Own, Two as Two2\n"
    verify(head + own + body.format("Own(Two2(torch.fft.rfft(x)))"), declared)
    for wrong in (
        "from a.b import Other\n", "from a.b import Own, Other\n", "from a import b\n",
        "from a.b import Own as Other\n", "from a.b import Two\n", "import a.b\n",
        "from .a.b import Own\n", "from a.c import Own\n",
    ):  # fmt: skip
        with pytest.raises(UnsafeTextError):
            verify(head + wrong + body.format("x"), declared)
    for wrong in ("torch.fft.ifft(x)", "torch.fft", "torch.load(x)", "torch.fft.rfft.__globals__"):
        with pytest.raises(UnsafeTextError):
            verify(head + body.format(wrong), declared)
    with pytest.raises(UnsafeTextError):
        verify(head + own + body.format("x"))
