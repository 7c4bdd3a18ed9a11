"""Functions that move values without changing them."""

from __future__ import annotations

from collections.abc import Sequence

from striate import ops
from striate.errors import ArgumentError
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


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """`striate.ops.Pad`: (low, high) for the last axis, then for the one before it, and so on; whole numbers from 0.

    `F.pad(x, (1, 2))` adds a column in front and two behind.
    """
    x, amounts = symbol(input), [int(p) for p in pad]
    if mode != "constant":
        raise ArgumentError(f"padding mode '{mode}' is not supported; use mode='constant'")
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim or min(amounts, default=0) < 0:
        raise ArgumentError(
            f"pad takes (low, high) from 0 up for at most {x.ndim} axes, the last one first, got {tuple(amounts)}; "
            "crop with a slice"
        )
    pairs = list(zip(amounts[0::2], amounts[1::2], strict=True))
    pads = ((0, 0),) * (x.ndim - len(pairs)) + tuple(reversed(pairs))
    return x.graph.apply(ops.Pad(pads, float(value or 0)), x)
