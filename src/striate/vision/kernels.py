"""Classic image kernels by name: what a convolution does that nobody had to train.

    y[p, q] = sum over r, s of  w[r, s] * x[p + r, q + s]          cross-correlation, as in every layer of striate.nn

A kernel whose weights sum to 1 keeps the brightness of flat areas; one that sums to 0 makes them black and leaves edges. A
kernel of rank 1 is a column times a row, w = u v^T, and may be run as two thinner ones: Sobel's is [1, 2, 1]^T [1, 0, -1].

Sources: Gonzalez & Woods, Digital image processing, 4th edition, sections 3.5 and 3.6 (means, Laplacian) and 10.2 (Prewitt,
Sobel).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from striate.errors import ArgumentError


def _fixed(rows: Any, divisor: int = 1) -> np.ndarray:
    """A read-only float32 array: kernels are shared by all who name them."""
    array = np.asarray(rows, np.float32) / np.float32(divisor)
    array.flags.writeable = False
    return array


def box(size: int) -> np.ndarray:
    """The mean of size x size pixels. Ones alone would be their sum, size^2 times as bright.

    >>> float(box(5)[0, 0])
    0.03999999910593033
    """
    if size < 1:
        raise ArgumentError(f"a kernel's size must be at least 1, got {size}; use a positive whole number")
    return _fixed(np.ones((size, size)), size * size)


SMOOTH, SLOPE = np.array([1, 2, 1]), np.array([1, 0, -1])

KERNELS = MappingProxyType({
    "identity": _fixed([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "edge1": _fixed([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]),
    "edge2": _fixed([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "laplacian": _fixed([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "sobel_x": _fixed(np.outer(SMOOTH, SLOPE)),
    "sobel_y": _fixed(np.outer(SLOPE, SMOOTH)),
    "prewitt_x": _fixed(np.outer([1, 1, 1], SLOPE)),
    "prewitt_y": _fixed(np.outer(SLOPE, [1, 1, 1])),
    "sharpen": _fixed([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "emboss": _fixed([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    "box_blur": box(3),
    "box_blur5": box(5),
    "gaussian_blur": _fixed(np.outer(SMOOTH, SMOOTH), 16),
})  # fmt: skip
"""Name -> kernel (R, S), float32, read-only. The two Sobel and Prewitt kernels find edges that run down and across."""


def kernel(item: Any) -> np.ndarray:
    """A kernel by its name, or an array (R, S) or (K, C, R, S) as float32. Raises ArgumentError.

    >>> kernel("sharpen").sum().item()
    1.0
    """
    if isinstance(item, str):
        if item not in KERNELS:
            raise ArgumentError(f"there is no kernel '{item}'; there are {', '.join(KERNELS)}")
        return KERNELS[item]
    array = np.asarray(item, np.float32)
    if array.ndim not in (2, 4) or not array.size:
        raise ArgumentError(f"a kernel has shape (R, S), for each channel on its own, or (K, C, R, S), got {array.shape}; "
                            "reshape it")
    return array
