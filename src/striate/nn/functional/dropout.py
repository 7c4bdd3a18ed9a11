"""Dropout as functions: of single elements, and of whole channels.

    upscale_in_train    (PyTorch, Paddle 2)                train: y = mask * x / (1 - p)        eval: y = x
    downscale_in_infer  (Paddle; 'downgrade_in_infer' 1.x) train: y = mask * x                  eval: y = x * (1 - p)

p is the probability to drop. Both have the same mean in training as in evaluation. `inplace` is without meaning.

Sources: Srivastava et al., Dropout, JMLR 15, 2014; Tompson et al., arXiv:1411.4280 (channels); Klambauer et al.,
arXiv:1706.02515, section 4 (alpha dropout, which keeps mean and variance of selu's outputs).
"""

from __future__ import annotations

import math

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.activation import next_stream
from striate.nn.functional.arguments import Tensor, symbol

MODES = ("upscale_in_train", "downscale_in_infer", "downgrade_in_infer")
LOWEST = -1.7580993408473766
"""What selu tends to far on the left: -scale * alpha."""


def check_dropout(p: float, mode: str = "upscale_in_train") -> None:
    """Refuse what is no probability, and unknown modes."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"p is the probability to drop an element: it must be from 0 to 1, got {p}")
    if mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}, got '{mode}'")


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, mode: str = "upscale_in_train"
) -> Value:  # fmt: skip
    """`striate.ops.Dropout` in training, each call with a mask of its own; see the head of this file for the modes."""
    check_dropout(p, mode)
    x, upscale = symbol(input), mode == "upscale_in_train"
    if p == 0 or (not training and upscale):
        return x
    return _masked(x, p, upscale) if training else x * (1 - p)


def _masked(x: Value, p: float, scaled: bool) -> Value:
    return x.graph.apply(ops.Dropout(p, next_stream(x), scaled), x, x.graph.random_state())


def _channel_mask(x: Value, p: float, scaled: bool) -> Value:
    """One draw for each image and channel of x (N, C, ...)."""
    return _masked(x.graph.constant(np.ones((*x.shape[:2], *(1,) * (x.ndim - 2)), np.float32)), p, scaled)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Drops whole channels of (N, C, L) or (C, L)."""
    return _of_channels(input, p, training, "dropout1d", (2, 3), "(N, C, L) or (C, L)")


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Drops whole channels of (N, C, H, W); three axes are (N, C, L), as in PyTorch."""
    return _of_channels(input, p, training, "dropout2d", (4, 3), "(N, C, H, W)", unbatched=False)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _of_channels(input, p, training, "dropout3d", (4, 5), "(N, C, D, H, W) or (C, D, H, W)")


def _of_channels(
    input: Tensor, p: float, training: bool, name: str, ranks: tuple[int, int], shapes: str, unbatched: bool = True
) -> Value:  # fmt: skip
    check_dropout(p)
    x = symbol(input)
    if x.ndim not in ranks:
        raise ShapeError(f"x has {x.ndim} axes, shape {x.shape}, but needs {shapes}", fix="reshape x", place=name)
    if not training or p == 0:
        return x
    if unbatched and x.ndim == min(ranks):
        return (x.unsqueeze(0) * _channel_mask(x.unsqueeze(0), p, True)).squeeze(0)
    return x * _channel_mask(x, p, True)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Value:
    """Puts selu's lowest value where elements are dropped, then shifts and scales so that mean 0 and variance 1 stay."""
    check_dropout(p)
    x = symbol(input)
    return _alpha(_masked(x - LOWEST, p, False), p) if training and p > 0 else x


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Value:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    check_dropout(p)
    x = symbol(input)
    if not training or p == 0:
        return x
    if x.ndim < 2:
        raise ShapeError(f"x has {x.ndim} axes, shape {x.shape}, but needs (N, C, ...)", fix="reshape x",
                         place="feature_alpha_dropout")  # fmt: skip
    return _alpha((x - LOWEST) * _channel_mask(x, p, False), p)


def _alpha(kept: Value, p: float) -> Value:
    """a * (kept + lowest) + b, where kept is x - lowest or 0."""
    if p == 1:
        return kept * 0
    a = 1 / math.sqrt((1 - p) * (1 + p * LOWEST**2))
    return a * (kept + LOWEST * (1 - p))
