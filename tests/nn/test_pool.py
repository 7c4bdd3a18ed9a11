"""Pooling layers: reprs as PyTorch's, shapes of one image, and what a misuse says."""

import numpy as np
import pytest
import torch

import striate as st
from striate import nn
from striate.errors import ArgumentError, ShapeError
from striate.nn import functional as F

REPRS = [
    lambda n: n.MaxPool1d(3, 2), lambda n: n.MaxPool2d((3, 2), padding=1), lambda n: n.MaxPool3d(2, 1, 1, ceil_mode=True),
    lambda n: n.AvgPool1d(3, 2, 1), lambda n: n.AvgPool2d(3), lambda n: n.AvgPool3d((1, 2, 3)), lambda n: n.LPPool1d(2, 3),
    lambda n: n.LPPool2d(1.5, 3, 2), lambda n: n.LPPool3d(2, 2, ceil_mode=True), lambda n: n.MaxUnpool1d(2),
    lambda n: n.MaxUnpool2d(3, 2, 1), lambda n: n.MaxUnpool3d((1, 2, 2)), lambda n: n.AdaptiveAvgPool1d(3),
    lambda n: n.AdaptiveAvgPool3d((1, None, 2)), lambda n: n.AdaptiveMaxPool1d(3, True), lambda n: n.AdaptiveMaxPool3d(2),
]  # fmt: skip


@pytest.mark.parametrize("make", REPRS)
def test_reprs(make):
    assert repr(make(nn)) == repr(make(torch.nn))


def test_reprs_of_our_own():
    assert repr(nn.SumPool2d(2)) == "SumPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(nn.StochasticPool2d(3, 2)) == "StochasticPool2d(kernel_size=3, stride=2, padding=0)"
    assert repr(nn.SpatialPyramidPool2d()) == "SpatialPyramidPool2d(levels=(1, 2, 4), kind='max', mode='adaptive')"
    assert repr(nn.RoIPool(7, 0.5)) == "RoIPool(output_size=7, spatial_scale=0.5)"
    assert repr(nn.NetVLAD(2, 3)).startswith("NetVLAD(\n  num_clusters=2, dim=3, alpha=100.0, normalize_input=True\n  (conv): ")


def test_the_number_of_a_place_counts_levels_then_channels_then_rows():
    x = np.arange(2 * 4 * 4, dtype=np.float32).reshape(1, 2, 4, 4)
    y = nn.SpatialPyramidPool2d((1, 2))(x)
    assert y.tolist() == [[15, 31, 5, 7, 13, 15, 21, 23, 29, 31]]


@pytest.mark.parametrize("layer, size", [
    (nn.MaxPool2d(3, 2, padding="same"), (4, 3)), (nn.AvgPool2d(2, padding="same_lower"), (4, 3)),
    (nn.MaxPool2d(3, 2, (0, 1, 1, 0)), (3, 3)), (nn.AvgPool1d(3, 2, "same"), (3,)), (nn.MaxPool1d(2, padding=((1, 0),)), (3,)),
], ids=str)  # fmt: skip
def test_paddings_by_name_and_side(layer, size):
    shape = (2, 7, 6) if len(size) == 2 else (2, 6)
    assert layer(np.zeros(shape, np.float32)).shape == (2, *size)


@pytest.mark.parametrize("layer", [
    nn.MaxPool1d(2, padding=(1,)), nn.AvgPool1d(3, 2, 1), nn.AvgPool3d(2, padding="same"), nn.MaxUnpool2d(2), nn.LPPool2d(2, 3),
    nn.SpatialPyramidPool2d((1, 3), "avg"), nn.GlobalMaxPool1d(False), nn.RoIAlign((7, 7), 0.5, 2, True), nn.RoIPool(3, 0.5),
    nn.AdaptiveAvgPool3d((1, None, 2)), nn.StochasticPool2d(2), nn.SumPool2d(2), nn.NetVLAD(3, 4),
], ids=lambda layer: type(layer).__name__)  # fmt: skip
def test_a_file_gives_the_layer_back(layer, tmp_path):
    st.save(nn.Sequential(layer), tmp_path / "net.safetensors")
    assert repr(st.load(tmp_path / "net.safetensors")[0]) == repr(layer)


class Unpool(nn.Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, x):
        y, index = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, index, 2, output_size=self.output_size)


class Regions(nn.Module):
    """roi_pool with boxes of some shapes for each image."""

    def __init__(self, *shapes):
        super().__init__()
        self.shapes = shapes

    def forward(self, x):
        return F.roi_pool(x, [np.zeros(shape, np.float32) for shape in self.shapes], 2)


X = (2, 3, 7, 9)
WRONG = {
    "padding 2 is more than half of a window of 3 pixels: 2 > 3 // 2 = 1; pad by at most 1, or pad the input before":
        lambda: nn.MaxPool2d(3, padding=2),
    "padding 3 is more than half of a window of 5 pixels: 3 > 5 // 2 = 2; pad by at most 2, or pad the input before":
        lambda: nn.MaxPool1d(3, padding=3, dilation=2),
    "padding 1 is more than half of a window of 1 pixels: 1 > 1 // 2 = 0; pad by at most 0, or pad the input before":
        lambda: nn.AvgPool3d(1, padding=1),
    "divisor_override must not be 0; None divides by the number of taps": lambda: nn.AvgPool3d(2, divisor_override=0),
    "norm_type is the power p of the norm: a number above 0, got 0; p = infinity is max pooling": lambda: nn.LPPool2d(0, 2),
    "norm_type is the power p of the norm: a number above 0, got inf; p = infinity is max pooling":
        lambda: nn.LPPool1d(float("inf"), 2),
    "output_size must be a number, got (1, 2)": lambda: nn.AdaptiveAvgPool1d((1, 2)),
    "output_size must be a number or three of them, got (1, 2)": lambda: nn.AdaptiveMaxPool3d((1, 2)),
    "output_size must be at least 1, got (0, 1, 1)": lambda: nn.AdaptiveAvgPool3d((0, 1, 1)),
    "levels are bins along a side, whole numbers from 1 up, got (0, 2); use (1, 2, 4)": lambda: nn.SpatialPyramidPool2d((0, 2)),
    "kind must be 'max' or 'avg', got 'sum'": lambda: nn.SpatialPyramidPool2d(kind="sum"),
    "mode must be 'adaptive' or 'paper', got 'exact'": lambda: nn.SpatialPyramidPool2d(mode="exact"),
    "kernel_size must be one whole number, got (2, 2)": lambda: nn.MaxUnpool1d((2, 2)),
    "output_size of a region must be a number or a pair, got (None, 2)": lambda: nn.RoIAlign((None, 2), 1.0, 2),
    "num_clusters must be a whole number from 1 up, got 0": lambda: nn.NetVLAD(0, 8),
    "output_size (9, 9) does not fit: 9 is not between 6 - 2 and 6 + 2 (smallest size, stride); give the size of what was pooled":
        lambda: st.trace(Unpool((9, 9)), X),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message


SHAPES = {
    "width: a window of 5 = 1 * (5 - 1) + 1 pixels does not fit in 4 = 4 + 0 + 0 (input + padding); "
    "pad by at least 1 more or use a larger input": (nn.MaxPool1d(5), (2, 3, 4)),
    "depth: a window of 3 = 1 * (3 - 1) + 1 pixels does not fit in 2 = 2 + 0 + 0 (input + padding); "
    "pad by at least 1 more or use a larger input": (nn.AvgPool3d(3), (2, 3, 2, 5, 5)),
    "x has 2 axes, shape (4, 4), but needs 5: (N, C, D, H, W); reshape x to (N, C, D, H, W)": (nn.MaxPool3d(2), (4, 4)),
    "x has 5 axes, shape (1, 1, 1, 4, 4), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)":
        (nn.GlobalAvgPool2d(), (1, 1, 1, 4, 4)),
    "x has 2 axes, shape (4, 4), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)": (nn.SpatialPyramidPool2d(), (4, 4)),
    "height: level 4 of 7 pixels by the paper's rule is a window of ceil(7/4) = 2 and a stride of floor(7/4) = 1, which gives "
    "floor((7 - 2)/1) + 1 = 6 bins; use mode='adaptive', which gives 4": (nn.SpatialPyramidPool2d(mode="paper"), (1, 2, 7, 8)),
    "width: level 4 has more bins than the 3 pixels, the stride floor(3/4) is 0; use mode='adaptive' or a larger input":
        (nn.SpatialPyramidPool2d(mode="paper"), (1, 2, 8, 3)),
    "x has shape (1, 4, 5, 5) but NetVLAD reads (N, 8, H, W); give it 8 channels": (nn.NetVLAD(2, 8), (1, 4, 5, 5)),
    "1 arrays of boxes for 2 images; give one (boxes, 4) for each image": (Regions((3, 4)), X),
    "the boxes of image 1 have shape (2, 5) but need (boxes, 4): x1, y1, x2, y2; give four numbers for each box":
        (Regions((3, 4), (2, 5)), X),
}  # fmt: skip


@pytest.mark.parametrize("message", SHAPES)
def test_wrong_shapes(message):
    layer, shape = SHAPES[message]
    with pytest.raises(ShapeError) as error:
        st.trace(layer, shape)
    assert str(error.value).removeprefix(f"{error.value.place}: ") == message and "test_pool.py" in error.value.place
