"""Operators that move elements, and what an index means, against NumPy."""

import numpy as np
import pytest
import torch
from tests.helpers import check_forward, check_gradient, check_op, check_torch, close, draw

from striate import ops
from striate.errors import DtypeError, ShapeError
from striate.graph import Graph
from striate.ops import Spec

OPS = [
    (ops.Reshape((4, 6)), lambda x: x.reshape(4, 6)),
    (ops.Transpose((2, 0, 1)), lambda x: x.permute(2, 0, 1)),
    (ops.Slice((0, 1, 0), (2, 3, 4), (1, 1, 3)), lambda x: x[:, 1:, ::3]),
    (ops.Expand((5, 2, 3, 4)), lambda x: x.expand(5, 2, 3, 4)),
    (ops.Flip((0, 2)), lambda x: x.flip((0, 2))),
    (ops.Pad(((0, 0), (1, 0), (2, 3)), 0.5), lambda x: torch.nn.functional.pad(x, (2, 3, 1, 0), value=0.5)),
]


@pytest.mark.parametrize("op, function", OPS, ids=lambda v: getattr(v, "name", ""))
def test_movements(op, function):
    check_op(op, draw(2, 3, 4))
    check_torch(op, function, draw(2, 3, 4))


@pytest.mark.parametrize("shape, wanted", [((3, 1), (3, 4)), ((1, 1), (2, 3)), ((), (2,)), ((2, 1, 1), (2, 1, 5)), ((4,), (4,))])
def test_expand(shape, wanted):
    check_op(ops.Expand(wanted), draw(*shape))
    check_torch(ops.Expand(wanted), lambda x: x.expand(wanted), draw(*shape))


@pytest.mark.parametrize("axis, sizes", [(0, (2, 1, 3)), (1, (4, 2)), (2, (3,)), (1, (1, 2, 3, 4, 5))])
def test_concat(axis, sizes):
    arrays = [draw(*(n if i == axis else 2 for i in range(3)), seed=n) for n in sizes]
    check_op(ops.Concat(axis), *arrays)
    check_torch(ops.Concat(axis), lambda *x: torch.cat(x, axis), *arrays)


def test_slice_gradient():
    check_op(ops.SliceGradient((1, 0), (4, 5), (2, 3), (5, 5)), draw(2, 2))


def test_whole_numbers_can_be_moved():
    for op, _ in OPS[:4]:
        check_forward(op, np.arange(24).reshape(2, 3, 4))


INDICES = [
    np.s_[0], np.s_[-1], np.s_[1:], np.s_[:, 1], np.s_[..., 0], np.s_[0, ..., 1:3], np.s_[::2, 1:, ::3], np.s_[:, None],
    np.s_[None], np.s_[..., None], np.s_[0, 1, 2], np.s_[:], np.s_[5:], np.s_[2:1], np.s_[-2:, :-1], np.s_[...],
    np.s_[None, 0, ..., None, -1],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_means_what_it_means_in_numpy(index):
    x = draw(2, 3, 4)
    graph = Graph()
    y = graph.input(x.shape)[index]
    close(graph.evaluate([x], np.float64)[y], x[index])
    assert y.shape == x[index].shape


def test_an_index_that_keeps_all_adds_no_node():
    graph = Graph()
    x = graph.input((2, 3))
    assert x[:] is x and x[...] is x and not graph.nodes


METHODS = [
    lambda x: x.reshape(4, -1), lambda x: x.reshape((-1,)), lambda x: x.view(2, 12), lambda x: x.view(x.size(0), -1),
    lambda x: x.flatten(1), lambda x: x.flatten(0, 1), lambda x: x.flatten(),
    lambda x: x.unsqueeze(-1), lambda x: x.unsqueeze(1), lambda x: x.unsqueeze(0).squeeze(0), lambda x: x.unsqueeze(1).squeeze(),
    lambda x: x.squeeze(0), lambda x: x.permute(2, 0, 1), lambda x: x.permute((1, 0, -1)), lambda x: x.transpose(0, -1),
    lambda x: x.unsqueeze(0).expand(5, -1, -1, -1), lambda x: x.expand(2, 2, 3, 4),
    lambda x: x.chunk(2, 2)[1], lambda x: x.chunk(3, -1)[1],
    lambda x: x.sum(), lambda x: x.sum(1), lambda x: x.sum((0, -1), True), lambda x: x.mean(-1), lambda x: x.amax((1, 2)),
    lambda x: x.softmax(-1), lambda x: x.log_softmax(1), lambda x: x.abs().sqrt(), lambda x: (x.abs() + 1).log(),
    lambda x: x.relu() + x.tanh() * x.sigmoid() - x.exp(),
]


@pytest.mark.parametrize("method", METHODS)
def test_methods_mean_what_they_mean_in_pytorch(method):
    x = draw(2, 3, 4)
    graph = Graph()
    y = method(graph.input(x.shape))
    wanted = method(torch.tensor(x)).numpy()
    assert y.shape == wanted.shape
    close(graph.evaluate([x], np.float64)[y], wanted, 1e-7)


def test_iterating_gives_the_rows():
    graph = Graph()
    rows = list(graph.input((3, 2)))
    assert [row.shape for row in rows] == [(2,)] * 3


ERRORS = [
    (lambda: ops.fill_shape((2, 3), (4, -1)),
     "x (2, 3) has 2 * 3 = 6 elements and does not fill (4, -1); keep the number of elements"),
    (lambda: ops.fill_shape((2, 3), (5,)), "x (2, 3) has 2 * 3 = 6 elements and does not fill (5,); keep the number of elements"),
    (lambda: ops.fill_shape((2, 3), (-1, -1)), "the shape (-1, -1) is not clear; use sizes of at least 0 and at most one -1"),
    (lambda: ops.fill_shape((0, 3), (0, -1)),
     "x (0, 3) has 0 * 3 = 0 elements and does not fill (0, -1); keep the number of elements"),
    (lambda: ops.flat_shape((2, 3, 4), 2, 1),
     "flatten from axis 2 to axis 1 of (2, 3, 4) goes backwards; give the lower axis first"),
    (lambda: ops.axis(3, 3), "axis 3 is outside an input of 3 axes; use -3 to 2"),
    (lambda: ops.slice_of((2, 3), 2), "index 2 is outside axis 0 of 2 elements; use -2 to 1"),
    (lambda: ops.slice_of((2, 3), (0, 0, 0)), "an index of 3 axes does not fit (2, 3); give at most 2 and one '...'"),
    (lambda: ops.slice_of((2, 3), np.s_[::-1]), "the slice of axis 0 has step -1; use a step of at least 1"),
    (lambda: ops.slice_of((2, 3), "a"), "'a' is no index of an axis; use whole numbers, slices, ... and None"),
    (lambda: ops.slice_of((2, 3), [0, 1]), "[0, 1] is no index of an axis; use whole numbers, slices, ... and None"),
    (lambda: ops.Transpose((0, 0)).infer(Spec((2, 3))),
     "axes (0, 0) do not name each of the 2 axes of x (2, 3) once; permute the numbers 0 to 1"),
    (lambda: ops.Concat(1).infer(Spec((2, 3)), Spec((3, 3))),
     "input 1 has shape (3, 3) and input 0 has (2, 3): they differ outside axis 1; make all other sizes equal"),
    (lambda: ops.Concat(0).infer(), "concat got no inputs; give it at least one"),
    (lambda: ops.Slice((0,), (4,), (1,)).infer(Spec((3,))), "the slice 0:4 is outside axis 0 of x (3,); stay within 0:3"),
    (lambda: ops.Slice((0,), (1,), (1,)).infer(Spec((3, 3))),
     "a slice of 1 axes does not fit x (3, 3); give one range for each axis"),
    (lambda: ops.SliceGradient((0,), (2,), (1,), (3,)).infer(Spec((3,))),
     "dy (3,) does not fit the slice (2,) of (3,); give it the slice's shape"),
    (lambda: ops.Expand((2, 3)).infer(Spec((2,))), "x (2,) does not expand to (2, 3); only axes of size 1 can be repeated"),
    (lambda: ops.Flip((1,)).infer(Spec((2,))), "axis 1 is outside an input of 1 axes; use -1 to 0"),
    (lambda: ops.repeat_shapes((2, 3), (2,)),
    "repeat(2,) does not fit an input of 2 axes, (2, 3); give one number from 0 up for each axis"),
    (lambda: ops.split_stops(5, (2, 2)), "parts of (2, 2) = 4 elements do not fill the axis of 5; let them add up to it"),
    (lambda: ops.split_stops(5, 0), "parts of 0 elements do not fill the axis of 5; use at least 1"),
    (lambda: ops.Pad(((1, -1),)).infer(Spec((3,))),
     "pads ((1, -1),) do not fit x (3,); give (low, high), both at least 0, for each axis"),
]


@pytest.mark.parametrize("call, text", ERRORS)
def test_errors(call, text):
    with pytest.raises(ShapeError) as error:
        call()
    assert error.value.args == (text,)


def test_concat_of_two_dtypes():
    with pytest.raises(DtypeError) as error:
        ops.Concat(0).infer(Spec((2,)), Spec((2,), "int64"))
    assert error.value.args == ("input 1 has dtype int64 and input 0 has float32; give all one dtype",)


def test_gradient_of_an_input_used_twice():
    x = draw(2, 3)
    check_gradient(ops.Concat(0), x, x)
