"""Rows of a table by number, for each type of numbers."""

import numpy as np
import pytest
from tests.kernels.harness import check, floats

from striate.cpu.kernels.embedding import Embedding, EmbeddingGradient
from striate.cpu.kernels.loss import OneHot

KINDS = [("i64", np.int64), ("i32", np.int32), ("u8", np.uint8)]


@pytest.mark.parametrize("dtype, kind", KINDS)
@pytest.mark.parametrize("D", [1, 3, 8, 17])
def test_rows(D, dtype, kind):
    weight, index = floats(5, D), np.array([4, 0, 2, 2, 1, 4, 3], kind)
    check(Embedding(5, D, dtype), {"rows": 7, "index": index, "weight": weight}, {"y": weight[index]}, rtol=0.0)


def test_a_number_outside_reads_nothing():
    weight, index = floats(3, 5), np.array([0, 3, -1, 2], np.int32)
    wanted = np.where(np.array([True, False, False, True])[:, None], weight[[0, 0, 0, 2]], np.nan).astype(np.float32)
    check(Embedding(3, 5, "i32"), {"rows": 4, "index": index, "weight": weight}, {"y": wanted}, rtol=0.0)


@pytest.mark.parametrize("dtype, kind", KINDS)
def test_sums_of_rows(dtype, kind):
    dy, index = floats(6, 9), np.array([1, 0, 1, 3, 2, 1], kind)
    wanted = np.zeros((4, 9), np.float32)
    np.add.at(wanted, index.astype(int), dy)
    wanted[2] = 0
    check(EmbeddingGradient(4, 9, 2, dtype), {"rows": 6, "dy": dy, "index": index}, {"dweight": wanted})


@pytest.mark.parametrize("dtype, kind", KINDS)
def test_one_hot(dtype, kind):
    x = np.array([2, 0, 7, 6], kind)
    wanted = (x.astype(int)[:, None] == np.arange(7)).astype(np.float32)
    check(OneHot(7, dtype), {"rows": 4, "x": x}, {"y": wanted}, rtol=0.0)
