"""Max unpooling and the places of maxima, and stochastic pooling, against the operators."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats, last

from striate import ops
from striate.cpu.kernels import unpool
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.pool_stochastic import StochasticPool
from striate.window import windows

SIZES = [((5, 6), windows(2, 2)), ((7, 5), windows(3, 2, 1)), ((9,), windows(3, 2, 1, rank=1)),
         ((6, 7), windows(2, 1, 0, (2, 3))), ((4, 5, 3), windows((2, 3, 2), (2, 1, 2), (1, 1, 0), rank=3))]  # fmt: skip
each_size = pytest.mark.parametrize(("size", "window"), SIZES, ids=str)


def lines(x):
    """(N, C, ...) as (N, places, C)."""
    return last(x.reshape(*x.shape[:2], -1))


def pooled(C, size, window, N=2):
    x = floats(N, C, *size)
    y, tap = ops.pool.max_pool_of(window).reference(x)
    return y, tap, ops.TapIndex(window, size).reference(tap)


@each_size
@pytest.mark.parametrize("kind", [np.uint8, np.int32])
@pytest.mark.parametrize("C", [1, 5, 17])
def test_places(size, window, kind, C):
    _, tap, index = pooled(C, size, window)
    kernel = unpool.TapIndex(C, size, window, "u8" if kind is np.uint8 else "i32")
    check(kernel, {"N": 2, "tap": last(tap).astype(kind)}, {"index": last(index)}, 0.0)


def test_places_of_many_taps():
    window, taps = windows((40, 50)), np.arange(2000, dtype=np.int32).reshape(1, -1, 1, 1)
    index = ops.TapIndex(window, (40, 50)).reference(taps)
    assert index.ravel().tolist() == list(range(2000))
    check(unpool.TapIndex(2000, (40, 50), window, "i32"), {"N": 1, "tap": last(taps)}, {"index": last(index)}, 0.0)


@each_size
@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("C", [1, 3, 17])
def test_unpool(size, window, kind, C):
    y, _, index = pooled(C, size, window)
    index = index.astype(kind)
    index[0, 0].flat[0], index[1, -1].flat[-1] = -1, np.prod(size)  # outside: no place
    back = ops.MaxUnpool(size).reference(y, index)
    sizes = C, y[0, 0].size, back[0, 0].size, "i32" if kind is np.int32 else "i64"
    inputs = {"N": 2, "x": lines(y), "index": lines(index)}
    check(unpool.MaxUnpool(*sizes), inputs, {"y": lines(back)}, 0.0, start={"y": np.zeros_like(lines(back))})
    dy = floats(*back.shape, seed=1)
    dx = ops.MaxUnpoolGradient().reference(dy, index)
    inputs = {"N": 2, "dy": lines(dy), "index": lines(index)}
    check(unpool.MaxUnpoolGradient(*sizes), inputs, {"y0": lines(dx)}, 0.0)
    doubled = Chain((2.0,), ((ops.Multiply(), (0, 1)),), (2,))
    check(unpool.MaxUnpoolGradient(*sizes, doubled), inputs, {"y0": lines(2 * dx)}, 0.0, meanings=("host",))


@pytest.mark.parametrize("C", [1, 6, 17])
@pytest.mark.parametrize("window", [windows(2, 2), windows(3, 2, 1), windows(3, 1, 1), windows((6, 7)), windows(2, 1, 0, 2)],
                         ids=str)
def test_stochastic(C, window):
    x, random = floats(2, C, 6, 7), np.array([5, 3])
    x[0, 0] = 0
    y, tap = ops.StochasticPool2d(window, 4).reference(x, random)
    inputs = {"N": 2, "x": last(x), "random": random}
    for kind, name in ((np.uint8, "u8"), (np.int32, "i32")):
        kernel = StochasticPool(C, (6, 7), window, 4, tap=name)
        check(kernel, inputs, {"y0": last(y), "tap": last(tap).astype(kind)}, 0.0)
