"""Help for designers: answers checked against the windows and the layers that they speak of."""

import numpy as np
import pytest

import striate as st
from striate import design, nn
from striate.errors import ArgumentError, ShapeError
from striate.window import Window


@pytest.mark.parametrize("size, stride, dilation, n", [(3, 1, 1, 28), (5, 1, 2, 28), (2, 1, 1, 9), (4, 2, 1, 7), (3, 3, 2, 10)])
def test_same_padding_keeps_the_size(size, stride, dilation, n):
    found = design.same_padding(size, stride, dilation, n)
    conv = nn.Conv2d(1, 1, size, stride, (found.low, found.high, found.low, found.high), dilation)
    assert st.trace(conv, (1, 1, n, n)).outputs[0].shape[2:] == (-(-n // stride),) * 2
    assert found.out == -(-n // stride)


def test_same_padding_in_words():
    assert str(design.same_padding(2)) == (
        "pad 0 before and 1 after: a window of 2 = 1 * (2 - 1) + 1 pixels and stride 1 makes 224 of 224 pixels; the two differ, "
        "so the map moves by half a pixel: an odd window keeps it in place")
    assert str(design.same_padding(3, 2)) == (
        "pad 0 before and 1 after: a window of 3 = 1 * (3 - 1) + 1 pixels and stride 2 makes 112 of 224 pixels")


@pytest.mark.parametrize("size, channels, small", [(5, 1, 3), (7, 64, 3), (9, 8, 5), (4, 2, 2)])
def test_a_stack_has_the_weights_that_its_layers_have(size, channels, small):
    found = design.stack(size, channels, small)
    layers = [nn.Conv2d(channels, channels, small) for _ in range(found.layers)]
    assert st.receptive_field(nn.Sequential(*layers), (channels, 32, 32)).size == (size, size)
    assert sum(layer.weight.size for layer in layers) == found.weights
    assert sum(layer.bias.size for layer in layers) == found.biases
    one = nn.Conv2d(channels, channels, size)
    assert (one.weight.size, one.bias.size) == (found.large_weights, found.large_biases)


def test_a_stack_in_words():
    assert str(design.stack(7, 64)) == (
        "3 layers of 3x3 see 7x7: 110,592 + 192 weights and biases instead of 200,704 + 64, 45% of the weights saved, and 2 more "
        "activations between them")


def test_separable_has_the_weights_that_its_layers_have():
    found = design.separable(6, 10, 5)
    both = nn.Conv2d(6, 6, 5, groups=6, bias=False).weight.size + nn.Conv2d(6, 10, 1, bias=False).weight.size
    turned = nn.Conv2d(6, 10, 1, bias=False).weight.size + nn.Conv2d(10, 10, 5, groups=10, bias=False).weight.size
    standard = nn.Conv2d(6, 10, 5, bias=False).weight.size
    assert (found.standard, found.depthwise_first, found.pointwise_first) == (standard, both, turned)
    assert found.saved == pytest.approx(1 - (1 / 10 + 1 / 25))
    assert str(design.separable(16, 32)) == ("standard 4,608 weights; depthwise then pointwise 656, 86% saved; pointwise then "
                                             "depthwise 800; multiply-accumulates for each output pixel are as many")


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
@pytest.mark.parametrize("field", [2, 3, 10, 31, 32, 63, 100])
def test_dilation_rates_reach_the_field_without_gaps(field, kernel_size):
    found = design.dilation_rates(field, kernel_size)
    assert field <= found.fields[-1] < field + kernel_size - 1
    net = nn.Sequential(*(nn.Conv2d(1, 1, (1, kernel_size), dilation=(1, rate), bias=False) for rate in found.rates))
    for parameter in net.parameters():
        parameter.data = np.ones(parameter.shape)
    y, pullback = st.vjp(net, np.ones((1, 1, 1, found.fields[-1]), np.float32))
    assert y.shape == (1, 1, 1, 1) and pullback(np.ones_like(y))[0].min() > 0  # every pixel of the field counts
    assert len(found.rates) == 1 or design.growth([2**i for i in range(len(found.rates) - 1)], kernel_size)[-1] < field


def test_dilation_in_words():
    assert str(design.dilation_rates(25)) == ("rates 1, 2, 4, 5 of 3x3 windows see 3, 7, 15, 25 pixels after each layer; without "
                                              "dilation this takes 12 layers")


def test_layers_may_be_windows():
    assert design.in_from_out([Window(3, 2), Window(3, dilation=2)]) == 11
    assert design.out_from_in(224, [Window(3, 2, pads=(0, 1))]) == (112, 2)


def test_separation_in_words():
    assert str(design.separation([[1, 2, 1], [2, 4, 2], [1, 2, 1]])) == (
        "rank 1: separable, column (1, 2, 1) times row (1, 2, 1), 6 multiplications instead of 9")
    assert str(design.separation([[0, 1, 0], [1, -4, 1], [0, 1, 0]])) == (
        "rank 2: not separable; 2 columns and rows make it, 12 multiplications instead of 9")


def test_wrong_use_is_explained():
    for call, kind, text in [
        (lambda: design.stack(6), ArgumentError,
         "layers of 3 pixels see 1 + 2 * layers pixels, which is never 6 with two layers or more; use a size such as 7"),
        (lambda: design.separable(0, 4), ArgumentError, "channels and window must be at least 1, got 0, 4, 3"),
        (lambda: design.dilation_rates(1), ArgumentError,
         "dilation widens fields of 2 pixels and more with windows of 2 and more, got field=1, kernel_size=3"),
        (lambda: design.out_from_in(2, [(3, 1, 0)]), ShapeError,
         "axis: a window of 3 = 1 * (3 - 1) + 1 pixels does not fit in 2 = 2 + 0 + 0 (input + padding); pad by at least 1 more "
         "or use a larger input"),
    ]:
        with pytest.raises(kind) as error:
            call()
        assert str(error.value) == text
