"""Layers that change an image's size: interpolation, and channels that become pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module, check_sizes


class Upsample(Module):
    """(N, C, ...) with its spatial axes as `size` pixels or scale_factor times as long: `striate.nn.functional.interpolate`.

    >>> Upsample(scale_factor=2, mode="bilinear")
    Upsample(scale_factor=2.0, mode='bilinear')
    """

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):  # fmt: skip
        super().__init__()
        F.check_mode(mode, align_corners)
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = floats(scale_factor)
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Value) -> Value:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        how = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{how}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of (N, C, H, W) by the nearest pixel."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of (N, C, H, W) by bilinear interpolation that aligns the corners."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """(N, C*r*r, H, W) -> (N, C, H*r, W*r): `striate.nn.functional.pixel_shuffle`.

    >>> PixelShuffle(2)
    PixelShuffle(upscale_factor=2)
    """

    def __init__(self, upscale_factor: int):
        super().__init__()
        check_sizes(upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, input: Value) -> Value:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(N, C, H*r, W*r) -> (N, C*r*r, H, W): the way back from `PixelShuffle`."""

    def __init__(self, downscale_factor: int):
        super().__init__()
        check_sizes(downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, input: Value) -> Value:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of the groups in turn: `striate.nn.functional.channel_shuffle`."""

    def __init__(self, groups: int):
        super().__init__()
        check_sizes(groups=groups)
        self.groups = groups

    def forward(self, input: Value) -> Value:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


def floats(scale: Any) -> Any:
    """One factor or one an axis, as PyTorch prints them; None stays None."""
    if scale is None:
        return None
    return tuple(map(float, scale)) if isinstance(scale, Sequence) else float(scale)
