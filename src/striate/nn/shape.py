"""Changes of shape: layers without parameters, `striate.ops.Reshape`."""

from __future__ import annotations

from collections.abc import Sequence

from striate import ops
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


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
