"""Activations, dropout and changes of shape: layers without parameters.

What each computes stands in its operator's file: `striate.ops.elementwise`, `softmax`, `dropout`, `shape`.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class ReLU(Module):
    """max(x, 0). inplace is accepted and ignored: memory is planned for the whole network.

    >>> ReLU()
    ReLU()
    """

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Value) -> Value:
        return F.relu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """tanh x."""

    def forward(self, input: Value) -> Value:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Value) -> Value:
        return F.sigmoid(input)


class Softmax(Module):
    """exp(x) / sum exp(x) along the axis `dim`.

    >>> Softmax(dim=1)
    Softmax(dim=1)
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, input: Value) -> Value:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """x - ln sum exp(x) along the axis `dim`.

    >>> LogSoftmax(dim=1)
    LogSoftmax(dim=1)
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, input: Value) -> Value:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Dropout(Module):
    """In training, zeroes each element with probability p and divides the others by 1 - p; else gives its input back.

    The mask depends on `striate.seed`, the step, the layer and the element. inplace is accepted and ignored.

    >>> Dropout(0.2)
    Dropout(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"p is the probability to drop an element: it must be from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Value) -> Value:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(Module):
    """The axes start_dim to end_dim, both included, as one.

    >>> Flatten()
    Flatten(start_dim=1, end_dim=-1)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Value) -> Value:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis `dim` as several, of the sizes unflattened_size; one of them may be -1.

    >>> Unflatten(1, (10, 4))
    Unflatten(dim=1, unflattened_size=(10, 4))
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(int(n) for n in unflattened_size)

    def forward(self, input: Value) -> Value:
        at = ops.axis(self.dim, input.ndim)
        sizes = ops.fill_shape((input.shape[at],), self.unflattened_size)
        return input.reshape(*input.shape[:at], *sizes, *input.shape[at + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
