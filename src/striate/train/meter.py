"""Loss and metrics of one pass over the data."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from striate.train.metrics import Loss, Metric


class Meter:
    """The loss and copies of the metrics, updated together: two passes never share a count."""

    def __init__(self, metrics: Sequence[Metric]):
        self.metrics = [Loss(), *copy.deepcopy(list(metrics))]
        self.images = 0
        for metric in self.metrics:
            metric.reset()

    def update(self, output: np.ndarray, target: np.ndarray, loss: float) -> None:
        self.images += len(target)
        for metric in self.metrics:
            metric.update(output, target, loss)

    def values(self) -> dict[str, float]:
        return {metric.name: metric.value() for metric in self.metrics}
