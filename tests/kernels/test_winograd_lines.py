"""Winograd down the lines of an image: the convolution, its input gradient and its weight gradient against the operators."""

from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.harness import MACHINES, apply, blank, close, floats, for_threads, last

from striate import ops
from striate.cpu.kernels.conv_direct import ConvDirect, Taps, tile_for
from striate.cpu.kernels.conv_weights import ConvWeights
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.winograd_lines import WinogradLines, lines_for
from striate.cpu.kernels.winograd_lines_form import FORMS, Form
from striate.cpu.kernels.winograd_lines_weights import WinogradLinesWeights
from striate.cpu.layout import Packed
from striate.cpu.rules.conv import phase
from striate.kernel.language import narrow
from striate.window import windows

FIVE = {  # (N, C, H, W, K), window
    "LeNet's": ((2, 6, 14, 14, 16), windows(5)),
    "first layer": ((1, 1, 9, 11, 6), windows(5, 1, 2)),
    "fewer lines than a window": ((1, 2, 3, 4, 3), windows(5, 1, 2)),
    "one line of outputs": ((2, 3, 5, 6, 9), windows((5, 3), 1, ((0, 0), (1, 0)))),
    "uneven pads": ((1, 5, 13, 8, 17), windows((5, 2), 1, ((4, 1), (0, 1)))),
    "columns with strides": ((1, 3, 12, 9, 8), windows((5, 3), (1, 2), ((2, 2), (1, 1)), (1, 2))),
    "many channels": ((1, 21, 7, 5, 40), windows(5, 1, 1)),
}
HEIGHTS = {
    "ResNet's first": ((2, 3, 23, 16, 24), windows(7, 2, 3)),
    "AlexNet's first": ((1, 3, 35, 23, 9), windows(11, 4, 2)),
    "3 s2": ((2, 5, 15, 13, 40), windows(3, 2, 1)),
    "3 s2, an even height": ((1, 24, 28, 6, 37), windows(3, 2, 1)),
    "3 s1": ((1, 5, 13, 6, 17), windows(3, 1, 1)),
    "7x1": ((2, 24, 8, 5, 40), windows((7, 1), 1, ((3, 3), (0, 0)))),
    "5 s2, uneven pads": ((1, 40, 18, 7, 5), windows((5, 3), (2, 1), ((1, 4), (0, 2)))),
    "4 s3, one channel": ((1, 1, 20, 8, 24), windows((4, 2), (3, 2), ((2, 0), (1, 1)))),
    "2 s1": ((1, 3, 16, 4, 8), windows((2, 3), 1, ((0, 1), (1, 1)))),
    "larger than the image": ((1, 3, 2, 3, 5), windows(7, 2, 3)),
    "much padding": ((1, 2, 3, 4, 6), windows((5, 1), 2, ((9, 9), (0, 0)))),
    "dilated columns": ((1, 3, 14, 12, 8), windows((5, 3), (3, 2), ((2, 2), (2, 2)), (1, 2))),
}
FORMED = {f"{name}, {form.side} points": (*case, form) for name, case in (FIVE | HEIGHTS).items() for form in FORMS
          if form.tile(-(-case[1][0].size // case[1][0].stride)) > 1}
formed = pytest.mark.parametrize(("shape", "window", "form"), FORMED.values(), ids=FORMED)
each = pytest.mark.parametrize(("shape", "window"), (FIVE | HEIGHTS).values(), ids=FIVE | HEIGHTS)
each_machine = pytest.mark.parametrize("meaning", MACHINES)
ROUNDING = 1e-5


def of(shape, window, meaning: str, turned: bool = False) -> tuple[np.ndarray, Packed]:
    """Weights and how they are packed."""
    _, C, _, _, K = shape
    taps = window[0].size, window[1].size
    return floats(K, C, *taps, seed=1), Packed(1, K, C, *taps, narrow(C if turned else K, MACHINES[meaning].lanes), turned)


def run(conv: ConvDirect, form: Form, meaning: str, x: np.ndarray, w: np.ndarray, wanted: np.ndarray, **more: np.ndarray) -> None:
    kernel = WinogradLines(conv, form)
    u = apply(kernel.filter, meaning, 1, w=w, u=blank(kernel.filter.floats()))["u"]
    got = for_threads(kernel, meaning, "y0", N=len(x), x=last(x), u=u, y0=blank(*wanted.shape), **more)
    close(got, wanted, ROUNDING, f"{kernel} {meaning}")


@each_machine
@formed
def test_forward(shape, window, form, meaning):
    """With a bias and a ReLU at its end."""
    N, C, H, W, K = shape
    w, packed = of(shape, window, meaning)
    x, b = floats(N, C, H, W), floats(K, seed=2)
    y = last(np.maximum(ops.Conv2d(window, 1).reference(x.astype(float), w.astype(float), b), 0))
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    lanes, pixels, vectors = tile_for(MACHINES[meaning], y.shape[2], K, columns.count)
    chain = Chain(("channel",), ((ops.Add(), (0, 1)), (ops.ReLU(), (2,))), (3,))
    conv = ConvDirect(C, H, W, K, y.shape[1], y.shape[2], (packed.R, packed.S), rows, columns, lanes=lanes, pixels=pixels,
                      vectors=vectors, chain=chain)
    run(conv, form, meaning, x, packed.pack(w), y, e0=b)


@each_machine
@formed
def test_input_gradient(shape, window, form, meaning):
    """Lines of the filter from the last to the first; strides fall into phases, each of which writes its own pixels."""
    N, C, H, W, K = shape
    height, width = window
    w, packed = of(shape, window, meaning, turned=True)
    dy = floats(N, K, height.out(H), width.out(W), seed=3)
    dx = last(ops.Conv2dInputGradient(window, 1, (H, W)).reference(dy.astype(float), w.astype(float)))
    for h, v in np.ndindex(min(height.stride, H), min(width.stride, W)):
        P, Q, rows, columns = -(-(H - h) // height.stride), -(-(W - v) // width.stride), phase(height, h), phase(width, v)
        if form.tile(rows.count) < 1 or rows.gap > 1 or rows.count == 0:
            continue
        wanted = np.full_like(dx, np.nan)
        wanted[:, h::height.stride, v::width.stride] = dx[:, h::height.stride, v::width.stride]
        lanes, pixels, vectors = tile_for(MACHINES[meaning], Q, C, columns.count)
        conv = ConvDirect(K, dy.shape[2], dy.shape[3], C, P, Q, (packed.R, packed.S), rows, columns, out_size=(H, W),
                          out_step=(height.stride, width.stride), out_first=(h, v), lanes=lanes, pixels=pixels, vectors=vectors)
        run(conv, form, meaning, dy, packed.pack(w), wanted)


@each_machine
@each
@pytest.mark.parametrize("parts", [1, 4])
def test_weight_gradient(shape, window, meaning, parts):
    N, C, H, W, K = shape
    _, form = of(shape, window, meaning)
    x, dy = floats(N, C, H, W), floats(N, K, window[0].out(H), window[1].out(W), seed=3)
    taps, vectors = (14, 1) if form.blocks == 1 else (4, 2)
    kernel = WinogradLinesWeights(ConvWeights(C, H, W, K, window, 1, form.lanes, taps, vectors, parts))
    got = for_threads(kernel, meaning, "dw", N=N, x=last(x), dy=last(dy), dw=blank(parts, form.size))
    wanted = form.pack(ops.Conv2dWeightGradient(window, 1).reference(x.astype(float), dy.astype(float)))
    close(got.sum(0), wanted, ROUNDING, f"{kernel} {meaning}")


@pytest.mark.parametrize("taps", range(1, 8))
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_points_give_a_convolution(form, taps):
    """A' (G w . B' d) out of exact matrices, which float32 holds."""
    finite, count = form.points, form.tile(taps)
    if count < 1:
        pytest.skip("more taps than points")
    A = [[p**j for j in range(count)] for p in finite]
    G = [[p**j for j in range(taps)] for p in finite]
    B = [np.pad(np.poly([q for q in finite if q != p])[::-1], (0, form.side - len(finite))) for p in finite]
    if form.infinity:
        A, G = [*A, [0.0] * (count - 1) + [1.0]], [*G, [0.0] * (taps - 1) + [1.0]]
        B.append(np.poly(finite)[::-1])
    for numbers in np.array(A), np.array(B):
        np.testing.assert_array_equal(numbers.astype(np.float32), numbers)
    w, d = np.arange(1.0, taps + 1), np.arange(float(form.side)) ** 2
    y = np.array(A).T @ ((np.array(G) * np.array(form.scale)[:, None]) @ w * (np.array(B) @ d))
    np.testing.assert_allclose(y, np.correlate(d, w, "valid"), rtol=1e-12, atol=1e-12)


PAYS = {  # C, H, W, K, window, batch, fixed: outputs of a tile
    "ResNet's first": ((3, 224, 224, 64), windows(7, 2, 3), 1, True, 5),
    "3 s2, 128 channels": ((128, 56, 56, 128), windows(3, 2, 1), 1, True, 7),
    "3 s2, 512 channels: heavy": ((512, 14, 14, 512), windows(3, 2, 1), 1, True, None),
    "7x1 of Inception": ((192, 17, 17, 192), windows((7, 1), 1, ((3, 3), (0, 0))), 1, True, 3),
    "rows with gaps": ((64, 56, 56, 64), windows(3, 1, 2, 2), 8, True, None),
    "no row meets two taps": ((64, 56, 56, 64), windows(2, 2), 8, True, None),
}


@pytest.mark.parametrize(("sizes", "window", "batch", "fixed", "tile"), PAYS.values(), ids=PAYS)
def test_where_it_pays(sizes, window, batch, fixed, tile):
    C, H, W, K = sizes
    rows, columns = (Taps(v.size, -v.pads[0], v.dilation, v.stride) for v in window)
    conv = ConvDirect(C, H, W, K, window[0].out(H), window[1].out(W), (rows.count, columns.count), rows, columns)
    kernel = lines_for(conv, batch, fixed)
    assert (kernel and kernel.lines.tile) == tile
    assert lines_for(replace(conv, groups=2), batch, fixed) is None
