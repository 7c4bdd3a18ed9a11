"""Convolution layers: print, state and arguments beside PyTorch's, and every refusal, whole."""

import json

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import check_module, graph_of, run

from striate import nn
from striate.architecture import describe, rebuild
from striate.errors import ArgumentError, DtypeError, ShapeError
from striate.nn import functional as F
from striate.nn.separable import LENET5, connections_of

LAYERS = [
    (lambda n: n.Conv1d(4, 6, 3), (2, 4, 9)),
    (lambda n: n.Conv1d(4, 6, 3, 2, 1, 2, 2, False), (4, 9)),
    (lambda n: n.Conv1d(2, 3, 3, padding="same", padding_mode="reflect"), (1, 2, 6)),
    (lambda n: n.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="circular", bias=False), (2, 2, 5, 6)),
    (lambda n: n.Conv3d(2, 4, (1, 2, 3), (2, 1, 1), (0, 1, 1), 1, 2), (2, 2, 3, 4, 5)),
    (lambda n: n.Conv3d(2, 4, 2, padding="valid", padding_mode="replicate"), (2, 3, 4, 5)),
    (lambda n: n.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), (2, 4, 5)),
    (lambda n: n.ConvTranspose2d(4, 6, (3, 2), 2, (1, 0), (1, 0), 2, False, 2), (2, 4, 5, 3)),
    (lambda n: n.ConvTranspose2d(4, 6, 2), (4, 5, 3)),
    (lambda n: n.ConvTranspose3d(2, 3, 2, 2), (1, 2, 2, 3, 2)),
]


@pytest.mark.parametrize("make, shape", LAYERS, ids=[str(make(nn)) for make, _ in LAYERS])
def test_layer(make, shape):
    check_module(make, draw(*shape))


def test_what_pytorch_does_not_print():
    assert str(nn.Conv2d(1, 1, 3, padding="full", flip=True)) == (
        "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=full, flip=True)")
    assert str(nn.Conv1d(1, 1, 3, padding=((0, 2),))) == "Conv1d(1, 1, kernel_size=(3,), stride=(1,), padding=(0, 2))"
    assert nn.Conv3d(1, 1, 3, padding=(1, 1, 2, 2, 0, 0)).padding == (1, 2, 0)
    assert nn.ConvTranspose2d(1, 1, 3, padding=(0, 1, 0, 0)).padding == (0, 1, 0, 0)


def test_asymmetric_padding_of_a_transposed_convolution_cuts_each_side():
    net, x = nn.ConvTranspose2d(2, 3, 3, 2, padding=(1, 0, 0, 2)), draw(1, 2, 3, 4)
    weight, bias = (torch.tensor(net.state_dict()[name]).double() for name in ("weight", "bias"))
    whole = torch.nn.functional.conv_transpose2d(torch.tensor(x), weight, bias, 2)
    close(run(net, x), whole[:, :, 1:, :-2].numpy())


def test_named_padding_follows_the_input():
    conv = nn.Conv2d(1, 1, 3, stride=2, padding="same")
    assert [graph_of(conv, draw(1, 1, n, n)).outputs[0].shape[2] for n in (1, 2, 7, 8)] == [1, 1, 4, 4]
    assert [graph_of(conv, draw(1, 1, n, n)).nodes[0].op.window[0].pads for n in (7, 8)] == [(1, 1), (0, 1)]


WRONG = {
    "padding must be one of 'valid', 'same', 'same_lower', 'same_full', 'full' or whole numbers, got 'wide'":
        lambda: nn.Conv2d(4, 4, 3, padding="wide"),
    "padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular', got 'mirror'":
        lambda: nn.Conv1d(4, 4, 3, padding_mode="mirror"),
    "padding must not be negative, got (1, -1)": lambda: nn.Conv2d(4, 4, 3, padding=(1, -1)),
    "dilation must be one whole number or 3 of them, got (1, 2)": lambda: nn.Conv3d(4, 4, 3, dilation=(1, 2)),
    "a window's dilation must be at least 1, got 0; use a positive whole number": lambda: nn.Conv1d(4, 4, 3, dilation=0),
    "a window's size must be at least 1, got -3; use a positive whole number": lambda: nn.ConvTranspose2d(4, 4, -3),
    "in_channels must be a whole number from 1 up, got '4'": lambda: nn.Conv3d("4", 4, 3),
    "in_channels=3 does not divide into groups=2: 3 % 2 = 1; make in_channels a multiple of groups":
        lambda: nn.ConvTranspose1d(3, 4, 3, groups=2),
    "padding_mode of a transposed convolution must be 'zeros', got 'reflect'":
        lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"),
    "padding must be counted in pixels here, got 'same'; give whole numbers": lambda: nn.ConvTranspose2d(4, 4, 3, padding="same"),
    "output_padding=2 must be from 0 to max(stride 2, dilation 1) - 1 = 1":
        lambda: run(nn.ConvTranspose2d(1, 1, 3, 2, output_padding=2), draw(1, 1, 2, 2)),
    "output_padding=-1 must be from 0 to max(stride 2, dilation 1) - 1 = 1":
        lambda: run(nn.ConvTranspose2d(1, 1, 3, 2, output_padding=-1), draw(1, 1, 2, 2)),
    "output_size=(7, 4) is out of reach of an input of (2, 2): each axis must be from (5, 5) to (6, 6)":
        lambda: run(Sized((7, 4)), draw(1, 1, 2, 2)),
    "output_size=(6,) is out of reach of an input of (2, 2): each axis must be from (5, 5) to (6, 6)":
        lambda: run(Sized((6,)), draw(1, 1, 2, 2)),
    "padding must be counted in pixels here, got 'full'; give whole numbers":
        lambda: run(Calls(lambda x: F.conv_transpose2d(x, np.zeros((1, 1, 3, 3), np.float32), padding="full")), draw(1, 1, 2, 2)),
    "connections has 1 rows for out_channels=2; give the input channels of each output channel":
        lambda: nn.SparseConv2d(3, 2, 3, ((0, 1),)),
    "connections[1] = (0, 3) must name input channels from 0 to 2, at least one, each once":
        lambda: nn.SparseConv2d(3, 2, 3, ((0,), (0, 3))),
    "out_channels=5 is no multiple of depth_multiplier=2; make it one where pointwise_first=True":
        lambda: nn.SeparableConv2d(3, 5, 3, depth_multiplier=2, pointwise_first=True),
    "depth_multiplier must be a whole number from 1 up, got 0": lambda: nn.DepthwiseConv2d(3, 3, depth_multiplier=0),
}  # fmt: skip


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Sized(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.net, self.size = nn.ConvTranspose2d(1, 1, 3, 2), size

    def forward(self, x):
        return self.net(x, output_size=self.size)


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert error.value.args == (message,)


SHAPES = [
    (nn.Conv1d(4, 6, 3), (2, 3, 9), "x has 3 channels but the weight (6, 4, 3) with groups=1 reads 4 * 1 = 4; use in_channels=3"),
    (nn.Conv3d(4, 6, 3), (1, 4, 9, 9), "x has 1 channels but the weight (6, 4, 3, 3, 3) with groups=1 reads 4 * 1 = 4; "
                                       "use in_channels=1"),
    (nn.Conv2d(4, 6, 3), (9, 9), "x has 2 axes, shape (9, 9), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)"),
    (nn.Conv2d(4, 6, 5), (1, 4, 9, 3), "width: a window of 5 = 1 * (5 - 1) + 1 pixels does not fit in 3 = 3 + 0 + 0 "
                                       "(input + padding); pad by at least 2 more or use a larger input"),
    (nn.ConvTranspose2d(4, 6, 3), (1, 3, 9, 9), "x has 3 channels but the weight (4, 6, 3, 3) reads 4; use in_channels=3"),
    (nn.ConvTranspose1d(1, 1, 2, padding=3), (1, 1, 2),
     "width: (2 - 1) * 1 - 3 - 3 + 2 + 0 = -3 pixels (stride, padding, window's extent, output padding) are none; pad by 4 less"),
]


@pytest.mark.parametrize("net, shape, text", SHAPES, ids=[str(i) for i in range(len(SHAPES))])
def test_wrong_shapes(net, shape, text):
    with pytest.raises(ShapeError) as error:
        graph_of(net, draw(*shape))
    assert error.value.args[0].endswith(text) and error.value.args[0].count(": ") >= text.count(": ")


def test_wrong_weights_and_types():
    for rank, letters in ((1, "K, C/G, S"), (2, "K, C/G, R, S"), (3, "K, C/G, T, R, S")):
        convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        with pytest.raises(ShapeError) as error:
            run(Calls(lambda x, f=convolve: f(x, np.zeros((2, 2), np.float32))), draw(1, 2, *[5] * rank))
        text = f"the weight has 2 axes, shape (2, 2), but needs {rank + 2}: ({letters}); reshape it"
        assert str(error.value).endswith(text)
    with pytest.raises(DtypeError) as wrong:
        graph_of(nn.Conv2d(1, 1, 3), np.zeros((1, 1, 4, 4), np.int64))
    assert str(wrong.value).endswith("x has dtype int64 but needs float32; convert x with astype('float32')")


def test_sparse_connections_start_by_their_own_fan_in():
    conv = nn.SparseConv2d(6, 16, 5, LENET5)
    assert conv.weight.shape == (60, 5, 5) and sum(p.numel() for p in conv.parameters()) == 1516
    assert connections_of(np.eye(3)) == ((0,), (1,), (2,))
    bounds = np.repeat([1 / np.sqrt(25 * len(row)) for row in LENET5], [len(row) for row in LENET5])
    share = np.abs(conv.weight.numpy()).max((1, 2)) / bounds
    assert (share <= 1).all() and share.min() > 0.7
    assert str(conv) == "SparseConv2d(6, 16, kernel_size=(5, 5), stride=(1, 1), connections=60)"


def test_depthwise_is_a_convolution_with_a_group_for_each_channel():
    conv = nn.DepthwiseConv2d(3, (3, 5), 2, "same", depth_multiplier=2)
    assert (conv.groups, conv.out_channels, conv.weight.shape, conv.depth_multiplier) == (3, 6, (6, 1, 3, 5), 2)
    assert str(conv) == "DepthwiseConv2d(3, 6, kernel_size=(3, 5), stride=(2, 2), padding=same, groups=3)"


STORED = [
    nn.Conv1d(4, 8, 3, 2, padding=((0, 2),), groups=2), nn.Conv3d(1, 2, (1, 2, 3), padding="full", bias=False, flip=True),
    nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, (1, 2)),
    nn.ConvTranspose1d(4, 6, 3, padding=(1, 0)), nn.ConvTranspose3d(2, 2, 2), nn.SparseConv2d(6, 16, 5, LENET5, padding="same"),
    nn.DepthwiseConv2d(4, 3, 2, "same", depth_multiplier=2), nn.SeparableConv2d(4, 6, (3, 1), pointwise_first=True),
    nn.SpatiallySeparableConv2d(4, 6, 3, (2, 1), 1, mid_channels=2, bias=False),
]


@pytest.mark.parametrize("net", STORED, ids=str)
def test_layers_are_rebuilt_from_plain_data(net):
    description = json.loads(json.dumps(describe(nn.Sequential(net))))
    assert description["layer"] == "Sequential"
    other = rebuild(description)[0]
    assert repr(other) == repr(net)
    check = {name: a.shape for name, a in other.state_dict().items()}
    assert check == {name: a.shape for name, a in net.state_dict().items()}
