"""Losses of class indices as functions; those of numbers stand in regression.py, those of pairs in distance.py."""

from __future__ import annotations

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
    """`striate.ops.CrossEntropy` of logits (N, C, ...) and class indices (N, ...), or of (C,) and a single index.

    A target of the logits' own shape and float type holds a probability for each class, as in mixup.
    """
    check_reduction(reduction, size_average, reduce)
    x = symbol(input)
    goal, classes = x.graph.lift(target), _class_weight(weight)
    if goal.dtype.startswith("float") and goal.shape == x.shape:
        if ignore_index >= 0:
            raise ArgumentError(f"ignore_index={ignore_index} is for class indices, the target holds probabilities; leave it out")
        return _cross_entropy_of_probabilities(x, goal, classes, reduction, label_smoothing)
    return _of_classes(ops.CrossEntropy(label_smoothing, ignore_index, reduction), x, goal, classes)


def _cross_entropy_of_probabilities(x: Value, target: Value, weight: Any, reduction: str, label_smoothing: float) -> Value:
    """-sum over the classes of weight * target * log_softmax(x); the mean is over N and all other axes but the classes."""
    at = min(1, x.ndim - 1)
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / x.shape[at]
    each = target * x.log_softmax(at)
    if weight is not None:
        each = each * x.graph.lift(weight).reshape(-1, *(1,) * (x.ndim - 1 - at))
    return reduced(-each.sum(at), reduction)


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """-weight[t] * x[t] of log-probabilities x (N, C, ...) and class indices t (N, ...), or (C,) and a single index."""
    check_reduction(reduction, size_average, reduce)
    x = symbol(input)
    op = ops.CrossEntropy(0.0, ignore_index, reduction, logits=False)
    return _of_classes(op, x, x.graph.lift(target), _class_weight(weight))


def _of_classes(op: ops.CrossEntropy, x: Value, target: Value, weight: Any) -> Value:
    """The operator; one row of classes (C,) is a batch of one."""
    if x.ndim != 1 or target.ndim:
        return x.graph.apply(op, x, target, *given(weight))
    y = x.graph.apply(op, x.unsqueeze(0), target.reshape(1), *given(weight))
    return y.squeeze(0) if op.reduction == "none" else y


def multi_margin_loss(
    input: Tensor, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: None = None,
    reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """sum over the other classes c of weight[t] * max(0, margin - x[t] + x[c])^p / C, of scores x (N, C) and indices t (N,)."""
    check_reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ArgumentError(f"p must be 1 or 2, got {p}")
    x = symbol(input)
    if x.ndim < 2:
        each = multi_margin_loss(x.reshape(1, -1), x.graph.lift(target).reshape(1), p, margin, weight, reduction="none")
        return each.squeeze(0) if reduction == "none" else each.sum()
    goal = x.graph.lift(target)
    if x.ndim != 2 or goal.shape != x.shape[:1]:
        raise ShapeError(f"scores {x.shape} (N, C) and target {goal.shape} (N,) do not fit", fix="give one class index a row",
                         place="multi_margin_loss")  # fmt: skip
    hit = x.graph.apply(ops.OneHot(x.shape[1]), goal)
    short = (x + (margin - (x * hit).sum(1, True))).relu() * (1 - hit)
    each = short if p == 1 else short * short
    if weight is not None:
        each = each * (hit * x.graph.lift(_class_weight(weight))).sum(1, True)
    return reduced(each.mean(1), reduction)


def multilabel_margin_loss(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Value:  # fmt: skip
    """sum over the row's classes t and all others c of max(0, 1 - (x[t] - x[c])) / C, of scores x (N, C) or (C,).

    target has the scores' shape: the classes of each row, then -1; what follows the first -1 does not count.
    """
    check_reduction(reduction, size_average, reduce)
    x = symbol(input)
    goal = x.graph.lift(target)
    if x.ndim < 2 and goal.shape == x.shape:
        each = multilabel_margin_loss(x.reshape(1, -1), goal.reshape(1, -1), reduction="none")
        return each.squeeze(0) if reduction == "none" else each.sum()
    if x.ndim != 2 or goal.shape != x.shape:
        raise ShapeError(f"scores {x.shape} and target {goal.shape} must both be (N, C) or (C,)",
                         fix="give each row its classes, then -1 up to C numbers", place="multilabel_margin_loss")  # fmt: skip
    C = x.shape[1]
    hits = x.graph.apply(ops.OneHot(C, ignore_index=-1), goal)  # (N, place in the row, class)
    ends = (1 - hits.sum(2)) @ np.triu(np.ones((C, C), np.float32))  # how many -1 stand up to each place
    hits = hits * ends.eq(0).unsqueeze(2)
    others = 1 - hits.sum(1).clamp(max=1.0)
    short = (1 - (hits @ x.unsqueeze(2)) + x.unsqueeze(1)).relu() * hits.sum(2, True) * others.unsqueeze(1)
    return reduced(short.sum((1, 2)) / C, reduction)


def check_reduction(reduction: str, size_average: None = None, reduce: None = None, more: tuple[str, ...] = ()) -> None:
    """Refuse unknown reductions, and PyTorch's two forgotten arguments."""
    if size_average is not None or reduce is not None:
        raise ArgumentError("size_average and reduce are out of use; say reduction='mean', 'sum' or 'none'")
    if reduction not in ("mean", "sum", "none", *more):
        known = "".join(f"'{name}', " for name in more) + "'mean', 'sum' or 'none'"
        raise ArgumentError(f"reduction must be {known}, got {reduction!r}")


def reduced(each: Value, reduction: str) -> Value:
    """The mean, the sum, or 'none': each as it is."""
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


def _class_weight(weight: Any) -> Any:
    return weight if weight is None or isinstance(weight, Tensor) else np.asarray(weight, np.float32)
