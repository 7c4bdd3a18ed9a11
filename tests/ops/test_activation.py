"""Activations against PyTorch, values and gradients, at their kinks too."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_forward, check_op, check_torch, close, draw

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Graph
from striate.ops import Spec

SMOOTH = [
    (ops.Tanh(), torch.tanh), (ops.Sigmoid(), torch.sigmoid), (ops.SiLU(), F.silu),
    (ops.SiLU(1.5), lambda x: x * torch.sigmoid(1.5 * x)), (ops.GELU(), F.gelu), (ops.Mish(), F.mish),
    (ops.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")), (ops.Softplus(), F.softplus),
    (ops.Softplus(2.0, 3.0), lambda x: F.softplus(x, 2, 3)), (ops.LogSigmoid(), F.logsigmoid), (ops.Softsign(), F.softsign),
    (ops.Tanhshrink(), F.tanhshrink), (ops.ELU(), F.elu), (ops.ELU(0.3), lambda x: F.elu(x, 0.3)),
    (ops.ELU(2.0, 1.0, 0.5), lambda x: F.celu(x, 2)),
    (ops.ELU(1.6732632423543772848170429916717, 1.0507009873554804934193349852946), F.selu),
]  # fmt: skip
PIECES = [
    (ops.ReLU(), F.relu), (ops.LeakyReLU(), F.leaky_relu), (ops.LeakyReLU(-0.5), lambda x: F.leaky_relu(x, -0.5)),
    (ops.LeakyReLU(1.5), lambda x: F.leaky_relu(x, 1.5)), (ops.Hardtanh(), F.hardtanh), (ops.Hardtanh(0.0, 6.0), F.relu6),
    (ops.Hardsigmoid(), lambda x: F.relu6(x + 3) / 6), (ops.Hardswish(), F.hardswish), (ops.Shrink(0.5, 0.5), F.softshrink),
    (ops.Shrink(0.5), F.hardshrink), (ops.Threshold(0.1, -2.0), lambda x: F.threshold(x, 0.1, -2)),
]  # fmt: skip
KINKS = np.array([-6, -3, -1, -0.5, 0, 0.1, 0.5, 1, 3, 6])
name = lambda v: repr(v) if isinstance(v, ops.Op) else ""  # noqa: E731


@pytest.mark.parametrize("op, function", SMOOTH + PIECES, ids=name)
@pytest.mark.parametrize("shape", [(3, 5), (), (2, 3, 4, 2)], ids=str)
def test_activation(op, function, shape):
    x = 3 * draw(*shape)
    check_op(op, x)
    check_torch(op, function, x)


@pytest.mark.parametrize("op, function", SMOOTH + PIECES, ids=name)
def test_slopes_at_kinks_are_pytorchs(op, function):
    check_torch(op, function, KINKS)


@pytest.mark.parametrize("op, function", SMOOTH, ids=name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_overflows_nor_is_nan_far_out(op, function, dtype):
    x = np.array([-1000, -100, -30, 30, 100, 1000], dtype)
    with np.errstate(over="raise", invalid="raise"):
        close(op.reference(x), function(torch.tensor(x)).numpy(), 1e-6)


@pytest.mark.parametrize("op", [ops.ReLUGradient(), ops.TanhGradient(), ops.SigmoidGradient()], ids=name)
def test_second_derivatives(op):
    check_op(op, draw(3, 5), draw(3, 5, seed=1))


@pytest.mark.parametrize("f", [op for op, _ in SMOOTH + PIECES if isinstance(op, ops.Curve)], ids=name)
def test_curve_gradient_is_linear_in_dy(f):
    check_forward(ops.CurveGradient(f), draw(3, 5), draw(3, 5, seed=1))


def test_second_derivatives_of_curves_are_refused():
    graph = Graph()
    values = graph.input((2,)), graph.input((2,))
    made = graph.apply(ops.CurveGradient(ops.GELU()), *values)
    with pytest.raises(ArgumentError) as error:
        made.producer.op.gradient(graph, values, (made,), (made,))
    assert str(error.value) == "curve_gradient has no gradient rule; second derivatives through it are not supported"


@pytest.mark.parametrize("weight", [(1,), (3, 1, 1)], ids=str)
def test_prelu(weight):
    x, slopes = draw(2, 3, 4, 5), draw(*weight)
    check_op(ops.PReLU(), x, slopes)
    check_torch(ops.PReLU(), lambda x, w: F.prelu(x, w.reshape(-1)), x, slopes)
    check_op(ops.PReLUGradient(), draw(2, 3, 4, 5, seed=1), x, slopes)


def test_prelu_at_zero():
    check_torch(ops.PReLU(), F.prelu, np.array([[-1.0, 0.0, 2.0]]).T, np.array([0.25]))


def test_rrelu():
    x, random = draw(200, 100), np.array([3, 4])
    op = ops.RReLU(0.1, 0.4, 2)
    check_op(op, x[:3], random)
    check_op(ops.RReLUGradient(0.1, 0.4, 2), draw(3, 100), x[:3], random)
    slopes = (op.reference(x, random) / x)[x < 0]
    assert slopes.min() >= 0.1 and slopes.max() <= 0.4 and abs(slopes.mean() - 0.25) < 0.005
    assert abs(slopes.std() - 0.3 / 12**0.5) < 0.005 and np.array_equal(op.reference(x, random)[x > 0], x[x > 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_neither_overflows_nor_loses_small_values(dtype):
    x = np.array([-1000, -80, -1, 0, 1, 80, 1000], dtype)
    close(ops.Sigmoid().reference(x), torch.sigmoid(torch.tensor(x)).numpy(), 1e-6)
    assert ops.Sigmoid().reference(x)[1] > 0


ERRORS = {
    "elu's alpha must not be negative, got -1; its slope is read from the output's sign": lambda: ops.ELU(-1),
    "approximate must be 'none' or 'tanh', got 'erf'": lambda: ops.GELU("erf"),
    "min_val must not be larger than max_val, got 2 and 1": lambda: ops.Hardtanh(2, 1),
    "lambda must not be negative, got -0.5": lambda: ops.Shrink(-0.5),
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    with pytest.raises(ArgumentError) as error:
        ERRORS[text]()
    assert str(error.value) == text


def test_whole_numbers_are_refused():
    with pytest.raises(ValueError) as error:
        ops.GELU().infer(Spec((2,), "int64"))
    assert str(error.value) == "x has dtype int64 but needs float32; convert x with astype('float32')"
