"""Counting."""

import numpy as np
import pytest
from tests.helpers import check_forward

from striate import ops
from striate.errors import DtypeError
from striate.ops import Spec


def test_increment():
    check_forward(ops.Increment(), np.array(3))
    assert ops.Increment().reference(np.array(3)) == 4


def test_errors():
    with pytest.raises(DtypeError) as error:
        ops.Increment().infer(Spec((), "float32"))
    assert error.value.args == ("count is float32 () but counts in int64 (); use np.int64(0)",)
