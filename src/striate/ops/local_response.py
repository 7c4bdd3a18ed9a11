"""Local response normalisation over neighbouring channels.

    s[c] = k + alpha / size * sum_{j = c - size//2}^{c + (size-1)//2} x[j]^2        channels outside count as 0
    y[c] = x[c] * s[c]^-beta

    dx[c] = dy[c] * s[c]^-beta - 2 * alpha * beta / size * x[c] * sum_{j: c in window of j} dy[j] * x[j] * s[j]^(-beta-1)

Source: Krizhevsky, Sutskever & Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 3.3, where
alpha is not divided by size; PyTorch's LocalResponseNorm divides, as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float
from striate.ops.sight import View, without


@dataclass(frozen=True)
class Response(Op):
    """What the operator and its gradient share."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self):
        if self.size < 1:
            raise ArgumentError(f"size must be at least 1 channel, got {self.size}")

    def neighbours(self, v: Array, before: int) -> Array:
        """The sum over the channels c - before .. c - before + size - 1."""
        edges = [(0, 0)] * v.ndim
        edges[1] = before, self.size - 1 - before
        around = np.pad(v, edges)
        return sum(around[:, i : i + v.shape[1]] for i in range(self.size))  # type: ignore[return-value]

    def scale(self, x: Array) -> Array:
        """s"""
        return self.k + self.alpha / self.size * self.neighbours(x * x, self.size // 2)


@dataclass(frozen=True)
class LocalResponseNorm(Response):
    """x (N, C, ...) -> y.

    >>> LocalResponseNorm(1, alpha=1.0, beta=1.0, k=1.0).reference(np.array([[[1.0], [2.0]]])).ravel().tolist()
    [0.5, 0.4]
    """

    name = "local_response_norm"

    def infer(self, x: Spec) -> Spec:
        want_float(x=x)
        if len(x.shape) < 3:
            raise ShapeError(f"x {x.shape} has {len(x.shape)} axes", fix="give it the shape (N, C, ...) with pixels behind C")
        return x

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [without(inputs[0].shape, [1])]

    def reference(self, x: Array) -> Array:
        return x * self.scale(x) ** -self.beta

    def gradient(self, g, x, y, dy):
        return [g.apply(LocalResponseNormGradient(self.size, self.alpha, self.beta, self.k), dy[0], x[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=(self.size + 4) * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class LocalResponseNormGradient(Response):
    """dy, x (N, C, ...) -> dx."""

    name = "local_response_norm_gradient"
    inputs = ("dy", "x")

    def infer(self, dy: Spec, x: Spec) -> Spec:
        return x

    def reference(self, dy: Array, x: Array) -> Array:
        s = self.scale(x)
        others = self.neighbours(dy * x * s ** (-self.beta - 1), (self.size - 1) // 2)
        return dy * s**-self.beta - 2 * self.alpha * self.beta / self.size * x * others

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=(2 * self.size + 10) * inputs[0].size, **traffic(inputs, outputs))
