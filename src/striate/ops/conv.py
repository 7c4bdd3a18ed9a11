"""Convolution (cross-correlation) over one, two or three axes, and its two gradients; here with two axes:

    y[n,k,p,q]  = b[k] + sum_{c,r,s} w[k,c,r,s] * x[n, g*C/G + c, p*stride + r*dilation - low, q*stride + s*dilation - low]
    dx[n,c,h,w] = sum over the (k,r,s,p,q) that read x[n,c,h,w] of w[k,c,r,s] * dy[n,k,p,q]
    dw[k,c,r,s] = sum_{n,p,q} x[n, c, p*stride + r*dilation - low, ...] * dy[n,k,p,q]

    N batch   C/K channels in/out   H W input   R S window   P Q output   G groups (g = k // (K/G))
    with one axis W, S, Q alone; with three D (depth) before H, T before R, O before P

The operator is bilinear in x and w, so each of the three is the transpose of another. Operators of one, two and three axes
differ in their names alone: what they compute follows from the number of their windows.

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, sections 2, 4 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, by_axis, show, traffic, want_float, want_rank
from striate.ops.sight import View, images, through, whole, writers
from striate.ops.taps import out_size, taps, untaps
from striate.window import Window

INPUT = {1: "N, C, W", 2: "N, C, H, W", 3: "N, C, D, H, W"}
OUTPUT = {1: "N, K, Q", 2: "N, K, P, Q", 3: "N, K, O, P, Q"}
WEIGHT = {1: "K, C/G, S", 2: "K, C/G, R, S", 3: "K, C/G, T, R, S"}
"""The axes of arrays, by the number of spatial axes."""


@dataclass(frozen=True)
class Conv(Op):
    """y = conv(x, weight) + bias; x (N, C, H, W), weight (K, C/G, R, S), bias (K,) -> y (N, K, P, Q)."""

    window: tuple[Window, ...]
    groups: int = 1
    inputs = ("x", "weight", "bias")
    linear_in = ("x", "weight", "bias")

    def infer(self, x: Spec, weight: Spec, bias: Spec | None = None) -> Spec:
        want_float(x=x, weight=weight, bias=bias)
        rank = len(self.window)
        want_rank(x, rank + 2, INPUT[rank])
        check_weight(weight, self.window)
        check_channels(x.shape[1], weight.shape, self.groups)
        check_bias(bias, weight, weight.shape[0])
        return Spec((x.shape[0], weight.shape[0], *out_size(self.window, x.shape[2:])), x.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [through(self.window), *(whole(v.shape) for v in inputs[1:])]

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        out, tap = letters(self.window)
        y = join(np.einsum(f"ngc{out}{tap},gkc{tap}->ngk{out}", split(taps(x, self.window), 1, self.groups),
                           split(weight, 0, self.groups), optimize=True))
        return y if bias is None else y + by_channel(bias, y)

    def gradient(self, g, x, y, dy):
        bias = [dy[0].sum((0, *range(2, dy[0].ndim)))] if len(x) > 2 else []
        return [
            g.apply(input_gradient_of(self.window, self.groups, x[0].shape[2:]), dy[0], x[1]),
            g.apply(weight_gradient_of(self.window, self.groups), x[0], dy[0]),
            *bias,
        ]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        found = conv_cost(self.window, inputs[0], outputs[0], inputs[1], inputs, outputs)
        return replace(found, sums=outputs[0].size, biases=outputs[0].size if len(inputs) > 2 else 0)


class Conv1d(Conv):
    """x (N, C, W), weight (K, C/G, S) -> (N, K, Q)."""

    name = "conv1d"


class Conv2d(Conv):
    """x (N, C, H, W), weight (K, C/G, R, S) -> (N, K, P, Q).

    >>> from striate.window import windows
    >>> Conv2d(windows(3, stride=2, padding=1)).infer(Spec((8, 3, 32, 32)), Spec((16, 3, 3, 3)))
    Spec(shape=(8, 16, 16, 16), dtype='float32')
    """

    name = "conv2d"


class Conv3d(Conv):
    """x (N, C, D, H, W), weight (K, C/G, T, R, S) -> (N, K, O, P, Q)."""

    name = "conv3d"


@dataclass(frozen=True)
class ConvInputGradient(Op):
    """dx for dy (N, K, P, Q) and weight (K, C/G, R, S): the transpose of convolution in x."""

    window: tuple[Window, ...]
    groups: int
    input_size: tuple[int, ...]
    inputs = ("dy", "weight")
    linear_in = ("dy", "weight")

    def infer(self, dy: Spec, weight: Spec) -> Spec:
        rank = len(self.window)
        want_rank(dy, rank + 2, OUTPUT[rank], "dy")
        if dy.shape[1] != weight.shape[0]:
            raise ShapeError(f"dy has {dy.shape[1]} channels but the weight {weight.shape} reads {weight.shape[0]}",
                             fix=f"use {dy.shape[1]} output channels")
        check_size(dy, self.window, self.input_size)
        return Spec((dy.shape[0], weight.shape[1] * self.groups, *self.input_size), dy.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [images([writers(w) for w in self.window]), *(whole(v.shape) for v in inputs[1:])]

    def reference(self, dy: Array, weight: Array) -> Array:
        out, tap = letters(self.window)
        dt = np.einsum(f"ngk{out},gkc{tap}->ngc{out}{tap}", split(dy, 1, self.groups), split(weight, 0, self.groups),
                       optimize=True)
        return untaps(join(dt), self.window, self.input_size)

    def gradient(self, g, x, y, dy):
        return [g.apply(conv_of(self.window, self.groups), dy[0], x[1]),
                g.apply(weight_gradient_of(self.window, self.groups), dy[0], x[0])]

    def formula(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str:
        sizes = zip(self.window, inputs[0].shape[2:], outputs[0].shape[2:], strict=True)
        return by_axis([w.growth(n, out) for w, n, out in sizes])

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return conv_cost(self.window, outputs[0], inputs[0], inputs[1], inputs, outputs)


class Conv1dInputGradient(ConvInputGradient):
    """dx (N, C, W) for dy (N, K, Q)."""

    name = "conv1d_input_gradient"


class Conv2dInputGradient(ConvInputGradient):
    """dx (N, C, H, W) for dy (N, K, P, Q)."""

    name = "conv2d_input_gradient"


class Conv3dInputGradient(ConvInputGradient):
    """dx (N, C, D, H, W) for dy (N, K, O, P, Q)."""

    name = "conv3d_input_gradient"


@dataclass(frozen=True)
class ConvWeightGradient(Op):
    """dw for x (N, C, H, W) and dy (N, K, P, Q): the transpose of convolution in the weight."""

    window: tuple[Window, ...]
    groups: int
    inputs = ("x", "dy")
    linear_in = ("x", "dy")

    def infer(self, x: Spec, dy: Spec) -> Spec:
        rank = len(self.window)
        want_rank(x, rank + 2, INPUT[rank])
        check_size(dy, self.window, x.shape[2:])
        return Spec((dy.shape[1], x.shape[1] // self.groups, *(w.size for w in self.window)), x.dtype)

    def reference(self, x: Array, dy: Array) -> Array:
        out, tap = letters(self.window)
        dw = np.einsum(f"ngc{out}{tap},ngk{out}->gkc{tap}", split(taps(x, self.window), 1, self.groups),
                       split(dy, 1, self.groups), optimize=True)
        return dw.reshape(-1, *dw.shape[2:])

    def gradient(self, g, x, y, dy):
        return [g.apply(input_gradient_of(self.window, self.groups, x[0].shape[2:]), x[1], dy[0]),
                g.apply(conv_of(self.window, self.groups), x[0], dy[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return conv_cost(self.window, inputs[0], inputs[1], outputs[0], inputs, outputs)


class Conv1dWeightGradient(ConvWeightGradient):
    """dw (K, C/G, S) for x (N, C, W)."""

    name = "conv1d_weight_gradient"


class Conv2dWeightGradient(ConvWeightGradient):
    """dw (K, C/G, R, S) for x (N, C, H, W)."""

    name = "conv2d_weight_gradient"


class Conv3dWeightGradient(ConvWeightGradient):
    """dw (K, C/G, T, R, S) for x (N, C, D, H, W)."""

    name = "conv3d_weight_gradient"


def conv_of(window: tuple[Window, ...], groups: int = 1) -> Conv:
    """The convolution over as many axes as there are windows.

    >>> from striate.window import windows
    >>> conv_of(windows(3, rank=1)).name
    'conv1d'
    """
    return {1: Conv1d, 2: Conv2d, 3: Conv3d}[len(window)](window, groups)


def input_gradient_of(window: tuple[Window, ...], groups: int, input_size: tuple[int, ...]) -> ConvInputGradient:
    """Its gradient with respect to the input."""
    kinds = {1: Conv1dInputGradient, 2: Conv2dInputGradient, 3: Conv3dInputGradient}
    return kinds[len(window)](window, groups, input_size)


def weight_gradient_of(window: tuple[Window, ...], groups: int) -> ConvWeightGradient:
    """Its gradient with respect to the weight."""
    kinds = {1: Conv1dWeightGradient, 2: Conv2dWeightGradient, 3: Conv3dWeightGradient}
    return kinds[len(window)](window, groups)


def check_weight(weight: Spec, window: tuple[Window, ...]) -> None:
    """The weight has the window's size."""
    rank = len(window)
    want_rank(weight, rank + 2, WEIGHT[rank], "weight")
    if weight.shape[2:] != tuple(w.size for w in window):
        axes = {1: "axis", 2: "two axes", 3: "three axes"}[rank]
        raise ShapeError(f"weight {weight.shape} does not fit the window {show(window)}",
                         fix=f"give its last {axes} the window's size")


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


def check_bias(bias: Spec | None, weight: Spec, channels: int) -> None:
    """One number for each output channel."""
    if bias is not None and bias.shape != (channels,):
        raise ShapeError(f"bias {bias.shape} does not fit the weight {weight.shape}", fix=f"use shape {(channels,)}")


def check_size(dy: Spec, window: tuple[Window, ...], size: Sequence[int]) -> None:
    """dy (N, K, P, Q) is what the window makes of an input of size (H, W)."""
    if dy.shape[2:] != out_size(window, size):
        raise ShapeError(f"dy {dy.shape} is {dy.shape[2:]} large but the window makes {out_size(window, size)} of an input of "
                         f"{tuple(size)}", fix="give it that size")


def conv_cost(window: tuple[Window, ...], x: Spec, y: Spec, weight: Spec, inputs: Sequence[Spec],
              outputs: Sequence[Spec]) -> Cost:
    """N K P Q * (C/G) R S multiply-accumulates, whichever of the three is computed; some of them meet padding."""
    real = math.prod((*y.shape[:2], weight.shape[1], *(w.products(n) for w, n in zip(window, x.shape[2:], strict=True))))
    macs = y.size * (weight.size // weight.shape[0])
    return Cost(macs=macs, padded=macs - real, **traffic(inputs, outputs))


def letters(window: tuple[Window, ...]) -> tuple[str, str]:
    """The letters of the output's axes and of the taps."""
    return "opq"[-len(window):], "trs"[-len(window):]


def split(array: Array, axis: int, groups: int) -> Array:
    """An axis of G*n channels as two axes (G, n)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def join(array: Array) -> Array:
    """(N, G, n, ...) -> (N, G*n, ...)."""
    return array.reshape(array.shape[0], -1, *array.shape[3:])


def by_channel(bias: Array, y: Array) -> Array:
    """(K,) as (K, 1, 1), to be added to y (N, K, P, Q)."""
    return bias.reshape(-1, *(1,) * (y.ndim - 2))
