"""Padding by the image's own pixels and interpolation, against PyTorch; gradients by the adjoint identity."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from tests.helpers import check_op, check_torch, draw
from tests.nn.helpers import run

from striate import nn, ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import trace
from striate.nn import functional as F
from striate.ops import Resample, ResampleAxis, Spec


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def operator(function, shape):
    """The one operator that a function puts into a graph."""
    (node,) = trace(Call(function), shape).nodes
    return node.op


PADS = [((2, 3, 7), (2, 3)), ((1, 2, 5, 6), (2, 1, 0, 4)), ((3, 1, 4, 4), (3, 3, 3, 3)), ((2, 2, 3, 4, 5), (1, 2, 2, 0, 1, 1)),
        ((1, 2, 6, 7), (-2, 3, 1, -1)), ((1, 1, 2), (1, 1))]  # fmt: skip


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("shape, pads", PADS, ids=str)
def test_padding(mode, shape, pads):
    if min(pads) >= 0:
        op = operator(lambda x: F.pad(x, pads, mode), shape)
        check_op(op, draw(*shape))
        check_op(Resample(op.axes, True), draw(*op.infer(Spec(shape)).shape))
        check_torch(op, lambda x: TF.pad(x, pads, mode), draw(*shape))
    x = draw(*shape)
    np.testing.assert_array_equal(run(Call(lambda v: F.pad(v, pads, mode)), x), TF.pad(torch.tensor(x), pads, mode))


@pytest.mark.parametrize("shape, pads", [((3, 7), (2, 3)), ((2, 5, 6), (2, 1, 0, 3)), ((2, 3, 4, 5), (1, 2, 2, 0, 1, 1))],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_of_one_image(mode, shape, pads):
    x = draw(*shape)
    np.testing.assert_array_equal(run(Call(lambda v: F.pad(v, pads, mode)), x), TF.pad(torch.tensor(x), pads, mode))


@pytest.mark.parametrize("pads", [(1, 2), (-1, 2, 0, -3), (-1, -1, -1, -1), (0, 0), (0, 1, -2, 0, 1, 0, -1, 0), (2, -6)], ids=str)
def test_constants(pads):
    x = draw(2, 3, 5, 7)
    net = Call(lambda v: F.pad(v, pads, value=0.5))
    np.testing.assert_array_equal(run(net, x), TF.pad(torch.tensor(x), pads, value=0.5))
    assert all(type(n.op) in (ops.Slice, ops.Pad) for n in trace(net, x.shape).nodes)


SIZES = [
    ("nearest", (2, 3, 5), {"size": 8}), ("nearest", (1, 2, 5, 4), {"scale_factor": 2}), ("nearest",
    (1, 2, 5, 4), {"size": (3, 9)}),
    ("nearest", (1, 1, 7, 5), {"scale_factor": (1.7, 0.6)}), ("nearest", (1, 2, 3, 4, 2), {"size": (2, 7, 5)}),
    ("nearest", (1, 1, 3, 41), {"size": (10, 29)}),
    ("nearest-exact", (2, 3, 5), {"size": 8}), ("nearest-exact", (1, 2, 5, 4), {"size": (3, 9)}),
    ("nearest-exact", (1, 2, 5, 4), {"scale_factor": 1.7}), ("nearest-exact", (1, 2, 3, 4, 2), {"size": (2, 7, 5)}),
    ("linear", (2, 3, 5), {"size": 8}), ("linear", (2, 3, 5), {"scale_factor": 0.5}), ("linear", (1, 1, 1), {"size": 4}),
    ("bilinear", (1, 2, 5, 4), {"scale_factor": 2}), ("bilinear", (1, 2, 5, 4), {"size": (3, 9)}),
    ("bilinear", (1, 2, 5, 4), {"scale_factor": (1.7, 0.6)}), ("bilinear", (2, 1, 5, 4), {"size": (1, 1)}),
    ("bilinear", (1, 2, 5, 4), {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ("trilinear", (1, 2, 3, 4, 2), {"size": (2, 7, 5)}), ("trilinear", (1, 2, 3, 4, 2), {"scale_factor": 2}),
    ("bicubic", (1, 2, 5, 4), {"scale_factor": 2}), ("bicubic", (1, 2, 5, 4), {"size": (3, 9)}),
    ("bicubic", (1, 2, 2, 1), {"size": (3, 9)}),
]  # fmt: skip


@pytest.mark.parametrize("mode, shape, settings", SIZES, ids=str)
def test_interpolation(mode, shape, settings):
    for align in (None,) if mode.startswith("nearest") else (None, True, False):
        given = {**settings, "mode": mode, "align_corners": align}
        op = operator(lambda x, given=given: F.interpolate(x, **given), shape)
        check_op(op, draw(*shape))
        check_torch(op, lambda x, given=given: TF.interpolate(x, **given), draw(*shape))


@pytest.mark.parametrize("shape, size", [((2, 3, 7), 4), ((2, 3, 5, 7), (2, 9)), ((2, 3, 5, 4, 6), (3, 2, 4))], ids=str)
def test_area(shape, size):
    x = draw(*shape)
    got = run(Call(lambda v: F.interpolate(v, size, mode="area")), x)
    np.testing.assert_allclose(got, TF.interpolate(torch.tensor(x), size, mode="area"), rtol=1e-12, atol=1e-14)


def test_s065_bilinear_values():
    """Doubling [0, 1]: quarters between the pixels' centres, thirds where corners are aligned."""
    x = np.array([[[0.0, 1.0]]])
    assert run(Call(lambda v: F.interpolate(v, scale_factor=2, mode="linear")), x).ravel().tolist() == [0, 0.25, 0.75, 1]
    aligned = run(Call(lambda v: F.interpolate(v, scale_factor=2, mode="linear", align_corners=True)), x)
    np.testing.assert_allclose(aligned.ravel(), [0, 1 / 3, 2 / 3, 1], rtol=1e-15)


ERRORS = {
    "padding mode must be one of constant, reflect, replicate, circular, got 'mirror'": lambda x: F.pad(x, (1, 1), "mirror"),
    "pad takes (low, high) for each axis, the last one first, got 3 amounts: (1, 1, 2)": lambda x: F.pad(x, (1, 1, 2)),
    "pad has (low, high) for 5 axes, x (1, 2, 4, 5) has 4; give fewer amounts": lambda x: F.pad(x, (1,) * 10),
    "padding cuts 3 + 3 of the 5 elements off axis 3 of x (1, 2, 4, 5); cut off less": lambda x: F.pad(x, (-3, -3)),
    "padding mode 'reflect' can add up to 4 elements to axis 3 of x (1, 2, 4, 5), got (5, 0); pad less, or use mode='replicate'":
        lambda x: F.pad(x, (5, 0, 0, 0), "reflect"),
    "padding mode 'circular' can add up to 4 elements to axis 2 of x (1, 2, 4, 5), got (0, 5); pad less, or use mode='replicate'":
        lambda x: F.pad(x, (5, 0, 0, 5), "circular"),
    "padding mode 'replicate' pads all axes but N and C, got 2 amounts for x (1, 2, 4, 5); give 4 amounts":
        lambda x: F.pad(x, (1, 1), "replicate"),
    "padding mode 'reflect' takes its values from the image, got value=1.0; leave value out":
        lambda x: F.pad(x, (1, 1, 1, 1), "reflect", 1.0),
    "mode must be one of nearest, nearest-exact, area, linear, bilinear, trilinear, bicubic, got 'lanczos'":
        lambda x: F.interpolate(x, 3, mode="lanczos"),
    "align_corners is for linear, bilinear, trilinear and bicubic, got mode 'nearest'; leave it out":
        lambda x: F.interpolate(x, 3, align_corners=False),
    "mode 'linear' resizes an image (N, C, ...) of 3 axes, x (1, 2, 4, 5) has 4; use the mode for its number of axes":
        lambda x: F.interpolate(x, 3, mode="linear"),
    "interpolate takes either size or scale_factor, got size=None and scale_factor=None": lambda x: F.interpolate(x),
    "size must be one number above 0, or 2 of them, got (1, 2, 3)": lambda x: F.interpolate(x, (1, 2, 3)),
    "scale_factor must be one number above 0, or 2 of them, got -1": lambda x: F.interpolate(x, scale_factor=-1),
    "scale_factor=0.2 leaves (0, 1) of (4, 5) pixels; use a larger scale": lambda x: F.interpolate(x, scale_factor=0.2),
    "2 channels of x (1, 2, 4, 5) are not made of 2 * 2 = 4 each; use a multiple, or another upscale_factor":
        lambda x: F.pixel_shuffle(x, 2),
    "the 4 x 5 pixels of x (1, 2, 4, 5) are not made of squares of 2; pad the image, or use another downscale_factor":
        lambda x: F.pixel_unshuffle(x, 2),
    "x (1, 2, 4, 5) (N, C, ...) does not have its channels in 3 equal groups; use a number of groups that divides the channels":
        lambda x: F.channel_shuffle(x, 3),
    "x (4, 5) has 2 axes; give it the shape (..., C, H, W)": lambda x: F.pixel_shuffle(x[0, 0], 2),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises((ArgumentError, ShapeError)) as error:
        trace(Call(ERRORS[message]), (1, 2, 4, 5))
    assert re.sub(r"^Call \(test_resample\.py:\d+\): ", "", str(error.value)) == message


def test_wrong_shape_for_the_operator():
    with pytest.raises(ShapeError) as error:
        Resample((ResampleAxis("reflect", 4, 6, -1),)).infer(Spec((1, 2, 5)))
    assert error.value.args == ("x (1, 2, 5) does not fit the 1 axes (4,) that are resampled; give it the shape (N, C, ...) with "
                                "these axes",)
