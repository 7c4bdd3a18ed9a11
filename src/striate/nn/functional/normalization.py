"""Normalisation as functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5, *, unbiased: bool = True,
) -> Value:  # fmt: skip
    """`striate.ops.BatchNorm` of (N, C, ...) in training, `striate.ops.BatchNormInference` otherwise.

    Training updates the running averages, if there are any, when the graph has run:

        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var  = (1 - momentum) * running_var  + momentum * variance * M / (M - 1)      M values a channel

    unbiased=False leaves out the factor M / (M - 1), as Paddle and Keras do.
    """
    if not eps > 0:
        raise ArgumentError(f"batch_norm needs an eps greater than 0, got {eps}")
    x = symbol(input)
    channels = running_mean.shape if running_mean is not None else x.shape[1:2]
    scale, shift = affine(channels, weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("batch_norm outside training needs running_mean and running_var")
        return x.graph.apply(ops.BatchNormInference(eps), x, scale, shift, running_mean, running_var)
    if not x.numel():  # no batch, no statistics
        still = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        return x.graph.apply(ops.BatchNormInference(eps), x, scale, shift, *still)
    y, mean, variance = x.graph.apply(ops.BatchNorm(eps), x, scale, shift)
    remember(running_mean, mean, momentum)
    remember(running_var, variance, momentum, x.numel() // x.shape[1] if unbiased else None)
    return y


def affine(shape: Sequence[int], weight: Tensor | None, bias: Tensor | None) -> tuple[Any, Any]:
    """Weight and bias, or ones and zeros in their place."""
    ones, zeros = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    return ones if weight is None else weight, zeros if bias is None else bias


def remember(running: Tensor | None, statistic: Value, momentum: Any, count: int | None = None) -> None:
    """Move a running average, if it is a buffer, towards a statistic; a variance of `count` values is made unbiased."""
    if running is not None and symbol(running) in statistic.graph.sources:
        share = momentum if count is None else momentum * (count / (count - 1))
        update(running, lambda old: (1 - momentum) * old + share * statistic)


def update(variable: Tensor, step: Callable[[Value], Value]) -> Value:
    """Let a buffer take a new value, step(its value), when the graph has run; steps in one forward follow each other."""
    value = symbol(variable)
    updates = value.graph.updates
    updates[value] = step(updates.get(value, value))
    return updates[value]


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Value:  # fmt: skip
    """`striate.ops.GroupNorm` of (N, C, ...) with one channel a group; by running averages unless use_input_stats.

    Running averages move towards the mean over the batch of each sample's mean and unbiased variance.
    """
    x = symbol(input)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    channels = x.shape[1] if weight is None else weight.shape[0]
    if x.ndim > 2 and x.numel() == x.shape[0] * x.shape[1] > 0:
        raise ShapeError(f"x {x.shape} has one value in each channel of a sample, whose variance is 0",
                         fix="use a larger input, or eval() with running averages")
    y, mean, variance = x.graph.apply(ops.GroupNorm(channels, eps), x, *affine((channels,), weight, bias))
    if not x.numel():
        return y
    remember(running_mean, mean.mean(0), momentum)
    remember(running_var, variance.mean(0), momentum, x.numel() // (x.shape[0] * x.shape[1]))
    return y


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
) -> Value:  # fmt: skip
    """`striate.ops.GroupNorm` of (N, C, ...): the channels of a sample in num_groups groups."""
    x = symbol(input)
    return x.graph.apply(ops.GroupNorm(int(num_groups), eps), x, *affine(x.shape[1:2], weight, bias))[0]


def layer_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Value:  # fmt: skip
    """`striate.ops.LayerNorm` over the last axes, which have the sizes normalized_shape."""
    x, shape = symbol(input), sizes(normalized_shape)
    return x.graph.apply(ops.LayerNorm(eps), x, *affine(shape, weight, bias))[0]


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None,
) -> Value:  # fmt: skip
    """`striate.ops.LayerNorm` without centring: x / sqrt(mean of x^2 + eps) over the last axes. eps None is float32's, 1.2e-7."""
    x, shape = symbol(input), sizes(normalized_shape)
    least = float(np.finfo(np.float32).eps) if eps is None else eps
    return x.graph.apply(ops.LayerNorm(least, centred=False), x, *affine(shape, weight, None))[0]


def sizes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """normalized_shape as a tuple."""
    given = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not given or any(int(n) < 1 for n in given):
        raise ArgumentError(f"normalized_shape must be one or more sizes of at least 1, got {normalized_shape!r}")
    return tuple(int(n) for n in given)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Value:
    """`striate.ops.LocalResponseNorm` over `size` neighbouring channels of (N, C, ...)."""
    x = symbol(input)
    return x.graph.apply(ops.LocalResponseNorm(int(size), float(alpha), float(beta), float(k)), x)


def normalize(input: Tensor, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12) -> Value:
    """x / max(norm, eps), norm = (sum |x|^p)^(1/p) along dim; where the norm is below eps, its gradient is that of x / eps."""
    x = symbol(input)
    if not 0 < p < math.inf:
        return x / x.norm(p, dim, True).clamp(min=eps)
    powers = x * x if p == 2 else x.abs() if p == 1 else x.abs() ** p
    least = float(eps) ** p  # a bound before the root, whose slope at 0 is infinite
    total = (powers.sum(dim, keepdim=True) - least).relu() + least
    return x / total.sqrt() if p == 2 else x / total ** (1 / p)
