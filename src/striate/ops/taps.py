"""Windows over arrays: what every tap of a sliding window reads, and the transpose of that.

    t[n,c,p,q,r,s] = x[n, c, p*stride + r*dilation - low, q*stride + s*dilation - low]        `taps`
    x[n,c,h,w]     = sum of the t[n,c,p,q,r,s] that read x[n,c,h,w]                           `untaps`

and so on for any number of axes. Convolution and pooling are sums and maxima over the taps (r, s) of t.
Source: arXiv:1603.07285, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from striate.ops.base import Array
from striate.window import Window


def out_size(window: Sequence[Window], size: Sequence[int]) -> tuple[int, ...]:
    """(P, Q) of an input of (H, W); ShapeError, naming the axis, where a window does not fit."""
    names = ("depth", "height", "width")[-len(window):]
    return tuple(w.out(n, name) for w, n, name in zip(window, size, names, strict=True))


def padded(x: Array, window: Sequence[Window], value: float = 0.0) -> Array:
    """x with the padding that the window's positions need."""
    pads = (w.full_pads(n) for w, n in zip(window, x.shape[2:], strict=True))
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value)


def taps(x: Array, window: Sequence[Window], value: float = 0.0) -> Array:
    """(N, C, H, W) -> (N, C, P, Q, R, S): what every tap of every output position reads, as a view."""
    axes = tuple(range(2, x.ndim))
    grid = np.lib.stride_tricks.sliding_window_view(padded(x, window, value), tuple(w.extent for w in window), axes)
    steps = [slice(None, None, step) for step in (*(w.stride for w in window), *(w.dilation for w in window))]
    return grid[:, :, *steps][:, :, *(slice(n) for n in out_size(window, x.shape[2:]))]


def untaps(t: Array, window: Sequence[Window], size: tuple[int, ...]) -> Array:
    """The transpose of `taps`: every tap is added to the pixel that it reads, padding is dropped."""
    pads = [w.full_pads(n) for w, n in zip(window, size, strict=True)]
    x = np.zeros((*t.shape[:2], *(low + n + high for n, (low, high) in zip(size, pads, strict=True))), t.dtype)
    for tap in product(*(range(w.size) for w in window)):
        first = [i * w.dilation for i, w in zip(tap, window, strict=True)]
        places = (slice(i, i + n * w.stride, w.stride) for i, n, w in zip(first, t.shape[2:], window))
        x[:, :, *places] += t[(..., *tap)]
    return x[:, :, *(slice(low, low + n) for n, (low, _) in zip(size, pads, strict=True))]
