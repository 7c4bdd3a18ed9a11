"""The weight gradient over copied rows against the operator: blocks of channels, columns of tiles, borders, parts, tails."""

import pytest
from tests.kernels.harness import MACHINES, blank, close, floats, for_threads, last
from tests.kernels.test_conv_direct import CASES, SPACE, form_of, space_form

from striate import ops
from striate.cpu.kernels.conv_weights_rows import ConvWeightsRows
from striate.window import windows

SHAPES = {name: case for name, case in CASES.items() if case[0][5] == 1} | {
    "1x1": ((3, 21, 5, 4, 50, 1), windows(1)),
    "1x1 s2": ((2, 9, 6, 7, 40, 1), windows(1, 2)),
    "more columns than are copied at once": ((2, 3, 3, 4, 290, 1), windows((1, 2))),
    "two lines at once": ((2, 7, 3, 61, 6, 1), windows((1, 3), 1, ((0, 0), (1, 1)))),
}


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize(("shape", "window"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("parts", "block", "wide"), [(1, 512, 1), (1, 8, 2), (3, 12, 9)])
def test_weight_gradient(shape, window, meaning, parts, block, wide):
    N, C, H, W, K, _ = shape
    form = form_of(shape, window, meaning)
    P, Q = window[0].out(H), window[1].out(W)
    x, dy = floats(N, C, H, W), floats(N, K, P, Q, seed=3)
    wanted = form.pack(ops.Conv2dWeightGradient(window, 1).reference(x, dy))
    kernel = ConvWeightsRows(C, H, W, K, window, form.lanes, 4, 2, block, wide, parts)
    got = for_threads(kernel, meaning, "dw", N=N, x=last(x), dy=last(dy), dw=blank(parts, form.size))
    close(got.sum(axis=0), wanted, 1e-5, f"{kernel} {meaning}")


VOLUMES = {name: case for name, case in SPACE.items() if case[0][6] == 1}


@pytest.mark.parametrize("meaning", MACHINES)
@pytest.mark.parametrize(("shape", "window"), VOLUMES.values(), ids=VOLUMES)
@pytest.mark.parametrize(("parts", "block", "wide"), [(1, 512, 1), (2, 4, 2)])
def test_weight_gradient_in_space(shape, window, meaning, parts, block, wide):
    N, C, D, H, W, K, _ = shape
    form = space_form(shape, window, meaning)
    O, P, Q = (w.out(n) for w, n in zip(window, (D, H, W), strict=True))
    x, dy = floats(N, C, D, H, W), floats(N, K, O, P, Q, seed=3)
    wanted = form.pack(ops.Conv3dWeightGradient(window, 1).reference(x, dy).reshape(K, C, form.R, form.S))
    kernel = ConvWeightsRows(C, H, W, K, window[1:], form.lanes, 4, 2, block, wide, parts, D, window[0])
    got = for_threads(kernel, meaning, "dw", N=N, x=last(x), dy=last(dy), dw=blank(parts, form.size))
    close(got.sum(axis=0), wanted, 1e-5, f"{kernel} {meaning}")
