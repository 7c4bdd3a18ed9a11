"""The worked numbers of batch, layer, group and instance normalisation."""

import numpy as np
import pytest
from tests.helpers import close, draw
from tests.nn.helpers import run, step

import striate as st
from striate import nn
from striate.cpu.program import Program

TABLE = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 10.0]])
"""Three samples of two features: means (3, 6), biased variances (8/3, 32/3)."""


def one_batch(**settings):
    """Running averages after one batch of TABLE."""
    norm = nn.BatchNorm1d(2, **settings)
    step(norm, TABLE)
    return norm.running_mean.data, norm.running_var.data


def test_S144_mean_of_a_batch():
    close(one_batch(momentum=1.0)[0], np.array([3.0, 6.0]), rtol=1e-6)


def test_S145_biased_variance_of_a_batch():
    close(one_batch(momentum=1.0, unbiased=False)[1], np.array([8 / 3, 32 / 3]), rtol=1e-6)


def test_S146_normalised_values():
    y = run(nn.BatchNorm1d(2, eps=1e-30), TABLE)
    close(y[:, 0], np.array([-(1.5**0.5), 0, 1.5**0.5]), rtol=1e-12)
    close(y[:, 1], y[:, 0])
    assert abs(y[2, 0] - 1.2247449) < 1e-7


def test_S147_mean_0_and_variance_1():
    y = nn.BatchNorm2d(3, affine=False)(np.float32(5 + 3 * draw(8, 3, 16, 16)))
    assert np.abs(y.mean((0, 2, 3))).max() < 1e-5 and np.abs(y.var((0, 2, 3)) - 1).max() < 1e-4


def test_S148_scale_and_shift_begin_as_the_identity():
    norm, x = nn.BatchNorm2d(3), draw(2, 3, 4, 4)
    assert norm.weight.data.tolist() == [1, 1, 1] and norm.bias.data.tolist() == [0, 0, 0]
    close(run(norm, x), run(nn.BatchNorm2d(3, affine=False), x))
    norm.weight.data, norm.bias.data = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, -1.0])
    wanted = run(nn.BatchNorm2d(3), x) * np.array([1, 2, 3]).reshape(-1, 1, 1) + np.array([0, 1, -1]).reshape(-1, 1, 1)
    close(run(norm, x), wanted)


def test_S149_two_axes():
    y = run(nn.BatchNorm1d(3), np.arange(1.0, 10).reshape(3, 3))
    assert np.abs(y[:, 0] - [-1.2247439, 0, 1.2247439]).max() < 5e-8


def test_S150_four_axes():
    np.random.seed(100)
    x = np.random.rand(2, 3, 3, 3)
    assert abs(x[:, 0].mean() - 0.4183686) < 5e-8 and abs(x[:, 0].std() - 0.3030228) < 5e-8
    y = nn.BatchNorm2d(3)(x.astype(np.float32))
    assert np.abs(y[0, 0, 0] - [0.4126077, -0.4619837, 0.0202911]).max() < 1e-5


@pytest.mark.parametrize("name, shape", [("BatchNorm1d", (2, 3, 12)), ("BatchNorm3d", (2, 3, 2, 3, 2))])
def test_S151_three_and_five_axes(name, shape):
    x = draw(*shape)
    close(run(getattr(nn, name)(3), x).reshape(2, 3, 4, 3), run(nn.BatchNorm2d(3), x.reshape(2, 3, 4, 3)))


@pytest.mark.parametrize("settings, variance", [
    ({"decay": 0.9, "unbiased": False, "initial_variance": 0.0}, (0.2667, 1.0667)),
    ({"decay": 0.9, "unbiased": False}, (1.1667, 1.9667)),  # Paddle, Keras
    ({"momentum": 0.1}, (1.3, 2.5)),  # PyTorch
], ids=str)  # fmt: skip
def test_S152_moving_averages(settings, variance):
    mean, found = one_batch(**settings)
    assert np.abs(mean - [0.3, 0.6]).max() < 1e-6
    assert np.abs(found - variance).max() < 5e-5


def test_S152_the_two_sides_of_momentum():
    for ours, other in ((0.1, 0.9), (0.25, 0.75)):
        assert np.array_equal(one_batch(momentum=ours), one_batch(decay=other))


def test_S153_evaluation_uses_the_saved_statistics():
    norm = nn.BatchNorm2d(3)
    norm(np.float32(2 + draw(4, 3, 5, 5)))
    norm.eval()
    a, b, c = (np.float32(draw(1, 3, 5, 5, seed=i)) for i in range(3))
    assert np.array_equal(norm(np.concatenate([a, b]))[0], norm(np.concatenate([a, c]))[0])
    assert np.array_equal(norm(a)[0], norm(np.concatenate([a, b]))[0])


def test_S153_batch_norm_joins_the_convolution():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
    kernels = [call.kernel.name for call in Program(st.trace(net, (2, 3, 16, 16))).calls if not call.prologue]
    assert len([name for name in kernels if "Conv" in name]) == 1 and "Normalise" not in kernels and "Pointwise" not in kernels


def test_S154_training_depends_on_the_batch():
    norm = nn.BatchNorm1d(2)
    a, b, c, d = (draw(1, 2, seed=i) for i in range(4))
    first, second = run(norm, np.concatenate([a, b])), run(norm, np.concatenate([a, c, d]))
    assert np.abs(first[0] - second[0]).max() > 1e-3


def test_S156_layer_norm_does_not_depend_on_the_batch():
    norm, x = nn.LayerNorm((3, 4, 5)), np.float32(draw(8, 3, 4, 5))
    for i in range(8):
        assert np.array_equal(norm(x[i: i + 1])[0], norm(x)[i])
    y = norm(x)
    assert np.abs(y.mean((1, 2, 3))).max() < 1e-6 and np.abs(y.var((1, 2, 3)) - 1).max() < 1e-4


def test_S157_groups_between_layer_and_instance():
    x = draw(2, 6, 4, 5)
    close(run(nn.GroupNorm(1, 6, affine=False), x), run(nn.LayerNorm((6, 4, 5), elementwise_affine=False), x))
    close(run(nn.GroupNorm(6, 6, affine=False), x), run(nn.InstanceNorm2d(6), x))
    groups = run(nn.GroupNorm(2, 6, affine=False), x)
    close(groups[:, :3], run(nn.LayerNorm((3, 4, 5), elementwise_affine=False), x[:, :3]))


def test_S158_instance_norm_forgets_the_contrast():
    """What a style is made of, mean and contrast of each channel, is gone."""
    x = draw(2, 3, 8, 8)
    style = np.array([2.0, 0.5, 7.0]).reshape(-1, 1, 1) * x + np.array([1.0, -2.0, 0.0]).reshape(-1, 1, 1)
    close(run(nn.InstanceNorm2d(3, eps=1e-30), style), run(nn.InstanceNorm2d(3, eps=1e-30), x), rtol=1e-9)


@pytest.mark.parametrize("make, axes", [
    (lambda: nn.BatchNorm2d(4), (0, 2, 3)), (lambda: nn.LayerNorm((4, 3, 5)), (1, 2, 3)), (lambda: nn.InstanceNorm2d(4), (2, 3)),
])  # fmt: skip
def test_S159_the_axes_of_each(make, axes):
    """Along its axes, and only along these, the result has mean 0."""
    y = run(make(), 2 + 3 * draw(6, 4, 3, 5) + draw(6, 1, 1, 1) + draw(1, 4, 1, 1))
    for others in ((0, 2, 3), (1, 2, 3), (2, 3)):
        centred = np.abs(y.mean(others)).max() < 1e-10
        assert centred == (set(axes) <= set(others))


def test_E07_the_saved_variance_starts_at_one():
    """Ten batches of variance 1: from 0 the average has come to 0.651, from 1 it stays."""
    found = {}
    for start in (0.0, 1.0):
        norm = nn.BatchNorm1d(1, decay=0.9, unbiased=False, initial_variance=start)
        for _ in range(10):
            step(norm, np.array([[-1.0], [1.0]]))
        found[start] = norm.running_var.data[0]
    assert abs(found[0.0] - 0.651) < 5e-4 and abs(found[1.0] - 1) < 1e-6
    assert nn.BatchNorm2d(3).running_var.data.tolist() == [1, 1, 1]


def test_E30_the_deviation_divides_with_eps_inside_its_root():
    x = np.array([[-2.0], [2.0]])
    for eps in (1e-7, 1e-5, 1e-3, 1.0):
        close(run(nn.BatchNorm1d(1, eps=eps), x), x / np.sqrt(4 + eps), rtol=1e-12)
    assert nn.BatchNorm1d(1).eps == nn.LayerNorm(1).eps == nn.GroupNorm(1, 1).eps == 1e-5
