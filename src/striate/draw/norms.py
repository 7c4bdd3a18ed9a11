"""Which numbers share a mean and a deviation: the axes of batch, layer, instance and group normalisation.

Source: Wu & He, Group normalization, arXiv:1803.08494, figure 2.
"""

from __future__ import annotations

from collections.abc import Callable

from striate.draw.svg import BLUE, FAINT, PAPER, SKY, Drawing

N, C, PIXELS = 4, 6, 4
"""Images, channels, and pixels (height and width as one axis) of the drawn array."""
CELL, SLANT = 22, 0.45
KINDS: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "batch norm": ("one channel, all images", lambda n, c: c == C - 1),
    "layer norm": ("one image, all channels", lambda n, c: n == 0),
    "instance norm": ("one image, one channel", lambda n, c: n == 0 and c == C - 1),
    "group norm": ("one image, some channels", lambda n, c: n == 0 and c >= C // 2),
}
"""Name -> what shares one mean, and which (image, channel) of the array belong to it."""


def norms() -> Drawing:
    """Four arrays (N, C, H W); what is normalised together is blue."""
    drawing = Drawing(36 + 4 * 212, 250, "What is normalised together")
    drawing.text(20, 28, drawing.title, size=15, weight="bold")
    for place, (name, (words, together)) in enumerate(KINDS.items()):
        left = 40 + place * 212
        cube(drawing, left, 92, together)
        drawing.text(left, 218, name, size=13, weight="bold")
        drawing.text(left, 236, words, size=11, fill=FAINT)
    return drawing


def cube(drawing: Drawing, left: float, top: float, together: Callable[[int, int], bool]) -> None:
    """The front shows pixels by channels of the first image, the top images by channels, the side images by pixels."""
    step = CELL * SLANT

    def at(c: float, pixel: float, n: float) -> tuple[float, float]:
        return left + c * CELL + n * step, top + pixel * CELL - n * step

    def face(chosen: bool, *corners: tuple[float, float]) -> None:
        drawing.shape(*corners, fill=SKY if chosen else PAPER, stroke=BLUE if chosen else "#aab4c4")

    for n in reversed(range(N)):
        for c in range(C):
            face(together(n, c), at(c, 0, n), at(c + 1, 0, n), at(c + 1, 0, n + 1), at(c, 0, n + 1))
        for pixel in range(PIXELS):
            face(together(n, C - 1), at(C, pixel, n), at(C, pixel + 1, n), at(C, pixel + 1, n + 1), at(C, pixel, n + 1))
    for c in range(C):
        for pixel in range(PIXELS):
            face(together(0, c), at(c, pixel, 0), at(c + 1, pixel, 0), at(c + 1, pixel + 1, 0), at(c, pixel + 1, 0))
    drawing.text(left + C * CELL / 2, top + PIXELS * CELL + 14, "C", size=11, fill=FAINT, anchor="middle")
    drawing.text(left - 4, top + PIXELS * CELL / 2 + 4, "HW", size=11, fill=FAINT, anchor="end")
    drawing.text(left + N * step / 2 - 12, top - N * step / 2 - 2, "N", size=11, fill=FAINT)
