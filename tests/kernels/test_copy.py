"""Strided copies: slices, concatenations, padding, expansion, changes of layout; and the fill."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from tests.kernels.harness import check, floats

from striate.cpu.kernels.copy import Fill, Lines, StridedCopy


def strided(memory, shape, strides, offset):
    return as_strided(memory.reshape(-1)[offset:], shape, [s * memory.itemsize for s in strides])


def copied(x, y, shape, x_strides, y_strides, x_offset=0, y_offset=0):
    """y after the copy."""
    wanted = y.copy()
    strided(wanted, shape, y_strides, y_offset)[...] = strided(x, shape, x_strides, x_offset)
    return wanted


def check_copy(x, y, shape, x_strides, y_strides, x_offset=0, y_offset=0):
    rows, *dims = shape
    dtype = {"f": "f32", "i": "i32", "u": "u8"}[x.dtype.kind]
    kernel = StridedCopy(tuple(dims), tuple(x_strides), tuple(y_strides), x_offset, y_offset, dtype)
    wanted = copied(x, y, shape, x_strides, y_strides, x_offset, y_offset)
    check(kernel, {"rows": rows, "x": x}, {"y": wanted}, 0.0, {"y": y})


@pytest.mark.parametrize("size", [1, 7, 16, 1000])
@pytest.mark.parametrize("dtype", ["f4", "i4", "u1"])
def test_flat(size, dtype):
    x = (100 * np.abs(floats(size))).astype(dtype)
    check_copy(x, np.zeros_like(x), (size,), (1,), (1,))


LAYOUTS = [(1, 3, 5), (3, 3, 5), (2, 1, 4), (3, 17, 3), (1, 32, 4), (2, 16, 16), (1, 2, 2), (5, 20, 1)]


@pytest.mark.parametrize(("N", "C", "H"), LAYOUTS)
def test_layouts(N, C, H):
    """NCHW to NHWC and back, with the axes in the order of x and of y."""
    x, shape = floats(N * C * H * H), (N, C, H * H)
    channels_first, channels_last = (C * H * H, H * H, 1), (C * H * H, 1, C)
    check_copy(x, np.zeros_like(x), shape, channels_first, channels_last)
    check_copy(x, np.zeros_like(x), shape, channels_last, channels_first)
    turned = [0, 2, 1]
    check_copy(x, np.zeros_like(x), *([a[i] for i in turned] for a in (shape, channels_first, channels_last)))


@pytest.mark.parametrize(("M", "N"), [(1, 1), (2, 9), (9, 2), (3, 3), (37, 20), (16, 48)])
def test_transpose_of_the_rows(M, N):
    x = floats(M * N)
    check_copy(x, np.zeros_like(x), (M, N), (1, M), (N, 1))
    check_copy(x, np.zeros_like(x), (M, N), (N, 1), (1, M))


def test_concat_slice_and_pad():
    x, y = floats(3, 4, 5), floats(3, 9, 5, seed=1)
    check_copy(x, y, (3, 4, 5), (20, 5, 1), (45, 5, 1), 0, 25)  # into a longer axis
    check_copy(y, x, (3, 4, 5), (45, 5, 1), (20, 5, 1), 10)  # out of it
    check_copy(y, x, (3, 4, 3), (45, 10, 1), (20, 5, 1), 1, 2)  # every second, in part
    check_copy(y, x, (3, 4, 2), (45, 5, 2), (20, 5, 1))  # every second of the last axis
    check_copy(y, x, (3, 4, 5), (45, -5, 1), (20, 5, 1), 40)  # backwards
    check_copy(y, x, (3, 4, 5), (45, 5, -1), (20, 5, 1), 4)


def test_expand():
    x, y = floats(20), floats(3 * 20 * 7, seed=1)
    check_copy(x, y, (3, 20, 7), (0, 1, 0), (140, 7, 1))
    check_copy(x, y, (3, 20, 7), (0, 0, 1), (140, 7, 1))
    check_copy(x, y, (60, 7), (0, 0), (7, 1))


def test_many_axes():
    x = floats(2, 3, 4, 5, 6)
    order = (3, 0, 4, 2, 1)
    shape = [x.shape[a] for a in order]
    strides = [x.strides[a] // 4 for a in order]
    check_copy(x, np.zeros_like(x), shape, strides, [int(np.prod(shape[i + 1:])) for i in range(5)])


@pytest.mark.parametrize("rows", [1, 16, 77])
def test_fill(rows):
    check(Fill(0.5), {"rows": rows}, {"y": np.full(rows, 0.5, np.float32)})


@pytest.mark.parametrize("width", [1, 7, 16, 33, 1200])
@pytest.mark.parametrize("dtype", ["f4", "i4", "u1"])
def test_lines(width, dtype):
    """Lines of any width, one machine code for all of them."""
    x, y = ((100 * np.abs(floats(5, width + extra, seed=extra))).astype(dtype) for extra in (3, 6))
    kernel, wanted = Lines(dtype={"f": "f32", "i": "i32", "u": "u8"}[dtype[0]]), y.copy()
    wanted[:, 4: 4 + width] = x[:, 2: 2 + width]
    sizes = {"rows": 5, "width": width, "x_row": width + 3, "y_row": width + 6, "x_start": 2, "y_start": 4}
    check(kernel, {**sizes, "x": x}, {"y": wanted}, 0.0, {"y": y})


@pytest.mark.parametrize("width", [1, 16, 19])
@pytest.mark.parametrize("still", [False, True])
def test_lines_of_boxes(width, still):
    """A box out of an image into another one; or its first column everywhere."""
    x, y = floats(2, 5, width + 3), floats(2, 7, width + 1, seed=1)
    wanted = y.copy()
    wanted[:, 2:5, 1:] = x[:, 1:4, 2:3] if still else x[:, 1:4, 2: 2 + width]
    sizes = {"rows": 2, "width": width, "x_row": 5 * (width + 3), "y_row": 7 * (width + 1), "x_inner": width + 3,
             "y_inner": width + 1,
             "x_start": width + 3 + 2, "y_start": 2 * (width + 1) + 1}
    check(Lines(3, still), {**sizes, "x": x}, {"y": wanted}, 0.0, {"y": y})
