"""How answers are shown: numbers, bars, and tables for the terminal, for notebooks and as CSV.

A table gives up columns, the least wanted first, where the terminal is too narrow; nothing is wrapped or cut. Its lines are
laid out here, since a table of five hundred rows takes rich half a second.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any


@dataclass(frozen=True)
class Column:
    """A title, whether cells stand to the right, and how much the column is wanted: 0 for always, then the higher the less."""

    title: str
    right: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Table:
    """Rows of text below a title, with notes at the end."""

    title: str
    notes: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def lines(self, width: int | None = None) -> Iterator[str]:
        """The table as text of at most `width` characters, if the columns that are always wanted have room."""
        sizes = [max(map(len, cells)) for cells in zip([c.title for c in self.columns], *self.rows)]
        kept = list(range(len(self.columns)))
        while width and sum(sizes[i] + 2 for i in kept) - 2 > width and any(self.columns[i].spare for i in kept):
            kept.remove(max(kept, key=lambda i: self.columns[i].spare))

        def line(cells: Sequence[str]) -> str:
            aligned = (cells[i].rjust(sizes[i]) if self.columns[i].right else cells[i].ljust(sizes[i]) for i in kept)
            return "  ".join(aligned).rstrip()

        yield self.title
        yield line([c.title for c in self.columns])
        yield "─" * (sum(sizes[i] + 2 for i in kept) - 2)
        yield from map(line, self.rows)
        yield ""
        yield from self.notes if width is None else (line for note in self.notes for line in wrap(note, width))

    def text(self, width: int | None = None) -> str:
        return "\n".join(self.lines(width)) + "\n"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.segment import Segment
        from rich.style import Style

        styles = {0: Style(bold=True), 1: Style(bold=True), 2: Style(dim=True)}
        for number, line in enumerate(self.lines(options.max_width if console.is_terminal else None)):
            yield Segment(line, styles.get(number))
            yield Segment.line()

    def html(self) -> str:
        """The table for a notebook; indents and bars are kept as they are."""
        styles = [f'style="text-align:{"right" if c.right else "left"};white-space:pre;padding:0 .6em"' for c in self.columns]
        head = "".join(f"<th {style}>{html.escape(c.title)}</th>" for c, style in zip(self.columns, styles))
        body = "".join("<tr>" + "".join(f"<td {style}>{html.escape(cell)}</td>" for cell, style in zip(row, styles)) + "</tr>"
                       for row in self.rows)
        notes = "<br>".join(map(html.escape, self.notes))
        return (f"<table><caption>{html.escape(self.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
                f'<tfoot><tr><td colspan="{len(self.columns)}" style="text-align:left">{notes}</td></tr></tfoot></table>')


class Answer:
    """An answer that is shown as a table, in the terminal, in a notebook, as text, and that is plain data too."""

    def table(self) -> Table:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        raise NotImplementedError

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.to_dict(), indent=indent)

    def to_csv(self) -> str:
        """A head line, then the rows; shapes as 6x28x28."""
        return as_csv(self.to_dict()["rows"])

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table().html()

    def text(self, width: int | None = None) -> str:
        """The table as plain text; `width` is the most characters that a line may have."""
        return self.table().text(width)


def show(answer: Answer) -> None:
    """Print to the terminal."""
    from rich.console import Console

    console = Console()
    console.print(answer, soft_wrap=not console.is_terminal)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of plain data with a head line; shapes are written as 3x224x224."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: shape(v, "x") if isinstance(v, (tuple, list)) else v for k, v in row.items()} for row in rows)
    return file.getvalue()


def shape(sizes: Sequence[int], by: str = " x ") -> str:
    """`3 x 224 x 224`."""
    return by.join(map(str, sizes)) or "1"


def count(number: int) -> str:
    """`1,234`, or nothing for 0."""
    return f"{number:,}" if number else ""


def memory(number: float) -> str:
    """Bytes in binary units.

    >>> memory(0), memory(1536), memory(3 * 2**30)
    ('0 B', '1.5 KiB', '3.0 GiB')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = 0
    while number >= 1024 and power < len(units) - 1:
        number, power = number / 1024, power + 1
    return f"{number:.0f} B" if power == 0 else f"{number:.1f} {units[power]}"


def share(part: float, whole: float, width: int = 6) -> str:
    """A share as per cent and a bar of eighths of a character; empty for nothing.

    >>> share(1, 4, width=4)
    ' 25.0% █'
    """
    if not part or not whole:
        return ""
    eighths = round(8 * width * part / whole)
    return f"{100 * part / whole:5.1f}% {'█' * (eighths // 8)}{('', *'▏▎▍▌▋▊▉')[eighths % 8]}"
