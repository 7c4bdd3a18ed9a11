"""Rows of a table by number."""

from __future__ import annotations

import math
from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Value:  # fmt: skip
    """`striate.ops.Embedding`: (...) whole numbers -> (..., D); row padding_idx, from the end if negative, has no gradient.

    max_norm, which would change the weight, scale_grad_by_freq and sparse gradients are refused.
    """
    check_embedding("embedding", max_norm, scale_grad_by_freq, sparse)
    index = symbol(input)
    return index.graph.apply(ops.Embedding(row_of(padding_idx, weight.shape[0])), index, weight)


def check_embedding(name: str, max_norm: float | None, scale_grad_by_freq: bool, sparse: bool) -> None:
    """Refuse what an embedding does not do here."""
    for key, value in {"max_norm": max_norm, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}.items():
        if value:
            raise ArgumentError(f"{name} does not support {key}, got {value}; leave it out")


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Value:  # fmt: skip
    """The mean, sum or maximum of the rows that each bag names: (N, B) whole numbers -> (N, D).

    Numbers equal to padding_idx do not count; a bag of them alone is 0. per_sample_weights (N, B) multiply the rows of a sum.
    Bags of different sizes, one after the other with offsets, are refused: pad them with padding_idx.
    """
    check_bag(offsets, mode, per_sample_weights is not None)
    index = symbol(input)
    if index.ndim != 2:
        raise ShapeError(f"x has {index.ndim} axes, shape {index.shape}, but needs (N, B), one row a bag",
                         fix="pad bags of different sizes with padding_idx", place="embedding_bag")  # fmt: skip
    rows = embedding(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    row = row_of(padding_idx, weight.shape[0])
    kept = index.graph.constant(1.0) if row is None else index.ne(row).unsqueeze(2)
    if mode == "max":
        largest = rows.amax(1) if row is None else rows.masked_fill(kept.eq(0), -math.inf).amax(1)
        return largest if row is None else largest.masked_fill(kept.sum(1).eq(0), 0.0)
    factor = kept if per_sample_weights is None else kept * symbol(per_sample_weights).unsqueeze(2)
    total = (rows * factor).sum(1)
    return total if mode == "sum" else total / (index.shape[1] if row is None else kept.sum(1).clamp(min=1.0))


def check_bag(offsets: Any, mode: str, weighted: bool) -> None:
    """Refuse bags that are not rows, unknown modes, and weights of what is no sum."""
    if offsets is not None:
        raise ArgumentError("embedding_bag takes bags as rows of one length, (N, B), not offsets; pad them with padding_idx")
    if mode not in ("mean", "sum", "max"):
        raise ArgumentError(f"mode must be 'mean', 'sum' or 'max', got {mode!r}")
    if weighted and mode != "sum":
        raise ArgumentError(f"per_sample_weights are for mode='sum', got mode={mode!r}")


def row_of(padding_idx: int | None, rows: int) -> int | None:
    """padding_idx counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ArgumentError(f"padding_idx must be from {-rows} to {rows - 1} for {rows} rows, got {padding_idx}")
    return int(padding_idx) % rows
