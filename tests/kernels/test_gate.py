"""The gated linear unit and its gradient, over halves of every kind of length."""

import pytest
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels.gate import BLOCK, Gate, GateGradient


@pytest.mark.parametrize("B", [1, 2, 3, 8, 17, 40, 16 * BLOCK + 5])
@pytest.mark.parametrize("rows", [1, 5])
def test_gate(rows, B):
    x, dy = 3 * floats(rows, 2, B), floats(rows, B, seed=1)
    flat = x.reshape(rows, 2 * B)
    meanings = {} if B < 100 else {"meanings": ("host", "sse2")}  # the interpreter is slow
    check(Gate(B), {"rows": rows, "x": x}, {"y": ops.GLU(1).reference(flat)}, **meanings)
    dx = ops.GLUGradient(1).reference(dy, flat).reshape(x.shape)
    check(GateGradient(B), {"rows": rows, "dy": dy, "x": x}, {"dx": dx}, **meanings)
