"""Pooling and its gradients over windows of all kinds, against the operators."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats, last

from striate import ops
from striate.cpu.kernels import pool, pool_adaptive
from striate.cpu.kernels.pointwise import Chain
from striate.window import windows

SHAPES = [(1, 3, 7, 6), (3, 17, 5, 7)]
WINDOWS = {
    "2": windows(2, 2),
    "2 ceil": windows(2, 2, ceil_mode=True),
    "3 s2 p1": windows(3, 2, 1),
    "3 s2": windows(3, 2),
    "3 s2 ceil": windows(3, 2, ceil_mode=True),
    "3 s1 p1": windows(3, 1, 1),
    "2 s3": windows(2, 3),
    "1 s2": windows(1, 2),
    "3x2 s1x2 pads": windows((3, 2), (1, 2), ((0, 1), (1, 0))),
    "2 dilation 2": windows(2, 1, 0, 2),
    "3 s2 p1 dilation 2": windows(3, 2, 1, 2),
}
LARGE = {  # windows of many taps, and one window alone
    "whole": ((3, 5, 7, 6), windows((7, 6))),
    "whole, many channels": ((1, 70, 3, 3), windows(3)),
    "half": ((2, 4, 6, 7), windows((6, 3))),
    "whole s1": ((1, 3, 6, 6), windows(6, 1)),
    "5 s1 p2": ((1, 5, 6, 7), windows(5, 1, 2)),
    "5 s5 p2": ((2, 9, 8, 9), windows(5, 5, 2)),
}
CASES = {f"{name} {shape[1]}": (shape, window) for name, window in WINDOWS.items() for shape in SHAPES}
CASES |= {f"wide {name}": ((2, 32, 5, 6), WINDOWS[name]) for name in ("2", "3 s2 p1")}
CASES |= LARGE
SCALED = Chain((2.0,), ((ops.Multiply(), (0, 1)), (ops.ReLU(), (2,))), (2, 3))
each_case = pytest.mark.parametrize(("shape", "window"), CASES.values(), ids=CASES.keys())


def kernel_sizes(shape):
    return shape[1], shape[2:]


@each_case
def test_max(shape, window):
    x = floats(*shape)
    y, tap = ops.MaxPool2d(window).reference(x)
    inputs = {"N": shape[0], "x": last(x)}
    check(pool.MaxPool(*kernel_sizes(shape), window), inputs, {"y0": last(y)}, 0.0, meanings=("host",))
    check(pool.MaxPool(*kernel_sizes(shape), window, tap="u8"), inputs, {"y0": last(y), "tap": last(tap).astype(np.uint8)}, 0.0)
    dy = floats(*y.shape, seed=1)
    dx = ops.MaxPool2dGradient(window, shape[2:]).reference(dy, tap)
    check(pool.MaxPoolGradient(*kernel_sizes(shape), window, "u8"),
          {"N": shape[0], "dy": last(dy), "tap": last(tap).astype(np.uint8)}, {"y0": last(dx)})


@each_case
def test_average(shape, window):
    x = floats(*shape)
    variants = (True, None, ("interpreter", "host")), (False, None, ("avx2", "sse2")), (True, 3, ("host",))
    for include, divisor, meanings in variants:
        op = ops.AvgPool2d(window, include, divisor)
        y = op.reference(x)
        kernel = pool.AvgPool(*kernel_sizes(shape), window, include, divisor)
        check(kernel, {"N": shape[0], "x": last(x)}, {"y0": last(y)}, meanings=meanings)
        dy = floats(*y.shape, seed=1)
        dx = ops.AvgPool2dGradient(window, include, divisor, shape[2:]).reference(dy)
        kernel = pool.AvgPoolGradient(*kernel_sizes(shape), window, include, divisor)
        check(kernel, {"N": shape[0], "dy": last(dy)}, {"y0": last(dx)}, meanings=meanings)


@pytest.mark.parametrize("shape", [(1, 3, 7, 6), (2, 17, 4, 8)])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (10, 7)])
def test_adaptive(shape, size):
    x, sizes = floats(*shape), (*kernel_sizes(shape), size)
    y = ops.AdaptiveAvgPool2d(size).reference(x)
    check(pool_adaptive.AdaptiveAvgPool(*sizes), {"N": shape[0], "x": last(x)}, {"y0": last(y)})
    dy = floats(*y.shape, seed=1)
    dx = ops.AdaptiveAvgPool2dGradient(shape[2:]).reference(dy)
    check(pool_adaptive.AdaptiveAvgPoolGradient(*sizes), {"N": shape[0], "dy": last(dy)}, {"y0": last(dx)})
    y, index = ops.AdaptiveMaxPool2d(size).reference(x)
    check(pool_adaptive.AdaptiveMaxPool(*sizes), {"N": shape[0], "x": last(x)}, {"y0": last(y), "index": last(index)}, 0.0)
    dx = ops.AdaptiveMaxPool2dGradient(shape[2:]).reference(dy, index)
    check(pool_adaptive.AdaptiveMaxPoolGradient(*sizes), {"N": shape[0], "dy": last(dy), "index": last(index)}, {"y0": last(dx)})


@pytest.mark.parametrize("C", [1, 2, 4, 8, 16, 33])
def test_channels(C):
    x, window = floats(2, C, 5, 6), WINDOWS["3 s2 p1"]
    y, tap = ops.MaxPool2d(window).reference(x)
    check(pool.MaxPool(C, (5, 6), window, tap="i32"), {"N": 2, "x": last(x)}, {"y0": last(y), "tap": last(tap)}, 0.0)
    dx = ops.MaxPool2dGradient(window, (5, 6)).reference(y, tap)
    check(pool.MaxPoolGradient(C, (5, 6), window, "i32"), {"N": 2, "dy": last(y), "tap": last(tap)}, {"y0": last(dx)})


def scaled(y):
    """What SCALED makes of a pooled image."""
    return {"y0": last(2 * y), "y1": last(np.maximum(2 * y, 0))}


def test_chains():
    shape, window = (2, 6, 6, 6), WINDOWS["2"]
    x = floats(*shape)
    y, _ = ops.MaxPool2d(window).reference(x)
    check(pool.MaxPool(6, (6, 6), window, SCALED), {"N": 2, "x": last(x)}, scaled(y))
    for window in (WINDOWS["2"], windows(6)):
        y = ops.AvgPool2d(window).reference(x)
        check(pool.AvgPool(6, (6, 6), window, chain=SCALED), {"N": 2, "x": last(x)}, scaled(y))
    for window in (WINDOWS["2"], WINDOWS["3 s2 p1"]):
        y, tap = ops.MaxPool2d(window).reference(x)
        dx = ops.MaxPool2dGradient(window, (6, 6)).reference(y, tap)
        inputs = {"N": 2, "dy": last(y), "tap": last(tap).astype(np.uint8)}
        check(pool.MaxPoolGradient(6, (6, 6), window, "u8", SCALED), inputs, scaled(dx))


@pytest.mark.parametrize("window", [WINDOWS["2"], WINDOWS["3 s2 p1"]])
def test_nan_and_infinity(window):
    x = floats(2, 5, 8, 8)
    x[0, 0, 3, 3] = x[0, 0, 3, 4] = x[1, 4, 0, 0] = np.nan
    x[0, 1], x[0, 2, 4, 4], x[1, 1] = -np.inf, np.inf, np.nan
    y, tap = ops.MaxPool2d(window).reference(x)
    check(pool.MaxPool(5, (8, 8), window), {"N": 2, "x": last(x)}, {"y0": last(y)}, 0.0)
    check(pool.MaxPool(5, (8, 8), window, tap="i32"), {"N": 2, "x": last(x)}, {"y0": last(y), "tap": last(tap)}, 0.0)
    y, index = ops.AdaptiveMaxPool2d((3, 3)).reference(x)
    check(pool_adaptive.AdaptiveMaxPool(5, (8, 8), (3, 3)), {"N": 2, "x": last(x)}, {"y0": last(y), "index": last(index)}, 0.0)


LINES = [((3, 5, 9), windows(3, 2, 1, rank=1)), ((1, 17, 6), windows(2, 2, rank=1)), ((2, 1, 8), windows(3, 1, 0, 2, rank=1)),
         ((2, 4, 5), windows(5, rank=1)), ((2, 3, 7), windows(3, 2, 0, 1, True, rank=1))]
VOLUMES = [((2, 5, 4, 5, 6), windows(2, 2, rank=3)), ((1, 17, 5, 4, 3), windows(3, 2, 1, rank=3)),
           ((3, 1, 4, 3, 5), windows((2, 3, 2), (1, 2, 1), (1, 1, 0), (2, 1, 1), rank=3)),
           ((2, 3, 3, 4, 2), windows((3, 4, 2), rank=3)), ((1, 8, 5, 5, 5), windows((3, 2, 3), (2, 3, 1), 0, 1, True, rank=3)),
           ((1, 2, 7, 3, 4), windows((3, 1, 2), (3, 1, 2), rank=3))]  # fmt: skip


@pytest.mark.parametrize(("shape", "window"), LINES + VOLUMES, ids=str)
def test_lines_and_volumes(shape, window):
    x, sizes = floats(*shape), kernel_sizes(shape)
    y, tap = ops.pool.max_pool_of(window).reference(x)
    inputs, kind = {"N": shape[0], "x": last(x)}, np.uint8
    check(pool.MaxPool(*sizes, window), inputs, {"y0": last(y)}, 0.0, meanings=("host",))
    check(pool.MaxPool(*sizes, window, tap="u8"), inputs, {"y0": last(y), "tap": last(tap).astype(kind)}, 0.0)
    dy = floats(*y.shape, seed=1)
    dx = ops.pool.max_pool_gradient_of(window, shape[2:]).reference(dy, tap)
    inputs = {"N": shape[0], "dy": last(dy), "tap": last(tap).astype(kind)}
    check(pool.MaxPoolGradient(*sizes, window, "u8"), inputs, {"y0": last(dx)})
    for include, divisor in ((True, None), (False, None), (True, 3)):
        y = ops.pool.avg_pool_of(window, include, divisor).reference(x)
        check(pool.AvgPool(*sizes, window, include, divisor), {"N": shape[0], "x": last(x)}, {"y0": last(y)})
        dx = ops.pool.avg_pool_gradient_of(window, include, divisor, shape[2:]).reference(dy)
        check(pool.AvgPoolGradient(*sizes, window, include, divisor), {"N": shape[0], "dy": last(dy)}, {"y0": last(dx)})


@pytest.mark.parametrize("shape, size", [((2, 5, 7), (3,)), ((1, 17, 4), (9,)), ((2, 3, 5, 4, 6), (2, 3, 4)),
                                         ((1, 6, 4, 4, 6), (2, 2, 3)), ((1, 1, 2, 3, 2), (3, 2, 5))], ids=str)  # fmt: skip
def test_adaptive_lines_and_volumes(shape, size):
    x, sizes = floats(*shape), (*kernel_sizes(shape), size)
    y = ops.pool_adaptive.adaptive_avg_pool_of(size).reference(x)
    check(pool_adaptive.AdaptiveAvgPool(*sizes), {"N": shape[0], "x": last(x)}, {"y0": last(y)})
    dy = floats(*y.shape, seed=1)
    dx = ops.pool_adaptive.adaptive_avg_pool_gradient_of(shape[2:]).reference(dy)
    check(pool_adaptive.AdaptiveAvgPoolGradient(*sizes), {"N": shape[0], "dy": last(dy)}, {"y0": last(dx)})
    y, index = ops.pool_adaptive.adaptive_max_pool_of(size).reference(x)
    check(pool_adaptive.AdaptiveMaxPool(*sizes), {"N": shape[0], "x": last(x)}, {"y0": last(y), "index": last(index)}, 0.0)
    dx = ops.pool_adaptive.adaptive_max_pool_gradient_of(shape[2:]).reference(dy, index)
    check(pool_adaptive.AdaptiveMaxPoolGradient(*sizes), {"N": shape[0], "dy": last(dy), "index": last(index)}, {"y0": last(dx)})
