"""Three case studies of a convolution with a kernel that is given.

    black_white_edge   a row [1, 0, -1] finds where white meets black
    contour            8 in the middle of -1, over all three colours: the outline of an object
    mean_blur          the mean of 5 x 5 pixels
"""

from __future__ import annotations

from typing import Any

import numpy as np

from striate.vision.filter import filter
from striate.vision.kernels import KERNELS, box


def black_white_edge(height: int = 50, width: int = 50, white: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """A picture (1, height, width), white in its first columns, and what [1, 0, -1] finds in it: (1, height, width - 2).

    >>> x, y = black_white_edge()
    >>> y.shape, np.flatnonzero(y[0, 0]), y.sum().item()
    ((1, 50, 48), array([28, 29]), 100.0)
    """
    x = np.zeros((1, height, width), np.float32)
    x[:, :, :white] = 1
    return x, filter(x, np.array([[1, 0, -1]]), padding="valid")


def contour(image: Any, divisor: float = 1) -> np.ndarray:
    """The outline of what is on a picture of three colours: (1, H - 2, W - 2), the sum over the colours of `edge2` / divisor.

    A file of any mode is read as RGB. Values are in the units of the picture: of bytes and files in fractions of 255.
    """
    weight = np.broadcast_to(KERNELS["edge2"] / np.float32(divisor), (1, 3, 3, 3))
    return filter(image, weight, padding="valid")


def mean_blur(image: Any, size: int = 5, padding: Any = "edge") -> np.ndarray:
    """Each pixel the mean of size x size: flat areas keep their brightness."""
    return filter(image, box(size), padding=padding)


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    """A drawn photo, bytes (3, height, width): a red ball in sunlight with its shadow, on a green table under a blue wall."""
    row, column = np.mgrid[:height, :width].astype(np.float32)
    y, x = row / height, (column - width / 2) / height
    wall = y < 0.62
    colour = np.where(wall, [[[0.55]], [[0.68]], [[0.85]]], [[[0.36]], [[0.55]], [[0.33]]]) * (1.05 - 0.25 * np.abs(x))
    shadow = ((x - 0.12) / 0.42) ** 2 + ((y - 0.84) / 0.07) ** 2 < 1
    colour = np.where(shadow, colour * 0.55, colour)
    up, right, radius = y - 0.5, x, 0.33
    inside = up**2 + right**2 < radius**2
    depth = np.sqrt(np.maximum(radius**2 - up**2 - right**2, 0)) / radius
    light = np.clip(0.35 + 0.75 * (0.55 * depth - 0.55 * up / radius - 0.45 * right / radius), 0.12, 1)
    shine = np.exp(-((up + 0.14) ** 2 + (right + 0.11) ** 2) / 0.003)
    ball = np.stack([0.95 * light + shine, 0.22 * light + shine, 0.18 * light + shine])
    return (np.clip(np.where(inside, ball, colour), 0, 1) * 255 + 0.5).astype(np.uint8)
