"""Adaptive and global pooling and spatial pyramids as functions: an input of any size gives an output of a known one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, images
from striate.nn.functional.shape import cat
from striate.ops.base import want_rank
from striate.ops.pool import AXES, avg_pool_of, max_pool_of
from striate.ops.pool_adaptive import adaptive_avg_pool_of, adaptive_max_pool_of
from striate.window import Window, pair


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Value:
    """Means over output_size = Q parts of (N, C, W) -> (N, C, Q); see `adaptive_avg_pool2d`."""
    return _avg(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Value:
    """Means over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.AvgPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveAvgPool2d` elsewhere.
    """
    return _avg(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Value:
    """Means over output_size = (O, P, Q) parts of (N, C, D, H, W); see `adaptive_avg_pool2d`."""
    return _avg(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over output_size = Q parts of (N, C, W) -> (N, C, Q); see `adaptive_max_pool2d`."""
    return _max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.MaxPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveMaxPool2d` elsewhere. The indices
    (int32, h * W + w) come with the second only, so asking for them uses it.
    """
    return _max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over output_size = (O, P, Q) parts of (N, C, D, H, W); see `adaptive_max_pool2d`."""
    return _max(3, input, output_size, return_indices)


def global_avg_pool(input: Tensor, rank: int = 2, keepdim: bool = True) -> Value:
    """The mean of each channel: (N, C, H, W) -> (N, C, 1, 1), without keepdim (N, C). rank: how many axes are averaged."""
    return _global(_avg(rank, input, 1), rank, keepdim)


def global_max_pool(input: Tensor, rank: int = 2, keepdim: bool = True) -> Value:
    """The maximum of each channel: (N, C, H, W) -> (N, C, 1, 1), without keepdim (N, C). The gradient goes to the first of
    equal maxima."""
    return _global(_max(rank, input, 1, False), rank, keepdim)


def spatial_pyramid_pool2d(
    input: Tensor, levels: Sequence[int] = (1, 2, 4), kind: str = "max", mode: str = "adaptive"
) -> Value:
    """(N, C, H, W) of any H and W -> (N, C * (1 + 4 + 16)) for levels (1, 2, 4): n x n bins for each level n.

    Level after level, each flattened from (C, n, n) as in Caffe: the number of c, p, q in level n is c*n*n + p*n + q, behind
    all numbers of the levels before. kind: 'max' or 'avg'. mode:

        adaptive   bins p*H/n, rounded down, to (p+1)*H/n, rounded up: n bins for every size
        paper      windows of ceil(H/n) pixels and strides of floor(H/n): the paper's rule, which fails for some sizes

    Errors: ShapeError where the paper's rule gives another number of bins than n. Source: arXiv:1406.4729, sections 2.2, 2.3.
    """
    check_pyramid(levels, kind, mode)

    def pool(x: Value) -> Value:
        want_rank(x.spec, 4, AXES[2])
        return cat([_level(x, n, kind, mode).flatten(1) for n in levels], 1)

    return images(input, pool)


def check_pyramid(levels: Sequence[int], kind: str, mode: str) -> None:
    """Refuse a pyramid that is none."""
    if not levels or any(not hasattr(n, "__index__") or n < 1 for n in levels):
        raise ArgumentError(f"levels are bins along a side, whole numbers from 1 up, got {levels}; use (1, 2, 4)")
    for name, value, known in (("kind", kind, ("max", "avg")), ("mode", mode, ("adaptive", "paper"))):
        if value not in known:
            raise ArgumentError(f"{name} must be '{known[0]}' or '{known[1]}', got {value!r}")


def paper_window(pixels: int, bins: int, axis: str) -> Window:
    """A window of ceil(a/n) pixels that moves by floor(a/n); ShapeError where that does not give n positions.

    >>> paper_window(13, 4, "height").out(13)
    4
    """
    if pixels < bins:
        raise ShapeError(f"{axis}: level {bins} has more bins than the {pixels} pixels, the stride floor({pixels}/{bins}) is 0",
                         fix="use mode='adaptive' or a larger input")
    window = Window(-(-pixels // bins), pixels // bins)
    made = window.out(pixels)
    if made != bins:
        raise ShapeError(f"{axis}: level {bins} of {pixels} pixels by the paper's rule is a window of ceil({pixels}/{bins}) = "
                         f"{window.size} and a stride of floor({pixels}/{bins}) = {window.stride}, which gives floor(({pixels} - "
                         f"{window.size})/{window.stride}) + 1 = {made} bins", fix=f"use mode='adaptive', which gives {bins}")
    return window


def adaptive_size(output_size: Any, size: Sequence[int]) -> tuple[int, ...]:
    """(P, Q) out of a number or one for each axis, in which None keeps the input's size.

    >>> adaptive_size((None, 3), (7, 9))
    (7, 3)
    """
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * len(size)
    if len(wanted) != len(size):
        several = {1: "", 2: " or a pair", 3: " or three of them"}[len(size)]
        raise ArgumentError(f"output_size must be a number{several}, got {output_size}")
    made = pair([n if given is None else given for given, n in zip(wanted, size, strict=True)], "output_size", len(size))
    if min(made) < 1:
        raise ArgumentError(f"output_size must be at least 1, got {output_size}")
    return made


def _level(x: Value, n: int, kind: str, mode: str) -> Value:
    """One level of a pyramid: (N, C, n, n)."""
    if mode == "adaptive":
        return _avg(2, x, n) if kind == "avg" else _max(2, x, n, False)
    window = tuple(paper_window(pixels, n, axis) for pixels, axis in zip(x.shape[2:], ("height", "width"), strict=True))
    return x.graph.apply(avg_pool_of(window), x) if kind == "avg" else x.graph.apply(max_pool_of(window), x)[0]


def _global(y: Value, rank: int, keepdim: bool) -> Value:
    return y if keepdim else y.reshape(y.shape[: y.ndim - rank])


def _avg(rank: int, input: Tensor, output_size: Any) -> Value:
    def pool(x: Value) -> Value:
        size, window = _target(rank, x, output_size)
        return x.graph.apply(avg_pool_of(window) if window else adaptive_avg_pool_of(size), x)

    return images(input, pool, rank)


def _max(rank: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    def pool(x: Value) -> tuple[Value, Value]:
        size, window = _target(rank, x, output_size)
        return x.graph.apply(max_pool_of(window) if window and not return_indices else adaptive_max_pool_of(size), x)

    both = images(input, pool, rank)
    return both if return_indices else both[0]


def _target(rank: int, x: Value, output_size: Any) -> tuple[tuple[int, ...], tuple[Window, ...] | None]:
    """The output's size, and the windows that make it where the sizes divide; one that sees its whole axis has stride 1."""
    want_rank(x.spec, rank + 2, AXES[rank])
    size = adaptive_size(output_size, x.shape[2:])
    if any(n == 0 or n % out for n, out in zip(x.shape[2:], size, strict=True)):
        return size, None
    return size, tuple(Window(n // out, n // out if out > 1 else 1) for n, out in zip(x.shape[2:], size, strict=True))
