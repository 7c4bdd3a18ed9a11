"""Pooling against PyTorch: ties, ceil mode, divisors, and windows that PyTorch's padding rule allows."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_forward, check_op, check_torch, close, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec
from striate.window import windows

SIZES = [(9, 7), (6, 6), (5, 8)]
WINDOWS = [(2, 2, 0), (3, 2, 1), (3, 1, 1), ((3, 2), (2, 3), (1, 0)), (3, 3, 0), (5, 4, 2), (1, 2, 0)]  # kernel, stride, padding


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel, stride, padding", WINDOWS, ids=str)
def test_max_pool(kernel, stride, padding, dilation, size, ceil):
    dilation = dilation if kernel != 5 else 1  # it would not fit
    op, x = ops.MaxPool2d(windows(kernel, stride, padding, dilation, ceil)), draw(2, 3, *size)
    check_op(op, x)
    check_torch(op, lambda t: F.max_pool2d(t, kernel, stride, padding, dilation, ceil), x)


@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kernel, stride, padding", WINDOWS, ids=str)
def test_avg_pool(kernel, stride, padding, size, ceil, include, divisor):
    window, x = windows(kernel, stride, padding, ceil_mode=ceil), draw(2, 3, *size)
    op = ops.AvgPool2d(window, include, divisor)
    check_op(op, x)
    check_torch(op, lambda t: F.avg_pool2d(t, kernel, stride, padding, ceil, include, divisor), x)
    check_op(ops.AvgPool2dGradient(window, include, divisor, size), op.reference(x))


@pytest.mark.parametrize("channels", [1, 2, 5, 8, 16, 17])
def test_channels_and_batch_of_one(channels):
    check_torch(ops.MaxPool2d(windows(3, 2, 1)), lambda t: F.max_pool2d(t, 3, 2, 1), draw(1, channels, 7, 7))
    check_torch(ops.AvgPool2d(windows(2, 2)), lambda t: F.avg_pool2d(t, 2), draw(1, channels, 7, 7))


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("kernel, stride, padding", WINDOWS, ids=str)
def test_the_first_of_equal_maxima_wins_as_in_pytorch(kernel, stride, padding, ceil):
    x = np.random.default_rng(0).integers(0, 2, (2, 2, 9, 8)).astype(float)
    op = ops.MaxPool2d(windows(kernel, stride, padding, 1, ceil))
    check_torch(op, lambda t: F.max_pool2d(t, kernel, stride, padding, 1, ceil), x)


def test_taps_number_the_window_in_row_major_order():
    x = np.array([[[[0.0, 3, 3], [1, 0, 3], [9, 0, 0]]]])
    y, tap = ops.MaxPool2d(windows(2, 1)).reference(x)
    assert y.tolist() == [[[[3, 3], [9, 3]]]] and tap.tolist() == [[[[1, 0], [2, 1]]]] and tap.dtype == np.int32


@pytest.mark.parametrize("low", [-1e30, -np.inf])
def test_padding_never_wins(low):
    x = np.full((1, 1, 3, 3), low)
    y, tap = ops.MaxPool2d(windows(3, 2, 1)).reference(x)
    assert np.all(y == low) and tap.tolist() == [[[[4, 3], [1, 0]]]]
    check_torch(ops.MaxPool2d(windows(3, 2, 1)), lambda t: F.max_pool2d(t, 3, 2, 1), x)


def test_nan_wins():
    x = draw(1, 1, 4, 4)
    x[0, 0, 1, 1] = np.nan
    assert np.isnan(ops.MaxPool2d(windows(2, 2)).reference(x)[0]).tolist() == [[[[True, False], [False, False]]]]


@pytest.mark.parametrize("padding", [((1, 0), (0, 1)), ((0, 1), (1, 0)), ((2, 1), (1, 2))], ids=str)
def test_asymmetric_padding(padding):
    x, (rows, columns) = draw(2, 3, 6, 5), padding
    check_op(ops.MaxPool2d(windows(3, 2, padding)), x)
    check_torch(ops.MaxPool2d(windows(3, 2, padding)),
                lambda t: F.max_pool2d(F.pad(t, (*columns, *rows), value=-torch.inf), 3, 2), x)
    check_op(ops.AvgPool2d(windows(3, 2, padding)), x)
    check_torch(ops.AvgPool2d(windows(3, 2, padding)), lambda t: F.avg_pool2d(F.pad(t, (*columns, *rows)), 3, 2), x)


def test_a_dilated_average():
    check_op(ops.AvgPool2d(windows(2, 2, 1, 2), False), draw(1, 2, 7, 6))


@pytest.mark.parametrize("size, kernel", [((2, 2), 3), ((1, 3), 2), ((2, 4), 5)], ids=str)
def test_ceil_mode_takes_windows_larger_than_the_input(size, kernel):
    x = draw(1, 2, *size)
    check_torch(ops.MaxPool2d(windows(kernel, kernel, 0, 1, True)), lambda t: F.max_pool2d(t, kernel, kernel, 0, 1, True), x)
    check_torch(ops.AvgPool2d(windows(kernel, kernel, 0, 1, True)), lambda t: F.avg_pool2d(t, kernel, kernel, 0, True), x)


ADAPTIVE = [((7, 7), (1, 1)), ((7, 5), (3, 2)), ((6, 6), (6, 6)), ((4, 4), (7, 5)), ((1, 1), (6, 6)), ((13, 9), (4, 4)),
            ((8, 1), (3, 1))]


@pytest.mark.parametrize("size, out", ADAPTIVE, ids=str)
def test_adaptive(size, out):
    x = draw(2, 3, *size)
    check_op(ops.AdaptiveAvgPool2d(out), x)
    check_torch(ops.AdaptiveAvgPool2d(out), lambda t: F.adaptive_avg_pool2d(t, out), x)
    check_op(ops.AdaptiveAvgPool2dGradient(size), draw(2, 3, *out))
    check_op(ops.AdaptiveMaxPool2d(out), x)
    check_torch(ops.AdaptiveMaxPool2d(out), lambda t: F.adaptive_max_pool2d(t, out), x)
    check_torch(ops.AdaptiveMaxPool2d(out), lambda t: F.adaptive_max_pool2d(t, out), np.round(x))
    indices = F.adaptive_max_pool2d(torch.tensor(x), out, return_indices=True)[1]
    close(ops.AdaptiveMaxPool2d(out).reference(x)[1], indices.numpy())


# size, kernel, stride, padding, dilation
LINES = [((9,), 2, 2, 0, 1), ((9,), 3, 2, 1, 1), ((8,), 2, 1, 0, 3), ((7,), 7, 1, 0, 1)]
VOLUMES = [((4, 5, 6), 2, 2, 0, 1), ((5, 4, 7), 3, 2, 1, 1), ((4, 3, 5), (2, 3, 2), (1, 2, 1), (1, 1, 0), (2, 1, 1)),
           ((2, 3, 4), (2, 3, 4), 1, 0, 1)]  # fmt: skip


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size, kernel, stride, padding, dilation", LINES + VOLUMES, ids=str)
def test_lines_and_volumes(size, kernel, stride, padding, dilation, ceil):
    rank, x = len(size), draw(2, 3, *size)
    window = windows(kernel, stride, padding, dilation, ceil, rank)
    theirs = getattr(F, f"max_pool{rank}d")
    op = ops.pool.max_pool_of(window)
    check_op(op, x)
    for values in (x, np.round(x)):  # rounded: with ties
        check_torch(op, lambda t: theirs(t, kernel, stride, padding, dilation, ceil), values)
        index = theirs(torch.tensor(values), kernel, stride, padding, dilation, ceil, return_indices=True)[1]
        close(ops.TapIndex(window, size).reference(op.reference(values)[1]), index.numpy())
    check_forward(ops.TapIndex(window, size), op.reference(x)[1])
    average = getattr(F, f"avg_pool{rank}d")
    for include in (False, True):
        op = ops.pool.avg_pool_of(windows(kernel, stride, padding, 1, ceil, rank), include)
        check_op(op, x)
        check_torch(op, partial(average, kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil,
                                count_include_pad=include), x)  # fmt: skip
        check_op(ops.pool.avg_pool_gradient_of(op.window, include, 3, size), op.reference(x))


@pytest.mark.parametrize("size, out", [((7,), (3,)), ((4,), (9,)), ((5, 4, 6), (2, 3, 4)), ((1, 3, 2), (2, 1, 5))], ids=str)
def test_adaptive_lines_and_volumes(size, out):
    rank, x = len(size), draw(2, 3, *size)
    average, maximum = ops.pool_adaptive.adaptive_avg_pool_of(out), ops.pool_adaptive.adaptive_max_pool_of(out)
    check_op(average, x)
    check_op(maximum, x)
    check_op(ops.pool_adaptive.adaptive_avg_pool_gradient_of(size), draw(2, 3, *out))
    check_torch(average, lambda t: getattr(F, f"adaptive_avg_pool{rank}d")(t, out), x)
    theirs = getattr(F, f"adaptive_max_pool{rank}d")
    for values in (x, np.round(x)):
        check_torch(maximum, lambda t: theirs(t, out), values)
        close(maximum.reference(values)[1], theirs(torch.tensor(values), out, return_indices=True)[1].numpy())


def test_gradients_of_the_maximum():
    x = draw(2, 3, 6, 7)
    window = windows(3, 2, 1)
    pairs = [(ops.MaxPool2d(window), ops.MaxPool2dGradient(window, (6, 7))),
             (ops.AdaptiveMaxPool2d((2, 3)), ops.AdaptiveMaxPool2dGradient((6, 7)))]
    for op, back in pairs:
        y, chosen = op.reference(x)
        check_forward(back, y, chosen)
        close(np.vdot(back.reference(y, chosen), x), np.vdot(y, y))  # y picks from x, so <y, y> = <back(y), x>


def test_cost_counts_taps():
    x = Spec((2, 3, 8, 8))
    y = ops.MaxPool2d(windows(3, 2, 1)).infer(x)
    assert ops.MaxPool2d(windows(3, 2, 1)).cost([x], y).operations == 2 * 3 * 4 * 4 * 9


ERRORS = [
    (ops.MaxPool2d(windows(3)), Spec((3, 8, 8)),
     "x has 3 axes, shape (3, 8, 8), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)"),
    (ops.MaxPool2d(windows(3)), Spec((1, 3, 8, 2)),
     "width: a window of 3 = 1 * (3 - 1) + 1 pixels does not fit in 2 = 2 + 0 + 0 (input + padding); "
     "pad by at least 1 more or use a larger input"),
    (ops.AvgPool2d(windows(2, 2, 2)), Spec((1, 3, 8, 8)),
     "height: window 0 reads pixels -2 to -1 of 0 to 7: nothing but padding; pad by less than a window, or use a larger input"),
    (ops.MaxPool2d(windows((1, 2), 1, (0, 1), (1, 2))), Spec((1, 3, 8, 1)),
     "width: window 0 reads pixels -1 to 1 of 0 to 0: nothing but padding; pad by less than a window, or use a larger input"),
    (ops.AdaptiveAvgPool2d((1, 1)), Spec((1, 3, 0, 8)), "x (1, 3, 0, 8) has no pixels to pool; use a larger input"),
    (ops.MaxPool2d(windows(2)), Spec((1, 3, 8, 8), "uint8"),
     "x has dtype uint8 but needs float32; convert x with astype('float32')"),
]


@pytest.mark.parametrize("op, spec, text", ERRORS)
def test_errors(op, spec, text):
    with pytest.raises(ShapeError) as error:
        op.infer(spec)
    assert error.value.args == (text,)
