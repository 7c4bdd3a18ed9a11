"""Convolution layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes
from striate.window import windows


class Conv2d(Module):
    """(N, C, H, W) or (C, H, W) -> (N, K, P, Q): the operator `striate.ops.Conv2d` with a weight and a bias of its own.

    padding: pixels, a pair (rows, columns), (top, bottom, left, right), 'valid' or 'same'; only zeros are padded.
    Parameters: weight (out_channels, in_channels / groups, R, S), bias (out_channels,). Both start uniform within
    1 / sqrt(fan_in), fan_in = in_channels / groups * R * S. Raises ArgumentError.

    >>> conv = Conv2d(1, 6, 5, padding=2)
    >>> conv
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    >>> conv.weight.shape
    (6, 1, 5, 5)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
    ):  # fmt: skip
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ArgumentError(
                    f"{name}={channels} does not divide into groups={groups}: {channels} % {groups} = {channels % groups}; "
                    f"make {name} a multiple of groups"
                )
        if padding_mode != "zeros":
            raise ArgumentError(f"padding_mode='{padding_mode}' is not supported; use padding_mode='zeros'")
        window = windows(kernel_size, stride, padding, dilation)
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size = tuple(w.size for w in window)
        self.stride = tuple(w.stride for w in window)
        self.dilation = tuple(w.dilation for w in window)
        self.padding = padding if isinstance(padding, str) else _shown([w.pads for w in window])
        self.weight = Parameter(np.empty((out_channels, in_channels // groups, *self.kernel_size), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.uniform_by_fan_in_(self.weight, self.bias)

    def forward(self, input: Value) -> Value:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else text + ", bias=False"


def _shown(pads: list[tuple[int, int]]) -> tuple[int, ...]:
    """(rows, columns) where both sides are padded alike, else (top, bottom, left, right)."""
    alike = all(low == high for low, high in pads)
    return tuple(low for low, _ in pads) if alike else tuple(p for both in pads for p in both)
