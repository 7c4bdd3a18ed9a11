"""Winograd's weight gradient against the operator, over odd sizes, pads and channels."""

from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, blank, floats, for_threads, last
from tests.kernels.test_conv_winograd import SAME, each, pack, some

from striate import ops
from striate.cpu.kernels.winograd_cost import run_of
from striate.cpu.kernels.winograd_weights import WinogradWeights, parts_for, winograd_weights_for, winograd_weights_pays
from striate.window import windows


def gradients(kernel: WinogradWeights, meaning: str, N: int) -> tuple[np.ndarray, np.ndarray]:
    """(sum of the parts, the wanted gradient in the same layout)"""
    window = windows(3, 1, kernel.pads)
    x = floats(N, kernel.C, kernel.H, kernel.W)
    dy = floats(N, kernel.K, *(w.out(n) for w, n in zip(window, (kernel.H, kernel.W))), seed=1)
    shape = kernel.parts, -(-kernel.K // kernel.lanes), 3, 3, kernel.C, kernel.lanes
    dw = for_threads(kernel, meaning, "dw", N=N, x=last(x), dy=last(dy), dw=blank(*shape))
    wanted = ops.Conv2dWeightGradient(window, 1).reference(x.astype(float), dy.astype(float))
    return dw.sum(0, keepdims=True), pack(wanted, kernel.lanes)


def check(kernel: WinogradWeights, meaning: str, N: int) -> None:
    got, wanted = gradients(kernel, meaning, N)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max(), err_msg=f"{kernel} {meaning}")


@each
def test_weight_gradient(case, meaning):
    N, C, H, W, K, pads = case
    check(winograd_weights_for(MACHINES[meaning], C, H, W, K, pads), meaning, N)


@some
def test_any_size(case):
    test_weight_gradient(case, "host")


@pytest.mark.parametrize("change", [
    {"run": 2, "units": 1}, {"run": 3, "units": 2}, {"run": 5, "units": 1}, {"run": 1, "units": 9}, {"parts": 1}, {"parts": 5},
    {"vectors": 1}, {"vectors": 3}, {"c_group": 1}, {"k_group": 1}, {"c_group": 2, "k_group": 2, "parts": 2}, {"rows": 2},
], ids=str)
@pytest.mark.parametrize("meaning", ["interpreter", "host"])
def test_any_choice_is_right(change, meaning):
    """Runs that do not divide a row, groups that do not divide the channels, parts without a tile."""
    N, C, H, W, K, pads = (3, 40, 6, 18, 40, SAME) if meaning == "host" else (1, 3, 2, 18, 12, SAME)
    check(replace(winograd_weights_for(MACHINES[meaning], C, H, W, K, pads), **change), meaning, N)


def test_error_is_near_that_of_a_direct_sum():
    """Largest error relative to the largest gradient, against float64."""
    got, wanted = gradients(winograd_weights_for(MACHINES["host"], 32, 28, 28, 32, SAME), "host", 8)
    assert np.abs(got - wanted).max() < 5e-6 * np.abs(wanted).max()


def test_it_pays_where_products_are_many():
    assert winograd_weights_pays(64, 64, 56, 56, 16) and winograd_weights_pays(128, 128, 28, 28, 1)
    assert not winograd_weights_pays(3, 64, 56, 56, 16) and not winograd_weights_pays(512, 512, 7, 7, 1)


def test_threads_get_equal_parts():
    """Three parts of 128 tiles would leave one of two threads idle for a third of the time."""
    parts = [parts_for(C, C, run_of(size, size), 8) for C, size in ((64, 56), (128, 28), (256, 14), (512, 7))]
    assert parts == [8, 4, 1, 1]
