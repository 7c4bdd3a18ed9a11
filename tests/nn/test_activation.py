"""Activations, softmax and dropout as modules: PyTorch's print, keys, outputs and gradients; errors."""

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import check_module, run

from striate import nn
from striate.errors import ArgumentError, ShapeError
from striate.nn import functional as F

MAKERS = [
    lambda n: n.ReLU6(), lambda n: n.LeakyReLU(), lambda n: n.LeakyReLU(0.2),
    lambda n: n.PReLU(), lambda n: n.PReLU(3, 0.1), lambda n: n.ELU(), lambda n: n.ELU(0.5), lambda n: n.CELU(2.0),
    lambda n: n.SELU(), lambda n: n.SiLU(), lambda n: n.Mish(), lambda n: n.GELU(), lambda n: n.GELU("tanh"),
    lambda n: n.Hardswish(), lambda n: n.Hardtanh(), lambda n: n.Hardtanh(-2, 3), lambda n: n.Softplus(),
    lambda n: n.Softplus(2, 1), lambda n: n.Softsign(), lambda n: n.LogSigmoid(), lambda n: n.Tanhshrink(),
    lambda n: n.Softshrink(),
    lambda n: n.Hardshrink(0.2), lambda n: n.Threshold(0.1, 20), lambda n: n.Threshold(0.5, -1.5), lambda n: n.Softmin(1),
    lambda n: n.Softmax2d(),
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=[repr(make(nn)) for make in MAKERS])
def test_is_pytorchs(make):
    check_module(make, 2 * draw(2, 3, 4, 5))


@pytest.mark.parametrize("make", [lambda n: n.Hardsigmoid(), lambda n: n.Hardsigmoid(True), lambda n: n.RReLU(),
                                  lambda n: n.RReLU(0.1, 0.2, True), lambda n: n.Dropout1d(), lambda n: n.Dropout2d(0.1),
                                  lambda n: n.Dropout3d(0.3, True), lambda n: n.AlphaDropout(0.2),
                                  lambda n: n.FeatureAlphaDropout(0.2), lambda n: n.ReLU(True), lambda n: n.ReLU6(True),
                                  lambda n: n.LeakyReLU(0.2, True), lambda n: n.ELU(0.5, True), lambda n: n.SELU(True),
                                  lambda n: n.Threshold(0.5, -1.5, True)], ids=range(15))  # fmt: skip
def test_evaluates_and_prints_as_pytorchs(make):
    ours, theirs = make(nn).eval(), make(torch.nn).eval()
    x = draw(2, 3, 4) if "1d" in repr(ours) else draw(2, 3, 4, 5)
    assert repr(ours) == repr(theirs)
    close(run(ours, x), theirs(torch.tensor(x)).numpy(), 1e-6)  # PyTorch's numbers for selu are float32


@pytest.mark.parametrize("dim, shape", [(-1, (3, 4)), (1, (2, 6, 3)), (0, (4,))], ids=str)
def test_glu(dim, shape):
    check_module(lambda n: n.GLU(dim), draw(*shape))


@pytest.mark.parametrize("shape", [(5,), (), (2, 3)], ids=str)
def test_prelu_of_few_axes(shape):
    check_module(lambda n: n.PReLU(), draw(*shape))


def test_own_names_print():
    assert [repr(m) for m in (nn.Swish(), nn.Swish(2, True), nn.Maxout(3, -1), nn.ReLU(at_zero=1))] == [
        "Swish(beta=1.0)", "Swish(trainable=True)", "Maxout(groups=3, dim=-1)", "ReLU(at_zero=1)"]  # fmt: skip
    assert repr(nn.Dropout(0.1, mode="downgrade_in_infer")) == "Dropout(p=0.1, inplace=False, mode='downgrade_in_infer')"


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


IMAGE = draw(2, 3, 4, 5)
WRONG = {
    "the derivative of relu at 0 may be 0 or 1, got at_zero=0.5": lambda x: F.relu(x, at_zero=0.5),
    "prelu: weight (4,) does not fit the 3 channels of x (2, 3, 4, 5); use num_parameters=3 or 1":
        lambda x: F.prelu(x, x.graph.lift(np.ones(4))),
    "lower must not be larger than upper, got 0.5 and 0.1": lambda x: F.rrelu(x, 0.5, 0.1),
    "celu divides by alpha, which must not be 0": lambda x: F.celu(x, 0),
    "softplus divides by beta, which must not be 0": lambda x: F.softplus(x, 0),
    "softmin needs the axis along which it sums to 1; give dim=1 for classes in (N, C)": lambda x: F.softmin(x),
    "x (2, 3, 4, 5) has 5 elements along the axis 3, which cannot be halved; make it even": lambda x: F.glu(x),
    "maxout: x (2, 3, 4, 5) has 3 elements along the axis 1: 3 / 2 is no whole number; use a number of groups that divides 3":
        lambda x: F.maxout(x, 2),
    "softmax2d: x has 2 axes, shape (2, 60), but needs (N, C, H, W) or (C, H, W); reshape x":
        lambda x: nn.Softmax2d()(x.flatten(1)),
    "p is the probability to drop an element: it must be from 0 to 1, got 1.5": lambda x: F.dropout(x, 1.5),
    "mode must be one of upscale_in_train, downscale_in_infer, downgrade_in_infer, got 'scale'":
        lambda x: F.dropout(x, mode="scale"),
    "dropout1d: x has 4 axes, shape (2, 3, 4, 5), but needs (N, C, L) or (C, L); reshape x": lambda x: F.dropout1d(x),
    "dropout2d: x has 2 axes, shape (2, 60), but needs (N, C, H, W); reshape x": lambda x: F.dropout2d(x.flatten(1)),
    "dropout3d: x has 2 axes, shape (2, 60), but needs (N, C, D, H, W) or (C, D, H, W); reshape x":
        lambda x: F.dropout3d(x.flatten(1)),
    "feature_alpha_dropout: x has 1 axes, shape (120,), but needs (N, C, ...); reshape x":
        lambda x: F.feature_alpha_dropout(x.flatten(), training=True),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_errors(text):
    with pytest.raises((ArgumentError, ShapeError)) as error:
        run(Call(WRONG[text]), IMAGE)
    assert str(error.value).endswith(text)


def test_constructors_refuse():
    for make in (nn.Dropout, nn.Dropout2d, nn.AlphaDropout):
        with pytest.raises(ArgumentError) as error:
            make(-0.1)
        assert str(error.value) == "p is the probability to drop an element: it must be from 0 to 1, got -0.1"
