"""Arithmetic and elementary functions against PyTorch, with broadcasting and at the edges."""

import numpy as np
import pytest
import torch
from tests.helpers import check_op, check_torch, close, draw

from striate import ops
from striate.errors import ArgumentError, DtypeError, ShapeError
from striate.graph import Graph
from striate.ops import Spec

SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1, 4), (3, 1)), ((), (2, 2)), ((1, 1), ()), ((2, 3), (1, 1))]
BINARY = [(ops.Add(), torch.add), (ops.Subtract(), torch.sub), (ops.Multiply(), torch.mul), (ops.Divide(), torch.div)]
UNARY = [
    (ops.Negate(), torch.neg), (ops.Abs(), torch.abs), (ops.Exp(), torch.exp), (ops.Power(2.0), lambda x: x**2),
    (ops.Power(3.0), lambda x: x**3), (ops.Sin(), torch.sin), (ops.Cos(), torch.cos), (ops.Erf(), torch.erf),
    (ops.Clamp(-0.5, 1.0), lambda x: x.clamp(-0.5, 1)), (ops.Clamp(high=0.3), lambda x: x.clamp(max=0.3)),
]
POSITIVE = [(ops.Log(), torch.log), (ops.Power(0.5), torch.sqrt), (ops.Power(-0.5), torch.rsqrt),
            (ops.Power(0.0), lambda x: x**0)]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("op, function", BINARY, ids=lambda v: getattr(v, "name", ""))
def test_binary(op, function, shapes):
    a, b = draw(*shapes[0]), np.sign(draw(*shapes[1], seed=3)) * (1 + np.abs(draw(*shapes[1], seed=4)))
    check_op(op, a, b)
    check_torch(op, function, a, b)


@pytest.mark.parametrize("op, function", UNARY, ids=lambda v: getattr(v, "name", ""))
def test_unary(op, function):
    check_op(op, draw(3, 5))
    check_torch(op, function, draw(3, 5))


@pytest.mark.parametrize("op, function", POSITIVE, ids=lambda v: getattr(v, "name", ""))
def test_of_positive_numbers(op, function):
    check_op(op, 0.5 + np.abs(draw(3, 5)))
    check_torch(op, function, 0.5 + np.abs(draw(3, 5)))


def test_second_derivatives_of_abs():
    check_op(ops.AbsGradient(), draw(3, 5), draw(3, 5, seed=1))


def test_gradients_at_kinks_are_pytorchs():
    check_torch(ops.Abs(), torch.abs, np.array([-1.0, 0.0, 2.0]))
    check_torch(ops.Clamp(-1.0, 2.0), lambda x: x.clamp(-1, 2), np.array([-1.0, 0.0, 2.0, 3.0]))


def test_infinities_are_answers():
    graph = Graph()
    x = graph.input((2,))
    y = graph.apply(ops.Log(), x) / x
    assert np.array_equal(graph.evaluate([np.array([0, 1])])[y], [-np.inf, 0])


def test_numbers_and_arrays_are_lifted():
    graph = Graph()
    x = graph.input((2,))
    y = (1 - x) / np.array([2.0, 4.0]) + 2**3 * x - x**2
    close(graph.evaluate([np.array([1.0, 2.0])], np.float64)[y], [7, 11.75])


def test_errors():
    with pytest.raises(ShapeError) as error:
        ops.Add().infer(Spec((2, 3)), Spec((2, 4)))
    assert error.value.args == ("a (2, 3) and b (2, 4) do not broadcast: axis -1 has 3 and 4; "
                                "make the sizes equal, or one of them 1",)
    with pytest.raises(DtypeError) as error:
        ops.Multiply().infer(Spec((2, 3)), Spec((2, 3), "int64"))
    assert error.value.args == ("b has dtype int64 but needs float32; convert b with astype('float32')",)
    with pytest.raises(ShapeError) as error:
        ops.CurveGradient(ops.Sin()).infer(Spec((2, 3)), Spec((3, 2)))
    assert error.value.args == ("the shapes differ: dy (2, 3), z (3, 2); give all of them one shape",)
    with pytest.raises(ArgumentError) as error:
        Graph().input((2,)) + "two"
    assert error.value.args == ("str 'two' is no array or number; use values, arrays and numbers",)
