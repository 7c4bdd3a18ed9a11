"""`striate summary` and `striate list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLES = """
[bold]Examples[/bold]

  striate summary lenet

  striate summary resnet18 --input 3x224x224

  striate summary fashion-mnist.safetensors
"""
INPUTS = {"lenet": (1, 28, 28), "small_cnn": (1, 28, 28)}
"""Sizes that models are made for, where that is not (3, 224, 224), the size of ImageNet's pictures."""


def summary(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a network.", metavar="MODEL|NAME")],
    input: Annotated[str | None, typer.Option(help="Size of one input, such as 1x28x28. What a model file was trained on by "
                                                   "default; for names that of the paper.")] = None,
) -> None:
    """Show layers, sizes, parameters and multiply-accumulates of a network."""
    from striate.ask.summary import summary as summarise

    net, known = opened(model)
    summarise(net, shape_of(input) if input else known)


def opened(model: str) -> tuple[Any, tuple[int, ...]]:
    """A network by file or name, and the size of its input."""
    from striate import models
    from striate.storage import load, load_metadata

    if not (Path(model).exists() or model.endswith(".safetensors")):
        net = models.create(model)
        return net, made_for(net)
    net, told = load(model), load_metadata(model)
    return net, tuple(told["input_shape"]) if "input_shape" in told else made_for(net)


def made_for(net: Any) -> tuple[int, ...]:
    """The size of input that a model was made for: its own arguments say it, or its name."""
    config = getattr(net, "config", {})
    usual = INPUTS.get(config.get("name", ""), (3, 224, 224))
    return tuple(config.get(name, size) for name, size in zip(("in_channels", "height", "width"), usual))


def shape_of(text: str) -> tuple[int, ...]:
    """(1, 28, 28) of `1x28x28`."""
    numbers = text.lower().split("x")
    if not all(n.isdigit() and int(n) > 0 for n in numbers):
        raise typer.BadParameter(f"the input's size is numbers with x between them, such as 1x28x28, got '{text}'",
                                 param_hint="--input")
    return tuple(map(int, numbers))


def list_models() -> None:
    """Show the networks that can be trained and summarised by name."""
    import inspect

    from rich.console import Console
    from rich.table import Table

    from striate import models
    from striate.models.registry import MODELS

    table = Table("name", "arguments", "what it is", show_edge=False)
    for name in models.list():
        build = MODELS[name]
        arguments = ", ".join(f"{p.name}={p.default!r}" for p in inspect.signature(build).parameters.values())
        table.add_row(name, arguments, (inspect.getdoc(build) or "").partition("\n")[0])
    console = Console()
    console.print(table, soft_wrap=not console.is_terminal)
