"""Batch normalisation. Channels are axis 1; M = the number of all other elements of a channel.

    mean[c] = sum x / M        variance[c] = sum (x - mean)^2 / M        z = (x - mean) / sqrt(variance + eps)
    y = weight * z + bias

    training    dx = weight / sqrt(variance + eps) * (dy - sum dy / M - z * sum(dy * z) / M)
                dweight = sum dy * z        dbias = sum dy
    inference   mean and variance are given (running averages), so y is linear in x

Source: Ioffe & Szegedy, Batch normalization, arXiv:1502.03167, algorithm 1 and section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float
from striate.ops.sight import View, whole, without


@dataclass(frozen=True)
class BatchNorm(Op):
    """x (N, C, ...), weight (C,), bias (C,) -> y, and the batch's mean (C,) and biased variance (C,).

    Mean and variance feed running averages and carry no gradient.

    >>> y, mean, variance = BatchNorm(0.0).reference(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1))
    >>> y.tolist(), mean.item(), variance.item()
    ([[-1.0], [1.0]], 2.0, 1.0)
    """

    eps: float
    name = "batch_norm"
    inputs = ("x", "weight", "bias")
    linear_in = ("weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec) -> tuple[Spec, Spec, Spec]:
        check_channels(x, weight=weight, bias=bias)
        if x.size == x.shape[1]:
            raise ShapeError(f"x {x.shape} has one value a channel, whose variance is 0: training needs more",
                             fix="use a larger batch or input, or eval()")
        statistic = Spec(x.shape[1:2], x.dtype)
        return x, statistic, statistic

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        x, *others = (v.shape for v in inputs)
        return [without(x, [0, *range(2, len(x))]), *map(whole, others)]

    def reference(self, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
        mean, variance = x.mean(others(x)), x.var(others(x))
        z = (x - column(mean, x)) / np.sqrt(column(variance, x) + self.eps)
        return column(weight, x) * z + column(bias, x), mean, variance

    def gradient(self, g, x, y, dy):
        if dy[1] is not None or dy[2] is not None:
            raise ArgumentError("batch_norm's mean and variance carry no gradient; compute them from x with mean()")
        return g.apply(BatchNormGradient(self.eps), dy[0], x[0], x[1], y[1], y[2])

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=7 * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class BatchNormGradient(Op):
    """dy, x (N, C, ...), weight, mean, variance (C,) -> dx, dweight, dbias."""

    eps: float
    name = "batch_norm_gradient"
    inputs = ("dy", "x", "weight", "mean", "variance")

    def infer(self, dy: Spec, x: Spec, weight: Spec, mean: Spec, variance: Spec) -> tuple[Spec, Spec, Spec]:
        check_channels(x, weight=weight, mean=mean, variance=variance)
        return x, weight, weight

    def reference(self, dy: Array, x: Array, weight: Array, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        root = np.sqrt(variance + self.eps)
        z = (x - column(mean, x)) / column(root, x)
        dweight, dbias, count = (dy * z).sum(others(x)), dy.sum(others(x)), x.size // x.shape[1]
        dx = column(weight / root, x) * (dy - column(dbias, x) / count - z * column(dweight, x) / count)
        return dx, dweight, dbias

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=11 * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class BatchNormInference(Op):
    """x (N, C, ...), weight, bias, mean, variance (C,) -> y: a scale and a shift for each channel."""

    eps: float
    name = "batch_norm_inference"
    inputs = ("x", "weight", "bias", "mean", "variance")
    linear_in = ("x", "weight", "bias", "mean")

    def infer(self, x: Spec, weight: Spec, bias: Spec, mean: Spec, variance: Spec) -> Spec:
        check_channels(x, weight=weight, bias=bias, mean=mean, variance=variance)
        return x

    def reference(self, x: Array, weight: Array, bias: Array, mean: Array, variance: Array) -> Array:
        scale = weight / np.sqrt(variance + self.eps)
        return column(scale, x) * (x - column(mean, x)) + column(bias, x)

    def gradient(self, g, x, y, dy):
        value, weight, _, mean, variance = x
        shape, axes = (-1,) + (1,) * (value.ndim - 2), others(value)
        inverse = (variance + self.eps) ** -0.5
        scale, dbias = weight * inverse, dy[0].sum(axes)
        dweight = (dy[0] * (value - mean.reshape(shape))).sum(axes) * inverse
        return [dy[0] * scale.reshape(shape), dweight, dbias, -scale * dbias, -0.5 * dweight * scale * inverse]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=2 * inputs[0].size, **traffic(inputs, outputs))


def check_channels(x: Spec, **statistics: Spec) -> None:
    """x (N, C, ...) and one number a channel for all else."""
    want_float(x=x, **statistics)
    if len(x.shape) < 2:
        raise ShapeError(f"x {x.shape} has no channel axis", fix="give it the shape (N, C, ...)")
    for name, spec in statistics.items():
        if spec.shape != x.shape[1:2]:
            raise ShapeError(f"x {x.shape} has {x.shape[1]} channels but {name} has shape {spec.shape}",
                             fix=f"use num_features={x.shape[1]}")


def others(x) -> tuple[int, ...]:
    """All axes but the channels."""
    return (0, *range(2, x.ndim))


def column(array: Array, x: Array) -> Array:
    """One number a channel, in a shape that broadcasts with x."""
    return array.reshape(-1, *(1,) * (x.ndim - 2))
