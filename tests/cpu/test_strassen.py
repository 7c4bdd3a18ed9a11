"""Where networks multiply by Strassen's algorithm, and what they may rely on."""

import numpy as np
import pytest
from tests.cpu.helpers import error, floats

import striate as st
from striate import nn, optim
from striate.engine import forward_program
from striate.kernel.machine import host

pytestmark = pytest.mark.skipif(host().registers < 32, reason="a tile needs 32 registers")
BOUND = 1e-5
"""Largest error beside the largest number of an array."""


def kernels(net, x) -> list[str]:
    return [c.kernel.name for c in forward_program(net, x).calls]


def layer(C: int, K: int) -> nn.Conv2d:
    net = nn.Conv2d(C, K, 1)
    net.weight.data = floats(K, C, 1, 1) * np.float32(np.sqrt(2 / C))
    return net


def exact(net, x) -> np.ndarray:
    """In float64."""
    y = np.einsum("kc,nchw->nkhw", net.weight.data[:, :, 0, 0].astype(float), x.astype(float))
    return y + net.bias.data[:, None, None]


@pytest.mark.parametrize("C, K, size, images", [
    (64, 128, 56, 1), (128, 128, 56, 1), (256, 256, 28, 1), (512, 512, 14, 1), (1024, 1024, 7, 2),  # MobileNet v1
    (64, 256, 56, 1), (256, 64, 56, 1), (512, 128, 28, 1), (1024, 256, 14, 1), (2048, 512, 7, 8),  # ResNet-50
], ids=str)  # fmt: skip
def test_error_of_layers(C, K, size, images):
    net, x = layer(C, K), np.maximum(floats(images, C, size, size), 0)
    assert "GemmStrassen" in kernels(net, x)
    assert error(net(x), exact(net, x)) < BOUND


@pytest.mark.parametrize("stride, size, fast", [
    (2, (28, 28), True), (2, (27, 27), True), ((1, 2), (14, 28), True), ((3, 1), (40, 14), True), (2, (26, 26), False),
], ids=str)  # fmt: skip
def test_strides(stride, size, fast):
    """Pixels are read where they lie, if lines fall into tiles; those between may be anything."""
    dense = layer(256, 512)
    net, x = nn.Conv2d(256, 512, 1, stride=stride), np.full((2, 256, *size), np.nan, np.float32)
    net.load_state_dict(dense.state_dict())
    down, along = (stride, stride) if isinstance(stride, int) else stride
    met = floats(*x[:, :, ::down, ::along].shape)
    x[:, :, ::down, ::along] = met
    assert ("GemmStrassen" in kernels(net, x)) == fast
    assert error(net(x), exact(dense, met)) < BOUND


def test_gradients_of_strided_layers():
    """As those of the pixels alone, and zeros between."""
    dense, strided = layer(256, 512), nn.Conv2d(256, 512, 1, stride=2)
    strided.load_state_dict(dense.state_dict())
    x, dy = floats(8, 256, 28, 28), floats(8, 512, 14, 14)
    (y, back), (wanted, dense_back) = st.vjp(strided, x), st.vjp(dense, np.ascontiguousarray(x[:, :, ::2, ::2]))
    (dx, found), (dense_dx, expected) = back(dy), dense_back(dy)
    assert error(y, wanted) < BOUND and error(dx[:, :, ::2, ::2], dense_dx) < BOUND
    assert np.count_nonzero(dx) <= dense_dx.size
    for name, gradient in expected.items():
        assert error(found[name], gradient) < BOUND


def test_weights_may_change():
    net, x = layer(128, 256), floats(1, 128, 28, 28)
    before = np.array(net(x))
    net.weight.data = net.weight.data * 2
    net.bias.data = net.bias.data * 2
    np.testing.assert_array_equal(net(x), before * 2)


def test_images_do_not_see_each_other():
    """Not even where one is infinite: blocks of rows are parts of one image. Pixels of one image do."""
    net, x = layer(128, 256), floats(3, 128, 14, 14)
    alone = np.array(net(x))
    assert "GemmStrassen" in kernels(net, x)
    x[1] = np.inf
    y = np.array(net(x))
    assert not np.isfinite(y[1]).any()
    np.testing.assert_array_equal(y[::2], alone[::2])


def test_tokens_of_a_sequence_do_not_see_each_other():
    """A linear layer rounds every row by itself."""
    net, x = nn.Linear(128, 256), floats(2, 64, 128)
    alone = np.array(net(x))
    x[:, 0] *= 1e6
    np.testing.assert_array_equal(np.array(net(x))[:, 1:], alone[:, 1:])


def test_weights_that_change_need_more_rows():
    """Their sums are made anew for each step, which few rows would not pay for."""
    for images, times in ((1, 0), (8, 3)):  # two forward and one input gradient
        net, x = nn.Sequential(layer(256, 512), layer(512, 256)), floats(images, 256, 14, 14)
        step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1))
        calls = [c.kernel.name for c in step.program(x, x).calls]
        assert calls.count("GemmStrassen") == times


def test_not_where_it_must_be_precise():
    net, x = layer(128, 256), floats(1, 128, 28, 28)
    assert "GemmStrassen" in kernels(net, x)
    net.precise = True
    assert "GemmStrassen" not in kernels(net, x)
