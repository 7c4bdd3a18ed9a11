"""Normalisation as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Value:  # fmt: skip
    """`striate.ops.BatchNorm` of (N, C, ...) in training, `striate.ops.BatchNormInference` otherwise.

    Training updates the running averages, if there are any, when the graph has run:

        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var  = (1 - momentum) * running_var  + momentum * variance * M / (M - 1)      M values a channel
    """
    x = symbol(input)
    channels = running_mean.shape if running_mean is not None else x.shape[1:2]
    scale = weight if weight is not None else np.ones(channels, np.float32)
    shift = bias if bias is not None else np.zeros(channels, np.float32)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("batch_norm outside training needs running_mean and running_var")
        return x.graph.apply(ops.BatchNormInference(eps), x, scale, shift, running_mean, running_var)
    y, mean, variance = x.graph.apply(ops.BatchNorm(eps), x, scale, shift)
    count = x.numel() // x.shape[1]
    if running_mean is not None:
        update(running_mean, lambda old: (1 - momentum) * old + momentum * mean)
    if running_var is not None:
        update(running_var, lambda old: (1 - momentum) * old + (momentum * (count / (count - 1))) * variance)
    return y


def update(variable: Tensor, step: Callable[[Value], Value]) -> Value:
    """Let a buffer take a new value, step(its value), when the graph has run; steps in one forward follow each other."""
    value = symbol(variable)
    updates = value.graph.updates
    updates[value] = step(updates.get(value, value))
    return updates[value]
