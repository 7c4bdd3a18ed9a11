"""Methods of values compiled, where PyTorch's own cases do not reach: types, places known beforehand, empty axes, odd numbers."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import close, floats

import striate as st
from striate import nn
from striate.errors import ArgumentError


class Call(nn.Module):
    """A module whose forward is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def both(function, *arrays):
    """The function of striate's values and of tensors, forward and gradients of all floats."""
    y, pullback = st.vjp(Call(function), *arrays)
    tensors = [torch.tensor(a.astype(np.float64), requires_grad=True) if a.dtype.kind == "f" else torch.tensor(a) for a in arrays]
    wanted = function(*tensors)
    close(y, wanted.detach(), 1e-5)
    if not wanted.requires_grad:
        return
    dy = floats(*wanted.shape, seed=9)
    wanted.backward(torch.tensor(dy, dtype=torch.float64))
    dx, _ = pullback(dy)
    for got, tensor in zip(dx if isinstance(dx, tuple) else (dx,), tensors, strict=True):
        if tensor.requires_grad:
            close(got, tensor.grad, 1e-4, scale=1e-6)


X, IMAGE = floats(4, 6), floats(2, 3, 5, 6)
FORMS = {
    "an image of bytes without a word": (lambda x: x / 255 - 0.5, np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)),
    "an image of bytes": (lambda x: x.float() / 255 - 0.5, np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)),
    "a mask of whole numbers": (lambda x, m: x.masked_fill(m > 0, -1.0), X, (X > 0).astype(np.int64)),
    "a mask that multiplies": (lambda x, m: x * m + m / 2, X, X > 0),
    "a window's edge": (lambda x: x[..., 1:-1:2, ::3], IMAGE),
    "a new axis": (lambda x: x[:, None, ..., 0] * x[:, :, None, :, 1].sum(1, keepdim=True), IMAGE),
    "a list of places": (lambda x: x[:, [2, 0, 0], 1:], IMAGE),
    "flip": (lambda x: x.flip(dims=(2, 3)) + x.flip(1), IMAGE),
    "permute": (lambda x: x.permute(dims=(0, 2, 3, 1)).contiguous().view(2, -1, 3).mT, IMAGE),
    "shape arithmetic": (lambda x: x.view(x.size(0), x.shape[1] * x.shape[2] // 5, -1).mean(2), IMAGE),
    "numbers on both sides": (lambda x: 1 - 2 / (3 + x * x) + 2**x - (x**2) ** 1.5, X),
    "chunk and split": (lambda x: x.chunk(2, 1)[1] * x.split([4, 2], dim=1)[1][:, :1], X),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, -1), IMAGE),
    "unfold": (lambda x: x.unfold(2, 3, 1).unfold(3, 2, 2), IMAGE),
    "cumsum": (lambda x: x.cumsum(2) * x.cumsum(-1), IMAGE),
    "floor and ceil": (lambda x: x * (3 * x).floor() + (3 * x).ceil() * (3 * x).trunc(), X),
    "variance": (lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-3).sqrt(), IMAGE),
    "max of an axis": (lambda x: x.max(1)[0] + x.min(dim=1, keepdim=False).values, IMAGE),
    "detach": (lambda x: x * x.sigmoid().detach(), X),
    "clamp by arrays": (lambda x, a, b: x.clamp(a, b), X, np.full((1, 6), -0.3, np.float32), np.full((4, 1), 0.4, np.float32)),
    "squeeze": (lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(), IMAGE),
    "var of all": (lambda x: x.var(False) + x.std(), X),
    "zeros": (lambda x: x + x.new_zeros(4, 1) + x.new_ones((1, 6)) * x.new_full((6,), 2.0), X),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms(name):
    both(*FORMS[name])


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_very_large_and_very_small(name):
    """No overflow; a row with -infinity, as a mask makes one, keeps the others."""
    x = np.array([[1e4, 1e4, -1e4], [-1e38, 1.0, 2.0], [-np.inf, 0.0, 3.0], [88.0, -88.0, 0.0]], np.float32)
    wanted = getattr(torch, name)(torch.tensor(x, dtype=torch.float64), 1).numpy()
    got = Call(lambda v: getattr(v, name)(1))(x)
    np.testing.assert_allclose(got, wanted.astype(np.float32), rtol=2e-6, atol=1e-6)


WRONG = {
    "rounding_mode must be None, 'trunc' or 'floor', got 'up'": lambda x: x.div(2, rounding_mode="up"),
    "'x' cannot be changed in place; put parts together with st.cat, or choose with st.where": lambda x: x.__setitem__(0, 1.0),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text):
    with pytest.raises(ArgumentError) as error:
        Call(WRONG[text])(X)
    assert str(error.value) == text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.bool], ids=str)
def test_tensors_of_any_type(dtype):
    """Floats become float32, whole numbers int64: an answer is float32 always."""
    x = torch.tensor([[0.0, 1.0, 3.0]]).to(dtype)
    y = Call(lambda v: v.float() * 2)(x)
    assert y.dtype == np.float32 and y.tolist() == (x.float() * 2).tolist()


def test_arrays_that_are_not_contiguous():
    x = floats(6, 5, 4, 3)[::2, ::-1].transpose(0, 3, 1, 2)
    net = nn.Conv2d(3, 4, 3)
    assert np.array_equal(net(x), net(np.ascontiguousarray(x)))
