"""What a training shows while it runs: a bar in a terminal, a plain line per epoch anywhere, or nothing."""

from __future__ import annotations

import time
from typing import Any

from striate.train.history import Record, show

REDRAW = 0.2
"""Seconds between two drawings of the bar: no thread of its own competes with the training for a core."""


class Silent:
    """Shows nothing; also the list of what a reporter does."""

    def begin(self, epochs: int, batches: int | None) -> None:
        """A training of so many epochs of so many batches; None where nobody knows."""

    def planned(self, memory: Any) -> None:
        """The memory of a step, known before the first one runs."""

    def step(self, epoch: int, images: int, values: Any) -> None:
        """One batch is done; `values()` gives loss and metrics as they stand."""

    def epoch(self, record: Record) -> None:
        """One epoch is done."""

    def end(self) -> None:
        """The training is over, in whatever way."""


class Lines(Silent):
    """A plain line per epoch, for logs and pipes."""

    def begin(self, epochs: int, batches: int | None) -> None:
        self.epochs = epochs

    def planned(self, memory: Any) -> None:
        print(memory, flush=True)

    def epoch(self, record: Record) -> None:
        print(self.line(record), flush=True)

    def line(self, record: Record) -> str:
        """`epoch 3/10  loss 0.2134  accuracy 0.9312  12,345 images/s  4.2 s`."""
        values = [f"{name} {show(name, value)}" for name, value in record.items()
                  if name not in ("epoch", "seconds", "images_per_second", "lr")]
        speed = f"{show('images_per_second', record['images_per_second'])} images/s  {show('seconds', record['seconds'])} s"
        return "  ".join([f"epoch {record['epoch']}/{self.epochs}", *values, speed])


class Bar(Lines):
    """A bar over the whole training with loss, metrics, images per second and the time left; a line per epoch above it."""

    def __init__(self, console: Any):
        self.console = console

    def begin(self, epochs: int, batches: int | None) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().begin(epochs, batches)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[values]}"),
                   TimeRemainingColumn(compact=True), TextColumn("left"))
        self.bar = Progress(*columns, console=self.console, transient=True, auto_refresh=False)
        self.task = self.bar.add_task(f"epoch 1/{epochs}", total=batches and epochs * batches, values="")
        self.bar.start()
        self.drawn, self.steps, self.images = time.perf_counter(), 0, 0

    def planned(self, memory: Any) -> None:
        self.console.print(str(memory), highlight=False, soft_wrap=True)

    def step(self, epoch: int, images: int, values: Any) -> None:
        self.steps, self.images = self.steps + 1, self.images + images
        passed = time.perf_counter() - self.drawn
        if passed < REDRAW:
            return
        shown = [f"{name} {show(name, value)}" for name, value in values().items()]
        text = "  ".join([*shown, f"{self.images / passed:,.0f} images/s"])
        self.bar.update(self.task, advance=self.steps, description=f"epoch {epoch}/{self.epochs}", values=text, refresh=True)
        self.drawn, self.steps, self.images = time.perf_counter(), 0, 0

    def epoch(self, record: Record) -> None:
        self.console.print(self.line(record), highlight=False, soft_wrap=True)
        self.drawn, self.images = time.perf_counter(), 0

    def end(self) -> None:
        self.bar.stop()


def reporter(progress: bool) -> Silent:
    """A bar where standard output is a terminal, lines elsewhere, nothing where nothing is wanted."""
    if not progress:
        return Silent()
    import sys

    if not sys.stdout.isatty():
        return Lines()
    from rich.console import Console

    return Bar(Console())
