"""Arithmetic of two or three values as functions, as in `torch`; methods of values do the same."""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def maximum(input: Tensor, other: Any) -> Value:
    """The larger of two values, element by element."""
    return symbol(input).maximum(other)


def minimum(input: Tensor, other: Any) -> Value:
    """The smaller of two values, element by element."""
    return symbol(input).minimum(other)


def clamp(input: Tensor, min: float | None = None, max: float | None = None) -> Value:
    """min(max(x, low), high), without the limits that are None."""
    return symbol(input).clamp(min, max)


def where(condition: Tensor, input: Any, other: Any) -> Value:
    """input where the condition, such as x > 0, is not 0; else other."""
    mask = symbol(condition)
    return mask.graph.apply(ops.Where(), mask, input, other)


def matmul(input: Tensor, other: Any) -> Value:
    """`striate.ops.MatMul`: input @ other."""
    return symbol(input) @ other


def one_hot(input: Tensor, num_classes: int) -> Value:
    """Class indices (...) as float32 (..., num_classes): 1 at the class, else 0."""
    x = symbol(input)
    return x.graph.apply(ops.OneHot(num_classes), x)
