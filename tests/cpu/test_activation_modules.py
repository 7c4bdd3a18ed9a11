"""Activations, softmax and dropout compiled: outputs and gradients beside the references and PyTorch in float64."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, check_module, check_network, close, floats

import striate as st
from striate import nn
from striate.nn import functional as F

MAKERS = [
    lambda n: n.ReLU(), lambda n: n.ReLU6(), lambda n: n.LeakyReLU(0.1), lambda n: n.LeakyReLU(-0.2), lambda n: n.PReLU(),
    lambda n: n.ELU(0.7), lambda n: n.CELU(1.3), lambda n: n.SELU(), lambda n: n.SiLU(), lambda n: n.Mish(), lambda n: n.GELU(),
    lambda n: n.GELU("tanh"), lambda n: n.Hardswish(), lambda n: n.Hardsigmoid(), lambda n: n.Hardtanh(-0.5, 2.0),
    lambda n: n.Softplus(2.0, 3.0), lambda n: n.Softsign(), lambda n: n.Tanh(), lambda n: n.Sigmoid(), lambda n: n.LogSigmoid(),
    lambda n: n.Tanhshrink(), lambda n: n.Softshrink(0.3), lambda n: n.Hardshrink(), lambda n: n.Threshold(0.1, 20),
    lambda n: n.Softmax(-1), lambda n: n.Softmin(0), lambda n: n.LogSoftmax(-1),
]  # fmt: skip
NAMES = [repr(make(nn)) for make in MAKERS]


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
@pytest.mark.parametrize("shape", [(17,), (3, 5, 7), (2, 17, 3, 5)], ids=str)
def test_alone(make, shape):
    check_module(make, *shape, modes=(False,))


@pytest.mark.parametrize("make", MAKERS[:-3], ids=NAMES[:-3])
def test_in_a_chain(make):
    """At the end of a convolution, before a batch norm, behind a linear layer."""
    check_module(lambda n: n.Sequential(
        n.Conv2d(3, 9, 3), make(n), n.BatchNorm2d(9), make(n), n.Flatten(), n.Linear(9 * 3 * 4, 7), make(n)
    ), 4, 3, 5, 6, modes=(False,))  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 5), (2, 6, 3, 5), (1, 6, 2, 3, 4)], ids=str)
def test_prelu_of_channels(shape):
    check_module(lambda n: n.PReLU(6, 0.1), *shape, modes=(False, True))


def test_prelu_in_training():
    check_module(lambda n: n.Sequential(n.Conv2d(3, 17, 3, padding=1), n.PReLU(17), n.Conv2d(17, 5, 1), n.PReLU()), 3, 3, 6, 5)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)], ids=str)
def test_softmax2d(shape):
    check_module(lambda n: n.Softmax2d(), *shape, modes=(False,))


@pytest.mark.parametrize("dim, shape", [(-1, (3, 6)), (1, (2, 6, 3, 5)), (2, (2, 3, 4, 5)), (0, (4,))], ids=str)
def test_glu(dim, shape):
    check_module(lambda n: n.GLU(dim), *shape, modes=(False,))


@pytest.mark.parametrize("beta", [1.0, 0.5, -2.0])
@pytest.mark.parametrize("trainable", [False, True])
def test_swish(beta, trainable):
    net, x = nn.Swish(beta, trainable), floats(3, 17, 4)
    y, pullback = st.vjp(net, x)
    tx, tb = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, [beta]))
    wanted = tx * torch.sigmoid(tb * tx)
    wanted.backward(torch.ones_like(wanted))
    dx, gradients = pullback(np.ones_like(x))
    close(y, wanted.detach(), FORWARD)
    close(dx, tx.grad, FORWARD)
    assert list(gradients) == (["beta"] if trainable else [])
    if trainable:
        close(gradients["beta"], tb.grad, FORWARD)


@pytest.mark.parametrize("groups, dim, shape", [(2, 1, (3, 8)), (3, 1, (2, 6, 3, 5)), (4, -1, (2, 3, 8)), (1, 1, (2, 3, 4, 4))],
                         ids=str)
def test_maxout(groups, dim, shape):
    x = floats(*shape)
    y, pullback = st.vjp(nn.Maxout(groups, dim), x)
    tx = torch.tensor(x, requires_grad=True)
    wanted = torch.unflatten(tx, dim, (-1, groups)).amax(dim % len(shape) + 1)
    dy = floats(*wanted.shape, seed=1)
    wanted.backward(torch.tensor(dy))
    close(y, wanted.detach(), 0.0)
    close(pullback(dy)[0], tx.grad, 0.0)


def test_maxout_behind_a_convolution():
    st.seed(0)
    check_network(nn.Sequential(nn.Conv2d(3, 34, 3), nn.Maxout(2), nn.Conv2d(17, 4, 1), nn.Maxout(4)), floats(2, 3, 6, 5))


def test_relu_with_derivative_1_at_0():
    x = np.array([-1, 0, 2], np.float32)
    y, pullback = st.vjp(nn.ReLU(at_zero=1), x)
    assert y.tolist() == [0, 0, 2] and pullback(np.ones(3))[0].tolist() == [0, 1, 1]


class Dropped(nn.Module):
    """A dropout between other layers, so that its mask joins their kernels."""

    def __init__(self, layer):
        super().__init__()
        self.conv, self.layer, self.last = nn.Conv2d(3, 17, 3), layer, nn.Conv2d(17, 4, 1)

    def forward(self, x):
        return self.last(self.layer(self.conv(x).relu()) * 2)


DROPOUTS = [nn.Dropout(0.3), nn.Dropout(0.3, mode="downscale_in_infer"), nn.Dropout2d(0.4), nn.AlphaDropout(0.3),
            nn.FeatureAlphaDropout(0.4), nn.RReLU(0.1, 0.5)]


@pytest.mark.parametrize("layer", DROPOUTS, ids=repr)
@pytest.mark.parametrize("training", [True, False])
def test_random_layers_draw_what_their_references_draw(layer, training):
    st.seed(0)
    check_network(Dropped(layer).train(training), floats(3, 3, 6, 5), seed=5)


@pytest.mark.parametrize("layer, shape", [
    (nn.Dropout1d(0.4), (3, 5, 4)), (nn.Dropout1d(0.4), (5, 4)), (nn.Dropout2d(0.4), (3, 5, 4)),
    (nn.Dropout2d(0.4), (2, 17, 3, 4)),
    (nn.Dropout3d(0.4), (2, 5, 2, 3, 4)), (nn.Dropout3d(0.4), (5, 2, 3, 4)), (nn.AlphaDropout(0.4), (3, 7)),
    (nn.FeatureAlphaDropout(0.4), (3, 17)), (nn.RReLU(), (3, 5, 7)), (nn.AlphaDropout(1.0), (4,)), (nn.Dropout(0.5), (40,)),
], ids=str)  # fmt: skip
def test_random_layers_of_all_shapes(layer, shape):
    check_network(layer, floats(*shape), seed=3)


@pytest.mark.parametrize("layer", DROPOUTS, ids=repr)
def test_masks_do_not_depend_on_the_threads(layer):
    st.seed(0)
    net, x, found = Dropped(layer), floats(3, 3, 6, 5), []
    before = st.get_num_threads()
    for threads in (1, 2, 3):
        st.set_num_threads(threads)
        st.seed(7)
        found.append(net(x))
    st.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


@pytest.mark.parametrize("make", [lambda n: n.AlphaDropout(0.3), lambda n: n.FeatureAlphaDropout(0.3), lambda n: n.RReLU(),
                                  lambda n: n.Dropout1d(), lambda n: n.Dropout3d(), lambda n: n.Dropout2d()],
                         ids=lambda m: repr(m(nn)))
def test_in_evaluation_they_are_pytorchs(make):
    check_module(make, 2, 3, 4, 5) if isinstance(make(nn), nn.Dropout) else check_module(
        make, *((2, 3, 4) if "1d" in repr(make(nn)) else (2, 3, 4, 5)), modes=(False,))


class Arithmetic(nn.Module):
    """One function."""

    def __init__(self, function, **arrays):
        super().__init__()
        self.function = function
        for name, array in arrays.items():
            self.register_parameter(name, nn.Parameter(array))

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize("function", [
    lambda net, x: F.where(x > 0, x, net.p), lambda net, x: x.maximum(net.p) + x.minimum(0.5), lambda net, x: x.clamp(-0.5, 1),
    lambda net, x: F.where(net.p <= x, 0.0, x.sin()) * x.cos(), lambda net, x: x.erf() * x.sign() + x.square(),
    lambda net, x: (x * x + 1).rsqrt() + (x * x + 1).reciprocal(), lambda net, x: x.clip(max=0.2) * (x.ne(0) + x.eq(net.p)),
    lambda net, x: F.clamp(x, min=0.1) * F.maximum(x, net.p) - F.minimum(net.p, x),
], ids=range(8))  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 6, 4, 5), (3, 17)], ids=str)
def test_arithmetic(function, shape):
    check_network(Arithmetic(function, p=floats(shape[-1], seed=1)), floats(*shape))


@pytest.mark.parametrize("a, b", [
    ((3, 5), (5, 7)), ((2, 3, 5), (5, 17)), ((2, 3, 5), (2, 5, 4)), ((3, 5), (2, 5, 4)), ((2, 1, 3, 5), (4, 5, 6)),
    ((5,), (5, 3)), ((3, 5), (5,)), ((5,), (5,)), ((2, 3, 5), (5,)), ((5,), (2, 5, 3)), ((1, 33, 1), (1, 1, 20)),
], ids=str)  # fmt: skip
def test_matmul(a, b):
    net, x = Arithmetic(lambda net, x: (x * 1) @ (net.p * 1) + x @ net.p * 0.5, p=floats(*b, seed=1)), floats(*a)
    close(net(x), 1.5 * (x @ net.p.data), FORWARD)
    check_network(net, x)


def test_attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.make = nn.Linear(12, 36)

        def forward(self, x):
            q, k, v = (t.reshape(2, 7, 3, 4).transpose(1, 2) for t in self.make(x).chunk(3, -1))
            weights = (F.matmul(q, k.transpose(-1, -2)) / 2).softmax(-1)
            return (weights @ v).transpose(1, 2).reshape(2, 7, 12)

    st.seed(0)
    check_network(Attention(), floats(2, 7, 12))
