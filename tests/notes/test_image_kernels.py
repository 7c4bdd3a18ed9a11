"""The notes' image kernels and their three case studies, with their numbers."""

import numpy as np
import pytest
from PIL import Image

from striate import nn, vision

rng = np.random.default_rng(0)
PHOTO = rng.random((3, 17, 23)).astype(np.float32)
FLAT = np.full((1, 8, 9), 0.7, np.float32)
INSIDE = (slice(None), slice(1, -1), slice(1, -1))


def rank(name: str) -> int:
    return int(np.linalg.matrix_rank(vision.KERNELS[name]))


def neighbours(x: np.ndarray) -> np.ndarray:
    """(9, H - 2, W - 2): the 3 x 3 pixels around each inner pixel of (H, W), row by row."""
    height, width = x.shape
    return np.stack([x[r : height - 2 + r, s : width - 2 + s] for r in range(3) for s in range(3)])


def test_S075_identity():
    np.testing.assert_array_equal(vision.KERNELS["identity"], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    for padding in ("edge", "same"):
        np.testing.assert_array_equal(vision.filter(PHOTO, "identity", padding), PHOTO)


def test_S076_edge_1():
    kernel = vision.KERNELS["edge1"]
    np.testing.assert_array_equal(kernel, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    np.testing.assert_array_equal(np.rot90(kernel, 2), kernel)
    assert kernel.sum() == 0 and rank("edge1") == 1
    np.testing.assert_allclose(vision.filter(FLAT, "edge1"), 0, atol=1e-6)


def test_S077_edge_2():
    np.testing.assert_array_equal(vision.KERNELS["edge2"], [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
    assert vision.KERNELS["edge2"].sum() == 0 and rank("edge2") == 2
    np.testing.assert_allclose(vision.filter(FLAT, "edge2"), 0, atol=1e-6)


def test_S078_sharpen():
    np.testing.assert_array_equal(vision.KERNELS["sharpen"], [[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    assert vision.KERNELS["sharpen"].sum() == 1
    np.testing.assert_allclose(vision.filter(FLAT, "sharpen"), FLAT, rtol=1e-6)


def test_S079_box_blur():
    np.testing.assert_allclose(vision.KERNELS["box_blur"], np.ones((3, 3)) / 9)
    assert rank("box_blur") == 1
    np.testing.assert_allclose(vision.filter(FLAT, "box_blur"), FLAT, rtol=1e-6)
    wanted = [neighbours(channel).mean(axis=0) for channel in PHOTO]
    np.testing.assert_allclose(vision.filter(PHOTO, "box_blur")[INSIDE], wanted, rtol=1e-5)


def test_S080_gaussian_blur():
    kernel = vision.KERNELS["gaussian_blur"]
    np.testing.assert_array_equal(kernel, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16)
    np.testing.assert_array_equal(kernel, np.outer([1, 2, 1], [1, 2, 1]) / 16)
    assert kernel.sum() == 1 and rank("gaussian_blur") == 1
    row = np.array([[1, 2, 1]]) / 4
    thin = vision.filter(vision.filter(PHOTO, row.T), row)
    np.testing.assert_allclose(thin, vision.filter(PHOTO, "gaussian_blur"), rtol=1e-5)


def test_S056_sobel():
    np.testing.assert_array_equal(vision.KERNELS["sobel_x"], [[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    np.testing.assert_array_equal(np.array([[1], [2], [1]]).dot([[1, 0, -1]]), vision.KERNELS["sobel_x"])
    thin = vision.filter(vision.filter(PHOTO, [[1], [2], [1]]), [[1, 0, -1]])
    np.testing.assert_allclose(thin, vision.filter(PHOTO, "sobel_x"), atol=1e-5)


def test_S081_black_white_edge():
    x, y = vision.black_white_edge()
    assert x.shape == (1, 50, 50) and y.shape == (1, 50, 48)
    assert (x[:, :, :30] == 1).all() and (x[:, :, 30:] == 0).all()
    wanted = np.zeros((1, 50, 48))
    wanted[:, :, [28, 29]] = 1
    np.testing.assert_array_equal(y, wanted)
    assert np.count_nonzero(y) == 100
    layer = nn.Conv2d(1, 1, (1, 3), bias=False)
    layer.weight.data = np.array([1, 0, -1]).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(layer(x[None])[0], y)


def test_S082_contour():
    photo = vision.scene().astype(np.float32)
    y = vision.contour(photo)
    assert y.shape == (1, 118, 158)
    wanted = sum(8 * n[4] - (n.sum(axis=0) - n[4]) for n in map(neighbours, photo))
    np.testing.assert_allclose(y[0], wanted, atol=0.05)
    edge = np.abs(y[0])
    assert edge[:18].max() < 10 and edge[18:24, 70:90].max() > 1000  # nothing on the wall, the top of the ball stands out


def test_S083_contour_by_8():
    photo = vision.scene().astype(np.float32)
    np.testing.assert_allclose(vision.contour(photo, divisor=8), vision.contour(photo) / 8, atol=1e-3)


def test_S084_mean_blur():
    np.testing.assert_allclose(vision.mean_blur(np.full((20, 20), 3.0)), 3, rtol=1e-6)
    assert vision.mean_blur(PHOTO, padding="valid").shape == (3, 13, 19)
    np.testing.assert_allclose(vision.mean_blur(PHOTO)[:, 8, 8], PHOTO[:, 6:11, 6:11].mean(axis=(1, 2)), rtol=1e-5)


def test_S085_side_by_side(tmp_path):
    x, y = vision.black_white_edge()
    drawn = vision.side_by_side([("input", vision.clipped(x)), ("feature map", vision.clipped(y))])
    file = vision.save(drawn, tmp_path / "a" / "b.png")
    sheet = np.asarray(Image.open(file))
    assert sheet.shape == (50 + 18 + 2 * 8, 2 * 50 + 3 * 8, 3)
    np.testing.assert_array_equal(sheet[8:58, 8:58, 0], vision.clipped(x)[0])
    np.testing.assert_array_equal(sheet[8:58, 66:114, 0], vision.clipped(y)[0])


def test_S086_maps_of_each_depth():
    net = nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.Tanh(),
                        nn.Flatten(), nn.Linear(16 * 4 * 7, 4))
    found = vision.feature_maps(net, PHOTO)
    assert {name: maps.shape for name, maps in found.items()} == {"0": (8, 13, 19), "4": (16, 4, 7)}
    assert found["0"].min() == 0 and abs(found["4"]).max() < 1 and net.training
    net.eval()
    np.testing.assert_allclose(found["0"], net[2](net[1](net[0](PHOTO[None])))[0], atol=1e-6)
    assert vision.show_kernels(net).size == (8 * (45 + 8) + 8, 45 + 18 + 2 * 8)
    assert vision.show_maps(net, PHOTO).mode == "RGB"


def test_E04_ones_are_the_sum():
    """A 5 x 5 kernel of ones gives 25 times the mean; the mean needs a division by 25."""
    flat = np.full((9, 9), 3.0)
    np.testing.assert_allclose(vision.filter(flat, np.ones((5, 5)), "valid"), 25 * 3, rtol=1e-6)
    np.testing.assert_allclose(vision.filter(flat, vision.box(5), "valid"), 3, rtol=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
def test_E40_pictures_of_every_mode_are_rgb(tmp_path, mode):
    """Four or one channels cannot be read as three: a picture is converted first."""
    source = Image.fromarray(vision.scene(20, 30).transpose(1, 2, 0))
    image = Image.fromarray(np.asarray(source.convert("L")).astype(np.uint16) << 8) if mode == "I;16" else source.convert(mode)
    file = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    image.save(file)
    assert vision.contour(file).shape == (1, 18, 28)
    np.testing.assert_allclose(vision.contour(Image.open(file)), vision.contour(file), atol=1e-6)
