"""The gated linear unit against PyTorch."""

import numpy as np
import pytest
import torch
from tests.helpers import check_op, check_torch, close, draw

from striate import ops
from striate.errors import ShapeError
from striate.ops import Spec

CASES = [((4,), 0), ((3, 6), 1), ((4, 3), 0), ((2, 6, 3, 5), 1), ((2, 3, 4), 2), ((2, 1, 2, 3), 2)]


@pytest.mark.parametrize("shape, axis", CASES)
def test_glu(shape, axis):
    x = draw(*shape)
    check_op(ops.GLU(axis), x)
    check_torch(ops.GLU(axis), lambda x: torch.nn.functional.glu(x, axis), x)
    half = ops.GLU(axis).infer(Spec(shape)).shape
    check_op(ops.GLUGradient(axis), draw(*half, seed=1), x)


def test_large_numbers_do_not_overflow():
    x = np.array([2, 3, 4, -1e4, 0, 1e4], np.float32)
    close(ops.GLU(0).reference(x), np.array([0, 1.5, 4]), 1e-6)


def test_errors():
    for shapes, text in [
        (((2, 5),), "x (2, 5) has 5 elements along the axis 1, which cannot be halved; make it even"),
        (((2,),), "axis 1 is outside an input of 1 axes; use -1 to 0"),
    ]:
        with pytest.raises(ShapeError) as error:
            ops.GLU(1).infer(*map(Spec, shapes))
        assert str(error.value) == text
    with pytest.raises(ShapeError) as error:
        ops.GLUGradient(1).infer(Spec((2, 4)), Spec((2, 4)))
    assert str(error.value) == "dy has shape (2, 4), but the output of x (2, 4) has (2, 2); give dy the output's shape"
