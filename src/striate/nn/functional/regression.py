"""Losses of numbers and of probabilities as functions: x and target have one shape.

    mse          (x - t)^2                                   l1           |x - t|
    half_squared (x - t)^2 / 2, summed: dx = x - t           huber        d^2 / 2 where |d| < delta, else delta (|d| - delta / 2)
    smooth_l1    huber with delta = beta, divided by beta    kl_div       t (ln t - x) of log-probabilities x
    bce          -w (t ln x + (1 - t) ln(1 - x))             poisson_nll  e^x - t x, or x - t ln(x + eps)
    bce_with_logits  bce of sigmoid(x), without overflow     gaussian_nll (ln v + (x - t)^2 / v) / 2

Sources: Huber, Robust estimation of a location parameter, 1964; Girshick, Fast R-CNN, arXiv:1504.08083 (smooth_l1); Kullback &
Leibler, On information and sufficiency, 1951; Nix & Weigend, Estimating the mean and variance of the target distribution, 1994.
"""

from __future__ import annotations

import math
from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.activation import curve
from striate.nn.functional.arguments import Tensor, symbol
from striate.nn.functional.loss import check_reduction, reduced


def mse_loss(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", weight: Any = None
) -> Value:  # fmt: skip
    """(x - target)^2, of two equal shapes; its mean, sum, or 'none' for each element.

    weight, of the same shape, multiplies each element; the mean is then divided by the sum of the weights.
    """
    check_reduction(reduction, size_average, reduce)
    difference = _difference(input, target)
    return _weighted(difference * difference, weight, reduction)


def half_squared_error(input: Tensor, target: Any, reduction: str = "sum") -> Value:
    """(x - target)^2 / 2, by default summed, so that the gradient is x - target; 'batchmean' divides the sum by N."""
    check_reduction(reduction, more=("batchmean",))
    difference = _difference(input, target)
    return _batch_reduced(difference * difference * 0.5, reduction)


def l1_loss(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", weight: Any = None
) -> Value:  # fmt: skip
    """|x - target|, of two equal shapes; its mean, sum, or 'none' for each element. weight: as for `mse_loss`."""
    check_reduction(reduction, size_average, reduce)
    return _weighted(_difference(input, target).abs(), weight, reduction)


def huber_loss(
    input: Tensor, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Value:  # fmt: skip
    """`striate.ops.Huber` of x - target. weight, of the same shape, multiplies each element; the mean is over all of them."""
    check_reduction(reduction)
    check_delta(delta)
    each = curve(_difference(input, target), ops.Huber(float(delta)))
    return reduced(each if weight is None else each * _weight_of(each, weight), reduction)


def check_delta(delta: float) -> None:
    """Refuse a threshold that is none."""
    if not isinstance(delta, (int, float)) or not delta > 0:
        raise ArgumentError(f"delta must be a number greater than 0, got {delta!r}")


def smooth_l1_loss(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0
) -> Value:  # fmt: skip
    """huber_loss with delta = beta, divided by beta; l1_loss for beta 0."""
    check_reduction(reduction, size_average, reduce)
    if beta < 0:
        raise ArgumentError(f"beta must not be negative, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return reduced(curve(_difference(input, target), ops.Huber(float(beta))) * (1 / beta), reduction)


def binary_cross_entropy(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Value:  # fmt: skip
    """`striate.ops.BinaryCrossEntropy` of probabilities and targets; weight broadcasts to their shape."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    each = x.graph.apply(ops.BinaryCrossEntropy(), x, goal)
    return reduced(each if weight is None else each * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean",
    pos_weight: Any = None,
) -> Value:  # fmt: skip
    """-w * (pos_weight * t * ln s + (1 - t) * ln(1 - s)) with s = sigmoid(x): (1 - t) * x - (1 + (pos_weight - 1) * t) * ln s."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    log = curve(x, ops.LogSigmoid())
    if pos_weight is not None:
        log = log * (1 + (x.graph.lift(pos_weight) - 1) * goal)
    each = (1 - goal) * x - log
    return reduced(each if weight is None else each * weight, reduction)


def kl_div(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Value:  # fmt: skip
    """t * (ln t - x) of log-probabilities x and probabilities t (or ln t); 'batchmean' divides the sum by N: the divergence.

    t * ln t is 0 for t = 0.
    """
    check_reduction(reduction, size_average, reduce, more=("batchmean",))
    x, goal = pair(input, target)
    if log_target:
        return _batch_reduced(goal.exp() * (goal - x), reduction)
    return _batch_reduced(goal * ((goal + goal.eq(0)).log() - x), reduction)


def poisson_nll_loss(
    input: Tensor, target: Any, log_input: bool = True, full: bool = False, size_average: None = None, eps: float = 1e-8,
    reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """e^x - t * x, or x - t * ln(x + eps); `full` adds Stirling's t ln t - t + ln(2 pi t) / 2 where t > 1."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    each = x.exp() - goal * x if log_input else x - goal * (x + eps).log()
    if full:
        count = goal.clamp(min=1.0)
        each = each + (count * count.log() - count + 0.5 * (2 * math.pi * count).log()) * (goal > 1)
    return reduced(each, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Value:  # fmt: skip
    """(ln v + (x - t)^2 / v) / 2 with v = max(var, eps); var has x's shape, 1 for one of its axes, or nothing for its last.

    The target broadcasts to x. The gradient passes the bound eps, as in PyTorch. `full` adds ln(2 pi) / 2.
    """
    check_reduction(reduction)
    x = symbol(input)
    difference = x - numbers(x.graph.lift(target))
    variance = x.graph.lift(var)
    if variance.shape == x.shape[:-1] and x.ndim:
        variance = variance.unsqueeze(-1)
    differ = [n for n, m in zip(variance.shape, x.shape) if n != m]
    if variance.numel() != 1 and (variance.ndim != x.ndim or differ not in ([], [1])):
        raise ShapeError(f"var has shape {variance.shape}, the input {x.shape}",
                         fix="give var the input's shape, or 1 for one of its axes", place="gaussian_nll_loss")  # fmt: skip
    variance = variance + (variance.clamp(min=eps) - variance).detach()
    each = 0.5 * (variance.log() + difference * difference / variance)
    return reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


def pair(input: Tensor, target: Any) -> tuple[Value, Value]:
    """x and target, which must not broadcast: (N, 1) and (N,) would silently compare everything with everything."""
    x = symbol(input)
    goal = x.graph.lift(target)
    if x.shape != goal.shape:
        raise ShapeError(f"the input has shape {x.shape} but the target {goal.shape}", fix="give both the same shape")
    return x, numbers(goal)


def numbers(goal: Value) -> Value:
    """A target that is calculated with; whole numbers become float32."""
    return goal if goal.dtype.startswith("float") else goal.float()


def _weighted(each: Value, weight: Any, reduction: str) -> Value:
    """Each element times its weight; the mean is divided by the sum of the weights."""
    if weight is None:
        return reduced(each, reduction)
    factor = _weight_of(each, weight)
    return (each * factor).sum() / factor.sum() if reduction == "mean" else reduced(each * factor, reduction)


def _weight_of(each: Value, weight: Any) -> Value:
    factor = each.graph.lift(weight)
    if factor.shape != each.shape:
        raise ShapeError(f"weight has shape {factor.shape}, the input {each.shape}", fix="give each element its weight")
    return factor


def _difference(input: Tensor, target: Any) -> Value:
    x, goal = pair(input, target)
    return x - goal


def _batch_reduced(each: Value, reduction: str) -> Value:
    if reduction != "batchmean":
        return reduced(each, reduction)
    return each.sum() / each.shape[0] if each.ndim else each
