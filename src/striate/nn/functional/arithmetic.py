"""Arithmetic of two or three values as functions, as in `torch`; methods of values do the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol
from striate.nn.functional.dropout import dropout


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
    return mask.graph.apply(ops.Where(), mask.float(), input, other)


def matmul(input: Tensor, other: Any) -> Value:
    """`striate.ops.MatMul`: input @ other."""
    return symbol(input) @ other


bmm = matmul


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    """softmax(query @ key^T * scale + mask) @ value of (..., L, E), (..., S, E), (..., S, F); scale None is 1 / sqrt(E).

    attn_mask: numbers that are added, or True and False where False leaves a pair out, as is_causal leaves out all keys behind
    the query. Source: Vaswani et al., Attention is all you need, arXiv:1706.03762, section 3.2.1.
    """
    q, k = symbol(query), symbol(key)
    if enable_gqa or (is_causal and attn_mask is not None):
        raise ArgumentError("scaled_dot_product_attention takes is_causal or attn_mask, and no enable_gqa; leave one out")
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        mask = q.graph.lift(attn_mask)
        scores = scores + mask if mask.dtype.startswith("float") else scores.masked_fill(mask.float().eq(0), -math.inf)
    return dropout(scores.softmax(-1), dropout_p) @ value


def one_hot(input: Tensor, num_classes: int) -> Value:
    """Class indices (...) as float32 (..., num_classes): 1 at the class, else 0."""
    x = symbol(input)
    return x.graph.apply(ops.OneHot(num_classes), x)
