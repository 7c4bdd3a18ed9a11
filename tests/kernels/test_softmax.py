"""Softmax and its logarithm along rows."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels.softmax import LogSoftmax, LogSoftmaxGradient, Softmax, SoftmaxGradient

SIZES = [1, 2, 3, 10, 16, 37]
PAIRS = [(Softmax, SoftmaxGradient, ops.Softmax(1)), (LogSoftmax, LogSoftmaxGradient, ops.LogSoftmax(1))]


@pytest.mark.parametrize("C", SIZES)
@pytest.mark.parametrize(("forward", "gradient", "op"), PAIRS)
def test_softmax(forward, gradient, op, C):
    x, dy = 5 * floats(4, C), floats(4, C, seed=1)
    y = op.reference(x)
    check(forward(C), {"rows": 4, "x": x}, {"y": y})
    back = ops.SoftmaxGradient(1) if forward is Softmax else ops.LogSoftmaxGradient(1)
    check(gradient(C), {"rows": 4, "dy": dy, "y": y}, {"dx": back.reference(dy, y)})


@pytest.mark.parametrize(("forward", "gradient", "op"), PAIRS)
def test_large_numbers_do_not_overflow(forward, gradient, op):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e38, 1e38, 0], [-np.inf, 0, 1]], np.float32)
    wanted = op.reference(x.astype(np.float64)).astype(np.float32)
    check(forward(3), {"rows": 3, "x": x}, {"y": wanted})


@pytest.mark.parametrize(("forward", "gradient", "op"), PAIRS)
@pytest.mark.parametrize("C", [3, 20])
def test_nan_spreads_over_its_row_only(forward, gradient, op, C):
    x = floats(3, C)
    x[1, 2] = np.nan
    check(forward(C), {"rows": 3, "x": x}, {"y": op.reference(x)})
