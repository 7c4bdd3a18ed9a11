"""Layer normalisation: every sample by its own numbers, over the last axes, D numbers in all.

    mean = sum x / D        variance = sum (x - mean)^2 / D        z = (x - mean) / sqrt(variance + eps)
    y = weight * z + bias                                          weight, bias: one for each of the D places

    g = weight * dy         dx = (g - sum g / D - z * sum(g * z) / D) / sqrt(variance + eps)
    dweight = sum dy * z    dbias = sum dy                         over the samples

Without centring the mean is 0 (in dx the sum of g falls away): root-mean-square normalisation.

Sources: Ba, Kiros & Hinton, Layer normalization, arXiv:1607.06450, section 3; Zhang & Sennrich, Root mean square layer
normalization, arXiv:1910.07467, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float
from striate.ops.sight import View, whole, without


@dataclass(frozen=True)
class LayerNorm(Op):
    """x (..., *D), weight (*D), bias (*D) -> y, and each sample's mean (...) and biased variance (...).

    >>> LayerNorm(0.0).reference(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2))[0].tolist()
    [[-1.0, 1.0]]
    """

    eps: float
    centred: bool = True
    name = "layer_norm"
    inputs = ("x", "weight", "bias")
    linear_in = ("weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec) -> tuple[Spec, Spec, Spec]:
        statistic = check_places(x, weight=weight, bias=bias)
        return x, statistic, statistic

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        x, *others = (v.shape for v in inputs)
        return [without(x, range(len(outputs[1].shape), len(x))), *map(whole, others)]

    def reference(self, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
        axes = places(weight)
        mean = x.mean(axes, keepdims=True) if self.centred else 0 * x.mean(axes, keepdims=True)
        variance = ((x - mean) ** 2).mean(axes, keepdims=True)
        y = weight * ((x - mean) / np.sqrt(variance + self.eps)) + bias
        return y, mean.squeeze(axes), variance.squeeze(axes)

    def gradient(self, g, x, y, dy):
        if dy[1] is not None or dy[2] is not None:
            raise ArgumentError("layer_norm's mean and variance carry no gradient; compute them from x with mean()")
        return g.apply(LayerNormGradient(self.eps, self.centred), dy[0], x[0], x[1], y[1], y[2])

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=7 * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class LayerNormGradient(Op):
    """dy, x (..., *D), weight (*D), mean, variance (...) -> dx, dweight, dbias."""

    eps: float
    centred: bool = True
    name = "layer_norm_gradient"
    inputs = ("dy", "x", "weight", "mean", "variance")

    def infer(self, dy: Spec, x: Spec, weight: Spec, mean: Spec, variance: Spec) -> tuple[Spec, Spec, Spec]:
        check_places(x, weight=weight)
        return x, weight, weight

    def reference(self, dy: Array, x: Array, weight: Array, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
        axes, samples = places(weight), tuple(range(mean.ndim))
        root = np.expand_dims(np.sqrt(variance + self.eps), axes)
        z, g = (x - np.expand_dims(mean, axes)) / root, weight * dy
        dx = g - z * (g * z).mean(axes, keepdims=True)
        if self.centred:
            dx = dx - g.mean(axes, keepdims=True)
        return dx / root, (dy * z).sum(samples), dy.sum(samples)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=11 * inputs[0].size, **traffic(inputs, outputs))


def places(weight) -> tuple[int, ...]:
    """The axes that are normalised."""
    return tuple(range(-weight.ndim, 0))


def check_places(x: Spec, **parameters: Spec) -> Spec:
    """Parameters of the shape of x's last axes; returns one number a sample."""
    want_float(x=x, **parameters)
    for name, spec in parameters.items():
        rank = len(spec.shape)
        if not 0 < rank <= len(x.shape) or x.shape[len(x.shape) - rank:] != spec.shape:
            raise ShapeError(f"x {x.shape} does not end in the shape {spec.shape} of {name}",
                             fix="use normalized_shape of x's last axes")
    rank = len(next(iter(parameters.values())).shape)
    return Spec(x.shape[: len(x.shape) - rank], x.dtype)
