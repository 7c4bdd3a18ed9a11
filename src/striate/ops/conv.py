"""2-D convolution (cross-correlation) and its two gradients.

    y[n,k,p,q]  = b[k] + sum_{c,r,s} w[k,c,r,s] * x[n, g*C/G + c, p*stride + r*dilation - low, q*stride + s*dilation - low]
    dx[n,c,h,w] = sum over the (k,r,s,p,q) that read x[n,c,h,w] of w[k,c,r,s] * dy[n,k,p,q]
    dw[k,c,r,s] = sum_{n,p,q} x[n, c, p*stride + r*dilation - low, ...] * dy[n,k,p,q]

    N batch   C/K channels in/out   H W input   R S window   P Q output   G groups (g = k // (K/G))

The operator is bilinear in x and w, so each of the three is the transpose of another.

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, sections 2, 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, show, traffic, want_float, want_rank
from striate.ops.taps import taps, untaps
from striate.window import Window2d


@dataclass(frozen=True)
class Conv2d(Op):
    """y = conv(x, weight) + bias; x (N, C, H, W), weight (K, C/G, R, S), bias (K,) -> y (N, K, P, Q).

    >>> from striate.window import windows
    >>> Conv2d(windows(3, stride=2, padding=1)).infer(Spec((8, 3, 32, 32)), Spec((16, 3, 3, 3)))
    Spec(shape=(8, 16, 16, 16), dtype='float32')
    """

    window: Window2d
    groups: int = 1
    name = "conv2d"
    inputs = ("x", "weight", "bias")
    linear_in = ("x", "weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec | None = None) -> Spec:
        want_float(x=x, weight=weight, bias=bias)
        want_rank(x, 4, "N, C, H, W")
        want_rank(weight, 4, "K, C/G, R, S", "weight")
        check_channels(x.shape[1], weight.shape, self.groups)
        if weight.shape[2:] != tuple(w.size for w in self.window):
            raise ShapeError(f"weight {weight.shape} does not fit the window {show(self.window)}",
                             fix="give its last two axes the window's size")
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(f"bias {bias.shape} does not fit the weight {weight.shape}", fix=f"use shape {weight.shape[:1]}")
        return Spec((x.shape[0], weight.shape[0], *out_size(self.window, x.shape[2:])), x.dtype)

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = join(np.einsum("ngcpqrs,gkcrs->ngkpq", split(taps(x, self.window), 1, self.groups),
                           split(weight, 0, self.groups), optimize=True))
        return y if bias is None else y + bias[:, None, None]

    def gradient(self, g, x, y, dy):
        bias = [dy[0].sum((0, 2, 3))] if len(x) > 2 else []
        return [
            g.apply(Conv2dInputGradient(self.window, self.groups, x[0].shape[2:]), dy[0], x[1]),
            g.apply(Conv2dWeightGradient(self.window, self.groups), x[0], dy[0]),
            *bias,
        ]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return conv_cost(outputs[0], inputs[1], inputs, outputs)


@dataclass(frozen=True)
class Conv2dInputGradient(Op):
    """dx for dy (N, K, P, Q) and weight (K, C/G, R, S): the transpose of conv2d in x. Also transposed convolution."""

    window: Window2d
    groups: int
    input_size: tuple[int, ...]
    name = "conv2d_input_gradient"
    inputs = ("dy", "weight")
    linear_in = ("dy", "weight")

    def infer(self, dy: Spec, weight: Spec) -> Spec:
        want_rank(dy, 4, "N, K, P, Q", "dy")
        if dy.shape[1] != weight.shape[0]:
            raise ShapeError(f"dy has {dy.shape[1]} channels but the weight {weight.shape} reads {weight.shape[0]}",
                             fix=f"use {dy.shape[1]} output channels")
        check_size(dy, self.window, self.input_size)
        return Spec((dy.shape[0], weight.shape[1] * self.groups, *self.input_size), dy.dtype)

    def reference(self, dy: Array, weight: Array) -> Array:
        dt = np.einsum("ngkpq,gkcrs->ngcpqrs", split(dy, 1, self.groups), split(weight, 0, self.groups), optimize=True)
        return untaps(join(dt), self.window, self.input_size)

    def gradient(self, g, x, y, dy):
        return [g.apply(Conv2d(self.window, self.groups), dy[0], x[1]),
                g.apply(Conv2dWeightGradient(self.window, self.groups), dy[0], x[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return conv_cost(inputs[0], inputs[1], inputs, outputs)


@dataclass(frozen=True)
class Conv2dWeightGradient(Op):
    """dw for x (N, C, H, W) and dy (N, K, P, Q): the transpose of conv2d in the weight."""

    window: Window2d
    groups: int
    name = "conv2d_weight_gradient"
    inputs = ("x", "dy")
    linear_in = ("x", "dy")

    def infer(self, x: Spec, dy: Spec) -> Spec:
        want_rank(x, 4, "N, C, H, W")
        check_size(dy, self.window, x.shape[2:])
        return Spec((dy.shape[1], x.shape[1] // self.groups, *(w.size for w in self.window)), x.dtype)

    def reference(self, x: Array, dy: Array) -> Array:
        dw = np.einsum("ngcpqrs,ngkpq->gkcrs", split(taps(x, self.window), 1, self.groups),
                       split(dy, 1, self.groups), optimize=True)
        return dw.reshape(-1, *dw.shape[2:])

    def gradient(self, g, x, y, dy):
        return [g.apply(Conv2dInputGradient(self.window, self.groups, x[0].shape[2:]), x[1], dy[0]),
                g.apply(Conv2d(self.window, self.groups), x[0], dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return conv_cost(inputs[1], outputs[0], inputs, outputs)


def check_channels(channels: int, weight: tuple[int, ...], groups: int) -> None:
    """C = G * (C/G) and K divisible by G."""
    if weight[1] * groups != channels:
        raise ShapeError(
            f"x has {channels} channels but the weight {weight} with groups={groups} reads {weight[1]} * {groups} = "
            f"{weight[1] * groups}",
            fix=f"use in_channels={channels}",
        )
    if weight[0] % groups:
        raise ShapeError(f"{weight[0]} output channels do not divide into {groups} groups",
                         fix="make out_channels a multiple of groups")


def out_size(window: Window2d, size: Sequence[int]) -> tuple[int, int]:
    """(P, Q) of an input of size (H, W)."""
    height, width = window
    return height.out(size[0], "height"), width.out(size[1], "width")


def check_size(dy: Spec, window: Window2d, size: Sequence[int]) -> None:
    """dy (N, K, P, Q) is what the window makes of an input of size (H, W)."""
    if dy.shape[2:] != out_size(window, size):
        raise ShapeError(f"dy {dy.shape} is {dy.shape[2:]} large but the window makes {out_size(window, size)} of an input of "
                         f"{tuple(size)}", fix="give it that size")


def conv_cost(y: Spec, weight: Spec, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
    """N K P Q * (C/G) R S multiply-accumulates, whichever of the three is computed."""
    return Cost(macs=y.size * (weight.size // weight.shape[0]), **traffic(inputs, outputs))


def split(array: Array, axis: int, groups: int) -> Array:
    """An axis of G*n channels as two axes (G, n)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def join(array: Array) -> Array:
    """(N, G, n, ...) -> (N, G*n, ...)."""
    return array.reshape(array.shape[0], -1, *array.shape[3:])
