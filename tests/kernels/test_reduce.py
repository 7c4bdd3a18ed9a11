"""Sums, means and maxima over the middle axis."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.reduce import Reduce, ReduceParts, strands

FUNCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("C", [1, 2, 5, 17, 37, 75])
def test_reduce(kind, C):
    for A, B in ((1, 1), (3, 7), (2, 70), (5, 160)) if C == 1 else ((1, 1), (3, 9)):
        x = floats(A, B, C)
        check(Reduce(kind, C), {"A": A, "B": B, "x": x}, {"y0": FUNCTIONS[kind](x, 1)})


def test_scale_and_chain():
    x, e = floats(3, 5, 6), floats(6)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (0, 3))
    y = 0.25 * x.sum(1)
    check(Reduce("sum", 6, chain, scale=0.25), {"A": 3, "B": 5, "x": x, "e0": e}, {"y0": y, "y1": np.maximum(y + e, 0)})


@pytest.mark.parametrize("C", [1, 6])
@pytest.mark.parametrize("place", [0, 3, 40])
def test_nan_is_the_maximum(C, place):
    x = floats(2, 41, C)
    x[1, place, 0] = np.nan
    check(Reduce("max", C), {"A": 2, "B": 41, "x": x}, {"y0": x.max(1)})


def test_infinities():
    x = np.full((1, 20, 1), -np.inf, np.float32)
    check(Reduce("max", 1), {"A": 1, "B": 20, "x": x}, {"y0": x.max(1)})
    x[0, 3] = np.inf
    check(Reduce("max", 1), {"A": 1, "B": 20, "x": x}, {"y0": x.max(1)})


@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize("C", [1, 3, 17])
def test_parts(kind, C):
    for B in (100, 3):
        x = floats(B, C)
        cuts = [x[i * B // 4: (i + 1) * B // 4] for i in range(4)]
        part = np.stack([FUNCTIONS[kind](cut, 0, initial=0 if kind == "sum" else -np.inf) for cut in cuts])
        check(ReduceParts(kind, C, 4), {"B": B, "x": x}, {"part": part})


@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize("C", [1, 3, 6, 64, 80])
def test_strands(kind, C):
    """Each of a few neighbouring rows has a sum of its own; what is left over goes to the last part."""
    rows = strands(C, 16)
    for B in (9 * rows + rows // 2 + 1, 3 * rows, 1):
        x, whole = floats(B, C), B // rows
        part = np.full((4, rows, C), 0 if kind == "sum" else -np.inf, np.float32)
        for i in range(4):
            own = x[whole * i // 4 * rows: whole * (i + 1) // 4 * rows].reshape(-1, rows, C)
            part[i] = FUNCTIONS[kind](own, 0, initial=part[i, 0, 0])
        rest = x[whole * rows:]
        part[3, : len(rest)] = FUNCTIONS[kind]([part[3, : len(rest)], rest], 0)
        check(ReduceParts(kind, C, 4, rows), {"B": B, "x": x}, {"part": part.reshape(4 * rows, C)})
