"""Drawn discs, squares and triangles with the class of every pixel: something to segment, without end and without a download.

    x  [N, 3, H, W] bytes: shapes of any colour, size and turn over a shaded ground, under noise
    y  [N, H, W]    0 ground, 1 disc, 2 square, 3 triangle; a later shape covers an earlier one
"""

from __future__ import annotations

import numpy as np

from striate.data.augment import pair
from striate.data.dataset import ArrayDataset
from striate.data.draws import default_seed
from striate.errors import ArgumentError

CLASSES = ("ground", "disc", "square", "triangle")
MOST, NOISE = 3, 0.05
"""Shapes on one image at most, and the deviation of the noise."""


def shapes(count: int, size: int | tuple[int, int] = 64, seed: int | None = None) -> ArrayDataset:
    """`count` images of `size` (height, width) with 1 to 3 shapes each; item i depends on seed, size and i alone.

    Raises ArgumentError: nothing to draw, images under 16 pixels.

    >>> drawn = shapes(2, size=(32, 48), seed=1)
    >>> x, y = drawn[0]
    >>> x.shape, y.shape, drawn.classes
    ((3, 32, 48), (32, 48), ['ground', 'disc', 'square', 'triangle'])
    """
    height, width = pair(size, "size")
    if count < 1 or min(height, width) < 16:
        raise ArgumentError(f"shapes draws one image or more of 16 x 16 pixels or more, got {count} of {height} x {width}")
    start = default_seed() if seed is None else seed
    drawn = [image(np.random.default_rng([start % 2**64, i]), height, width) for i in range(count)]
    return ArrayDataset(np.stack([x for x, _ in drawn]), np.stack([y for _, y in drawn]), classes=list(CLASSES))


def image(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """One image (3, H, W) and the class of each of its pixels (H, W)."""
    row, column = np.mgrid[:height, :width].astype(np.float32)
    slope = rng.uniform(-0.3, 0.3, (3, 2))
    pixels = rng.uniform(0.2, 0.8, 3)[:, None, None] + slope[:, :1, None] * row / height + slope[:, 1:, None] * column / width
    labels = np.zeros((height, width), np.int64)
    for _ in range(rng.integers(1, MOST + 1)):
        kind, radius = int(rng.integers(1, len(CLASSES))), min(height, width) * rng.uniform(0.13, 0.27)
        middle, angle = rng.uniform(0.15, 0.85, 2) * (height, width), rng.uniform(0, 2 * np.pi)
        y, x = (row - middle[0]) / radius, (column - middle[1]) / radius
        inside = covered(kind, np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x)
        ground = pixels[:, inside].mean(axis=1) if inside.any() else np.zeros(3)
        colour = (ground + rng.uniform(0.25, 0.75, 3)) % 1  # at least a quarter away from what it covers
        pixels[:, inside] = colour[:, None] * (1 + 0.15 * x[inside])
        labels[inside] = kind
    noisy = pixels + rng.normal(0, NOISE, pixels.shape)
    return (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8), labels


def covered(kind: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which places, in radii from the middle, a shape covers: all have about the area of the disc."""
    if CLASSES[kind] == "disc":
        return y**2 + x**2 < 1
    if CLASSES[kind] == "square":
        return np.maximum(np.abs(y), np.abs(x)) < 0.89
    edges = [np.cos(turn) * y + np.sin(turn) * x for turn in (0, 2 * np.pi / 3, 4 * np.pi / 3)]
    return np.max(edges, axis=0) < 0.78
