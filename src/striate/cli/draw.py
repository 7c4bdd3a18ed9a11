"""`striate draw`: the concepts as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  striate draw activations

  striate draw convolution padding stride -o figures/

  striate draw -o figures/                    (all of them)
"""


def draw(
    names: Annotated[list[str] | None, typer.Argument(help="activations, convolution, dilation, dropout, inception, norms, "
                                                           "padding, pooling, receptive, residual, stride; all unless given",
                                                      metavar="[NAME...]", show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures; it is made.")] = Path(),
) -> None:
    """Draw figures that explain convolutional networks, as SVG files: functions, windows, norms, blocks."""
    from striate import draw as figures

    for name, drawing in [(name, figures.figure(name)) for name in names or figures.FIGURES]:
        typer.echo(str(drawing.save(out / f"{name}.svg")))
