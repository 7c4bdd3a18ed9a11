"""Regions of interest: bins of whole pixels and interpolated points over boxes of all kinds, against the operators."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats, last

from striate import ops
from striate.cpu.kernels import roi
from striate.cpu.kernels.pointwise import Chain

FAR = ops.RoIPool.far
BOXES = np.array([
    [0, 0, 0, 7, 9], [1, 2.5, 1.5, 6.25, 7.5], [1, -3, -2, 3, 30], [0, 4, 4, 4, 4], [2, 6, 7, 2, 3], [0, 20, 20, 30, 30],
    [3, 0, 0, 5, 5], [-1, 0, 0, 5, 5], [1, 0.5, 2.5, 5.5, 3.5], [0, -30, -30, -20, -20],
], np.float32)  # fmt: skip
"""Whole, inside, over the edges, one pixel, turned round, outside, of images that are none, at halves."""
SHAPES = [(3, 5, 10, 8), (3, 1, 4, 9), (3, 17, 1, 1), (3, 8, 9, 2)]
SIZES = [(2, 3), (1, 1), (7, 4)]
DOUBLED = Chain((2.0,), ((ops.Multiply(), (0, 1)),), (2,))


def arguments(shape, **arrays):
    return {"N": shape[0], "B": len(BOXES), "boxes": BOXES, **arrays}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_pool(shape, size, scale):
    x, sizes = floats(*shape), (*shape[1:], *size, scale)
    y, index = ops.RoIPool(size, scale).reference(x, BOXES)
    check(roi.RoIPool(*sizes), arguments(shape, x=last(x)), {"y0": last(y), "index": last(index)}, 0.0)
    dy = floats(*y.shape, seed=1)
    dx = ops.RoIPoolGradient(size, scale, shape).reference(dy, index, BOXES)
    check(roi.RoIPoolGradient(*sizes), arguments(shape, dy=last(dy), index=last(index)), {"dx": last(dx)})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sampling, aligned, scale", [(0, False, 1.0), (2, True, 0.5), (0, True, 0.25), (1, False, 1.9)])
def test_align(shape, size, sampling, aligned, scale):
    x, sizes = floats(*shape), (*shape[1:], *size, scale, sampling, aligned)
    y = ops.RoIAlign(size, scale, sampling, aligned).reference(x, BOXES)
    check(roi.RoIAlign(*sizes), arguments(shape, x=last(x)), {"y0": last(y)})
    dy = floats(*y.shape, seed=1)
    dx = ops.RoIAlignGradient(size, scale, sampling, aligned, shape).reference(dy, BOXES)
    check(roi.RoIAlignGradient(*sizes), arguments(shape, dy=last(dy)), {"dx": last(dx)})


@pytest.mark.parametrize("C", [2, 16, 33, 130])
def test_channels(C):
    shape = (3, C, 6, 5)
    x = floats(*shape)
    y, index = ops.RoIPool((2, 2), 1.0).reference(x, BOXES)
    inputs = arguments(shape, x=last(x))
    wanted = {"y0": last(2 * y), "index": last(index)}
    check(roi.RoIPool(C, 6, 5, 2, 2, 1.0, DOUBLED), inputs, wanted, 0.0, meanings=("host", "sse2"))
    y = ops.RoIAlign((2, 2), 1.0, 2, False).reference(x, BOXES)
    check(roi.RoIAlign(C, 6, 5, 2, 2, 1.0, 2, False, DOUBLED), inputs, {"y0": last(2 * y)}, meanings=("host", "sse2"))


def test_boxes_that_are_no_numbers_read_nothing_outside():
    """Not a number counts as the lowest coordinate; an image that is none as no image."""
    boxes = np.array([[np.nan, 0, 0, 2, 2], [0, -np.inf, np.nan, np.inf, 3e38]], np.float32)
    x = floats(1, 3, 4, 4)
    y, index = ops.RoIPool((2, 2), 1.0).reference(x, np.array([[-1, 0, 0, 0, 0], [0, -FAR, -FAR, FAR, FAR]], np.float32))
    inputs = {"N": 1, "B": 2, "boxes": boxes, "x": last(x)}
    check(roi.RoIPool(3, 4, 4, 2, 2, 1.0), inputs, {"y0": last(y), "index": last(index)}, 0.0)
