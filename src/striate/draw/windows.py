"""How a window walks: convolution, padding, stride, dilation, pooling, the growth of what a pixel sees.

Everything is read from `striate.window.Window`, so a picture shows what a layer does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from striate.draw.svg import BLUE, FAINT, GREEN, INK, MINT, ORANGE, PAPER, PEACH, RULE, SAND, SKY, Drawing
from striate.vision.filter import filter
from striate.window import Window

CELL = 24
IMAGE = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
KERNEL = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def grid(drawing: Drawing, left: float, top: float, numbers: np.ndarray, fills: np.ndarray) -> None:
    """A table of numbers, or of words of which some are empty; fills (rows, columns) are colours."""
    for (r, c), colour in np.ndenumerate(fills):
        drawing.box(left + c * CELL, top + r * CELL, CELL, CELL, fill=colour)
        if (written := str(numbers[r, c])):
            x, y = left + (c + 0.5) * CELL, top + (r + 0.5) * CELL
            drawing.text(x, y + 4, written, size=11, anchor="middle", fill=FAINT if colour == SAND else INK)


def fills(shape: tuple[int, ...], colour: str = PAPER) -> np.ndarray:
    return np.full(shape, colour, dtype=object)


def convolution() -> Drawing:
    """Four steps of a 3 x 3 window over a 5 x 5 image: what it reads, and where the sum goes."""
    y = filter(IMAGE, KERNEL, padding="valid")[0].astype(int)
    drawing = Drawing(700, 250, "A convolution walks")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    for place, (p, q) in enumerate(((0, 0), (0, 1), (0, 2), (2, 2))):
        left = 20 + place * 170
        below = fills(IMAGE.shape)
        below[p : p + 3, q : q + 3] = np.where(KERNEL, PEACH, SKY)
        grid(drawing, left, 46, IMAGE, below)
        order = p * y.shape[1] + q
        done = np.where(np.arange(y.size).reshape(y.shape) <= order, y.astype(str), "")
        over = fills(y.shape)
        over[p, q] = MINT
        grid(drawing, left, 172, done, over)
        drawing.text(left + 80, 196, f"sum of {KERNEL.sum()}", size=11, fill=FAINT)
        drawing.text(left + 80, 212, f"= {y[p, q]}", size=13, fill=GREEN, weight="bold")
    return drawing


def walk(drawing: Drawing, left: float, top: float, n: int, window: Window, p: Sequence[int], words: str) -> None:
    """An n x n input with its padding, and the taps of the window of output p (one colour for each tap that is read)."""
    low, high = window.pads
    size = n + low + high
    colours = fills((size, size), SAND)
    colours[low : low + n, low : low + n] = PAPER
    taps = [[window.read(place, t) + low for t in range(window.size)] for place in p]
    for r in taps[0]:
        for c in taps[1]:
            colours[r, c] = SKY
    numbers = np.pad(np.full((n, n), "", dtype=object), (low, high), constant_values="0")
    grid(drawing, left, top, numbers, colours)
    drawing.box(left + low * CELL, top + low * CELL, n * CELL, n * CELL, stroke=INK, thick=1.5)
    extent = window.extent * CELL
    drawing.box(left + taps[1][0] * CELL, top + taps[0][0] * CELL, extent, extent, stroke=BLUE, thick=2.5)
    drawing.text(left, top + size * CELL + 18, f"{words}: {n} to {window.out(n)}", size=12)


def padding() -> Drawing:
    """The same window without padding, with one pixel that keeps the size, and with two."""
    drawing = Drawing(640, 300, "Padding: zeros around the input")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    left = 20.0
    for pad in (0, 1, 2):
        window = Window(3, pads=(pad, pad))
        walk(drawing, left, 46, 5, window, (0, 0), f"padding {pad}")
        left += (5 + sum(window.pads)) * CELL + 40
    return drawing


def stride() -> Drawing:
    """A window that moves by two pixels: where it stands for the first three outputs."""
    drawing = Drawing(620, 270, "Stride 2: every other position")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    for place in range(3):
        walk(drawing, 20 + place * 200, 46, 5, Window(3, stride=2, pads=(1, 1)), (0, place), f"output {place}")
    return drawing


def dilation() -> Drawing:
    """Nine taps one, two and three pixels apart: the same nine weights see 3 x 3, 5 x 5 and 7 x 7 pixels."""
    drawing = Drawing(620, 270, "Dilation: nine taps, further apart")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    for place, rate in enumerate((1, 2, 3)):
        walk(drawing, 20 + place * 200, 46, 7, Window(3, dilation=rate), (0, 0), f"dilation {rate}")
    return drawing


def pooling() -> Drawing:
    """The largest and the mean of each 2 x 2 pixels."""
    x = np.array([[1, 3, 2, 0], [5, 7, 4, 6], [2, 0, 8, 1], [4, 2, 3, 4]])
    parts = x.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(2, 2, 4)
    colours = np.array([[SKY, PEACH], [MINT, "#efe1f7"]], dtype=object)
    drawing = Drawing(300, 190, "Pooling: 2 x 2 to one")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    grid(drawing, 20, 60, x, colours.repeat(2, 0).repeat(2, 1))
    for top, name, made in ((50, "max", parts.max(axis=2)), (118, "mean", parts.mean(axis=2))):
        drawing.arrow((124, 108), (180, top + CELL), stroke=FAINT)
        grid(drawing, 188, top, np.vectorize("{:g}".format)(made), colours)
        drawing.text(246, top + CELL + 4, name, size=12)
    return drawing


def receptive() -> Drawing:
    """What one output pixel sees through two layers of 3 x 3: three pixels of the first, five of the input."""
    drawing = Drawing(500, 230, "Two layers of 3 see 5 pixels")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    window, step, sizes, seen = Window(3), 44, (9, 7, 5), {2}
    for layer in (2, 1, 0):
        y, indent = 190 - 62 * layer, layer * step
        below = {window.read(p, t) for p in seen for t in range(3)}
        for place in range(sizes[layer]):
            x = 72 + indent + place * step
            if layer and place in seen:
                for t in range(3):
                    drawing.line((x + 12, y + 24), (72 + indent - step + window.read(place, t) * step + 12, y + 62), stroke=RULE)
            drawing.box(x, y, 24, 24, fill=PEACH if place in seen else PAPER, stroke=ORANGE if place in seen else RULE, radius=3)
        drawing.text(60, y + 16, ("input", "layer 1", "layer 2")[layer], size=11, fill=FAINT, anchor="end")
        seen = below
    return drawing
