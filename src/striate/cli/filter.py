"""`striate filter`: a picture through a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLES = """
[bold]Examples[/bold]

  striate filter photo.jpg --kernel sharpen

  striate filter photo.jpg --kernel edge2 --grey --beside -o edges.png

  striate filter photo.jpg --kernel "1 0 -1; 2 0 -2; 1 0 -1"
"""


def filter(
    image: Annotated[Path, typer.Argument(help="Picture to read.", metavar="IMAGE")],
    kernel: Annotated[str, typer.Option(help="identity, edge1, edge2, laplacian, sobel_x, sobel_y, prewitt_x, prewitt_y, "
                                             "sharpen, emboss, box_blur, box_blur5, gaussian_blur, or rows of numbers: "
                                             "'0 1 0; 1 -4 1; 0 1 0'.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture to write; IMAGE-KERNEL.png by default.")] = None,
    grey: Annotated[bool, typer.Option("--grey/--colour", help="Make the picture grey first.")] = False,
    beside: Annotated[bool, typer.Option(help="Show the picture and its filtered form side by side.")] = False,
) -> None:
    """Filter a picture with a kernel, through the convolution that networks use.

    Edges are shown by their strength, black where there is none; everything else is cut off at black and white.
    """
    from striate import vision

    weight = kernel_of(kernel)
    file = out or image.with_name(f"{image.stem}-{kernel if kernel in vision.KERNELS else 'filtered'}.png")
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {file.absolute().parent} does not exist", param_hint="--out")
    before = vision.picture(image, grey)
    after = vision.shown(vision.filter(before, weight), weight)
    name = kernel if kernel in vision.KERNELS else "filtered"
    vision.save(vision.side_by_side([(image.name, vision.clipped(before)), (name, after)]) if beside else after, file)
    typer.echo(str(file))


def kernel_of(text: str) -> Any:
    """The kernel (R, S) of a name, or of rows of numbers with a semicolon between them."""
    import numpy as np

    from striate import vision

    rows = [row.replace(",", " ").split() for row in text.split(";")]
    try:
        numbers = [[float(n) for n in row] for row in rows]
    except ValueError:
        if len(text.split()) > 1:
            raise typer.BadParameter(f"rows of numbers look like '1 2 1; 2 4 2; 1 2 1', got '{text}'") from None
        return vision.kernel(text)
    if not numbers[0] or any(len(row) != len(numbers[0]) for row in numbers):
        lengths = ", ".join(str(len(row)) for row in rows)
        raise typer.BadParameter(f"every row of a kernel needs equally many numbers, got {lengths}")
    return vision.kernel(np.array(numbers))
