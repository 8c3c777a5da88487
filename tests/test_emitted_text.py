"""What a reviewer would send back does not stand in an emitted file; each rule can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checks import problems
from random_specs import from_seed
from shipped import program
from test_lowering import check

from archspec import shelf
from archspec.emit.lowering.members import camel
from archspec.emit.text import layout
from archspec.emit.torch_code import taken
from archspec.expressions.sym import Sym, evaluate, written
from archspec.network import Program, load, loads
from archspec.text.faults import SpecError

NETWORKS = Path(__file__).resolve().parent.parent / "docs" / "emission"
REVIEWED = Path(__file__).resolve().parent / "reviewed"
PINNED = Path(__file__).resolve().parent / "emitted"
DRAWN = 150
SIDE_BY_SIDE = sorted(p.stem for p in NETWORKS.glob("*.yaml"))


def programs() -> Iterator[tuple[str, Program]]:
    for name in shelf.names():
        for variant in (name, *program(name).spec.variants):
            yield f"{name}_{variant}", program(name, variant)
    for name in SIDE_BY_SIDE:
        yield name, load(NETWORKS / f"{name}.yaml")
    for path in sorted(REVIEWED.glob("*.yaml")):
        yield f"reviewed_{path.stem}", load(path)
    for seed in range(DRAWN):
        try:
            yield f"drawn{seed}", loads(from_seed(seed))
        except SpecError:
            continue


@pytest.fixture(scope="module")
def texts() -> dict[str, tuple[str, str]]:
    """The text of each spec, and of what is emitted, by name."""
    every = list(programs())
    read = {n: "\n".join(s.text for s in p.spec.sources.values()) for n, p in every}
    return {n: (read[n], p.code) for n, p in every}


# ---------------------------------------------------------------- rules


def own(code: str) -> list[ast.ClassDef]:
    """The classes that are not definitions of archspec's."""
    classes = [n for n in ast.parse(code).body if isinstance(n, ast.ClassDef)]
    return [c for c in classes if c.name not in taken()]


def by_a_string(code: str) -> list[str]:
    """Members that are reached by a name in quotes: `self["0"]`, `getattr(self, "0")`."""
    return re.findall(r"self\[[\"']\w+[\"']\]|getattr\(self", code)


def numbered(spec: str, code: str) -> set[str]:
    """Classes with a number behind a name that is not the author's; not where a recursion ends."""
    authors = {camel(word) for word in re.findall(r"\w+", spec)}
    texts = {c.name: ast.unparse(c) for c in own(code)}
    found = {n: n.rstrip("0123456789") for n in texts.keys() - authors if n[-1].isdigit()}
    return {n for n, base in found.items() if base in texts and f"{n}(" not in texts[base]}


def sums(code: str) -> Iterator[ast.BinOp]:
    """Whole expressions over names of the constructor, and over sizes of tensors in forward."""

    def inside(node: ast.AST) -> Iterator[ast.BinOp]:
        for child in ast.iter_child_nodes(node):
            linear = isinstance(child, ast.BinOp) and isinstance(
                child.op, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv)
            )
            if linear and isinstance(child, ast.BinOp):
                yield child
            else:
                yield from inside(child)

    for c in own(code):
        for method in c.body:
            if isinstance(method, ast.FunctionDef):
                tensors = method.name == "forward"
                yield from (s for s in inside(method) if not (tensors and _on_tensors(s)))


def _on_tensors(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _on_tensors(node.left) or _on_tensors(node.right)
    return not isinstance(node, (ast.Constant, ast.Attribute, ast.Subscript))


def simplest(node: ast.BinOp) -> str:
    """The same as a Sym writes it; what is no sum is a name."""
    atoms: dict[str, str] = {}

    def renamed(part: ast.expr) -> ast.expr:
        if isinstance(part, ast.BinOp):
            return ast.BinOp(renamed(part.left), part.op, renamed(part.right))
        if isinstance(part, ast.Constant):
            return part
        return ast.Name(atoms.setdefault(ast.unparse(part), f"a{len(atoms)}"))

    tree = renamed(node)
    found = written(evaluate(tree, {a: Sym.of(a, 1009) for a in atoms.values()}))
    return "" if ast.unparse(found) == ast.unparse(tree) else ast.unparse(found)


def idle(code: str) -> list[str]:
    """Attributes that are an nn.Identity: an alias is no module."""
    return re.findall(r"self\.\w+ = nn\.Identity\(\)", code)


# ---------------------------------------------------------------- what they say


def test_no_member_is_reached_by_a_string(texts: dict[str, tuple[str, str]]) -> None:
    assert {n: found for n, (_, code) in texts.items() if (found := by_a_string(code))} == {}


def test_no_class_has_a_number_of_its_own(texts: dict[str, tuple[str, str]]) -> None:
    found = {n: numbered(spec, code) for n, (spec, code) in texts.items()}
    assert {n: names for n, names in found.items() if names} == {}


def test_sums_are_as_simple_as_they_can_be(texts: dict[str, tuple[str, str]]) -> None:
    every = [(n, s) for n, (_, code) in texts.items() for s in sums(code)]
    assert len(every) > 100
    assert [(n, ast.unparse(s), simplest(s)) for n, s in every if simplest(s)] == []


def test_no_alias_is_a_module(texts: dict[str, tuple[str, str]]) -> None:
    assert {n: found for n, (_, code) in texts.items() if (found := idle(code))} == {}


def test_tools_have_nothing_against_them(texts: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    """All in one run: mypy reads torch's stubs first, which takes longer than all of these."""
    codes = {name: code for name, (_, code) in texts.items()}
    assert sum(name.startswith("drawn") for name in codes) >= 0.8 * DRAWN
    codes |= {f"pinned_{path.stem}": path.read_text("utf-8") for path in PINNED.glob("*.py")}
    for name, code in codes.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        assert not re.search(r"\bAny\b", code), name
    assert problems(tmp_path) == ""


def test_the_rules_see_what_they_forbid() -> None:
    code = "class A(nn.Module):\n    def __init__(self, c: int) -> None:\n"
    code += (
        "        self.a = nn.Identity()\n        self.b = nn.Linear(c + 2 * c - c, 2 * c // 2)\n"
    )
    code += '    def forward(self, x: Tensor) -> Tensor:\n        return self["0"](x) + x\n\n\n'
    code += "class A2(nn.Module):\n    pass\n"
    assert by_a_string(code) == ['self["0"]']
    assert numbered("blocks: {A: {}}", code) == {"A2"}
    assert numbered("blocks: {A: {}, A2: {}}", code) == set()
    assert [simplest(s) for s in sums(code)] == ["2 * a0", "a0"]
    assert idle(code) == ["self.a = nn.Identity()"]


# ---------------------------------------------------------------- side by side


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_the_networks_of_the_docs_are_as_compile_writes_them(
    name: str, request: pytest.FixtureRequest
) -> None:
    found, path = load(NETWORKS / f"{name}.yaml"), NETWORKS / f"{name}.after.py"
    if request.config.getoption("--update"):
        path.write_text(found.code, encoding="utf-8")
    assert found.code == path.read_text(encoding="utf-8")
    check(found)


def test_a_long_product_keeps_its_brackets() -> None:
    """`a * (b // c)` is not `a * b // c`, on several lines as on one."""
    name = "channels_of_the_input"
    text = (
        f"{name} * ({name} * ({name} // 7)) // ({name} * ({name} // 3)) * ({name} - ({name} + 1))"
    )
    node = ast.parse(text, mode="eval").body
    lines = layout(node, "value = ", "", 0)
    assert len(lines) > 1
    (found,) = ast.parse("\n".join(lines)).body
    assert isinstance(found, ast.Assign)
    assert ast.dump(found.value) == ast.dump(node)
