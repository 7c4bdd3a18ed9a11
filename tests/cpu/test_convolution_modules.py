"""Every convolution layer compiled: output, dx and gradients as its reference and as PyTorch in float64.

Tolerances: `helpers.FORWARD` and `helpers.GRADIENT`, relative to the largest number of an array. Two-dimensional convolution
has more cases in test_modules.py.
"""

from collections import OrderedDict
from itertools import product

import numpy as np
import pytest
import torch
from tests.cpu.helpers import check_module, close, floats

import striate as st
from striate import nn
from striate.nn.separable import LENET5
from striate.window import windows

TWIN = {nn.Conv1d: (torch.nn.Conv1d, torch.nn.functional.conv1d), nn.Conv2d: (torch.nn.Conv2d, torch.nn.functional.conv2d),
        nn.Conv3d: (torch.nn.Conv3d, torch.nn.functional.conv3d)}


def padded(kind, size, *arguments, padding, stride=1, dilation=1, groups=1, flip=False, **more):
    """Makers of a layer of ours and of PyTorch's with the padding done beforehand: named, asymmetric, and the weight turned."""
    base, convolve = TWIN[kind]
    window = windows(arguments[2], stride, padding, dilation, rank=kind.rank, size=size)

    class Twin(base):
        def forward(self, x):
            pads = [p for w in reversed(window) for p in w.pads]
            weight = self.weight.flip(list(range(2, self.weight.ndim))) if flip else self.weight
            x = torch.nn.functional.pad(x, pads, mode=more.get("padding_mode", "zeros").replace("zeros", "constant"))
            return convolve(x, weight, self.bias, stride, 0, dilation, groups)

    def make(n):
        if n is nn:
            return kind(*arguments, stride=stride, padding=padding, dilation=dilation, groups=groups, flip=flip, **more)
        return Twin(*arguments, stride=stride, dilation=dilation, groups=groups)

    return make


@pytest.mark.parametrize("stride, dilation, padding, groups", list(product((1, 2), (1, 3), (0, 2, ((1, 3),)), (1, 3))), ids=str)
def test_conv1d(stride, dilation, padding, groups):
    make = padded(nn.Conv1d, (13,), 6, 9, 3, padding=padding, stride=stride, dilation=dilation, groups=groups)
    check_module(make, 3, 6, 13, modes=(True,))


@pytest.mark.parametrize("channels", range(1, 18))
def test_conv1d_of_channels_that_fill_no_vector(channels):
    check_module(lambda n: n.Conv1d(channels, 18 - channels, 5, padding=2), 1 + channels % 3, channels, 9, modes=(True,))


CASES_1D = [
    (lambda n: n.Conv1d(8, 8, 3, padding=1, groups=8), (2, 8, 12)),
    (lambda n: n.Conv1d(4, 7, 9, padding=4), (1, 4, 3)),  # a window larger than the input
    (lambda n: n.Conv1d(16, 24, 1, bias=False), (3, 16, 10)),
    (lambda n: n.Conv1d(3, 5, 3, padding="same", dilation=2), (3, 11)),  # without a batch
    (lambda n: n.Conv1d(5, 40, 7, stride=3, padding=3, padding_mode="circular"), (2, 5, 20)),
    (lambda n: n.Sequential(n.Conv1d(4, 8, 3), n.ReLU(), n.BatchNorm1d(8), n.Conv1d(8, 4, 3, padding=1), n.Tanh()), (3, 4, 9)),
]


@pytest.mark.parametrize("make, shape", CASES_1D, ids=[str(i) for i in range(len(CASES_1D))])
def test_conv1d_cases(make, shape):
    check_module(make, *shape)


@pytest.mark.parametrize("stride, dilation, padding, groups", list(product((1, 2, (3, 1)), (1, 2), (0, 1, (0, 2, 1, 0)), (1, 2))),
                         ids=str)
def test_conv2d(stride, dilation, padding, groups):
    make = padded(nn.Conv2d, (7, 8), 4, 6, (3, 2), padding=padding, stride=stride, dilation=dilation, groups=groups)
    check_module(make, 2, 4, 7, 8, modes=(True,))


@pytest.mark.parametrize("name", ["valid", "same", "same_lower", "same_full", "full"])
@pytest.mark.parametrize("kernel, stride", [(3, 2), (4, 3), (2, 1), (3, 4), ((1, 5), (2, 2))], ids=str)
def test_padding_by_name(name, kernel, stride):
    check_module(padded(nn.Conv2d, (7, 6), 3, 5, kernel, padding=name, stride=stride), 2, 3, 7, 6, modes=(True,))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_mode(mode):
    check_module(lambda n: n.Conv2d(3, 5, 3, stride=2, padding=(2, 1), padding_mode=mode), 2, 3, 6, 7, modes=(True,))
    check_module(lambda n: n.Conv2d(3, 5, (3, 4), padding="same", padding_mode=mode, bias=False), 3, 6, 7, modes=(True,))
    check_module(lambda n: n.Conv3d(2, 3, 3, padding=(1, 0, 2), padding_mode=mode), 1, 2, 3, 4, 5, modes=(True,))
    check_module(padded(nn.Conv2d, (5, 6), 2, 3, 3, padding=(1, 0, 2, 1), padding_mode=mode), 2, 2, 5, 6, modes=(True,))


def test_flip_is_the_convolution_of_mathematics():
    check_module(padded(nn.Conv1d, (9,), 2, 3, 4, padding=1, flip=True), 2, 2, 9, modes=(True,))
    check_module(padded(nn.Conv2d, (6, 7), 4, 6, (3, 2), padding="full", groups=2, flip=True), 2, 4, 6, 7, modes=(True,))
    check_module(padded(nn.Conv3d, (3, 4, 5), 2, 3, (1, 2, 3), padding=1, flip=True), 1, 2, 3, 4, 5, modes=(True,))


PADS_3D = 0, (1, 0, 2), (1, 0, 0, 2, 3, 1)


@pytest.mark.parametrize("stride, dilation, padding, groups", list(product((1, 2), (1, 2), PADS_3D, (1, 2))), ids=str)
def test_conv3d(stride, dilation, padding, groups):
    make = padded(nn.Conv3d, (5, 6, 7), 4, 6, (3, 2, 3), padding=padding, stride=stride, dilation=dilation, groups=groups)
    check_module(make, 2, 4, 5, 6, 7, modes=(True,))


@pytest.mark.parametrize("channels", range(1, 18, 2))
def test_conv3d_of_channels_that_fill_no_vector(channels):
    make = lambda n: n.Conv3d(channels, 18 - channels, 3, stride=1 + channels % 2, padding=1)  # noqa: E731
    check_module(make, 1 + channels % 3, channels, 3, 4, 5, modes=(True,))


CASES_3D = [
    (lambda n: n.Conv3d(17, 17, 3, padding=1, groups=17), (2, 17, 4, 5, 3)),
    (lambda n: n.Conv3d(6, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1), groups=6, bias=False), (1, 6, 3, 6, 7)),
    (lambda n: n.Conv3d(4, 6, 5, padding=2), (1, 4, 1, 2, 3)),  # a window larger than the input
    (lambda n: n.Conv3d(24, 40, 1), (2, 24, 3, 4, 3)),
    (lambda n: n.Conv3d(3, 5, 2, stride=4), (2, 3, 9, 9, 9)),  # voxels that no window reads
    (lambda n: n.Conv3d(40, 72, 3, padding=1), (1, 40, 3, 4, 4)),  # heavy weights
    (lambda n: n.Conv3d(2, 3, 3), (2, 4, 5, 6)),  # without a batch
    (lambda n: n.Sequential(n.Conv3d(2, 6, 3, padding=1), n.ReLU(), n.Conv3d(6, 4, (3, 1, 1), bias=False), n.Tanh()),
     (2, 2, 4, 3, 5)),
]


@pytest.mark.parametrize("make, shape", CASES_3D, ids=[str(i) for i in range(len(CASES_3D))])
def test_conv3d_cases(make, shape):
    check_module(make, *shape)


TRANSPOSED = [(s, p, e, d, g) for s, p, e, d, g in product((1, 2, 3), (0, 1), (0, 1), (1, 2), (1, 2)) if e < max(s, d)]


@pytest.mark.parametrize("stride, padding, extra, dilation, groups", TRANSPOSED)
def test_conv_transpose2d(stride, padding, extra, dilation, groups):
    make = lambda n: n.ConvTranspose2d(4, 6, (3, 2), stride, padding, extra, groups, dilation=dilation)  # noqa: E731
    check_module(make, 2, 4, 4, 5, modes=(True,))


@pytest.mark.parametrize("channels", range(1, 18))
def test_conv_transpose2d_of_channels_that_fill_no_vector(channels):
    make = lambda n: n.ConvTranspose2d(channels, 18 - channels, 4, 1 + channels % 2, 1)  # noqa: E731
    check_module(make, 1 + channels % 3, channels, 3, 5, modes=(True,))


CASES_TRANSPOSED = [
    (lambda n: n.ConvTranspose2d(16, 16, 4, 2, 1, groups=16), (2, 16, 5, 4)),
    (lambda n: n.ConvTranspose2d(8, 5, 2, 2, bias=False), (3, 8, 4, 4)),
    (lambda n: n.ConvTranspose2d(24, 16, 3, padding=1), (1, 24, 14, 14)),
    (lambda n: n.ConvTranspose2d(8, 16, 1), (2, 8, 5, 3)),
    (lambda n: n.ConvTranspose2d(3, 4, 2, 5, output_padding=4), (2, 3, 2, 3)),
    (lambda n: n.ConvTranspose2d(3, 4, 3, 2), (3, 4, 5)),  # without a batch
    (lambda n: n.Sequential(n.Conv2d(3, 8, 3, 2, 1), n.ReLU(), n.ConvTranspose2d(8, 3, 4, 2, 1), n.Sigmoid()), (2, 3, 8, 6)),
    (lambda n: n.ConvTranspose1d(6, 4, 5, 3, 1, 2, groups=2, dilation=2), (3, 6, 7)),
    (lambda n: n.ConvTranspose1d(5, 5, 4, 2, bias=False), (5, 9)),
    (lambda n: n.ConvTranspose3d(4, 6, 3, 2, 1, 1), (2, 4, 2, 3, 4)),
    (lambda n: n.ConvTranspose3d(6, 6, (1, 2, 3), (1, 2, 3), (0, 1, 0), groups=6), (1, 6, 3, 2, 3)),
    (lambda n: n.ConvTranspose3d(3, 2, 2, dilation=2, bias=False), (3, 2, 3, 4)),
]


@pytest.mark.parametrize("make, shape", CASES_TRANSPOSED, ids=[str(i) for i in range(len(CASES_TRANSPOSED))])
def test_transposed_cases(make, shape):
    check_module(make, *shape)


def test_conv_transpose_output_size():
    ours, theirs = nn.ConvTranspose2d(3, 4, 3, 2, 1), torch.nn.ConvTranspose2d(3, 4, 3, 2, 1)
    ours.load_state_dict(theirs.state_dict())
    x = floats(2, 3, 4, 5)
    for size in ((7, 9), (8, 9), (2, 4, 7, 10)):

        class Sized(nn.Module):
            def __init__(self, net, size):
                super().__init__()
                self.net, self.size = net, size

            def forward(self, x):
                return self.net(x, output_size=self.size)

        close(Sized(ours, size)(x), theirs(torch.tensor(x), output_size=size).detach(), 1e-5)


@pytest.mark.parametrize("multiplier", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 8, 20])
def test_depthwise(channels, multiplier):
    def make(n):
        if n is nn:
            return nn.DepthwiseConv2d(channels, 3, 1 + channels % 2, 1, depth_multiplier=multiplier)
        return n.Conv2d(channels, channels * multiplier, 3, 1 + channels % 2, 1, groups=channels)

    check_module(make, 2, channels, 6, 7, modes=(True,))


def test_grouped_channels():
    for groups, inside, outside in ((2, 3, 5), (4, 8, 4), (8, 4, 4), (3, 1, 16), (2, 17, 16), (16, 2, 2)):
        check_module(lambda n, g=groups, i=inside, o=outside: n.Conv2d(g * i, g * o, 3, padding=1, groups=g),
                     2, groups * inside, 5, 6, modes=(True,))


def test_separable():
    def make(n):
        if n is nn:
            return nn.SeparableConv2d(5, 7, 3, 2, 1, depth_multiplier=2)
        depthwise = n.Conv2d(5, 10, 3, 2, 1, groups=5, bias=False)
        return n.Sequential(OrderedDict(depthwise=depthwise, pointwise=n.Conv2d(10, 7, 1)))

    check_module(make, 3, 5, 7, 6, modes=(True,))


def test_separable_with_the_channels_first():
    def make(n):
        if n is nn:
            return nn.SeparableConv2d(5, 6, 3, 1, 1, depth_multiplier=2, pointwise_first=True)
        depthwise, pointwise = n.Conv2d(3, 6, 3, 1, 1, groups=3), n.Conv2d(5, 3, 1, bias=False)
        net = n.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))
        net.forward = lambda x: depthwise(pointwise(x))
        return net

    check_module(make, 3, 5, 7, 6, modes=(True,))


def test_spatially_separable():
    def make(n):
        if n is nn:
            return nn.SpatiallySeparableConv2d(4, 6, (3, 5), (2, 1), (1, 2), mid_channels=3)
        column, row = n.Conv2d(4, 3, (3, 1), (2, 1), (1, 0), bias=False), n.Conv2d(3, 6, (1, 5), 1, (0, 2))
        return n.Sequential(OrderedDict(column=column, row=row))

    check_module(make, 2, 4, 7, 8, modes=(True,))


def test_sparse_connections():
    """Only the kernels that exist have gradients, and they are those of the whole weight."""

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            ours = nn.SparseConv2d(6, 16, 5, LENET5, padding=1)
            self.weight, self.bias = (torch.nn.Parameter(torch.tensor(p.numpy())) for p in (ours.weight, ours.bias))

        def forward(self, x):
            places = torch.tensor([(k, c) for k, row in enumerate(LENET5) for c in row]).T
            whole = torch.zeros(16, 6, 5, 5, dtype=self.weight.dtype).index_put(tuple(places), self.weight)
            return torch.nn.functional.conv2d(x, whole, self.bias, padding=1)

    check_module(lambda n: nn.SparseConv2d(6, 16, 5, LENET5, padding=1) if n is nn else Twin(), 2, 6, 9, 8, modes=(True,))


def test_no_convolution_falls_back_and_no_weight_is_packed_in_a_step():
    """A step of training reads and writes parameters where they lie, in one and three dimensions too."""
    from striate import optim

    for net, shape in ((nn.Conv1d(8, 16, 3, padding=1), (4, 8, 20)), (nn.Conv3d(4, 8, 3, padding=1), (2, 4, 4, 5, 6)),
                       (nn.ConvTranspose2d(8, 4, 4, 2, 1), (2, 8, 5, 5))):
        x = floats(*shape)
        target = np.zeros(st.trace(net, shape).outputs[0].shape, np.float32)
        step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.01))
        first = step(x, target)
        assert step(x, target) < first
        names = {call.kernel.name for call in step.program(x, target).calls}
        assert names and not names & {"PackWeights", "UnpackWeights"}, names
