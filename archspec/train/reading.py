"""Path, or keys from Python → Plan: read as specs are, with complaints of the same kind.

    optimiser: adam        E201 `optimiser` has no meaning in a plan
                             --> plan.yaml:1:1
                           help: did you mean `optimizer`?

Keys from Python are written as YAML first: so there is one way to read, complaints can show a
place, and what a checkpoint keeps is the plan itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from archspec.language.complaints import Complaints, keys_of, path_of, refused
from archspec.language.kinds import Form
from archspec.text import source as sources
from archspec.text.faults import SpecError
from archspec.text.source import Source
from archspec.train.errors import TrainError
from archspec.train.plan import SCHEDULES, Data, Log, Phase, Plan, Stop

if TYPE_CHECKING:
    from archspec.language.refusals import Steps

# What is looked for in a plan under other names, or in another place of it.
_ELSEWHERE = {
    "lr": "a rate is the optimizer's: `optimizer: {adamw: {lr: 1.0e-3}}`",
    "learning_rate": "a rate is the optimizer's: `optimizer: {adamw: {lr: 1.0e-3}}`",
    "momentum": "it is the optimizer's: `optimizer: {sgd: {lr: 0.1, momentum: 0.9}}`",
    "weight_decay": "it is the optimizer's: `optimizer: {adamw: {weight_decay: 0.05}}`",
    "batch_size": "`batch: 64`",
    "augment": "it is the data's: `data: {train: …, augment: [{flip: horizontal}]}`",
    "train": "`data: {train: …}`; what trains in a phase is that phase's `train`",
    "val": "it is the data's: `data: {train: …, val: 0.2}`",
    "size": "it is the data's: `data: {train: …, size: 224}`",
    "workers": "it is the data's: `data: {train: …, workers: 4}`",
    "normalize": "it is the data's: `data: {train: …, normalize: zscore}`",
    "warmup": "it is the schedule's: `schedule: {cosine: {warmup: 0.05}}`",
    "patience": "`stop: {patience: 5}`",
    "early_stopping": "`stop: {patience: 5}`",
    "scheduler": "`schedule: cosine`",
    "freeze": "a phase says what trains: `phases: [{train: [fc]}]`",
    "weights": "where a network starts is no part of a plan: `archspec train SPEC --weights …`",
    "model": "the network is no part of a plan: `archspec train SPEC --plan PLAN`",
    "spec": "the network is no part of a plan: `archspec train SPEC --plan PLAN`",
    "folder": "`log: {folder: runs/mine}`",
    "save": "`log: {save: 100}`",
}
_MISSING = {
    "patience": ("how many epochs to wait", "for example `stop: {patience: 5}`"),
}


Planned = str | Path | Plan | Mapping[str, Any]
"""A plan, its file, or its keys."""


def given(plan: Planned | None, keys: Mapping[str, Any]) -> Plan:
    """A plan from a file, from keys, or from a file with some keys set. Raises SpecError."""
    if plan is None or isinstance(plan, Mapping):
        return parse(_from_keys({**(plan or {}), **keys}))
    found = plan if isinstance(plan, Plan) else parse(sources.read(plan))
    if not keys:
        return found
    written = found.source.data or {}
    merged = {**written, **keys}
    for key in ("data", "log"):  # of which keys may say a part
        if written.get(key) is not None and isinstance(keys.get(key), Mapping):
            merged[key] = {**_spelt_out(key, written[key]), **keys[key]}
    return parse(_from_keys(merged)).added_to(found.source)


def _spelt_out(key: str, node: Any) -> dict[str, Any]:
    if key == "data":
        return Data.spelt_out(node, (), None)
    return {"folder": node} if isinstance(node, str) else node


def _from_keys(keys: Mapping[str, Any]) -> Source:
    try:
        text = yaml.safe_dump(_plain(dict(keys)), sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as bad:
        message = (
            f"a plan holds numbers, text, lists and mappings, not {type(bad.args[1]).__name__}"
        )
        help = 'losses and optimizers are named, `optimizer="adam"`; data sets are given as `data=`'
        raise TrainError("E801", message, help) from None
    return sources.from_text("" if not keys else text, "plan")


def _plain(value: Any) -> Any:
    """Tuples as lists, paths as text: what YAML has."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def parse(source: Source) -> Plan:
    """The plan of a source. Raises SpecError with all that is wrong with it."""
    data = {} if source.data is None else source.data
    to = Complaints(source.name, data)
    if not isinstance(data, dict):
        to.add("E118", "a plan is a mapping", (), Plan.help)
    else:
        try:
            return Plan.model_validate(data, context=source)
        except ValidationError as bad:
            for error in bad.errors(include_url=False, include_input=False):
                _complain(error, data, to)
    faults = sorted(to.faults, key=lambda fault: source.place(fault.loc)[:2])
    raise SpecError(faults, {source.name: source})


def _complain(error: Any, data: Any, to: Complaints) -> None:
    path = path_of(error["loc"], data)
    key = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        where, form = _place(path[:-1])
        if form is Plan and key in _ELSEWHERE:
            to.add("E201", f"`{key}` has no meaning {where}", path, _ELSEWHERE[key], on_key=True)
        else:
            to.unknown(key, path, keys_of(form), where)
    elif error["type"] == "missing":
        what, help = _MISSING[key]
        to.add("E202", f"`{key}` is missing: {what}", path, help, on_key=bool(path))
    else:
        refused(path, error, to)


def _place(path: Steps) -> tuple[str, type[Form]]:
    """Where a mapping stands, in words, and what it is."""
    places: dict[str, type[Form]] = {"data": Data, "stop": Stop, "log": Log, **SCHEDULES}
    match path:
        case ():
            return "in a plan", Plan
        case ("phases", int()):
            return "in a phase", Phase
        case (*_, str(name)) if name in places:
            return f"in `{name}`", places[name]
    return "here", Plan


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of a plan file."""
    from archspec.language.schema import untitled

    found: dict[str, Any] = untitled(Plan.model_json_schema(ref_template="#/definitions/{model}"))
    definitions = found.pop("$defs")
    for form in (definitions["Data"],):
        form["type"] = ["object", "string", "array"]
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "archspec plan"}
    return {**head, **found, "definitions": definitions}
