"""Padding layers: `striate.nn.functional.pad` for images of one, two or three spatial axes.

padding: one number for all sides, or (low, high) for the last axis, then for the one before it, and so on, as in PyTorch:
(left, right, top, bottom) for two axes. Negative amounts cut pixels off. All take images with or without a batch axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module
from striate.window import pair


class Padding(Module):
    """What all padding layers share: `rank` spatial axes, padded in `mode`."""

    rank: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        self.padding = pair(padding, "padding", 2 * self.rank)

    def forward(self, input: Value) -> Value:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad(Padding):
    """Pads with a value: see `Padding`."""

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Value) -> Value:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad):
    """`value` around (N, C, L): see `Padding`."""

    rank = 1


class ConstantPad2d(ConstantPad1d):
    """`value` around (N, C, H, W): see `Padding`."""

    rank = 2


class ConstantPad3d(ConstantPad1d):
    """`value` around (N, C, D, H, W): see `Padding`."""

    rank = 3


class ZeroPad1d(Padding):
    """Zeros around (N, C, L): see `Padding`."""

    rank = 1


class ZeroPad2d(ZeroPad1d):
    """Zeros around (N, C, H, W): see `Padding`."""

    rank = 2


class ZeroPad3d(ZeroPad1d):
    """Zeros around (N, C, D, H, W): see `Padding`."""

    rank = 3


class ReflectionPad1d(Padding):
    """(N, C, L), mirrored at the centres of its edge pixels: see `Padding`."""

    rank = 1
    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """(N, C, H, W), mirrored at the centres of its edge pixels: see `Padding`.

    >>> ReflectionPad2d((1, 1, 2, 0))
    ReflectionPad2d((1, 1, 2, 0))
    """

    rank = 2


class ReflectionPad3d(ReflectionPad1d):
    """(N, C, D, H, W), mirrored at the centres of its edge pixels: see `Padding`."""

    rank = 3


class ReplicationPad1d(Padding):
    """(N, C, L), its edge pixels repeated: see `Padding`."""

    rank = 1
    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """(N, C, H, W), its edge pixels repeated: see `Padding`."""

    rank = 2


class ReplicationPad3d(ReplicationPad1d):
    """(N, C, D, H, W), its edge pixels repeated: see `Padding`."""

    rank = 3


class CircularPad1d(Padding):
    """(N, C, L), continued from its other side: see `Padding`."""

    rank = 1
    mode = "circular"


class CircularPad2d(CircularPad1d):
    """(N, C, H, W), continued from its other side: see `Padding`."""

    rank = 2


class CircularPad3d(CircularPad1d):
    """(N, C, D, H, W), continued from its other side: see `Padding`."""

    rank = 3
