"""Whole numbers as float32."""

import numpy as np
import pytest
from tests.kernels.harness import check

from striate.cpu.kernels.convert import ToFloat


@pytest.mark.parametrize("dtype, kind", [("u8", np.uint8), ("i32", np.int32), ("i64", np.int64)])
@pytest.mark.parametrize("size", [1, 3, 8, 16, 17, 100])
def test_to_float(dtype, kind, size):
    info = np.iinfo(np.int32 if kind == np.int64 else kind)
    x = np.random.default_rng(size).integers(info.min, info.max, size, kind)
    check(ToFloat(dtype), {"rows": size, "x": x}, {"y": x.astype(np.float32)}, rtol=0.0)


def test_odd_numbers_below_two_to_the_24_are_exact():
    x = np.array([2**24 - 1, -(2**24) + 1, 0, -1], np.int64)
    check(ToFloat("i64"), {"rows": 4, "x": x}, {"y": x.astype(np.float32)}, rtol=0.0)
