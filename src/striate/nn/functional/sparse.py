"""Rows of a table by number."""

from __future__ import annotations

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Value:
    """`striate.ops.Embedding`: (...) whole numbers -> (..., D); row padding_idx, from the end if negative, has no gradient."""
    index = symbol(input)
    return index.graph.apply(ops.Embedding(row_of(padding_idx, weight.shape[0])), index, weight)


def row_of(padding_idx: int | None, rows: int) -> int | None:
    """padding_idx counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ArgumentError(f"padding_idx must be from {-rows} to {rows - 1} for {rows} rows, got {padding_idx}")
    return int(padding_idx) % rows
