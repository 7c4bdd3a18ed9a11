"""Resampling by tables: padding, nearest and linear interpolation, and their transposes."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats, last

from striate import ops
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.resample import Resample
from striate.cpu.rules.resample import table_of
from striate.ops import ResampleAxis

REFLECT, WRAP = ResampleAxis("reflect", 3, 7, -2), ResampleAxis("circular", 4, 9, -4)
EDGE, CROPPED = ResampleAxis("replicate", 3, 8, -4), ResampleAxis("replicate", 5, 4, 2)
DOUBLE, ODD = ResampleAxis("nearest", 3, 6, 0, 0.5), ResampleAxis("nearest", 5, 3, 0.5, 5 / 3)
SMOOTH, THIRD = ResampleAxis("linear", 4, 8, -0.25, 0.5), ResampleAxis("linear", 5, 2, 0, 4.0)
CUBIC, ONE = ResampleAxis("cubic", 4, 6, -1 / 6, 2 / 3), ResampleAxis("linear", 1, 5, -0.4, 0.2)

CASES = [
    ((REFLECT,), 1, 1), ((EDGE, WRAP), 3, 2), ((CROPPED, REFLECT), 17, 1), ((DOUBLE, DOUBLE), 8, 3), ((DOUBLE, ODD), 33, 1),
    ((SMOOTH, SMOOTH), 16, 1), ((SMOOTH, THIRD), 5, 3), ((CUBIC, ONE), 7, 1), ((DOUBLE, REFLECT, SMOOTH), 2, 3),
    ((SMOOTH, DOUBLE), 70, 1),
]  # fmt: skip


def spec(axes, C, transposed, chain=None):
    """The kernel and the arrays of its tables."""
    found = [table_of(axis, transposed) for axis in axes]
    arrays = {f"{name}{i}": array for i, (_, made) in enumerate(found) for name, array in made.items()}
    return Resample(C, tuple(table for table, _ in found), chain or Chain()), arrays


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("axes, C, N", CASES, ids=str)
def test_resample(axes, C, N, transposed):
    op = ops.Resample(axes, transposed)
    x = floats(N, C, *(a.size if transposed else a.n for a in axes))
    kernel, arrays = spec(axes, C, transposed)
    check(kernel, {"N": N, "x": last(x), **arrays}, {"y0": last(op.reference(x))})


def test_chain():
    x, e = floats(2, 19, 3, 3), floats(2, 19, 6, 7, seed=1)
    chain = Chain(("full",), ((ops.Add(), (0, 1)), (ops.Multiply(), (2, 2))), (3,))
    kernel, arrays = spec((DOUBLE, REFLECT), 19, False, chain)
    wanted = (ops.Resample((DOUBLE, REFLECT)).reference(x) + e) ** 2
    check(kernel, {"N": 2, "x": last(x), "e0": last(e), **arrays}, {"y0": last(wanted)})


def test_a_table_of_equal_rows_needs_no_starts():
    assert table_of(DOUBLE, True)[0].taps == 2 and set(table_of(DOUBLE, True)[1]) == {"index"}
    assert table_of(EDGE, True)[0].taps == 0 and set(table_of(EDGE, True)[1]) == {"index", "start"}


def test_infinity_stays_where_it_is_read():
    """A gradient's table holds no pixels that it does not read, not even with weight 0."""
    dy = floats(1, 1, 8)
    dy[0, 0, 0] = np.inf
    kernel, arrays = spec((EDGE,), 1, True)
    wanted = np.array([np.inf, dy[0, 0, 5], dy[0, 0, 6:].sum()], np.float32).reshape(1, 3, 1)
    check(kernel, {"N": 1, "x": last(dy), **arrays}, {"y0": wanted})
