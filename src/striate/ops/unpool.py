"""Max unpooling: values go back to the places that they were the maxima of; everything else is zero.

    max_unpool            y[n,c, index[n,c,i]] = x[n,c,i], else 0                i, index count places in row-major order
    max_unpool_gradient   dx[n,c,i] = dy[n,c, index[n,c,i]]

The index is what max pooling gives with return_indices. Where two windows chose the same pixel, both hold its value; of
values that differ the last one stays. An index outside the output places nothing, and gets no gradient.

Sources: Zeiler & Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 2.1;
Badrinarayanan et al., SegNet, arXiv:1511.00561, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import DtypeError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float
from striate.ops.sight import SAME, View, whole


@dataclass(frozen=True)
class MaxUnpool(Op):
    """x (N, C, P, Q), index int32 or int64 of that shape -> y (N, C, H, W) for output_size (H, W); any number of axes.

    >>> MaxUnpool((4,)).reference(np.array([[[5.0, 7.0]]]), np.array([[[1, 2]]])).tolist()
    [[[0.0, 5.0, 7.0, 0.0]]]
    """

    output_size: tuple[int, ...]
    name = "max_unpool"
    inputs = ("x", "index")
    linear_in = ("x",)

    def infer(self, x: Spec, index: Spec) -> Spec:
        want_float(x=x)
        want_index(x, index)
        return Spec((*x.shape[:2], *self.output_size), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [((0, SAME), (1, SAME), *whole(x.shape[2:])) for x in inputs]  # the index decides

    def reference(self, x: Array, index: Array) -> Array:
        pixels = math.prod(self.output_size)
        y = np.zeros((*x.shape[:2], pixels), x.dtype)
        places, values = lines(index), lines(x)
        n, c, i = np.nonzero((places >= 0) & (places < pixels))
        y[n, c, places[n, c, i]] = values[n, c, i]
        return y.reshape(*x.shape[:2], *self.output_size)

    def gradient(self, g, x, y, dy):
        return [g.apply(MaxUnpoolGradient(), dy[0], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(**traffic(inputs, outputs))


@dataclass(frozen=True)
class MaxUnpoolGradient(Op):
    """dy (N, C, H, W), index (N, C, P, Q) -> dx (N, C, P, Q): what lies at the indices."""

    name = "max_unpool_gradient"
    inputs = ("dy", "index")
    linear_in = ("dy",)

    def infer(self, dy: Spec, index: Spec) -> Spec:
        return Spec(index.shape, dy.dtype)

    def reference(self, dy: Array, index: Array) -> Array:
        places, values = lines(index), lines(dy)
        inside = (places >= 0) & (places < values.shape[-1])
        return np.where(inside, np.take_along_axis(values, np.where(inside, places, 0), -1), 0).reshape(index.shape)

    def gradient(self, g, x, y, dy):
        return [g.apply(MaxUnpool(x[0].shape[2:]), dy[0], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(**traffic(inputs, outputs))


def want_index(x: Spec, index: Spec) -> None:
    """Refuse an index that is not whole numbers of the values' shape."""
    if not index.dtype.startswith("int"):
        raise DtypeError(f"index has dtype {index.dtype} but holds places, int32 or int64",
                         fix="give the indices of max pooling with return_indices=True")
    if index.shape != x.shape:
        raise ShapeError(f"x {x.shape} and index {index.shape} differ", fix="give each value the index that pooling gave with it")


def lines(array: Array) -> Array:
    """(N, C, ...) -> (N, C, places)."""
    return array.reshape(*array.shape[:2], -1)
