"""Model, data, plan → a run: what is given is read, checked and set going.

run = fit(build("lenet5"), "digits", epochs=20, optimizer={"sgd": {"lr": 0.1}})
run.best["val.accuracy"]                        0.98…
resume(run.folder)                              the same run, if it was cut off before its end
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list

from archspec.text.source import from_text
from archspec.text.words import did_you_mean, listed
from archspec.train import (
    gathering,
    groups,
    hugging,
    memory,
    networks,
    reading,
    refusals,
    sets,
    sharding,
    state,
    tasks,
)
from archspec.train.engine import Job, Training, accelerator
from archspec.train.errors import TrainError
from archspec.train.loading import Normal
from archspec.train.plan import Log, Phase, Plan, Plateau, Stop
from archspec.train.run import Run
from archspec.train.sets import Facts
from archspec.train.tasks.step import Function, Step, agrees
from archspec.weights import origin
from archspec.weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

    from archspec.network import Program
    from archspec.train.log import Row

_TRIES = 100  # updates on one batch
_LEARNT = 0.1  # share of the first loss that is left, at most, where a network can learn


def fit(
    model: gathering.Given,
    data: Any = None,
    *,
    plan: reading.Planned | None = None,
    resume: str | Path | None = None,
    step: Function | None = None,
    quiet: bool = False,
    after: Callable[[Row], None] | None = None,
    **keys: Any,
) -> Run:
    """Train a module that archspec built, or any other; it is trained in place.

    A task that trains several networks takes them in its order, or by their names: `gan` takes
    `(generator, discriminator)`; what is left out the plan names.
    `data` is a path (a folder of class folders, .csv, .npz), "digits", "synthetic", a pair of
    tensors (x, y), a Dataset or a DataLoader; a pair of those is (train, val); a mapping is what
    `data` of a plan is: `{"train": (x, y), "val": 0.1, "augment": […]}`. `plan` is a plan file;
    `keys` are keys of a plan, and go before the file's. `resume` is the folder of a run of the
    same network: it goes on where it was, with its own plan, to the same bits.

    `step` is a function of the model, inputs and targets of a batch that returns its loss, or a
    mapping of `loss` and other figures (means over the batch): it takes the place of a task.
    `after` is called with the row of each epoch, as `Run.metrics` has it; what it raises ends the
    training.

    Raises SpecError for a plan that is wrong; TrainError before the first step where network,
    data and plan do not go together, and later where numbers are no longer finite.
    """
    if resume is not None:
        if plan is not None or keys:
            message = "a run goes on with its own plan"
            raise TrainError("E808", message, "leave the plan out, or start a new run")
        return _resumed(model, Path(resume), data, step, quiet=quiet)
    wanted, data = _named(keys if step is None else {"task": Step.name, **keys}, data)
    found = reading.given(plan, wanted)
    agrees(found, step)
    job = prepare(gathering.gathered(model, found), data, found, quiet=quiet)
    job.task.function = step
    training = Training(replace(job, after=after), accelerator(found, job.folder))
    _begin(training)
    return training.run()


def resume(
    folder: str | Path, data: Any = None, *, step: Function | None = None, quiet: bool = False
) -> Run:
    """Go on with a run from its last checkpoint; what is trained is built from the specs in it.

    `data` has to be given again where it was no path, and `step` where there was one. Raises
    TrainError.
    """
    from archspec.module import build

    checkpoint = state.found(folder, state.LAST)
    programs = state.programs_of(checkpoint, state.facts_of(checkpoint))
    model = networks.whole({name: build(program) for name, program in programs.items()})
    return _resumed(model, Path(folder), data, step, quiet=quiet)


def _named(keys: Mapping[str, Any], data: Any) -> tuple[dict[str, Any], Any]:
    """Paths, words and settings go into the plan, which so says what it is of; sets stay aside."""
    data = hugging.halves(data)
    train, val = sets.pair(data)
    rest = dict(data) if isinstance(data, dict) else {}
    rest |= {"train": train, "val": val}
    plain = (str, Path, int, float)
    settings = {k: v for k, v in rest.items() if isinstance(v, plain) or k not in ("train", "val")}
    found = dict(keys)
    if settings:
        found["data"] = settings
    aside = {k: v for k, v in rest.items() if k not in settings and v is not None}
    return found, aside


def prepare(model: nn.Module, data: Any, plan: Plan, *, quiet: bool = False) -> Job:
    """All that is needed to train, checked as far as it can be before the first step.

    Raises SpecError, TrainError.
    """
    programs = networks.programs(model)
    main, *names = programs
    task = tasks.task(plan, programs[main], {name: programs[name] for name in names})
    reader = task.reader
    wanted = task.asks(sets.wanted(reader, plan, task.targets, plain=task.plain))
    normal = task.normal() or shift(networks.main(model), programs[main])
    found = sets.prepare(plan, data, wanted, task.name, normal)
    _monitored(plan, task, held=found.val is not None)
    if found.train.mixup and not task.mixes:
        said = f"`{task.name}` does not learn from mixtures of two samples"
        raise plan.fault("E802", said, "data", "augment", help="leave `mixup` out")
    _one_by_one(plan, task)
    every = [name for name, _ in model.named_parameters()]
    free = [name for name, value in model.named_parameters() if value.requires_grad]
    trained = [groups.trained(plan, k, free, every) for k in range(len(plan.parts))]
    for k, names in enumerate(trained):  # all of them now, and not when the first are trained
        refusals.optimizer(plan, groups.groups(plan, k, model, names), model)
    task.refuse(found)
    on = accelerator(plan)
    sharding.refuse(plan, len(programs), on)
    batch = plan.batch
    if "batch" not in plan.model_fields_set:
        batch = found.train.samples.batch or batch
    known = {name: program for name, program in programs.items() if program is not None}
    sized = {n: refusals.fits(one, found) if one is reader else one for n, one in known.items()}
    task.rehearse(model, found)
    held: tuple[int, ...] = ()
    if len(known) == len(programs):
        needed, room = memory.needs(sized, plan, free, on), memory.available(on.device)
        if batch == "auto":
            batch = memory.automatic(needed, len(found.train), room)
        memory.refuse(needed, int(batch), room)
        held = tuple(one.bytes(int(batch)) for one in needed)
    elif batch == "auto":
        said = "a batch is predicted for networks of a spec only"
        raise plan.fault("E802", said, "batch", help="write a number")
    last = refusals.Last(len(found.train), int(batch), on.num_processes)
    refusals.warmup(plan, last)
    for names in trained:
        refusals.lone(plan, model, sized, last, names)
    first = programs[main]
    name = first.name if first is not None else type(networks.main(model)).__name__.lower()
    box = [_folder(plan.log, name) if on.is_main_process else None]  # one makes it for all
    broadcast_object_list(box)
    return Job(model, programs, plan, task, found, int(batch), box[0], quiet, held)


def _monitored(plan: Plan, task: tasks.Task, *, held: bool) -> None:
    """Raises SpecError where a plan watches what the task does not measure."""
    if not task.known:
        return  # it is not known before
    known = [f"val.{name}" for name in task.measured() if held or name not in task.later]
    known += [f"train.{name}" for name in task.measured() if name not in task.later]
    if not task.monitor:
        _unmonitored(plan, task)
    places: list[tuple[tuple[str | int, ...], Stop | None]] = [((), plan.stop)]
    places += [(("phases", k), phase.stop) for k, phase in enumerate(plan.phases)]
    for place, stop in places:
        if stop is not None and stop.monitor is not None and stop.monitor not in known:
            said = f"nothing is measured that is called `{stop.monitor}`"
            help = did_you_mean(stop.monitor, known) or f"{task.name} has {listed(known)}"
            raise plan.fault("E802", said, *place, "stop", "monitor", help=help)


def _unmonitored(plan: Plan, task: tasks.Task) -> None:
    """Raises SpecError where a plan waits for a figure that says what is better."""
    places: list[tuple[tuple[str | int, ...], Plan | Phase]] = [((), plan)]
    places += [(("phases", k), phase) for k, phase in enumerate(plan.phases)]
    said = f"no figure of `{task.name}` says which weights are better"
    for place, part in places:
        if isinstance(part.schedule, Plateau) and (plan.stop is None or plan.stop.monitor is None):
            raise plan.fault("E802", said, *place, "schedule", help="`cosine` asks for none")
        if part.stop is not None and part.stop.monitor is None:
            help = "name one: `stop: {patience: …, monitor: …}`, or train to the end"
            raise plan.fault("E802", said, *place, "stop", help=help)


def _one_by_one(plan: Plan, task: tasks.Task) -> None:
    """Raises SpecError for what is only said of one network where several are trained."""
    for k, phase in enumerate(plan.phases):
        if task.networks and phase.layer_decay is not None:
            said = "`layer_decay` goes by the stages of one network; here are several"
            help = f"`lr: {{{task.networks[0]}: 1.0e-4}}` gives rates by path"
            raise plan.fault("E802", said, "phases", k, "layer_decay", help=help)


def shift(model: nn.Module, program: Program | None) -> Normal | None:
    """How inputs are normalised for the published weights that the model was given, if any."""
    if program is None or origin.report(model) is None:
        return None
    from archspec.weights import preprocess

    with suppress(WeightsError, RuntimeError):
        found = preprocess(program)
        if hasattr(found, "mean") and hasattr(found, "std"):
            return Normal(tuple(found.mean), tuple(found.std))
    return None


def _folder(log: Log | None, name: str) -> Path | None:
    """Where the run is written: the folder that is named, or a new one. Raises TrainError."""
    if log is None:
        return None
    try:
        if log.folder is None:
            return _new(Path("runs"), name)
        folder = Path(log.folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        message = f"the folder of the run cannot be made: `{bad.filename}`: {bad.strerror}"
        raise TrainError("E808", message, "name another: `log: {folder: …}`") from None
    if state.pointed(folder, state.LAST) is not None:
        message = f"`{folder}` holds a run already"
        raise TrainError("E808", message, "go on with it by `resume`, or name another folder")
    return folder


def _new(above: Path, name: str) -> Path:
    """The first of `name`, `name-2`, … that nobody has made, made now."""
    above.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = above / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError


def _begin(training: Training) -> None:
    job = training.job
    state.seed_all(job.plan.seed, training.order.rank)
    if job.folder is not None and training.accelerator.is_main_process:
        state.replaced(job.folder / "plan.yaml", job.plan.source.text.encode())


# ------------------------------------------------------------------ going on


def _resumed(
    model: gathering.Given, folder: Path, data: Any, step: Function | None, *, quiet: bool
) -> Run:
    """The run in a folder, from its last checkpoint. Raises TrainError."""
    checkpoint = state.found(folder, state.LAST)
    record, kept = state.facts_of(checkpoint), state.state_of(checkpoint)
    found = reading.parse(from_text(record["plan"], str(folder / "plan.yaml")))
    agrees(found, step)
    model = gathering.gathered(model, found)
    same_network(model, checkpoint, record)
    _, data = _named({}, data)  # settings beside the sets are the plan's
    job = prepare(model, data, found.model_copy(update={"log": None}), quiet=quiet)
    job = replace(job, plan=found, folder=folder, batch=kept["batch"])
    job.task.function = step
    for view in (job.sets.train, job.sets.val):
        if view is not None:  # as the run had it, not as it would be fitted now
            view.normal = Facts.of(record["data"]).normal
    if kept["samples"] != len(job.sets.train):
        here = len(job.sets.train)
        message = f"the run learned from {kept['samples']:,} samples; here are {here:,}"
        raise TrainError("E808", message, "give it the data that it had")
    training = Training(job, accelerator(found, folder))
    first = training.accelerator.is_main_process
    world = len(kept["randomness"])
    if world != training.order.world and not kept["at"]["finished"]:
        message = f"the run had {world} processes; here are {training.order.world}"
        raise TrainError("E808", message, f"go on with {world}")
    training.restore(kept, state.weights_of(checkpoint, record))
    if kept["at"]["best_name"] and first:
        state.point(folder, state.BEST, kept["at"]["best_name"])
    return training.run()


def same_network(model: nn.Module, checkpoint: Path, record: Mapping[str, Any]) -> None:
    """Raises TrainError where a checkpoint is of another network, with what `diff` says of both."""
    from archspec.report import difference
    from archspec.report.table import plain

    ours = networks.programs(model)
    if None in ours.values() or None in (record["spec"], *record.get("others", {}).values()):
        return  # shapes are compared when the weights are loaded
    for name, theirs in state.programs_of(checkpoint, record).items():
        program = ours.get(name)
        if program is None or theirs.code == program.code:
            continue
        shown = plain(difference.difference(difference.compare(theirs, program)))
        message = f"`{checkpoint}` is of another {name or 'network'}, `{theirs.name}`:\n{shown}"
        help = "start a new run; `archspec weights report` says which of its weights stay"
        raise TrainError("E808", message, help)


# ------------------------------------------------------------------ can it learn at all


def overfit_one_batch(
    model: gathering.Given, data: Any = None, *, plan: reading.Planned | None = None, **keys: Any
) -> tuple[float, float]:
    """The loss on one batch before and after it was learned by heart, by a copy of the model.

    A network that cannot do that has a defect, or its rate is wrong. Nothing is augmented, held
    out or written. Raises TrainError where less than nine tenths of the loss go away.
    """
    wanted, data = _named(keys, data)
    found = reading.given(plan, wanted).model_copy(
        update={"log": None, "phases": (), "stop": None, "epochs": _TRIES, "ema": None}
    )
    job = prepare(copy.deepcopy(gathering.gathered(model, found)), data, found, quiet=True)
    if not job.task.by_heart:
        said = f"a loss of `{job.task.name}` does not fall to 0, even on one batch"
        raise found.fault("E810", said, "task", help="train it, and look at what it makes")
    view = job.sets.train
    view = replace(view.plain(), chosen=view.chosen[: job.batch])
    job = replace(job, sets=replace(job.sets, train=view, val=None))
    training = Training(job, accelerator(found))
    state.seed_all(found.seed)
    rows = training.run().metrics
    first, last = rows[0]["train.loss"], rows[-1]["train.loss"]
    if not last < _LEARNT * first:
        message = f"in {_TRIES} steps on one batch of {len(view)} the loss went from {first:.4g}"
        help = "try another rate; look at dropout, at frozen layers, at what the last layer is"
        raise TrainError("E810", f"{message} to {last:.4g} only", help)
    return first, last
