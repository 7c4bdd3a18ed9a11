"""Help for who designs a network: paddings, stacks of small windows, separable convolutions, dilation rates.

    field of a stack        r = 1 + sum_i (D_i - 1) s_1 ... s_{i-1},  D_i = d_i (k_i - 1) + 1           top-down: in_from_out
    same size, stride 1     low + high = D - 1
    separable               K C R S weights become  C R S + C K  (depthwise first)  or  C K + K R S  (pointwise first)
    dilation                rates 1, 2, 4, ... of L layers see 1 + (k - 1) (2^L - 1); a constant rate d only 1 + (k - 1) d L

    K C channels out, in   R S window

Every answer is a small object; `print` shows it as a sentence.

Sources: Simonyan & Zisserman, arXiv:1409.1556, section 2.3 (stacks); Howard et al., arXiv:1704.04861, section 3.1 (separable);
Yu & Koltun, arXiv:1511.07122, section 2 (dilation); Dumoulin & Visin, arXiv:1603.07285 (sizes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.nn.factor import kernel_rank, separate
from striate.window import Window, named_pads

Layer = Window | Sequence[int]
"""A window, or (size, stride, pad) or (size, stride, pad, dilation); pooling layers count like convolutions."""


def in_from_out(layers: Sequence[Layer], number: int | None = None) -> int:
    """The receptive field of the first `number` layers, all unless given: from the top down, r <- (r - 1) * stride + D.

    Pooling is one more window; padding moves the field and does not change its size.

    >>> in_from_out([(3, 1, 1), (3, 1, 1), (2, 2, 0)])
    6
    """
    field = 1
    for window in reversed(_windows(layers[:number])):
        field = (field - 1) * window.stride + window.extent
    return field


def out_from_in(size: int, layers: Sequence[Layer], number: int | None = None) -> tuple[int, int]:
    """The pixels that are left of `size` pixels after the first `number` layers, and the product of their strides.

    >>> out_from_in(227, [(11, 4, 0), (3, 2, 0)])
    (27, 8)
    """
    total = 1
    for window in _windows(layers[:number]):
        size, total = window.out(size), total * window.stride
    return size, total


def _windows(layers: Sequence[Layer]) -> list[Window]:
    return [layer if isinstance(layer, Window) else _window(*layer) for layer in layers]


def _window(size: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Window:
    return Window(size, stride, dilation, (pad, pad))


@dataclass(frozen=True)
class Padding:
    """Pixels of padding before and after an axis, and the sizes that they lead from and to."""

    window: Window
    size: int
    out: int

    @property
    def low(self) -> int:
        return self.window.pads[0]

    @property
    def high(self) -> int:
        return self.window.pads[1]

    def __str__(self) -> str:
        w, (low, high) = self.window, self.window.pads
        text = (f"pad {low} before and {high} after: a window of {w.extent} = {w.dilation} * ({w.size} - 1) + 1 pixels and "
                f"stride {w.stride} makes {self.out} of {self.size} pixels")
        if low != high and w.stride == 1:
            text += "; the two differ, so the map moves by half a pixel: an odd window keeps it in place"
        return text


def same_padding(kernel_size: int, stride: int = 1, dilation: int = 1, size: int = 224) -> Padding:
    """The padding that keeps the size, or with a stride gives ceil(size / stride); `size` matters for strides only.

    >>> print(same_padding(3, dilation=2))
    pad 2 before and 2 after: a window of 5 = 2 * (3 - 1) + 1 pixels and stride 1 makes 224 of 224 pixels
    """
    if size < 1:
        raise ArgumentError(f"an axis has at least 1 pixel, got size={size}")
    pads = named_pads("same", Window(kernel_size, stride, dilation), size)
    window = Window(kernel_size, stride, dilation, pads)
    return Padding(window, size, window.out(size))


@dataclass(frozen=True)
class Stack:
    """Layers of small windows in the place of one large one; weights and biases of all of them, and of the one."""

    layers: int
    small: int
    large: int
    weights: int
    biases: int
    large_weights: int
    large_biases: int

    @property
    def saved(self) -> float:
        """The share of the weights that is saved, and of the multiply-accumulates for each pixel."""
        return 1 - self.weights / self.large_weights

    def __str__(self) -> str:
        k, n = self.small, self.large
        more = f"{self.layers - 1} more activation{'s' if self.layers > 2 else ''}"
        return (f"{self.layers} layers of {k}x{k} see {n}x{n}: {self.weights:,} + {self.biases:,} weights and biases instead of "
                f"{self.large_weights:,} + {self.large_biases:,}, {self.saved:.0%} of the weights saved, and {more} between them")


def stack(kernel_size: int, channels: int = 1, small: int = 3) -> Stack:
    """The stack of small windows that sees as much as one window, with `channels` in and out everywhere.

    Raises ArgumentError: a size that no stack reaches.

    >>> print(stack(5, 64))
    2 layers of 3x3 see 5x5: 73,728 + 128 weights and biases instead of 102,400 + 64, 28% of the weights saved, and 1 more \
activation between them
    """
    if min(channels, small - 1) < 1:
        raise ArgumentError(f"a stack has at least 1 channel and windows of 2 pixels, got channels={channels}, small={small}")
    if kernel_size <= small or (kernel_size - 1) % (small - 1):
        raise ArgumentError(f"layers of {small} pixels see 1 + {small - 1} * layers pixels, which is never {kernel_size} with "
                            f"two layers or more; use a size such as {small + 2 * (small - 1)}")
    layers = (kernel_size - 1) // (small - 1)
    return Stack(layers, small, kernel_size, layers * small**2 * channels**2, layers * channels, kernel_size**2 * channels**2,
                 channels)


@dataclass(frozen=True)
class Separable:
    """Weights without biases of a convolution, and of the same as depthwise and pointwise convolution in both orders."""

    standard: int
    depthwise_first: int
    pointwise_first: int

    @property
    def saved(self) -> float:
        """The share of weights that the usual order saves, and of multiply-accumulates too."""
        return 1 - self.depthwise_first / self.standard

    def __str__(self) -> str:
        return (f"standard {self.standard:,} weights; depthwise then pointwise {self.depthwise_first:,}, {self.saved:.0%} saved; "
                f"pointwise then depthwise {self.pointwise_first:,}; multiply-accumulates for each output pixel are as many")


def separable(in_channels: int, out_channels: int, kernel_size: int = 3) -> Separable:
    """What a depthwise separable convolution saves: 1/K + 1/(R S) of the weights are left.

    >>> separable(3, 4)
    Separable(standard=108, depthwise_first=39, pointwise_first=48)
    """
    if min(in_channels, out_channels, kernel_size) < 1:
        raise ArgumentError(f"channels and window must be at least 1, got {in_channels}, {out_channels}, {kernel_size}")
    taps, mixing = kernel_size**2, in_channels * out_channels
    return Separable(mixing * taps, in_channels * taps + mixing, mixing + out_channels * taps)


@dataclass(frozen=True)
class Dilation:
    """Dilation rates, and the field after each layer; `plain` is how many layers without dilation see as much."""

    kernel_size: int
    rates: tuple[int, ...]
    fields: tuple[int, ...]
    plain: int

    def __str__(self) -> str:
        return (f"rates {', '.join(map(str, self.rates))} of {self.kernel_size}x{self.kernel_size} windows see "
                f"{', '.join(map(str, self.fields))} pixels after each layer; without dilation this takes {self.plain} layers")


def dilation_rates(field: int, kernel_size: int = 3) -> Dilation:
    """The fewest layers whose field has at least so many pixels: rates double, the last is as small as will do.

    No rate is larger than the field before it, so no pixel is left out.

    >>> dilation_rates(25).rates, dilation_rates(31).fields
    ((1, 2, 4, 5), (3, 7, 15, 31))
    """
    if field < 2 or kernel_size < 2:
        raise ArgumentError(f"dilation widens fields of 2 pixels and more with windows of 2 and more, got field={field}, "
                            f"kernel_size={kernel_size}")
    rates: list[int] = []
    seen = 1
    while seen < field:
        rates.append(min(2 ** len(rates), -(-(field - seen) // (kernel_size - 1))))
        seen += (kernel_size - 1) * rates[-1]
    return Dilation(kernel_size, tuple(rates), growth(rates, kernel_size), -(-(field - 1) // (kernel_size - 1)))


def growth(rates: Sequence[int], kernel_size: int = 3) -> tuple[int, ...]:
    """The field after each layer of stride 1 with these dilation rates.

    Only rates that grow make it grow exponentially; a constant rate is linear like no dilation at all.

    >>> growth([1, 1, 1]), growth([2, 2, 2]), growth([1, 2, 4])
    ((3, 5, 7), (5, 9, 13), (3, 7, 15))
    """
    layers = [Window(kernel_size, dilation=rate) for rate in rates]
    return tuple(in_from_out(layers, i + 1) for i in range(len(layers)))


@dataclass(frozen=True)
class Separation:
    """The rank of a kernel, and where that is 1 the column and the row whose product it is."""

    shape: tuple[int, ...]
    rank: int
    column: tuple[float, ...] = ()
    row: tuple[float, ...] = ()

    def __str__(self) -> str:
        high, wide = self.shape
        if self.rank == 0:
            return "rank 0: all zeros, nothing to multiply"
        cost = f"{self.rank * (high + wide)} multiplications instead of {high * wide}"
        if self.rank > 1:
            return f"rank {self.rank}: not separable; {self.rank} columns and rows make it, {cost}"
        shown = (", ".join(f"{v:.4g}" for v in part) for part in (self.column, self.row))
        return "rank {}: separable, column ({}) times row ({}), {}".format(self.rank, *shown, cost)


def separation(kernel: Any) -> Separation:
    """Whether a kernel (R, S) falls apart into a column and a row.

    >>> print(separation([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).rank, separation([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).rank)
    1 2
    """
    matrix = np.asarray(kernel, float)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ArgumentError(f"a kernel is an array (R, S) of finite numbers, got {matrix.tolist()}")
    rank = kernel_rank(matrix)
    if rank != 1:
        return Separation(matrix.shape, rank)
    column, row = separate(matrix)
    return Separation(matrix.shape, rank, tuple(column.tolist()), tuple(row.tolist()))
