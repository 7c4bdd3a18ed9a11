"""Losses as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, given, symbol


def cross_entropy(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Value:  # fmt: skip
    """`striate.ops.CrossEntropy` of logits (N, C, ...) and class indices (N, ...).

    A target of the logits' own shape and float type holds a probability for each class, as in mixup.
    """
    check_reduction(reduction, size_average, reduce)
    x = symbol(input)
    goal, classes = x.graph.lift(target), _class_weight(weight)
    if goal.dtype.startswith("float") and goal.shape == x.shape:
        return _cross_entropy_of_probabilities(x, goal, classes, reduction, label_smoothing)
    op = ops.CrossEntropy(label_smoothing, ignore_index, reduction)
    return x.graph.apply(op, x, goal, *given(classes))


def _cross_entropy_of_probabilities(x: Value, target: Value, weight: Any, reduction: str, label_smoothing: float) -> Value:
    """-sum over the classes of weight * target * log_softmax(x); the mean is over N and all other axes but the classes."""
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / x.shape[1]
    each = target * x.log_softmax(1)
    if weight is not None:
        each = each * x.graph.lift(weight).reshape(-1, *(1,) * (x.ndim - 2))
    return _reduced(-each.sum(1), reduction)


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """-weight[t] * x[t] of log-probabilities x (N, C, ...) and class indices t (N, ...).

    Composed: cross-entropy is ln sum_c exp(x_c) - x_t, and of logits that are all 0 it is ln C, which tells the weights.
    """
    check_reduction(reduction, size_average, reduce)
    x, op = symbol(input), ops.CrossEntropy(0.0, ignore_index, "none")
    classes = given(_class_weight(weight))
    even = np.zeros(x.shape, np.float32)
    counted = x.graph.apply(op, even, target, *classes) / math.log(x.shape[1])
    log_sum = (x - x.log_softmax(1)).mean(1)
    each = x.graph.apply(op, x, target, *classes) - counted * log_sum
    return each.sum() / counted.sum() if reduction == "mean" else _reduced(each, reduction)


def mse_loss(input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Value:
    """(x - target)^2, of two equal shapes; its mean, sum, or 'none' for each element."""
    check_reduction(reduction, size_average, reduce)
    difference = _difference(input, target)
    return _reduced(difference * difference, reduction)


def l1_loss(input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Value:
    """|x - target|, of two equal shapes; its mean, sum, or 'none' for each element."""
    check_reduction(reduction, size_average, reduce)
    return _reduced(_difference(input, target).abs(), reduction)


def check_reduction(reduction: str, size_average: None = None, reduce: None = None) -> None:
    """Refuse unknown reductions, and PyTorch's two forgotten arguments."""
    if size_average is not None or reduce is not None:
        raise ArgumentError("size_average and reduce are out of use; say reduction='mean', 'sum' or 'none'")
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _reduced(each: Value, reduction: str) -> Value:
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


def _difference(input: Tensor, target: Any) -> Value:
    """x - target, which must not broadcast: (N, 1) and (N,) would silently compare everything with everything."""
    x = symbol(input)
    goal = x.graph.lift(target)
    if x.shape != goal.shape:
        raise ShapeError(f"the input has shape {x.shape} but the target {goal.shape}", fix="give both the same shape")
    return x - goal


def _class_weight(weight: Any) -> Any:
    return weight if weight is None or isinstance(weight, Tensor) else np.asarray(weight, np.float32)
