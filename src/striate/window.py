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

    def formula(self, n: int) -> str:
        """`out` as an equation with its numbers: (input + padding - extent of the window) / stride.

        >>> Window(5, pads=(2, 2)).formula(28), Window(3, stride=2, dilation=2).formula(16)
        ('(28 + 2 + 2 - 5) / 1 + 1 = 28', 'floor((16 - (2 * (3 - 1) + 1)) / 2) + 1 = 6')
        >>> Window(4, pads=(1, 2)).formula(8)
        '(8 + 1 + 2 - 4) / 1 + 1 = 8 (no pixel is the centre of 4: 1 before, 2 behind)'
        """
        pads = "".join(f" + {p}" for p in self.pads) if any(self.pads) else ""
        extent = f"({self.dilation} * ({self.size} - 1) + 1)" if self.dilation > 1 else f"{self.size}"
        divided = f"({n}{pads} - {extent}) / {self.stride}"
        if (n + sum(self.pads) - self.extent) % self.stride:
            divided = f"{'ceil' if self.ceil else 'floor'}({divided})"
        last = (n + sum(self.pads) - self.extent) / self.stride
        less = " - 1 (the last would start in the padding)" if self.ceil and self.out(n) < -(-last // 1) + 1 else ""
        low, high = self.pads
        even = self.stride == 1 and self.out(n) == n and self.extent % 2 == 0
        off = f" (no pixel is the centre of {self.extent}: {low} before, {high} behind)" if even else ""
        return f"{divided} + 1{less} = {self.out(n)}{off}"

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

    def positions(self, tap: Index, n: int, least: Callable = min, most: Callable = max) -> tuple[Index, Index]:
        """(first, stop) of the outputs at which a tap reads a real pixel; kernels as for `bounds`.

        >>> Window(3, stride=2, pads=(1, 1)).positions(0, 28)
        (1, 14)
        """
        start = tap * -self.dilation + self.pads[0]
        low, high = ((most(start + edge, 0) + self.stride - 1) // self.stride for edge in (0, n))
        return least(low, self.out(n)), least(high, self.out(n))

    def products(self, n: int) -> int:
        """Real pixels that all positions read together: the products along this axis that are not with padding.

        >>> Window(3, pads=(1, 1)).products(28)
        82
        """
        return sum(stop - first for first, stop in (self.positions(tap, n) for tap in range(self.size)))

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

    def grown(self, n: int, extra: int = 0, axis: str = "axis") -> int:
        """Pixels that a transposed convolution makes of n: (n - 1) * stride - low - high + D + extra; ShapeError below 1.

        `extra` is PyTorch's output_padding, pixels at the high end, which `out` would leave uncovered.

        >>> Window(3, stride=2, pads=(1, 1)).grown(2), Window(3, stride=2, pads=(1, 1)).grown(2, extra=1)
        (3, 4)
        """
        low, high = self.pads
        pixels = (n - 1) * self.stride - low - high + self.extent + extra
        if pixels < 1:
            raise ShapeError(f"{axis}: ({n} - 1) * {self.stride} - {low} - {high} + {self.extent} + {extra} = {pixels} pixels "
                             "(stride, padding, window's extent, output padding) are none", fix=f"pad by {1 - pixels} less")
        return pixels

    def growth(self, n: int, out: int) -> str:
        """`grown` as an equation with its numbers, for `out` pixels made of n.

        >>> Window(3, stride=2, pads=(1, 1)).growth(2, 4)
        '(2 - 1) * 2 - 1 - 1 + 3 + 1 = 4'
        """
        low, high = self.pads
        extra = out - ((n - 1) * self.stride + self.extent - low - max(high, 0))
        pads = f" - {low} - {max(high, 0)}" if low or high > 0 else ""
        return f"({n} - 1) * {self.stride}{pads} + {self.extent}{f' + {extra}' if extra else ''} = {out}"

    def short_growth(self, n: int) -> int:
        """stride * n + stride - size: often quoted for `grown`, but true only with size - stride pixels of padding a side.

        >>> [Window(3, 2, pads=(p, p)).short_growth(2) for p in (0, 1)], [Window(3, 2, pads=(p, p)).grown(2) for p in (0, 1)]
        ([3, 3], [5, 3])
        """
        return self.stride * n + self.stride - self.size

    def reaching(self, extra: int) -> Window:
        """The window of which `grown(n, extra)` pixels have n positions: whole strides of extra pixels cost high padding.

        >>> Window(3, stride=2, dilation=4).reaching(3)
        Window(size=3, stride=2, dilation=4, pads=(0, -2), ceil=False)
        """
        low, high = self.pads
        return replace(self, pads=(low, high - extra // self.stride * self.stride))

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


def span(p: Index, n: Index, out: Index) -> tuple[Index, Index]:
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
    given = value if isinstance(value, Sequence) else (value,)
    given = given if len(given) != 1 else (given[0],) * rank
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
    if isinstance(padding, str):
        raise ArgumentError(f"{name} must be counted in pixels here, got '{padding}'; give whole numbers")
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


NAMED = ("valid", "same", "same_lower", "same_full", "full")
"""Paddings that have a name; see `named_pads`."""


def named_pads(name: str, window: Window, n: int) -> tuple[int, int]:
    """(low, high) of a padding by name, for a window of extent D and stride s over n pixels.

    valid       none: ceil((n - D + 1) / s) positions
    same        ceil(n / s) positions with the least padding, max((ceil(n / s) - 1) * s + D - n, 0) in all; the odd pixel
                goes high, as in TensorFlow, Keras and ONNX's SAME_UPPER, and at stride 1 in PyTorch
    same_lower  the same with the odd pixel low, as in ONNX's SAME_LOWER
    same_full   D - 1 in all whatever the stride, the odd pixel low, as in Dive into Deep Learning: ceil(n / s) positions too
    full        D - 1 on each side: every position that touches the input, a wide convolution

    >>> window = Window(3, stride=2)
    >>> [named_pads(name, window, 224) for name in NAMED]
    [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]
    """
    if name == "valid":
        return 0, 0
    if name == "full":
        return window.extent - 1, window.extent - 1
    full = window.extent - 1
    total = full if name == "same_full" else max((-(-n // window.stride) - 1) * window.stride + window.extent - n, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if name == "same" else (more, less)


def read_padding(padding: Any, rank: int = 2) -> str | tuple[tuple[int, int], ...]:
    """A padding's name as it is, or (low, high) for each axis.

    >>> read_padding("same"), read_padding(1)
    ('same', ((1, 1), (1, 1)))
    """
    if not isinstance(padding, str):
        return pad_pairs(padding, rank=rank)
    if padding not in NAMED:
        known = ", ".join(f"'{name}'" for name in NAMED)
        raise ArgumentError(f"padding must be one of {known} or whole numbers, got '{padding}'")
    return padding


def windows(kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, rank: int = 2,
            size: Sequence[int] | None = None) -> tuple[Window, ...]:
    """One Window an axis out of PyTorch's arguments: the one place where they are normalised.

    padding: a number, one an axis, (top, bottom, left, right), pairs ((top, bottom), (left, right)), or a name (`named_pads`).
    size: the input's pixels along each axis; 'same' and 'same_lower' depend on them where the stride is not 1.

    >>> windows(3, stride=2, padding=(1, 0), rank=2)[1]
    Window(size=3, stride=2, dilation=1, pads=(0, 0), ceil=False)
    >>> windows(3, stride=2, padding="same", rank=1, size=(224,))
    (Window(size=3, stride=2, dilation=1, pads=(0, 1), ceil=False),)
    """
    sizes, strides = pair(kernel_size, "kernel_size", rank), pair(stride, "stride", rank)
    dilations, pads = pair(dilation, "dilation", rank), read_padding(padding, rank)
    bare = tuple(Window(*axis, ceil=ceil_mode) for axis in zip(sizes, strides, dilations, strict=True))
    if isinstance(pads, str):
        if size is None and pads in ("same", "same_lower") and any(s != 1 for s in strides):
            raise ArgumentError(f"padding='{pads}' at stride {strides} depends on the input's size; give windows(..., size=...)")
        pads = tuple(named_pads(pads, w, n) for w, n in zip(bare, size or (1,) * rank, strict=True))
    return tuple(replace(w, pads=both) for w, both in zip(bare, pads, strict=True))
