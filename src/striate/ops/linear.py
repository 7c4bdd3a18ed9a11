"""Fully connected layer and its two gradients.

    y[...,k]  = b[k] + sum_c x[...,c] * w[k,c]
    dx[...,c] = sum_k dy[...,k] * w[k,c]
    dw[k,c]   = sum over all other axes of dy[...,k] * x[...,c]

    C/K features in/out; any number of axes in front. Bilinear in x and w, so each of the three is the transpose of another.

Source: Rumelhart, Hinton & Williams, Learning representations by back-propagating errors, Nature 323, 1986.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank


@dataclass(frozen=True)
class Linear(Op):
    """y = x @ weight.T + bias; x (..., C), weight (K, C), bias (K,) -> y (..., K).

    >>> Linear().infer(Spec((8, 120)), Spec((84, 120)), Spec((84,)))
    Spec(shape=(8, 84), dtype='float32')
    """

    name = "linear"
    inputs = ("x", "weight", "bias")
    linear_in = ("x", "weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec | None = None) -> Spec:
        want_float(x=x, weight=weight, bias=bias)
        want_rank(weight, 2, "K, C", "weight")
        if not x.shape or x.shape[-1] != weight.shape[1]:
            raise ShapeError(f"x {x.shape} does not end in the {weight.shape[1]} features that the weight {weight.shape} reads",
                             fix=f"use in_features={x.shape[-1] if x.shape else 1}")
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(f"bias {bias.shape} does not fit the weight {weight.shape}", fix=f"use shape {weight.shape[:1]}")
        return Spec((*x.shape[:-1], weight.shape[0]), x.dtype)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        return x @ weight.T if bias is None else x @ weight.T + bias

    def gradient(self, g, x, y, dy):
        bias = [dy[0].sum(tuple(range(dy[0].ndim - 1)))] if len(x) > 2 else []
        return [g.apply(LinearInputGradient(), dy[0], x[1]), g.apply(LinearWeightGradient(), x[0], dy[0]), *bias]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=outputs[0].size * inputs[1].shape[1], **traffic(inputs, outputs))


@dataclass(frozen=True)
class LinearInputGradient(Op):
    """dx = dy @ weight; dy (..., K), weight (K, C) -> dx (..., C)."""

    name = "linear_input_gradient"
    inputs = ("dy", "weight")
    linear_in = ("dy", "weight")

    def infer(self, dy: Spec, weight: Spec) -> Spec:
        return Spec((*dy.shape[:-1], weight.shape[1]), dy.dtype)

    def reference(self, dy: Array, weight: Array) -> Array:
        return dy @ weight

    def gradient(self, g, x, y, dy):
        return [g.apply(Linear(), dy[0], x[1]), g.apply(LinearWeightGradient(), dy[0], x[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=inputs[0].size * inputs[1].shape[1], **traffic(inputs, outputs))


@dataclass(frozen=True)
class LinearWeightGradient(Op):
    """dw = dy.T @ x over all axes in front; x (..., C), dy (..., K) -> dw (K, C)."""

    name = "linear_weight_gradient"
    inputs = ("x", "dy")
    linear_in = ("x", "dy")

    def infer(self, x: Spec, dy: Spec) -> Spec:
        return Spec((dy.shape[-1], x.shape[-1]), x.dtype)

    def reference(self, x: Array, dy: Array) -> Array:
        return dy.reshape(-1, dy.shape[-1]).T @ x.reshape(-1, x.shape[-1])

    def gradient(self, g, x, y, dy):
        return [g.apply(LinearInputGradient(), x[1], dy[0]), g.apply(Linear(), x[0], dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=inputs[0].size * inputs[1].shape[-1], **traffic(inputs, outputs))
