"""The training loop: epochs of compiled steps, validation, schedule, metrics, early stopping, the best model kept.

    trainer = Trainer(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1, momentum=0.9))
    history = trainer.fit(train, validation, epochs=5)

One step is one native call (striate.engine); everything here happens between steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from striate import engine
from striate.errors import ArgumentError
from striate.nn.module import Module
from striate.optim.optimizer import Optimizer
from striate.train import batches
from striate.train.checks import check_batch, check_labels, diverged
from striate.train.history import History, Record
from striate.train.meter import Meter
from striate.train.metrics import Metric, default_metrics
from striate.train.run import Run


class Callback:
    """What happens besides training; a plain function `(trainer, record)` serves as `after_epoch`."""

    def after_step(self, trainer: Trainer, loss: float) -> None:
        """One step is done; `trainer.steps` counts them."""

    def after_epoch(self, trainer: Trainer, record: Record) -> None:
        """One epoch is done and validated; `trainer.stop("reason")` ends the training here."""


class Trainer:
    """Trains a network.

    net, loss, optimizer   the loss maps (output, target) to a number; the optimizer trains all parameters unless given some
    schedule               a learning-rate schedule of `optim.lr_scheduler`, stepped every "epoch" or every "batch"
    metrics                None chooses by the labels: accuracy for classes, whole sequences too for labels (N, L)
    clip_norm              the largest L2 norm of all gradients together
    callbacks              Callback objects, or functions (trainer, record) called after every epoch
    progress               a bar in a terminal, a line per epoch elsewhere; False shows nothing

    `trainer.history` is the newest History, also after an error; `trainer.steps` counts the steps of all calls of `fit`.
    """

    def __init__(self, net: Module, loss: Any, optimizer: Optimizer, *, schedule: Any = None, schedule_every: str = "epoch",
                 metrics: Sequence[Metric] | None = None, clip_norm: float | None = None,
                 callbacks: Iterable[Callback | Callable[[Trainer, Record], Any]] = (), progress: bool = True):
        if schedule_every not in ("epoch", "batch"):
            raise ArgumentError(f"schedule_every is 'epoch' or 'batch', got '{schedule_every}'")
        if schedule is not None and getattr(schedule, "optimizer", optimizer) is not optimizer:
            raise ArgumentError("the schedule moves another optimizer than the trainer's; make both with the same optimizer")
        self.net, self.optimizer = net, optimizer
        self.loss = loss if isinstance(loss, Module) else _Function(loss)
        self.schedule, self.schedule_every, self.metrics, self.clip_norm = schedule, schedule_every, metrics, clip_norm
        self.callbacks = [c if isinstance(c, Callback) else _AfterEpoch(c) for c in callbacks]
        self.progress = progress
        self.ignore_index = getattr(self.loss, "ignore_index", -100)
        self.history = History()
        self.steps = 0
        self._step: Any = None
        self._run: Run | None = None

    def fit(self, train: Any, validation: Any = None, epochs: int = 1, *, batch_size: int = 64, early_stopping: int | None = None,
            keep_best: bool | str = False, save_to: str | Path | None = None, metadata: dict[str, Any] | None = None,
            minutes: float | None = None) -> History:
        """Train for some epochs; the network ends in eval mode, ready to be used.

        train, validation   a DataLoader, arrays (x, y), a dataset, or an iterable of batches (x, y); arrays and datasets are
                            cut into batches of `batch_size`, the training ones shuffled
        early_stopping      stop after so many epochs without a better validation; the best epoch's weights are kept
        keep_best           end with the weights of the best epoch, by the first metric of the validation or by the name given,
                            such as "val_loss"
        save_to             file that gets the network (`st.save`) after every epoch, or every best epoch, with `metadata`
        minutes             stop after so much time, in the middle of an epoch if need be

        Ctrl-C ends the training at once; the network stays as it is (or gets the best epoch's weights) and `history.stopped`
        is "interrupted".

        Raises DataError: labels that are NaN or out of range, empty data, x and y of different lengths; TrainingError: a loss
        that is not finite; ModelFileError, after the training: `save_to` could not be written.
        """
        if epochs < 1:
            raise ArgumentError(f"epochs must be at least 1, got {epochs}")
        if (early_stopping is not None or keep_best) and validation is None:
            raise ArgumentError("early_stopping and keep_best judge by validation data; give fit a second argument")
        known = None if validation is None else batches.loader(validation, batch_size, shuffle=False)
        self._run = Run(self, batches.loader(train, batch_size, shuffle=True), known, epochs, early_stopping, keep_best, save_to,
                        metadata, minutes)
        self.history = self._run.history
        return self._run.go()

    def evaluate(self, data: Any, batch_size: int = 64) -> dict[str, float]:
        """Loss and metrics over data, in eval mode; the modules' modes are put back afterwards."""
        modes = [(module, module.training) for module in self.net.modules()]
        self.net.eval()
        try:
            return self._evaluate(batches.loader(data, batch_size, shuffle=False))
        finally:
            for module, mode in modes:
                module.training = mode

    def _evaluate(self, data: Any) -> dict[str, float]:
        meter: Meter | None = None
        for number, (x, y) in enumerate(batches.each(data, "evaluation"), 1):
            check_batch(x, y, f"batch {number}")
            output = self.net(x)
            scores = first(output)
            check_labels(y, scores.shape, self.ignore_index, f"batch {number}")
            meter = meter or self.meter(scores.shape, y)
            meter.update(scores, y, float(self.loss(output, y)))
        return meter.values() if meter else {}

    def meter(self, output: tuple[int, ...], target: np.ndarray) -> Meter:
        """Fresh counts of the loss and the metrics."""
        return Meter(default_metrics(output, target, self.ignore_index) if self.metrics is None else self.metrics)

    def compiled(self) -> engine.Step:
        """The training step."""
        if self._step is None:
            self._step = engine.compile(self.net, self.loss, self.optimizer, clip_norm=self.clip_norm)
        return self._step

    def step(self, x: np.ndarray, y: np.ndarray, place: str) -> float:
        """One checked training step; the loss."""
        loss = float(self.compiled()(x, y))
        self.steps += 1
        if not math.isfinite(loss):
            raise diverged(loss, x, place, self.lr, self.clip_norm)
        if self.schedule is not None and self.schedule_every == "batch":
            self.schedule.step()
        for callback in self.callbacks:
            callback.after_step(self, loss)
        return loss

    @property
    def output(self) -> np.ndarray:
        """The network's output in the newest step; the first where it has several."""
        return first(self._step.output)

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def stop(self, reason: str = "stopped") -> None:
        """End the training after this step or epoch; `history.stopped` gets the reason."""
        if self._run is not None:
            self._run.reason = self._run.reason or reason


class _Function(Module):
    """A loss that is a plain function of (output, target)."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__()
        self.function = function

    def forward(self, output: Any, target: Any) -> Any:
        return self.function(output, target)


class _AfterEpoch(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[Trainer, Record], Any]):
        self.function = function

    def after_epoch(self, trainer: Trainer, record: Record) -> None:
        self.function(trainer, record)


def first(output: Any) -> np.ndarray:
    """The scores: a network's output, or the first of several."""
    if isinstance(output, dict):
        return next(iter(output.values()))
    return output[0] if isinstance(output, (tuple, list)) else output
