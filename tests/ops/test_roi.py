"""Regions of interest against loops over boxes, bins and pixels, written from the definitions of torchvision's kernels."""

import math

import numpy as np
import pytest
from tests.helpers import check_forward, close, draw, gradients_of

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.ops import Spec

BOXES = np.array([
    [0, 0, 0, 7, 9], [1, 2.5, 1.5, 6.25, 7.5], [1, -3, -2, 3, 30], [0, 4, 4, 4, 4], [0, 6, 7, 2, 3], [0, 20, 20, 30, 30],
    [1, 0.5, 2.5, 5.5, 3.5], [0, 7, 9, 8, 8],
])  # fmt: skip


def c_round(value):
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def roi_pool(x, boxes, size, scale):
    y, index = np.zeros((len(boxes), x.shape[1], *size)), np.full((len(boxes), x.shape[1], *size), -1)
    H, W = x.shape[2:]
    for b, box in enumerate(boxes):
        left, top, right, bottom = (c_round(v * scale) for v in box[1:])
        high, wide = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for p, q in np.ndindex(*size):
            rows = range(max(top + p * high // size[0], 0), min(top - (-(p + 1) * high // size[0]), H))
            columns = range(max(left + q * wide // size[1], 0), min(left - (-(q + 1) * wide // size[1]), W))
            for c in range(x.shape[1]):
                best = -math.inf
                for h in rows:
                    for w in columns:
                        if x[int(box[0]), c, h, w] > best:
                            best = y[b, c, p, q] = x[int(box[0]), c, h, w]
                            index[b, c, p, q] = h * W + w
    return y, index


def bilinear(plane, y, x):
    H, W = plane.shape
    if y < -1 or y > H or x < -1 or x > W:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    low, left = int(y), int(x)
    if low >= H - 1:
        low = high = H - 1
        y = float(low)
    else:
        high = low + 1
    if left >= W - 1:
        left = right = W - 1
        x = float(left)
    else:
        right = left + 1
    down, across = y - low, x - left
    return ((1 - down) * (1 - across) * plane[low, left] + (1 - down) * across * plane[low, right]
            + down * (1 - across) * plane[high, left] + down * across * plane[high, right])


def roi_align(x, boxes, size, scale, sampling, aligned):
    y = np.zeros((len(boxes), x.shape[1], *size))
    offset = 0.5 if aligned else 0.0
    for b, box in enumerate(boxes):
        left, top, right, bottom = (v * scale - offset for v in box[1:])
        high, wide = bottom - top, right - left
        if not aligned:
            high, wide = max(high, 1.0), max(wide, 1.0)
        bin_high, bin_wide = high / size[0], wide / size[1]
        down, across = sampling or math.ceil(bin_high), sampling or math.ceil(bin_wide)
        count = max(down * across, 1)
        for p, q in np.ndindex(*size):
            for c in range(x.shape[1]):
                total = 0.0
                for i in range(down):
                    for j in range(across):
                        at = top + p * bin_high + (i + 0.5) * bin_high / down, left + q * bin_wide + (j + 0.5) * bin_wide / across
                        total += bilinear(x[int(box[0]), c], *at)
                y[b, c, p, q] = total / count
    return y


def check_gradient(op, *arrays, dy):
    """<gradient of dy, x> = <dy, op(x)>: both kinds pick from x linearly, once the boxes are given. Boxes have none."""
    gradient, *others = gradients_of(op, arrays, dy)
    y = op.reference(*arrays)
    close(np.vdot(gradient, arrays[0]), np.vdot(dy, y[0] if isinstance(y, tuple) else y))
    assert others == [None] * (len(arrays) - 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3])
def test_pool(size, scale):
    x = draw(2, 3, 10, 8)
    op = ops.RoIPool(size, scale)
    check_forward(op, x, BOXES)
    y, index = op.reference(x, BOXES)
    check_gradient(op, x, BOXES, dy=draw(*y.shape, seed=1))
    wanted, places = roi_pool(x, BOXES, size, scale)
    close(y, wanted)
    assert np.array_equal(index, places)
    check_forward(ops.RoIPoolGradient(size, scale, x.shape), y, index, BOXES)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)], ids=str)
@pytest.mark.parametrize("sampling, aligned, scale", [(0, False, 1.0), (2, True, 0.5), (0, True, 0.25), (1, False, 0.3),
                                                      (3, False, 2)])
def test_align(size, sampling, aligned, scale):
    x = draw(2, 3, 10, 8)
    op = ops.RoIAlign(size, float(scale), sampling, aligned)
    check_forward(op, x, BOXES)
    y, back = op.reference(x, BOXES), ops.RoIAlignGradient(size, float(scale), sampling, aligned, x.shape)
    close(y, roi_align(x, BOXES, size, scale, sampling, aligned))
    check_gradient(op, x, BOXES, dy=draw(*y.shape, seed=1))
    check_forward(back, y, BOXES)
    check_gradient(back, y, BOXES, dy=x)


def test_maps_of_one_pixel():
    x = draw(1, 2, 1, 1)
    boxes = np.array([[0, 0, 0, 3, 3.0]])
    close(ops.RoIAlign((2, 2), 1.0, 2, False).reference(x, boxes), roi_align(x, boxes, (2, 2), 1.0, 2, False))


def test_a_box_of_no_image_gives_nothing():
    x, boxes = draw(1, 2, 4, 4), np.array([[1, 0, 0, 3, 3.0], [-1, 0, 0, 3, 3]])
    y, index = ops.RoIPool((2, 2), 1.0).reference(x, boxes)
    assert not y.any() and (index == -1).all()
    assert not ops.RoIAlign((2, 2), 1.0, 2, False).reference(x, boxes).any()


@pytest.mark.parametrize("make, text", [
    (lambda: ops.RoIPool((2, 2), 1.0).infer(Spec((1, 2, 4, 4)), Spec((3, 4))),
     "boxes have shape (3, 4) but need (B, 5): image, x1, y1, x2, y2; put the number of its image in front of each box"),
    (lambda: ops.RoIAlign((2, 2), 1.0, 2, False).infer(Spec((2, 4, 4)), Spec((3, 5))),
     "x has 3 axes, shape (2, 4, 4), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)"),
    (lambda: ops.RoIPool((2, 2), 1.0).infer(Spec((1, 2, 0, 4)), Spec((3, 5))),
     "x (1, 2, 0, 4) has no pixels to pool; use a larger input"),
    (lambda: ops.RoIPool((2, 2), 0.0), "spatial_scale is map pixels by image pixels: a number above 0, got 0.0"),
])  # fmt: skip
def test_errors(make, text):
    with pytest.raises((ShapeError, ArgumentError)) as error:
        make()
    assert error.value.args == (text,)
