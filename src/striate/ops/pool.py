"""Pooling over one, two or three axes: the largest or the mean of what a window sees, channel by channel, and the gradients.

    t[n,c,p,q,r,s] = x[n, c, p*stride + r*dilation - low, q*stride + s*dilation - low]        here with two axes

    max_pool       y = max_{r,s} t, padding never wins      tap = r*S + s of the first maximum in row-major order
                   dx[h,w] = sum of the dy whose tap reads x[h,w]: a maximum has one source, the others get nothing
    avg_pool       y = sum_{r,s} t / count                  dx[h,w] = sum of dy / count over the windows that see x[h,w]
                   count = taps inside input + padding, or inside the input only, or a fixed divisor
    tap_index      the place h*W + w of the pixel that a tap reads

    N batch   C channels   H W input   R S window   P Q output
    with one axis W, S, Q alone; with three D (depth) before H, T before R, O before P

A channel is pooled by itself, so their number stays; pooling has no parameters. The gradient of an average that leaves padding
out, or that has none, keeps the sum of dy; copying dy to each of n pixels would make it n times as large.

Sources: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, section II.B (averages);
Dumoulin & Visin, arXiv:1603.07285, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.sight import View, pooling
from striate.ops.taps import out_size, taps, untaps
from striate.window import Window

Windows = tuple[Window, ...]

AXES = {1: "N, C, W", 2: "N, C, H, W", 3: "N, C, D, H, W"}


@dataclass(frozen=True)
class MaxPool(Op):
    """x (N, C, H, W) -> y (N, C, P, Q), and tap int32 of that shape: r*S + s of the maximum. NaN wins."""

    window: Windows

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = pooled(x, self.window)
        return y, Spec(y.shape, "int32")

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [pooling(self.window, inputs[0].shape[2:])]

    def reference(self, x: Array) -> tuple[Array, Array]:
        rank = len(self.window)
        t = flat(taps(x, self.window, -np.inf), rank)
        inside = flat(taps(np.ones((1, 1, *x.shape[2:])), self.window), rank) > 0
        tap = t.argmax(-1)
        tap = np.where(pick(inside, tap), tap, inside.argmax(-1))  # where all that a window sees is -inf, padding ties
        return pick(t, tap), tap.astype(np.int32)

    def gradient(self, g, x, y, dy):
        return [g.apply(max_pool_gradient_of(self.window, x[0].shape[2:]), dy[0], y[1])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, outputs[0], inputs, outputs)


class MaxPool1d(MaxPool):
    """x (N, C, W) -> y, tap (N, C, Q)."""

    name = "max_pool1d"


class MaxPool2d(MaxPool):
    """x (N, C, H, W) -> y, tap (N, C, P, Q).

    >>> from striate.window import windows
    >>> y, tap = MaxPool2d(windows(2, 2)).reference(np.array([[[[1.0, 5], [2, 3]]]]))
    >>> y.item(), tap.item()
    (5.0, 1)
    """

    name = "max_pool2d"


class MaxPool3d(MaxPool):
    """x (N, C, D, H, W) -> y, tap (N, C, O, P, Q)."""

    name = "max_pool3d"


@dataclass(frozen=True)
class MaxPoolGradient(Op):
    """dx (N, C, H, W): every dy is added to the pixel that its tap reads; a tap that is no tap of the window, to none."""

    window: Windows
    input_size: tuple[int, ...]
    inputs = ("dy", "tap")

    def infer(self, dy: Spec, tap: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array, tap: Array) -> Array:
        sizes = [w.size for w in self.window]
        chosen = tap[..., None] == np.arange(math.prod(sizes))
        return untaps((dy[..., None] * chosen).reshape(*dy.shape, *sizes), self.window, self.input_size)


class MaxPool1dGradient(MaxPoolGradient):
    """dx (N, C, W) for dy, tap (N, C, Q)."""

    name = "max_pool1d_gradient"


class MaxPool2dGradient(MaxPoolGradient):
    """dx (N, C, H, W) for dy, tap (N, C, P, Q)."""

    name = "max_pool2d_gradient"


class MaxPool3dGradient(MaxPoolGradient):
    """dx (N, C, D, H, W) for dy, tap (N, C, O, P, Q)."""

    name = "max_pool3d_gradient"


@dataclass(frozen=True)
class AvgPool(Op):
    """x (N, C, H, W) -> y (N, C, P, Q), the mean of each window; `divisor` replaces the count of taps, 1 makes it the sum."""

    window: Windows
    count_include_pad: bool = True
    divisor: int | None = None
    linear_in = ("x",)

    def infer(self, x: Spec) -> Spec:
        return pooled(x, self.window)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [pooling(self.window, inputs[0].shape[2:])]

    def reference(self, x: Array) -> Array:
        rank = len(self.window)
        return flat(taps(x, self.window), rank).sum(-1) / self.counts(x.shape[2:]).astype(x.dtype)

    def counts(self, size: Sequence[int]) -> Array:
        """(P, Q) numbers that the sums are divided by."""
        if self.divisor is not None:
            return np.full(out_size(self.window, size), self.divisor)
        return reduce(np.multiply.outer, [np.array([w.count(p, n, self.count_include_pad) for p in range(w.out(n))])
                                          for w, n in zip(self.window, size, strict=True)])

    def gradient(self, g, x, y, dy):
        return [g.apply(avg_pool_gradient_of(self.window, self.count_include_pad, self.divisor, x[0].shape[2:]), dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, outputs[0], inputs, outputs)


class AvgPool1d(AvgPool):
    """x (N, C, W) -> y (N, C, Q)."""

    name = "avg_pool1d"


class AvgPool2d(AvgPool):
    """x (N, C, H, W) -> y (N, C, P, Q).

    >>> from striate.window import windows
    >>> AvgPool2d(windows(2, 2)).reference(np.array([[[[1.0, 5], [2, 4]]]])).item()
    3.0
    """

    name = "avg_pool2d"


class AvgPool3d(AvgPool):
    """x (N, C, D, H, W) -> y (N, C, O, P, Q)."""

    name = "avg_pool3d"


@dataclass(frozen=True)
class AvgPoolGradient(Op):
    """dx (N, C, H, W): every dy / count is added to all pixels that its window sees."""

    window: Windows
    count_include_pad: bool
    divisor: int | None
    input_size: tuple[int, ...]
    inputs = ("dy",)
    linear_in = ("dy",)

    @property
    def forward(self) -> AvgPool:
        return avg_pool_of(self.window, self.count_include_pad, self.divisor)

    def infer(self, dy: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array) -> Array:
        share = dy / self.forward.counts(self.input_size).astype(dy.dtype)
        sizes = [w.size for w in self.window]
        t = np.broadcast_to(share.reshape(*dy.shape, *(1 for _ in sizes)), (*dy.shape, *sizes))
        return untaps(t, self.window, self.input_size)

    def gradient(self, g, x, y, dy):
        return [g.apply(self.forward, dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, inputs[0], inputs, outputs)


class AvgPool1dGradient(AvgPoolGradient):
    """dx (N, C, W) for dy (N, C, Q)."""

    name = "avg_pool1d_gradient"


class AvgPool2dGradient(AvgPoolGradient):
    """dx (N, C, H, W) for dy (N, C, P, Q)."""

    name = "avg_pool2d_gradient"


class AvgPool3dGradient(AvgPoolGradient):
    """dx (N, C, D, H, W) for dy (N, C, O, P, Q)."""

    name = "avg_pool3d_gradient"


@dataclass(frozen=True)
class TapIndex(Op):
    """tap (N, C, P, Q) -> index int32 of that shape: h*W + w of the pixel that the tap reads, as PyTorch numbers maxima.

    >>> from striate.window import windows
    >>> TapIndex(windows(2, 2), (4, 6)).reference(np.array([[[[1, 2, 3]]]]))
    array([[[[ 1,  8, 11]]]], dtype=int32)
    """

    window: Windows
    input_size: tuple[int, ...]
    name = "tap_index"
    inputs = ("tap",)

    def infer(self, tap: Spec) -> Spec:
        return tap

    def reference(self, tap: Array) -> Array:
        taps_of_axes = np.unravel_index(tap, [w.size for w in self.window])
        places = np.ogrid[tuple(slice(n) for n in tap.shape[2:])]
        read = [w.read(p, t) for w, p, t in zip(self.window, places, taps_of_axes, strict=True)]
        return np.asarray(np.ravel_multi_index(read, self.input_size), np.int32)

    def gradient(self, g, x, y, dy):
        return [None]


def max_pool_of(window: Windows) -> MaxPool:
    """The maximum with as many axes as there are windows."""
    kinds = {1: MaxPool1d, 2: MaxPool2d, 3: MaxPool3d}
    return kinds[len(window)](window)


def max_pool_gradient_of(window: Windows, input_size: tuple[int, ...]) -> MaxPoolGradient:
    """Its gradient."""
    kinds = {1: MaxPool1dGradient, 2: MaxPool2dGradient, 3: MaxPool3dGradient}
    return kinds[len(window)](window, input_size)


def avg_pool_of(window: Windows, count_include_pad: bool = True, divisor: int | None = None) -> AvgPool:
    """The average with as many axes as there are windows."""
    kinds = {1: AvgPool1d, 2: AvgPool2d, 3: AvgPool3d}
    return kinds[len(window)](window, count_include_pad, divisor)


def avg_pool_gradient_of(
    window: Windows, count_include_pad: bool, divisor: int | None, input_size: tuple[int, ...]
) -> AvgPoolGradient:
    """Its gradient."""
    kinds = {1: AvgPool1dGradient, 2: AvgPool2dGradient, 3: AvgPool3dGradient}
    return kinds[len(window)](window, count_include_pad, divisor, input_size)


def pooled(x: Spec, window: Windows) -> Spec:
    """The output of a pooling window; refuses windows that see nothing but padding."""
    want_float(x=x)
    want_rank(x, len(window) + 2, AXES[len(window)])
    sizes = out_size(window, x.shape[2:])
    for w, n, axis in zip(window, x.shape[2:], ("depth", "height", "width")[-len(window):], strict=True):
        blank = w.blank(n)
        if blank is not None:
            raise ShapeError(f"{axis}: window {blank} reads pixels {w.read(blank, 0)} to {w.read(blank, w.size - 1)} of 0 to "
                             f"{n - 1}: nothing but padding", fix="pad by less than a window, or use a larger input")
    return Spec((*x.shape[:2], *sizes), x.dtype)


def tap_cost(window: Windows, y: Spec, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
    """One operation for each tap of each window."""
    return Cost(operations=y.size * math.prod(w.size for w in window), **traffic(inputs, outputs))


def flat(array: Array, axes: int) -> Array:
    """The last `axes` axes as one."""
    return array.reshape(*array.shape[: array.ndim - axes], -1)


def pick(array: Array, index: Array) -> Array:
    """array[..., index[...]]."""
    return np.take_along_axis(array, index[..., None], -1)[..., 0]
