"""Activations: layers that work on each element, and softmax. What each computes stands in `striate.nn.functional.activation`.

inplace is accepted and without meaning: memory is planned for the whole network.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module, Parameter, check_sizes


class Activation(Module):
    """Prints the attributes in `shown`, and inplace where it is set, as PyTorch does."""

    shown: ClassVar[tuple[str, ...]] = ()
    inplace = False

    def extra_repr(self) -> str:
        texts = [f"{name}={getattr(self, name)!r}" for name in self.shown]
        return ", ".join([*texts, "inplace=True"] if self.inplace else texts)


class Inplace(Activation):
    """An activation without other arguments."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace


class ReLU(Inplace):
    """max(x, 0). at_zero: the derivative at 0, which is 0 (as in PyTorch) or 1.

    >>> ReLU()
    ReLU()
    """

    def __init__(self, inplace: bool = False, at_zero: float = 0.0):
        super().__init__(inplace)
        self.at_zero = at_zero

    def forward(self, input: Value) -> Value:
        return F.relu(input, at_zero=self.at_zero)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f"at_zero={self.at_zero}" if self.at_zero else "")


class ReLU6(Inplace):
    """min(max(x, 0), 6)."""

    def forward(self, input: Value) -> Value:
        return F.relu6(input)


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope * x.

    >>> LeakyReLU()
    LeakyReLU(negative_slope=0.01)
    """

    shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Value) -> Value:
        return F.leaky_relu(input, self.negative_slope)


class PReLU(Activation):
    """x where x > 0, else weight * x, with one learned slope for each channel of (N, C, ...), or one for all.

    Parameter: weight (num_parameters,), which starts as `init`. Raises ShapeError.

    >>> PReLU(16)
    PReLU(num_parameters=16)
    """

    shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        super().__init__()
        check_sizes(num_parameters=num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, input: Value) -> Value:
        return F.prelu(input, self.weight)


class RReLU(Activation):
    """x where x > 0, else a * x: a is drawn between lower and upper for each element in training, and is their mean otherwise.

    >>> RReLU(0.1, 0.3)
    RReLU(lower=0.1, upper=0.3)
    """

    shown = ("lower", "upper")

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Value) -> Value:
        return F.rrelu(input, self.lower, self.upper, self.training)


class ELU(Activation):
    """x where x > 0, else alpha * (e^x - 1).

    >>> ELU()
    ELU(alpha=1.0)
    """

    shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Value) -> Value:
        return F.elu(input, self.alpha)


class CELU(ELU):
    """x where x > 0, else alpha * (e^(x / alpha) - 1).

    >>> CELU(2.0)
    CELU(alpha=2.0)
    """

    def forward(self, input: Value) -> Value:
        return F.celu(input, self.alpha)


class SELU(Inplace):
    """elu with the alpha and the scale that keep mean 0 and variance 1."""

    def forward(self, input: Value) -> Value:
        return F.selu(input)


class SiLU(Inplace):
    """x * sigmoid(x)."""

    def forward(self, input: Value) -> Value:
        return F.silu(input)


class Swish(Activation):
    """x * sigmoid(beta * x); a trainable beta is a parameter of one number.

    >>> Swish(beta=2.0)
    Swish(beta=2.0)
    """

    def __init__(self, beta: float = 1.0, trainable: bool = False):
        super().__init__()
        self.trainable = trainable
        self.beta = Parameter(np.full(1, beta, np.float32)) if trainable else beta

    def forward(self, input: Value) -> Value:
        return F.swish(input, self.beta)

    def extra_repr(self) -> str:
        return "trainable=True" if self.trainable else f"beta={self.beta}"


class Mish(Inplace):
    """x * tanh(softplus(x))."""

    def forward(self, input: Value) -> Value:
        return F.mish(input)


class Hardswish(Inplace):
    """x * relu6(x + 3) / 6."""

    def forward(self, input: Value) -> Value:
        return F.hardswish(input)

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(Inplace):
    """relu6(x + 3) / 6."""

    def forward(self, input: Value) -> Value:
        return F.hardsigmoid(input)

    def extra_repr(self) -> str:
        return ""


class Hardtanh(Activation):
    """min(max(x, min_val), max_val).

    >>> Hardtanh()
    Hardtanh(min_val=-1.0, max_val=1.0)
    """

    shown = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Value) -> Value:
        return F.hardtanh(input, self.min_val, self.max_val)


class GELU(Activation):
    """x * Phi(x), Phi the normal distribution; approximate 'tanh' computes it by tanh.

    >>> GELU()
    GELU(approximate='none')
    """

    shown = ("approximate",)

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Value) -> Value:
        return F.gelu(input, self.approximate)


class Softplus(Activation):
    """ln(1 + e^(beta * x)) / beta, and x itself where beta * x > threshold.

    >>> Softplus()
    Softplus(beta=1.0, threshold=20.0)
    """

    shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Value) -> Value:
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, input: Value) -> Value:
        return F.softsign(input)


class Tanh(Module):
    """tanh x."""

    def forward(self, input: Value) -> Value:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Value) -> Value:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """-ln(1 + e^-x)."""

    def forward(self, input: Value) -> Value:
        return F.logsigmoid(input)


class Tanhshrink(Module):
    """x - tanh x."""

    def forward(self, input: Value) -> Value:
        return F.tanhshrink(input)


class Softshrink(Module):
    """sign(x) * max(|x| - lambd, 0).

    >>> Softshrink()
    Softshrink(0.5)
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Value) -> Value:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Softshrink):
    """x where |x| > lambd, else 0.

    >>> Hardshrink()
    Hardshrink(0.5)
    """

    def forward(self, input: Value) -> Value:
        return F.hardshrink(input, self.lambd)


class Threshold(Activation):
    """x where x > threshold, else value.

    >>> Threshold(0.1, 20)
    Threshold(threshold=0.1, value=20)
    """

    shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Value) -> Value:
        return F.threshold(input, self.threshold, self.value)
