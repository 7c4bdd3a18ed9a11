"""What one row of the table of operators measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, init=False)
class Case:
    """A layer on inputs of the given shapes, written once for striate and PyTorch: `make(striate.nn)`, `make(torch.nn)`.

    classes: for losses and embeddings, the last input holds whole numbers below this, as int64.
    """

    name: str
    make: Callable[[Any], Any]
    shapes: tuple[tuple[int, ...], ...]
    classes: int | None

    def __init__(self, name: str, make: Callable[[Any], Any], *shapes: tuple[int, ...], classes: int | None = None):
        for field, value in (("name", name), ("make", make), ("shapes", shapes), ("classes", classes)):
            object.__setattr__(self, field, value)
