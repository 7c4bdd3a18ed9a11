"""Strassen's algorithm against the plain product: odd and even blocks, every register tile, chains, and its rounding."""

from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, apply, blank, close, floats, for_threads

from striate import ops
from striate.cpu.kernels import gemm_strassen
from striate.cpu.kernels.gemm_strassen import GemmStrassen, Met, StrassenWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.strassen_cost import strassen_for, strassen_pays
from striate.cpu.layout import Packed
from striate.kernel.machine import named

CASES = [  # blocks, rows of a block, pixels, C, groups of columns, vectors
    (1, 1, 1, 4, 1, 1),
    (1, 2, 1, 4, 1, 2),
    (3, 5, 3, 12, 1, 2),
    (1, 16, 4, 8, 3, 1),
    (2, 9, 5, 20, 2, 2),
    (4, 7, 2, 4, 1, 1),
    (2, 13, 7, 36, 1, 2),
    (5, 3, 1, 52, 2, 3),
    (2, 20, 10, 64, 1, 1),
]
each_machine = pytest.mark.parametrize("meaning", MACHINES)
each = pytest.mark.parametrize("case", CASES, ids=str)


def sizes(case: tuple[int, ...], meaning: str) -> tuple[int, GemmStrassen]:
    """(M, kernel) of a case on a machine."""
    blocks, rows, pixels, C, groups, vectors = case
    lanes = MACHINES[meaning].lanes
    return blocks * rows, GemmStrassen(C, 2 * groups * vectors * lanes, rows, lanes, pixels, vectors)


def prepared(kernel: GemmStrassen, w: np.ndarray, meaning: str) -> np.ndarray:
    """u of w (K, C)."""
    weights = StrassenWeights(kernel.C, kernel.K, kernel.lanes, kernel.vectors)
    packed = Packed(1, kernel.K, kernel.C, 1, 1, kernel.lanes).pack(w)
    return for_threads(weights, meaning, "u", w=packed, u=blank(weights.u_floats()))


def multiplied(kernel: GemmStrassen, meaning: str, x: np.ndarray, w: np.ndarray, **more: np.ndarray) -> np.ndarray:
    u = prepared(kernel, w, meaning)
    return for_threads(kernel, meaning, "y0", M=len(x), x=x, u=u, y0=blank(len(x), kernel.K), **more)


@each_machine
@each
def test_weights(case, meaning):
    """Group after group of columns, the seven right-hand sides."""
    _, kernel = sizes(case, meaning)
    C, K = kernel.C, kernel.K
    w = floats(K, C)
    b11, b12, b21, b22 = (w[right: right + K // 2, low: low + C // 2].T for low in (0, C // 2) for right in (0, K // 2))
    wanted = np.stack([b11, b21, b22 - (b12 - b11), b12 - b11, b22, b22 - b12, b21 - (b22 - (b12 - b11))])
    wanted = wanted.reshape(7, C // 2, kernel.groups, -1).transpose(2, 0, 1, 3)
    np.testing.assert_array_equal(prepared(kernel, w, meaning).reshape(wanted.shape), wanted)


@each_machine
@each
def test_product(case, meaning):
    M, kernel = sizes(case, meaning)
    x, w = floats(M, kernel.C), floats(kernel.K, kernel.C, seed=1)
    close(multiplied(kernel, meaning, x, w), x @ w.T, 1e-5, f"{kernel} {meaning}")


@each_machine
@each
def test_chain_ends_every_quarter(case, meaning):
    """Bias, residual and ReLU; past the last row of an odd block nothing is written."""
    M, kernel = sizes(case, meaning)
    steps = ((ops.Add(), (0, 1)), (ops.Add(), (3, 2)), (ops.ReLU(), (4,)))
    kernel = replace(kernel, chain=Chain(("channel", "full"), steps, (5,)))
    x, w, bias, residual = floats(M, kernel.C), floats(kernel.K, kernel.C, seed=1), floats(kernel.K), floats(M, kernel.K, seed=2)
    got = multiplied(kernel, meaning, x, w, e0=bias, e1=residual)
    close(got, np.maximum(x @ w.T + bias + residual, 0), 1e-5, f"{kernel} {meaning}")


@each_machine
@pytest.mark.parametrize("strided", [  # pixels of a tile, rows of a block, P, Q, H, W, strides
    (2, 4, 4, 4, 8, 8, 2, 2), (3, 6, 3, 6, 5, 16, 2, 3), (1, 2, 2, 3, 7, 3, 4, 1), (2, 8, 2, 4, 2, 7, 1, 2),
], ids=str)  # fmt: skip
def test_pixels_of_a_strided_convolution(strided, meaning):
    """Rows are read where they lie in two images; the pixels between are not numbers."""
    pixels, rows, P, Q, H, W, down, along = strided
    lanes = MACHINES[meaning].lanes
    kernel = GemmStrassen(12, 4 * lanes, rows, lanes, pixels, met=Met(P, Q, H * W, down * W, along))
    x, w = np.full((2, H, W, 12), np.nan, np.float32), floats(kernel.K, 12, seed=1)
    x[:, ::down, ::along] = met = floats(2, P, Q, 12)
    M = 2 * P * Q
    y = for_threads(kernel, meaning, "y0", M=M, x=x, u=prepared(kernel, w, meaning), y0=blank(M, kernel.K))
    close(y, met.reshape(M, 12) @ w.T, 1e-5, f"{kernel} {meaning}")


@pytest.mark.parametrize("case", CASES[2:5], ids=str)
def test_large_weights_are_asked_for(case, monkeypatch):
    """Asking changes no numbers."""
    M, kernel = sizes(case, "host")
    x, w = floats(M, kernel.C), floats(kernel.K, kernel.C, seed=1)
    few = multiplied(kernel, "host", x, w)
    monkeypatch.setattr(gemm_strassen, "LARGE", 0)
    assert kernel.asking[0] > 0
    other = replace(kernel, chain=Chain((), ((ops.Negate(), (0,)),), (1,)))  # another specification: it is written anew
    np.testing.assert_array_equal(multiplied(other, "host", x, w), -few)


@pytest.mark.parametrize(("C", "rows"), [(128, 98), (512, 98), (1024, 49), (2048, 49)])
def test_error_is_near_that_of_a_plain_product(C, rows):
    """Largest error relative to the largest output, against float64: 7e-7 to 3e-6, of a plain product 2e-7 to 2e-6."""
    kernel = strassen_for(MACHINES["host"], 4, rows, C, 256, fixed=True)
    if kernel is None:
        pytest.skip("needs 32 registers")
    x, w = np.maximum(floats(rows, C), 0), floats(256, C, seed=1)
    y = apply(kernel, "host", 1, M=rows, x=x, u=prepared(kernel, w, "host"), y0=blank(rows, 256))["y0"]
    wanted = x.astype(float) @ w.T.astype(float)
    assert np.abs(y - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_where_it_pays():
    machine = named("avx512")
    assert strassen_for(machine, 1, 14 * 14, 512, 512, fixed=True) == GemmStrassen(512, 512, rows=98)
    assert strassen_for(machine, 2, 7 * 7, 1024, 1024, fixed=True) == GemmStrassen(1024, 1024, rows=49, pixels=5)
    assert strassen_pays(GemmStrassen(64, 128, rows=98), 3136, True)
    assert not strassen_pays(GemmStrassen(32, 64, rows=98), 3136, True)
    assert strassen_for(machine, 16, 14 * 14, 512, 512, fixed=False)
    assert not strassen_for(machine, 1, 14 * 14, 512, 512, fixed=False)


def test_tiles_lie_in_one_line_of_a_strided_convolution():
    machine = named("avx512")
    for side, rows, pixels in ((28, 98, 7), (16, 64, 8), (24, 96, 8), (13, None, None)):
        met = Met(side, side, 4 * side * side, 4 * side, 2)
        found = strassen_for(machine, 1, side * side, 512, 1024, fixed=True, met=met)
        assert found is None if rows is None else (found and found.met == met and (found.rows, found.pixels) == (rows, pixels))


@pytest.mark.parametrize("wrong", [
    {"C": 66}, {"K": 96}, {"rows": 1}, {"rows": 13 * 17}, {"rows": 56 * 56, "C": 32, "K": 64}, {"K": 128}, {"rows": 49},
], ids=str)
def test_where_it_does_not(wrong):
    """Channels or rows that do not fall into halves, few products, few tasks, weights that are read once."""
    fits = {"images": 1, "rows": 14 * 14, "C": 512, "K": 512, "fixed": True}
    assert strassen_for(named("avx512"), **fits) and not strassen_for(named("avx512"), **fits | wrong)
    assert strassen_for(named("avx2"), **fits) is None
