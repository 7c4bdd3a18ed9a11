"""Drawn stripes, ten directions under noise: something to classify where no published pictures are at hand.

    x[n, 0, h, w] = sin(cos(a) h + sin(a) w + phase) + noise        a = y[n] * 18 degrees, phase and noise at random

The directions are 18 degrees apart, and neither the phase nor the noise tells of them: a network has to find edges.
"""

from __future__ import annotations

import numpy as np

from striate.data.augment import pair
from striate.data.dataset import ArrayDataset
from striate.data.draws import default_seed
from striate.errors import ArgumentError

CLASSES, NOISE = 10, 0.5


def stripes(count: int, size: int | tuple[int, int] = 28, seed: int | None = None) -> ArrayDataset:
    """`count` images x [1, H, W] of `size` (height, width) with stripes; y 0 ... 9 is their direction, in steps of 18 degrees.

    Raises ArgumentError: nothing to draw.

    >>> drawn = stripes(3, seed=1)
    >>> drawn[0][0].shape, drawn.classes[1]
    ((1, 28, 28), '18 degrees')
    """
    height, width = pair(size, "size")
    if count < 1 or min(height, width) < 1:
        raise ArgumentError(f"stripes draws one image or more of one pixel or more, got {count} of {height} x {width}")
    rng = np.random.default_rng((default_seed() if seed is None else seed) % 2**64)
    labels, phase = rng.integers(CLASSES, size=count), rng.uniform(0, 2 * np.pi, (count, 1, 1))
    angle, (row, column) = labels[:, None, None] * np.pi / CLASSES, np.mgrid[:height, :width]
    images = np.sin(np.cos(angle) * row + np.sin(angle) * column + phase) + rng.normal(0, NOISE, (count, height, width))
    names = [f"{180 * k // CLASSES} degrees" for k in range(CLASSES)]
    return ArrayDataset(images[:, None].astype(np.float32), labels, classes=names)
