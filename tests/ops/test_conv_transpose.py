"""Transposed convolution and its gradients against PyTorch, and its errors."""

import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_op, check_torch, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec
from striate.ops.conv_transpose import conv_transpose_of
from striate.window import windows


def check(x_shape, outputs, kernel, stride=1, padding=0, extra=0, groups=1, dilation=1):
    rank = len(x_shape) - 2
    grow = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    window = windows(kernel, stride, padding, dilation, rank=rank)
    size = tuple(w.grown(n, extra) for w, n in zip(window, x_shape[2:], strict=True))
    op = conv_transpose_of(tuple(w.reaching(extra) for w in window), groups, size)
    x, weight, bias = draw(*x_shape), draw(x_shape[1], outputs // groups, *(w.size for w in window)), draw(outputs)
    check_op(op, x, weight)
    check_op(op, x, weight, bias)
    check_torch(op, lambda *a: grow(*a, None, stride, padding, extra, groups, dilation), x, weight)
    check_torch(op, lambda *a: grow(*a, stride, padding, extra, groups, dilation), x, weight, bias)


SETTINGS = [(1, 0, 0, 1), (2, 1, 1, 1), (3, 0, 2, 1), (1, 2, 0, 2), (2, 1, 0, 1), (2, 0, 2, 3), (1, 0, 1, 2),
            ((3, 2), (0, 2), 1, (1, 2))]


@pytest.mark.parametrize("stride, padding, extra, dilation", SETTINGS)
def test_windows(stride, padding, extra, dilation):
    check((2, 4, 5, 3), 6, (3, 2), stride, padding, extra, 2, dilation)


def test_other_ranks():
    check((2, 4, 5), 6, 3, 2, 1, 1, 2)
    check((2, 4, 3, 2, 4), 6, (2, 3, 1), (2, 1, 3), (1, 1, 0), 0, 2)


def test_groups_channels_and_one_pixel():
    check((1, 6, 1, 1), 6, 4, 2, 1, groups=6)
    check((3, 1, 2, 2), 5, 2, 2)


def test_a_window_below_the_stride_leaves_pixels_that_nothing_reaches():
    check((1, 2, 3, 3), 3, 2, 4, extra=3)


X = Spec((2, 4, 3, 3))
ERRORS = [
    (X, Spec((6, 4, 3, 3)), None, "x has 4 channels but the weight (6, 4, 3, 3) reads 6; use in_channels=4"),
    (X, Spec((4, 3, 5, 5)), None, "weight (4, 3, 5, 5) does not fit the window 3x3 stride 2x2; give its last two axes the "
                                  "window's size"),
    (X, Spec((4, 3, 3, 3)), Spec((4,)), "bias (4,) does not fit the weight (4, 3, 3, 3); use shape (3,)"),
    (Spec((4, 3, 3)), Spec((4, 3, 3, 3)), None,
     "x has 3 axes, shape (4, 3, 3), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)"),
    (Spec((2, 4, 3, 3), "int64"), Spec((4, 3, 3, 3)), None,
     "x has dtype int64 but needs float32; convert x with astype('float32')"),
]


@pytest.mark.parametrize("x, weight, bias, text", ERRORS)
def test_errors(x, weight, bias, text):
    with pytest.raises(ShapeError) as error:
        ops.ConvTranspose2d(windows(3, 2), 1, (7, 7)).infer(x, weight, *([bias] if bias else []))
    assert error.value.args == (text,)


def test_groups_must_divide():
    with pytest.raises(ShapeError) as error:
        ops.ConvTranspose2d(windows(3, 2), 3, (7, 7)).infer(X, Spec((4, 3, 3, 3)))
    assert error.value.args == ("4 input channels do not divide into 3 groups; make in_channels a multiple of groups",)


def test_cost_counts_what_is_scattered():
    op, specs = ops.ConvTranspose2d(windows(3, 2), 1, (7, 7)), [X, Spec((4, 6, 3, 3)), Spec((6,))]
    assert op.cost(specs, [op.infer(*specs)]).macs == 2 * 4 * 3 * 3 * 6 * 9


def test_it_is_the_gradient_of_convolution():
    x, weight = torch.tensor(draw(1, 3, 7, 7), requires_grad=True), draw(4, 3, 3, 3)
    dy = draw(1, 4, 3, 3, seed=1)
    F.conv2d(x, torch.tensor(weight), None, 2).backward(torch.tensor(dy))
    got = ops.ConvTranspose2d(windows(3, 2), 1, (7, 7)).reference(dy, weight)
    assert abs(got - x.grad.numpy()).max() < 1e-12
