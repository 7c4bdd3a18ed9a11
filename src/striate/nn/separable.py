"""Convolutions with fewer products: depthwise, depthwise separable, spatially separable, and with a table of connections.

    standard               K * C * R * S weights
    depthwise              C * m * R * S                one window for each channel, m outputs of each
    depthwise separable    C * m * R * S + C * m * K    depthwise, then 1x1 over the channels
    spatially separable    M * C * R + K * M * S        a column, then a row
    sparse                 one R * S kernel for each connection of an output with an input

Sources: Sifre & Mallat 2014; Chollet, Xception, arXiv:1610.02357; Jaderberg et al., arXiv:1405.3866 (scheme 2);
LeCun et al., Gradient-based learning applied to document recognition, 1998 (table I).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.conv import Conv2d, ConvLayer
from striate.nn.functional.arguments import symbol
from striate.nn.module import Module, Parameter, check_sizes
from striate.window import read_padding, windows


class DepthwiseConv2d(Conv2d):
    """(N, C, H, W) -> (N, C * depth_multiplier, P, Q): `Conv2d` with a group for each channel, as Keras' DepthwiseConv2D.

    Output channels c * depth_multiplier ... belong to input channel c. Parameters: weight (C * depth_multiplier, 1, R, S), bias.

    >>> DepthwiseConv2d(3, 3, padding="same").weight.shape
    (3, 1, 3, 3)
    """

    def __init__(
        self, in_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, depth_multiplier: int = 1,
        bias: bool = True, padding_mode: str = "zeros",
    ):  # fmt: skip
        check_sizes(in_channels=in_channels, depth_multiplier=depth_multiplier)
        super().__init__(in_channels, in_channels * depth_multiplier, kernel_size, stride, padding, dilation, in_channels, bias,
                         padding_mode)
        self.depth_multiplier = depth_multiplier


class SeparableConv2d(Module):
    """(N, C, H, W) -> (N, K, P, Q): a depthwise convolution, then a 1x1 convolution over its channels, as Keras' SeparableConv2D.

    Parameters: depthwise.weight (C * depth_multiplier, 1, R, S), pointwise.weight (K, C * depth_multiplier, 1, 1),
    pointwise.bias (K,): C * (R * S + K) weights, with a multiplier of 1. pointwise_first=True does the 1x1 convolution first, as
    Xception's paper describes it; then there are K * (C + R * S).

    >>> net = SeparableConv2d(3, 4, 3, bias=False)
    >>> sum(p.numel() for p in net.parameters()), 4 * 3 * 3 * 3
    (39, 108)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        depth_multiplier: int = 1, bias: bool = True, *, pointwise_first: bool = False,
    ):  # fmt: skip
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, depth_multiplier=depth_multiplier)
        if pointwise_first and out_channels % depth_multiplier:
            raise ArgumentError(f"out_channels={out_channels} is no multiple of depth_multiplier={depth_multiplier}; "
                                "make it one where pointwise_first=True")
        self.in_channels, self.out_channels, self.depth_multiplier, self.bias = in_channels, out_channels, depth_multiplier, bias
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.pointwise_first = pointwise_first
        inside = out_channels // depth_multiplier if pointwise_first else in_channels
        window = kernel_size, stride, padding, dilation
        self.depthwise = DepthwiseConv2d(inside, *window, depth_multiplier, bias=bias and pointwise_first)
        channels = (in_channels, inside) if pointwise_first else (self.depthwise.out_channels, out_channels)
        self.pointwise = Conv2d(*channels, 1, bias=bias and not pointwise_first)

    def forward(self, input: Value) -> Value:
        if self.pointwise_first:
            return self.depthwise(self.pointwise(input))
        return self.pointwise(self.depthwise(input))


class SpatiallySeparableConv2d(Module):
    """(N, C, H, W) -> (N, K, P, Q): a column (R, 1) with mid_channels outputs, then a row (1, S).

    With one channel in, between and out it is convolution with the kernel column * row. mid_channels is out_channels unless
    given. Parameters: column.weight (M, C, R, 1), row.weight (K, M, 1, S), row.bias (K,).

    >>> sum(p.numel() for p in SpatiallySeparableConv2d(1, 1, 3, bias=False).parameters())
    6
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        bias: bool = True, mid_channels: int | None = None,
    ):  # fmt: skip
        super().__init__()
        (down, right), pads = windows(kernel_size, stride, 0, dilation), read_padding(padding)
        rows, columns = (pads, pads) if isinstance(pads, str) else ((pads[0], (0, 0)), ((0, 0), pads[1]))
        between = mid_channels if mid_channels is not None else out_channels
        self.in_channels, self.out_channels, self.mid_channels, self.bias = in_channels, out_channels, between, bias
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.column = Conv2d(in_channels, between, (down.size, 1), (down.stride, 1), rows, (down.dilation, 1), bias=False)
        self.row = Conv2d(between, out_channels, (1, right.size), (1, right.stride), columns, (1, right.dilation), bias=bias)

    def forward(self, input: Value) -> Value:
        return self.row(self.column(input))


class SparseConv2d(ConvLayer):
    """(N, C, H, W) -> (N, K, P, Q): a convolution in which an output channel sees some of the input channels only.

    connections: for each output channel the numbers of the input channels that it sees. A kernel that is not in the table
    does not exist: it is no parameter and has no gradient. LeNet-5's third layer is SparseConv2d(6, 16, 5, LENET5).
    Parameters: weight (connections, R, S), in the order of the table; bias (K,). An output's weights start uniform within
    1 / sqrt(fan_in), fan_in = its connections * R * S. Raises ArgumentError.

    >>> conv = SparseConv2d(3, 2, 3, connections=((0, 1), (2,)))
    >>> conv.weight.shape, conv.bias.shape
    ((3, 3, 3), (2,))
    """

    rank = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, connections: Sequence[Sequence[int]], stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        self._start(in_channels, out_channels, kernel_size, stride, dilation, 1)
        self.connections = tuple(tuple(int(c) for c in row) for row in connections)
        self._check()
        self._pad(padding)
        count = sum(len(row) for row in self.connections)
        self.weight = Parameter.empty((count, *self.kernel_size))
        self.register_parameter("bias", Parameter.empty(out_channels) if bias else None)
        self.reset_parameters()

    def _check(self) -> None:
        if len(self.connections) != self.out_channels:
            raise ArgumentError(f"connections has {len(self.connections)} rows for out_channels={self.out_channels}; "
                                "give the input channels of each output channel")
        for k, row in enumerate(self.connections):
            if len(set(row)) < len(row) or not all(0 <= c < self.in_channels for c in row) or not row:
                raise ArgumentError(f"connections[{k}] = {row} must name input channels from 0 to {self.in_channels - 1}, "
                                    "at least one, each once")

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bounds = np.array([1 / math.sqrt(len(row) * math.prod(self.kernel_size)) for row in self.connections])
        each = np.repeat(bounds, [len(row) for row in self.connections])[:, None, None]
        init.uniform_(self.weight, -each, each)
        if self.bias is not None:
            init.uniform_(self.bias, -bounds, bounds)

    def whole_weight(self) -> Value:
        """(K, C, R, S), zero where nothing is connected; inside `forward`."""
        count, taps = self.weight.shape[0], math.prod(self.kernel_size)
        index = np.full((self.out_channels, self.in_channels), count)
        for kernel, (k, c) in enumerate((k, c) for k, row in enumerate(self.connections) for c in row):
            index[k, c] = kernel
        weight = symbol(self.weight).reshape(count, taps)
        kernels = F.cat([weight, weight.graph.lift(np.zeros((1, taps), np.float32))])  # the last one is no connection
        spread = F.embedding(weight.graph.lift(index), kernels)
        return spread.reshape(self.out_channels, self.in_channels, *self.kernel_size)

    def forward(self, input: Value) -> Value:
        return F.conv2d(input, self.whole_weight(), self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, connections={self.weight.shape[0]}"


def connections_of(mask: Any) -> tuple[tuple[int, ...], ...]:
    """A table of connections out of a mask (K, C): output channel k sees input channel c where mask[k, c] is true.

    >>> connections_of([[True, True, False], [False, False, True]])
    ((0, 1), (2,))
    """
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in np.asarray(mask, bool))


LENET5 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""Table I of LeNet-5: the six maps that each of the 16 outputs of layer C3 sees; 60 kernels."""
