"""Gradients of whole graphs against torch.autograd."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import close, draw

from striate import ops
from striate.gradient import differentiate
from striate.graph import Graph
from striate.window import windows


def network(graph, x, w1, w2, target):
    """A small classifier: convolution, batch norm, skip, pooling, linear, loss."""
    h = graph.apply(ops.Conv2d(windows(3, 1, 1)), x, w1)
    h = graph.apply(ops.BatchNorm(1e-5), h, np.ones(4), np.zeros(4))[0].relu() + x
    h = graph.apply(ops.MaxPool2d(windows(2, 2)), h)[0].flatten(1)
    return graph.apply(ops.CrossEntropy(0.1), graph.apply(ops.Linear(), h, w2), target)


def torch_network(x, w1, w2, target):
    h = F.batch_norm(F.conv2d(x, w1, padding=1), None, None, None, None, True, 0.0, 1e-5).relu() + x
    return F.cross_entropy(F.max_pool2d(h, 2).flatten(1) @ w2.T, target, label_smoothing=0.1)


def test_a_network():
    arrays = draw(3, 4, 6, 6), draw(4, 4, 3, 3), draw(5, 36)
    target = np.array([0, 4, 2])
    graph = Graph()
    inputs = [graph.input(a.shape) for a in arrays]
    loss = network(graph, *inputs, graph.input((3,), "int64"))
    gradients = differentiate(graph, [loss], [graph.constant(1.0)], inputs)
    results = graph.evaluate([*arrays, target], np.float64)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    torch_loss = torch_network(*tensors, torch.tensor(target))
    close(results[loss], torch_loss.detach().numpy(), 1e-6)  # torch's smoothing and eps are not rounded to float32
    for got, wanted in zip(gradients, torch.autograd.grad(torch_loss, tensors)):
        close(results[got], wanted.numpy(), 1e-9)


def test_several_outputs_and_a_value_used_many_times():
    x = draw(4)
    graph = Graph()
    v = graph.input((4,))
    h = v * v + v
    outputs = [h.exp(), (h * v).sum(), v]
    seeds = [graph.constant(np.ones(4)), graph.constant(2.0), graph.constant(np.ones(4))]
    (got,) = differentiate(graph, outputs, seeds, [v])
    t = torch.tensor(x, requires_grad=True)
    g = t * t + t
    (wanted,) = torch.autograd.grad((g.exp() + t).sum() + 2 * (g * t).sum(), t)
    close(graph.evaluate([x], np.float64)[got], wanted.numpy())


def test_values_that_the_outputs_do_not_read_have_none():
    graph = Graph()
    x, y = graph.input((2,)), graph.input((2,))
    z = x.relu()
    assert differentiate(graph, [z], [z], [y]) == [None]
    assert differentiate(graph, [z], [y], [z, x])[0] is y


def test_only_what_is_wanted_is_differentiated():
    graph = Graph()
    x, weight = graph.input((1, 2, 4, 4)), graph.input((3, 2, 3, 3))
    y = graph.apply(ops.Conv2d(windows(3)), x.tanh(), weight)
    differentiate(graph, [y], [y], [weight])
    assert "tanh_gradient" not in [n.op.name for n in graph.nodes]


def test_a_gradient_has_the_place_of_its_layer():
    graph = Graph()
    x = graph.input((2,))
    y = x.tanh()
    differentiate(graph, [y], [y], [x])
    forward, backward = graph.nodes
    assert backward.op.name == "tanh_gradient" and backward.place == forward.place.replace("tanh", "tanh_gradient")


SECOND = [lambda x: x.tanh(), lambda x: x.sigmoid(), lambda x: x * x.exp(), lambda x: x**3 / (x * x + 1), lambda x: x.softmax(1),
          lambda x: x.log_softmax(0), lambda x: x.mean(1) * x.amax(1), lambda x: (x.relu() ** 2)[:, 1:], lambda x: x.abs().sqrt()]


@pytest.mark.parametrize("function", SECOND)
def test_second_derivatives(function):
    x, inner, outer = draw(3, 4), draw(*function(torch.zeros(3, 4)).shape, seed=1), draw(3, 4, seed=2)
    graph = Graph()
    v, dy, dx = graph.input(x.shape), graph.input(inner.shape), graph.input(outer.shape)
    (first,) = differentiate(graph, [function(v)], [dy], [v])
    (second,) = differentiate(graph, [first], [dx], [v])
    t = torch.tensor(x, requires_grad=True)
    (torch_first,) = torch.autograd.grad(function(t), t, torch.tensor(inner), create_graph=True)
    (wanted,) = torch.autograd.grad(torch_first, t, torch.tensor(outer))
    close(graph.evaluate([x, inner, outer], np.float64)[second], wanted.numpy())


def test_second_derivatives_of_convolution_and_average_pooling():
    arrays = draw(1, 2, 6, 6), draw(3, 2, 3, 3), draw(1, 3, 2, 2, seed=1), draw(1, 2, 6, 6, seed=2)
    graph = Graph()
    x, w, dy, dx = (graph.input(a.shape) for a in arrays)
    y = graph.apply(ops.AvgPool2d(windows(2, 2)), graph.apply(ops.Conv2d(windows(3)), x, w)) ** 2
    (first,) = differentiate(graph, [y], [dy], [x])
    seconds = differentiate(graph, [first], [dx], [x, w])
    tx, tw, tdy, tdx = (torch.tensor(a, requires_grad=True) for a in arrays)
    (torch_first,) = torch.autograd.grad(F.avg_pool2d(F.conv2d(tx, tw), 2) ** 2, tx, tdy, create_graph=True)
    results = graph.evaluate(arrays, np.float64)
    for got, wanted in zip(seconds, torch.autograd.grad(torch_first, (tx, tw), tdx)):
        close(results[got], wanted.detach().numpy())
