"""Transposed convolution: the transpose of convolution as a linear map, with a bias; here with two axes:

    y[n,c,h,w] = b[c] + sum_{k,p,q,r,s} w[k,c,r,s] * x[n,k,p,q]    over h = p*stride + r*dilation - low, w = ...

Every input pixel scatters its window, `stride` pixels apart. With n input pixels, a window of extent D and padding that is
cut off, an axis of the output has (n-1)*stride - low - high + D + output_padding pixels. The same numbers come from a
convolution with stride 1 over x with stride-1 zeros between its pixels, padded by D - 1 - low, and with the kernel turned by
180 degrees. It is not the inverse of convolution.

The letters are those of the convolution whose transpose it is (conv.py), so K counts the channels of x and C those of y.

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.errors import ShapeError
from striate.ops.base import Array, Spec, want_float, want_rank
from striate.ops.conv import INPUT, ConvInputGradient, by_channel, check_bias, check_weight
from striate.window import Window


@dataclass(frozen=True)
class ConvTranspose(ConvInputGradient):
    """y = conv_transpose(x, weight) + bias; x (N, K, P, Q), weight (K, C/G, R, S), bias (C,) -> y (N, C, *input_size).

    input_size is the input of the convolution whose transpose this is, so it is the size of y.
    """

    inputs = ("x", "weight", "bias")
    linear_in = ("x", "weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec | None = None) -> Spec:
        want_float(x=x, weight=weight, bias=bias)
        rank = len(self.window)
        want_rank(x, rank + 2, INPUT[rank])
        check_weight(weight, self.window)
        if x.shape[1] != weight.shape[0]:
            raise ShapeError(f"x has {x.shape[1]} channels but the weight {weight.shape} reads {weight.shape[0]}",
                             fix=f"use in_channels={x.shape[1]}")
        if weight.shape[0] % self.groups:
            raise ShapeError(f"{weight.shape[0]} input channels do not divide into {self.groups} groups",
                             fix="make in_channels a multiple of groups")
        check_bias(bias, weight, weight.shape[1] * self.groups)
        return super().infer(x, weight)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = super().reference(x, weight)
        return y if bias is None else y + by_channel(bias, y)

    def gradient(self, g, x, y, dy):
        bias = [dy[0].sum((0, *range(2, dy[0].ndim)))] if len(x) > 2 else []
        return [*super().gradient(g, x, y, dy), *bias]


class ConvTranspose1d(ConvTranspose):
    """x (N, K, Q), weight (K, C/G, S) -> (N, C, W)."""

    name = "conv_transpose1d"


class ConvTranspose2d(ConvTranspose):
    """x (N, K, P, Q), weight (K, C/G, R, S) -> (N, C, H, W).

    >>> from striate.window import windows
    >>> ConvTranspose2d(windows(3, stride=2), 1, (5, 5)).infer(Spec((1, 8, 2, 2)), Spec((8, 4, 3, 3)))
    Spec(shape=(1, 4, 5, 5), dtype='float32')
    """

    name = "conv_transpose2d"


class ConvTranspose3d(ConvTranspose):
    """x (N, K, O, P, Q), weight (K, C/G, T, R, S) -> (N, C, D, H, W)."""

    name = "conv_transpose3d"


def conv_transpose_of(window: tuple[Window, ...], groups: int, input_size: tuple[int, ...]) -> ConvTranspose:
    """The transposed convolution over as many axes as there are windows."""
    return {1: ConvTranspose1d, 2: ConvTranspose2d, 3: ConvTranspose3d}[len(window)](window, groups, input_size)
