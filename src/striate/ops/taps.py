"""Windows over arrays: what every tap of a sliding window reads, and the transpose of that.

    t[n,c,p,q,r,s] = x[n, c, p*stride + r*dilation - low, q*stride + s*dilation - low]        `taps`
    x[n,c,h,w]     = sum of the t[n,c,p,q,r,s] that read x[n,c,h,w]                           `untaps`

Convolution and pooling are sums and maxima over (r, s) of t. Source: arXiv:1603.07285, section 2.
"""

from __future__ import annotations

import numpy as np

from striate.ops.base import Array
from striate.window import Window2d


def padded(x: Array, window: Window2d, value: float = 0.0) -> Array:
    """x with the padding that the window's positions need."""
    rows, columns = (w.full_pads(n) for w, n in zip(window, x.shape[2:], strict=True))
    return np.pad(x, ((0, 0), (0, 0), rows, columns), constant_values=value)


def taps(x: Array, window: Window2d, value: float = 0.0) -> Array:
    """(N, C, H, W) -> (N, C, P, Q, R, S): what every tap of every output position reads, as a view."""
    rows, columns = (w.out(n) for w, n in zip(window, x.shape[2:], strict=True))
    grid = np.lib.stride_tricks.sliding_window_view(padded(x, window, value), tuple(w.extent for w in window), (2, 3))
    height, width = window
    grid = grid[:, :, :: height.stride, :: width.stride, :: height.dilation, :: width.dilation]
    return grid[:, :, :rows, :columns]


def untaps(t: Array, window: Window2d, size: tuple[int, ...]) -> Array:
    """The transpose of `taps`: every tap is added to the pixel that it reads, padding is dropped."""
    n, c, p, q, _, _ = t.shape
    height, width = window
    (top, bottom), (left, right) = height.full_pads(size[0]), width.full_pads(size[1])
    x = np.zeros((n, c, top + size[0] + bottom, left + size[1] + right), t.dtype)
    for r in range(height.size):
        for s in range(width.size):
            i, j = r * height.dilation, s * width.dilation
            x[:, :, i : i + p * height.stride : height.stride, j : j + q * width.stride : width.stride] += t[..., r, s]
    return x[:, :, top : top + size[0], left : left + size[1]]
