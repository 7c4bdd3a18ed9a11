"""Pooling with windows as functions: over one, two or three axes, with and without the places of maxima, and back.

kernel_size, stride, padding and dilation are one whole number or one for each axis; the stride is the kernel's size unless
given, so that every pixel is used once. A smaller stride makes windows overlap. padding is also (low, high) for each axis in
turn or a name, as for convolutions (`striate.window.windows`), at most half a window: a maximum sees padding as -infinity,
an average as 0. Inputs are (N, C, W), (N, C, H, W), (N, C, D, H, W), or one image without N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, images, stride_or_size, symbol
from striate.ops.pool import avg_pool_of, max_pool_of
from striate.window import Window, pair, windows


def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """`striate.ops.MaxPool1d` of (N, C, W) -> (N, C, Q), and with return_indices the places of the maxima (int32)."""
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """`striate.ops.MaxPool2d` of (N, C, H, W) -> (N, C, P, Q), and with return_indices their places h * W + w (int32)."""
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """`striate.ops.MaxPool3d` of (N, C, D, H, W) -> (N, C, O, P, Q), and with return_indices their places (int32)."""
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:  # fmt: skip
    """`striate.ops.AvgPool1d` of (N, C, W) -> (N, C, Q)."""
    return _avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """`striate.ops.AvgPool2d` of (N, C, H, W) -> (N, C, P, Q)."""
    return _avg(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """`striate.ops.AvgPool3d` of (N, C, D, H, W) -> (N, C, O, P, Q)."""
    return _avg(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def sum_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Value:
    """The sum of each window, k * k times its average: `striate.ops.AvgPool2d` with the divisor 1."""
    return _avg(2, input, kernel_size, stride, padding, ceil_mode, True, 1)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Value:
    """(sum of x^p over each window)^(1/p) for p = norm_type; see `lp_pool2d`."""
    return _lp(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Value:
    """(sum of x^p over each window)^(1/p) for p = norm_type: p = 1 is the sum, a large p nears the maximum.

    As in PyTorch x^p, not |x|^p, is summed, so an odd p suits inputs from 0 up; a sum that is not above 0 gives 0, with the
    gradient 0. With ceil_mode the mean of a window that reaches past the input counts for all its taps.

    Source: Gulcehre et al., Learned-norm pooling, arXiv:1311.1780.
    """
    return _lp(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Value:
    """(sum of x^p over each window)^(1/p) for p = norm_type; see `lp_pool2d`."""
    return _lp(3, input, norm_type, kernel_size, stride, ceil_mode)


def max_unpool1d(
    input: Tensor, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Value:
    """`striate.ops.MaxUnpool` of (N, C, Q) -> (N, C, W)."""
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Value:
    """`striate.ops.MaxUnpool` of (N, C, P, Q) -> (N, C, H, W): each value back at its index, 0 elsewhere.

    The output is (P - 1) * stride - 2 * padding + kernel_size large unless output_size says what was pooled; its last two
    numbers count.
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Value:
    """`striate.ops.MaxUnpool` of (N, C, O, P, Q) -> (N, C, D, H, W)."""
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


def stochastic_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, training: bool = True
) -> Value:
    """In training a pixel of each window, drawn with probability a / sum of a: `striate.ops.StochasticPool2d`.

    Otherwise what that gives on average, sum of a^2 / sum of a. a = max(x, 0): a negative input has probability 0, and a
    window without positive inputs gives 0.
    """

    def pool(x: Value) -> Value:
        window = pool_window(2, x, kernel_size, stride, padding, 1, ceil_mode)
        if training:
            used = [node.op.stream for node in x.graph.nodes if isinstance(node.op, ops.Drawn)]
            return x.graph.apply(ops.StochasticPool2d(window, max(used, default=-1) + 1), x, x.graph.random_state())[0]
        a, total = x.relu(), ops.AvgPool2d(window, divisor=1)
        return x.graph.apply(total, a * a) / (x.graph.apply(total, a) + 1e-30)  # 0 / 0 is 0

    return images(input, pool)


def pool_window(rank: int, x: Value, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1,
                ceil_mode: bool = False) -> tuple[Window, ...]:
    """The windows of pooling over x; refuses padding of more than half a window, as PyTorch does."""
    size = x.shape[-rank:] if x.ndim > rank else None
    made = windows(kernel_size, stride_or_size(stride, kernel_size), padding, dilation, ceil_mode, rank, size)
    check_half(made)
    return made


def check_half(window: Sequence[Window]) -> None:
    """Refuse padding of more than half a window: a window at the edge would see more padding than input."""
    for w in window:
        if max(w.pads) > w.extent // 2:
            raise ArgumentError(f"padding {max(w.pads)} is more than half of a window of {w.extent} pixels: {max(w.pads)} > "
                                f"{w.extent} // 2 = {w.extent // 2}; pad by at most {w.extent // 2}, or pad the input before")


def _max(rank: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
         return_indices: bool) -> Any:
    def pool(x: Value) -> Any:
        op = max_pool_of(pool_window(rank, x, kernel_size, stride, padding, dilation, ceil_mode))
        y, tap = x.graph.apply(op, x)
        return (y, x.graph.apply(ops.TapIndex(op.window, x.shape[2:]), tap)) if return_indices else y

    return images(input, pool, rank)


def _avg(rank: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
         divisor: int | None) -> Value:
    if divisor == 0:
        raise ArgumentError("divisor_override must not be 0; None divides by the number of taps")

    def pool(x: Value) -> Value:
        window = pool_window(rank, x, kernel_size, stride, padding, 1, ceil_mode)
        return x.graph.apply(avg_pool_of(window, count_include_pad, divisor), x)

    return images(input, pool, rank)


def _lp(rank: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Value:
    check_norm(norm_type)
    power, taps = float(norm_type), math.prod(pair(kernel_size, "kernel_size", rank))
    mean = _avg(rank, symbol(input) ** power, kernel_size, stride, 0, ceil_mode, True, None)
    return (mean * taps).relu() ** (1 / power)


def check_norm(norm_type: float) -> None:
    """Refuse a power that makes no norm."""
    if not 0 < norm_type < math.inf:
        raise ArgumentError(f"norm_type is the power p of the norm: a number above 0, got {norm_type}; "
                            "p = infinity is max pooling")


def _unpool(rank: int, input: Tensor, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Value:
    x = symbol(input)
    index, batched = x.graph.lift(indices), x.ndim != rank + 1
    window = windows(kernel_size, stride_or_size(stride, kernel_size), padding, 1, False, rank)
    op = ops.MaxUnpool(_unpooled(window, x.shape[-rank:], output_size))
    y = x.graph.apply(op, x, index) if batched else x.graph.apply(op, x.unsqueeze(0), index.unsqueeze(0)).squeeze(0)
    return y


def _unpooled(window: Sequence[Window], size: Sequence[int], output_size: Any) -> tuple[int, ...]:
    """The size that was pooled: as given, if the window makes `size` of it or nearly so, else the smallest that it can be."""
    least = tuple(w.grown(n) for w, n in zip(window, size, strict=True))
    if output_size is None:
        return least
    wanted = pair(tuple(output_size)[-len(window):], "output_size", len(window))
    for n, fewest, w in zip(wanted, least, window, strict=True):
        if not fewest - w.stride < n < fewest + w.stride:
            raise ArgumentError(f"output_size {wanted} does not fit: {n} is not between {fewest} - {w.stride} and {fewest} + "
                                f"{w.stride} (smallest size, stride); give the size of what was pooled")
    return wanted
