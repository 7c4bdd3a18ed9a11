"""Softmax and its logarithm against PyTorch."""

import numpy as np
import pytest
import torch
from tests.helpers import check_op, check_torch, close, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec

CASES = [((5,), 0), ((2, 3), 1), ((2, 3), 0), ((2, 3, 4, 5), 1), ((2, 3, 4), 2), ((3, 1), 1)]


@pytest.mark.parametrize("shape, axis", CASES)
@pytest.mark.parametrize("op, function", [(ops.Softmax, torch.softmax), (ops.LogSoftmax, torch.log_softmax)])
def test_softmax(op, function, shape, axis):
    check_op(op(axis), draw(*shape))
    check_torch(op(axis), lambda x: function(x, axis), draw(*shape))


@pytest.mark.parametrize("op", [ops.SoftmaxGradient(1), ops.LogSoftmaxGradient(1)], ids=lambda op: op.name)
def test_second_derivatives(op):
    check_op(op, draw(2, 3, 4), draw(2, 3, 4, seed=1))


def test_large_numbers_do_not_overflow():
    x = np.array([[1000, 999, -1000]], np.float32)
    close(ops.Softmax(1).reference(x), torch.softmax(torch.tensor(x), 1).numpy(), 1e-6)
    close(ops.LogSoftmax(1).reference(x), torch.log_softmax(torch.tensor(x), 1).numpy(), 1e-6)


def test_errors():
    with pytest.raises(ShapeError) as error:
        ops.Softmax(0).infer(Spec(()))
    assert error.value.args == ("x is a single number and has no axis to normalise; give it at least one axis",)
    with pytest.raises(ShapeError) as error:
        ops.LogSoftmax(2).infer(Spec((2, 3)))
    assert error.value.args == ("axis 2 is outside an input of 2 axes; use -2 to 1",)
