"""Receptive fields with the numbers that textbooks and papers give."""

import re

import numpy as np
import pytest
from tests.ask.seen_pixels import positive, support
from tests.notes import geometry
from tests.notes.geometry import field, valid, window

import striate as st
from striate import design, nn
from striate.errors import ArgumentError
from striate.nn import functional as F

VGG16 = [(3, 1, 1)] * 2 + [(2, 2, 0)] + [(3, 1, 1)] * 2 + [(2, 2, 0)] + ([(3, 1, 1)] * 3 + [(2, 2, 0)]) * 3
ALEXNET = [(11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0)]
"""(size, stride, pad) of every convolution and pooling layer up to pool5."""


def test_S055_separable_kernels():
    edge1 = [[1, 0, -1], [0, 0, 0], [-1, 0, 1]]
    edge2 = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    sharpen = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    gauss = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert [design.separation(k).rank for k in (edge1, np.ones((3, 3)), gauss)] == [1, 1, 1]
    assert [design.separation(k).rank for k in (edge2, sharpen)] == [2, 2]
    found = design.separation(gauss)
    np.testing.assert_allclose(np.outer(found.column, found.row), gauss, atol=1e-12)


def test_S059_depthwise_separable():
    found = design.separable(3, 4)
    assert (found.standard, found.depthwise_first) == (3 * 3 * 3 * 4, 27 + 12) == (108, 39)


def test_S060_sixteen_to_thirty_two_channels():
    found = design.separable(16, 32)
    assert (found.standard, found.depthwise_first) == (4608, 144 + 512) == (4608, 656)


def test_S061_the_two_orders():
    found = design.separable(16, 32)
    assert (found.depthwise_first, found.pointwise_first) == (656, 800)


def test_S064_linear_and_exponential_growth():
    assert design.growth([1] * 5) == (3, 5, 7, 9, 11)
    assert design.growth([1, 2, 4, 8, 16]) == (3, 7, 15, 31, 63)
    layers = [window(3, padding=d, dilation=d) for d in (1, 2, 4, 8, 16)]
    assert [f.size for f in field(*layers).layers] == [(n, n) for n in (3, 7, 15, 31, 63)]
    assert design.dilation_rates(63).rates == (1, 2, 4, 8, 16)


def test_S074_stacks_of_small_windows():
    two, three = design.stack(5), design.stack(7, 64)
    assert (two.layers, three.layers) == (2, 3)
    assert (two.weights, two.biases, two.large_weights, two.large_biases) == (18, 2, 25, 1)
    assert (design.stack(5, 64).weights, design.stack(5, 64).large_weights) == (73_728, 102_400)
    assert (three.weights, three.large_weights) == (110_592, 200_704)
    assert field(window(3), window(3)).size == (5, 5) and field(window(3), window(3), window(3)).size == (7, 7)


def test_S087_marked_pixels_are_the_box():
    net = positive(nn.Sequential(nn.Conv2d(1, 2, 5, 2, 2), nn.AvgPool2d(2), nn.Conv2d(2, 1, 3, padding=1)))
    found = st.receptive_field(net, (1, 16, 16))
    box = found.box((0, 3))
    assert found.size == (15, 15) and box.unclipped == ((-6, 9), (6, 21))
    assert box.clipped == support(net, (1, 1, 16, 16), (0, 3)) == ((0, 9), (6, 16))
    assert box.on_padding == 1 - 90 / 225
    assert field(*geometry.resnet((3, 4, 6, 3), "v1")).size == (483, 483)  # larger than the 224 pixels of the input


def test_S088_two_windows_of_three():
    assert field(window(3)).size == (3, 3)
    assert field(window(3), window(3)).size == (5, 5)


def test_S089_two_windows_of_two():
    assert field(valid(2), valid(2)).size == (3, 3)


def test_S090_top_down():
    assert design.in_from_out(VGG16) == 212 and design.in_from_out(ALEXNET) == 195
    pool5 = field(*geometry.vgg16())
    assert pool5.size == (212, 212) and field(*geometry.alexnet(), size=227).size == (195, 195)
    assert field(*geometry.vgg16(), to="9").size == (22, 22)  # pool5 seen from pool3: conv4, conv5 and their poolings
    assert design.in_from_out(VGG16[10:]) == 22


def test_S091_in_from_out():
    assert [design.in_from_out(VGG16, n) for n in (0, 1, 2, 3)] == [1, 3, 5, 6]
    layers = field(*geometry.alexnet(), size=227).layers
    assert [f.size[0] for f in layers] == [design.in_from_out(ALEXNET, n) for n in range(1, 9)]


def test_S092_dilated():
    assert design.in_from_out([(3, 1, 0, d) for d in (1, 2, 4)]) == 15
    assert field(*(window(3, dilation=d) for d in (1, 2, 4))).size == (15, 15)


def test_S093_out_from_in():
    assert [design.out_from_in(227, ALEXNET, n)[0] for n in range(1, 9)] == [55, 27, 27, 13, 13, 13, 13, 6]
    assert design.out_from_in(227, ALEXNET) == (6, 32)
    assert st.trace(nn.Sequential(*geometry.alexnet()), (1, 1, 227, 227)).outputs[0].shape == (1, 1, 6, 6)


def test_S094_padding_moves_the_field():
    vgg, alexnet = field(*geometry.vgg16()), field(*geometry.alexnet(), size=227)
    assert (vgg.start, vgg.padding, vgg.stride) == ((16.0, 16.0), (90, 90), (32, 32))
    assert (alexnet.padding, alexnet.stride) == ((64, 64), (32, 32))
    assert vgg.center == (15.5, 15.5)
    padded, bare = field(window(3, padding=1)), field(valid(3))
    assert padded.size == bare.size and (padded.start, bare.start) == ((0.5, 0.5), (1.5, 1.5))


def test_S095_pooling_counts_like_convolution():
    assert field(nn.MaxPool2d(3, 2), window(3, padding=1)).size == field(valid(3, 2), window(3, padding=1)).size == (7, 7)


def test_S096_pooling_strides_and_dilation_enlarge():
    plain = field(window(3), window(3)).size[0]
    assert field(window(3), nn.MaxPool2d(2), window(3)).size[0] == 8 > plain
    assert field(window(3, 2, 1), window(3)).size[0] == 7 > plain
    assert field(window(3), window(3, dilation=2)).size[0] == 7 > plain
    text = str(field(window(3), nn.MaxPool2d(2), window(3)).drawing())  # a bar for each layer
    assert [int(n) for n in re.findall(r">(\d+)</text>", text)][1::2] == [3, 4, 8]


def test_S097_the_layer_that_suits_an_object():
    found = field(*geometry.vgg16())
    assert [found.covering(pixels).size[0] for pixels in (3, 5, 32, 33, 200)] == [3, 5, 32, 40, 212]
    assert [found.covering(pixels).layer for pixels in (32, 200)] == ["7", "17"]
    sizes = [f.size[0] for f in found.layers]
    assert sizes == sorted(sizes)  # deeper sees more
    with pytest.raises(ArgumentError) as error:
        found.covering(220)
    assert str(error.value) == ("no layer sees an object of 220 pixels: fields go up to 212 on an image of 224 x 224; use more "
                                "layers, strides or dilation")


@pytest.mark.parametrize("depths, kind, size", [
    ((3, 4, 6, 3), "v1", 483), ((3, 4, 6, 3), "v1.5", 427), ((2, 2, 2, 2), "basic", 435), ((3, 4, 6, 3), "basic", 899),
])
def test_S098_residual_networks(depths, kind, size):
    found = field(*geometry.resnet(depths, kind))
    assert (found.size, found.stride, found.aligned) == ((size, size), (32, 32), True)


def test_S098_mobilenet():
    assert field(*geometry.mobilenet_v1()).size == (315, 315)


def test_S098_misaligned_centres_are_flagged():
    class Shifted(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(x, 2, 2) + F.avg_pool2d(x, 3, 2, 1)

    found = st.receptive_field(Shifted(), (1, 32, 32))
    assert found.size == (3, 3) and not found.aligned  # pixels 0..1 and -1..1


@pytest.mark.parametrize("name, size, pixels, padding", [
    ("inception_v2", 224, 699, 318), ("inception_v3", 299, 1311, 618), ("inception_v4", 299, 2071, 998),
])
def test_S099_inception(name, size, pixels, padding):
    found = field(*getattr(geometry, name)(), size=size)
    assert (found.size, found.stride, found.padding) == ((pixels, pixels), (32, 32), (padding, padding))


@pytest.mark.parametrize("depths, size", [((3, 4, 23, 3), 1027), ((3, 8, 36, 3), 1507)])
def test_S099_deep_residual_networks(depths, size):
    assert field(*geometry.resnet(depths, "v1")).size == (size, size)


def test_E20_pooling_is_one_more_window_and_padding_only_moves():
    with_pooling = [(3, 1, 1), (2, 2, 0), (3, 1, 1)]
    assert design.in_from_out(with_pooling) == 8 == design.in_from_out([(k, s, 0) for k, s, _ in with_pooling])
    edge = field(window(3, padding=1), nn.MaxPool2d(2), window(3, padding=1)).box((0, 0))
    assert edge.unclipped == ((-3, 5),) * 2 and edge.clipped == ((0, 5),) * 2


def test_E21_sizes_are_rounded_down():
    assert design.out_from_in(6, [(3, 2, 0)]) == (2, 2)  # 5/2 would be 2.5
    assert design.out_from_in(10, [(3, 1, 0, 2)]) == (6, 1)


def test_E26_constant_rates_grow_linearly():
    assert design.growth([2] * 5) == (5, 9, 13, 17, 21)
