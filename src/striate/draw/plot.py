"""Line plots: curves over one axis, with a few numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from striate.draw.svg import BLUE, FAINT, GREEN, INK, ORANGE, RED, RULE, SAND, Drawing
from striate.errors import ArgumentError

COLOURS = (BLUE, ORANGE, GREEN, RED)
FEW, TALL = 12, 140
"""Points of a curve, up to which each is marked; pixels of a plot's height from which on quarters of it are marked."""


def plot(drawing: Drawing, place: tuple[float, float, float, float], x: Sequence[float] | np.ndarray,
         curves: Mapping[str, Sequence[float] | np.ndarray], low: float, high: float,
         ticks: Mapping[float, str] | None = None) -> None:
    """Curves over x in a place (left, top, width, height) of a drawing; what is below `low` or above `high` is cut off.

    ticks: what is written below the axis, and at which x; the first and the last x unless given. A curve of few points has a
    dot at each.
    """
    left, top, width, height = place
    first, last = float(np.min(x)), float(np.max(x))

    def at(a: float, b: float) -> tuple[float, float]:
        return left + (a - first) / (last - first) * width, top + (high - b) / (high - low) * height

    drawing.box(left, top, width, height, fill=SAND, stroke=None)
    if first < 0 < last:
        drawing.line(at(0, low), at(0, high), stroke=RULE)
    quarters = np.linspace(low, high, 5).tolist() if height >= TALL else ()
    for level in sorted({low, 0.0, high, *quarters} if low < 0 < high else {low, high, *quarters}):
        drawing.line(at(first, level), at(last, level), stroke=RULE)
        drawing.text(left - 4, at(0, level)[1] + 3, f"{level:g}", size=9, fill=FAINT, anchor="end")
    for level, words in (ticks or {first: f"{first:g}", last: f"{last:g}"}).items():
        drawing.text(at(level, low)[0], top + height + 11, words, size=9, fill=FAINT, anchor="middle")
    for colour, values in zip(COLOURS, curves.values()):
        for part in runs_inside(np.asarray(x, float), np.asarray(values, float), low, high):
            drawing.line(*(at(a, b) for a, b in part), stroke=colour, thick=1.8)
            for a, b in part if len(x) <= FEW else ():
                drawing.circle(*at(a, b), 2.5, fill=colour, stroke=colour)


def runs_inside(x: np.ndarray, y: np.ndarray, low: float, high: float) -> list[list[tuple[float, float]]]:
    """The stretches of a curve between two heights, of two points or more; a margin keeps a curve that touches them.

    >>> [len(run) for run in runs_inside(np.arange(6.0), np.array([0.0, 0, 9, 0, 0, 0]), 0, 1)]
    [2, 3]
    """
    margin = 0.02 * (high - low)
    inside = (y >= low - margin) & (y <= high + margin)
    cuts = np.flatnonzero(np.diff(inside.astype(int))) + 1
    return [[(float(x[i]), float(y[i])) for i in part] for part in np.split(np.arange(len(x)), cuts)
            if len(part) > 1 and inside[part[0]]]


def chart(title: str, x: Sequence[float] | np.ndarray, curves: Mapping[str, Sequence[float] | np.ndarray], axis: str = "",
          low: float = 0.0, high: float = 1.0, ticks: Mapping[float, str] | None = None) -> Drawing:
    """A drawing of up to four curves with their names: similarities over angles, losses over epochs.

    axis: what x is. ticks: what is written below the axis, and at which x: for a logarithmic axis, x are logarithms and ticks
    their numbers.

    >>> chart("accuracy", [1, 2, 3], {"train": [0.5, 0.8, 0.9], "test": [0.5, 0.7, 0.7]}).width
    420
    """
    if not curves or len(curves) > len(COLOURS):
        raise ArgumentError(f"a chart shows 1 to {len(COLOURS)} curves, got {len(curves)}; draw several charts")
    if len(set(map(float, x))) < 2:
        raise ArgumentError(f"a curve needs two different x or more, got {len(x)} x from {min(x):g} to {max(x):g}; "
                            "measure at another place")
    drawing = Drawing(420, 260, title)
    drawing.text(16, 24, title, size=14, weight="bold")
    plot(drawing, (44, 40, 356, 160), x, curves, low, high, ticks)
    drawing.text(222, 228, axis, size=11, fill=FAINT, anchor="middle")
    legend(drawing, 44, 248, curves)
    return drawing


def legend(drawing: Drawing, x: float, y: float, names: Mapping[str, object] | Sequence[str]) -> None:
    """Names of curves in a row, each behind a dash of its colour."""
    for colour, name in zip(COLOURS, names):
        drawing.line((x, y - 4), (x + 16, y - 4), stroke=colour, thick=2)
        drawing.text(x + 20, y, name, size=11, fill=INK)
        x += 34 + 6.2 * len(name)
