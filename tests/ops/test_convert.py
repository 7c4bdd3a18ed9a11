"""Whole numbers as floats, rounding, and numbers without a gradient."""

import numpy as np
import pytest
import torch
from tests.helpers import check_forward, close, draw, gradients_of

from striate import ops
from striate.errors import DtypeError
from striate.ops import Spec


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_to_float(dtype):
    x = np.array([[0, 1, 255], [7, 100, 3]], dtype)
    made = ops.ToFloat().reference(x)
    assert made.dtype == np.float32 and made.tolist() == x.tolist()
    assert ops.ToFloat().infer(Spec(x.shape, str(x.dtype))) == Spec((2, 3))


def test_to_float_of_floats():
    with pytest.raises(DtypeError) as error:
        ops.ToFloat().infer(Spec((2,)))
    assert str(error.value) == "x has dtype float32, which is none of whole numbers; leave the conversion out"


def test_round():
    x = np.array([-2.5, -1.5, -0.5, -0.2, 0.5, 1.5, 2.5, 2.50001, 1e20, -1e9])
    check_forward(ops.Round(), x)
    close(ops.Round().reference(x), torch.tensor(x).round().numpy())
    assert gradients_of(ops.Round(), [x], np.ones_like(x)) == [None]


def test_detach():
    x = draw(3, 4)
    check_forward(ops.Detach(), x)
    close(ops.Detach().reference(x), x)
    assert gradients_of(ops.Detach(), [x], x) == [None]
