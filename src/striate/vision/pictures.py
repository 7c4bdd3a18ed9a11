"""Arrays as pictures: maps beside each other with names below, in a PNG; Pillow is all it takes.

    clipped     0 ... 1 as black ... white, more and less cut off        photos, blurs
    stretched   smallest ... largest                                    feature maps, kernels
    magnitude   |x| from 0 to its largest                                edges, whichever way they run
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from striate.errors import ArgumentError

PAPER, FRAME, INK = 255, 200, 40
GAP, LINE, FONT = 8, 18, 12
"""Pixels between pictures, of a line of text, and of its letters."""


def clipped(x: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as bytes.

    >>> clipped(np.array([-1.0, 0.2, 2.0]))
    array([  0,  51, 255], dtype=uint8)
    """
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def stretched(x: np.ndarray) -> np.ndarray:
    """The smallest value as 0, the largest as 255; one value alone as 0."""
    low, high = float(x.min()), float(x.max())
    return clipped((x - low) / (high - low) if high > low else np.zeros_like(x))


def magnitude(x: np.ndarray) -> np.ndarray:
    """Absolute values, the largest as 255."""
    return clipped(np.abs(x) / max(float(np.abs(x).max()), 1e-12))


def shown(filtered: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What a kernel made of a picture, as bytes: clipped where its weights sum to 1, by magnitude where they sum to 0."""
    return (magnitude if abs(float(kernel.sum())) < 1e-4 else clipped)(filtered)


def image_of(pixels: np.ndarray) -> Any:
    """A Pillow image of bytes (H, W), (1, H, W) or (3, H, W)."""
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and len(pixels) not in (1, 3)):
        raise ArgumentError(f"a picture is bytes (H, W), (1, H, W) or (3, H, W), got {pixels.shape} of {pixels.dtype}; "
                            "clipped, stretched and magnitude make bytes")
    if pixels.ndim == 3:
        pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))


def side_by_side(named: Sequence[tuple[str, np.ndarray] | None], columns: int | None = None, height: int | None = None) -> Any:
    """A Pillow image of pictures with a name below each, `columns` in a row; all of them in one row unless given. None leaves
    a place empty.

    `height` in pixels scales each picture, in whole steps where it grows, so that its pixels stay visible.

    >>> side_by_side([("input", np.zeros((1, 20, 30), np.uint8)), ("edges", np.zeros((20, 28), np.uint8))]).size
    (84, 54)
    """
    from PIL import Image, ImageDraw, ImageFont

    if not any(named):
        raise ArgumentError("there are no pictures to draw; give at least one (name, pixels)")
    pictures = {k: (item[0], scaled(image_of(item[1]), height)) for k, item in enumerate(named) if item}
    columns = min(columns or len(named), len(named))
    wide = max(p.width for _, p in pictures.values()) + GAP
    tall = max(p.height for _, p in pictures.values()) + LINE + GAP
    rows = -(-len(named) // columns)
    sheet = Image.new("RGB", (wide * columns + GAP, tall * rows + GAP), (PAPER,) * 3)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for place, (name, drawn) in pictures.items():
        left, top = GAP + place % columns * wide, GAP + place // columns * tall
        pen.rectangle((left - 1, top - 1, left + drawn.width, top + drawn.height), outline=(FRAME,) * 3)
        sheet.paste(drawn, (left, top))
        pen.text((left, top + drawn.height + 2), name, fill=(INK,) * 3, font=font)
    return sheet


def scaled(drawn: Any, height: int | None) -> Any:
    """A Pillow image near a height: a whole number of times larger, or smaller."""
    from PIL import Image

    if height is None or drawn.height == height:
        return drawn
    times = height // drawn.height
    if times:
        return drawn.resize((drawn.width * times, drawn.height * times), Image.Resampling.NEAREST)
    return drawn.resize((max(1, round(drawn.width * height / drawn.height)), height), Image.Resampling.BILINEAR)


def save(drawn: Any, path: str | Path) -> Path:
    """Write a Pillow image, or a picture of bytes, in the format of the file's name; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    (image_of(drawn) if isinstance(drawn, np.ndarray) else drawn).save(path)
    return path
