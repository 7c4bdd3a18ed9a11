"""Initialisation: PyTorch's bounds and spreads, by name, and by default in each layer."""

import math

import numpy as np
import pytest
import torch

import striate as st
from striate import nn, random
from striate.errors import ArgumentError

SHAPES = [(64, 32, 3, 3), (200, 300)]
SPREADS = [
    ("kaiming_uniform_", {}), ("kaiming_uniform_", {"a": math.sqrt(5)}), ("kaiming_uniform_", {"mode": "fan_out"}),
    ("kaiming_normal_", {"nonlinearity": "relu"}), ("kaiming_normal_", {"a": 1, "mode": "fan_out"}),
    ("xavier_uniform_", {}), ("xavier_uniform_", {"gain": 2}), ("xavier_normal_", {"gain": 0.5}),
    ("normal_", {"mean": 3, "std": 0.2}), ("uniform_", {"a": -1, "b": 3}),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name, options", SPREADS)
def test_spread(name, options, shape):
    random.seed(0)
    mine = nn.Parameter(np.zeros(shape))
    assert getattr(nn.init, name)(mine, **options) is mine
    wanted = getattr(torch.nn.init, name)(torch.empty(shape), **options).numpy()
    assert mine.data.dtype == np.float32 and mine.version == 1
    for measure in (np.mean, np.std, np.min, np.max):
        margin = 0.02 * np.ptp(wanted) if "uniform" in name or measure in (np.mean, np.std) else 0.2 * np.ptp(wanted)
        assert abs(measure(mine.data) - measure(wanted)) < margin


def test_constants():
    weight = nn.Parameter(np.zeros((2, 3)))
    assert (nn.init.constant_(weight, 0.5).data == 0.5).all()
    assert (nn.init.ones_(weight).data == 1).all() and not nn.init.zeros_(weight).data.any()


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain(name):
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.parametrize("make", [lambda nn: nn.Conv2d(16, 64, 3, groups=2), lambda nn: nn.Linear(200, 100)])
def test_layers_start_as_pytorchs(make):
    random.seed(0)
    mine, theirs = make(nn), make(torch.nn)
    for name, parameter in theirs.named_parameters():
        wanted, got = parameter.detach().numpy(), mine.state_dict()[name]
        assert np.abs(got).max() <= 1 / math.sqrt(nn.init.fans(mine.weight)[0])
        assert np.abs(got).max() > 0.9 * np.abs(wanted).max() and abs(got.std() / wanted.std() - 1) < 0.2


def test_large_tensors_are_drawn_in_one_go():
    """In pieces, but the numbers are those of one call of the generator."""
    weight = nn.Parameter.empty((3, nn.init.PIECE))
    for function, draw in ((nn.init.normal_, "normal"), (nn.init.uniform_, "uniform")):
        random.seed(5)
        function(weight, -1.0, 2.0)
        wanted = getattr(np.random.default_rng(5), draw)(-1.0, 2.0, weight.shape)
        np.testing.assert_array_equal(weight.data, wanted.astype(np.float32))


def test_new_numbers_for_one_parameter_keep_what_the_others_have_learned():
    random.seed(0)
    net = nn.Linear(3, 2)
    step = st.compile(net, nn.MSELoss(), st.optim.SGD(lr=0.5))
    start = net.bias.numpy()
    step(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32))
    nn.init.zeros_(net.weight)
    assert not net.weight.data.any() and (net.bias.data != start).all()


def test_seed_gives_the_same_network():
    random.seed(3)
    first = nn.Conv2d(2, 3, 3).state_dict()
    other = nn.Conv2d(2, 3, 3).state_dict()
    random.seed(3)
    again = nn.Conv2d(2, 3, 3).state_dict()
    assert all((first[k] == again[k]).all() and not (first[k] == other[k]).all() for k in first)


WRONG = {
    "fan_in and fan_out need a weight of at least 2 axes, got shape (3,)":
        lambda: nn.init.kaiming_normal_(nn.Linear(2, 3).bias),
    "mode must be 'fan_in' or 'fan_out', got 'fan'": lambda: nn.init.kaiming_normal_(nn.Linear(2, 3).weight, mode="fan"),
    "unknown nonlinearity 'swish'; use one of leaky_relu, linear, conv1d, conv2d, conv3d, sigmoid, tanh, relu, selu":
        lambda: nn.init.calculate_gain("swish"),
    "nn.init changes parameters, got ndarray; give it a layer's .weight or .bias": lambda: nn.init.zeros_(np.ones(3)),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message
