"""A search with training: a study keeps to the budget, prunes, and goes on where it stopped."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
optuna = pytest.importorskip("optuna")

import archspec  # noqa: E402
from archspec import search  # noqa: E402
from archspec.cli.app import app  # noqa: E402
from archspec.search.errors import SearchError  # noqa: E402
from archspec.text.faults import SpecError  # noqa: E402

SPEC = """\
spec: 1
name: net
params: {width: 8, groups: 1}
input: [4]
body: [{linear: $width}, relu, {linear: 2}]
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC)
    return "net.yaml"


def data() -> dict[str, Any]:
    """Whether the sum of four numbers is above 0."""
    x = torch.randn(160, 4, generator=torch.manual_seed(0))
    y = (x.sum(1) > 0).long()
    return {"train": (x[:120], y[:120]), "val": (x[120:], y[120:])}


def searched(net: str, space: list[str], limits: str = "", **keys: Any) -> search.Found:
    return search.study(net, space, limits, data=data(), quiet=True, **{"epochs": 2, **keys})


def test_a_good_rate_is_found_and_what_is_beyond_the_budget_never_trains(
    net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    build = archspec.build

    def seen(program: Any) -> Any:
        widths.append(program.graph.root.args["width"])
        return build(program)

    monkeypatch.setattr("archspec.module.build", seen)
    found = searched(
        net, ["lr=1e-5..1e-1:log width=4..32:4 batch=[8, 16]"], "params < 100", trials=8
    )
    assert len(widths) == 8  # 7 * width + 2 params
    assert max(widths) == 12
    assert found.dropped > 0
    assert len(found.candidates) + found.pruned == 8
    best = max(found.candidates, key=lambda one: one.figures["val.accuracy"])
    assert found.best.figures["val.accuracy"] == best.figures["val.accuracy"] > 0.8
    assert found.best.point["lr"] > 1e-3
    assert f"lr: {found.best.point['lr']:.3g}"[:6] in found.best.plan
    assert [path.name for path in Path().iterdir()] == ["net.yaml"]  # no run is written


def test_the_figures_are_those_of_training_it_alone(net: str) -> None:
    found = searched(net, ["lr=[0.02]", "width=[5]", "weight_decay=[0.1]"], trials=1)
    torch.manual_seed(0)
    model = archspec.build(net, width=5)
    optimizer = {"adamw": {"lr": 0.02, "weight_decay": 0.1}}
    run = archspec.train.fit(model, data(), epochs=2, optimizer=optimizer, log=None, quiet=True)
    assert found.best.figures["val.accuracy"] == run.last["val.accuracy"]
    assert found.best.figures["params"] == 5 * 5 + 12


def test_it_goes_on_where_it_stopped(net: str) -> None:
    kept = search.Kept("sqlite:///study.db")
    space = ["lr=1e-4..1e-1:log"]
    first = searched(net, space, kept=kept, trials=2)
    again = searched(net, space, kept=kept, trials=4)
    assert again.candidates[:2] == first.candidates
    assert len(again.candidates) == 4
    assert len({one.point["lr"] for one in again.candidates}) == 4
    with pytest.raises(SearchError, match=r"the study `net` in .* had another space"):
        searched(net, ["lr=1e-4..1:log"], kept=kept)
    with pytest.raises(SearchError, match="had another plan"):
        searched(net, space, kept=kept, epochs=3)


def _one_of_two(place: str, net: str) -> list[Any]:
    os.chdir(place)
    found = searched(net, ["lr=1e-4..1e-1:log"], kept=search.Kept("sqlite:///two.db"), trials=6)
    return [one.point["lr"] for one in found.candidates]


def test_processes_that_begin_together_share_one_study(net: str) -> None:
    # forked from one that has imported, and computed nothing: torch's threads would make it hang
    apart = get_context("forkserver")
    apart.set_forkserver_preload(["archspec.train.engine", "optuna", "torch._dynamo"])
    with ProcessPoolExecutor(2, apart) as pool:
        found = list(pool.map(_one_of_two, [str(Path.cwd())] * 2, [net] * 2))
    rates = max(found, key=len)
    assert len(rates) in (6, 7)  # one may be on its way when the other is done
    assert len(set(rates)) == len(rates)
    assert all(rate in rates for rate in min(found, key=len))


def test_a_bad_trial_is_pruned(net: str) -> None:
    rates = ", ".join(f"{0.02 + k / 1000}" for k in range(6))
    found = searched(net, [f"lr=[{rates}, 1e-9, 2e-9, 3e-9, 4e-9]"], epochs=4, trials=10)
    assert len(found.candidates) + found.pruned == 10
    assert found.pruned > 0
    assert all(one.point["lr"] > 1e-3 for one in found.front)


def test_several_aims_are_a_front(net: str) -> None:
    aims = "max val.accuracy, min macs"
    found = searched(net, ["width=1..6", "lr=[0.02]"], aims=aims, trials=10)
    assert len(found.candidates) == 6  # each once: then none is left
    for one in found.candidates:
        for other in found.front:
            better = one.figures["val.accuracy"] > other.figures["val.accuracy"]
            assert not (better and one.figures["macs"] <= other.figures["macs"])
    assert found.plot().axes[0].get_xlabel() == "macs"


def test_the_command_writes_a_variant_and_a_plan_that_train_to_the_same(net: str) -> None:
    import numpy

    (x, y), _ = data().values()
    numpy.savez("sums.npz", x=x.numpy(), y=y.numpy())
    space = ("--space", "width=2..12", "lr=1e-3..1e-1:log", "--data", "sums.npz")
    args = ("search", net, *space, "--epochs", "2", "-n", "3", "-o", "best.yaml")
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "archspec train best.yaml --variant found --plan best.plan.yaml" in done.output
    trained = CliRunner().invoke(
        app, ["train", "best.yaml", "-v", "found", "-p", "best.plan.yaml", "-o", "run"]
    )
    assert trained.exit_code == 0, (trained.output, trained.exception)
    figure = archspec.train.load_run("run").last["val.accuracy"]
    assert f"{figure:.4g}" in done.output.split("-\n")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("space", "keys", "said"),
    [
        ("widht=1..3", {}, "E861 neither `net` nor the plan has `widht`\n  help: did you mean `wi"),
        ("decay=1e-5..1e-2:log", {}, "how much is `weight_decay=1e-5..1e-1:log`"),
        ("width=1..3", {"aims": "min macs"}, "E862 no aim is measured by training"),
        ("width=1..3", {"aims": "max val.acuracy"}, "called `val.acuracy`\n  help: did you mean"),
        ("width=1..3", {"limits": "params < 3"}, "E863 none of"),
        ("width=1..3", {"kept": search.Kept("sqlite:////no/where.db")}, "E865 the storage"),
        ("width=1..3", {"kept": search.Kept("nonsense")}, "E865 the storage `nonsense`"),
    ],
)
def test_what_cannot_be_searched(net: str, space: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SearchError) as caught:
        searched(net, [space], **keys)
    assert said in str(caught.value)


def test_a_value_that_the_plan_refuses_is_said_at_its_place(net: str) -> None:
    with pytest.raises(SpecError, match="a whole number of at least 1"):
        searched(net, ["batch=[0]"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--storage", "sqlite:///x.db"], "`--storage` is for a search with training"),
        (["--data", "digits", "--processes", "2"], "`--processes` is for a search without data"),
    ],
)
def test_options_that_do_not_go_together(net: str, args: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["search", net, "--space", "width=1..3", *args])
    assert done.exit_code == 2
    assert said in done.output


def test_the_example_searches_under_the_budget_of_the_one_chosen_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    monkeypatch.delitem(sys.modules, "search_digits", raising=False)
    import search_digits

    by_hand, searched = search_digits.main(trials=2, epochs=1, seeds=2, folds=2)
    (hand, chosen, first), (best, found, last) = by_hand[1], searched[1]
    assert {one.point["lr"] for one in hand.candidates} < {0.001, 0.002, 0.004, 0.008, 0.016}
    assert chosen.figures["macs"] == 416_520
    assert len(best.candidates) == 2
    assert found in best.candidates
    assert all(one.figures["macs"] <= 416_520 for one in best.candidates)
    assert 0.1 < first < 1
    assert 0.1 < last < 1
