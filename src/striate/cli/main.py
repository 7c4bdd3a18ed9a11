"""The program `striate`.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 Ctrl-C. Errors are one line on standard error; STRIATE_DEBUG=1 shows where
they come from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from striate.cli import design, draw, filter, predict, profile, show, train

ClickException = typer.BadParameter.__mro__[2]  # typer brings click along in some versions and needs it in others

app = typer.Typer(name="striate", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  rich_markup_mode="rich")


@app.callback(invoke_without_command=True, epilog="Each command explains itself: [bold]striate train --help[/bold]")
def striate(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    """Train convolutional networks on the CPU, use them, and ask what they are made of.

    [bold]Examples[/bold]

      striate train fashion-mnist --epochs 3

      striate predict fashion-mnist.safetensors shoe.png

      striate summary resnet50 --fold

      striate explain mynet.py --input 3x32x32

      striate profile lenet --batch 64 --train

      striate list
    """
    if version:
        from striate.storage import version as number

        typer.echo(f"striate {number()}")
        raise typer.Exit


app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("summary", epilog=show.EXAMPLES)(show.summary)
app.command("explain", epilog=show.EXPLAINED)(show.explain)
app.command("filter", epilog=filter.EXAMPLES)(filter.filter)
app.command("profile", epilog=profile.EXAMPLES)(profile.profile)
app.command("draw", epilog=draw.EXAMPLES)(draw.draw)
app.add_typer(design.app, name="design")
app.command("list")(show.list_models)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        code = app(arguments, standalone_mode=False, prog_name="striate")
        return code if isinstance(code, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("STRIATE_DEBUG"):
            raise
        return told(*explained(error))


def explained(error: Exception) -> tuple[str, int]:
    """An error's text and exit code."""
    from striate.errors import ArgumentError, StriateError

    if isinstance(error, ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        return error.format_message().rstrip(".") + hint, 2  # type: ignore[attr-defined]
    if isinstance(error, ArgumentError):
        return str(error), 2
    if isinstance(error, (StriateError, OSError, MemoryError)):
        return str(error) or type(error).__name__, 1
    return f"unexpected {type(error).__name__}: {error}; STRIATE_DEBUG=1 shows where", 1


def told(text: str, code: int) -> int:
    print("striate: " + " ".join(text.split()), file=sys.stderr)
    return code
