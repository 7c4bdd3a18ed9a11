"""What one row of the table of operators measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, init=False)
class Case:
    """A layer on inputs of the given shapes, written once for striate and PyTorch: `make(striate.nn)`, `make(torch.nn)`.

    classes: for losses and embeddings, the last input holds whole numbers below this, as int64. rows: inputs of three axes and
    more are no images, (N, C, ...), but rows of their last axis, as tokens are.
    """

    name: str
    make: Callable[[Any], Any]
    shapes: tuple[tuple[int, ...], ...]
    classes: int | None
    rows: bool

    def __init__(self, name: str, make: Callable[[Any], Any], *shapes: tuple[int, ...], classes: int | None = None,
                 rows: bool = False):
        given = {"name": name, "make": make, "shapes": shapes, "classes": classes, "rows": rows}
        for field, value in given.items():
            object.__setattr__(self, field, value)
