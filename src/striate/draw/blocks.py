"""Building blocks as diagrams: dropout, the residual sum, GoogLeNet's inception module.

Sources: Srivastava et al., Dropout, JMLR 15, 2014, figure 1; He et al., arXiv:1512.03385, figure 2; Szegedy et al.,
arXiv:1409.4842, figure 2(b).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from striate.draw.svg import BLUE, FAINT, INK, MINT, PAPER, PEACH, RED, RULE, SAND, SKY, Drawing


def label(drawing: Drawing, x: float, y: float, words: str, fill: str = SKY, width: float = 96) -> None:
    """A box around words, with its middle at (x, y)."""
    drawing.box(x - width / 2, y - 14, width, 28, fill=fill, stroke=INK, radius=5)
    drawing.text(x, y + 4, words, size=12, anchor="middle")


def dropout() -> Drawing:
    """A network in evaluation, and in training, where each unit is left out with probability 1/2."""
    drawing = Drawing(560, 260, "Dropout: every step trains another thinned network")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    masks = ([[1] * 4, [1] * 5, [1] * 5, [1] * 2], [[1, 0, 1, 1], [0, 1, 1, 0, 1], [1, 0, 0, 1, 0], [1, 1]])
    for place, (mask, words) in enumerate(zip(masks, ("evaluation: all units", "training: half of them, times 1 / (1 - p)"))):
        units = [[(60 + 270 * place + 62 * layer, 132 + 36 * (i - (len(kept) - 1) / 2)) for i in range(len(kept))]
                 for layer, kept in enumerate(mask)]
        for layer in range(3):
            for a, kept in zip(units[layer], mask[layer]):
                for b, needed in zip(units[layer + 1], mask[layer + 1]):
                    if kept and needed:
                        drawing.line(a, b, stroke=RULE)
        for (x, y), kept in zip([u for layer in units for u in layer], [k for layer in mask for k in layer]):
            drawing.circle(x, y, 11, fill=SKY if kept else PAPER, stroke=BLUE if kept else RULE)
            if not kept:
                drawing.line((x - 6, y - 6), (x + 6, y + 6), stroke=RED, thick=1.5)
                drawing.line((x - 6, y + 6), (x + 6, y - 6), stroke=RED, thick=1.5)
        drawing.text(153 + 270 * place, 246, words, size=11, fill=FAINT, anchor="middle")
    return drawing


def residual() -> Drawing:
    """y = relu(F(x) + x): the way around lets the gradient pass as it is."""
    drawing = Drawing(360, 330, "A residual block")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    middle = 150
    stations = (("x", 58), ("3 x 3, norm, relu", 118), ("3 x 3, norm", 182), ("+", 242), ("relu", 292))
    for (_, y0), (words, y) in pairwise(stations):
        drawing.arrow((middle, y0 + (6 if y0 == 58 else 14)), (middle, y - 14))
        if words != "+":
            label(drawing, middle, y, words, fill=MINT if words == "relu" else SKY, width=140)
    drawing.text(middle, 58, "x", size=14, anchor="middle", weight="bold")
    drawing.arrow((middle, 78), (290, 78), (290, 242), (middle + 14, 242), stroke=BLUE)
    drawing.circle(middle, 242, 14, fill=PEACH)
    drawing.text(middle, 247, "+", size=16, anchor="middle")
    drawing.text(298, 164, "x", size=13, fill=BLUE)
    drawing.text(middle - 82, 154, "F(x)", size=13, fill=FAINT, anchor="end")
    return drawing


def inception() -> Drawing:
    """Four ways side by side, joined along the channels; 1 x 1 convolutions first make the dear ones cheap."""
    drawing = Drawing(560, 300, "An inception module")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    few = ("1 x 1", SAND)
    ways = ((("1 x 1", SKY),), (few, ("3 x 3", SKY)), (few, ("5 x 5", SKY)), (("max 3 x 3", MINT), ("1 x 1", SKY)))
    label(drawing, 280, 62, "input", fill=PAPER)
    label(drawing, 280, 272, "join channels", fill=PEACH, width=120)
    for place, way in enumerate(ways):
        x = 85 + 130 * place
        heights = [165.0] if len(way) == 1 else [130.0, 200.0]
        for (words, colour), y in zip(way, heights):
            label(drawing, x, y, words, fill=colour)
        points = np.linspace(-36, 36, 4)[place]
        drawing.arrow((280 + points, 76), (x, heights[0] - 14))
        if len(way) == 2:
            drawing.arrow((x, 144), (x, 186))
        drawing.arrow((x, heights[-1] + 14), (280 + points, 258))
    return drawing
