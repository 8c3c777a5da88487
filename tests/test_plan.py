"""Plans: what they mean, what is wrong with them; complaints are files (`--update` rewrites)."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archspec.codes import CODES
from archspec.text.faults import SpecError
from archspec.text.source import from_text, read
from archspec.train import reading
from archspec.train.errors import TrainError
from archspec.train.named import Called
from archspec.train.plan import Cosine, Data, Log, Phase, Plan, Plateau, Stop

FOLDER = Path(__file__).resolve().parent / "plans"
KINDS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
JUDGE = jsonschema.Draft7Validator(reading.schema())
# what no schema says: names and values that torch knows
UNSAID = {
    "optimizer_unknown", "optimizer_argument_unknown", "optimizer_refused_by_torch",
    "optimizer_needs_a_closure", "optimizer_argument_by_place", "optimizer_betas",
    "optimizer_refused_by_what_it_stumbles_over", "augment_unknown",
    "augment_too_much", "loss_unknown", "val_above_one", "normalize_without_std",
    "phase_rate_negative", "schedule_value", "label_smoothing_whole",
    "optimizer_rate_of_nothing",
}  # fmt: skip


def plan(text: str) -> Plan:
    return reading.parse(from_text(text, "plan.yaml"))


@pytest.mark.parametrize("kind", KINDS)
def test_complaint(kind: str, update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        reading.given(f"{kind}.yaml", {})
    text = f"{caught.value}\n"
    assert {fault.code for fault in caught.value.faults} <= set(CODES)
    assert text.count("^") >= len(caught.value.faults)
    expected = FOLDER / f"{kind}.txt"
    if update:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_reader_refuses_the_schema_refuses(kind: str) -> None:
    try:
        source = read(FOLDER / f"{kind}.yaml")
    except SpecError:
        return  # no YAML
    assert JUDGE.is_valid(source.data) == (kind in UNSAID)


WHOLE = """\
data: {train: data/birds, val: 0.1, size: 224, normalize: zscore, augment: [{flip: horizontal}]}
loss: cross_entropy
optimizer: {adamw: {lr: 1.0e-3, weight_decay: 0.05}}
schedule: {cosine: {warmup: 0.05}}
batch: 64
precision: fp32
clip: 1.0
stop: {monitor: val.accuracy, patience: 5}
phases:
  - {name: head, train: [head], epochs: 3, lr: 1.0e-2}
  - {name: top, train: [head, stages.3], epochs: 5, lr: {head: 1.0e-3, stages.3: 1.0e-4}}
  - {name: all, train: all, epochs: 20, lr: 3.0e-4, layer_decay: 0.75}
frozen_norm: eval
"""


def test_a_whole_plan() -> None:
    found = plan(WHOLE)
    assert JUDGE.is_valid(found.source.data)
    assert found.optimizer == Called("adamw", {"lr": 1e-3, "weight_decay": 0.05})
    assert found.schedule == Cosine(warmup=0.05)
    assert found.data is not None
    assert found.data.size == (224, 224)
    assert [phase.train for phase in found.parts] == [("head",), ("head", "stages.3"), "all"]
    assert found.parts[1].lr == {"head": 1e-3, "stages.3": 1e-4}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("data: digits", "data: {train: digits}"),
        ("data: [a, b]", "data: {train: a, val: b}"),
        ("optimizer: sgd", "optimizer: {SGD: {}}"),
        ("schedule: plateau", "schedule: {plateau: {patience: 5}}"),
        ("stop: 3", "stop: {patience: 3}"),
        ("log: runs/a", "log: {folder: runs/a}"),
        ("phases: [{train: fc}]", "phases: [{train: [fc]}]"),
        ("", "epochs: 10"),
    ],
)
def test_short_spellings_mean_the_long_ones(short: str, long: str) -> None:
    one, other = plan(short), plan(long)
    drop = {"source"}
    assert one.model_dump(exclude=drop) == other.model_dump(exclude=drop)
    assert JUDGE.is_valid(from_text(short).data or {})


def test_keys_of_python_are_a_plan_of_their_own(tmp_path: Path) -> None:
    found = reading.given(
        None, {"data": ("a", Path("b")), "optimizer": {"sgd": {"lr": 0.1}}, "schedule": "plateau"}
    )
    assert found.schedule == Plateau()
    again = plan(found.source.text)
    assert again.model_dump(exclude={"source"}) == found.model_dump(exclude={"source"})
    path = tmp_path / "plan.yaml"
    path.write_text(WHOLE)
    changed = reading.given(path, {"epochs": 3})
    assert (changed.epochs, changed.batch, len(changed.phases)) == (3, 64, 3)


def test_what_no_plan_can_hold_is_refused() -> None:
    with pytest.raises(TrainError, match="not object"):
        reading.given(None, {"optimizer": {"sgd": {"lr": object()}}})


def test_a_phase_is_everything_where_none_is_written() -> None:
    assert plan("epochs: 3").parts == (Phase(),)


def test_the_schema_of_a_plan_needs_no_torch() -> None:
    code = (
        "import sys; from archspec.cli.app import app\n"
        "app.main(['schema', '--plan'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '"archspec plan"' in done.stdout


def test_every_named_default_is_known_to_torch() -> None:
    found: dict[str, Any] = plan("").model_dump()
    assert found["optimizer"] == Called("adamw", {})


ATOMS = st.sampled_from([
    None, True, 0, 1, -1, 0.5, 10**30, float("nan"), "", "a", "all", "auto", "sgd", "cosine", "$x",
    "digits", "both",
])  # fmt: skip
WORDS = st.sampled_from(["lr", "sgd", "step", "at", "betas", "train", "patience", "flip", "every"])
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)
SECTIONS = {"data": Data, "stop": Stop, "log": Log}
PLANS = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(list(SECTIONS[name].model_fields)), VALUES) | VALUES
        if name in SECTIONS
        else VALUES
        for name in Plan.model_fields
        if name != "source"
    },
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(PLANS)
def test_whatever_is_written_is_a_plan_or_a_complaint(document: Any) -> None:
    with suppress(SpecError, TrainError):
        found = reading.given(None, document)
        assert JUDGE.is_valid(found.source.data or {})


DOCS = (Path(__file__).resolve().parent.parent / "docs" / "training.md").read_text("utf-8")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "plans"


def test_what_the_docs_show_are_plans(torchvision: object) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", DOCS, flags=re.DOTALL | re.MULTILINE)
    for text in (shown, *(path.read_text("utf-8") for path in EXAMPLES.glob("*.yaml"))):
        assert JUDGE.is_valid(plan(text).source.data)
    keys = re.findall(r"^\| `(\w+)` \|", DOCS, flags=re.MULTILINE)
    assert set(keys) >= {name for name in Plan.model_fields if name != "source"}
