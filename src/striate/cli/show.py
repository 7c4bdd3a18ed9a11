"""`striate summary`, `striate explain` and `striate list`."""

from __future__ import annotations

import inspect
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from striate.errors import ArgumentError

EXAMPLES = """
[bold]Examples[/bold]

  striate summary lenet

  striate summary resnet18 --input 3x224x224 --fold

  striate summary fashion-mnist.safetensors

  striate summary mynet.py:Net --input 3x32x32 --format csv
"""


NETWORK = "The name of a network, a model file, or file.py, file.py:name or module:name, where name is a network or makes one."
INPUT = "Size of one input, such as 1x28x28. What a model file was trained on by default; for names that of the paper."
EXPLAINED = """
[bold]Examples[/bold]

  striate explain lenet

  striate explain mynet.py:Net --input 3x32x32
"""


class Format(StrEnum):
    """How the summary is written."""

    table = "table"
    csv = "csv"
    json = "json"
    html = "html"


def summary(
    model: Annotated[str, typer.Argument(help=NETWORK, metavar="NAME|MODEL|FILE")],
    input: Annotated[str | None, typer.Option(help=INPUT)] = None,
    fold: Annotated[bool, typer.Option("--fold", help="Show equal neighbours, such as residual blocks, once.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Items at a time, for the use of each parameter (CPR).")] = 1,
    format: Annotated[Format, typer.Option(help="How it is written.")] = Format.table,
) -> None:
    """Show layers, sizes, parameters, arithmetic, memory and receptive fields of a network."""
    from striate.ask.summary import summary as summarise
    from striate.nn import init

    with init.skipped():  # sizes say it all
        net, known = opened(model)
    found = summarise(net, size_of(input, known), format is Format.table, batch, fold)
    if format is not Format.table:
        text = {Format.csv: found.to_csv, Format.json: found.to_json, Format.html: found._repr_html_}[format]()
        typer.echo(text.rstrip("\n"))


def explain(
    model: Annotated[str, typer.Argument(help=NETWORK, metavar="NAME|MODEL|FILE")],
    input: Annotated[str | None, typer.Option(help=INPUT)] = None,
) -> None:
    """Show the equation of every size with its numbers; where sizes do not fit, the way there and what would mend them."""
    from striate.ask.shapes import explain as explained
    from striate.nn import init

    with init.skipped():
        net, known = opened(model)
    if explained(net, size_of(input, known)).error is not None:
        raise typer.Exit(1)


def opened(model: str) -> tuple[Any, Any]:
    """A network by file or name, and the size of its input."""
    from striate import models
    from striate.ask.tracing import network
    from striate.storage import load, load_metadata

    if (":" in model and not Path(model).exists()) or model.endswith(".py"):
        net = network(written(model) if ":" in model else only(model))
        return net, models.input_shape(net)
    if not (Path(model).exists() or model.endswith(".safetensors")):
        net = models.create(model)
        return net, models.input_shape(net)
    net, told = load(model), load_metadata(model)
    return net, tuple(told["input_shape"]) if "input_shape" in told else models.input_shape(net)


def written(place: str) -> Any:
    """The network of `file.py:name` or `module:name`: an object, or what a class or function of no arguments makes."""
    source, _, name = place.rpartition(":")
    found = getattr(imported(source), name, None)
    if found is None:
        raise ArgumentError(f"'{source}' has no '{name}'; write file.py:name or module:name of a network or of what makes one")
    if callable(found) and (isinstance(found, type) or not hasattr(found, "parameters")):
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise ArgumentError(f"'{place}' needs arguments: {error}; name a function of none that makes the network") from None
        found = found()
    if not hasattr(found, "parameters"):
        raise ArgumentError(f"'{place}' gives {type(found).__name__}, not a network; name a Module, or a function that makes one")
    return found


def only(source: str) -> Any:
    """The one network of a file, or what its one class of networks makes."""
    from striate.nn import Module

    module = imported(source)
    found = {name: item for name, item in vars(module).items() if isinstance(item, Module)} or {
        name: kind for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Module) and kind.__module__ == module.__name__}
    if len(found) != 1:
        several = f"has the networks {', '.join(found)}" if found else "has no network"
        example = f"{source}:{list(found)[-1]}" if found else "file.py:name of a network or of what makes one"
        raise ArgumentError(f"'{source}' {several}; write {example}")
    return written(f"{source}:{next(iter(found))}")


def imported(source: str) -> Any:
    """A module by its file or by its name; the current folder is looked through too."""
    import importlib
    import importlib.util
    import sys

    if not source.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(source)
        except ModuleNotFoundError as error:
            if not f"{source}.".startswith(f"{error.name}."):
                raise
            raise ArgumentError(f"there is no module '{source}'; write file.py:name or module:name") from None
        finally:
            sys.path.pop(0)
    if not Path(source).is_file():
        raise ArgumentError(f"there is no file '{source}'; write file.py:name or module:name")
    spec = importlib.util.spec_from_file_location(Path(source).stem, source)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def size_of(text: str | None, known: Any) -> Any:
    """The input's size as it was asked for, or the one that the network is known to take; numbers are of the known kind."""
    from striate.graph import Spec

    if text is None:
        return known
    return Spec(shape_of(text), known.dtype) if isinstance(known, Spec) else shape_of(text)


def shape_of(text: str) -> tuple[int, ...]:
    """(1, 28, 28) of `1x28x28`."""
    numbers = text.lower().split("x")
    if not all(n.isdigit() and int(n) > 0 for n in numbers):
        raise typer.BadParameter(f"the input's size is numbers with x between them, such as 1x28x28, got '{text}'",
                                 param_hint="--input")
    return tuple(map(int, numbers))


def list_models() -> None:
    """Show the networks that can be trained and summarised by name."""
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
