"""Batch normalisation against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_forward, check_op, check_torch, close, draw, graph_of

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.gradient import differentiate
from striate.ops import Spec

SHAPES = [(4, 3), (2, 3, 4, 5), (1, 17, 3, 3), (5, 1, 2, 2), (2, 3, 6), (1, 1, 1, 2)]
EPS = 1e-5


def inference(x, weight, bias, mean, variance):
    return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, EPS)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training(shape):
    x, weight, bias = 3 + 2 * draw(*shape), draw(shape[1]), draw(shape[1], seed=1)
    check_op(ops.BatchNorm(1e-2), x, weight, bias)
    check_torch(ops.BatchNorm(EPS), lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.0, EPS), x, weight, bias)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 3)], ids=str)
def test_inference(shape):
    c = shape[1]
    arrays = draw(*shape), draw(c), draw(c, seed=1), draw(c, seed=2), 0.5 + draw(c, seed=3) ** 2
    check_op(ops.BatchNormInference(EPS), *arrays)
    close(ops.BatchNormInference(EPS).reference(*arrays), inference(*map(torch.tensor, arrays)).numpy())


def test_outputs_are_the_statistics_of_the_batch():
    x = draw(4, 3, 5, 5)
    _, mean, variance = ops.BatchNorm(EPS).reference(x, np.ones(3), np.zeros(3))
    torch_variance, torch_mean = torch.var_mean(torch.tensor(x), (0, 2, 3), correction=0)
    close(mean, torch_mean.numpy())
    close(variance, torch_variance.numpy())


def test_the_gradient_operator():
    x, dy, weight = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(3)
    check_forward(ops.BatchNormGradient(EPS), dy, x, weight, x.mean((0, 2)), x.var((0, 2)))


def test_training_and_inference_agree_on_the_batch_itself():
    x, weight, bias = draw(4, 3, 2, 2), draw(3), draw(3, seed=1)
    y, mean, variance = ops.BatchNorm(EPS).reference(x, weight, bias)
    close(ops.BatchNormInference(EPS).reference(x, weight, bias, mean, variance), y)


ERRORS = [
    (ops.BatchNorm(EPS), (Spec((2, 3, 4)), Spec((4,)), Spec((4,))),
     "x (2, 3, 4) has 3 channels but weight has shape (4,); use num_features=3"),
    (ops.BatchNorm(EPS), (Spec((1, 3, 1, 1)), Spec((3,)), Spec((3,))),
     "x (1, 3, 1, 1) has one value a channel, whose variance is 0: training needs more; use a larger batch or input, or eval()"),
    (ops.BatchNormInference(EPS), (Spec((3,)), *[Spec((3,))] * 4), "x (3,) has no channel axis; give it the shape (N, C, ...)"),
]


@pytest.mark.parametrize("op, specs, text", ERRORS)
def test_errors(op, specs, text):
    with pytest.raises(ShapeError) as error:
        op.infer(*specs)
    assert error.value.args == (text,)


def test_the_statistics_carry_no_gradient():
    graph, inputs, (_, mean, _) = graph_of(ops.BatchNorm(EPS), draw(4, 3), draw(3), draw(3))
    with pytest.raises(ArgumentError) as error:
        differentiate(graph, [mean], [graph.input((3,))], inputs)
    assert error.value.args == ("batch_norm's mean and variance carry no gradient; compute them from x with mean()",)
