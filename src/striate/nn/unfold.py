"""Windows as columns, and back: `striate.nn.functional.unfold` and `fold`."""

from __future__ import annotations

from typing import Any

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module
from striate.window import windows


class Unfold(Module):
    """(N, C, H, W) -> (N, C*R*S, P*Q): each column is one window's pixels (im2col).

    >>> Unfold(3, padding=1)
    Unfold(kernel_size=3, dilation=1, padding=1, stride=1)
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride
        windows(kernel_size, stride, padding, dilation)  # raises what is wrong, at the user's line

    def forward(self, input: Value) -> Value:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """(N, C*R*S, P*Q) -> (N, C, H, W) of the given output_size: columns added up, the transpose of `Unfold`."""

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride
        windows(kernel_size, stride, padding, dilation)  # raises what is wrong, at the user's line

    def forward(self, input: Value) -> Value:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
