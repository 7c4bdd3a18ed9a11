"""Layers of normalisation, padding, upsampling and embedding side by side with PyTorch's: print, keys, outputs, gradients."""

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import both, check_module, check_state, run, step

from striate import nn

LAYERS = [
    (lambda n: n.LayerNorm((3, 4)), (2, 3, 4)), (lambda n: n.LayerNorm(4, elementwise_affine=False), (2, 3, 4)),
    (lambda n: n.LayerNorm(4, 1e-2, bias=False), (2, 3, 4)), (lambda n: n.RMSNorm(4, 1e-3), (2, 3, 4)),
    (lambda n: n.RMSNorm([3, 4], 1e-3, False), (2, 3, 4)), (lambda n: n.GroupNorm(2, 6), (2, 6, 3)),
    (lambda n: n.GroupNorm(3, 6, affine=False), (2, 6, 3, 2)), (lambda n: n.GroupNorm(3, 6, bias=False), (2, 6)),
    (lambda n: n.LocalResponseNorm(3, 0.5, 0.7, 2.0), (2, 6, 3)), (lambda n: n.BatchNorm3d(2), (2, 2, 2, 3, 2)),
    (lambda n: n.InstanceNorm1d(3, affine=True), (2, 3, 4)), (lambda n: n.InstanceNorm2d(3), (3, 4, 2)),
    (lambda n: n.InstanceNorm2d(3, affine=True, bias=False), (2, 3, 4, 2)), (lambda n: n.InstanceNorm3d(3), (2, 3, 4, 2, 2)),
    (lambda n: n.ReflectionPad1d((2, 1)), (2, 3, 4)), (lambda n: n.ReplicationPad2d(2), (2, 3, 4, 5)),
    (lambda n: n.CircularPad3d(1), (2, 3, 4, 5, 3)), (lambda n: n.ZeroPad1d(2), (3, 4)),
    (lambda n: n.ConstantPad2d((1, 2, 0, 1), 3.5), (2, 3, 4, 5)),
    (lambda n: n.Upsample(scale_factor=2), (2, 3, 4)),
    (lambda n: n.Upsample((3, 9), mode="bilinear", align_corners=True), (2, 3, 4, 5)),
    (lambda n: n.UpsamplingNearest2d(scale_factor=(2, 3)), (2, 3, 4, 5)), (lambda n: n.UpsamplingBilinear2d(7), (2, 3, 4, 5)),
    (lambda n: n.PixelShuffle(2), (2, 8, 3, 2)), (lambda n: n.PixelUnshuffle(2), (2, 3, 4, 2)),
    (lambda n: n.ChannelShuffle(2), (2, 6, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("make, shape", LAYERS)
def test_layer(make, shape):
    check_module(make, draw(*shape))


@pytest.mark.parametrize("name, shape", [("InstanceNorm1d", (4, 3, 5)), ("InstanceNorm2d", (2, 3, 4, 5)), ("InstanceNorm2d",
    (3, 4, 5))])
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics_of_instances(name, shape, momentum):
    ours, theirs = both(lambda n: getattr(n, name)(3, momentum=momentum, track_running_stats=True))
    for i in range(3):
        x = 2 + 3 * draw(*shape, seed=i)
        close(step(ours, x), theirs(torch.tensor(x)).detach().numpy())
    for key, value in theirs.state_dict().items():
        close(ours.state_dict()[key], value.numpy(), rtol=1e-6)
    ours.eval(), theirs.eval()
    close(run(ours, x), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-6)


def test_embedding():
    ours, theirs = both(lambda n: n.Embedding(6, 3, padding_idx=-1))
    index = np.array([[0, 5, 2], [2, 2, 1]])
    assert repr(ours) == repr(theirs) == "Embedding(6, 3, padding_idx=5)"
    check_state(ours.state_dict(), theirs.float().state_dict())
    close(run(ours, index), theirs.double()(torch.tensor(index)).detach().numpy())


def test_the_table_of_an_embedding():
    table = nn.Embedding(2000, 50, padding_idx=7).weight.data
    assert not table[7].any() and table[6].any()
    assert abs(table.mean()) < 0.02 and abs(table.std() - 1) < 0.02


def test_conventions_show():
    assert repr(nn.BatchNorm1d(3, decay=0.9, unbiased=False, initial_variance=0.0)) == (
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True, unbiased=False, "
        "initial_variance=0.0)"
    )


def test_reset_of_layers():
    for norm in (nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.RMSNorm(3)):
        norm.weight.data = np.zeros(3)
        norm.reset_parameters()
        assert (norm.weight.data == 1).all()
