"""Losses: modules of (prediction, target). What each computes stands in `striate.nn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class Loss(Module):
    """What losses share: the reduction 'mean', 'sum' or 'none'. size_average and reduce must stay None."""

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        F.check_reduction(reduction, size_average, reduce)
        self.reduction = reduction


class ClassLoss(Loss):
    """A loss of class indices, with one weight a class and one index that does not count."""

    def __init__(
        self, weight: Any = None, size_average: None = None, ignore_index: int = -100, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.register_buffer("weight", None if weight is None else np.asarray(weight, np.float32))


class CrossEntropyLoss(ClassLoss):
    """Logits (N, C, ...) against class indices (N, ...) or probabilities (N, C, ...): `striate.ops.CrossEntropy`.

    weight: one number a class. ignore_index: a target that does not count. reduction: 'mean', 'sum' or 'none'.
    label_smoothing: the share of the target that is spread over all classes.

    >>> CrossEntropyLoss(label_smoothing=0.1)
    CrossEntropyLoss()
    """

    def __init__(
        self, weight: Any = None, size_average: None = None, ignore_index: int = -100, reduce: None = None,
        reduction: str = "mean", label_smoothing: float = 0.0,
    ):  # fmt: skip
        super().__init__(weight, size_average, ignore_index, reduce, reduction)
        if not 0 <= label_smoothing <= 1:
            raise ArgumentError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def forward(self, input: Value, target: Value) -> Value:
        return F.cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )


class NLLLoss(ClassLoss):
    """Log-probabilities (N, C, ...), as from LogSoftmax, against class indices (N, ...): -weight[t] * x[t]."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class MSELoss(Loss):
    """(x - target)^2 of two equal shapes."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """|x - target| of two equal shapes."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.l1_loss(input, target, reduction=self.reduction)
