"""Numbers of another kind: what is no arithmetic, and has no gradient.

    to_float  y = x as float32, of whole numbers        round   y = x rounded to the nearest whole number, half to even
    detach    y = x, seen as a constant

Source: IEEE 754-2019, section 4.3.1 (rounding to nearest, ties to even).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import DtypeError
from striate.ops.base import Array, Cost, Op, Spec, traffic
from striate.ops.elementwise import Unary


@dataclass(frozen=True)
class ToFloat(Op):
    """Whole numbers of any shape -> float32. Compiled code reads 32 bits of them; float32 holds 24 exactly.

    >>> ToFloat().reference(np.array([2, 255]))
    array([  2., 255.], dtype=float32)
    """

    name = "to_float"

    def infer(self, x: Spec) -> Spec:
        if x.dtype.startswith("float"):
            raise DtypeError(f"x has dtype {x.dtype}, which is none of whole numbers", fix="leave the conversion out")
        return Spec(x.shape, "float32")

    def reference(self, x: Array) -> Array:
        return x.astype(np.float32)

    def gradient(self, g, x, y, dy):
        return [None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(**traffic(inputs, outputs))


@dataclass(frozen=True)
class Round(Unary):
    """y = x rounded to the nearest whole number, half to even; its gradient is 0.

    >>> Round().reference(np.array([0.5, 1.5, -2.6]))
    array([ 0.,  2., -3.])
    """

    name = "round"

    def reference(self, x: Array) -> Array:
        return np.rint(x)

    def gradient(self, g, x, y, dy):
        return [None]


@dataclass(frozen=True)
class Detach(Unary):
    """y = x, without a gradient."""

    name = "detach"

    def reference(self, x: Array) -> Array:
        return x

    def gradient(self, g, x, y, dy):
        return [None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost()
