"""Pooling layers. What each computes stands in `striate.ops.pool`; all take (N, C, H, W) or (C, H, W)."""

from __future__ import annotations

from typing import Any

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module
from striate.window import windows


class MaxPool2d(Module):
    """The largest value of each window: `striate.ops.MaxPool2d`. The stride is the kernel's size unless given.

    >>> MaxPool2d(2)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, return_indices: bool = False,
        ceil_mode: bool = False,
    ):  # fmt: skip
        super().__init__()
        if return_indices:
            raise ArgumentError("MaxPool2d does not give indices; AdaptiveMaxPool2d(..., return_indices=True) does")
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode
        windows(self.kernel_size, self.stride, padding, dilation, ceil_mode)  # raises what is wrong, at the user's line

    def forward(self, input: Value) -> Value:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window: `striate.ops.AvgPool2d`. The stride is the kernel's size unless given.

    count_include_pad=False leaves padding out of the count; divisor_override replaces the count.

    >>> AvgPool2d(3, stride=2)
    AvgPool2d(kernel_size=3, stride=2, padding=0)
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override
        windows(self.kernel_size, self.stride, padding, 1, ceil_mode)  # raises what is wrong, at the user's line
        if divisor_override == 0:
            raise ArgumentError("divisor_override must not be 0; None divides by the number of taps")

    def forward(self, input: Value) -> Value:
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over a grid of output_size parts, whatever the input's size; None in it keeps an axis as it is.

    >>> AdaptiveAvgPool2d((1, 1))
    AdaptiveAvgPool2d(output_size=(1, 1))
    """

    def __init__(self, output_size: Any):
        super().__init__()
        F.adaptive_size(output_size, (1, 1))  # raises what is wrong, at the user's line
        self.output_size = output_size

    def forward(self, input: Value) -> Value:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(Module):
    """Maxima over a grid of output_size parts, and with return_indices their places h * W + w (int32).

    >>> AdaptiveMaxPool2d(4)
    AdaptiveMaxPool2d(output_size=4)
    """

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__()
        F.adaptive_size(output_size, (1, 1))  # raises what is wrong, at the user's line
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Value) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
