"""Line plots: curves over one axis, with a few numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from striate.draw.svg import BLUE, FAINT, GREEN, INK, ORANGE, RED, RULE, SAND, Drawing
from striate.errors import ArgumentError

COLOURS = (BLUE, ORANGE, GREEN, RED)


def plot(drawing: Drawing, place: tuple[float, float, float, float], x: Sequence[float] | np.ndarray,
         curves: Mapping[str, Sequence[float] | np.ndarray], low: float, high: float) -> None:
    """Curves over x in a place (left, top, width, height) of a drawing; what is below `low` or above `high` is cut off."""
    left, top, width, height = place
    first, last = float(np.min(x)), float(np.max(x))

    def at(a: float, b: float) -> tuple[float, float]:
        return left + (a - first) / (last - first) * width, top + (high - b) / (high - low) * height

    drawing.box(left, top, width, height, fill=SAND, stroke=None)
    if first < 0 < last:
        drawing.line(at(0, low), at(0, high), stroke=RULE)
    for level in sorted({low, 0.0, high} if low < 0 < high else {low, high}):
        drawing.line(at(first, level), at(last, level), stroke=RULE)
        drawing.text(left - 4, at(0, level)[1] + 3, f"{level:g}", size=9, fill=FAINT, anchor="end")
    for level in (first, last):
        drawing.text(at(level, low)[0], top + height + 11, f"{level:g}", size=9, fill=FAINT, anchor="middle")
    for colour, values in zip(COLOURS, curves.values()):
        for part in runs_inside(np.asarray(x, float), np.asarray(values, float), low, high):
            drawing.line(*(at(a, b) for a, b in part), stroke=colour, thick=1.8)


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
          low: float = 0.0, high: float = 1.0) -> Drawing:
    """A drawing of up to four curves with their names: similarities over angles, losses over epochs.

    >>> chart("accuracy", [1, 2, 3], {"train": [0.5, 0.8, 0.9], "test": [0.5, 0.7, 0.7]}).width
    420
    """
    if not curves or len(curves) > len(COLOURS):
        raise ArgumentError(f"a chart shows 1 to {len(COLOURS)} curves, got {len(curves)}; draw several charts")
    drawing = Drawing(420, 260, title)
    drawing.text(16, 24, title, size=14, weight="bold")
    plot(drawing, (44, 40, 356, 160), x, curves, low, high)
    drawing.text(222, 228, axis, size=11, fill=FAINT, anchor="middle")
    legend(drawing, 44, 248, curves)
    return drawing


def legend(drawing: Drawing, x: float, y: float, names: Mapping[str, object] | Sequence[str]) -> None:
    """Names of curves in a row, each behind a dash of its colour."""
    for colour, name in zip(COLOURS, names):
        drawing.line((x, y - 4), (x + 16, y - 4), stroke=colour, thick=2)
        drawing.text(x + 20, y, name, size=11, fill=INK)
        x += 34 + 6.2 * len(name)
