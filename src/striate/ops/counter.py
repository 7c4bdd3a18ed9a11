"""Counting steps.

    y = count + 1

A whole number, kept by the host: batch norm's num_batches_tracked. Source: PyTorch's state_dict.
"""

from __future__ import annotations

from dataclasses import dataclass

from striate.errors import DtypeError
from striate.ops.base import Array, Op, Spec


@dataclass(frozen=True)
class Increment(Op):
    """count int64 () -> count + 1.

    >>> Increment().infer(Spec((), "int64"))
    Spec(shape=(), dtype='int64')
    """

    name = "increment"
    inputs = ("count",)

    def infer(self, count: Spec) -> Spec:
        if count != Spec((), "int64"):
            raise DtypeError(f"count is {count.dtype} {count.shape} but counts in int64 ()", fix="use np.int64(0)")
        return count

    def reference(self, count: Array) -> Array:
        return count + 1
