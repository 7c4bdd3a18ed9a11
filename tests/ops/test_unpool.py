"""Max unpooling against PyTorch; stochastic pooling against its probabilities."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_forward, check_op, check_torch, close, draw

from striate import ops
from striate.errors import DtypeError, ShapeError
from striate.ops import Spec
from striate.window import windows


@pytest.mark.parametrize("size", [(8,), (6, 4), (4, 6, 2)], ids=str)
def test_unpool(size):
    rank, x = len(size), draw(2, 3, *size)
    values, index = (t.numpy() for t in getattr(F, f"max_pool{rank}d")(torch.tensor(x), 2, return_indices=True))
    op = ops.MaxUnpool(size)
    check_op(op, values, index)
    check_op(ops.MaxUnpoolGradient(), draw(2, 3, *size), index)
    check_torch(op, lambda t, i: getattr(F, f"max_unpool{rank}d")(t, i, 2, output_size=size), values, index)
    check_forward(op, values, index.astype(np.int32))


def test_the_last_of_two_values_for_one_place_stays():
    op, x, index = ops.MaxUnpool((3,)), np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1, 1, -1]]])
    assert op.reference(x, index).tolist() == [[[0, 2, 0]]]
    assert ops.MaxUnpoolGradient().reference(np.array([[[5.0, 6, 7]]]), index).tolist() == [[[6, 6, 0]]]


@pytest.mark.parametrize("op, specs, kind, text", [
    (ops.MaxUnpool((4, 4)), (Spec((1, 2, 2, 2)), Spec((1, 2, 2, 3), "int64")), ShapeError,
     "x (1, 2, 2, 2) and index (1, 2, 2, 3) differ; give each value the index that pooling gave with it"),
    (ops.MaxUnpool((4, 4)), (Spec((1, 2, 2, 2)), Spec((1, 2, 2, 2))), DtypeError,
     "index has dtype float32 but holds places, int32 or int64; give the indices of max pooling with return_indices=True"),
    (ops.StochasticPool2d(windows(2), 0), (Spec((1, 2, 2, 2)), Spec((2,))), ShapeError,
     "random is float32 (2,) but holds int64 (2,): seed and step; use graph.random_state()"),
])  # fmt: skip
def test_errors(op, specs, kind, text):
    with pytest.raises(kind) as error:
        op.infer(*specs)
    assert error.value.args == (text,)


def test_stochastic_pooling_draws_in_proportion():
    x = np.tile(np.array([[1.0, 2.0], [-3.0, 5.0]]), (1, 1, 100, 100))
    y, tap = ops.StochasticPool2d(windows(2, 2), 0).reference(x, np.array([1, 2]))
    shares = np.bincount(tap.ravel(), minlength=4) / tap.size
    wanted = np.array([1, 2, 0, 5]) / 8
    assert shares[2] == 0 and np.all(np.abs(shares - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / tap.size))
    assert np.array_equal(y, np.array([1.0, 2.0, -3.0, 5.0])[tap])


def test_a_window_without_positive_numbers_gives_zero_and_no_gradient():
    x, random = np.array([[[[-1.0, 0.0], [0.0, -2.0]]]]), np.array([0, 0])
    op = ops.StochasticPool2d(windows(2), 0)
    y, tap = op.reference(x, random)
    assert y.item() == 0 and tap.item() == 4
    assert not ops.MaxPool2dGradient(op.window, (2, 2)).reference(np.ones_like(y), tap).any()


@pytest.mark.parametrize("window", [windows(2, 2), windows(3, 2, 1), windows(3, 1, 0, 2)], ids=str)
def test_stochastic_gradient_goes_where_the_value_came_from(window):
    x, random = np.abs(draw(2, 3, 7, 6)), np.array([3, 1])
    op = ops.StochasticPool2d(window, 2)
    check_forward(op, x, random)
    y, tap = op.reference(x, random)
    back = ops.MaxPool2dGradient(window, (7, 6)).reference(y, tap)
    close(np.vdot(back, x), np.vdot(y, y))
