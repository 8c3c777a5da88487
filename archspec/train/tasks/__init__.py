"""Outputs and targets → loss and metrics: what is learned. A task is a class in a file of its own.

    binary            one of two classes by one number: binary cross entropy, accuracy, F1
    classification    classes: cross entropy, accuracy, top 5, F1, the confusion matrix
    detection         boxes and their classes: YOLO's losses or Faster R-CNN's, mAP
    gan               pictures like the data, made of noise: two networks, a loss for each
    localisation      a class and a box: cross entropy + MSE, accuracy, mean IoU
    multi_label       for each label whether it is there: accuracy, F1, mean average precision
    next_token        what comes next in a sequence: cross entropy, perplexity
    pairs, triplets   who is of one class: distances, accuracy, recall
    reconstruction    the input itself, spoiled on the way or not: squared error, PSNR
    restoration       a clean picture for each input: squared error, PSNR
    regression        numbers: squared error, absolute error, R²
    segmentation      a class a pixel: cross entropy, Dice, mean IoU
    step              a function of the caller's
    vae               the input itself, through a code that is drawn: a bound on its likelihood

Add one by a file beside these with a subclass of `Task`, and a row of TASKS. The engine asks a task
for moves: one step of the optimizer each. Most make one; a GAN makes two, each with the part of the
network that it is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from archspec.text.words import did_you_mean
from archspec.train.tasks.base import Move, Sums, Task

if TYPE_CHECKING:
    from archspec.network import Program
    from archspec.train.plan import Plan

__all__ = ["TASKS", "Move", "Sums", "Task", "kind", "task"]

TASKS = {
    "binary": "archspec.train.tasks.binary:Binary",
    "classification": "archspec.train.tasks.classification:Classification",
    "detection": "archspec.train.tasks.detection:Detection",
    "gan": "archspec.train.tasks.gan:GAN",
    "localisation": "archspec.train.tasks.localisation:Localisation",
    "multi_label": "archspec.train.tasks.binary:MultiLabel",
    "next_token": "archspec.train.tasks.next_token:NextToken",
    "pairs": "archspec.train.tasks.pairs:Pairs",
    "reconstruction": "archspec.train.tasks.reconstruction:Reconstruction",
    "restoration": "archspec.train.tasks.reconstruction:Restoration",
    "regression": "archspec.train.tasks.regression:Regression",
    "segmentation": "archspec.train.tasks.segmentation:Segmentation",
    "step": "archspec.train.tasks.step:Step",
    "triplets": "archspec.train.tasks.triplets:Triplets",
    "vae": "archspec.train.tasks.vae:VAE",
}


def kind(plan: Plan) -> type[Task]:
    """The class of the plan's task; classification where it says none. Raises SpecError."""
    name = plan.task.name if plan.task is not None else "classification"
    if name not in TASKS:
        said = f"there is no task `{name}`"
        raise plan.fault("E802", said, "task", help=did_you_mean(name, TASKS))
    module, _, found = TASKS[name].partition(":")
    made: type[Task] = getattr(import_module(module), found)
    return made


def task(
    plan: Plan, program: Program | None, others: Mapping[str, Program | None] | None = None
) -> Task:
    """The plan's task, for a network, and others beside it by name. Raises SpecError."""
    made = kind(plan)
    known = (*made.options, *made.networks[1:])
    for key in plan.task.args if plan.task is not None else ():
        if key not in known:
            said = f"`{made.name}` takes no option `{key}`"
            help = did_you_mean(key, known) or f"write `task: {made.name}`"
            raise plan.fault("E802", said, "task", made.name, key, help=help)
    found = made(plan, program)
    found.others = others or {}
    return found
