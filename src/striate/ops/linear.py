"""Fully connected layer, its two gradients, and the product of matrices.

    y[...,k]  = b[k] + sum_c x[...,c] * w[k,c]
    dx[...,c] = sum_k dy[...,k] * w[k,c]
    dw[k,c]   = sum over all other axes of dy[...,k] * x[...,c]

    C/K features in/out; any number of axes in front. Bilinear in x and w, so each of the three is the transpose of another.

    matmul    y[b,m,k] = sum_c x[b,m,c] * w[b,c,k]      dx = dy @ w transposed      dw = x transposed @ dy

Source: Rumelhart, Hinton & Williams, Learning representations by back-propagating errors, Nature 323, 1986.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.elementwise import broadcast, unbroadcast
from striate.ops.sight import SAME, View, aligned, whole, without


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

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [without(inputs[0].shape, [len(inputs[0].shape) - 1]), *(whole(v.shape) for v in inputs[1:])]

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        return x @ weight.T if bias is None else x @ weight.T + bias

    def gradient(self, g, x, y, dy):
        bias = [dy[0].sum(tuple(range(dy[0].ndim - 1)))] if len(x) > 2 else []
        return [g.apply(LinearInputGradient(), dy[0], x[1]), g.apply(LinearWeightGradient(), x[0], dy[0]), *bias]

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
        return f"{inputs[1].shape[1]} features read, {inputs[1].shape[0]} made"

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        results = outputs[0].size
        return Cost(macs=results * inputs[1].shape[1], sums=results, biases=results if len(inputs) > 2 else 0,
                    **traffic(inputs, outputs))


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


@dataclass(frozen=True)
class MatMul(Op):
    """y = a @ b; a (..., M, C), b (..., C, K) -> (..., M, K); the axes in front broadcast.

    >>> MatMul().infer(Spec((8, 4, 5)), Spec((5, 3)))
    Spec(shape=(8, 4, 3), dtype='float32')
    """

    name = "matmul"
    inputs = ("a", "b")
    linear_in = ("a", "b")

    def infer(self, a: Spec, b: Spec) -> Spec:
        want_float(a=a, b=b)
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"a {a.shape} @ b {b.shape}: the last axis of a must be as long as the last but one of b",
                             fix="transpose or reshape one of them")
        return Spec((*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        (*a, _), b, y = *(v.shape for v in inputs), outputs[0].shape
        left = (*aligned(tuple(a), y[:-1]), None)
        return [left, (*aligned(b[:-2], y[:-2]), None, (len(y) - 1, SAME))]

    def reference(self, a: Array, b: Array) -> Array:
        return a @ b

    def gradient(self, g, x, y, dy):
        a, b = x
        if b.ndim == 2:
            return [g.apply(Linear(), dy[0], b), g.apply(LinearWeightGradient(), dy[0], a)]
        da, db = g.apply(self, dy[0], b.transpose(-1, -2)), g.apply(self, a.transpose(-1, -2), dy[0])
        return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=outputs[0].size * inputs[0].shape[-1], **traffic(inputs, outputs))
