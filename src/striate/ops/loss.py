"""Losses that need more than arithmetic: cross-entropy of class indices, of probabilities, and Huber's.

    z_c    = x_c - ln sum_j e^{x_j}                                                   log-softmax over the classes, axis 1
    q_c    = weight_c * ((1 - smoothing) * [c = target] + smoothing / C)              0 where target = ignore_index
    loss_i = - sum_c q_c * z_c
    mean   = sum_i loss_i / sum_i weight_{target_i}        sum = sum_i loss_i         none = loss_i

    dx_c   = (e^{z_c} * sum_j q_j - q_c) * dloss_i         mean: dloss_i = dloss / sum_i weight_{target_i}

    Of log-probabilities (logits=False) z_c = x_c, and dx_c = - q_c * dloss_i.

    binary cross-entropy  y = -(t * ln x + (1 - t) * ln(1 - x)), logarithms not below -100; dx = dy * (x - t) / (x * (1 - x))
    huber                 y = d^2 / 2 where |d| < delta, else delta * (|d| - delta / 2)
    one_hot               y[..., c] = 1 where c = x[...], else 0

Sources: Bridle 1990; Szegedy et al., Rethinking the Inception architecture, arXiv:1512.00567, section 7 (smoothing); Huber,
Robust estimation of a location parameter, 1964. As torch.nn.functional.cross_entropy, nll_loss, binary_cross_entropy, huber_loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, DtypeError, RangeError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_same
from striate.ops.elementwise import Curve
from striate.ops.sight import SAME, View, whole
from striate.ops.softmax import LogSoftmax

REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class Loss(Op):
    """What cross-entropy and its gradient share; with logits False the input holds log-probabilities."""

    label_smoothing: float = 0.0
    ignore_index: int = -100
    reduction: str = "mean"
    logits: bool = True

    def __post_init__(self):
        if not 0 <= self.label_smoothing <= 1:
            raise ArgumentError(f"label_smoothing must be from 0 to 1, got {self.label_smoothing}")
        if self.reduction not in REDUCTIONS:
            raise ArgumentError(f"reduction must be one of {', '.join(REDUCTIONS)}, got '{self.reduction}'")

    def loss_spec(self, logits: Spec, target: Spec, weight: Spec | None) -> Spec:
        """The loss's shape, once the inputs fit."""
        want_float(logits=logits, weight=weight)
        if target.dtype not in ("int64", "int32", "uint8"):
            raise DtypeError(f"target has dtype {target.dtype} but holds class indices", fix="convert it with astype('int64')")
        if len(logits.shape) < 2 or target.shape != logits.shape[:1] + logits.shape[2:]:
            raise ShapeError(f"logits {logits.shape} (N, C, ...) and target {target.shape} (N, ...) do not fit",
                             fix="give one class index for each row of logits")
        if weight is not None and weight.shape != logits.shape[1:2]:
            raise ShapeError(f"weight {weight.shape} does not fit the {logits.shape[1]} classes of logits {logits.shape}",
                             fix="give one weight a class")
        return Spec(target.shape if self.reduction == "none" else (), logits.dtype)

    def parts(self, logits: Array, target: Array, weight: Array | None) -> tuple[Array, Array, Array]:
        """Log-probabilities z and target distribution q, both (N, C, ...), and what the sum is divided by."""
        classes = logits.shape[1]
        weight = np.ones(classes, logits.dtype) if weight is None else weight
        check_target(target, classes, self.ignore_index)
        counted = (target != self.ignore_index)[:, None]
        hit = (np.arange(classes).reshape(-1, *(1,) * (target.ndim - 1)) == target[:, None]) & counted
        column = weight.reshape(-1, *(1,) * (target.ndim - 1))
        q = column * counted * ((1 - self.label_smoothing) * hit + self.label_smoothing / classes)
        divisor = (column * hit).sum() if self.reduction == "mean" else 1
        z = LogSoftmax(1).reference(logits) if self.logits else logits
        return z, q.astype(logits.dtype), np.asarray(divisor, logits.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [whole(v.shape) for v in inputs]


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """logits (N, C, ...), target class indices (N, ...), weight (C,) if any -> loss (), or (N, ...) unreduced.

    A mean over no counted target is NaN, as in PyTorch.

    >>> round(float(CrossEntropy().reference(np.zeros((1, 4)), np.array([2]))), 4)      # ln 4
    1.3863
    """

    name = "cross_entropy"
    inputs = ("logits", "target", "weight")

    def infer(self, logits: Spec, target: Spec, weight: Spec | None = None) -> Spec:
        return self.loss_spec(logits, target, weight)

    def reference(self, logits: Array, target: Array, weight: Array | None = None) -> Array:
        z, q, divisor = self.parts(logits, target, weight)
        loss = -(q * z).sum(1)
        return loss if self.reduction == "none" else np.asarray(loss.sum()) / divisor

    def gradient(self, g, x, y, dy):
        rule = CrossEntropyGradient(self.label_smoothing, self.ignore_index, self.reduction, self.logits)
        return [g.apply(rule, dy[0], *x), *[None] * (len(x) - 1)]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=6 * inputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class CrossEntropyGradient(Loss):
    """dloss, logits, target and weight if any -> dlogits (N, C, ...)."""

    name = "cross_entropy_gradient"
    inputs = ("dloss", "logits", "target", "weight")

    def infer(self, dloss: Spec, logits: Spec, target: Spec, weight: Spec | None = None) -> Spec:
        loss = self.loss_spec(logits, target, weight)
        if dloss.shape != loss.shape:
            raise ShapeError(f"dloss has shape {dloss.shape}, the loss has {loss.shape}", fix="give it the loss's shape")
        return logits

    def reference(self, dloss: Array, logits: Array, target: Array, weight: Array | None = None) -> Array:
        z, q, divisor = self.parts(logits, target, weight)
        each = np.broadcast_to(dloss / divisor, target.shape)[:, None]
        whole = np.exp(z) * q.sum(1, keepdims=True) if self.logits else 0
        return (whole - q) * each

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=7 * inputs[1].size, **traffic(inputs, outputs))


def check_target(target: Array, classes: int, ignore_index: int) -> None:
    """Refuse labels outside 0 .. C - 1."""
    wrong = target[(target != ignore_index) & ((target < 0) | (target >= classes))]
    if wrong.size:
        raise RangeError(f"target {wrong[0]} is not one of the {classes} classes 0 to {classes - 1}; "
                        f"use ignore_index={ignore_index} for elements that do not count")


@dataclass(frozen=True)
class BinaryCrossEntropy(Op):
    """Probabilities x and targets from 0 to 1, of one shape -> the loss of each element.

    >>> round(float(BinaryCrossEntropy().reference(np.array(0.5), np.array(1.0))), 4)       # ln 2
    0.6931
    """

    name = "binary_cross_entropy"
    inputs = ("x", "target")
    linear_in = ("target",)

    def infer(self, x: Spec, target: Spec) -> Spec:
        want_float(x=x, target=target)
        want_same(x=x, target=target)
        return x

    def reference(self, x: Array, target: Array) -> Array:
        return -(target * np.maximum(np.log(x), -100) + (1 - target) * np.maximum(np.log1p(-x), -100))

    def gradient(self, g, x, y, dy):
        probability, target = x
        odds = g.apply(self, probability, np.ones(x[0].shape)) - g.apply(self, probability, np.zeros(x[0].shape))
        return [g.apply(BinaryCrossEntropyGradient(), dy[0], probability, target), dy[0] * odds]


@dataclass(frozen=True)
class BinaryCrossEntropyGradient(Op):
    """dx = dy * (x - target) / max(x * (1 - x), 1e-12)."""

    name = "binary_cross_entropy_gradient"
    inputs = ("dy", "x", "target")
    linear_in = ("dy", "target")

    def infer(self, dy: Spec, x: Spec, target: Spec) -> Spec:
        want_same(dy=dy, x=x, target=target)
        return x

    def reference(self, dy: Array, x: Array, target: Array) -> Array:
        return dy * (x - target) / np.maximum(x * (1 - x), 1e-12)


@dataclass(frozen=True)
class Huber(Curve):
    """Of a difference d: d^2 / 2 where |d| < delta, else delta * (|d| - delta / 2)."""

    delta: float = 1.0
    name = "huber"

    def reference(self, x: Array) -> Array:
        near = np.minimum(np.abs(x), self.delta)
        return near * (np.abs(x) - 0.5 * near)

    def slope(self, z: Array) -> Array:
        return np.clip(z, -self.delta, self.delta)


@dataclass(frozen=True)
class OneHot(Op):
    """Class indices (...) -> float32 (..., classes); an index that is no class gives zeros.

    >>> OneHot(3).reference(np.array([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    classes: int
    ignore_index: int | None = None
    """A number that is no class and may stand there all the same; any other is refused before compiled code runs."""
    name = "one_hot"

    def infer(self, x: Spec) -> Spec:
        if x.dtype not in ("int64", "int32", "uint8"):
            raise DtypeError(f"x has dtype {x.dtype} but holds class indices", fix="convert it with astype('int64')")
        return Spec((*x.shape, self.classes))

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [tuple((i, SAME) for i in range(len(inputs[0].shape)))]

    def reference(self, x: Array) -> Array:
        return (x[..., None] == np.arange(self.classes)).astype(np.float32)

    def gradient(self, g, x, y, dy):
        return [None]
