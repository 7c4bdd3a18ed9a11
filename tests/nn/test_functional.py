"""Functions against torch.nn.functional, called with the same positional arguments inside a forward."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from tests.helpers import close, draw
from tests.nn.helpers import run

import striate as st
from striate import nn
from striate.errors import ArgumentError, ShapeError
from striate.nn import functional as F
from striate.nn.functional.eager import known


class Call(nn.Module):
    """A module whose forward is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(F, *inputs)


X, IMAGE, WEIGHT, BIAS = draw(2, 4, 6, 7), draw(4, 6, 7), draw(6, 2, 3, 3), draw(6)
MEAN, VARIANCE, SCALE = draw(4), np.abs(draw(4, seed=1)), draw(4, seed=2)
CALLS = [
    (lambda F, x, w, b: F.conv2d(x, w, b, 2, (1, 0), 1, 2), X, WEIGHT, BIAS),
    (lambda F, x, w: F.conv2d(x, w, None, padding="same", groups=2), IMAGE, WEIGHT),
    (lambda F, x, w, b: F.linear(x, w, b), draw(3, 5), draw(2, 5), draw(2)),
    (lambda F, x: F.max_pool2d(x, 2, None, 1, ceil_mode=True), X),
    (lambda F, x: F.avg_pool2d(x, (2, 3), 1, (1, 0), False, False), IMAGE),
    (lambda F, x: F.adaptive_avg_pool2d(x, (3, None)), X),
    (lambda F, x: F.adaptive_max_pool2d(x, 3), IMAGE),
    (lambda F, x, *a: F.batch_norm(x, *a), X, MEAN, VARIANCE, SCALE, MEAN),
    (lambda F, x, *a: F.batch_norm(x, *a, eps=0.1), X, MEAN, VARIANCE),
    (lambda F, x, w: F.batch_norm(x, None, None, w, training=True), X, SCALE),
    (lambda F, x: F.relu(x), X),
    (lambda F, x: F.tanh(x), X),
    (lambda F, x: F.sigmoid(x), X),
    (lambda F, x: F.softmax(x, 1), X),
    (lambda F, x: F.log_softmax(x, dim=-1), X),
    (lambda F, x: F.dropout(x, 0.5, False), X),
    (lambda F, x: F.dropout(x, 0.0), X),
    (lambda F, x: F.pad(x, (1, 2)), X),
    (lambda F, x: F.pad(x, [1, 2, 0, 3], "constant", 1.5), IMAGE),
    (lambda F, x, y: F.mse_loss(x, y, reduction="sum"), X, X + 1),
    (lambda F, x, y: F.l1_loss(x, y), X, X + 1),
]  # fmt: skip
TORCH = [
    ("cat", lambda f, *x: f((x[0], x[1]), 1), X, X + 1),
    ("concat", lambda f, *x: f([x[0], x[1], x[0]], dim=-1), X, X + 1),
    ("stack", lambda f, *x: f([x[0], x[1]]), X, X + 1),
    ("stack", lambda f, *x: f([x[0], x[1]], -1), X, X + 1),
    ("flatten", lambda f, x: f(x, 1), X),
    ("flatten", lambda f, x: f(x), X),
]


@pytest.mark.parametrize("function, arrays", [(c[0], c[1:]) for c in CALLS])
def test_function(function, arrays):
    close(run(Call(function), *arrays), function(TF, *map(torch.tensor, arrays)).numpy())


@pytest.mark.parametrize("name, function, arrays", [(c[0], c[1], c[2:]) for c in TORCH])
def test_function_of_torch(name, function, arrays):
    ours = Call(lambda F, *x: function(getattr(F, name), *x))
    close(run(ours, *arrays), function(getattr(torch, name), *map(torch.tensor, arrays)).numpy())


def test_parameters_and_arrays_are_values():
    """A parameter may stand where an input does, and an array for a constant."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(draw(3))

        def forward(self, x):
            return F.linear(x, np.eye(3)) * F.softmax(self.gate, 0)

    net, x = Net(), draw(2, 3)
    close(run(net, x), x * TF.softmax(torch.tensor(net.gate.data).double(), 0).numpy())


WRONG = {
    "functions of nn.functional take symbolic values, got str; use them inside a module's forward and call the module "
    "with arrays": lambda: F.relu("x"),
    "cat got no values; give it at least one": lambda: F.cat([]),
    "batch_norm outside training needs running_mean and running_var": lambda: call(lambda F, x: F.batch_norm(x, None, None)),
}  # fmt: skip


def call(function):
    return run(Call(function), X)


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message


def test_wrong_weight():
    with pytest.raises(ShapeError, match=r"the weight has 3 axes, shape \(6, 2, 3\), but needs 4: \(K, C/G, R, S\)"):
        run(Call(lambda F, x, w: F.conv2d(x, w)), X, draw(6, 2, 3))


def test_functions_of_arrays():
    """Outside of a forward they compute at once; what differs in numbers alone is compiled once."""
    x, w = X.astype(np.float32), WEIGHT.astype(np.float32)
    wanted = TF.conv2d(torch.tensor(X), torch.tensor(WEIGHT), None, 2, 1, 1, 2).numpy()
    close(F.conv2d(x, w, None, 2, padding=1, groups=2), wanted, 1e-5)
    close(F.cat([x, 2 * x], dim=1), np.concatenate([X, 2 * X], 1), 1e-6)
    values, places = F.max_pool2d(x, 2, return_indices=True)
    wanted = TF.max_pool2d(torch.tensor(x), 2, return_indices=True)
    assert np.array_equal(values, wanted[0]) and np.array_equal(places, wanted[1])
    close(F.relu(torch.tensor(X)), np.maximum(X, 0), 1e-6)
    close(st.stack([x[0], x[1]], 1), np.stack([X[0], X[1]], 1), 1e-6)
    assert F.cross_entropy(np.eye(3), np.array([0, 1, 2])).shape == ()
    before = known.cache_info().currsize
    for scale in (1, 2, 3):
        F.leaky_relu(scale * x, 0.3)
    assert known.cache_info().currsize == before + 1
    with pytest.raises(ShapeError, match=r"x has 3 channels but the weight \(6, 2, 3, 3\) with groups=1 reads 2 \* 1 = 2; "):
        F.conv2d(x[:, :3], w)


def test_functions_travel():
    for function in (F.relu, F.concat, F.conv2d):
        assert pickle.loads(pickle.dumps(function)) is function
