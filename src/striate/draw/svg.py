"""A picture as SVG text: rectangles, lines, circles, words. Lengths are pixels, y grows downwards.

    drawing = Drawing(120, 40, "a box")
    drawing.box(10, 10, 40, 20, fill=SKY)
    drawing.text(60, 24, "a box")
    drawing.save("box.svg")
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

INK, FAINT, RULE, PAPER = "#1f2733", "#69758a", "#c9d1dd", "#ffffff"
BLUE, ORANGE, GREEN, RED = "#2f6bd0", "#d9702b", "#2f8f63", "#c8414b"
SKY, PEACH, MINT, SAND = "#dce8fb", "#fce3d0", "#d8f0e3", "#f3f5f9"
FONT = "Helvetica, Arial, sans-serif"
Point = tuple[float, float]


class Drawing:
    """A picture of width x height pixels on white paper, with a title for those who cannot see it.

    >>> drawing = Drawing(20, 10, "a line")
    >>> drawing.line((0, 0), (20, 10))
    >>> print(drawing.parts[-1])
    <polyline points="0,0 20,10" fill="none" stroke="#1f2733" stroke-width="1"/>
    """

    def __init__(self, width: float, height: float, title: str):
        self.width, self.height, self.title, self.parts = width, height, title, list[str]()

    def add(self, tag: str, content: str = "", **attributes: Any) -> None:
        """One element; underscores in names of attributes stand for hyphens, None leaves an attribute out."""
        given = {name.replace("_", "-"): number(value) for name, value in attributes.items() if value is not None}
        opening = " ".join([tag, *(f"{name}={quoteattr(value)}" for name, value in given.items())])
        self.parts.append(f"<{opening}>{escape(content)}</{tag}>" if content else f"<{opening}/>")

    def box(self, x: float, y: float, width: float, height: float, fill: str = "none", stroke: str | None = RULE,
            radius: float = 0, thick: float = 1) -> None:
        self.add("rect", x=x, y=y, width=width, height=height, rx=radius or None, fill=fill, stroke=stroke,
                 stroke_width=thick if stroke else None)

    def line(self, *points: Point, stroke: str = INK, thick: float = 1, dash: str | None = None) -> None:
        self.add("polyline", points=joined(points), fill="none", stroke=stroke, stroke_width=thick, stroke_dasharray=dash)

    def shape(self, *points: Point, fill: str, stroke: str | None = RULE) -> None:
        """A filled polygon."""
        self.add("polygon", points=joined(points), fill=fill, stroke=stroke, stroke_linejoin="round" if stroke else None)

    def circle(self, x: float, y: float, radius: float, fill: str = PAPER, stroke: str = INK, thick: float = 1) -> None:
        self.add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=stroke, stroke_width=thick)

    def arrow(self, *points: Point, stroke: str = INK, thick: float = 1.2) -> None:
        """A line with a head at its last point, which is reached along an axis or a slope."""
        self.line(*points, stroke=stroke, thick=thick)
        (x0, y0), (x, y) = points[-2:]
        length = max(((x - x0) ** 2 + (y - y0) ** 2) ** 0.5, 1e-9)
        dx, dy = (x - x0) / length, (y - y0) / length
        self.shape((x, y), (x - 7 * dx - 3 * dy, y - 7 * dy + 3 * dx), (x - 7 * dx + 3 * dy, y - 7 * dy - 3 * dx),
                   fill=stroke, stroke=None)

    def text(self, x: float, y: float, words: str, size: float = 12, fill: str = INK, anchor: str = "start",
             weight: str | None = None) -> None:
        """Words on the line y; anchor start, middle or end."""
        self.add("text", words, x=x, y=y, font_size=size, fill=fill, text_anchor=anchor, font_weight=weight)

    def __str__(self) -> str:
        size = f'width="{number(self.width)}" height="{number(self.height)}"'
        view = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} font-family="{FONT}" role="img">'
        paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
        return "\n".join([head, f"<title>{escape(self.title)}</title>", paper, *self.parts, "</svg>"]) + "\n"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return str(self)

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file; folders are made."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self), encoding="utf-8")
        return path


def number(value: Any) -> str:
    """Numbers with two decimals at most; words as they are.

    >>> number(2.0), number(1 / 3), number("red")
    ('2', '0.33', 'red')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def joined(points: Iterable[Point]) -> str:
    return " ".join(f"{number(float(x))},{number(float(y))}" for x, y in points)
