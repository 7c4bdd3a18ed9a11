"""`striate train`: a network from data to a model file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from striate.cli.tasks import Task
    from striate.nn import Module
    from striate.optim import Optimizer
    from striate.train import Trainer

EXAMPLES = """
[bold]Examples[/bold]

  striate train fashion-mnist --epochs 3

  striate train mnist --model lenet --optimizer sgd --lr 0.05 --out digits.safetensors

  striate train captcha --length 5 --minutes 10

  striate train photos/ --size 28 --augment        (photos/cat/1.jpg, photos/dog/7.jpg, ...)

  striate train reviews.csv                        (a table with the columns text and label)
"""


class Rule(StrEnum):
    sgd = "sgd"
    adam = "adam"
    adamw = "adamw"


class Schedule(StrEnum):
    none = "none"
    step = "step"
    cosine = "cosine"
    onecycle = "onecycle"


RATES = {Rule.sgd: 0.05, Rule.adam: 0.001, Rule.adamw: 0.001}


def train(
    data: Annotated[str, typer.Argument(help="captcha, mnist, fashion-mnist, cifar10, a folder with one folder of images for "
                                             "each class, or a .csv file with the columns text and label", metavar="DATA")],
    model: Annotated[str | None, typer.Option(help="Network to train; `striate list` shows them. One that suits the data "
                                                   "by default.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 64,
    lr: Annotated[float | None, typer.Option(min=0, help="Learning rate: 0.05 for sgd, 0.001 for adam and adamw by default."
                                             )] = None,
    optimizer: Annotated[Rule, typer.Option(help="Update rule; sgd has a momentum of 0.9.")] = Rule.adam,
    schedule: Annotated[Schedule, typer.Option(help="How the learning rate falls.")] = Schedule.cosine,
    augment: Annotated[bool, typer.Option(help="Shift the training images at random; mirror them where that leaves the label "
                                               "true.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many minutes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Model file to write; DATA.safetensors by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same network, whatever the number of threads.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Train on so many images only; how many captchas to draw.")] = None,
    size: Annotated[str | None, typer.Option(help="Scale images to this many pixels, such as 64 or 60x160.")] = None,
    grey: Annotated[bool | None, typer.Option("--grey/--colour", help="Read images of a folder, or draw captchas, without colour "
                                              "or with. Captchas are grey by default.")] = None,
    alphabet: Annotated[str, typer.Option(help="Characters of the captchas.")] = "0123456789",
    length: Annotated[int, typer.Option(min=1, help="Characters in a captcha.")] = 4,
) -> None:
    """Train a network and write it to a file that `striate predict` needs nothing else for.

    The best epoch, by images that are not trained on, is kept. Ctrl-C stops early and keeps what there is.
    """
    from striate import random
    from striate.cli.tasks import Wishes, open_task, size_of

    place = Path(data)
    file = out or Path(f"{place.resolve().name if place.is_dir() else place.stem if place.is_file() else data}.safetensors")
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {file.absolute().parent} does not exist", param_hint="--out")
    if threads is not None:
        from striate import set_num_threads

        set_num_threads(threads)
    random.seed(seed)
    task = open_task(data, Wishes(seed, limit, size_of(size), grey, alphabet, length))
    net = build(model or task.model, task)
    typer.echo(f"{model or task.model} on {task.name}: {sum(p.size for p in net.parameters()):,} parameters, "
               f"{len(task.train):,} {task.items} to train, {len(task.validation):,} to validate")
    parts = loaders(task, batch_size, augment, seed)
    trainer = make_trainer(net, optimizer, RATES[optimizer] if lr is None else lr, schedule, epochs, len(parts[0]))
    history = trainer.fit(parts[0], parts[1], epochs, keep_best=True, save_to=file, metadata=task.metadata, minutes=minutes)
    if history.stopped == "interrupted":
        typer.echo(f"stopped by Ctrl-C; the network is in {file}")
        raise typer.Exit(130)
    report(trainer, parts[2], file)


def build(name: str, task: Task) -> Module:
    """A network for a task, tried on the size of its images before anything else takes time."""
    import inspect

    from striate import models
    from striate.errors import ArgumentError, ShapeError
    from striate.graph import Spec, trace
    from striate.models.registry import MODELS

    known = inspect.signature(MODELS[name]).parameters if name in MODELS else {}
    net: Any = models.create(name, **{key: value for key, value in task.arguments.items() if key in known})
    try:
        trace(net, Spec((1, *task.shape), task.dtype))
    except ShapeError as error:
        size = " x ".join(map(str, task.shape))
        raise ArgumentError(f"{name} does not take {task.items} of {size}: {error.problem}; "
                            "try another --model, --size or --grey") from None
    return net


def loaders(task: Task, batch_size: int, augment: bool, seed: int) -> list[Any]:
    """Training, validation and test data in batches, prepared alike; None where there is no test data."""
    from striate.data import Compose, DataLoader, Normalize, Resize

    before = [Resize((task.shape[1], task.shape[2]))] if task.train[0][0].shape != task.shape else []
    after = [Normalize(task.mean, task.std)] if task.mean else []
    varied, plain = [*before, *(task.augmentation if augment else []), *after], [*before, *after]
    train = DataLoader(task.train, batch_size, shuffle=True, seed=seed, transform=Compose(varied) if varied else None)
    return [train, *(part and DataLoader(part, batch_size, transform=Compose(plain) if plain else None)
                     for part in (task.validation, task.test))]


def make_trainer(net: Module, rule: Rule, lr: float, schedule: Schedule, epochs: int, batches: int) -> Trainer:
    from striate import nn, optim
    from striate.train import Trainer

    optimizer: Optimizer = {
        Rule.sgd: lambda: optim.SGD(lr=lr, momentum=0.9),
        Rule.adam: lambda: optim.Adam(lr=lr),
        Rule.adamw: lambda: optim.AdamW(lr=lr),
    }[rule]()
    kinds = optim.lr_scheduler
    falling = {
        Schedule.none: lambda: None,
        Schedule.step: lambda: kinds.StepLR(optimizer, max(1, epochs * batches // 3)),
        Schedule.cosine: lambda: kinds.CosineAnnealingLR(optimizer, epochs * batches),
        Schedule.onecycle: lambda: kinds.OneCycleLR(optimizer, max_lr=lr, total_steps=epochs * batches),
    }[schedule]()
    return Trainer(net, nn.CrossEntropyLoss(), optimizer, schedule=falling, schedule_every="batch")


def report(trainer: Trainer, test: Any, file: Path) -> None:
    """The last lines: how good the network is, and where."""
    history = trainer.history
    if test is not None:
        scores = trainer.evaluate(test)
        typer.echo("test: " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    typer.echo(f"epoch {history.best_epoch} was the best; it is in {file}")
