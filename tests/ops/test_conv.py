"""Convolution and its gradients against PyTorch, over windows of all kinds."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_op, check_torch, close, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec
from striate.ops.conv import conv_of, input_gradient_of, weight_gradient_of
from striate.window import Window, windows


def torch_conv(window, groups):
    """PyTorch's convolution, with the padding done beforehand: it may be asymmetric."""
    strides, dilations = [w.stride for w in window], [w.dilation for w in window]
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(window) - 1]

    def conv(x, weight, bias=None):
        padded = F.pad(x, [p for w in reversed(window) for p in w.pads])
        return convolve(padded, weight, bias, strides, 0, dilations, groups)

    return conv


def check(x_shape, outputs, window, groups=1):
    op = conv_of(window, groups)
    x, bias = draw(*x_shape), draw(outputs)
    weight = draw(outputs, x_shape[1] // groups, *(w.size for w in window))
    check_op(op, x, weight)
    check_torch(op, torch_conv(window, groups), x, weight, bias)
    dy = op.reference(x, weight)
    check_op(input_gradient_of(window, groups, x_shape[2:]), dy, weight)
    check_op(weight_gradient_of(window, groups), x, dy)


PADS = [0, 1, (2, 1), ((0, 1), (2, 0)), ((3, 4), (0, 5))]


@pytest.mark.parametrize("padding", PADS, ids=str)
@pytest.mark.parametrize("dilation", [1, 2, (3, 1)], ids=str)
@pytest.mark.parametrize("stride", [1, 2, (3, 2)], ids=str)
def test_windows(stride, dilation, padding):
    check((2, 3, 9, 7), 2, windows((3, 2), stride, padding, dilation))


@pytest.mark.parametrize("padding", [0, 2, ((1, 3),)], ids=str)
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 2)])
def test_one_axis(stride, dilation, padding):
    check((2, 4, 11), 6, windows(3, stride, padding, dilation, rank=1), 2)
    check((1, 3, 6), 2, windows(6, stride, padding, rank=1))


@pytest.mark.parametrize("padding", [0, 1, (2, 0, 1), (0, 1, 2, 0, 1, 3)], ids=str)
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), ((1, 3, 2), (2, 1, 1))], ids=str)
def test_three_axes(stride, dilation, padding):
    check((2, 4, 6, 5, 7), 6, windows((2, 3, 1), stride, padding, dilation, rank=3), 2)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups(groups):
    check((2, 8, 5, 6), 16, windows(3, 2, 1), groups)


@pytest.mark.parametrize("channels", range(1, 18))
def test_channels(channels):
    check((1, channels, 5, 4), 18 - channels, windows(3, 1, 1))
    check((1, channels, 5, 4), 2 * channels, windows(3, 2, 1), channels)


SIZES = [(1, (1, 1)), (1, (6, 5)), (2, (2, 2)), (5, (5, 5)), ((1, 7), (3, 9)), (11, (11, 13))]


@pytest.mark.parametrize("kernel, size", SIZES, ids=str)
def test_sizes(kernel, size):
    check((1, 2, *size), 3, windows(kernel))
    check((1, 2, *size), 3, windows(kernel, stride=4, padding=2))


LARGE = [(5, (3, 2), 2), (7, (1, 1), 3), (3, (2, 1), (1, 1)), (4, (1, 2), ((3, 2), (0, 3)))]


@pytest.mark.parametrize("kernel, size, padding", LARGE, ids=str)
def test_windows_larger_than_the_input(kernel, size, padding):
    check((2, 2, *size), 3, windows(kernel, padding=padding))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_same_padding_puts_the_odd_pixel_high_as_in_pytorch():
    x, weight = draw(1, 2, 6, 7), draw(3, 2, 4, 3)
    y = ops.Conv2d(windows((4, 3), padding="same", dilation=(1, 2))).reference(x, weight)
    conv = torch.nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2), bias=False, dtype=torch.float64)
    conv.weight.data = torch.tensor(weight)
    close(y, conv(torch.tensor(x)).detach().numpy())


def test_a_ceil_window_reads_past_the_padding():
    window = windows(3, 2, ceil_mode=True)
    x, weight = draw(1, 1, 6, 6), draw(1, 1, 3, 3)
    check_op(ops.Conv2d(window), x, weight)
    close(ops.Conv2d(window).reference(x, weight), ops.Conv2d(windows(3, 2, ((0, 1), (0, 1)))).reference(x, weight))


def test_cost_counts_multiply_accumulates():
    window, specs = windows(3, 2, 1), (Spec((2, 8, 9, 7)), Spec((6, 4, 3, 3)))
    y = ops.Conv2d(window, 2).infer(*specs)
    macs = 2 * 6 * 5 * 4 * 4 * 3 * 3
    assert y.shape == (2, 6, 5, 4) and ops.Conv2d(window, 2).cost(specs, [y]).macs == macs
    assert ops.Conv2dInputGradient(window, 2, (9, 7)).cost([y, specs[1]], specs[:1]).macs == macs
    assert ops.Conv2dWeightGradient(window, 2).cost([specs[0], y], specs[1:]).macs == macs


def test_printed_attributes():
    assert ops.Conv2d(windows(3)).attributes() == "window=3x3"
    assert ops.Conv2d(windows((3, 5), (1, 2), (1, 2), (2, 1)), 4).attributes() == (
        "window=3x5 stride 1x2 dilation 2x1 pads 1,1,2,2 groups=4")
    assert ops.MaxPool2d((Window(3, 2, ceil=True),) * 2).attributes() == "window=3x3 stride 2x2 ceil"


X = Spec((2, 4, 8, 8))
ERRORS = [
    (ops.Conv2d(windows(3)), (X, Spec((8, 3, 3, 3))),
     "x has 4 channels but the weight (8, 3, 3, 3) with groups=1 reads 3 * 1 = 3; use in_channels=4"),
    (ops.Conv2d(windows(3), 3), (Spec((2, 3, 8, 8)), Spec((8, 1, 3, 3))),
     "8 output channels do not divide into 3 groups; make out_channels a multiple of groups"),
    (ops.Conv2d(windows(3)), (Spec((4, 8, 8)), Spec((8, 4, 3, 3))),
     "x has 3 axes, shape (4, 8, 8), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)"),
    (ops.Conv2d(windows(3)), (X, Spec((8, 4, 9))),
     "weight has 3 axes, shape (8, 4, 9), but needs 4: (K, C/G, R, S); reshape weight to (K, C/G, R, S)"),
    (ops.Conv2d(windows(3)), (X, Spec((8, 4, 5, 5))),
     "weight (8, 4, 5, 5) does not fit the window 3x3; give its last two axes the window's size"),
    (ops.Conv2d(windows(3)), (X, Spec((8, 4, 3, 3)), Spec((4,))),
     "bias (4,) does not fit the weight (8, 4, 3, 3); use shape (8,)"),
    (ops.Conv2d(windows((3, 11))), (X, Spec((8, 4, 3, 11))),
     "width: a window of 11 = 1 * (11 - 1) + 1 pixels does not fit in 8 = 8 + 0 + 0 (input + padding); "
     "pad by at least 3 more or use a larger input"),
    (ops.Conv2d(windows(3, padding=1, dilation=6)), (X, Spec((8, 4, 3, 3))),
     "height: a window of 13 = 6 * (3 - 1) + 1 pixels does not fit in 10 = 8 + 1 + 1 (input + padding); "
     "pad by at least 3 more or use a larger input"),
    (ops.Conv2dInputGradient(windows(3), 1, (8, 8)), (Spec((2, 6, 6, 6)), Spec((8, 4, 3, 3))),
     "dy has 6 channels but the weight (8, 4, 3, 3) reads 8; use 6 output channels"),
    (ops.Conv2dInputGradient(windows(3), 1, (8, 9)), (Spec((2, 8, 6, 6)), Spec((8, 4, 3, 3))),
     "dy (2, 8, 6, 6) is (6, 6) large but the window makes (6, 7) of an input of (8, 9); give it that size"),
    (ops.Conv1d(windows(3, rank=1)), (X, Spec((8, 4, 3))),
     "x has 4 axes, shape (2, 4, 8, 8), but needs 3: (N, C, W); reshape x to (N, C, W)"),
    (ops.Conv1d(windows(3, rank=1)), (Spec((2, 4, 8)), Spec((8, 4, 5))),
     "weight (8, 4, 5) does not fit the window 3; give its last axis the window's size"),
    (ops.Conv3d(windows(3, rank=3)), (X, Spec((8, 4, 3, 3, 3))),
     "x has 4 axes, shape (2, 4, 8, 8), but needs 5: (N, C, D, H, W); reshape x to (N, C, D, H, W)"),
    (ops.Conv3d(windows(3, rank=3)), (Spec((2, 4, 2, 8, 8)), Spec((8, 4, 3, 3, 3))),
     "depth: a window of 3 = 1 * (3 - 1) + 1 pixels does not fit in 2 = 2 + 0 + 0 (input + padding); "
     "pad by at least 1 more or use a larger input"),
    (ops.Conv2d(windows(3)), (Spec((2, 4, 8, 8), "int32"), Spec((8, 4, 3, 3))),
     "x has dtype int32 but needs float32; convert x with astype('float32')"),
    (ops.Conv2dWeightGradient(windows(3), 1), (X, Spec((2, 8, 5, 6))),
     "dy (2, 8, 5, 6) is (5, 6) large but the window makes (6, 6) of an input of (8, 8); give it that size"),
]


@pytest.mark.parametrize("op, specs, text", ERRORS)
def test_errors(op, specs, text):
    with pytest.raises(ShapeError) as error:
        op.infer(*specs)
    assert error.value.args == (text,)


def test_float32_is_close_to_float64():
    x, weight = draw(1, 32, 8, 8), draw(32, 32, 3, 3)
    op = ops.Conv2d(windows(3, 1, 1))
    y = op.reference(x.astype(np.float32), weight.astype(np.float32))
    close(y, op.reference(x, weight), 1e-5)
