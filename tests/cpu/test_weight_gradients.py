"""Weight gradients of convolutions with many channels: which kernel computes them, and what it computes."""

import pytest
import torch
from tests.cpu.helpers import GRADIENT, close, floats

import striate as st
from striate import nn


@pytest.mark.parametrize("arguments, shape, copied", [
    ((64, 128, 1), (2, 64, 60, 55), True),
    ((70, 130, 1, 2), (3, 70, 97, 99), True),
    ((64, 128, 3, 2, 1), (1, 64, 128, 127), True),
    ((64, 200, (3, 1), 1, (1, 0)), (1, 64, 80, 61), True),
    ((64, 100, 5, 1, 2), (1, 64, 64, 61), True),
    ((64, 128, 1), (2, 64, 12, 11), False),
    ((24, 40, 5), (2, 24, 80, 90), True),
    ((24, 40, 3, 2, 1), (2, 24, 120, 120), False),
])  # fmt: skip
def test_rows_are_copied_where_they_are_many(arguments, shape, copied):
    net = nn.Conv2d(*arguments, bias=False)
    x = floats(*shape)
    y, pullback = st.vjp(net, x)
    dy = floats(*y.shape, seed=1)
    _, gradients = pullback(dy)
    (program, _), = next(iter(net._programs.values())).known.values()
    assert ("ConvWeightsRows" in [call.kernel.name for call in program.calls]) == copied
    theirs = torch.nn.Conv2d(*arguments, bias=False).double()
    theirs(torch.tensor(x, dtype=torch.float64)).backward(torch.tensor(dy, dtype=torch.float64))
    close(gradients["weight"], theirs.weight.grad, GRADIENT / 10)
