"""Fully connected layers against PyTorch."""

import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_op, check_torch, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec


@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("features, outputs", [(1, 1), (5, 3), (17, 2)])
def test_linear(lead, features, outputs):
    x, weight, bias = draw(*lead, features), draw(outputs, features), draw(outputs)
    for arrays in [(x, weight), (x, weight, bias)]:
        check_op(ops.Linear(), *arrays)
        check_torch(ops.Linear(), F.linear, *arrays)
    check_op(ops.LinearInputGradient(), draw(*lead, outputs), weight)
    check_op(ops.LinearWeightGradient(), x, draw(*lead, outputs))


def test_cost_counts_multiply_accumulates():
    cost = ops.Linear().cost([Spec((8, 5)), Spec((3, 5))], [Spec((8, 3))])
    assert (cost.macs, cost.reads, cost.writes) == (8 * 5 * 3, 8 * 5 + 3 * 5, 8 * 3)


ERRORS = [
    ((Spec((2, 4)), Spec((3, 5))), "x (2, 4) does not end in the 5 features that the weight (3, 5) reads; use in_features=4"),
    ((Spec((2, 5)), Spec((3, 5, 1))), "weight has 3 axes, shape (3, 5, 1), but needs 2: (K, C); reshape weight to (K, C)"),
    ((Spec((2, 5)), Spec((3, 5)), Spec((4,))), "bias (4,) does not fit the weight (3, 5); use shape (3,)"),
    ((Spec((2, 5), "uint8"), Spec((3, 5))), "x has dtype uint8 but needs float32; convert x with astype('float32')"),
]


@pytest.mark.parametrize("specs, text", ERRORS)
def test_errors(specs, text):
    with pytest.raises(ShapeError) as error:
        ops.Linear().infer(*specs)
    assert error.value.args == (text,)


@pytest.mark.parametrize("a, b", [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)),
                                  ((2, 1, 4, 3), (5, 3, 2)), ((1, 2, 3), (3, 1))], ids=str)
def test_matmul(a, b):
    check_op(ops.MatMul(), draw(*a), draw(*b))
    check_torch(ops.MatMul(), torch.matmul, draw(*a), draw(*b))


def test_matmul_errors():
    with pytest.raises(ShapeError) as error:
        ops.MatMul().infer(Spec((2, 3)), Spec((4, 3)))
    assert error.value.args == ("a (2, 3) @ b (4, 3): the last axis of a must be as long as the last but one of b; "
                                "transpose or reshape one of them",)
