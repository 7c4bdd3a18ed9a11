"""Convolution and linear layers as functions."""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, given, images, symbol, weight_shape, window


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Value:  # fmt: skip
    """`striate.ops.Conv2d` of x (N, C, H, W), weight (K, C/G, R, S), bias (K,) -> (N, K, P, Q).

    padding: pixels, a pair (rows, columns), (top, bottom, left, right), 'valid' or 'same' (`striate.window.windows`).
    """
    op = ops.Conv2d(window(weight_shape(weight, 4)[2:], stride, padding, dilation), groups)
    return images(input, lambda x: x.graph.apply(op, x, weight, *given(bias)))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    """`striate.ops.Linear` of x (..., C), weight (K, C), bias (K,) -> (..., K)."""
    x = symbol(input)
    return x.graph.apply(ops.Linear(), x, weight, *given(bias))
