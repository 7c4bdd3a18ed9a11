"""`striate draw`: the concepts, and networks, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from striate.draw import Drawing

EXAMPLES = """
[bold]Examples[/bold]

  striate draw activations

  striate draw convolution padding stride -o figures/

  striate draw resnet18 googlenet             (networks; `striate list` shows them)

  striate draw -o figures/                    (all figures)
"""


def draw(
    names: Annotated[list[str] | None, typer.Argument(help="activations, convolution, dilation, dropout, inception, norms, "
                                                           "padding, pooling, receptive, residual, stride, or the name of a "
                                                           "model; all figures unless given",
                                                      metavar="[NAME...]", show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures; it is made.")] = Path(),
) -> None:
    """Draw figures that explain convolutional networks, or whole networks, as SVG files."""
    from striate import draw as figures

    for name, drawing in [(name, drawn(name)) for name in names or figures.FIGURES]:
        typer.echo(str(drawing.save(out / f"{name}.svg")))


def drawn(name: str) -> Drawing:
    """A figure, or the diagram of a model for images of the size that it was made for."""
    from striate import draw as figures
    from striate.models.registry import MODELS, create, input_shape

    if name in figures.FIGURES or name not in MODELS:
        return figures.figure(name)
    from striate.nn.init import skipped

    with skipped():
        net = create(name)
    return figures.diagram(net, input_shape(net))
