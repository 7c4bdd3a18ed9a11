"""Batched products of matrices, with sizes that fill no tile and no vector."""

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, check, floats

from striate import ops
from striate.cpu.kernels.matmul import BatchMatMul
from striate.cpu.kernels.pointwise import Chain
from striate.kernel.language import narrow


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize(("B", "M", "C", "K"), [(1, 1, 1, 1), (2, 3, 5, 17), (3, 13, 7, 33), (1, 4, 40, 16), (2, 9, 3, 70)])
@pytest.mark.parametrize("moves", [(True, True), (True, False), (False, True)], ids=str)
def test_product(B, M, C, K, moves, meaning):
    x, w = floats(B if moves[0] else 1, M, C), floats(B if moves[1] else 1, C, K, seed=1)
    kernel = BatchMatMul(M, C, K, narrow(K, MACHINES[meaning].lanes), min(4, M), 2, *moves)
    check(kernel, {"B": B, "x": x, "w": w}, {"y0": np.broadcast_to(x @ w, (B, M, K)).copy()}, meanings=(meaning,))


def test_chain():
    x, w, bias = floats(2, 5, 3), floats(2, 3, 6, seed=1), floats(6)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.Tanh(), (2,))), (3,))
    kernel = BatchMatMul(5, 3, 6, 4, 3, 1, chain=chain)
    check(kernel, {"B": 2, "x": x, "w": w, "e0": bias}, {"y0": np.tanh(x @ w + bias)})
