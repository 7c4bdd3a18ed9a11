"""Images of another size, and channels that become pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.adaptive import adaptive_avg_pool2d
from striate.nn.functional.arguments import Tensor, symbol

RANKS = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,), "bilinear": (2,),
         "trilinear": (3,), "bicubic": (2,)}  # fmt: skip
"""Modes of interpolation, and for how many spatial axes each is."""


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Value:  # fmt: skip
    """(N, C, ...) with its spatial axes as `size` pixels, or as floor(n * scale_factor): `striate.ops.Resample`.

    align_corners puts the first and last pixels of both images upon each other; otherwise pixels are areas, and the images'
    edges meet. recompute_scale_factor: the scale is size / n, not the scale_factor that the size was made of. mode 'area' is
    adaptive average pooling. Raises ArgumentError, ShapeError. Source: `torch.nn.functional.interpolate`.
    """
    x = symbol(input)
    check_mode(mode, align_corners)
    rank = x.ndim - 2
    if rank not in RANKS[mode]:
        wanted = " or ".join(str(r + 2) for r in RANKS[mode])
        raise ShapeError(f"mode '{mode}' resizes an image (N, C, ...) of {wanted} axes, x {x.shape} has {x.ndim}",
                         fix="use the mode for its number of axes")
    sizes, scales = target_size(x.shape[2:], size, scale_factor)
    if mode == "area":
        return _area(x, sizes)
    steps = [n / m if f is None or recompute_scale_factor else 1 / f for n, m, f in zip(x.shape[2:], sizes, scales, strict=True)]
    axes = zip(x.shape[2:], sizes, steps, strict=True)
    return x.graph.apply(ops.Resample(tuple(resized(mode, bool(align_corners), *axis) for axis in axes)), x)


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Value:  # fmt: skip
    """The old name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Value:
    """`interpolate` by the nearest pixel."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Value:
    """`interpolate` between four pixels, the corners aligned."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def check_mode(mode: str, align_corners: bool | None) -> None:
    """Refuse an unknown mode, and align_corners where a pixel has no corners to align."""
    if mode not in RANKS:
        raise ArgumentError(f"mode must be one of {', '.join(RANKS)}, got '{mode}'")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ArgumentError(f"align_corners is for linear, bilinear, trilinear and bicubic, got mode '{mode}'; leave it out")


def resized(mode: str, align_corners: bool, n: int, size: int, step: float) -> ops.ResampleAxis:
    """An axis of n pixels as `size` pixels, each `step` pixels of the input wide."""
    if mode in ("nearest", "nearest-exact"):
        return ops.ResampleAxis("nearest", n, size, 0.0 if mode == "nearest" else 0.5, step)
    kind = "cubic" if mode == "bicubic" else "linear"
    if align_corners:
        return ops.ResampleAxis(kind, n, size, 0.0, (n - 1) / (size - 1) if size > 1 else 0.0)
    return ops.ResampleAxis(kind, n, size, 0.5 * step - 0.5, step)


def target_size(pixels: Sequence[int], size: Any, scale_factor: Any) -> tuple[list[int], list[float | None]]:
    """The size of each axis, and the scales that it was made of, None where it was given.

    >>> target_size((5, 6), None, 1.5)
    ([7, 9], [1.5, 1.5])
    """
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"interpolate takes either size or scale_factor, got size={size} and scale_factor={scale_factor}")
    given, name = (size, "size") if scale_factor is None else (scale_factor, "scale_factor")
    each = list(given) if isinstance(given, Sequence) else [given] * len(pixels)
    if len(each) != len(pixels) or any(e <= 0 for e in each):
        raise ArgumentError(f"{name} must be one number above 0, or {len(pixels)} of them, got {given!r}")
    sizes = [int(e) if scale_factor is None else math.floor(n * e) for n, e in zip(pixels, each, strict=True)]
    if min(sizes) < 1:
        raise ShapeError(f"scale_factor={scale_factor} leaves {tuple(sizes)} of {tuple(pixels)} pixels", fix="use a larger scale")
    return sizes, [None if scale_factor is None else float(e) for e in each]


def _area(x: Value, sizes: Sequence[int]) -> Value:
    """Adaptive averages, the last two axes at once: the mean over a box is the mean of means."""
    shape = x.shape[:2]
    if len(sizes) == 1:
        return adaptive_avg_pool2d(x.unsqueeze(2), (1, sizes[0])).squeeze(2)
    if len(sizes) == 2:
        return adaptive_avg_pool2d(x, tuple(sizes))
    planes = adaptive_avg_pool2d(x.flatten(1, 2), tuple(sizes[1:]))
    lines = planes.reshape(*shape, x.shape[2], sizes[1] * sizes[2])
    return adaptive_avg_pool2d(lines, (sizes[0], None)).reshape(*shape, *sizes)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Value:
    """(..., C*r*r, H, W) -> (..., C, H*r, W*r): y[c, h*r + i, w*r + j] = x[c*r*r + i*r + j, h, w].

    Source: Shi et al., Real-time single image and video super-resolution, arXiv:1609.05158, section 2.2.
    """
    x, r = symbol(input), int(upscale_factor)
    *batch, channels, height, width = _image(x)
    if r < 1 or channels % (r * r):
        raise ShapeError(f"{channels} channels of x {x.shape} are not made of {r} * {r} = {r * r} each",
                         fix="use a multiple, or another upscale_factor")
    y = x.reshape(math.prod(batch), channels // (r * r), r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(*batch, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Value:
    """(..., C, H*r, W*r) -> (..., C*r*r, H, W): the way back from `pixel_shuffle`."""
    x, r = symbol(input), int(downscale_factor)
    *batch, channels, height, width = _image(x)
    if r < 1 or height % r or width % r:
        raise ShapeError(f"the {height} x {width} pixels of x {x.shape} are not made of squares of {r}",
                         fix="pad the image, or use another downscale_factor")
    y = x.reshape(math.prod(batch), channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return y.reshape(*batch, channels * r * r, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Value:
    """(N, G*n, ...) -> (N, n*G, ...): channels of the groups in turn. Source: ShuffleNet, arXiv:1707.01083, section 3.1."""
    x = symbol(input)
    if x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"x {x.shape} (N, C, ...) does not have its channels in {groups} equal groups",
                         fix="use a number of groups that divides the channels")
    parts = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return parts.transpose(1, 2).reshape(x.shape)


native_channel_shuffle = channel_shuffle


def _image(x: Value) -> tuple[int, ...]:
    if x.ndim < 3:
        raise ShapeError(f"x {x.shape} has {x.ndim} axes", fix="give it the shape (..., C, H, W)")
    return x.shape
