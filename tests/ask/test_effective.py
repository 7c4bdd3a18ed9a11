"""The effective receptive field: its picture, its size, and what the paper says about both."""

import numpy as np
import pytest
from PIL import Image

import striate as st
from striate import nn
from striate.errors import ArgumentError


def stack(depth, seed=0, activation=False):
    """3x3 layers with random weights, one channel for sharpness."""
    st.seed(seed)
    return nn.Sequential(*(layer for _ in range(depth) for layer in
                           (nn.Conv2d(8, 8, 3, padding=1, bias=False), *([nn.ReLU()] if activation else []))))


def ones(depth):
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(depth)))
    for parameter in net.parameters():
        parameter.data = np.ones(parameter.shape)
    return net


def test_equal_weights_give_the_binomial_picture():
    """Windows of ones, applied n times: the n-fold convolution of (1, 1, 1), in both axes."""
    found = st.effective_receptive_field(ones(4), (1, 21, 21), samples=1)
    row = np.array([1.0])
    for _ in range(4):
        row = np.convolve(row, np.ones(3))
    wanted = np.zeros((21, 21))
    wanted[6:15, 6:15] = np.outer(row, row) / row.max() ** 2
    np.testing.assert_allclose(found.picture, wanted, atol=1e-6)
    assert found.position == (10, 10) and found.theoretical.size == (9, 9)
    assert found.size == np.sqrt((wanted > 1 - 0.9545).sum()) and found.ratio == found.size / 9
    assert repr(found) == f"EffectiveField(size={found.size:.1f}, ratio={found.ratio:.0%} of (9, 9))"
    assert repr(found.theoretical) == "Field(size=(9, 9), stride=(1, 1), start=(0.5, 0.5), padding=(4, 4))"


def test_it_shrinks_relative_to_the_theoretical_one_with_depth():
    ratios = [st.effective_receptive_field(ones(depth), (1, 85, 85), samples=1).ratio for depth in (5, 10, 20, 40)]
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] < 0.5
    np.testing.assert_allclose(ratios[1] / ratios[3], 2, rtol=0.15)  # the ratio falls with the root of the depth


def test_it_lies_within_the_box():
    net = stack(3, activation=True)
    found = st.effective_receptive_field(net, (8, 16, 16), position=(1, 14))
    inside = np.zeros((16, 16), bool)
    inside[found.box.slices] = True
    assert found.box.clipped == ((0, 5), (11, 16))
    assert not found.picture[~inside].any() and found.picture[inside].max() == 1


def test_inputs_and_layers_that_are_asked_for():
    net = stack(2, activation=True)
    x = np.random.default_rng(0).standard_normal((3, 8, 12, 12))
    a, b = (st.effective_receptive_field(net, (8, 12, 12), of="0", inputs=x) for _ in range(2))
    assert a.theoretical.size == (3, 3) and (a.picture == b.picture).all()
    dense = nn.Sequential(net, nn.Flatten(), nn.Linear(8 * 144, 3))
    assert st.effective_receptive_field(dense, (8, 12, 12)).theoretical.whole
    signal = st.effective_receptive_field(nn.Conv1d(2, 2, 5), (2, 20))
    assert signal.picture.shape == (20,) and signal.theoretical.size == (5,)


def test_the_picture_is_saved(tmp_path):
    found = st.effective_receptive_field(ones(2), (1, 9, 11), samples=1)
    path = found.save(tmp_path / "field.png", scale=3)
    with Image.open(path) as image:
        assert image.size == (33, 27)
        assert image.getpixel((16, 13)) == (255, 255, 255) and image.getpixel((0, 0)) == (0, 0, 0)
        assert image.getpixel((9, 6)) == (220, 50, 47)  # the frame's corner: 5 x 5 pixels around row 4, column 5
    line = st.effective_receptive_field(nn.Conv1d(2, 2, 5), (2, 20)).save(tmp_path / "line.png", scale=2)
    with Image.open(line) as image:
        assert image.size == (40, 2)


def test_wrong_use_is_explained(tmp_path):
    net = ones(1)
    volume = st.effective_receptive_field(nn.Conv3d(1, 1, 3), (1, 5, 5, 5), samples=1)
    for call, text in [
        (lambda: st.effective_receptive_field(net, (1, 9, 9), position=(9, 0)),
         "position (9, 0) is outside the map: axis 0 of layer '0' has 9 positions; use 0 to 8"),
        (lambda: st.effective_receptive_field(net, [(1, 9, 9), (1, 9, 9)]),
         "an effective field is asked of networks with one input; give its shape, such as (3, 224, 224)"),
        (lambda: volume.save(tmp_path / "x.png"), "a field of 3 axes is no picture; save a slice of `picture`"),
    ]:
        with pytest.raises(ArgumentError) as error:
            call()
        assert str(error.value) == text
