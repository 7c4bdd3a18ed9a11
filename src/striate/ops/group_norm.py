"""Group normalisation: the channels of each sample in G groups, every group by its own numbers, M = C / G * pixels.

    mean[n,g] = sum x / M        variance[n,g] = sum (x - mean)^2 / M        z = (x - mean) / sqrt(variance + eps)
    y = weight[c] * z + bias[c]

    e = weight * dy              dx = (e - sum e / M - z * sum(e * z) / M) / sqrt(variance + eps)
    dweight[c] = sum dy * z      dbias[c] = sum dy                           over samples and pixels

G = C is instance normalisation; G = 1 without weight and bias is layer normalisation over (C, H, W).

Sources: Wu & He, Group normalization, arXiv:1803.08494, section 3; Ulyanov et al., Instance normalization, arXiv:1607.08022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic
from striate.ops.norm import check_channels, column, others
from striate.ops.sight import View, whole, without


@dataclass(frozen=True)
class GroupNorm(Op):
    """x (N, C, ...), weight (C,), bias (C,) -> y, and each group's mean and biased variance (N, G).

    >>> y, mean, _ = GroupNorm(2, 0.0).reference(np.array([[[1.0, 3.0], [5.0, 7.0]]]), np.ones(2), np.zeros(2))
    >>> y.tolist(), mean.tolist()
    ([[[-1.0, 1.0], [-1.0, 1.0]]], [[2.0, 6.0]])
    """

    groups: int
    eps: float
    name = "group_norm"
    inputs = ("x", "weight", "bias")
    linear_in = ("weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec) -> tuple[Spec, Spec, Spec]:
        check_channels(x, weight=weight, bias=bias)
        N, C = x.shape[:2]
        if C % self.groups:
            raise ShapeError(f"the {C} channels of x {x.shape} do not fall into {self.groups} equal groups",
                             fix="use a number of groups that divides the channels")
        if x.size == self.groups:
            raise ShapeError(f"x {x.shape} has one value in each of its {self.groups} groups, whose variance is 0",
                             fix="use fewer groups or a larger input")
        statistic = Spec((N, self.groups), x.dtype)
        return x, statistic, statistic

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        x, *others = (v.shape for v in inputs)
        return [without(x, range(1, len(x))), *map(whole, others)]

    def reference(self, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
        rows = grouped(x, self.groups)
        mean, variance = rows.mean(2), rows.var(2)
        z = ((rows - mean[..., None]) / np.sqrt(variance[..., None] + self.eps)).reshape(x.shape)
        return column(weight, x) * z + column(bias, x), mean, variance

    def gradient(self, g, x, y, dy):
        if dy[1] is not None or dy[2] is not None:
            raise ArgumentError("group_norm's mean and variance carry no gradient; compute them from x with mean()")
        return g.apply(GroupNormGradient(self.groups, self.eps), dy[0], x[0], x[1], y[1], y[2])

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=7 * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class GroupNormGradient(Op):
    """dy, x (N, C, ...), weight (C,), mean, variance (N, G) -> dx, dweight, dbias."""

    groups: int
    eps: float
    name = "group_norm_gradient"
    inputs = ("dy", "x", "weight", "mean", "variance")

    def infer(self, dy: Spec, x: Spec, weight: Spec, mean: Spec, variance: Spec) -> tuple[Spec, Spec, Spec]:
        check_channels(x, weight=weight)
        return x, weight, weight

    def reference(self, dy: Array, x: Array, weight: Array, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        root = np.sqrt(variance + self.eps)[..., None]
        z, e = (grouped(x, self.groups) - mean[..., None]) / root, grouped(column(weight, x) * dy, self.groups)
        dx = (e - e.mean(2, keepdims=True) - z * (e * z).mean(2, keepdims=True)) / root
        return dx.reshape(x.shape), (dy * z.reshape(x.shape)).sum(others(x)), dy.sum(others(x))

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=11 * inputs[0].size, **traffic(inputs, outputs))


def grouped(x: Array, groups: int) -> Array:
    """(N, C, ...) -> (N, G, M)."""
    return x.reshape(x.shape[0], groups, math.prod(x.shape[1:]) // groups)
