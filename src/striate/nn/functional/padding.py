"""Padding as a function: constant values on any axes, or what the image holds on its last one to three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, images, symbol

MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """(low, high) elements for the last axis, then for the one before it, and so on; a negative amount cuts elements off.

    `F.pad(x, (1, 2))` adds a column in front and two behind. mode 'constant' (`striate.ops.Pad`) writes `value`, by default 0;
    'reflect', 'replicate' and 'circular' (`striate.ops.Resample`) read the image, and pad all axes but N and C of
    (N, C, L), (N, C, H, W) or (N, C, D, H, W), or of one image without N. Raises ArgumentError, ShapeError.
    """
    x, pairs = symbol(input), amounts(pad)
    if mode not in MODES:
        raise ArgumentError(f"padding mode must be one of {', '.join(MODES)}, got '{mode}'")
    if mode == "constant":
        return _constant(x, pairs, float(value or 0))
    if value is not None:
        raise ArgumentError(f"padding mode '{mode}' takes its values from the image, got value={value}; leave value out")
    rank = len(pairs)
    if not 1 <= rank <= 3 or x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"padding mode '{mode}' pads all axes but N and C, got {2 * rank} amounts for x {x.shape}",
                         fix=f"give {2 * max(1, x.ndim - 2)} amounts")
    return images(x, lambda v: _resampled(v, pairs, mode), rank)


def amounts(pad: Sequence[Any]) -> list[tuple[int, int]]:
    """(low, high) by axis, the last axis last."""
    flat = [int(p) for p in pad]
    if len(flat) % 2:
        raise ArgumentError(f"pad takes (low, high) for each axis, the last one first, got {len(flat)} amounts: {tuple(flat)}")
    return list(zip(flat[0::2], flat[1::2], strict=True))[::-1]


def _constant(x: Value, pairs: Sequence[tuple[int, int]], value: float) -> Value:
    if len(pairs) > x.ndim:
        raise ShapeError(f"pad has (low, high) for {len(pairs)} axes, x {x.shape} has {x.ndim}", fix="give fewer amounts")
    pads = [(0, 0)] * (x.ndim - len(pairs)) + list(pairs)
    x, added = _cropped(x, _cuts(x, pads, 0)), tuple((max(0, low), max(0, high)) for low, high in pads)
    return x.graph.apply(ops.Pad(added, value), x) if any(low or high for low, high in added) else x


def _cuts(x: Value, pads: Sequence[tuple[int, int]], least: int = 1) -> list[tuple[int, int]]:
    """How many elements negative amounts cut off the ends of each axis, which keeps the `least` of them."""
    cut = [(max(0, -low), max(0, -high)) for low, high in pads]
    for axis, (n, (low, high)) in enumerate(zip(x.shape, cut, strict=True)):
        if low + high and low + high > n - least:
            raise ShapeError(f"padding cuts {low} + {high} of the {n} elements off axis {axis} of x {x.shape}",
                             fix="cut off less")
    return cut


def _cropped(x: Value, cut: Sequence[tuple[int, int]]) -> Value:
    if not any(low or high for low, high in cut):
        return x
    stops = tuple(n - high for n, (_, high) in zip(x.shape, cut, strict=True))
    return x.graph.apply(ops.Slice(tuple(low for low, _ in cut), stops, (1,) * x.ndim), x)


def _resampled(x: Value, pairs: Sequence[tuple[int, int]], mode: str) -> Value:
    cut = _cuts(x, [(0, 0), (0, 0), *pairs])
    if mode == "circular":  # what is cut off does not come back from the other side
        x, pairs = _cropped(x, cut), [(max(0, low), max(0, high)) for low, high in pairs]
    axes = []
    for axis, (n, (low, high)) in enumerate(zip(x.shape[2:], pairs, strict=True), 2):
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if most is not None and max(low, high) > most:
            raise ShapeError(f"padding mode '{mode}' can add up to {most} elements to axis {axis} of x {x.shape}, "
                             f"got {(low, high)}", fix="pad less, or use mode='replicate'")
        axes.append(ops.ResampleAxis(mode, n, low + n + high, -low))
    return x.graph.apply(ops.Resample(tuple(axes)), x)
