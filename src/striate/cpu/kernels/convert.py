"""Whole numbers as float32, a vector at a time.

    y[i] = x[i]        of i64 the lower 32 bits count, with their sign

Layouts   x y (rows)
Tasks     whole vectors

Source: IEEE 754-2019, section 5.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import elements
from striate.kernel.language import Builder


@dataclass(frozen=True)
class ToFloat(Kernel):
    """x -> y; dtype: that of x, 'u8', 'i32' or 'i64'."""

    dtype: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", "y")

    def build(self, k: Builder) -> None:
        rows = k.int("rows")
        x, y = k.tensor("x", (rows,), self.dtype), k.tensor("y", (rows,))
        for start, count in elements(k, rows):
            y.store(k.unary("to_f32", x.vec(start, lanes=k.lanes, count=count)), start, count=count)
