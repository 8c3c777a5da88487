"""A trained network → a folder that needs nothing else, or a repository of the Hub; and back.

    save_pretrained(run, "out")      out/  README.md  network.svg  facts.json  model.safetensors
                                           spec/lenet5.yaml
    from_pretrained("out")           the module, its weights the same to the bit
    predict("out", ["3.png"])        the folder is a checkpoint, without what a run needs to go on

The weights are safetensors, the spec is text that archspec checks, the rest is JSON and a card for
people: nothing of it is run by whoever loads such a folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from torch import nn

from archspec.figures import figure
from archspec.frames import frame
from archspec.report.layers import title
from archspec.train import hub, networks, reading, sets, state, use
from archspec.train.errors import TrainError
from archspec.train.loading import Normal
from archspec.train.run import PLACES, Run
from archspec.train.sets import Facts
from archspec.train.start import shift
from archspec.train.tasks import task
from archspec.units import count
from archspec.version import VERSION
from archspec.weights import origin, sources
from archspec.weights.errors import WeightsError

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan

Saved = nn.Module | Run | str | Path
_PIPELINES = {
    "classification": "image-classification", "segmentation": "image-segmentation",
    "detection": "object-detection",
}  # fmt: skip
_CLASSES = 50  # that a card names


def save_pretrained(
    what: Saved,
    folder: str | Path,
    *,
    license: str = "",
    classes: Sequence[str] = (),
    plan: reading.Planned | None = None,
) -> Path:
    """Write a network, with all that its use needs, into a folder: whole or not at all.

    `what` is a Run, a run's folder (of both the best checkpoint) or a checkpoint; or a module that
    archspec built: then `classes` names what its head tells apart, and `plan` says its task and how
    inputs are normalised; published weights bring their own. `license` is that of the weights, as
    the Hub spells it: "mit", "apache-2.0". A folder that is there is replaced if it is empty or
    such a one. Raises TrainError, SpecError for a wrong plan.
    """
    folder = Path(folder).absolute()
    _free(folder)
    if isinstance(what, nn.Module):
        whole, facts = _of_module(what, tuple(classes), reading.given(plan, {}))
    elif classes or plan is not None:
        message = "a run has its classes and its plan"
        raise TrainError("E808", message, "they are said of a module alone")
    else:
        whole, facts = _of_run(what)
    models = networks.parts(whole)
    records, texts = {}, {}
    for name, program in networks.programs(whole).items():
        records[name], texts[name] = state.spec_record(program)
    main, *others = models
    program = origin.program_of(models[main])
    assert program is not None
    facts = {**facts, "spec": records[main], "license": license}
    if others:
        facts["others"] = {name: records[name] for name in others}
    texts[main] |= {"README.md": card(program, facts), "network.svg": str(figure(program))}
    beside = {name: (models[name].state_dict(), texts[name]) for name in others}
    made = state.Checkpoint(models[main].state_dict(), None, facts, texts[main], beside)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        state.placed(folder, made)
    except OSError as bad:
        message = f"`{folder}` cannot be written: {bad.strerror}"
        raise TrainError("E808", message, "name another folder") from None
    return folder


def from_pretrained(name: str | Path) -> nn.Module:
    """The module, in evaluation, of a folder of `save_pretrained`, of a run, or of the Hub.

    A name `owner/name` that is no folder here is a repository of the Hub, as `hf://owner/name` is
    everywhere. `archspec.train.load` gives the module with its classes and preprocessing. Raises
    TrainError.
    """
    return use.load(hub.address(name)).model


def push_to_hub(what: Saved, repository: str, *, private: bool = False, **keys: Any) -> str:
    """Upload a network to the Hugging Face Hub; the address. `keys` are `save_pretrained`'s.

    A folder of `save_pretrained` goes as it is, so its card may be written on. Raises TrainError.
    """
    if isinstance(what, (str, Path)) and _saved(Path(what)) and not keys:
        return hub.sent(Path(what), repository, private=private)
    with tempfile.TemporaryDirectory() as aside:
        folder = save_pretrained(what, Path(aside, "network"), **keys)
        return hub.sent(folder, repository, private=private)


# ------------------------------------------------------------------ what is saved


def _saved(folder: Path) -> bool:
    """Whether `save_pretrained` wrote a folder."""
    return (folder / "facts.json").is_file() and (folder / "README.md").is_file()


def _free(folder: Path) -> None:
    """Raises TrainError where something else stands."""
    if not folder.exists() or _saved(folder):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        message = f"`{folder}` is there and was not written by `save_pretrained`"
        raise TrainError("E808", message, "name another folder, or empty it")


def _of_run(what: Run | str | Path) -> tuple[nn.Module, dict[str, Any]]:
    folder = what.folder if isinstance(what, Run) else what
    if folder is None:
        message = "the run was not written: its plan has `log: null`"
        raise TrainError("E808", message, "give the module that it trained")
    checkpoint = state.found(folder)
    found, facts = use.load(checkpoint), state.facts_of(checkpoint)
    return found.whole, {**facts, "plan": _elsewhere(found.plan)}


def _elsewhere(plan: Plan) -> str:
    """The plan without the folders of this machine."""
    written = dict(plan.source.data or {})
    data = written.get("data")
    places = data if isinstance(data, dict) else {}
    far = {key: Path(at).name for key, at in places.items() if _absolute(at)}
    if isinstance(data, str) and _absolute(data):
        far = {"train": Path(data).name}
    if "log" not in written and not far:
        return plan.source.text
    written.pop("log", None)
    if far:
        written["data"] = {**places, **far}
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True)


def _absolute(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()


def _of_module(
    model: nn.Module, classes: tuple[str, ...], plan: Plan
) -> tuple[nn.Module, dict[str, Any]]:
    program = origin.program_of(model)
    if program is None:
        message = f"archspec did not build this {type(model).__name__}, and has no spec of it"
        raise TrainError("E808", message, "a module of `archspec.build`, a run or a checkpoint")
    shape = program.graph.steps[0].outs[0].shape
    width = _width(program)
    names = classes or _published(model, program, width)
    if names and len(names) != width:
        message = f"{len(names)} classes are named, the head is {width} wide"
        raise TrainError("E804", message, "one name for each, in the order of the outputs")
    facts = Facts(task(plan, program).name, names, shape, _normal(model, program, plan))
    return model, {
        "format": state.FORMAT, "archspec": VERSION, "plan": plan.source.text,
        "data": facts.record(), "metrics": {},
    }  # fmt: skip


def _width(program: Program) -> int:
    """Of the output that counts, along its first axis."""
    edge = program.graph.outputs[sets.main(program)][0]
    return program.graph.steps[edge.node].outs[edge.output].shape[0]


def _normal(model: nn.Module, program: Program, plan: Plan) -> Normal | None:
    """As the plan says in numbers, else as published weights expect."""
    how = plan.data.normalize if plan.data is not None else "auto"
    if isinstance(how, dict):
        return Normal(tuple(map(float, how["mean"])), tuple(map(float, how["std"])))
    return None if how == "none" else shift(model, program)


def _published(model: nn.Module, program: Program, width: int) -> tuple[str, ...]:
    """The classes of torchvision's weights, where the model has them with their head."""
    report = origin.report(model)
    if report is None or any(not line.name.endswith("_tracked") for line in report.fresh):
        return ()
    with suppress(WeightsError):
        named = str(sources.named(sources.Part.of(program), "torchvision"))
        if report.source == named:
            names = tuple(sources.enum(named).meta["categories"])
            return names if len(names) == width else ()
    return ()


# ------------------------------------------------------------------ the card


def card(program: Program, facts: Mapping[str, Any]) -> str:
    """The README: a head that the Hub reads, then for people what it is and how it is used."""
    known, totals = Facts.of(facts["data"]), program.analysis.totals
    head: dict[str, Any] = {"library_name": "archspec", "tags": ["archspec", "pytorch"]}
    if known.task in _PIPELINES and len(known.shape) == 3:
        head["pipeline_tag"] = _PIPELINES[known.task]
    if facts["license"]:
        head = {"license": facts["license"], **head}
    graph = program.graph
    inputs = [(n.path, list(n.outs[0].shape)) for n in graph.steps if n.layer is None]
    classes = known.classes if len(known.classes) == _width(program) else ()
    more = len(classes) - _CLASSES
    return frame(
        "train/card.md.jinja",
        head=yaml.safe_dump(head, sort_keys=False, allow_unicode=True),
        title=title(program),
        params=count(totals.params).strip(),
        macs=count(totals.macs).strip(),
        spec=facts["spec"]["files"][0][2],
        metrics=_measured(facts["metrics"]),
        inputs=inputs,
        pictures=len(inputs[0][1]) == 3,
        outputs=[
            (name, [list(graph.steps[e.node].outs[e.output].shape) for e in edges])
            for name, edges in graph.outputs.items()
            if name not in graph.training_outputs
        ],
        normal=known.normal,
        classes=", ".join(classes[:_CLASSES]) + (f" and {more} more" if more > 0 else ""),
        plan=facts["plan"].strip(),
        cite=program.spec.cite,
        license=facts["license"],
    )


def _measured(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The metrics of an epoch on what was held out; of training, where nothing was."""
    figures = {k: v for k, v in row.items() if k not in PLACES and isinstance(v, float)}
    held = {k: v for k, v in figures.items() if k.startswith("val.")}
    return [(key, f"{value:.4f}") for key, value in (held or figures).items()]
