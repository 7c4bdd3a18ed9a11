"""Initial values of parameters, with PyTorch's names; each changes its parameter and gives it back.

    fan_in = C/G * R * S    fan_out = K * R * S            for a weight (K, C/G, R, S); R = S = 1 for a linear layer's
    xavier     std = gain * sqrt(2 / (fan_in + fan_out))   [1], section 4.2.1
    kaiming    std = gain / sqrt(fan_in or fan_out)        [2], sections 2.2 and 2.3
    uniform    within sqrt(3) * std, which has that standard deviation

[1] Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
[2] He et al., Delving deep into rectifiers, arXiv:1502.01852.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from striate import random
from striate.errors import ArgumentError
from striate.nn.module import Variable

GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2),
    "selu": 3 / 4,
}  # fmt: skip

PIECE = 2**14
"""Numbers that are drawn at a time."""
SKIPPED: ContextVar[bool] = ContextVar("skipped", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Within, new layers get no initial values: what they hold is undefined until weights are loaded.

    For networks that are only counted, or get their weights from a file: drawing VGG-16's takes seconds.
    """
    token = SKIPPED.set(True)
    try:
        yield
    finally:
        SKIPPED.reset(token)


def fans(tensor: Variable) -> tuple[int, int]:
    """(fan_in, fan_out): inputs that reach an output, outputs that an input reaches.

    >>> from striate import nn
    >>> fans(nn.Conv2d(16, 32, 3).weight)
    (144, 288)
    """
    if tensor.ndim < 2:
        raise ArgumentError(f"fan_in and fan_out need a weight of at least 2 axes, got shape {tensor.shape}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the size of activations through a nonlinearity; param is leaky_relu's slope.

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ArgumentError(f"unknown nonlinearity '{nonlinearity}'; use one of leaky_relu, {', '.join(GAINS)}")
    return GAINS[nonlinearity]


def uniform_(tensor: Variable, a: float | np.ndarray = 0.0, b: float | np.ndarray = 1.0) -> Variable:
    """Uniform from a to b (numbers, or arrays that broadcast to the tensor's shape)."""
    if np.ndim(a) or np.ndim(b):
        return _fill(tensor, lambda: random.generator().uniform(a, b, tensor.shape))
    return _fill(tensor, lambda: _pieces(tensor, lambda count: random.generator().uniform(a, b, count)))


def normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0) -> Variable:
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, lambda: _pieces(tensor, lambda count: random.generator().normal(mean, std, count)))


def trunc_normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Variable:
    """Normal with the given mean and standard deviation, drawn again outside of a to b."""

    def draw() -> np.ndarray:
        array = random.generator().normal(mean, std, tensor.shape)
        while (outside := (array < a) | (array > b)).any():
            array[outside] = random.generator().normal(mean, std, np.count_nonzero(outside))
        return array

    return _fill(tensor, draw)


def constant_(tensor: Variable, val: float) -> Variable:
    """The same number everywhere."""
    return _fill(tensor, lambda: np.full(tensor.shape, val))


def zeros_(tensor: Variable) -> Variable:
    """Zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Variable) -> Variable:
    """Ones."""
    return constant_(tensor, 1)


def xavier_uniform_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Glorot & Bengio's, uniform."""
    bound = math.sqrt(3) * _xavier(tensor, gain)
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Glorot & Bengio's, normal."""
    return normal_(tensor, 0, _xavier(tensor, gain))


def kaiming_uniform_(tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Variable:
    """He et al.'s, uniform; a is leaky_relu's slope, mode 'fan_in' or 'fan_out'."""
    bound = math.sqrt(3) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Variable:
    """He et al.'s, normal; a is leaky_relu's slope, mode 'fan_in' or 'fan_out'."""
    return normal_(tensor, 0, _kaiming(tensor, a, mode, nonlinearity))


def uniform_by_fan_in_(weight: Variable, bias: Variable | None) -> None:
    """PyTorch's start for convolution and linear layers: uniform within 1 / sqrt(fan_in), the bias too."""
    kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(fans(weight)[0])
        uniform_(bias, -bound, bound)


def _xavier(tensor: Variable, gain: float) -> float:
    return gain * math.sqrt(2 / sum(fans(tensor)))


def _kaiming(tensor: Variable, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def _pieces(tensor: Variable, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """Numbers for a tensor, one after another; in pieces, for the generator's float64 of a large one takes time and memory."""
    array = np.empty(tensor.size, tensor.dtype)
    for start in range(0, array.size, PIECE):
        part = array[start: start + PIECE]
        part[:] = draw(part.size)
    return array.reshape(tensor.shape)


def _fill(tensor: Variable, draw: Callable[[], np.ndarray]) -> Variable:
    if not isinstance(tensor, Variable):
        raise ArgumentError(f"nn.init changes parameters, got {type(tensor).__name__}; give it a layer's .weight or .bias")
    if not SKIPPED.get():
        if tensor.refresh is not None:
            tensor.refresh()
        tensor.adopt(np.asarray(draw(), tensor.dtype))
    return tensor
