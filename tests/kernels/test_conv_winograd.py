"""Winograd convolution: forward and input gradient against the operators, over odd sizes, pads and channels."""

from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, apply, blank, compiled, floats, for_threads, last, run

from striate import ops
from striate.cpu.kernels.conv_winograd import ConvWinograd, WinogradFilter, winograd_for
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.winograd import FOUR, SIX, Form
from striate.cpu.kernels.winograd_cost import winograd_form, winograd_pays
from striate.cpu.kernels.winograd_tiles import Axis, Transform
from striate.kernel.interpret import Interpret
from striate.kernel.language import narrow
from striate.window import windows

SAME = ((1, 1), (1, 1))
CASES = [  # N, C, H, W, K, pads
    (1, 1, 1, 1, 1, SAME),
    (1, 3, 3, 3, 5, ((0, 0), (0, 0))),
    (3, 8, 4, 5, 16, SAME),
    (2, 17, 7, 6, 9, ((0, 1), (2, 0))),
    (1, 40, 9, 8, 24, ((2, 2), (2, 2))),
    (3, 24, 5, 13, 40, ((1, 2), (0, 2))),
    (1, 5, 2, 17, 33, ((2, 1), (1, 1))),
    (1, 16, 17, 1, 32, SAME),
    (2, 4, 16, 15, 3, ((0, 2), (2, 1))),
    (1, 33, 11, 12, 36, SAME),
    (3, 6, 14, 15, 20, SAME),
]
BOTH = [(case, meaning) for case in CASES for meaning in MACHINES if meaning != "interpreter" or np.prod(case[:5]) < 6000]
each = pytest.mark.parametrize(("case", "meaning"), BOTH, ids=str)


def any_case(seed: int) -> tuple:
    """Some sizes and pads that fit a window of 3."""
    random = np.random.default_rng(seed)
    N, C, H, W, K = map(int, random.integers((1, 1, 1, 1, 1), (4, 41, 18, 18, 41)))
    return N, C, H, W, K, tuple(tuple(map(int, random.integers(0 if n > 2 else 1, 3, 2))) for n in (H, W))


forms = pytest.mark.parametrize("form", [FOUR, SIX], ids=lambda form: str(form.tile))
some = pytest.mark.parametrize("case", [any_case(seed) for seed in range(12)], ids=str)


def pack(weight: np.ndarray, lanes: int) -> np.ndarray:
    """(K, C, R, S) as the direct convolution reads it: (1, K/lanes, R, S, C, lanes), zero past K."""
    K, C, R, S = weight.shape
    blocks = -(-K // lanes)
    padded = np.zeros((blocks * lanes, C, R, S), np.float32)
    padded[:K] = weight
    return np.ascontiguousarray(padded.reshape(1, blocks, lanes, C, R, S).transpose(0, 1, 4, 5, 3, 2))


def transformed(kernel: WinogradFilter, weight: np.ndarray, meaning: str) -> np.ndarray:
    return for_threads(kernel, meaning, "u", w=pack(weight, kernel.lanes), u=blank(kernel.u_floats()))


def convolved(kernel: ConvWinograd, meaning: str, wanted: np.ndarray, **arguments) -> None:
    """The kernel gives the wanted output (N, P, Q, K)."""
    got = for_threads(kernel, meaning, "y0", y0=blank(*wanted.shape), **arguments)
    bound = 1e-5 if kernel.form == FOUR else 4e-5
    np.testing.assert_allclose(got, wanted, rtol=bound, atol=bound * np.abs(wanted).max(), err_msg=f"{kernel} {meaning}")


@forms
@each
def test_forward(case, meaning, form):
    N, C, H, W, K, pads = case
    x, weight = floats(N, C, H, W), floats(K, C, 3, 3, seed=1)
    kernel = winograd_for(MACHINES[meaning], C, H, W, K, pads, form=form)
    u = transformed(WinogradFilter(C, K, kernel.lanes, form=form), weight, meaning)
    y = ops.Conv2d(windows(3, 1, pads)).reference(x.astype(float), weight.astype(float))
    convolved(kernel, meaning, last(y), N=N, x=last(x), u=u)


@each
def test_input_gradient(case, meaning):
    N, C, H, W, K, pads = case
    window, machine = windows(3, 1, pads), MACHINES[meaning]
    P, Q = (w.out(n) for w, n in zip(window, (H, W)))
    dy, weight = floats(N, K, P, Q), floats(K, C, 3, 3, seed=1)
    kernel = winograd_for(machine, K, P, Q, C, tuple((2 - low, 2 - high) for low, high in pads))
    turn = WinogradFilter(C, K, narrow(K, machine.lanes), rotated=True, out_lanes=kernel.lanes)
    dx = ops.Conv2dInputGradient(window, 1, (H, W)).reference(dy.astype(float), weight.astype(float))
    convolved(kernel, meaning, last(dx), N=N, x=last(dy), u=transformed(turn, weight, meaning))


@some
def test_any_size(case):
    for form in (FOUR, SIX):
        test_forward(case, "host", form)
    test_input_gradient(case, "host")


@pytest.mark.parametrize("change", [
    {"run": 2, "units": 1}, {"run": 3, "units": 2}, {"run": 5, "units": 1}, {"run": 1, "units": 9}, {"pixels": 2, "units": 2},
    {"vectors": 1}, {"vectors": 3}, {"in_lanes": 4}, {"run": 4, "units": 1, "pixels": 7},
], ids=str)
@pytest.mark.parametrize("meaning", ["interpreter", "host"])
def test_any_choice_is_right(change, meaning):
    """Runs that do not divide a row, blocks of one unit, odd register tiles."""
    N, C, H, W, K, pads = (2, 12, 6, 18, 40, SAME) if meaning == "host" else (1, 3, 2, 18, 20, SAME)
    x, weight = floats(N, C, H, W), floats(K, C, 3, 3, seed=1)
    kernel = replace(winograd_for(MACHINES[meaning], C, H, W, K, pads), **change)
    for form in (FOUR, SIX):
        u = transformed(WinogradFilter(C, K, kernel.lanes, form=form), weight, meaning)
        y = ops.Conv2d(windows(3, 1, 1)).reference(x, weight)
        convolved(replace(kernel, form=form), meaning, last(y), N=N, x=last(x), u=u)


def test_chain_ends_the_kernel():
    """Bias, residual and ReLU, in place of the residual."""
    N, C, H, K = 2, 9, 7, 20
    x, weight, bias, residual = floats(N, C, H, H), floats(K, C, 3, 3, seed=1), floats(K), floats(N, K, H, H, seed=2)
    steps = ((ops.Add(), (0, 1)), (ops.Add(), (3, 2)), (ops.ReLU(), (4,)))
    kernel = winograd_for(MACHINES["host"], C, H, H, K, SAME, Chain(("channel", "full"), steps, (5,)))
    u = transformed(WinogradFilter(C, K, kernel.lanes), weight, "host")
    y = np.maximum(ops.Conv2d(windows(3, 1, 1)).reference(x, weight, bias) + residual, 0)
    memory = last(residual)
    arrays = {"N": N, "x": last(x), "u": u, "scratch": blank(kernel.scratch_floats()), "y0": memory, "e0": bias, "e1": memory}
    run(kernel, arrays, "host")
    np.testing.assert_allclose(memory, last(y), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("form", "bound"), [(FOUR, 5e-6), (SIX, 3e-5)])
def test_error_is_near_that_of_a_direct_convolution(form, bound):
    """Largest error relative to the largest output, against float64; about 1e-6 for a direct sum."""
    N, C, H, K = 1, 256, 14, 32
    x, weight = np.maximum(floats(N, C, H, H), 0), floats(K, C, 3, 3, seed=1)
    kernel = winograd_for(MACHINES["host"], C, H, H, K, SAME, form=form)
    u = transformed(WinogradFilter(C, K, kernel.lanes, form=form), weight, "host")
    y = apply(kernel, "host", 1, y0=blank(N, H, H, K), N=N, x=last(x), u=u)["y0"]
    wanted = last(ops.Conv2d(windows(3, 1, 1)).reference(x.astype(float), weight.astype(float)))
    assert np.abs(y - wanted).max() < bound * np.abs(wanted).max()


def matrix(function, size: int) -> np.ndarray:
    """The matrix of a transform: its values on the unit vectors."""
    k = Interpret(MACHINES["avx2"], {})
    units = [[k.constant(float(i == j)) for i in range(size)] for j in range(size)]
    return np.array([[value.payload[0] for value in function(k, unit)] for unit in units]).T


@forms
def test_transforms_are_a_convolution(form: Form):
    """A' diag(G w) B' d = sum_r w[r] d[p + r], and the factors of G are what the polynomials of B' ask for."""
    tile, side, scale = form.tile, form.side, np.array(form.scale)
    A, G, B = matrix(form.evaluate, tile), scale[:, None] * matrix(form.evaluate, 3), matrix(form.separate, side)
    np.testing.assert_array_equal(matrix(lambda k, m: form.collect(k, m, tile), side), A.T)
    product = np.einsum("ip,ir,id->prd", A, G, B)
    wanted = np.array([[[float(d == p + r) for d in range(side)] for r in range(3)] for p in range(tile)])
    np.testing.assert_allclose(product, wanted, atol=3e-6)
    points = [0, *(sign * pair for pair in form.pairs for sign in (1, -1))]
    powers = np.array([[p**d for d in range(side)] for p in points])
    np.testing.assert_allclose(np.diag(B[:-1] @ powers.T) * scale[:-1], 1, rtol=1e-6)


def test_borders_are_known_when_the_kernel_is_written():
    """Rows of tiles fall into few kinds, each with the pixel rows that are real."""
    tiles = ConvWinograd(16, 28, 28, 16, SAME).tiles
    kinds = Transform(28, 28, 16, (1, 1), FOUR.separate, 6, tiles, 16).row_kinds()
    assert kinds == [(0, 1, (1, 2, 3, 4, 5)), (1, 6, (0, 1, 2, 3, 4, 5)), (6, 7, (0, 1, 2, 3, 4))]


@forms
@pytest.mark.parametrize("n", range(1, 40))
def test_tiles_cover_an_axis_once(n, form):
    axis = Axis(n, form=form)
    covered = [start + i for start, size in zip(axis.starts, axis.sizes, strict=True) for i in range(size)]
    assert covered == list(range(n)) and axis.sizes == sorted(axis.sizes, reverse=True)
    assert axis.full == axis.sizes.count(form.tile) and axis.count == -(-n // form.tile)


def test_the_larger_form_where_it_pays():
    """A fifth fewer products, but a filter of twice the size: not for one small image, nor where 7 outputs are cut into 4 + 3."""
    assert winograd_form(512, 512, 28, 28, 4) is SIX and winograd_form(64, 64, 224, 224, 1) is SIX
    assert winograd_form(512, 512, 14, 14, 1) is FOUR and winograd_form(512, 512, 7, 7, 64) is FOUR


def test_it_pays_where_products_are_many():
    assert winograd_pays(64, 64, 56, 56, 1, fixed=True) and winograd_pays(256, 256, 14, 14, 1, fixed=True)
    assert winograd_pays(512, 512, 7, 7, 16) and not winograd_pays(512, 512, 7, 7, 1, fixed=True)
    assert not winograd_pays(3, 64, 224, 224, 16) and not winograd_pays(256, 256, 1, 1, 16)


def test_code_is_small():
    """What is unrolled is one transform and one register tile, so that a kernel takes milliseconds to compile."""
    from striate.cpu.cache import source_of

    kernel = winograd_for(MACHINES["host"], 64, 28, 28, 64, SAME)
    assert source_of(kernel, MACHINES["host"]).count("\n") < 1200
    assert compiled(kernel, MACHINES["host"])
