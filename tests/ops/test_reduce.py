"""Reductions against PyTorch, ties included."""

import numpy as np
import pytest
import torch
from tests.helpers import check_forward, check_op, check_torch, close, draw, gradients_of

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec

CASES = [((2, 3, 4), (1,)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (0, 1, 2)), ((5,), (0,)), ((1, 3), (0,)), ((2, 3), ())]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape, axes", CASES)
@pytest.mark.parametrize("op, function", [(ops.Sum, torch.sum), (ops.Mean, torch.mean), (ops.Max, torch.amax)])
def test_reductions(op, function, shape, axes, keepdims):
    x = draw(*shape)
    check_op(op(axes, keepdims), x)
    if axes:  # PyTorch reads () as all axes
        check_torch(op(axes, keepdims), lambda t: function(t, axes, keepdims), x)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_ties_of_the_maximum_share_equally(axes):
    check_torch(ops.Max(axes), lambda t: torch.amax(t, axes), np.array([[1.0, 2, 2], [2, 0, 2]]))


@pytest.mark.parametrize("keepdims", [False, True])
def test_second_derivative_of_the_maximum(keepdims):
    op, x = ops.MaxGradient((1,), keepdims), np.array([[1.0, 2, 2], [2, 0, 1]])
    y = x.max(1, keepdims=keepdims)
    dy, v = draw(*y.shape), draw(*x.shape)
    check_forward(op, dy, x, y)
    close(np.vdot(op.reference(dy, x, y), v), np.vdot(gradients_of(op, (dy, x, y), v)[0], dy))


def test_errors():
    with pytest.raises(ShapeError) as error:
        ops.Sum((2,)).infer(Spec((2, 3)))
    assert error.value.args == ("axis 2 is outside an input of 2 axes; use -2 to 1",)
    with pytest.raises(ShapeError) as error:
        ops.Max((0,)).infer(Spec((0, 3)))
    assert error.value.args == ("x (0, 3) has no elements along the axes (0,), so there is no maximum; "
                                "give every axis at least one element",)
