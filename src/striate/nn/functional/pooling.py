"""Pooling as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, images, stride_or_size, window
from striate.window import Window2d, pair


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Value:
    """`striate.ops.MaxPool2d` of (N, C, H, W) -> (N, C, P, Q); the stride is the kernel's size unless given."""
    op = ops.MaxPool2d(window(kernel_size, stride_or_size(stride, kernel_size), padding, dilation, ceil_mode))
    return images(input, lambda x: x.graph.apply(op, x)[0])


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """`striate.ops.AvgPool2d` of (N, C, H, W) -> (N, C, P, Q); the stride is the kernel's size unless given."""
    if divisor_override == 0:
        raise ArgumentError("divisor_override must not be 0; None divides by the number of taps")
    op = ops.AvgPool2d(window(kernel_size, stride_or_size(stride, kernel_size), padding, 1, ceil_mode), count_include_pad,
                       divisor_override)  # fmt: skip
    return images(input, lambda x: x.graph.apply(op, x))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Value:
    """Means over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.AvgPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveAvgPool2d` elsewhere.
    """

    def pool(x: Value) -> Value:
        size = adaptive_size(output_size, x.shape[-2:])
        window = _even_window(x.shape[-2:], size)
        return x.graph.apply(ops.AvgPool2d(window) if window else ops.AdaptiveAvgPool2d(size), x)

    return images(input, pool)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.MaxPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveMaxPool2d` elsewhere. The indices
    (int32, h * W + w) come with the second only, so asking for them uses it.
    """

    def pool(x: Value) -> tuple[Value, Value]:
        size = adaptive_size(output_size, x.shape[-2:])
        window = None if return_indices else _even_window(x.shape[-2:], size)
        return x.graph.apply(ops.MaxPool2d(window) if window else ops.AdaptiveMaxPool2d(size), x)

    both = images(input, pool)
    return both if return_indices else both[0]


def adaptive_size(output_size: Any, size: Sequence[int]) -> tuple[int, int]:
    """(P, Q) out of a number or a pair, in which None keeps the input's size.

    >>> adaptive_size((None, 3), (7, 9))
    (7, 3)
    """
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(wanted) != 2:
        raise ArgumentError(f"output_size must be a number or a pair, got {output_size}")
    height, width = pair([n if given is None else given for given, n in zip(wanted, size, strict=True)], "output_size")
    if min(height, width) < 1:
        raise ArgumentError(f"output_size must be at least 1, got {output_size}")
    return height, width


def _even_window(size: Sequence[int], output_size: tuple[int, int]) -> Window2d | None:
    """The window that pools `size` pixels to `output_size` where that comes out even; None elsewhere."""
    if any(n == 0 or n % out for n, out in zip(size, output_size)):
        return None
    step = tuple(n // out for n, out in zip(size, output_size))
    return window(step, step)
