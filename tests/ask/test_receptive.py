"""Receptive fields against the gradient's support, and what the answer says."""

import re
from fractions import Fraction

import numpy as np
import pytest
from tests.ask.seen_pixels import RandomDag, positive, support

import striate as st
from striate import models, nn
from striate.ask.receptive import Box
from striate.errors import ArgumentError
from striate.nn import functional as F
from striate.nn import init

SHAPE = (2, 29, 24)


def corners_and_middle(shape):
    return [(0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3), (1 % shape[0], 0)]


def boxes_agree(net, shape=SHAPE):
    """The clipped box of some positions is the box around the gradient's support."""
    found = st.receptive_field(net, shape)
    axes = [law.axis if law.axis is not None else i + 2 for i, law in enumerate(found.laws)]
    for position in corners_and_middle([found.value.shape[axis] for axis in axes]):
        box = found.box(position)
        assert box.clipped == support(net, (1, *shape), position, axes), (position, found)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed):
    net = RandomDag(seed)
    st.trace(net, (1, *SHAPE))
    boxes_agree(net)


@pytest.mark.parametrize("seed", range(25))
def test_size_and_stride_of_windows_and_branches(seed):
    """Inside the image nothing is clipped: the boxes have the sizes and strides that are told."""
    net = RandomDag(seed, plain=True, steps=4)
    shape = (2, 85, 85)
    st.trace(net, (1, *shape))
    found = st.receptive_field(net, shape)
    inside = [p for p in range(min(found.value.shape[2:])) if all(0 <= a and b <= 85 for a, b in found.box((p, p)).unclipped)]
    for p in inside[:2]:
        assert found.box((p, p)).unclipped == found.box((p, p)).clipped == support(net, (1, *shape), (p, p))
        first, stop = found.box((p, p)).unclipped[0]
        assert (first, stop) == (found.stride[0] * p - found.padding[0], found.stride[0] * p - found.padding[0] + found.size[0])
        assert found.center[0] + found.stride[0] * p == (first + stop - 1) / 2


PUBLISHED = {
    "vgg16": ("features", 212, 90), "alexnet": ("features", 195, 64), "resnet18": ("layer4", 435, 217),
    "resnet34": ("layer4", 899, 449), "resnet50": ("layer4", 427, 213), "mobilenet_v1": ("blocks.4.1", 315, 157),
    "mobilenet_v2": ("features", 491, 245), "inception_v3": ("Mixed_7c", 1311, 618),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_fields_of_our_models(name):
    layer, size, padding = PUBLISHED[name]
    with init.skipped():
        net = models.create(name)
    found = st.receptive_field(net, models.input_shape(net), of=layer)
    assert (found.size, found.stride, found.padding, found.aligned) == ((size,) * 2, (32, 32), (padding,) * 2, True)


def test_one_window():
    found = st.receptive_field(nn.Conv2d(1, 1, (3, 5), stride=(1, 2), padding=(0, 2), dilation=(2, 1)), (1, 20, 20))
    assert (found.size, found.stride, found.start, found.center, found.padding) == \
        ((5, 5), (1, 2), (2.5, 0.5), (2.0, 0.0), (0, 2))
    assert found.aligned and not found.whole and not isinstance(found.stride[0], Fraction)
    assert found.box((3, 0)) == Box(((3, 8), (-2, 3)), ((3, 8), (0, 3)))
    assert found.box((3, 0)).on_padding == 0.4
    assert np.zeros((1, 20, 20))[(..., *found.box((3, 0)).slices)].shape == (1, 5, 3)


def test_holes_of_dilated_windows_count_at_the_edge():
    found = st.receptive_field(nn.Conv2d(1, 1, 3, padding=1, dilation=2), (1, 9, 9))
    assert found.box((0, 1)) == Box(((-1, 4), (0, 5)), ((1, 4), (0, 5)))


@pytest.mark.parametrize("layer, size, stride, start", [
    (lambda: nn.Upsample(scale_factor=2), 1, Fraction(1, 2), 0.5),
    (lambda: nn.Upsample(scale_factor=3), 1, Fraction(1, 3), 0.5),
    (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), 2, Fraction(1, 2), 0.0),
    (lambda: nn.ConvTranspose2d(2, 2, 4, 2, 1), 2, Fraction(1, 2), 0.0),
    (lambda: nn.ConvTranspose2d(2, 2, 2, 2), 1, Fraction(1, 2), 0.5),
    (lambda: nn.ConvTranspose2d(2, 2, 3, 1, 1), 3, 1, 0.5),
    (lambda: nn.PixelShuffle(1), 1, 1, 0.5),
])
def test_upsampling_has_fractional_strides(layer, size, stride, start):
    found = boxes_agree(positive(layer()))
    assert (found.size[0], found.stride[0], found.start[0]) == (size, stride, start)
    after = boxes_agree(positive(nn.Sequential(layer(), nn.Conv2d(2, 2, 3, padding=1))))
    assert after.stride == found.stride
    before = boxes_agree(positive(nn.Sequential(nn.Conv2d(2, 2, 3, stride=2), layer(), nn.Conv2d(2, 2, 5))))
    assert before.stride[0] == 2 * stride


class Forward(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


MOVES = {
    "slice with steps": (lambda x: x[:, :, 3:20:2, 1:], (1, 1), (2, 1), (-3, -1)),
    "pad": (lambda x: F.pad(x, (2, 1, 0, 3)), (1, 1), (1, 1), (0, 2)),
    "reflect": (lambda x: F.pad(x, (2, 2, 1, 1), mode="reflect"), (1, 1), (1, 1), (1, 2)),
    "transpose": (lambda x: x.transpose(2, 3), (1, 1), (1, 1), (0, 0)),
    "pixel shuffle": (lambda x: F.pixel_shuffle(F.cat([x, x], 1), 2), (1, 1), (Fraction(1, 2),) * 2, (0, 0)),
    "pixel unshuffle": (lambda x: F.pixel_unshuffle(x[:, :, :28], 2), (2, 2), (2, 2), (0, 0)),
    "mirror": (lambda x: F.avg_pool2d(F.interpolate(F.avg_pool2d(x, 2).flip((2,)), scale_factor=2), 3, 2), (4, 4), (-2, 2),
               (-24, 0)),
    "gate": (lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), (29, 24), (0, 0), (0, 0)),
    "columns": (lambda x: x + x.mean(2, keepdim=True), (29, 1), (0, 1), (0, 0)),
    "global pooling": (lambda x: F.adaptive_avg_pool2d(F.pad(x, (1, 1, 1, 1)), 1), (29, 24), (0, 0), (0, 0)),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, (4, 5)), (8, 6), (Fraction(29, 4), Fraction(24, 5)), (0, 0)),
    "softmax of columns": (lambda x: x.softmax(2), (29, 1), (0, 1), (0, 0)),
    "what is cut off is not seen": (lambda x: x[:, :, 4:9].sum(2, keepdim=True), (5, 1), (0, 1), (-4, 0)),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_pixels(name):
    function, size, stride, padding = MOVES[name]
    found = boxes_agree(Forward(function)) if "softmax" not in name else st.receptive_field(Forward(function), SHAPE)
    assert (found.size, found.stride, found.padding) == (size, stride, padding)


def test_misaligned_branches_are_flagged():
    net = Forward(lambda x: F.avg_pool2d(x, 2, 1) + x[:, :, 1:, 1:])
    found = boxes_agree(net)
    assert found.size == (2, 2) and not found.aligned
    assert "misaligned" in found.text()
    assert st.receptive_field(Forward(lambda x: F.avg_pool2d(x, 3, 1, 1) + x), SHAPE).aligned
    later = st.receptive_field(nn.Sequential(net, nn.Conv2d(2, 2, 3)), SHAPE)
    assert not later.aligned


def test_branches_of_different_strides_see_what_they_see():
    net = Forward(lambda x: x[:, :, ::2] + x[:, :, :15])
    found = boxes_agree(net)
    assert (found.size, found.stride, found.aligned) == ((29, 1), (0, 1), False)


def test_linear_layers_see_everything():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, stride=2), nn.Flatten(), nn.Linear(2 * 14 * 11, 4))
    found = st.receptive_field(net, SHAPE)
    assert found.size == (29, 23)  # the stride leaves the last column over
    assert not found.whole and found.layers[0].size == (3, 3)
    assert found.box() == Box(((0, 29), (0, 23)), ((0, 29), (0, 23)))
    padded = nn.Sequential(nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(2 * 15 * 12, 4))
    assert st.receptive_field(padded, SHAPE).size == (29, 24)
    assert st.receptive_field(padded, SHAPE).whole


def test_norms_by_statistics_of_the_image_see_all_of_it():
    assert st.receptive_field(nn.BatchNorm2d(2), SHAPE).size == (1, 1)
    assert st.receptive_field(nn.InstanceNorm2d(2), SHAPE).whole
    assert st.receptive_field(nn.GroupNorm(1, 2), SHAPE).whole
    assert st.receptive_field(nn.LocalResponseNorm(3), SHAPE).size == (1, 1)


def test_signals_volumes_and_words():
    net = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.MaxPool1d(2), nn.Conv1d(2, 2, 3))
    found = st.receptive_field(net, (2, 40))
    assert (found.size, found.stride, found.padding) == ((8,), (2,), (1,))
    assert found.box((0,)).clipped == ((0, 7),)
    volume = st.receptive_field(nn.Conv3d(1, 1, (1, 3, 5), padding=(0, 1, 2)), (1, 6, 7, 8))
    assert (volume.size, volume.padding) == ((1, 3, 5), (0, 1, 2))
    words = nn.Sequential(nn.Embedding(50, 4), Forward(lambda x: x.transpose(1, 2)), nn.Conv1d(4, 4, 3))
    assert st.receptive_field(words, st.ops.Spec((12,), "int64")).size == (3,)


def test_from_any_layer_to_any_lower_layer():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU())
    assert st.receptive_field(net, SHAPE, of="1").size == (4, 4)
    assert st.receptive_field(net, SHAPE, to="0").size == (6, 6)
    assert st.receptive_field(net, SHAPE, of="2", to="1").stride == (1, 1)
    assert st.receptive_field(net, SHAPE, of="conv2d_1").size == (8, 8)
    found = st.receptive_field(net, SHAPE)
    assert [f.layer for f in found.layers] == ["0", "1", "2", "3"] and found["1"].size == (4, 4)
    assert found.to_dict()["layers"][1]["size"] == (4, 4)
    assert repr(found) == "ReceptiveField(size=(8, 8), stride=(2, 2), start=(1.0, 1.0), padding=(3, 3))"


def test_several_inputs():
    class Two(nn.Module):
        def forward(self, a, b):
            return F.avg_pool2d(a, 3, 1, 1) + F.avg_pool2d(b, 5, 1, 2)

    shapes = [(2, 9, 9), (2, 9, 9)]
    assert st.receptive_field(Two(), shapes).size == (3, 3)
    assert st.receptive_field(Two(), shapes, to="x_1").size == (5, 5)


def test_wrong_use_is_explained():
    net = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU())
    found = st.receptive_field(net, SHAPE)
    for call, text in [
        (lambda: st.receptive_field(net, SHAPE, of="2"), "there is no layer '2' in the graph; did you mean '0', '1', 'conv2d'?"),
        (lambda: st.receptive_field(net, SHAPE, of="0", to="1"),
         "'0' does not depend on '1'; name a layer that lies before it"),
        (lambda: found.box((27, 0)), "position (27, 0) is outside the map: axis 0 of layer '1' has 27 positions; use 0 to 26"),
        (lambda: found.box(), "a position has 2 numbers, one for each axis of the map, got ()"),
    ]:
        with pytest.raises(ArgumentError) as error:
            call()
        assert str(error.value) == text


def test_a_bar_for_each_field(tmp_path):
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding=1), nn.Flatten())
    found = st.receptive_field(net, (2, 16, 24))
    text = found.save(tmp_path / "fields.svg").read_text()
    bars = [tuple(map(float, bar)) for bar in re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', text)]
    assert [width / 460 * 24 for _, width in bars] == pytest.approx([24, 3, 4, 8, 24], abs=0.01)  # the image, then the layers
    assert len({round(x + width / 2, 1) for x, width in bars}) == 1
    assert [word for word in re.findall(">([^<]+)</text>", text)] == [
        "Receptive fields of Sequential, pixels in width", "image: 24", "0", "3", "2", "4", "3", "8", "4", "24"]


def test_it_prints_a_table():
    net = nn.Sequential(nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.Flatten())
    assert st.receptive_field(net, SHAPE).text() == """Sequential: receptive fields on 29 x 24 pixels
layer  op         field  stride      start  padding
──────────────────────────────────────────────────────────
0      conv2d     3 x 3   2 x 2  0.5 x 0.5    1 x 1
1      reshape  29 x 24   0 x 0  14.5 x 12    0 x 0  whole

"""
