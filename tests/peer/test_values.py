"""Methods of symbolic values beside those of PyTorch's tensors: the same call, the same numbers, the same gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, close, close_gradients, floats

import striate as st
from striate import nn
from striate.errors import ArgumentError, ShapeError

METHODS = [
    lambda x: x.add(2).sub(1).mul(3).div(4).neg(), lambda x: x.subtract(1).multiply(2).divide(3).true_divide(2),
    lambda x: abs(x) + 2 ** x, lambda x: x.abs().pow(1.5) - x.square() * x.sign(), lambda x: (x.abs() + 1).reciprocal().rsqrt(),
    lambda x: x.max(), lambda x: x.min() + x.amin(2).sum(), lambda x: x.max(1)[0], lambda x: x.min(-1, keepdim=True).values,
    lambda x: x.max(x * x - 1), lambda x: x.min(x * x - 1), lambda x: x.var(), lambda x: x.var(1),
    lambda x: x.var((2, 3), keepdim=True),
    lambda x: x.std(-1, unbiased=False), lambda x: x.std(dim=(0, 2), keepdim=True), lambda x: x.var(1, correction=0),
    lambda x: x.norm(), lambda x: x.norm(dim=1), lambda x: x.norm(1, 2), lambda x: x.norm(float("inf"), dim=-1, keepdim=True),
    lambda x: x.norm(3, dim=(1, 2)), lambda x: x.masked_fill(x > 0.5, -1.0), lambda x: (x.ge(0).float() - x.lt(-1).float()) * x,
    lambda x: x * x.detach(), lambda x: x.sum() * x.detach().mean(), lambda x: x.clone().contiguous().float() * 2,
    lambda x: x[:, :1].expand_as(x) * x, lambda x: x.flatten(1).view_as(x) + x.reshape_as(x), lambda x: x[0, 0].t() @ x[1, 1],
    lambda x: x[1, 2].T, lambda x: x.mT @ x, lambda x: x.select(1, -1), lambda x: x.unbind(1)[2] - x.unbind()[0].sum(),
    lambda x: x[:, [2, 0, 1, 2]], lambda x: x[..., [0, -1]], lambda x: x[1:, :, [1, 2, 3]] * 2, lambda x: x[..., [3, 0], :],
    lambda x: x.index_select(3, torch.tensor([4, 1])) if torch.is_tensor(x) else x.index_select(3, [4, 1]),
    lambda x: x.flatten(2).bmm(x.flatten(2).transpose(1, 2)), lambda x: x[0, 0].mm(x[0, 1].t()),
    lambda x: x[0, 0].norm() * 0 + (x * 0).norm(dim=1) + (x * 0).std(1),
    lambda x: x.round() * x,
]  # fmt: skip


class Methods(nn.Module):
    def forward(self, x):
        return [method(x) for method in METHODS]


def test_methods():
    x = floats(2, 3, 4, 5)
    tx = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    wanted = [method(tx) for method in METHODS]
    y, pullback = st.vjp(Methods(), x)
    for i, (got, exact) in enumerate(zip(y, wanted, strict=True)):
        close(got, exact.detach(), FORWARD, METHODS[i].__code__.co_firstlineno)
    for i, exact in enumerate(wanted):
        dy = [floats(*w.shape, seed=i) if i == j else np.zeros(tuple(w.shape), np.float32) for j, w in enumerate(wanted)]
        gradient = torch.autograd.grad(exact, tx, torch.tensor(dy[i], dtype=torch.float64), retain_graph=True)[0]
        close_gradients([pullback(*dy)[0]], [gradient], [f"method {i}"])


def test_places_of_extremes():
    class Places(nn.Module):
        def forward(self, x):
            return x.max(1)[1], x.min(-1, keepdim=True).indices, x.argmax(), x.argmin(2), x.argmax(0, keepdim=True)

    x = floats(2, 3, 4, 5)
    t = torch.tensor(x)
    wanted = [t.max(1)[1], t.min(-1, keepdim=True).indices, t.argmax(), t.argmin(2), t.argmax(0, keepdim=True)]
    for got, exact in zip(Places()(x), wanted, strict=True):
        assert np.array_equal(got, exact) and got.dtype == np.int32


def test_whole_numbers_in_comparisons():
    """A mask of words that are no padding, and a mean over those."""

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, words):
            mask = words.ne(0).unsqueeze(-1)
            return (self.table(words) * mask).sum(1) / mask.sum(1), words.float() * 0.5

    net, words = Mean(), np.array([[3, 0, 5], [1, 2, 0]])
    mean, half = net(words)
    rows = net.table.weight.data[words] * (words != 0)[..., None]
    close(mean, rows.sum(1) / 2, FORWARD)
    assert np.array_equal(half, words * np.float32(0.5))


def test_masks():
    class Masks(nn.Module):
        def __init__(self):
            super().__init__()
            self.limit = nn.Parameter(np.float32(0.5))

        def forward(self, x):
            inside = (x > -0.5) & (x <= 0.5)
            return x == 0, x != 0, inside, ~inside, (x == 1) | inside, x == self.limit, x == np.float32([0.5, 0, 1])

    x = np.float32([[0, 0.5, 1], [-1, 0.25, 0.5]])
    inside = (x > -0.5) & (x <= 0.5)
    wanted = [x == 0, x != 0, inside, ~inside, (x == 1) | inside, x == 0.5, x == np.float32([0.5, 0, 1])]
    for got, exact in zip(Masks()(x), wanted, strict=True):
        assert np.array_equal(got, exact) and got.dtype == np.float32


def test_values_in_lists_and_dicts():
    """Two values are equal where they are the same one."""

    class Kept(nn.Module):
        def forward(self, x):
            y = x.relu()
            known = {x: 1, y: 2}
            assert x in [y, x] and y not in [x] and known[y] == 2 and (x == y) is False and (x != y) is True
            return y

    assert Kept()(np.float32([-1, 2])).tolist() == [0, 2]


def test_outputs_within_outputs():
    class Nested(nn.Module):
        def forward(self, x):
            return x * 2, [x.sum(), {"a": x + 1, "none": None}], None

    x = floats(2, 3)
    y, pullback = st.vjp(Nested(), x)
    assert y[2] is None and y[1][1]["none"] is None and np.array_equal(y[1][1]["a"], x + 1)
    for dy in ([(x, [1.0, {"a": x, "none": None}], None)], [x, 1.0, x]):
        close(pullback(*dy)[0], 2 * x + 1 + x, FORWARD)


def test_a_penalty_on_weights():
    """A loss that is a plain function and reads parameters: they are values there."""
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))

    def penalty(y, target):
        return nn.functional.mse_loss(y, target) * 0 + sum((p * p).sum() + p.abs().sum() for p in net.parameters())

    value, gradients = st.value_and_grad(net, penalty)(floats(5, 3), floats(5, 2))
    for name, p in net.named_parameters():
        close(gradients[name], 2 * p.data + np.sign(p.data), FORWARD, name)
    step = st.compile(net, penalty, st.optim.SGD(lr=0.1))
    assert step(floats(5, 3), floats(5, 2)) == value > step(floats(5, 3), floats(5, 2))


EQUATIONS = ["bij,bjk->bik", "ij,jk", "bchw,dc->bdhw", "nkctv,kvw->nctw", "i,j->ij", "ij->ji", "ijk->j", "ij,ij->",
             "bi,bj,bij->b", "bhqd,bhkd->bhqk", "ab,cd->bd"]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    sizes = {letter: 2 + i for i, letter in enumerate(sorted({*equation} - {*",->"}))}
    arrays = [floats(*(sizes[c] for c in term), seed=i) for i, term in enumerate(equation.split("->")[0].split(","))]
    given = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    wanted = torch.einsum(equation, *given)

    class Net(nn.Module):
        def forward(self, *values):
            return st.einsum(equation, *values)

    y, pullback = st.vjp(Net(), *arrays)
    close(y, wanted.detach(), FORWARD)
    dy = floats(*wanted.shape, seed=9)
    wanted.backward(torch.tensor(dy, dtype=torch.float64))
    dx = pullback(dy)[0]
    close_gradients(dx if len(arrays) > 1 else [dx], [g.grad for g in given], [*"abc"[: len(arrays)]])


def text_of(function, *shapes, kind=ArgumentError):
    class Net(nn.Module):
        def forward(self, *values):
            return function(*values)

    with pytest.raises(kind) as caught:
        st.trace(Net(), *shapes)
    return re.sub(r"^\S+ \(.*?\): ", "", str(caught.value))


SYMBOLIC = ("'x' is symbolic: its numbers are not known while the network is traced; compute with the methods of values and "
            "striate.nn.functional, and return what you want to see")


@pytest.mark.parametrize("function", [float, int, np.asarray, range, lambda x: x.item(), lambda x: x.numpy(),
                                      lambda x: x.tolist(),
                                      lambda x: np.exp(np.array(x))])
def test_numbers_of_values(function):
    assert text_of(function, (2, 3)) == SYMBOLIC


def test_changes_in_place():
    def assign(x):
        x[:, 0] = 0
        return x

    assert text_of(assign, (2, 3)) == "'x' cannot be changed in place; put parts together with st.cat, or choose with st.where"
    assert text_of(lambda x: x.relu_(), (2, 3), kind=AttributeError) == (
        "values are not changed in place, so there is no 'relu_'; write x = x.relu(...)")
    assert text_of(lambda x: x.cuda(), (2, 3), kind=AttributeError) == "'Value' object has no attribute 'cuda'"


def test_errors_of_places():
    assert text_of(lambda x: x[:, [3]], (2, 3)) == "an axis of 3 elements is indexed by whole numbers from -3 to 2, got [3]"
    assert text_of(lambda x: x[0, [1]], (2, 3)) == (
        "an index with a list of places takes slices and '...' beside it, got (0,); index twice, or use index_select")


def test_errors_of_einsum():
    assert text_of(lambda x: st.einsum("ii->i", x), (2, 2)) == "'ii->i' must name each axis of an operand by a letter of its own"
    assert text_of(lambda x: st.einsum("ij,jk", x), (2, 2)) == "'ij,jk' names 2 operands, einsum got 1"
    assert text_of(lambda x: st.einsum("ij->k", x), (2, 2)) == "'ij->k' has letters in its result that no operand has"
    assert text_of(lambda x: st.einsum("ijk->k", x), (2, 2), kind=ShapeError) == (
        "'ijk' names 3 axes, the operand (2, 2) has 2; name each axis")
    assert text_of(lambda x, y: st.einsum("ij,jk", x, y), (2, 2), (3, 2), kind=ShapeError) == (
        "'j' of 'ij,jk' stands for 2 and for 3; give it one size")


