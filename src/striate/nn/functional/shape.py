"""Functions that move values without changing them."""

from __future__ import annotations

from collections.abc import Sequence

from striate import ops
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol, symbols


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Value:
    """The axes start_dim to end_dim, both included, as one."""
    return symbol(input).flatten(start_dim, end_dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Value:
    """Values one after another along an axis: `striate.ops.Concat`."""
    values = symbols(tensors, "cat")
    return values[0].graph.apply(ops.Concat(ops.axis(dim, values[0].ndim)), *values)


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Value:
    """Values of one shape side by side along a new axis."""
    values = symbols(tensors, "stack")
    at = ops.axis(dim, values[0].ndim + 1)
    return cat([v.unsqueeze(at) for v in values], at)
