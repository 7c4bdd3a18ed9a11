"""`striate profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from striate.cli.show import opened, size_of

EXAMPLES = """
[bold]Examples[/bold]

  striate profile lenet --batch 64 --train

  striate profile small_cnn --input 1x28x28 --trace small_cnn.json --plot roofline.svg
"""


def profile(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a network.", metavar="MODEL|NAME")],
    input: Annotated[str | None, typer.Option(help="Size of one input, such as 3x224x224; what the model was made for by "
                                                   "default.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    train: Annotated[bool, typer.Option("--train", help="A training step: forward, backward and update by SGD.")] = False,
    runs: Annotated[int, typer.Option(min=1, help="Runs to take the median of.")] = 20,
    trace: Annotated[Path | None, typer.Option(help="Write a file for chrome://tracing or ui.perfetto.dev.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the layers under the roofline of this machine, as SVG.")] = None,
) -> None:
    """Run a network and show what each of its kernels takes: time, GFLOP/s, GB/s, and how near that is to this machine's peak.

    "floor" is the time that the direct algorithm needs at the peak, as a share of the time taken; Winograd may pass 100%.
    """
    from rich.console import Console

    from striate.ask.roofline import drawn, under_roof
    from striate.ask.tracing import batched, name_of
    from striate.cpu.profile import profile as measure

    net, known = opened(model)
    x = drawn(batched(size_of(input, known), batch)[0])
    program, arrays = _training(net, x) if train else _inference(net, x)
    found = measure(program, arrays, runs)
    console = Console()
    console.print(found, soft_wrap=not console.is_terminal)
    if trace:
        found.trace(trace)
        console.print(f"wrote {trace}")
    if plot:
        console.print(f"wrote {under_roof(name_of(net), batch, found.timings, found.peak, train).save(plot)}")


def _inference(net: Any, x: Any) -> tuple[Any, list[Any]]:
    from striate.engine import forward_program

    net.eval()
    return forward_program(net, x), [x]


def _training(net: Any, x: Any) -> tuple[Any, list[Any]]:
    """A step with a loss that takes any output: half of the sum of squares."""
    from striate.engine import compile
    from striate.optim import SGD

    net.train()
    step = compile(net, half_of_squares, SGD(lr=0.0, momentum=0.9))
    return step.program(x), [x]


def half_of_squares(outputs: Any) -> Any:
    """Of all that a network gives in training, auxiliary outputs too."""
    return sum((y * y).sum() for y in (outputs if isinstance(outputs, tuple) else (outputs,))) * 0.5
