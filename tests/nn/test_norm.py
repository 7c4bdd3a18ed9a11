"""Running statistics against PyTorch's, over three steps of training."""

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import both, check_state, graph_of, run, step

from striate import nn
from striate.errors import ShapeError


@pytest.mark.parametrize("options", [{}, {"momentum": 0.3}, {"momentum": None}, {"affine": False}, {"momentum": 1.0}])
@pytest.mark.parametrize("name, shape", [("BatchNorm1d", (4, 3)), ("BatchNorm1d", (4, 3, 2)), ("BatchNorm2d", (2, 3, 4, 5))])
def test_running_statistics(name, shape, options):
    ours, theirs = both(lambda nn: getattr(nn, name)(3, **options))
    for i in range(3):
        x = 2 + 3 * draw(*shape, seed=i)
        close(step(ours, x), theirs(torch.tensor(x)).detach().numpy())
    assert ours.num_batches_tracked.data == 3
    for key in ("running_mean", "running_var"):
        close(ours.state_dict()[key], theirs.state_dict()[key].numpy(), rtol=1e-6)
    ours.eval(), theirs.eval()
    x = draw(*shape, seed=7)
    close(run(ours, x), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-6)


def test_a_layer_called_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x, z):
            return self.norm(x) + self.norm(z)

    net, theirs = Twice(), torch.nn.BatchNorm1d(3).double()
    x, z = draw(4, 3, seed=1), 5 + draw(4, 3, seed=2)
    step(net, x, z)
    theirs(torch.tensor(x)), theirs(torch.tensor(z))
    assert net.norm.num_batches_tracked.data == 2
    close(net.norm.running_mean.data, theirs.running_mean.numpy(), rtol=1e-6)
    close(net.norm.running_var.data, theirs.running_var.numpy(), rtol=1e-6)


def test_evaluation_changes_nothing():
    assert not graph_of(nn.BatchNorm2d(3).eval(), draw(2, 3, 4, 4)).updates
    assert not graph_of(nn.BatchNorm2d(3, track_running_stats=False), draw(2, 3, 4, 4)).updates


def test_cumulative_average_loads_pytorchs_count():
    norm, theirs = nn.BatchNorm1d(3, momentum=None), torch.nn.BatchNorm1d(3, momentum=None)
    theirs(torch.ones(2, 3))
    norm.load_state_dict(theirs.state_dict())
    assert norm.num_batches_tracked.data == 1
    theirs.load_state_dict({k: torch.tensor(v) for k, v in norm.state_dict().items()})
    assert theirs.num_batches_tracked == 1


def test_reset():
    norm = nn.BatchNorm1d(3)
    step(norm, draw(4, 3))
    norm.weight.data = np.zeros(3)
    norm.reset_parameters()
    fresh = nn.BatchNorm1d(3).state_dict()
    assert all((v == fresh[k]).all() for k, v in norm.state_dict().items())
    check_state(norm.state_dict(), torch.nn.BatchNorm1d(3).state_dict())


@pytest.mark.parametrize("options", [{}, {"affine": False}])
def test_wrong_channels(options):
    norm = nn.BatchNorm2d(3, **options)
    for mode in (True, False):
        with pytest.raises(ShapeError, match=r"x \(2, 4, 5, 5\) has 4 channels but weight has shape \(3,\); use num_features=4"):
            run(norm.train(mode), draw(2, 4, 5, 5))


def test_one_value_a_channel():
    with pytest.raises(ShapeError, match="has one value a channel, whose variance is 0: training needs more"):
        run(nn.BatchNorm2d(3), draw(1, 3, 1, 1))
    run(nn.BatchNorm2d(3).eval(), draw(1, 3, 1, 1))
