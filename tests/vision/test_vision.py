"""Filtering, pictures and maps: against SciPy-free references, and the messages of wrong arguments."""

import numpy as np
import pytest
import torch
from PIL import Image

from striate import nn, vision
from striate.errors import ArgumentError, ShapeError

PHOTO = np.random.default_rng(1).random((3, 11, 14)).astype(np.float32)


@pytest.mark.parametrize("name", vision.KERNELS)
@pytest.mark.parametrize("padding", ["edge", "same", "valid", 2])
def test_filter_is_pytorchs_convolution(name, padding):
    x, w = torch.tensor(PHOTO)[None], torch.tensor(np.array(vision.KERNELS[name])).repeat(3, 1, 1, 1)
    half = w.shape[2] // 2
    if padding == "edge":
        x = torch.nn.functional.pad(x, (half,) * 4, mode="replicate")
    pixels = {"edge": 0, "same": half, "valid": 0}.get(padding, padding)
    wanted = torch.nn.functional.conv2d(x, w, padding=pixels, groups=3)[0]
    np.testing.assert_allclose(vision.filter(PHOTO, name, padding), wanted, atol=1e-5)


def test_kernels_over_all_channels():
    w = np.random.default_rng(2).random((2, 3, 3, 2)).astype(np.float32)
    wanted = torch.nn.functional.conv2d(torch.tensor(PHOTO)[None], torch.tensor(w))[0]
    np.testing.assert_allclose(vision.filter(PHOTO, w, "valid"), wanted, rtol=1e-5)
    assert vision.filter(PHOTO, w).shape == (2, 11, 14)


def test_kernels_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        vision.KERNELS["sharpen"][0, 0] = 9


def test_pictures_of_bytes_and_grey():
    photo = (PHOTO * 255).astype(np.uint8)
    np.testing.assert_allclose(vision.picture(photo), photo / 255, rtol=1e-6)
    image = Image.fromarray(photo.transpose(1, 2, 0))
    np.testing.assert_array_equal(vision.picture(image), vision.picture(photo))
    np.testing.assert_allclose(vision.picture(photo, grey=True), vision.picture(image, grey=True), atol=1 / 255)
    assert vision.picture(photo[0]).shape == (1, 11, 14)


def test_ways_of_showing():
    x = np.array([[-2.0, 0.0, 1.0]])
    np.testing.assert_array_equal(vision.stretched(x), [[0, 170, 255]])
    np.testing.assert_array_equal(vision.magnitude(x), [[255, 0, 128]])
    np.testing.assert_array_equal(vision.shown(x, vision.KERNELS["edge1"]), vision.magnitude(x))
    np.testing.assert_array_equal(vision.shown(x, vision.KERNELS["emboss"]), vision.clipped(x))
    np.testing.assert_array_equal(vision.stretched(np.ones((2, 2))), 0)


def test_small_pictures_grow_by_whole_steps_and_large_ones_shrink():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    grown = np.asarray(vision.side_by_side([("", pixels)], height=7))[8:14, 8:17, 0]
    np.testing.assert_array_equal(grown, pixels.repeat(3, 0).repeat(3, 1))
    assert vision.side_by_side([("", np.zeros((90, 60), np.uint8))], height=30).size == (20 + 16, 30 + 18 + 16)


def test_maps_end_before_a_sum():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return (x + self.conv(x)).relu()

    net = Block()
    x = np.random.default_rng(0).standard_normal((2, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(vision.feature_maps(net, x)["conv"], net.conv(x[None])[0], rtol=1e-5)


def test_turning_by_right_angles_and_scaling_by_one():
    x = np.random.default_rng(0).random((2, 6, 6))
    np.testing.assert_allclose(vision.turned(x, 90), np.rot90(x, 1, axes=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(vision.turned(x, -180), np.rot90(x, 2, axes=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(vision.scaled(x, 1), x, atol=1e-12)
    np.testing.assert_allclose(vision.scaled(np.ones((9, 9)), 0.5)[2:7, 2:7], 1)


def test_the_invariance_score_of_a_network_that_sees_the_brightness_alone():
    class Brightness(nn.Module):
        def forward(self, x):
            total = x.sum((1, 2, 3))
            return nn.functional.stack([total, 4 - total], 1)

    x = np.zeros((3, 1, 8, 8), np.float32)
    x[0, 0, 3:5, 3:5], x[1, 0, 2:6, 3], x[2, 0, 3:6, 7] = 2, 2, 1
    score = vision.invariance_score(Brightness(), x, lambda images, d: vision.shifted(images, 0, d), (0, 1, 3, 8))
    assert score == [1, pytest.approx(2 / 3), pytest.approx(2 / 3), 0]


WRONG = {
    "there is no kernel 'sharp'; there are " + ", ".join(vision.KERNELS): lambda: vision.filter(PHOTO, "sharp"),
    "a kernel has shape (R, S), for each channel on its own, or (K, C, R, S), got (3,); reshape it":
        lambda: vision.filter(PHOTO, [1, 0, -1]),
    "a kernel's size must be at least 1, got 0; use a positive whole number": lambda: vision.box(0),
    "a picture has shape (H, W) or (C, H, W) with 1 or 3 channels, got (4, 5, 3) of float64; use image.transpose(2, 0, 1)":
        lambda: vision.picture(np.zeros((4, 5, 3))),
    "a picture has shape (H, W) or (C, H, W) with 1 or 3 channels, got (4, 5, 5) of float64; "
    "convert it, as Image.convert('RGB')": lambda: vision.picture(np.zeros((4, 5, 5))),
    "a picture is bytes (H, W), (1, H, W) or (3, H, W), got (2, 2) of float32; clipped, stretched and magnitude make bytes":
        lambda: vision.image_of(np.zeros((2, 2), np.float32)),
    "there are no pictures to draw; give at least one (name, pixels)": lambda: vision.side_by_side([]),
    "ReLU has no convolution, so no feature maps; give a convolutional network":
        lambda: vision.feature_maps(nn.ReLU(), PHOTO),
    "ReLU has no nn.Conv2d, so no kernels to show; give a convolutional network": lambda: vision.show_kernels(nn.ReLU()),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message


def test_a_kernel_larger_than_the_picture():
    with pytest.raises(ShapeError, match=r"height: a window of 5 = 1 \* \(5 - 1\) \+ 1 pixels does not fit in 3"):
        vision.filter(np.zeros((3, 9)), vision.box(5), "valid")
