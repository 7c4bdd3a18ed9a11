"""Kernels as products of columns and rows, and layers rewritten that way."""

import numpy as np
import pytest
from tests.helpers import close, draw
from tests.nn.helpers import run

from striate import nn
from striate.errors import ArgumentError
from striate.nn.factor import kernel_rank, low_rank, separate, separate_, separated


def test_low_rank_is_the_nearest_of_its_rank():
    """What is left has the other singular values, by Eckart and Young."""
    kernel = draw(5, 4)
    values = np.linalg.svd(kernel, compute_uv=False)
    for rank in range(1, 5):
        columns, rows = low_rank(kernel, rank)
        assert columns.shape == (5, rank) and rows.shape == (rank, 4)
        assert abs(np.linalg.norm(kernel - columns @ rows) - np.linalg.norm(values[rank:])) < 1e-12
    assert kernel_rank(kernel) == 4 and kernel_rank(columns[:, :2] @ rows[:2]) == 2 and kernel_rank(np.zeros((3, 3))) == 0


def test_separate_gives_the_kernel_back():
    column, row = separate(np.outer([1, 2, 1], [1, 0, -1]))
    close(np.outer(column, row), np.outer([1, 2, 1], [1, 0, -1]))
    assert column.sum() > 0


ERRORS = [
    (lambda: separate([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
     "a kernel of rank 2 is no column times a row; low_rank(kernel, 2) gives 2 of each, low_rank(kernel, 1) the nearest"),
    (lambda: low_rank(np.ones((3, 2)), 3), "rank must be from 1 to min(3, 2) = 2, got 3"),
    (lambda: kernel_rank(np.ones(3)), "a kernel has two axes (R, S), got shape (3,)"),
    (lambda: separated(nn.Conv2d(4, 4, 3, groups=2)), "a convolution with groups=2 is not separated; use groups=1"),
]


@pytest.mark.parametrize("call, text", ERRORS)
def test_errors(call, text):
    with pytest.raises(ArgumentError) as error:
        call()
    assert error.value.args == (text,)


@pytest.mark.parametrize("settings", [
    {"padding": 1}, {"padding": (0, 1, 2, 0), "stride": (2, 1), "bias": False}, {"padding": "same", "dilation": (2, 1)},
    {"padding": 1, "flip": True}, {"padding": 1, "padding_mode": "reflect"}], ids=str)  # fmt: skip
def test_a_layer_separates_exactly(settings):
    conv, x = nn.Conv2d(2, 3, 3, **settings), draw(2, 2, 7, 8)
    rows, columns = draw(4, 3, 3, seed=2), draw(4, 2, 3, seed=1)
    conv.weight.data = np.einsum("mcr,mks->kcrs", columns, rows)
    pair = separated(conv)
    assert [tuple(part.weight.shape) for part in pair] == [(4, 2, 3, 1), (3, 4, 1, 3)]
    close(run(pair, x), run(conv, x), 1e-6)  # the weights are float32
    assert separated(conv, rank=1)[0].weight.shape == (1, 2, 3, 1)


def test_a_network_is_rewritten_where_it_pays():
    inner = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, (1, 3)))
    net = nn.Sequential(nn.Conv2d(1, 1, 5), inner, nn.Conv2d(2, 2, 3, groups=2))
    net[0].weight.data = np.outer(np.arange(5), np.ones(5)).reshape(1, 1, 5, 5)
    net[1][0].weight.data = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]).reshape(1, 1, 3, 3)  # rank 2: 12 products for 9
    assert separate_(net) == ["0"]
    assert [type(m).__name__ for m in net] == ["Sequential", "Sequential", "Conv2d"]
