"""Sliding-window arithmetic: the only copy in the package.

One axis of a window of `size` taps, `dilation` pixels apart, that moves `stride` pixels over an input of n pixels
with `low` and `high` pixels of padding:

    extent  D = dilation * (size - 1) + 1                       first tap to last, in pixels
    output  P = floor((n + low + high - D) / stride) + 1        [1], relationships 6 and 15; `ceil` rounds up
    tap t of output p reads input pixel  p * stride + t * dilation - low

[1] Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

from striate.errors import ArgumentError, ShapeError

Index = Any
"""A whole number, or the index of a running kernel's loop."""


@dataclass(frozen=True)
class Window:
    """One axis of a sliding window, in input pixels.

    >>> Window(3, stride=2, pads=(1, 1)).out(224)
    112
    """

    size: int
    stride: int = 1
    dilation: int = 1
    pads: tuple[int, int] = (0, 0)
    ceil: bool = False

    def __post_init__(self):
        for name in ("size", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"a window's {name} must be at least 1, got {getattr(self, name)}; "
                                    "use a positive whole number")

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last, both included."""
        return self.dilation * (self.size - 1) + 1

    def out(self, n: int, axis: str = "axis") -> int:
        """Positions of the window on n pixels; ShapeError, naming the axis, where there is none.

        >>> Window(3, stride=2).out(6), Window(3, stride=2, ceil=True).out(6)
        (2, 3)
        """
        low, high = self.pads
        room = n + low + high - self.extent + (self.stride - 1 if self.ceil else 0)
        if room < 0:
            raise ShapeError(
                f"{axis}: a window of {self.extent} = {self.dilation} * ({self.size} - 1) + 1 pixels does not fit in "
                f"{n + low + high} = {n} + {low} + {high} (input + padding)",
                fix=f"pad by at least {-room} more or use a larger input",
            )
        last = room // self.stride
        return last if self.ceil and last * self.stride >= n + low else last + 1  # windows start inside input or low pad

    def read(self, p: Index, tap: Index) -> Index:
        """The input pixel that `tap` of output p reads; it may lie in the padding.

        >>> Window(3, stride=2, pads=(1, 1)).read(0, 0)
        -1
        """
        return p * self.stride + tap * self.dilation - self.pads[0]

    def taps_inside(self, p: int, n: int) -> range:
        """The taps of output p that read real pixels, not padding.

        >>> Window(3, pads=(1, 1)).taps_inside(0, 28)
        range(1, 3)
        """
        first, stop = self.bounds(p, n)
        return range(first, max(first, stop))

    def bounds(self, p: Index, n: int, least: Callable = min, most: Callable = max) -> tuple[Index, Index]:
        """`taps_inside` as (first, stop), for a running kernel too: with its index p and its own minimum and maximum.

        >>> Window(3, pads=(1, 1)).bounds(27, 28)
        (0, 2)
        """
        first = self.read(p, 0)
        low, high = ((most(edge - first, 0) + self.dilation - 1) // self.dilation for edge in (0, n))
        return least(low, self.size), least(high, self.size)

    def readers(self, pixel: int, n: int) -> list[tuple[int, int]]:
        """(output, tap) of every window that reads a pixel: the way back from `read`.

        >>> Window(3, stride=2, pads=(1, 1)).readers(3, 28)
        [(2, 0), (1, 2)]
        """
        met = ((divmod(pixel + self.pads[0] - tap * self.dilation, self.stride), tap) for tap in range(self.size))
        return [(p, tap) for (p, rest), tap in met if rest == 0 and 0 <= p < self.out(n)]

    def over(self, pixel: Index, n: int, least: Callable = min, most: Callable = max) -> tuple[Index, Index]:
        """(first, stop) of the windows that reach over a pixel, whether they read it or step over it; kernels as for `bounds`.

        >>> Window(3, stride=2, pads=(1, 1)).over(3, 28)
        (1, 3)
        """
        last = pixel + self.pads[0]
        return (most(last - self.extent + 1, 0) + self.stride - 1) // self.stride, least(last // self.stride + 1, self.out(n))

    def counted(self, n: int, include_pad: bool) -> tuple[Window, int]:
        """The window and the pixels among which an average counts its taps: those of the input, or with the padding."""
        return (replace(self, pads=(0, 0)), n + sum(self.pads)) if include_pad else (self, n)

    def count(self, p: int, n: int, include_pad: bool) -> int:
        """Taps of output p inside the input, or inside input and padding: what an average divides by.

        >>> Window(3, stride=2, pads=(1, 1)).count(0, 28, include_pad=False)
        2
        """
        window, pixels = self.counted(n, include_pad)
        return len(window.taps_inside(p, pixels))

    def blank(self, n: int) -> int | None:
        """The first output that reads nothing but padding, or None.

        >>> Window(2, pads=(2, 0)).blank(8)
        0
        """
        return next((p for p in range(self.out(n)) if not self.taps_inside(p, n)), None)

    def full_pads(self, n: int) -> tuple[int, int]:
        """(low, high) padding that every position really needs; `ceil` may reach past the high pad, a stride fall short of it.

        >>> Window(3, stride=2, pads=(1, 1)).full_pads(28)
        (1, 0)
        """
        low, _ = self.pads
        return low, max(0, self.read(self.out(n) - 1, self.size - 1) + 1 - n)

    def uncovered(self, n: int) -> int:
        """Padded pixels past the last position: the rest that the stride leaves over.

        >>> Window(2, stride=2).uncovered(7)
        1
        """
        return max(0, n + sum(self.pads) - ((self.out(n) - 1) * self.stride + self.extent))

    def transpose(self, n: int) -> Window:
        """The stride-1 window that carries the gradient back, over an output with stride-1 zeros between its pixels.

        Its high pad is chosen so that it gives back exactly n pixels; a negative pad cuts pixels off.

        >>> Window(3, stride=2, pads=(1, 1)).transpose(28)
        Window(size=3, stride=1, dilation=1, pads=(1, 2), ceil=False)
        """
        low, _ = self.pads
        stretched = (self.out(n) - 1) * self.stride + 1
        back = self.extent - 1 - low
        return replace(self, stride=1, pads=(back, n + self.extent - 1 - stretched - back), ceil=False)


def span(p: Index, n: int, out: int) -> tuple[Index, Index]:
    """(first, stop) of the pixels that output p of adaptive pooling sees: floor(p * n / out) to ceil((p + 1) * n / out) - 1.

    span(pixel, out, n) is the way back: the outputs that see a pixel. p may be an index of a running kernel.

    >>> span(1, 5, 2), span(2, 2, 5)
    ((2, 5), (0, 2))
    """
    return p * n // out, ((p + 1) * n + out - 1) // out


def spans(n: int, out: int) -> list[slice]:
    """The pixels that each output of adaptive pooling sees.

    >>> spans(5, 2)
    [slice(0, 3, None), slice(2, 5, None)]
    """
    return [slice(*span(p, n, out)) for p in range(out)]


Window2d = tuple[Window, Window]

def pair(value: int | Sequence[int], name: str, rank: int = 2) -> tuple[int, ...]:
    """One whole number for every axis, or one number each.

    >>> pair(3, "kernel_size"), pair((1, 2), "kernel_size")
    ((3, 3), (1, 2))
    """
    given = value if isinstance(value, Sequence) else (value,) * rank
    try:
        values = tuple(index(v) for v in given)
    except TypeError:
        values = ()
    if len(values) != rank:
        several = f" or {rank} of them" if rank > 1 else ""
        raise ArgumentError(f"{name} must be one whole number{several}, got {value!r}")
    return values


def pad_pairs(padding, name: str = "padding", rank: int = 2) -> tuple[tuple[int, int], ...]:
    """(low, high) for each axis out of one number, one number an axis, all lows and highs in turn, or one pair an axis.

    >>> pad_pairs(1), pad_pairs((1, 2)), pad_pairs((0, 1, 2, 3)), pad_pairs(((0, 1), (2, 3)))
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((0, 1), (2, 3)), ((0, 1), (2, 3)))
    """
    several = padding if isinstance(padding, Sequence) else ()
    if len(several) == rank and all(isinstance(p, Sequence) for p in several):
        pairs = tuple((low, high) for low, high in (pair(both, name) for both in several))
    elif len(several) == 2 * rank:
        flat = pair(several, name, 2 * rank)
        pairs = tuple(zip(flat[::2], flat[1::2]))
    else:
        pairs = tuple((p, p) for p in pair(padding, name, rank))
    if any(p < 0 for both in pairs for p in both):
        raise ArgumentError(f"{name} must not be negative, got {padding}")
    return pairs


def same_pads(size: int, dilation: int = 1) -> tuple[int, int]:
    """Padding that keeps the size at stride 1; the odd pixel goes high, as in PyTorch, TensorFlow and Keras.

    >>> same_pads(3), same_pads(4)
    ((1, 1), (1, 2))
    """
    total = dilation * (size - 1)
    return total // 2, total - total // 2


def windows(kernel_size, stride=1, padding=0, dilation=1, ceil_mode: bool = False, rank: int = 2) -> tuple[Window, ...]:
    """One Window an axis out of PyTorch's arguments: the one place where they are normalised.

    padding: a number, one an axis, (top, bottom, left, right), pairs ((top, bottom), (left, right)), 'valid' or 'same'.

    >>> windows(3, stride=2, padding=(1, 0), rank=2)[1]
    Window(size=3, stride=2, dilation=1, pads=(0, 0), ceil=False)
    """
    sizes, strides = pair(kernel_size, "kernel_size", rank), pair(stride, "stride", rank)
    dilations = pair(dilation, "dilation", rank)
    if padding == "valid":
        pads = pad_pairs(0, rank=rank)
    elif padding == "same":
        if any(s != 1 for s in strides):
            raise ArgumentError(f"padding='same' keeps the size only at stride 1, got stride {strides}; "
                                "give the padding as numbers")
        pads = tuple(same_pads(size, dilation) for size, dilation in zip(sizes, dilations, strict=True))
    elif isinstance(padding, str):
        raise ArgumentError(f"padding must be 'valid', 'same' or whole numbers, got '{padding}'")
    else:
        pads = pad_pairs(padding, rank=rank)
    return tuple(Window(*axis, ceil_mode) for axis in zip(sizes, strides, dilations, pads, strict=True))
