"""The input gradient of linear layers: the kernel for few rows and the one for many compute the same."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import both, close, floats

import striate as st


@pytest.mark.parametrize("rows, kernel", [(1, "GemmTurned"), (5, "GemmTurned"), (16, "GemmTurned"), (17, "Gemm")])
@pytest.mark.parametrize("make, shape", [
    (lambda n: n.Linear(37, 50), (37,)),
    (lambda n: n.Sequential(n.Conv2d(3, 20, 3), n.Tanh(), n.Flatten(), n.Linear(240, 33), n.ReLU(), n.Linear(33, 40)), (3, 5, 6)),
], ids=["alone", "behind an image"])  # fmt: skip
def test_rows(make, shape, rows, kernel):
    """Behind an image the columns of the weights lie in the order of the image's memory."""
    (ours, theirs), x = both(make), floats(rows, *shape)
    y, pullback = st.vjp(ours, x)
    dy = floats(*y.shape, seed=1)
    theirs(tx := torch.tensor(x, dtype=torch.float64, requires_grad=True)).backward(torch.tensor(dy, dtype=torch.float64))
    close(pullback(dy)[0], tx.grad, 1e-5)
    (program, _), = next(iter(ours._programs.values())).known.values()
    assert (kernel == "GemmTurned") == ("GemmTurned" in [c.kernel.name for c in program.calls])


def test_both_kernels_agree():
    ours, _ = both(lambda n: n.Linear(64, 48))
    x, dy = floats(32, 64), floats(32, 48, seed=1)
    many = st.vjp(ours, x)[1](dy)[0]
    few = np.concatenate([st.vjp(ours, x[i: i + 8])[1](dy[i: i + 8])[0] for i in range(0, 32, 8)])
    close(few, many, 1e-6)
