"""The numbers that the study notes give for activations, and the places where they err: S126 to S143, S169, E03, E19, E22."""

import numpy as np
import pytest

import striate as st
from striate import nn, ops
from striate.ask.backward import explain_backward, gradient_norms


def at(layer, *x):
    """The compiled layer at these numbers."""
    return layer(np.array(x, np.float32)).tolist()


def slopes(layer, *x):
    """Its compiled derivative."""
    _, pullback = st.vjp(layer, np.array(x, np.float32))
    return pullback(np.ones(len(x)))[0].tolist()


def test_S126_sigmoid():
    assert at(nn.Sigmoid(), 2) == pytest.approx([0.880797], abs=1e-6)
    assert at(nn.Sigmoid(), -1000, 1000) == [0, 1]


def test_S127_slope_of_sigmoid():
    """1 / (2 + e^x + e^-x), largest at 0."""
    x = np.linspace(-8, 8, 1601)
    s = ops.Sigmoid().reference(x)
    assert np.abs(s * (1 - s) - 1 / (2 + np.exp(x) + np.exp(-x))).max() < 2e-16
    assert slopes(nn.Sigmoid(), 0) == [0.25] and max(slopes(nn.Sigmoid(), *x)) == 0.25


def test_S128_tanh():
    assert at(nn.Tanh(), 1) == pytest.approx([0.761594], abs=1e-6)


def test_S129_relu():
    assert at(nn.ReLU(), -2, 0, 3) == [0, 0, 3]


def test_E19_the_derivative_of_relu_at_0_is_a_choice():
    assert slopes(nn.ReLU(), -1, 0, 1) == [0, 0, 1]
    assert slopes(nn.ReLU(at_zero=1), -1, 0, 1) == [0, 1, 1]


def test_S130_dead_units_are_reported():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    net[0].weight.data = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    net[0].bias.data = np.array([1, -1, 1, -1], np.float32)  # of positive inputs two units never fire
    x = np.abs(np.random.default_rng(0).standard_normal((20, 3)))
    assert explain_backward(net, nn.HalfSquaredError(), x, np.ones((20, 4)), show=False).of("1").dead == 0.5


def test_S131_leaky_relu():
    assert at(nn.LeakyReLU(), -1, 2) == pytest.approx([-0.01, 2])


def test_S132_prelu_learns_its_slope():
    layer, x = nn.PReLU(3), np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert layer.weight.data.tolist() == [0.25] * 3
    _, pullback = st.vjp(layer, x)
    assert pullback(np.ones_like(x))[1]["weight"] == pytest.approx(np.minimum(x, 0).sum(0), rel=1e-5)


def test_S133_elu():
    assert at(nn.ELU(), -1) == pytest.approx([-0.632121], abs=1e-6)


def test_S134_swish():
    assert at(nn.Swish(), 1, -1) == pytest.approx([0.731059, -0.268941], abs=1e-6)
    assert at(nn.Swish(beta=2.0), 1) == pytest.approx([1 / (1 + np.exp(-2))], rel=1e-6)


def test_S135_hswish():
    assert at(nn.Hardswish(), 1, -1) == pytest.approx([0.666667, -0.333333], abs=1e-6)


def test_S136_maxout_of_x_and_minus_x_is_its_size():
    pieces = nn.Linear(1, 2, bias=False)
    pieces.weight.data = np.array([[1], [-1]], np.float32)
    x = np.linspace(-3, 3, 7, dtype=np.float32)[:, None]
    assert np.array_equal(nn.Sequential(pieces, nn.Maxout(2))(x), np.abs(x))


RANGES = [(nn.Sigmoid(), 0, 1), (nn.Tanh(), -1, 1), (nn.ReLU(), 0, np.inf)]


@pytest.mark.parametrize("layer, low, high", RANGES, ids=repr)
def test_S138_ranges(layer, low, high):
    y = np.array(at(layer, *np.linspace(-50, 50, 1001)))
    assert y.min() >= low and y.max() <= high


def test_E22_ranges_are_open_and_relu_is_not_bounded():
    assert 0 < at(nn.Sigmoid(), -8)[0] and at(nn.Sigmoid(), 8)[0] < 1 and abs(at(nn.Tanh(), 5)[0]) < 1
    assert at(nn.ReLU(), 1e30)[0] == pytest.approx(1e30)


def test_S139_linear_layers_collapse_to_one():
    """W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2): the proof, layer by layer, for networks of any depth."""
    st.seed(0)
    layers = [nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)]
    W, b = np.eye(3), np.zeros(3)
    for layer in layers:
        W, b = layer.weight.data @ W, layer.weight.data @ b + layer.bias.data
    one = nn.Linear(3, 2)
    one.weight.data, one.bias.data = W.astype(np.float32), b.astype(np.float32)
    x = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    assert nn.Sequential(*layers)(x) == pytest.approx(one(x), abs=1e-6)
    curved = nn.Sequential(layers[0], nn.ReLU(), *layers[1:])
    assert np.abs(curved(x) - one(x)).max() > 0.05


def deep(kind, depth):
    st.seed(0)
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(8, 8), kind())))


@pytest.mark.parametrize("depth, bound", [(5, 9.8e-4), (10, 9.5e-7)])
def test_S140_gradients_vanish_behind_sigmoids(depth, bound):
    """A quarter for each sigmoid: the bound of the note, exactly met by weights of 1 at 0."""
    assert 0.25**depth == pytest.approx(bound, rel=0.01)
    net = nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(1, 1), nn.Sigmoid())))
    for i in range(0, 2 * depth, 2):  # every sigmoid stands at 0, where it is 1/2
        net[i].weight.data, net[i].bias.data = np.ones((1, 1), np.float32), np.full(1, -0.5 if i else 0, np.float32)
    _, pullback = st.vjp(net, np.zeros((1, 1)))
    assert pullback(np.ones((1, 1)))[0].item() == pytest.approx(0.25**depth, rel=1e-5)


def test_E03_the_front_layers_vanish():
    """The layers near the input get least; those near the output do not vanish."""
    x, y = np.random.default_rng(1).standard_normal((16, 8)), np.ones((16, 8))
    norms = {}
    for kind in (nn.Sigmoid, nn.ReLU):
        found = gradient_norms(explain_backward(deep(kind, 8), nn.MSELoss(), x, y, show=False))
        norms[kind] = [n for name, n in found.items() if name.endswith("weight")]
    assert norms[nn.Sigmoid] == sorted(norms[nn.Sigmoid]) and norms[nn.Sigmoid][0] < 1e-4 * norms[nn.Sigmoid][-1]
    assert norms[nn.ReLU][0] / norms[nn.ReLU][-1] > 100 * norms[nn.Sigmoid][0] / norms[nn.Sigmoid][-1]


def test_S141_saturation_is_reported():
    """|slope of sigmoid| is below 1/1000 beyond 6.9."""
    x = np.array([[-10.0, -7, 0, 5, 6.8, 7, 20, 1]])
    found = explain_backward(nn.Sigmoid(), nn.HalfSquaredError(), x, np.ones_like(x), show=False)
    assert found.rows[0].flat == 0.5


@pytest.mark.parametrize("kind, below", [(nn.Tanh, True), (None, False)])
def test_S143_only_a_network_with_activations_fits_a_sine(kind, below):
    st.seed(0)
    layers = [nn.Linear(1, 24), nn.Linear(24, 24), nn.Linear(24, 1)]
    net = nn.Sequential(*([layers[0], kind(), layers[1], kind(), layers[2]] if kind else layers))
    x = np.linspace(-3, 3, 64, dtype=np.float32)[:, None]
    step = st.compile(net, nn.MSELoss(), st.optim.Adam(lr=0.01))
    for _ in range(500):
        loss = step(x, np.sin(x))
    assert (loss < 1e-3) == below and (below or loss > 0.1)


def test_S169_softmax():
    assert nn.Softmax(0)(np.array([1, 2, 3], np.float32)) == pytest.approx([0.090031, 0.244728, 0.665241], abs=1e-6)
    large = nn.Softmax(0)(np.array([1000, 1001, 1002], np.float32))
    assert large == pytest.approx([0.090031, 0.244728, 0.665241], abs=1e-6)
