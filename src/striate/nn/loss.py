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


class MultiMarginLoss(Loss):
    """Hinges of scores (N, C) or (C,) against class indices: `functional.multi_margin_loss`. p is 1 or 2."""

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: None = None, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        if p not in (1, 2):
            raise ArgumentError(f"p must be 1 or 2, got {p}")
        self.p, self.margin = p, margin
        self.register_buffer("weight", None if weight is None else np.asarray(weight, np.float32))

    def forward(self, input: Value, target: Value) -> Value:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """Hinges between the classes of each row and all others: `functional.multilabel_margin_loss`."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MSELoss(Loss):
    """(x - target)^2 of two equal shapes."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.mse_loss(input, target, reduction=self.reduction)


class HalfSquaredError(Module):
    """(x - target)^2 / 2, by default summed, so that the gradient is x - target; 'batchmean' divides the sum by N.

    The cost that textbooks derive back-propagation from. `MSELoss` is the mean of (x - target)^2 over all elements.
    """

    def __init__(self, reduction: str = "sum"):
        super().__init__()
        F.check_reduction(reduction, more=("batchmean",))
        self.reduction = reduction

    def forward(self, input: Value, target: Value) -> Value:
        return F.half_squared_error(input, target, self.reduction)


class L1Loss(Loss):
    """|x - target| of two equal shapes."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, of d = x - target."""

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Value, target: Value) -> Value:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """d^2 / 2 where |d| < delta, else delta * (|d| - delta / 2), of d = x - target."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction)
        F.check_delta(delta)
        self.delta = delta

    def forward(self, input: Value, target: Value) -> Value:
        return F.huber_loss(input, target, self.reduction, self.delta)


class WeightedLoss(Loss):
    """A loss of elements whose weight broadcasts to their shape."""

    def __init__(self, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", None if weight is None else np.asarray(weight, np.float32))


class BCELoss(WeightedLoss):
    """-weight * (t ln x + (1 - t) ln(1 - x)) of probabilities x, as from Sigmoid; the logarithms are not below -100."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """BCELoss of sigmoid(x), in one, without overflow; pos_weight multiplies the part of the positive targets."""

    def __init__(
        self, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean",
        pos_weight: Any = None,
    ):  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", None if pos_weight is None else np.asarray(pos_weight, np.float32))

    def forward(self, input: Value, target: Value) -> Value:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MultiLabelSoftMarginLoss(WeightedLoss):
    """BCEWithLogitsLoss, its mean over the last axis first."""

    def forward(self, input: Value, target: Value) -> Value:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class KLDivLoss(Module):
    """t * (ln t - x) of log-probabilities x; reduction 'batchmean' is the divergence of Kullback and Leibler."""

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", log_target: bool = False
    ):  # fmt: skip
        super().__init__()
        F.check_reduction(reduction, size_average, reduce, more=("batchmean",))
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Value, target: Value) -> Value:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """e^x - t * x, or x - t * ln(x + eps) with log_input False; `full` adds Stirling's approximation of ln t!."""

    def __init__(
        self, log_input: bool = True, full: bool = False, size_average: None = None, eps: float = 1e-8, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Value, target: Value) -> Value:
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(Loss):
    """(ln v + (x - t)^2 / v) / 2 of predictions x and variances v, not below eps; `full` adds ln(2 pi) / 2."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Value, target: Value, var: Value) -> Value:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
