"""One call of `Trainer.fit`: epochs until they are done, or until something ends them earlier."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.errors import ModelFileError
from striate.graph import trace
from striate.train import batches
from striate.train.best import Best
from striate.train.checks import check_batch, check_labels
from striate.train.history import History, Record
from striate.train.meter import Meter
from striate.train.progress import Silent, reporter

if TYPE_CHECKING:
    from striate.train.trainer import Trainer


@dataclass
class Run:
    """What `fit` was asked to do, and how far it is."""

    trainer: Trainer
    train: Any
    validation: Any
    epochs: int
    early_stopping: int | None
    keep_best: bool | str
    save_to: str | Path | None
    metadata: dict[str, Any] | None
    minutes: float | None
    history: History = field(default_factory=History)
    best: Best | None = None
    reason: str = ""
    """Why the training shall end; empty while it goes on."""
    shapes: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)
    unsaved: ModelFileError | None = None

    def go(self) -> History:
        """Run to the end, whatever it is, and leave the network in eval mode."""
        report = reporter(self.trainer.progress)
        self.begun = time.perf_counter()
        report.begin(self.epochs, batches.count(self.train))
        try:
            self.loop(report)
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
        finally:
            report.end()
            self.finish()
        if self.unsaved or (self.history.stopped == "interrupted" and self.best is None):
            self.save(raising=True)
        return self.history

    def loop(self, report: Silent) -> None:
        for epoch in range(1, self.epochs + 1):
            record = self.epoch(epoch, report)
            self.history.add(record)
            report.epoch(record)
            self.judge(record)
            if self.trainer.schedule is not None and self.trainer.schedule_every == "epoch":
                self.trainer.schedule.step()
            for callback in self.trainer.callbacks:
                callback.after_epoch(self.trainer, record)
            if self.reason:
                break
        self.history.stopped = self.reason or "finished"

    def epoch(self, epoch: int, report: Silent) -> Record:
        """Train on all batches, then validate."""
        start, lr = time.perf_counter(), self.trainer.lr
        self.trainer.net.train()
        meter: Meter | None = None
        for number, (x, y) in enumerate(batches.each(self.train, "training"), 1):
            place = f"batch {number} of epoch {epoch}"
            meter = self.check(x, y, meter, place)
            if epoch == number == 1:
                report.planned(self.trainer.compiled().memory(x, y))
            loss = self.trainer.step(x, y, place)
            meter.update(self.trainer.output, y, loss)
            report.step(epoch, len(x), meter.values)
            if self.minutes is not None and time.perf_counter() - self.begun > 60 * self.minutes:
                self.reason = self.reason or "time"
            if self.reason:
                break
        passed = time.perf_counter() - start
        images = meter.images if meter else 0
        values = meter.values() if meter else {}
        if self.validation is not None:
            values |= {f"val_{name}": value for name, value in self.trainer.evaluate(self.validation).items()}
        return {"epoch": epoch, **values, "lr": lr, "seconds": time.perf_counter() - start, "images_per_second": images / passed}

    def check(self, x: np.ndarray, y: np.ndarray, meter: Meter | None, place: str) -> Meter:
        """Refuse a batch that cannot be trained on, before any number of it reaches the network."""
        check_batch(x, y, place)
        if x.shape not in self.shapes:
            graph = trace(self.trainer.net, x)
            self.shapes[x.shape] = graph.outputs[0].shape
        output = self.shapes[x.shape]
        check_labels(y, output, self.trainer.ignore_index, place)
        return meter or self.trainer.meter(output, y)

    def judge(self, record: Record) -> None:
        """Keep the best weights, save them, and see whether the patience is at an end."""
        if not self.keep_best and self.early_stopping is None:
            self.save()
            return
        if self.best is None:
            self.best = self.watch(record)
        if self.best.see(record):
            self.history.best_epoch = self.best.epoch
            self.save()
        if self.early_stopping is not None and self.best.since >= self.early_stopping:
            self.reason = self.reason or "early"

    def watch(self, record: Record) -> Best:
        """What the epochs are judged by: the name that was given, or the first metric of the validation, or its loss."""
        name = self.keep_best if isinstance(self.keep_best, str) else ""
        scores = [key for key in record if key.startswith("val_") and key != "val_loss"]
        name = name or (scores[0] if scores else "val_loss")
        metrics = {m.name: m.higher_is_better for m in self.trainer.metrics or []}
        return Best(self.trainer.net, name, metrics.get(name.removeprefix("val_"), not name.endswith("loss")))

    def finish(self) -> None:
        """The best epoch's weights, where they were to be kept."""
        if self.best is not None:
            self.best.restore()
        self.trainer.net.eval()

    def save(self, raising: bool = False) -> None:
        """Write the network; a full disk does not end the training, only its end tells."""
        if self.save_to is None:
            return
        from striate.storage import save

        try:
            save(self.trainer.net, self.save_to, self.metadata)
            self.unsaved = None
        except ModelFileError as error:
            if raising:
                raise
            self.unsaved = error
            warnings.warn(f"{error}; the training goes on and tries again", stacklevel=2)
