"""`striate design`: answers for who designs a network."""

from __future__ import annotations

from typing import Annotated

import typer

from striate.cli.filter import kernel_of

EXAMPLES = """
[bold]Examples[/bold]

  striate design padding 3 --dilation 2       what keeps the size

  striate design stack 7 --channels 64        small windows for a large one

  striate design separable 16 32              what depthwise convolution saves

  striate design dilation 31                  rates for a receptive field

  striate design kernel sobel_x               whether it is separable

  striate design kernel "1 2 1; 2 4 2; 1 2 1"
"""

app = typer.Typer(no_args_is_help=True, help="Help for who designs a network.", epilog=EXAMPLES, rich_markup_mode="rich")

KERNEL = "Size of the window, in pixels."


@app.command("padding")
def padding(
    kernel_size: Annotated[int, typer.Argument(help=KERNEL)],
    stride: Annotated[int, typer.Option(help="Pixels between two windows.")] = 1,
    dilation: Annotated[int, typer.Option(help="Pixels between two taps.")] = 1,
    size: Annotated[int, typer.Option(help="Pixels of the axis; it matters for strides.")] = 224,
) -> None:
    """The padding that keeps the size."""
    from striate import design

    typer.echo(design.same_padding(kernel_size, stride, dilation, size))


@app.command("stack")
def stack(
    kernel_size: Annotated[int, typer.Argument(help="Size of the large window.")],
    channels: Annotated[int, typer.Option(help="Channels, in and out.")] = 1,
    small: Annotated[int, typer.Option(help="Size of the small windows.")] = 3,
) -> None:
    """The stack of small windows that sees as much as a large one."""
    from striate import design

    typer.echo(design.stack(kernel_size, channels, small))


@app.command("separable")
def separable(
    in_channels: Annotated[int, typer.Argument(help="Channels in.")],
    out_channels: Annotated[int, typer.Argument(help="Channels out.")],
    kernel_size: Annotated[int, typer.Argument(help=KERNEL)] = 3,
) -> None:
    """What a depthwise separable convolution saves."""
    from striate import design

    typer.echo(design.separable(in_channels, out_channels, kernel_size))


@app.command("dilation")
def dilation(
    field: Annotated[int, typer.Argument(help="Receptive field that is wanted, in pixels.")],
    kernel_size: Annotated[int, typer.Option(help=KERNEL)] = 3,
) -> None:
    """The dilation rates that give a receptive field."""
    from striate import design

    typer.echo(design.dilation_rates(field, kernel_size))


@app.command("kernel", context_settings={"ignore_unknown_options": True})  # rows may begin with a minus
def kernel(
    kernel: Annotated[str, typer.Argument(help="A named kernel, such as sobel_x, or rows of numbers with a semicolon between "
                                               "them: '1 2 1; 2 4 2; 1 2 1'.")],
) -> None:
    """Whether a kernel is separable into a column and a row."""
    from striate import design

    typer.echo(design.separation(kernel_of(kernel)))
