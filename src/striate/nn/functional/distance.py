"""Distances, and losses of pairs and margins, as functions.

    cosine_similarity  <a, b> / (max(|a|, eps) max(|b|, eps))       pairwise_distance  |a - b + eps|_p
    pdist              |a_i - a_j|_p of all pairs of rows

    hinge_embedding    x where t = 1, max(0, margin - x) where t = -1
    margin_ranking     max(0, margin - t (a - b))
    soft_margin        ln(1 + e^(-t x))
    multilabel_soft    mean over the classes of -w (t ln s(x) + (1 - t) ln s(-x)), s the sigmoid
    triplet_margin     max(0, margin + |anchor - positive| - |anchor - negative|)
    cosine_embedding   1 - cos where t = 1, max(0, cos - margin) where t = -1

Sources: Schroff et al., FaceNet, arXiv:1503.03832; Balntas et al., Learning local feature descriptors with triplets, BMVC 2016
(swap).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.activation import curve, softplus
from striate.nn.functional.arguments import Tensor, symbol
from striate.nn.functional.loss import check_reduction, reduced
from striate.nn.functional.regression import numbers, pair
from striate.nn.functional.shape import cat


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Value:
    """<a, b> / (max(|a|, eps) * max(|b|, eps)) along `dim`; a and b broadcast."""
    a, b = symbol(x1), symbol(x2)
    shape = ops.broadcast(a.shape, b.shape)
    a, b, at = (*(v if v.shape == shape else v.expand(shape) for v in (a, b)), ops.axis(dim, len(shape)))
    sizes = [(v * v).sum(at).clamp(min=eps**2) for v in (a, b)]
    return (a * b).sum(at) / (sizes[0] * sizes[1]).sqrt()


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Value:
    """(sum over the last axis of |a - b + eps|^p)^(1/p)."""
    return (symbol(x1) - x2 + eps).norm(p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Value:
    """The distances |x_i - x_j|_p of all pairs i < j of the rows of x (N, C), in order: N * (N - 1) / 2 of them."""
    x = symbol(input)
    if x.ndim != 2:
        raise ShapeError(f"x has {x.ndim} axes, shape {x.shape}, but needs (N, C)", fix="reshape x", place="pdist")
    N = x.shape[0]
    if N < 2:
        return x.graph.constant(np.zeros(0, np.float32))
    return cat([(x[i : i + 1] - x[i + 1 :]).norm(p, 1) for i in range(N - 1)])


def hinge_embedding_loss(
    input: Tensor, target: Any, margin: float = 1.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Value:  # fmt: skip
    """x where target is 1, max(0, margin - x) where it is -1; their sum, as in PyTorch, where it is neither."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    return reduced(x * goal.ne(-1) + (margin - x).relu() * goal.ne(1), reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Any, margin: float = 0.0, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Value:  # fmt: skip
    """max(0, margin - target * (a - b)); target 1: a should be larger, -1: b should be."""
    check_reduction(reduction, size_average, reduce)
    a, b = pair(input1, input2)
    return reduced((margin - numbers(a.graph.lift(target)) * (a - b)).relu(), reduction)


def soft_margin_loss(
    input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Value:  # fmt: skip
    """ln(1 + e^(-target * x)), target 1 or -1."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    return reduced(softplus(-(goal * x), threshold=80.0), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Value:  # fmt: skip
    """The mean over the last axis of -weight * (t * ln s(x) + (1 - t) * ln s(-x)), s the sigmoid."""
    check_reduction(reduction, size_average, reduce)
    x, goal = pair(input, target)
    each = (1 - goal) * x - curve(x, ops.LogSigmoid())
    return reduced((each if weight is None else each * weight).mean(-1), reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6,
    swap: bool = False, size_average: None = None, reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d = pairwise_distance.

    swap: the negative's distance is that to the positive, where that is smaller.
    """
    check_reduction(reduction, size_average, reduce)
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).relu(), reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[..., Value] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Value:  # fmt: skip
    """`triplet_margin_loss` with any distance of two values, by default pairwise_distance."""
    check_reduction(reduction)
    if margin <= 0:
        raise ArgumentError(f"margin must be greater than 0, got {margin}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).relu(), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Any, margin: float = 0.0, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Value:  # fmt: skip
    """1 - cos where target is 1, max(0, cos - margin) where it is -1, of (N, C) and (N,), or of (C,) and one number."""
    check_reduction(reduction, size_average, reduce)
    a, b = pair(input1, input2)
    goal = numbers(a.graph.lift(target))
    if goal.shape != a.shape[:-1]:
        raise ShapeError(f"inputs {a.shape} (N, C) and target {goal.shape} (N,) do not fit", fix="give one target a row",
                         place="cosine_embedding_loss")  # fmt: skip
    sizes = [(v * v).sum(-1) + 1e-12 for v in (a, b)]
    cosine = (a * b).sum(-1) / (sizes[0] * sizes[1]).sqrt()
    return reduced((1 - cosine) * goal.eq(1) + (cosine - margin).relu() * goal.eq(-1), reduction)
