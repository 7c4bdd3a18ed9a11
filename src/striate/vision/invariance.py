"""How much a pooled picture, or a network's answer, changes when the picture is shifted, turned or scaled.

Convolution is EQUIVARIANT to shifts: conv(shift(x)) = shift(conv(x)) away from the border, and with a stride s for shifts by
multiples of s. Invariance comes from pooling, and only within a window: a stroke that moves from one window of 2 x 2 into the
next gives another output. Nothing makes a maximum invariant to turning or scaling; curves show how similar the outputs stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from striate import nn

Array = np.ndarray


def shifted(x: Array, rows: int, columns: int) -> Array:
    """(..., H, W) moved down and to the right, zeros behind.

    >>> shifted(np.array([[1.0, 2.0], [3.0, 4.0]]), 0, 1)
    array([[0., 1.],
           [0., 3.]])
    """
    y = np.zeros_like(x)
    height, width = x.shape[-2:]
    to = [slice(max(0, d), n + min(0, d)) for d, n in ((rows, height), (columns, width))]
    source = [slice(max(0, -d), n - max(0, d)) for d, n in ((rows, height), (columns, width))]
    y[..., to[0], to[1]] = x[..., source[0], source[1]]
    return y


def turned(x: Array, degrees: float) -> Array:
    """(..., H, W) turned about its middle, counter-clockwise, with bilinear sampling and zeros around."""
    angle = np.deg2rad(degrees)
    return resampled(x, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


def scaled(x: Array, factor: float) -> Array:
    """(..., H, W) magnified about its middle, the size of the array unchanged."""
    return resampled(x, np.eye(2) / factor)


def resampled(x: Array, matrix: Array) -> Array:
    """y[p] = x[matrix (p - middle) + middle] for p = (row, column), bilinear, zeros outside."""
    height, width = x.shape[-2:]
    middle = np.array([(height - 1) / 2, (width - 1) / 2])[:, None]
    place = matrix @ (np.indices((height, width)).reshape(2, -1) - middle) + middle
    low = np.floor(place).astype(int)
    y = np.zeros((*x.shape[:-2], height * width))
    for corner in np.ndindex(2, 2):
        row, column = low + np.array(corner)[:, None]
        weight = np.prod(1 - np.abs(place - (row, column)), axis=0)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        y += np.where(inside, weight, 0) * x[..., np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return y.reshape(x.shape).astype(x.dtype)


def pooled(x: Array, times: int = 1) -> Array:
    """(H, W) after maxima of 2 x 2, so many times one after the other: 16 x 16 to 8 x 8 to 4 x 4."""
    net = nn.Sequential(*(nn.MaxPool2d(2) for _ in range(times)))
    return net(np.asarray(x, np.float32)[None, None])[0, 0]


def similarity(a: Array, b: Array) -> float:
    """The cosine of the angle between two arrays: 1 where they are equal up to brightness, 0 where they share nothing."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / size if size else float(np.array_equal(a, b))


def curve(x: Array, change: Callable[[Array, Any], Array], amounts: Iterable[Any], times: int = 1) -> list[float]:
    """How similar the pooled picture (H, W) stays when it is changed by each of some amounts.

    >>> one = np.zeros((16, 16)); one[2:14, 7] = 1
    >>> [round(s, 2) for s in curve(one, turned, (0, 10, 45))]
    [1.0, 0.78, 0.28]
    """
    before = pooled(x, times)
    return [similarity(before, pooled(change(x, amount), times)) for amount in amounts]


def shifts_kept(x: Array, reach: int, times: int = 1) -> float:
    """Share of the shifts to the right by 1 ... reach pixels that leave the pooled picture (H, W) as it is, bit by bit."""
    before = pooled(x, times)
    return float(np.mean([np.array_equal(before, pooled(shifted(x, 0, d), times)) for d in range(1, reach + 1)]))


def invariance_score(net: nn.Module, x: Array, change: Callable[[Array, Any], Array], amounts: Iterable[Any]) -> list[float]:
    """Share of the images (N, C, H, W) to which a classifier gives the same class before and after a change, for each amount.

    `change` is `turned`, `scaled`, or a function of its own such as `lambda x, d: shifted(x, 0, d)`.
    """
    x = np.asarray(x, np.float32)
    before = net(x).argmax(axis=1)
    return [float(np.mean(net(change(x, amount)).argmax(axis=1) == before)) for amount in amounts]
