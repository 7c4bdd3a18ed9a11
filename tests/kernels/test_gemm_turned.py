"""The product with transposed packed weights, over rows and channels that no tile divides."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats

from striate import ops
from striate.cpu.kernels.gemm_turned import GemmTurned
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.layout import Packed


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize("M, C, K", [(1, 8, 16), (2, 9, 17), (3, 21, 5), (5, 8, 33), (7, 40, 70), (16, 13, 100)])
def test_sizes(M, C, K, meaning):
    """With a ReLU's gradient at its end."""
    lanes = MACHINES[meaning].lanes
    x, w, y = floats(M, K), floats(K, C), floats(M, C, seed=2)
    kernel = GemmTurned(C, K, lanes, lanes // 2, chain=Chain(("full",), ((ops.ReLUGradient(), (0, 1)),), (2,)))
    wanted = np.where(y > 0, x.astype(float) @ w, 0).astype(np.float32)
    packed = Packed(1, K, C, 1, 1, lanes).pack(w)
    check(kernel, {"M": M, "x": x, "w": packed, "e0": y}, {"y0": wanted}, meanings=(meaning,))


def test_one_row_at_a_time():
    x, w = floats(3, 50), floats(50, 20)
    packed = Packed(1, 50, 20, 1, 1, 16).pack(w)
    check(GemmTurned(20, 50, rows=1), {"M": 3, "x": x, "w": packed}, {"y0": x @ w}, meanings=("host",))
