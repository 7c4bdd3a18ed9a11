"""Adaptive pooling over one, two or three axes: an input of any size is pooled to a given one.

    adaptive_avg_pool    y[p,q] = mean of x[h,w], h in floor(p*H/P) .. ceil((p+1)*H/P) - 1, w in the same way
                         dx[h,w] = sum of dy[p,q] / pixels over the outputs that see x[h,w]
    adaptive_max_pool    y[p,q] = max of the same; index = h*W + w of the first maximum in row-major order
                         dx[h,w] = sum of the dy whose index names x[h,w]

    N batch   C channels   H W input   P Q output        with one axis W, Q alone; with three D before H, O before P

Source: He et al., Spatial pyramid pooling, arXiv:1406.4729, section 2.2, with bins that always come out even.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.pool import AXES, flat
from striate.ops.sight import View, adaptive, images
from striate.window import spans


@dataclass(frozen=True)
class AdaptiveAvgPool(Op):
    """x (N, C, H, W) -> y (N, C, P, Q) for output_size (P, Q), whatever H and W are."""

    output_size: tuple[int, ...]
    linear_in = ("x",)

    def infer(self, x: Spec) -> Spec:
        return adapted(x, self.output_size)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [images([adaptive(n, out) for n, out in zip(inputs[0].shape[2:], self.output_size)])]

    def reference(self, x: Array) -> Array:
        for axis, out in enumerate(self.output_size, 2):
            x = along(averages(x.shape[axis], out, x.dtype), x, axis)
        return x

    def gradient(self, g, x, y, dy):
        return [g.apply(adaptive_avg_pool_gradient_of(x[0].shape[2:]), dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return bin_cost(self.output_size, inputs, outputs)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """x (N, C, W) -> y (N, C, Q)."""

    name = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """x (N, C, H, W) -> y (N, C, P, Q).

    >>> AdaptiveAvgPool2d((1, 2)).reference(np.array([[[[1.0, 5, 3]]]])).tolist()
    [[[[3.0, 4.0]]]]
    """

    name = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """x (N, C, D, H, W) -> y (N, C, O, P, Q)."""

    name = "adaptive_avg_pool3d"


@dataclass(frozen=True)
class AdaptiveAvgPoolGradient(Op):
    """dx (N, C, H, W): every dy, divided by the pixels that it saw, is added to them."""

    input_size: tuple[int, ...]
    inputs = ("dy",)
    linear_in = ("dy",)

    def infer(self, dy: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array) -> Array:
        for axis, n in enumerate(self.input_size, 2):
            dy = along(averages(n, dy.shape[axis], dy.dtype).T, dy, axis)
        return dy

    def gradient(self, g, x, y, dy):
        return [g.apply(adaptive_avg_pool_of(x[0].shape[2:]), dy[0])]


class AdaptiveAvgPool1dGradient(AdaptiveAvgPoolGradient):
    """dx (N, C, W) for dy (N, C, Q)."""

    name = "adaptive_avg_pool1d_gradient"


class AdaptiveAvgPool2dGradient(AdaptiveAvgPoolGradient):
    """dx (N, C, H, W) for dy (N, C, P, Q)."""

    name = "adaptive_avg_pool2d_gradient"


class AdaptiveAvgPool3dGradient(AdaptiveAvgPoolGradient):
    """dx (N, C, D, H, W) for dy (N, C, O, P, Q)."""

    name = "adaptive_avg_pool3d_gradient"


@dataclass(frozen=True)
class AdaptiveMaxPool(Op):
    """x (N, C, H, W) -> y (N, C, P, Q) for output_size (P, Q), and index int32 of that shape: h*W + w of the maximum."""

    output_size: tuple[int, ...]

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = adapted(x, self.output_size)
        return y, Spec(y.shape, "int32")

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [images([adaptive(n, out) for n, out in zip(inputs[0].shape[2:], self.output_size)])]

    def reference(self, x: Array) -> tuple[Array, Array]:
        size, rank = x.shape[2:], len(self.output_size)
        pixels = np.arange(math.prod(size)).reshape(size)
        index = np.zeros((*x.shape[:2], *self.output_size), np.int32)
        bins = [list(enumerate(spans(n, out))) for n, out in zip(size, self.output_size, strict=True)]
        for found in product(*bins):
            place, part = zip(*found)
            first = flat(x[:, :, *part], rank).argmax(-1)
            index[:, :, *place] = pixels[part].ravel()[first]
        return np.take_along_axis(flat(x, rank), flat(index, rank), -1).reshape(index.shape), index

    def gradient(self, g, x, y, dy):
        return [g.apply(adaptive_max_pool_gradient_of(x[0].shape[2:]), dy[0], y[1])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return bin_cost(self.output_size, inputs, outputs)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """x (N, C, W) -> y, index (N, C, Q)."""

    name = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """x (N, C, H, W) -> y, index (N, C, P, Q)."""

    name = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """x (N, C, D, H, W) -> y, index (N, C, O, P, Q)."""

    name = "adaptive_max_pool3d"


@dataclass(frozen=True)
class AdaptiveMaxPoolGradient(Op):
    """dx (N, C, H, W): every dy is added to the pixel that its index names."""

    input_size: tuple[int, ...]
    inputs = ("dy", "index")

    def infer(self, dy: Spec, index: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array, index: Array) -> Array:
        n, c = np.ogrid[: dy.shape[0], : dy.shape[1]]
        x, rank = np.zeros((*dy.shape[:2], math.prod(self.input_size)), dy.dtype), len(self.input_size)
        np.add.at(x, (n[..., None], c[..., None], flat(index, rank)), flat(dy, rank))
        return x.reshape(*dy.shape[:2], *self.input_size)


class AdaptiveMaxPool1dGradient(AdaptiveMaxPoolGradient):
    """dx (N, C, W) for dy, index (N, C, Q)."""

    name = "adaptive_max_pool1d_gradient"


class AdaptiveMaxPool2dGradient(AdaptiveMaxPoolGradient):
    """dx (N, C, H, W) for dy, index (N, C, P, Q)."""

    name = "adaptive_max_pool2d_gradient"


class AdaptiveMaxPool3dGradient(AdaptiveMaxPoolGradient):
    """dx (N, C, D, H, W) for dy, index (N, C, O, P, Q)."""

    name = "adaptive_max_pool3d_gradient"


def adaptive_avg_pool_of(output_size: tuple[int, ...]) -> AdaptiveAvgPool:
    """The average with as many axes as the output has."""
    kinds = {1: AdaptiveAvgPool1d, 2: AdaptiveAvgPool2d, 3: AdaptiveAvgPool3d}
    return kinds[len(output_size)](output_size)


def adaptive_avg_pool_gradient_of(input_size: tuple[int, ...]) -> AdaptiveAvgPoolGradient:
    """Its gradient."""
    kinds = {1: AdaptiveAvgPool1dGradient, 2: AdaptiveAvgPool2dGradient, 3: AdaptiveAvgPool3dGradient}
    return kinds[len(input_size)](input_size)


def adaptive_max_pool_of(output_size: tuple[int, ...]) -> AdaptiveMaxPool:
    """The maximum with as many axes as the output has."""
    kinds = {1: AdaptiveMaxPool1d, 2: AdaptiveMaxPool2d, 3: AdaptiveMaxPool3d}
    return kinds[len(output_size)](output_size)


def adaptive_max_pool_gradient_of(input_size: tuple[int, ...]) -> AdaptiveMaxPoolGradient:
    """Its gradient."""
    kinds = {1: AdaptiveMaxPool1dGradient, 2: AdaptiveMaxPool2dGradient, 3: AdaptiveMaxPool3dGradient}
    return kinds[len(input_size)](input_size)


def adapted(x: Spec, output_size: tuple[int, ...]) -> Spec:
    """The output of adaptive pooling."""
    want_float(x=x)
    want_rank(x, len(output_size) + 2, AXES[len(output_size)])
    if 0 in x.shape[2:]:
        raise ShapeError(f"x {x.shape} has no pixels to pool", fix="use a larger input")
    return Spec((*x.shape[:2], *output_size), x.dtype)


def bin_cost(output_size: Sequence[int], inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
    """One operation for each pixel of each bin; neighbouring bins may share pixels."""
    pixels = (sum(s.stop - s.start for s in spans(n, out)) for n, out in zip(inputs[0].shape[2:], output_size))
    return Cost(operations=math.prod((*inputs[0].shape[:2], *pixels)), **traffic(inputs, outputs))


def averages(n: int, out: int, dtype: np.dtype) -> Array:
    """(out, n) matrix whose row p is 1 / length over its span."""
    matrix = np.zeros((out, n), dtype)
    for p, span in enumerate(spans(n, out)):
        matrix[p, span] = 1 / (span.stop - span.start)
    return matrix


def along(matrix: Array, x: Array, axis: int) -> Array:
    """The matrix times x along one axis."""
    return np.moveaxis(matrix @ np.moveaxis(x, axis, -2), -2, axis)
