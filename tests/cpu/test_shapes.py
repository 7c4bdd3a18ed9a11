"""Arithmetic with broadcasting, concatenation, and movements of elements in compiled programs of up to six axes."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import check_network, close, floats

import striate as st
from striate import nn
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
