"""2-D pooling: the largest or the mean of what a window sees, channel by channel, and the gradients.

    t[n,c,p,q,r,s] = x[n, c, p*stride + r*dilation - low, q*stride + s*dilation - low]

    max_pool2d           y = max_{r,s} t, padding never wins      tap = r*S + s of the first maximum in row-major order
                         dx[h,w] = sum of the dy whose tap reads x[h,w]
    avg_pool2d           y = sum_{r,s} t / count                  dx[h,w] = sum of dy / count over the windows that see x[h,w]
                         count = taps inside input + padding, or inside the input only, or a fixed divisor
    adaptive_avg_pool2d  y[p,q] = mean of x[h,w], h in floor(p*H/P) .. ceil((p+1)*H/P) - 1, w in the same way
    adaptive_max_pool2d  y[p,q] = max of the same; index = h*W + w of the first maximum

    N batch   C channels   H W input   R S window   P Q output

Sources: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, section II.B (averages);
Dumoulin & Visin, arXiv:1603.07285, section 3; He et al., Spatial pyramid pooling, arXiv:1406.4729, section 2.2 (adaptive).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.taps import taps, untaps
from striate.window import Window2d, spans


@dataclass(frozen=True)
class MaxPool2d(Op):
    """x (N, C, H, W) -> y (N, C, P, Q), and tap int32 of that shape: r*S + s of the maximum. NaN wins.

    >>> from striate.window import windows
    >>> y, tap = MaxPool2d(windows(2, 2)).reference(np.array([[[[1.0, 5], [2, 3]]]]))
    >>> y.item(), tap.item()
    (5.0, 1)
    """

    window: Window2d
    name = "max_pool2d"

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = pooled(x, self.window)
        return y, Spec(y.shape, "int32")

    def reference(self, x: Array) -> tuple[Array, Array]:
        t = flat(taps(x, self.window, -np.inf))
        inside = flat(taps(np.ones((1, 1, *x.shape[2:])), self.window)) > 0
        tap = t.argmax(-1)
        tap = np.where(pick(inside, tap), tap, inside.argmax(-1))  # where all that a window sees is -inf, padding ties
        return pick(t, tap), tap.astype(np.int32)

    def gradient(self, g, x, y, dy):
        return [g.apply(MaxPool2dGradient(self.window, x[0].shape[2:]), dy[0], y[1])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, outputs[0], inputs, outputs)


@dataclass(frozen=True)
class MaxPool2dGradient(Op):
    """dx (N, C, H, W): every dy is added to the pixel that its tap reads."""

    window: Window2d
    input_size: tuple[int, ...]
    name = "max_pool2d_gradient"
    inputs = ("dy", "tap")

    def infer(self, dy: Spec, tap: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array, tap: Array) -> Array:
        height, width = self.window
        chosen = tap[..., None] == np.arange(height.size * width.size)
        return untaps((dy[..., None] * chosen).reshape(*dy.shape, height.size, width.size), self.window, self.input_size)


@dataclass(frozen=True)
class AvgPool2d(Op):
    """x (N, C, H, W) -> y (N, C, P, Q), the mean of each window; `divisor` replaces the count of taps.

    >>> from striate.window import windows
    >>> AvgPool2d(windows(2, 2)).reference(np.array([[[[1.0, 5], [2, 4]]]])).item()
    3.0
    """

    window: Window2d
    count_include_pad: bool = True
    divisor: int | None = None
    name = "avg_pool2d"
    linear_in = ("x",)

    def infer(self, x: Spec) -> Spec:
        return pooled(x, self.window)

    def reference(self, x: Array) -> Array:
        return taps(x, self.window).sum((-2, -1)) / self.counts(x.shape[2:]).astype(x.dtype)

    def counts(self, size: Sequence[int]) -> Array:
        """(P, Q) numbers that the sums are divided by."""
        rows, columns = ([w.count(p, n, self.count_include_pad) for p in range(w.out(n))] for w, n in zip(self.window, size))
        return np.outer(rows, columns) if self.divisor is None else np.full((len(rows), len(columns)), self.divisor)

    def gradient(self, g, x, y, dy):
        return [g.apply(AvgPool2dGradient(self.window, self.count_include_pad, self.divisor, x[0].shape[2:]), dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, outputs[0], inputs, outputs)


@dataclass(frozen=True)
class AvgPool2dGradient(Op):
    """dx (N, C, H, W): every dy / count is added to all pixels that its window sees."""

    window: Window2d
    count_include_pad: bool
    divisor: int | None
    input_size: tuple[int, ...]
    name = "avg_pool2d_gradient"
    inputs = ("dy",)
    linear_in = ("dy",)

    @property
    def forward(self) -> AvgPool2d:
        return AvgPool2d(self.window, self.count_include_pad, self.divisor)

    def infer(self, dy: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array) -> Array:
        share = dy / self.forward.counts(self.input_size).astype(dy.dtype)
        window = tuple(w.size for w in self.window)
        return untaps(np.broadcast_to(share[..., None, None], (*dy.shape, *window)), self.window, self.input_size)

    def gradient(self, g, x, y, dy):
        return [g.apply(self.forward, dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, inputs[0], inputs, outputs)


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Op):
    """x (N, C, H, W) -> y (N, C, P, Q) for output_size (P, Q), whatever H and W are.

    >>> AdaptiveAvgPool2d((1, 2)).reference(np.array([[[[1.0, 5, 3]]]])).tolist()
    [[[[3.0, 4.0]]]]
    """

    output_size: tuple[int, ...]
    name = "adaptive_avg_pool2d"
    linear_in = ("x",)

    def infer(self, x: Spec) -> Spec:
        return adapted(x, self.output_size)

    def reference(self, x: Array) -> Array:
        rows, columns = (averages(n, out, x.dtype) for n, out in zip(x.shape[2:], self.output_size))
        return rows @ x @ columns.T

    def gradient(self, g, x, y, dy):
        return [g.apply(AdaptiveAvgPool2dGradient(x[0].shape[2:]), dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class AdaptiveAvgPool2dGradient(Op):
    """dx (N, C, H, W): every dy, divided by the pixels that it saw, is added to them."""

    input_size: tuple[int, ...]
    name = "adaptive_avg_pool2d_gradient"
    inputs = ("dy",)
    linear_in = ("dy",)

    def infer(self, dy: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array) -> Array:
        rows, columns = (averages(n, out, dy.dtype) for n, out in zip(self.input_size, dy.shape[2:]))
        return rows.T @ dy @ columns

    def gradient(self, g, x, y, dy):
        return [g.apply(AdaptiveAvgPool2d(x[0].shape[2:]), dy[0])]


@dataclass(frozen=True)
class AdaptiveMaxPool2d(Op):
    """x (N, C, H, W) -> y (N, C, P, Q) for output_size (P, Q), and index int32 of that shape: h*W + w of the maximum."""

    output_size: tuple[int, ...]
    name = "adaptive_max_pool2d"

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        y = adapted(x, self.output_size)
        return y, Spec(y.shape, "int32")

    def reference(self, x: Array) -> tuple[Array, Array]:
        pixels = np.arange(x.shape[2] * x.shape[3]).reshape(x.shape[2:])
        index = np.zeros((*x.shape[:2], *self.output_size), np.int32)
        for p, rows in enumerate(spans(x.shape[2], self.output_size[0])):
            for q, columns in enumerate(spans(x.shape[3], self.output_size[1])):
                first = flat(x[:, :, rows, columns]).argmax(-1)
                index[:, :, p, q] = pixels[rows, columns].ravel()[first]
        return np.take_along_axis(flat(x), flat(index), -1).reshape(index.shape), index

    def gradient(self, g, x, y, dy):
        return [g.apply(AdaptiveMaxPool2dGradient(x[0].shape[2:]), dy[0], y[1])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class AdaptiveMaxPool2dGradient(Op):
    """dx (N, C, H, W): every dy is added to the pixel that its index names."""

    input_size: tuple[int, ...]
    name = "adaptive_max_pool2d_gradient"
    inputs = ("dy", "index")

    def infer(self, dy: Spec, index: Spec) -> Spec:
        return Spec((*dy.shape[:2], *self.input_size), dy.dtype)

    def reference(self, dy: Array, index: Array) -> Array:
        n, c = np.ogrid[: dy.shape[0], : dy.shape[1]]
        x = np.zeros((*dy.shape[:2], self.input_size[0] * self.input_size[1]), dy.dtype)
        np.add.at(x, (n[..., None], c[..., None], flat(index)), flat(dy))
        return x.reshape(*dy.shape[:2], *self.input_size)


def pooled(x: Spec, window: Window2d) -> Spec:
    """The output of a pooling window; refuses windows that see nothing but padding."""
    want_float(x=x)
    want_rank(x, 4, "N, C, H, W")
    sizes = []
    for w, n, axis in zip(window, x.shape[2:], ("height", "width")):
        sizes.append(w.out(n, axis))
        blank = w.blank(n)
        if blank is not None:
            raise ShapeError(f"{axis}: window {blank} reads pixels {w.read(blank, 0)} to {w.read(blank, w.size - 1)} of 0 to "
                             f"{n - 1}: nothing but padding", fix="pad by less than a window, or use a larger input")
    return Spec((*x.shape[:2], *sizes), x.dtype)


def adapted(x: Spec, output_size: tuple[int, ...]) -> Spec:
    """The output of adaptive pooling."""
    want_float(x=x)
    want_rank(x, 4, "N, C, H, W")
    if 0 in x.shape[2:]:
        raise ShapeError(f"x {x.shape} has no pixels to pool", fix="use a larger input")
    return Spec((*x.shape[:2], *output_size), x.dtype)


def averages(n: int, out: int, dtype: np.dtype) -> Array:
    """(out, n) matrix whose row p is 1 / length over its span."""
    matrix = np.zeros((out, n), dtype)
    for p, span in enumerate(spans(n, out)):
        matrix[p, span] = 1 / (span.stop - span.start)
    return matrix


def tap_cost(window: Window2d, y: Spec, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
    """One operation for each tap of each window."""
    return Cost(operations=y.size * window[0].size * window[1].size, **traffic(inputs, outputs))


def flat(array: Array) -> Array:
    """The last two axes as one."""
    return array.reshape(*array.shape[:-2], -1)


def pick(array: Array, index: Array) -> Array:
    """array[..., index[...]]."""
    return np.take_along_axis(array, index[..., None], -1)[..., 0]
