"""Parameter updates against torch.optim, several steps each."""

import numpy as np
import pytest
import torch
from tests.helpers import check_forward, close, draw

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.gradient import differentiate
from striate.graph import Graph
from striate.ops import Spec

STEPS = 5


def by_torch(optimizer, **options):
    """The parameter after a few steps of PyTorch with the gradients that `gradient` draws."""
    parameter = torch.nn.Parameter(torch.tensor(draw(3, 4)))
    stepper = optimizer([parameter], **options)
    for step in range(STEPS):
        parameter.grad = torch.tensor(gradient(step))
        stepper.step()
    return parameter.detach().numpy()


def gradient(step):
    return draw(3, 4, seed=step + 1)


SGD = [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1},
       {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}]


@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd(options):
    op = ops.SgdUpdate(options.get("nesterov", False))
    parameter, buffer = draw(3, 4), np.zeros((3, 4))
    for step in range(STEPS):
        fresh = 1 - options.get("dampening", 0) if step else 1  # PyTorch's first buffer is the gradient itself
        hyper = np.array([0.1, options["momentum"], fresh, options.get("weight_decay", 0)])
        parameter, buffer = op.reference(parameter, gradient(step), buffer, hyper)
    close(parameter, by_torch(torch.optim.SGD, lr=0.1, **options))
    check_forward(op, parameter, gradient(0), buffer, hyper)


@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_plain_sgd(weight_decay):
    parameter, hyper = draw(3, 4), np.array([0.1, 0, 1, weight_decay])
    for step in range(STEPS):
        parameter = ops.SgdPlainUpdate().reference(parameter, gradient(step), hyper)
    close(parameter, by_torch(torch.optim.SGD, lr=0.1, weight_decay=weight_decay))
    check_forward(ops.SgdPlainUpdate(), parameter, gradient(0), hyper)


@pytest.mark.parametrize("weight_decay", [0, 0.1])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW], ids=lambda o: o.__name__)
def test_adam(optimizer, weight_decay):
    op, lr, beta1, beta2, eps = ops.AdamUpdate(optimizer is torch.optim.AdamW), 0.1, 0.8, 0.95, 1e-6
    parameter, mean, square = draw(3, 4), np.zeros((3, 4)), np.zeros((3, 4))
    for step in range(1, STEPS + 1):
        hyper = np.array([lr, beta1, beta2, eps, weight_decay, 1 / (1 - beta1**step), 1 / np.sqrt(1 - beta2**step)])
        parameter, mean, square = op.reference(parameter, gradient(step - 1), mean, square, hyper)
    close(parameter, by_torch(optimizer, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay))
    check_forward(op, parameter, gradient(0), mean, square, hyper)


def test_gradient_norm_and_clipping():
    arrays = [draw(3, 4), draw(5), draw(1)]
    parameters = [torch.nn.Parameter(torch.zeros(a.shape, dtype=torch.float64)) for a in arrays]
    for parameter, array in zip(parameters, arrays):
        parameter.grad = torch.tensor(array)
    wanted = torch.nn.utils.clip_grad_norm_(parameters, 2.0)
    norm = ops.GradientNorm().reference(*arrays)
    close(norm, wanted.numpy())
    close(arrays[0] * ops.ClipScale(2.0).reference(norm), parameters[0].grad.numpy())
    assert ops.ClipScale(100.0).reference(norm) == 1
    check_forward(ops.GradientNorm(), *arrays)
    check_forward(ops.ClipScale(2.0), norm)


ERRORS = [
    (ops.SgdPlainUpdate(), (Spec((2, 3)), Spec((3, 2)), Spec((4,))),
     "the shapes differ: parameter (2, 3), gradient (3, 2); give all of them one shape"),
    (ops.SgdUpdate(False), (*[Spec((2,))] * 3, Spec((3,))), "hyper has shape (3,) but holds 4 numbers; give it the shape (4,)"),
    (ops.AdamUpdate(True), (*[Spec((2,))] * 4, Spec((4,))), "hyper has shape (4,) but holds 7 numbers; give it the shape (7,)"),
    (ops.GradientNorm(), (), "gradient_norm got no gradients; give it at least one"),
]


@pytest.mark.parametrize("op, specs, text", ERRORS)
def test_errors(op, specs, text):
    with pytest.raises(ShapeError) as error:
        op.infer(*specs)
    assert error.value.args == (text,)


def test_an_update_has_no_gradient_rule():
    graph = Graph()
    values = [graph.input((2,)), graph.input((2,)), graph.input((4,))]
    new = graph.apply(ops.SgdPlainUpdate(), *values)
    with pytest.raises(ArgumentError) as error:
        differentiate(graph, [new], [new], values)
    assert error.value.args == ("sgd_plain_update has no gradient rule; second derivatives through it are not supported",)
