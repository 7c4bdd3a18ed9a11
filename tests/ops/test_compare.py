"""Comparisons, maxima and choices against PyTorch, with broadcasting and ties."""

import numpy as np
import pytest
import torch
from tests.helpers import check_forward, check_op, check_torch, draw

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.ops import Spec

SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 4), (3, 1)), ((), (2, 2))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("op, function", [(ops.Maximum(), torch.maximum), (ops.Minimum(), torch.minimum)])
def test_extrema(op, function, shapes):
    a, b = draw(*shapes[0]), draw(*shapes[1], seed=1)
    check_op(op, a, b)
    check_torch(op, function, a, b)


@pytest.mark.parametrize("op, function", [(ops.Maximum(), torch.maximum), (ops.Minimum(), torch.minimum)])
def test_ties_share_the_gradient(op, function):
    check_torch(op, function, np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))


@pytest.mark.parametrize("verb", ["gt", "ge", "lt", "le", "eq", "ne"])
def test_compare(verb):
    a, b = np.round(draw(4, 5)), np.round(draw(5, seed=1))
    check_forward(ops.Compare(verb), a, b)
    wanted = getattr(torch, verb)(torch.tensor(a), torch.tensor(b)).double().numpy()
    assert np.array_equal(ops.Compare(verb).reference(a, b), wanted)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), (2, 3)), ((3,), (2, 3), ()), ((2, 1), (3,), (2, 3))], ids=str)
def test_where(shapes):
    mask, a, b = (draw(*shape, seed=i) for i, shape in enumerate(shapes))
    mask = (mask > 0).astype(float)
    check_forward(ops.Where(), mask, a, b)
    check_torch(ops.Where(), lambda m, a, b: torch.where(m != 0, a, b), mask, a, b)


def test_errors():
    with pytest.raises(ArgumentError) as error:
        ops.Compare("above")
    assert error.value.args == ("a comparison is gt, ge, lt, le, eq or ne, got 'above'",)
    with pytest.raises(ShapeError) as error:
        ops.Where().infer(Spec((2,)), Spec((3,)), Spec((3,)))
    assert error.value.args == ("a (2,) and b (3,) do not broadcast: axis -1 has 2 and 3; "
                                "make the sizes equal, or one of them 1",)
