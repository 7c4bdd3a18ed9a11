"""Arithmetic with broadcasting, concatenation, and movements of elements in compiled programs of up to six axes."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import check_network, close, floats

import striate as st
from striate import nn
from striate.cpu import fuse
from striate.cpu.kernels.copy import Lines
from striate.engine import forward_program
from striate.nn import functional as F


class Call(nn.Module):
    """A function of the inputs as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


PAIRS = [
    ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 3, 4), (3, 1)), ((1, 3, 1, 5), (2, 1, 4, 1)), ((2, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (3, 1, 1)), ((2, 3, 4, 5), (2, 1, 1, 1)), ((2, 3, 4, 5, 2), (3, 1, 5, 1)), ((2, 17, 3, 3, 2), (17, 1, 1, 1)),
    ((1, 2, 1, 3, 1, 2), (2, 1, 3, 1, 4, 1)), ((2, 3), ()), ((1,), (4, 1, 3)),
]  # fmt: skip


@pytest.mark.parametrize("a, b", PAIRS, ids=str)
def test_broadcasting(a, b):
    """Values and gradients of both sides, in either order."""
    x, y = floats(*a), np.asarray(np.abs(floats(*b, seed=1)) + 1)
    check_network(Call(lambda x, y: x * y + x / y - (y - x) * 0.5), x, y)


@pytest.mark.parametrize("a, b", [pair for pair in PAIRS if len(pair[0]) == 4 and pair[0][1] > 1], ids=str)
def test_broadcasting_beside_convolution_order(a, b):
    """Where one side lies channels last, because a convolution made it."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(a[1], a[1], 3, padding=1)

        def forward(self, x, y):
            return self.conv(x) * y + y

    check_network(Net(), floats(*a), floats(*b, seed=1))


@pytest.mark.parametrize("rank", range(1, 7))
def test_concatenation_along_every_axis(rank):
    shape = (2, 3, 2, 4, 3, 2)[:rank]
    for dim in range(rank):
        other = tuple(n + 1 if i == dim else n for i, n in enumerate(shape))
        net = Call(lambda x, y, dim=dim: F.cat([x, y * 2, x], dim))
        check_network(net, floats(*shape), floats(*other, seed=1))


MOVES = {
    "split": lambda t: t.split(2, 1)[1], "split of the rest": lambda t: t.split(3, -1)[-1],
    "split in sizes": lambda t: t.split([1, 4], 1)[1], "narrow": lambda t: t.narrow(2, 1, 2),
    "movedim": lambda t: t.movedim(1, -1),
    "movedim back": lambda t: t.movedim(-1, 0), "moveaxis": lambda t: t.moveaxis(0, 2), "swapaxes": lambda t: t.swapaxes(1, 3),
    "repeat": lambda t: t.repeat(1, 2, 1, 3), "repeat in front": lambda t: t.repeat(2, 3, 1, 1, 1),
    "tile": lambda t: t.tile((2, 1)),
    "flip": lambda t: t.flip([2]), "flip of two": lambda t: t.flip([1, 3]), "flip of all": lambda t: t.flip([0, 1, 2, 3]),
    "roll": lambda t: t.roll(1, 3), "roll back": lambda t: t.roll(-5, 1), "roll by nothing": lambda t: t.roll(4, 2),
    "chunk": lambda t: t.chunk(2, 1)[0], "permute": lambda t: t.permute(3, 1, 0, 2),
    "expand": lambda t: t[:, :1].expand(-1, 3, -1, -1),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_methods(name):
    x = floats(2, 5, 4, 3)
    move = MOVES[name]
    y, pullback = st.vjp(Call(lambda v: move(v * 1)), x)
    tx = torch.tensor(x, requires_grad=True)
    ty = move(tx)
    assert np.array_equal(y, ty.detach().numpy())
    dy = floats(*y.shape, seed=1)
    ty.backward(torch.tensor(dy))
    close(pullback(dy)[0], tx.grad, 1e-6)


def test_functions_of_volumes():
    """Slices, padding and flips of five axes, with what a pooling of volumes may leave channels last."""
    net = Call(lambda x: F.pad((x * 2)[:, 1:, ::2, 1:-1].flip(2, -1), (1, 0, 0, 2, 1, 1), value=1.5).roll(1, 4))
    check_network(net, floats(2, 4, 5, 6, 3))


def test_padding_of_whole_numbers():
    """Constants around int64 keep their type."""
    net = Call(lambda x: F.pad(x, (1, 2), value=7))
    x = np.arange(6).reshape(2, 3)
    y = net(x)
    assert y.dtype == np.int64 and np.array_equal(y, np.pad(x, ((0, 0), (1, 2)), constant_values=7))


class Grown(nn.Module):
    """Ever more channels, each time joined and cut, as in a DenseNet."""

    def forward(self, x):
        for width in range(8, 14):
            x = F.cat([x, x[:, :width] * 2], 1)
        return x


def test_lines_of_any_width_share_machine_code():
    net, x = Grown(), floats(2, 16, 5, 3)
    check_network(net, x)
    calls = forward_program(net, x).calls
    lines = [call.kernel for call in calls if isinstance(call.kernel, Lines)]
    assert len(lines) >= 18 and len({*lines}) == 1


def test_long_chains_are_cut():
    """Behind an anchor, and without one."""

    class Long(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 1)

        def forward(self, x):
            y = self.conv(x)
            for i in range(fuse.LONG):
                y = (y * 0.9 + 0.01 * i).tanh() if i % 8 == 0 else y + 0.02
            return y

    net, x = Long(), floats(2, 2, 3, 3)
    check_network(net, x)
    steps = [len(call.kernel.chain.steps) for call in forward_program(net, x).calls if hasattr(call.kernel, "chain")]
    assert max(steps[:1]) <= fuse.LONG // 4 + 1 and max(steps) <= fuse.LONG and sum(steps) >= fuse.LONG
