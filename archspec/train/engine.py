"""Model, data, plan → a trained model: the loop.

    for phase in plan.parts:        which parameters train, by name; groups; optimizer; wrapping
        for epoch:                  an order drawn from (seed, epoch)
            for update:             one step of the optimizer, of one batch or several
            measure, log, checkpoint

Device, precision, gradients of several processes and clipping are accelerate's. Whatever decides
what comes next is in `Place` and in the generators' states, and both are in every checkpoint: so a
run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archspec.text.words import did_you_mean, listed
from archspec.train import groups, log, named, networks, pictures, sharding, state, tasks
from archspec.train.blame import blame
from archspec.train.errors import InterruptedTrainingError, TrainError, library
from archspec.train.interrupts import Interrupts
from archspec.train.loading import Order, load, there
from archspec.train.measure import (
    add,
    as_it_trains,
    estimate,
    reduced,
    score,
    share_buffers,
    weightless,
)
from archspec.train.norms import inputs_in_order
from archspec.train.plan import ALL
from archspec.train.run import Run
from archspec.train.schedule import Rate
from archspec.units import size
from archspec.version import VERSION
from archspec.weights.names import under

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Phase, Plan, Stop
    from archspec.train.sets import Sets
    from archspec.train.tasks import Sums, Task

_DRAWN = 100  # pictures after each epoch
_RATES = 4  # that are said one by one
_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


@dataclass
class Place:
    """Where a run is, and what it remembers. All of it is plain data."""

    phase: int = 0
    epoch: int = 0  # of the phase
    step: int = 0  # of the epoch: an update of the optimizer
    updates: int = 0  # of the phase
    epochs: int = 0  # of the run
    steps: int = 0  # of the run
    best: float | None = None  # of what is monitored, in the run
    best_name: str = ""  # its checkpoint
    reference: float | None = None  # what early stopping compares with, in the phase
    waited: int = 0  # epochs since that was better
    seconds: float = 0.0  # of the epoch so far
    finished: bool = False
    rows: list[log.Row] = field(default_factory=list)

    def next_phase(self) -> None:
        self.phase, self.epoch, self.step, self.updates = self.phase + 1, 0, 0, 0
        self.reference, self.waited = None, 0


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, how, and where it is written."""

    model: nn.Module  # one network, or Networks
    programs: Mapping[str, Program | None]  # by the names of the networks
    plan: Plan
    task: Task
    sets: Sets
    batch: int
    folder: Path | None
    quiet: bool = False
    bytes: tuple[int, ...] = ()  # that each phase holds, where the analysis can tell
    after: Callable[[log.Row], None] | None = None  # is shown the row of each epoch

    @property
    def name(self) -> str:
        program = next(iter(self.programs.values()))
        return program.name if program is not None else type(networks.main(self.model)).__name__


def accelerator(plan: Plan, folder: Path | None = None) -> Accelerator:
    """The device, how numbers are held there, and who else is told of metrics."""
    precision = plan.precision
    if precision == "fp16" and not torch.cuda.is_available():
        help = "`bf16` is for CPUs too; `auto` takes what there is"
        raise plan.fault("E802", "fp16 needs a GPU", "precision", help=help)
    if precision == "auto":
        half = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16" if half else "fp32"
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if here > gpus > 0:  # NCCL says no more than that something is invalid
        message = f"{here} processes were started here, and GPUs there are {gpus}"
        raise TrainError("E811", message, f"`torchrun --nproc-per-node {gpus}`: one for each")
    if AcceleratorState._shared_state:  # of a run before, which may have had another precision
        AcceleratorState._reset_state()
    trackers = list(plan.log.trackers) if plan.log is not None else []
    for name in trackers:  # accelerate leaves out those that are not installed, and says nothing
        library(name, f"the tracker `{name}`", f"pip install {name}")
    # told so, or it runs each of several processes on CPUs as the only one, without a word
    cpu = not torch.accelerator.is_available()
    found = Accelerator(
        mixed_precision=_PRECISION[precision], cpu=cpu, project_dir=folder,
        log_with=trackers if folder is not None and trackers else None,
        kwargs_handlers=_wrapping(plan),
    )  # fmt: skip
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if found.num_processes != world:
        message = f"{world} processes were started, and accelerate sees {found.num_processes}"
        raise TrainError("E811", message, "start them by `torchrun`")
    return found


def _wrapping(plan: Plan) -> list[Any]:
    """A network that is asked twice before gradients are made may not change in between.

    Torch's wrapper sends buffers around at each call; `update` does that before it.
    """
    several = bool(tasks.kind(plan).networks)
    return [DistributedDataParallelKwargs(broadcast_buffers=False)] if several else []


class Training:
    """A run on its way."""

    def __init__(self, job: Job, on: Accelerator) -> None:
        self.job, self.plan, self.task, self.sets = job, job.plan, job.task, job.sets
        self.sharded = job.plan.sharding != "none"  # the whole stays where it is, a copy trains
        self.accelerator = on
        self.model = job.model if self.sharded else job.model.to(on.device)
        self.parameters = dict(self.model.named_parameters())
        self.free = [name for name, value in self.parameters.items() if value.requires_grad]
        self.order = Order(
            len(self.sets.train), job.batch, self.plan.seed, self.sets.train.samples.shuffled,
            on.process_index, on.num_processes,
        )  # fmt: skip
        self.at = Place()
        self.sums: Sums = {}
        self.memory: dict[str, Any] = {}  # of optimizers before, by name
        self.averages = self._averages()
        self.interrupts = Interrupts()
        self.entered: int | None = None  # the phase that everything below is made for
        self.moving: dict[str, nn.Parameter] = self.parameters  # what the optimizer moves
        self.still: list[nn.Module] = []
        self.tables: dict[str, Any] = {}
        self.screen = log.Screen(0, 0, quiet=True)  # until it runs
        self.monitor = self._watched(self.plan.stop)
        self.falls = self.task.falls(self.monitor)

    def _watched(self, stop: Stop | None) -> str:
        """What is monitored: what the plan says, else what the task does."""
        named = stop.monitor if stop is not None else None
        name: str = named or self.task.monitor
        if self.sets.val is not None:
            return name
        figure = name.removeprefix("val.").removeprefix("train.")
        return f"train.{'loss' if figure in self.task.later else figure}" if figure else ""

    def _averages(self) -> dict[str, AveragedModel]:
        """Of the weights of each network that the task wants averaged, by its name."""
        if self.plan.ema is None:
            return {}
        decay = _decayed(self.plan.ema)
        return {
            name: AveragedModel(part, multi_avg_fn=decay, use_buffers=True)
            for name, part in networks.parts(self.model).items()
            if name in self.task.averaged or not self.task.averaged
        }

    # -------------------------------------------------------------- the loop

    def run(self) -> Run:
        """To the end, from wherever it is."""
        wanted = {name: value.requires_grad for name, value in self.parameters.items()}
        training = self.model.training
        self._tell()
        quiet = self.job.quiet or not self._first
        self.screen = screen = log.Screen(self._total(), self.at.steps, quiet=quiet)
        for note in self.sets.notes:
            screen.say(f"note: {note}")
        try:
            with self.interrupts, inputs_in_order(self.model):
                while self.at.phase < len(self.plan.parts):
                    if self.entered != self.at.phase:
                        self.enter()
                    while not self._over():
                        self.epoch()
                    self.leave()
                if not self.at.finished:
                    self.finish()
        finally:
            screen.close()
            for tracker in self.accelerator.trackers:
                tracker.finish()
            released(self.model)
            self.model.train(training)
            for name, value in self.parameters.items():
                value.requires_grad_(wanted[name])
        return self.result()

    def _tell(self) -> None:
        """Trackers that the plan names are told of the plan, and later of every epoch."""
        if self.plan.log is not None and self.plan.log.trackers:
            config = {"plan": self.plan.source.text, "network": self.job.name}
            self.accelerator.init_trackers(self.job.name, config)

    def enter(self) -> None:
        """A phase: what trains is said by name, and everything that depends on it made anew."""
        plan, k, on = self.plan, self.at.phase, self.accelerator
        names = groups.trained(plan, k, self.free)
        chosen = frozenset(names)
        for name, value in self.parameters.items():
            value.requires_grad_(name in chosen)
        eval_ = plan.frozen_norm == "eval"
        moved = self._divided() if self.sharded else self.model
        self.moving = dict(moved.named_parameters())
        self.still = groups.frozen_norms(moved, chosen) if eval_ else []
        self.groups = groups.groups(plan, k, self.model, names)
        self.trained = [self.moving[name] for name in names]
        decay = "weight_decay" in named.arguments(named.optimizers()[plan.optimizer.name])
        entries = groups.optimizer_groups(self.groups, self.moving, decay)
        optimizer = named.made(plan.optimizer, entries)
        if self.sharded:
            self.memory = sharding.divided(self.memory, self.moving)
        groups.give_state(optimizer, self.memory, self.moving)
        self.bases = [
            float(entry["lr"]) * group.scale
            for entry, group in zip(optimizer.param_groups, self.groups, strict=True)
        ]
        released(self.model)
        if self.entered is not None or on.device.type != "cpu":  # it looks through all of memory
            on.free_memory()
        if self.sharded:  # `prepare` would wrap it for plain data parallelism
            self.network: nn.Module = on.prepare_model(moved, evaluation_mode=True)
            self.optimizer = on.prepare_optimizer(optimizer)
        else:
            parts = networks.parts(self.model)
            *wrapped, self.optimizer = self.accelerator.prepare(*parts.values(), optimizer)
            self.network = networks.whole(dict(zip(parts, wrapped, strict=True)))
        self.moved = self._moved()
        self.rate = self._rate(plan.parts[k])
        self.entered = k
        self._say_phase(plan.parts[k])

    def _divided(self) -> nn.Module:
        """The model in parts, as it is after the phase before."""
        self._gather()
        return sharding.shard(self.model, map(groups.stage, self.parameters), self.accelerator)

    def _gather(self) -> None:
        """Makes the model what the network in parts has become; of all processes at once."""
        if self.sharded and self.entered is not None:
            sharding.gather(self.network, self.model)

    def _say_phase(self, phase: Phase) -> None:
        count = {name: value.numel() for name, value in self.parameters.items()}
        trained = sum(count[name] for group in self.groups for name in group.names)
        paths = phase.train if phase.train == ALL else ", ".join(phase.train)
        low, high = min(self.bases), max(self.bases)
        rates = dict.fromkeys(
            f"{base:.3g}" + (f" ({group.name.strip()})" if group.name else "")
            for group, base in zip(self.groups, self.bases, strict=True)
        )
        rate = ", ".join(rates) if len(rates) <= _RATES else f"{low:.3g} to {high:.3g}"
        head = phase.name or (f"phase {self.at.phase + 1}" if self.plan.phases else self.job.name)
        said = f"{head}: trains {paths}, {trained:,} of {sum(count.values()):,} parameters"
        held = f", in about {size(self.job.bytes[self.at.phase])}" if self.job.bytes else ""
        self.screen.say(f"{said}, at {rate}{held}")

    def _moved(self) -> Any:
        """What makes a step. accelerate's wrapper searches the disk for a library at every one.

        That takes as long as a small network's step, so where it adds nothing, torch's is called.
        """
        plain = type(self.optimizer) is AcceleratedOptimizer and self.accelerator.scaler is None
        xla = self.accelerator.device.type == "xla"
        return self.optimizer.optimizer if plain and not xla else self.optimizer

    def _rate(self, phase: Phase) -> Rate:
        an_epoch = self._updates
        steps = an_epoch * (phase.epochs or self.plan.epochs)
        return Rate(phase.schedule or self.plan.schedule, steps, an_epoch, self.falls)

    def leave(self) -> None:
        """The phase is over; what its optimizer remembers goes on by name."""
        self.memory = self._remembered()
        self.at.next_phase()

    def epoch(self) -> None:
        """What is left of an epoch."""
        at, k = self.at, self.plan.accumulate
        batches = self.order.batches(at.epochs)
        updates = [batches[i : i + k] for i in range(0, len(batches), k)][at.step :]
        whole = [batch for update in updates for batch in update]
        # a process without a share of the last batch goes along with a sample that weighs nothing
        mine = [
            mine or batch[:1] for mine, batch in zip(self.order.mine(whole), whole, strict=True)
        ]
        loader = load(self.sets.train, mine, at.epochs)
        started = time.perf_counter()
        self._train_mode()
        for update in updates:
            self.update(update, loader)
            at.step, at.steps, at.updates = at.step + 1, at.steps + 1, at.updates + 1
            now = time.perf_counter()
            at.seconds, started = at.seconds + now - started, now
            if at.step < self._updates:
                self._between()
        self.measure()
        self._between()

    def update(self, update: list[list[int]], loader: Iterator[Any]) -> None:
        """One step of the optimizer, of the mean over all samples of some batches.

        A task may ask for several, each for a part of the network or for one of several networks.
        """
        if self.order.world > 1 and isinstance(self.model, networks.Networks):
            share_buffers(self.model)
        factor = self.rate.at(self.at.updates)
        self.task.progress = self.at.updates / self.rate.steps
        for entry, base in zip(self.optimizer.param_groups, self.bases, strict=True):
            entry["lr"] = base * factor
        total = sum(map(len, update))
        for number, batch in enumerate(update, 1):
            x, y = there(next(loader), self.accelerator.device)
            own = len(batch[self.order.rank :: self.order.world])
            share = own * self.order.world / total
            last = number == len(update)
            with ExitStack() as alone:
                for part in () if last else networks.parts(self.network).values():
                    alone.enter_context(self.accelerator.no_sync(part))
                for move in self.task.moves(self.network, x, y):
                    told, trains = _asked(move.loss), move.loss.requires_grad
                    add(self.sums, move.sums if own else weightless(move.sums))
                    if trains:  # not of a network that this phase leaves alone
                        self.accelerator.backward(move.loss if share == 1 else move.loss * share)
                    loss = self._sound(told(), x, y)
                    if trains and last:
                        self.step(move.part)
        for name, average in self.averages.items():
            average.update_parameters(networks.parts(self.model)[name])
        self.screen.step(loss, self.bases[0] * factor)

    def step(self, part: str) -> None:
        """The optimizer's, for a part of the network or all of it."""
        if part:
            for name, value in self.moving.items():
                if not under(name, (part,)):
                    value.grad = None  # optimizers leave those out
        if self.plan.clip is not None:
            self.accelerator.clip_grad_norm_(self.trained, self.plan.clip)
        self.moved.step()
        self.moved.zero_grad()

    # -------------------------------------------------------------- after an epoch

    def measure(self) -> None:
        """The epoch is over: metrics, what follows from them, a checkpoint."""
        at, phase = self.at, self.plan.parts[self.at.phase]
        sums = reduced(self.sums, self.accelerator)
        figures = {f"train.{k}": v for k, v in self.task.figures(sums).items()}
        figures |= {f"val.{k}": v for k, v in self.evaluate().items()}
        at.epoch, at.epochs, at.step, self.sums = at.epoch + 1, at.epochs + 1, 0, {}
        row = {
            "phase": phase.name or (str(at.phase + 1) if self.plan.phases else ""),
            "epoch": at.epoch, "epochs": phase.epochs or self.plan.epochs, "step": at.steps,
            "lr": self.bases[0] * self.rate.at(at.updates - 1), **figures,
            "seconds": round(at.seconds, 3),
        }  # fmt: skip
        at.rows.append(row)
        at.seconds = 0.0
        self._watch(figures)
        self.screen.say(log.said(row))
        self.accelerator.log(figures, step=at.steps)
        self._draw()
        self.save()
        if self.job.after is not None:
            self.job.after(row)

    @torch.no_grad()
    def _draw(self) -> None:
        """What the network makes of noise, the same noise after every epoch, into the folder."""
        folder = self.job.folder
        if folder is None or not self._first:
            return
        self.shown.eval()
        made = self.task.pictures(self.shown, _DRAWN, self.plan.seed)
        if made is None:
            return
        normal = self.sets.facts.normal
        (folder / state.SAMPLES).mkdir(exist_ok=True)
        drawn = pictures.grid(made if normal is None else normal.undone(made))
        state.replaced(folder / state.SAMPLES / f"{self.at.epochs:04d}.png", drawn)

    def _watch(self, figures: Mapping[str, float]) -> None:
        """What follows from what is monitored, where something is: rate, best, patience."""
        if self.monitor:
            value = _measured(figures, self.monitor)
            self.rate.watched(value)
            if self._better(self.monitor, value, self.at.best):
                self.at.best, self.at.best_name = value, self._name
        if self._watched(self._stop):
            self._patience(figures)

    def _patience(self, figures: Mapping[str, float]) -> None:
        """Counts the epochs in which what the phase, or the plan, stops by was not better."""
        stop, at = self._stop, self.at
        name = self._watched(stop)
        least = stop.least if stop is not None else 0.0
        value = _measured(figures, name)
        if self._better(name, value, at.reference, least):
            at.reference, at.waited = value, 0
        else:
            at.waited += 1

    def _better(self, name: str, value: float, than: float | None, by: float = 0.0) -> bool:
        """Whether a figure is better, by more than so much; what is no number never is."""
        sign = 1 if self.task.falls(name) else -1
        return value == value and (than is None or sign * value < sign * than - by)

    def evaluate(self) -> dict[str, float]:
        """Metrics on what was held out; none where nothing was."""
        if self.sets.val is None:
            return {}
        batch, on = self.job.batch, self.accelerator
        sums = score(self.task, self.shown, self.sets.val, batch, on)
        self.tables = self.task.tables(sums)
        return self.task.figures(sums)

    def finish(self) -> None:
        """After the last phase: statistics of norms estimated anew, the average made the model."""
        at = self.at
        at.finished, self.task.progress = True, 1.0
        if self.plan.update_bn:
            with as_it_trains(self.shown, self.accelerator):
                estimate(self.task, self.shown, self.sets.train, self.job.batch, self.still)
        self._gather()
        if self.averages:
            self.model.load_state_dict(self.shown.state_dict())
            self.averages = {}
        if self.plan.update_bn:
            figures = {f"val.{k}": v for k, v in self.evaluate().items()}
            row = {**at.rows[-1], "phase": "update_bn", **figures}
            at.rows.append(row)
            self.screen.say(log.said(row))
        self.save()

    # -------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """All that decides what comes next, whole or not at all."""
        folder, at = self.job.folder, self.at
        if folder is None:
            return
        randomness = gather_object([state.randomness()])
        sums = gather_object([{key: value.cpu() for key, value in self.sums.items()}])
        self._gather()
        memory = self._remembered()
        if self.sharded:
            memory = sharding.remembered(memory)
        if not self._first:
            return
        kept = {
            "at": asdict(at), "sums": sums, "memory": memory, "rate": self.rate.state(),
            "model": self.model.state_dict() if self.averages else None,
            "averaged": max((int(one.n_averaged) for one in self.averages.values()), default=0),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            "randomness": randomness, "samples": len(self.sets.train), "batch": self.job.batch,
        }  # fmt: skip
        (main, (record, texts)), *others = [
            (name, state.spec_record(program)) for name, program in self.job.programs.items()
        ]
        facts = {
            "format": state.FORMAT, "archspec": VERSION, "spec": record, "main": main,
            "others": {name: other for name, (other, _) in others},
            "plan": self.plan.source.text, "data": self.sets.facts.record(),
            "at": {
                "phase": at.phase, "epoch": at.epoch, "step": at.steps, "finished": at.finished,
                "monitor": self.monitor, "falls": self.falls,
            },
            "metrics": at.rows[-1] if at.rows else {},
        }  # fmt: skip
        shown = networks.parts(self.model if self.sharded else self.shown)
        beside = {name: (shown[name].state_dict(), found) for name, (_, found) in others}
        made = state.Checkpoint(shown[main].state_dict(), kept, facts, texts, beside)
        state.write(folder, self._name, made)
        state.point(folder, state.LAST, self._name)
        if at.best_name:
            state.point(folder, state.BEST, at.best_name)
        log.written(folder, at.rows)
        state.tidy(folder)

    def restore(self, kept: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Where a checkpoint was made."""
        self.at = Place(**kept["at"])
        if self.averages and kept["model"] is not None:
            self.shown.load_state_dict(dict(weights))
            for average in self.averages.values():
                average.n_averaged.fill_(kept["averaged"])
            weights = kept["model"]
        self.model.load_state_dict(dict(weights))
        self.memory = dict(kept["memory"])
        if self.at.finished:
            self.averages = {}
            return
        self.enter()
        self.rate.restore(kept["rate"])
        if self.accelerator.scaler is not None and kept["scaler"]:
            self.accelerator.scaler.load_state_dict(kept["scaler"])
        mine, device = kept["sums"][self.order.rank], self.accelerator.device
        self.sums = {key: value.to(device) for key, value in mine.items()}
        state.restore_randomness(kept["randomness"][self.order.rank])

    def _between(self) -> None:
        """Between two updates: a checkpoint where one is due, or where a signal asks to end."""
        every = self.plan.log.save if self.plan.log is not None else None
        due = every is not None and self.at.steps % every == 0 and self.at.step > 0
        ends = self._ends()
        if not (due or ends):
            return
        if self.at.step > 0:
            self.save()
        if ends:
            folder = self.job.folder
            signal = self.interrupts.name or "a signal"
            message = f"{signal} at step {self.at.steps:,} of {self._total():,}"
            if folder is None:
                raise InterruptedTrainingError("E809", f"{message}; nothing was written", "`log`")
            help = f"`archspec train --resume {quote(str(folder))}` goes on with it"
            raise InterruptedTrainingError("E809", f"{message}: the run is saved", help)

    def _ends(self) -> bool:
        """Whether a signal asks to end: any process's, as they do not get it at the same step."""
        if self.order.world == 1:
            return bool(self.interrupts.name)
        if self.interrupts.name:
            self.accelerator.set_trigger()
        return bool(self.accelerator.check_trigger())

    # -------------------------------------------------------------- small things

    @property
    def shown(self) -> nn.Module:
        """What is measured and saved: the average of weights, where there is one."""
        if self.sharded and self.entered is not None:
            return self.network
        found = networks.parts(self.model)
        if not self.averages:
            return self.model
        return networks.whole(found | {name: one.module for name, one in self.averages.items()})

    @property
    def _first(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def _updates(self) -> int:
        """Of an epoch."""
        batches = -(-self.order.samples // (self.order.batch * self.order.world))
        return -(-batches // self.plan.accumulate)

    def _total(self) -> int:
        """Updates of the whole run, if nothing stops it early."""
        return self._updates * sum(phase.epochs or self.plan.epochs for phase in self.plan.parts)

    @property
    def _name(self) -> str:
        """Of the checkpoint of this moment."""
        return f"{self.at.steps:08d}" + ("-final" if self.at.finished else "")

    @property
    def _stop(self) -> Any:
        return self.plan.parts[self.at.phase].stop or self.plan.stop

    def _over(self) -> bool:
        phase, stop = self.plan.parts[self.at.phase], self._stop
        patient = stop is None or self.at.waited <= stop.patience
        return self.at.epoch >= (phase.epochs or self.plan.epochs) or not patient

    def _train_mode(self) -> None:
        """Training, but for norms that are not trained: they keep their statistics."""
        self.network.train()
        for one in self.still:
            one.eval()

    def _sound(self, value: float, x: Any, y: Any) -> float:
        """The loss. Raises TrainError where it is no number, before the optimizer moves."""
        if value - value != 0:  # only what is not finite differs from itself, or has no difference
            if self.sharded:  # one process alone cannot run the network to see which layer it was
                message = f"step {self.at.steps + 1:,}: the loss is {value}"
                raise TrainError("E807", message, "lower the learning rate, or set `clip`")
            moves = self.task.moves(self.model, x, y)
            raise blame(self.model, partial(list[Any], moves), x, f"step {self.at.steps + 1:,}")
        return value

    def _remembered(self) -> dict[str, Any]:
        if self.entered is None:
            return self.memory
        now = groups.state_by_name(self.optimizer, self.groups, self.moving)
        return {**self.memory, **now}

    def result(self) -> Run:
        at = self.at
        early = at.epochs < sum(phase.epochs or self.plan.epochs for phase in self.plan.parts)
        return Run(
            self.job.folder.name if self.job.folder is not None else self.job.name, at.rows,
            self.monitor, self.falls, self.job.folder, self.tables, "early" if early else "",
        )  # fmt: skip


def _decayed(ema: float) -> Callable[[Any, Any, Any], None]:
    """The moving average of numbers; what is whole, a table of places or a count, is the model's.

    torch's rounds that down, each time to another place.
    """
    averaged = get_ema_multi_avg_fn(ema)  # type: ignore[no-untyped-call]

    def update(averages: Any, values: Any, count: Any) -> None:
        if averages[0].is_floating_point():
            averaged(averages, values, count)
        else:
            torch._foreach_copy_(averages, values)

    return update


def _asked(loss: Tensor) -> Callable[[], float]:
    """What tells the loss as a number. A GPU is asked now, and waited for when that is called.

    By then it has the backward pass to do, and goes on with that while the next step is prepared;
    who waits for the loss at once leaves it without work (ResNet-50 in bf16 on an H100: a tenth).
    """
    if loss.device.type != "cuda":
        return loss.item
    value = loss.detach().to("cpu", non_blocking=True)
    copied = torch.cuda.current_stream(loss.device).record_event()

    def told() -> float:
        copied.synchronize()
        return value.item()

    return told


def _measured(figures: Mapping[str, float], name: str) -> float:
    """What is monitored. Raises TrainError where it is not among what was measured."""
    if name not in figures:
        message = f"nothing is measured that is called `{name}`"
        help = did_you_mean(name, figures) or f"measured are {listed(figures)}"
        raise TrainError("E802", message, help)
    return figures[name]


def released(model: nn.Module) -> None:
    """Takes off what accelerate put onto the module itself: it is again what `build` made."""
    for part in networks.parts(model).values():
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            part.__dict__.pop(name, None)
