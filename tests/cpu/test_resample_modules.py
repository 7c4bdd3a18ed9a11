"""Padding and upsampling layers compiled: output, dx and chains as their reference and as PyTorch in float64."""

import pytest
from tests.cpu.helpers import check_module, check_network, floats

import striate as st
from striate import nn
from striate.errors import ShapeError
from striate.nn import functional as F

PADS = {1: [3, (2, 0), (0, 1)], 2: [1, (2, 0, 1, 3), (-1, 2, 1, -2)], 3: [1, (1, 0, 2, 1, 0, 1)]}
SHAPES = {1: [(2, 3, 6), (5, 7), (1, 17, 4)], 2: [(2, 3, 4, 5), (1, 17, 6, 4), (3, 5, 6)], 3: [(2, 3, 3, 4, 3), (17, 3, 3, 3)]}
NAMES = ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_padding(name, rank):
    """ZeroPad1d ZeroPad2d ZeroPad3d ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
    ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d"""
    for padding in PADS[rank]:
        for shape in SHAPES[rank]:
            check_module(lambda n, padding=padding: getattr(n, f"{name}{rank}d")(padding), *shape, modes=(True,))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_constant_padding(rank):
    """ConstantPad1d ConstantPad2d ConstantPad3d"""
    for padding in PADS[rank]:
        for shape in SHAPES[rank]:
            check_module(lambda n, padding=padding: getattr(n, f"ConstantPad{rank}d")(padding, -1.5), *shape, modes=(True,))


@pytest.mark.parametrize("channels", range(1, 18))
def test_channels_that_fill_no_vector(channels):
    check_module(lambda n: n.ReflectionPad2d((1, 2, 0, 2)), 1 + channels % 2, channels, 3, 4, modes=(True,))
    check_module(lambda n: n.Upsample(scale_factor=2, mode="bilinear"), 1 + channels % 2, channels, 3, 4, modes=(True,))


UPSAMPLES = [
    ({"scale_factor": 2}, (2, 3, 5)), ({"scale_factor": 2}, (2, 3, 4, 5)), ({"scale_factor": (2, 1.5, 1)}, (1, 5, 2, 3, 4)),
    ({"size": 9, "mode": "nearest-exact"}, (2, 17, 4)), ({"size": (9, 2), "mode": "nearest-exact"}, (2, 17, 4, 3)),
    ({"size": 9, "mode": "linear"}, (2, 17, 4)), ({"scale_factor": 3, "mode": "bilinear"}, (2, 7, 4, 5)),
    ({"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (1, 33, 4, 5)),
    ({"size": (2, 3), "mode": "bilinear"}, (1, 33, 4, 5)),
    ({"size": (5, 3, 4), "mode": "trilinear"}, (2, 3, 2, 3, 4)), ({"scale_factor": 2, "mode": "bicubic"}, (2, 7, 4, 5)),
    ({"size": 4, "mode": "area"}, (2, 5, 9)), ({"size": (2, 4), "mode": "area"}, (2, 5, 6, 9)),
]  # fmt: skip


@pytest.mark.parametrize("settings, shape", UPSAMPLES, ids=str)
def test_upsample(settings, shape):
    check_module(lambda n: n.Upsample(**settings), *shape, modes=(True,))


def test_area_of_volumes():
    check_module(lambda n: n.Upsample((2, 2, 3), mode="area"), 2, 3, 4, 5, 3, modes=(True,))


def test_older_names():
    check_module(lambda n: n.UpsamplingNearest2d(scale_factor=2), 2, 3, 4, 5, modes=(True,))
    check_module(lambda n: n.UpsamplingBilinear2d((7, 8)), 2, 3, 4, 5, modes=(True,))


@pytest.mark.parametrize("make, shape", [
    (lambda n: n.PixelShuffle(2), (2, 12, 3, 5)), (lambda n: n.PixelShuffle(3), (1, 9, 2, 2)),
    (lambda n: n.PixelShuffle(2), (4, 3, 5)),
    (lambda n: n.PixelUnshuffle(2), (2, 3, 4, 6)), (lambda n: n.PixelUnshuffle(3), (1, 5, 3, 6)),
    (lambda n: n.ChannelShuffle(2), (2, 6, 3, 4)), (lambda n: n.ChannelShuffle(3), (1, 9, 5)),
], ids=str)  # fmt: skip
def test_channels_that_become_pixels(make, shape):
    check_module(make, *shape, modes=(True,))


@pytest.mark.parametrize("make", [
    lambda n: n.Sequential(n.ReflectionPad2d(1), n.Conv2d(5, 6, 3), n.ReLU(), n.Upsample(scale_factor=2), n.Conv2d(6, 3, 3)),
    lambda n: n.Sequential(n.Conv2d(5, 8, 3, padding=1), n.PixelShuffle(2), n.Tanh(), n.ReplicationPad2d(2), n.ReLU()),
    lambda n: n.Sequential(n.Upsample(scale_factor=2, mode="bilinear"), n.Sigmoid(), n.ZeroPad2d((1, 0, 2, 1)), n.MaxPool2d(2)),
], ids=str)  # fmt: skip
def test_chains(make):
    check_module(make, 2, 5, 6, 7, modes=(True,))


class Decoder(nn.Module):
    """Dilated convolution and upsampling in place of a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(9, 4, 3, padding=2, dilation=2)

    def forward(self, x):
        low = F.interpolate(self.down(x).relu(), x.shape[2:], mode="bilinear", align_corners=False)
        return self.up(F.cat([low, x], 1))


def test_a_decoder():
    check_network(Decoder(), floats(2, 3, 7, 9))


def test_the_end_of_a_kernel():
    """What follows an upsampling elementwise is computed in its kernel."""
    net = nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU())
    from striate.cpu.program import Program

    assert [call.kernel.name for call in Program(st.trace(net, (1, 16, 4, 4))).calls].count("Resample") == 1
    assert "Pointwise" not in [call.kernel.name for call in Program(st.trace(net, (1, 16, 4, 4))).calls]


COLUMNS = [(3, {}), (2, {"stride": 2}), ((2, 3), {"padding": (1, 2), "dilation": (2, 1), "stride": (1, 2)}),
           (3, {"stride": 3, "padding": 1})]  # fmt: skip


@pytest.mark.parametrize("size, settings", COLUMNS, ids=str)
def test_columns_and_back(size, settings):
    for shape in ((2, 3, 6, 7), (1, 17, 5, 5), (3, 6, 5)):
        check_module(lambda n: n.Unfold(size, **settings), *shape, modes=(True,))
        columns = nn.Unfold(size, **settings)(floats(*shape)).shape
        check_module(lambda n, shape=shape: n.Fold(shape[-2:], size, **settings), *columns, modes=(True,))


def test_columns_that_fit_no_image():
    with pytest.raises(ShapeError) as error:
        st.trace(nn.Fold((4, 5), 3), (2, 18, 7))
    assert str(error.value).endswith("x (2, 18, 7) is not (N, C * 9, 2 * 3 = 6), which an image of 4 x 5 unfolds to; check "
                                     "output_size, kernel_size, stride, padding and dilation")
