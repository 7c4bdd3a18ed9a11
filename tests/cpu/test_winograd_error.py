"""How far Winograd's algorithm is from float64, in every layer of the benchmarked networks that it may compute."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import error, floats

import striate as st
from striate import nn, optim
from striate.cpu.kernels.winograd import FOUR, SIX
from striate.cpu.rules import conv as rules

BOUND = 1e-4
"""Largest error beside the largest number of an array; with tiles of four the layers below stay under a tenth of it."""
LAYERS = [
    (32, 32, 28), (32, 64, 14), (64, 64, 14),  # the network of four convolutions
    (64, 64, 56), (128, 128, 28), (256, 256, 14), (512, 512, 7),  # ResNet-18 and ResNet-50
    (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56), (256, 512, 28), (512, 512, 28),
    (512, 512, 14),  # VGG-16
]  # fmt: skip


def exact(x, weight, dy, pad=1, stride=1):
    """y, dx, dw in float64, by PyTorch."""
    x, weight = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, weight))
    y = torch.nn.functional.conv2d(x, weight, padding=pad, stride=stride)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    return y.detach(), x.grad, weight.grad


@pytest.fixture
def always(monkeypatch):
    """Winograd whether it pays or not: one image is enough to see its error."""
    monkeypatch.setattr(rules, "winograd_pays", lambda *sizes: True)
    monkeypatch.setattr(rules, "winograd_weights_pays", lambda *sizes: True)


@pytest.mark.parametrize("C, K, size", LAYERS, ids=str)
def test_error_of_the_three_forms(always, monkeypatch, C, K, size):
    monkeypatch.setattr(rules, "winograd_form", lambda *sizes: FOUR)
    net = nn.Conv2d(C, K, 3, padding=1, bias=False)
    net.weight.data = floats(K, C, 3, 3) * np.float32(np.sqrt(2 / (9 * C)))
    x, dy = np.maximum(floats(1, C, size, size), 0), floats(1, K, size, size, seed=1)
    y, pullback = st.vjp(net, x)
    dx, gradients = pullback(dy)
    (program, _), = next(iter(net._programs.values())).known.values()
    assert [c.kernel.name for c in program.calls if c.node and "conv2d" in c.node.op.name and "Winograd" in c.kernel.name]
    found = [error(a, b) for a, b in zip((y, dx, gradients["weight"]), exact(x, net.weight.data, dy), strict=True)]
    assert max(found) < BOUND / 10, found


@pytest.mark.parametrize("C, K, size", LAYERS, ids=str)
def test_error_of_larger_tiles(always, monkeypatch, C, K, size):
    """As in inference, where the filter is fixed."""
    monkeypatch.setattr(rules, "winograd_form", lambda *sizes: SIX)
    net = nn.Conv2d(C, K, 3, padding=1, bias=False)
    net.weight.data = floats(K, C, 3, 3) * np.float32(np.sqrt(2 / (9 * C)))
    x = np.maximum(floats(1, C, size, size), 0)
    wanted = torch.nn.functional.conv2d(*(torch.tensor(a, dtype=torch.float64) for a in (x, net.weight.data)), padding=1)
    assert error(net(x), wanted) < BOUND


def trained(precise: bool, steps: int = 60) -> tuple[list[float], st.nn.Module]:
    """The losses of a small network that learns which quarter of an image is bright."""
    st.seed(3)
    block = lambda c, k: [nn.Conv2d(c, k, 3, padding=1), nn.BatchNorm2d(k), nn.ReLU()]  # noqa: E731
    net = nn.Sequential(*block(3, 32), *block(32, 32), nn.MaxPool2d(2), *block(32, 64), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                        nn.Linear(256, 4))
    net.precise = precise
    step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.02, momentum=0.9))
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(steps):
        x, y = rng.standard_normal((16, 3, 16, 16), np.float32), rng.integers(0, 4, 16)
        for image, quarter in zip(x, y, strict=True):
            image[:, quarter // 2 * 8:, quarter % 2 * 8:][:, :8, :8] += 0.7
        losses.append(step(x, y))
    return losses, net


def test_training_is_that_of_direct_convolution(always):
    """The first steps differ by rounding, and what both learn is the same."""
    (fast, _), (direct, _) = trained(False), trained(True)
    assert fast != direct
    np.testing.assert_allclose(fast[:10], direct[:10], rtol=1e-3)
    assert direct[0] > 1 and abs(np.mean(fast[-10:]) - np.mean(direct[-10:])) < 0.05 and np.mean(direct[-10:]) < 0.5


@pytest.mark.parametrize("C, K, size, pad", [(6, 16, 14, 0), (1, 6, 28, 2), (96, 256, 27, 2), (16, 32, 28, 2), (32, 96, 14, 2)],
                         ids=str)
def test_error_of_lines(C, K, size, pad):
    """Windows of 5x5, down the lines: LeNet's, AlexNet's, GoogLeNet's. AlexNet's gradient is a sum of 6400 products."""
    net = nn.Conv2d(C, K, 5, padding=pad, bias=False)
    net.weight.data = floats(K, C, 5, 5) * np.float32(np.sqrt(2 / (25 * C)))
    x = np.maximum(floats(8, C, size, size), 0)
    y, pullback = st.vjp(net, x)
    dy = floats(*y.shape, seed=1)
    dx, gradients = pullback(dy)
    (program, _), = next(iter(net._programs.values())).known.values()
    assert any(c.kernel.name.startswith("WinogradLines") for c in program.calls)
    found = [error(a, b) for a, b in zip((y, dx, gradients["weight"]), exact(x, net.weight.data, dy, pad), strict=True)]
    assert max(found) < BOUND / 5, found


STRIDED = {"ResNet's first": (3, 64, 7, 2, 64), "AlexNet's first": (3, 64, 11, 4, 99), "VGG's first": (3, 64, 3, 1, 64),
           "3 s2": (64, 64, 3, 2, 56), "3 s2, 128 channels": (128, 128, 3, 2, 28)}


@pytest.mark.parametrize(("C", "K", "R", "stride", "size"), STRIDED.values(), ids=STRIDED)
def test_error_of_lines_with_strides(C, K, R, stride, size):
    """Below 1e-5, and at most six times as far from float64 as what direct kernels give."""
    x, w = np.maximum(floats(2, C, size, size), 0), floats(K, C, R, R) * np.float32(np.sqrt(2 / (R * R * C)))
    errors = []
    for precise in (False, True):
        net = nn.Conv2d(C, K, R, stride, padding=R // 2, bias=False)
        net.weight.data, net.precise = w, precise
        y, pullback = st.vjp(net, x)
        dy = floats(*y.shape, seed=1)
        dx, gradients = pullback(dy)
        (program, _), = next(iter(net._programs.values())).known.values()
        assert any(c.kernel.name.startswith("WinogradLines") for c in program.calls) is not precise
        found = list(zip((y, dx, gradients["weight"]), exact(x, w, dy, R // 2, stride), strict=True))
        assert max(error(a, b) for a, b in found) < BOUND / 10
        errors.append([np.square(a - np.asarray(b, np.float64)).mean() ** 0.5 for a, b in found])
    assert (np.array(errors[0]) < 6 * np.array(errors[1])).all(), errors
