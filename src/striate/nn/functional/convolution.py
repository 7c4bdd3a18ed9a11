"""Convolution, transposed convolution and linear layers as functions.

stride, padding, dilation and output_padding are one whole number or one for each axis. padding is also (low, high) for each
axis in turn, for two axes (top, bottom, left, right), or a name: 'valid', 'same', 'same_lower', 'same_full' or 'full'
(`striate.window.named_pads`). flip=True turns the weight by 180 degrees first: the convolution of mathematics, where PyTorch
and all that follows it compute the cross-correlation.
"""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, given, images, symbol
from striate.ops.conv import WEIGHT, conv_of
from striate.ops.conv_transpose import conv_transpose_of
from striate.window import pad_pairs, pair, windows


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, flip: bool = False,
) -> Value:  # fmt: skip
    """`striate.ops.Conv1d` of x (N, C, W), weight (K, C/G, S), bias (K,) -> (N, K, Q)."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups, flip)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, flip: bool = False,
) -> Value:  # fmt: skip
    """`striate.ops.Conv2d` of x (N, C, H, W), weight (K, C/G, R, S), bias (K,) -> (N, K, P, Q)."""
    return _conv(2, input, weight, bias, stride, padding, dilation, groups, flip)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, flip: bool = False,
) -> Value:  # fmt: skip
    """`striate.ops.Conv3d` of x (N, C, D, H, W), weight (K, C/G, T, R, S), bias (K,) -> (N, K, O, P, Q)."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups, flip)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Value:  # fmt: skip
    """`striate.ops.ConvTranspose1d` of x (N, K, Q), weight (K, C/G, S), bias (C,) -> (N, C, W)."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Value:  # fmt: skip
    """`striate.ops.ConvTranspose2d` of x (N, K, P, Q), weight (K, C/G, R, S), bias (C,) -> (N, C, H, W)."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Value:  # fmt: skip
    """`striate.ops.ConvTranspose3d` of x (N, K, O, P, Q), weight (K, C/G, T, R, S), bias (C,) -> (N, C, D, H, W)."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    """`striate.ops.Linear` of x (..., C), weight (K, C), bias (K,) -> (..., K)."""
    x = symbol(input)
    return x.graph.apply(ops.Linear(), x, weight, *given(bias))


def _conv(rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int,
          flip: bool) -> Value:
    kernel_size = weight_size(weight, rank)
    w = _turned(symbol(weight)) if flip else weight

    def convolve(x: Value) -> Value:
        size = (x.shape[2:] + (1,) * rank)[:rank]  # an input of another rank is the operator's to refuse
        op = conv_of(windows(kernel_size, stride, padding, dilation, rank=rank, size=size), groups)
        return x.graph.apply(op, x, w, *given(bias))

    return images(input, convolve, rank)


def _turned(weight: Value) -> Value:
    """The weight turned by 180 degrees: every spatial axis backwards."""
    axes = tuple(ops.ResampleAxis("replicate", n, n, n - 1, -1) for n in weight.shape[2:])
    return weight.graph.apply(ops.Resample(axes), weight)


def _conv_transpose(rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
                    output_padding: Any, groups: int, dilation: Any) -> Value:
    window = windows(weight_size(weight, rank), stride, pad_pairs(padding, rank=rank), dilation, rank=rank)
    extra = pair(output_padding, "output_padding", rank)
    for more, w in zip(extra, window, strict=True):
        if not 0 <= more < max(w.stride, w.dilation):
            raise ArgumentError(f"output_padding={more} must be from 0 to max(stride {w.stride}, dilation {w.dilation}) - 1 = "
                                f"{max(w.stride, w.dilation) - 1}")
    names = ("depth", "height", "width")[-rank:]

    def convolve(x: Value) -> Value:
        size = (x.shape[2:] + (1,) * rank)[:rank]
        grown = tuple(w.grown(n, more, name) for w, n, more, name in zip(window, size, extra, names, strict=True))
        op = conv_transpose_of(tuple(w.reaching(more) for w, more in zip(window, extra, strict=True)), groups, grown)
        return x.graph.apply(op, x, weight, *given(bias))

    return images(input, convolve, rank)


def weight_size(weight: Tensor, rank: int) -> tuple[int, ...]:
    """The window's size, out of a weight with `rank` spatial axes."""
    if len(weight.shape) != rank + 2:
        raise ShapeError(f"the weight has {len(weight.shape)} axes, shape {weight.shape}, but needs {rank + 2}: "
                         f"({WEIGHT[rank]})", fix="reshape it")  # fmt: skip
    return weight.shape[2:]


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    """y[..., k] = bias[k] + sum_ij a[..., i] * weight[k, i, j] * b[..., j]: a (..., I), b (..., J), weight (K, I, J)."""
    a, b, w = symbol(input1), symbol(input2), symbol(weight)
    if w.ndim != 3 or a.shape[:-1] != b.shape[:-1] or (a.shape[-1:], b.shape[-1:]) != (w.shape[1:2], w.shape[2:]):
        raise ShapeError(f"a {a.shape} (..., I), b {b.shape} (..., J) and the weight {w.shape} (K, I, J) do not fit",
                         fix="use in1_features=I, in2_features=J", place="bilinear")  # fmt: skip
    K, I, J = w.shape
    rows = a.graph.apply(ops.Linear(), a, w.transpose(1, 2).reshape(K * J, I)).reshape(*a.shape[:-1], K, J)
    y = (rows * b.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias
