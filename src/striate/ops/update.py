"""Parameter updates of the optimizers, element by element. `hyper` holds the numbers that may change from step to step.

    sgd     d = gradient + weight_decay * parameter                       hyper = (lr, momentum, 1 - dampening, weight_decay)
            m' = momentum * m + (1 - dampening) * d
            parameter' = parameter - lr * m'                              nesterov: - lr * (d + momentum * m')
    adam    d = gradient + weight_decay * parameter                       hyper = (lr, beta1, beta2, eps, weight_decay,
            m' = beta1 * m + (1 - beta1) * d                                       1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t))
            v' = beta2 * v + (1 - beta2) * d^2
            parameter' = parameter - lr * m' / (1 - beta1^t) / (sqrt(v') / sqrt(1 - beta2^t) + eps)
    adamw   as adam, but d = gradient and the parameter is first multiplied by 1 - lr * weight_decay ("decoupled")
    clip    scale = min(1, max_norm / (norm + 1e-6)), norm = sqrt(sum of all squares of all gradients)

Sources: Sutskever et al., On the importance of initialization and momentum, ICML 2013; Kingma & Ba, Adam, arXiv:1412.6980;
Loshchilov & Hutter, Decoupled weight decay regularization, arXiv:1711.05101; Pascanu et al., arXiv:1211.5063, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_same


@dataclass(frozen=True)
class SgdPlainUpdate(Op):
    """Gradient descent without momentum -> parameter.

    >>> SgdPlainUpdate().reference(np.array([1.0]), np.array([2.0]), np.array([0.25, 0, 1, 0]))
    array([0.5])
    """

    name = "sgd_plain_update"
    inputs = ("parameter", "gradient", "hyper")

    def infer(self, parameter: Spec, gradient: Spec, hyper: Spec) -> Spec:
        check_update(hyper, 4, parameter=parameter, gradient=gradient)
        return parameter

    def reference(self, parameter: Array, gradient: Array, hyper: Array) -> Array:
        lr, _, _, weight_decay = hyper
        return parameter - lr * (gradient + weight_decay * parameter)

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=4 * outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class SgdUpdate(Op):
    """Gradient descent with momentum -> parameter, momentum_buffer."""

    nesterov: bool
    name = "sgd_update"
    inputs = ("parameter", "gradient", "momentum_buffer", "hyper")

    def infer(self, parameter: Spec, gradient: Spec, momentum_buffer: Spec, hyper: Spec) -> tuple[Spec, Spec]:
        check_update(hyper, 4, parameter=parameter, gradient=gradient, momentum_buffer=momentum_buffer)
        return parameter, parameter

    def reference(self, parameter: Array, gradient: Array, momentum_buffer: Array, hyper: Array) -> tuple[Array, Array]:
        lr, momentum, fresh, weight_decay = hyper
        d = gradient + weight_decay * parameter
        buffer = momentum * momentum_buffer + fresh * d
        return parameter - lr * (d + momentum * buffer if self.nesterov else buffer), buffer

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=(9 if self.nesterov else 7) * outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class AdamUpdate(Op):
    """Adam, or AdamW if decoupled -> parameter, mean, square."""

    decoupled: bool
    name = "adam_update"
    inputs = ("parameter", "gradient", "mean", "square", "hyper")

    def infer(self, parameter: Spec, gradient: Spec, mean: Spec, square: Spec, hyper: Spec) -> tuple[Spec, Spec, Spec]:
        check_update(hyper, 7, parameter=parameter, gradient=gradient, mean=mean, square=square)
        return parameter, parameter, parameter

    def reference(self, parameter: Array, gradient: Array, mean: Array, square: Array, hyper: Array) -> tuple[Array, ...]:
        lr, beta1, beta2, eps, weight_decay, unbias, unbias_root = hyper
        if self.decoupled:
            parameter, d = parameter * (1 - lr * weight_decay), gradient
        else:
            d = gradient + weight_decay * parameter
        mean = beta1 * mean + (1 - beta1) * d
        square = beta2 * square + (1 - beta2) * d * d
        return parameter - lr * (mean * unbias) / (np.sqrt(square) * unbias_root + eps), mean, square

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=16 * outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class GradientNorm(Op):
    """Any number of gradients -> the length () of the vector of all their elements."""

    name = "gradient_norm"
    inputs = ("gradient",)

    def infer(self, *gradients: Spec) -> Spec:
        if not gradients:
            raise ShapeError("gradient_norm got no gradients", fix="give it at least one")
        want_float(gradient=gradients[0])
        return Spec((), gradients[0].dtype)

    def reference(self, *gradients: Array) -> Array:
        return np.sqrt(sum((g * g).sum() for g in gradients))

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=sum(i.size for i in inputs), **traffic(inputs, outputs))


@dataclass(frozen=True)
class ClipScale(Op):
    """norm () -> the factor () that brings gradients of this norm down to max_norm.

    >>> round(float(ClipScale(1.0).reference(np.float64(4.0))), 4)
    0.25
    """

    max_norm: float
    name = "clip_scale"
    inputs = ("norm",)

    def infer(self, norm: Spec) -> Spec:
        want_float(norm=norm)
        return norm

    def reference(self, norm: Array) -> Array:
        return np.minimum(self.max_norm / (norm + 1e-6), 1)


def check_update(hyper: Spec, count: int, **arrays: Spec) -> None:
    """All arrays of the parameter's shape, and `count` numbers in hyper."""
    want_float(hyper=hyper, **arrays)
    want_same(**arrays)
    if hyper.shape != (count,):
        raise ShapeError(f"hyper has shape {hyper.shape} but holds {count} numbers", fix=f"give it the shape ({count},)")
