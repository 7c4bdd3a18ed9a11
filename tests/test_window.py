"""Window arithmetic against counting, and its errors, whole."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from striate.errors import ArgumentError, ShapeError
from striate.window import NAMED, Window, named_pads, pad_pairs, pair, read_padding, spans, windows

WINDOWS = [Window(size, stride, dilation, (low, high), ceil)
           for size, stride, dilation, low, high, ceil in product((1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2), (0, 2), (False, True))]


def fitting(window, n):
    """Does the window fit on n pixels at all?"""
    room = n + sum(window.pads) - window.extent
    return room >= 0 or (window.ceil and room + window.stride > 0)


CASES = [(w, n) for w in WINDOWS for n in (1, 2, 5, 8) if fitting(w, n)]


def test_positions_against_counting():
    for window, n in CASES:
        low, high = window.pads
        starts = [p for p in range(-low, n + high, window.stride) if p + window.extent <= n + high]
        if window.ceil:
            end = starts[-1] + window.extent if starts else -low
            starts += [len(starts) * window.stride - low] if end < n + high else []  # one more, for the rest
            starts = starts[:-1] if starts[-1] >= n else starts  # unless it starts past the input
        assert window.out(n) == len(starts), (window, n)


def test_positions_against_pytorch():
    for window, n in CASES:
        low, high = window.pads
        if low == high and 2 * low <= window.size:
            y = F.max_pool1d(torch.zeros(1, 1, n), window.size, window.stride, low, window.dilation, window.ceil)
            assert window.out(n) == y.shape[2], (window, n)


def test_taps_inside_against_counting():
    for window, n in CASES:
        for p in range(window.out(n)):
            inside = [t for t in range(window.size) if 0 <= window.read(p, t) < n]
            assert list(window.taps_inside(p, n)) == inside
            assert window.count(p, n, False) == len(inside)
            low, high = window.pads
            assert window.count(p, n, True) == sum(-low <= window.read(p, t) < n + high for t in range(window.size))


def test_blank_is_the_first_position_that_sees_only_padding():
    for window, n in CASES:
        blanks = [p for p in range(window.out(n)) if not len(window.taps_inside(p, n))]
        assert window.blank(n) == (blanks[0] if blanks else None)


def test_full_pads_are_what_the_positions_read():
    for window, n in CASES:
        reads = [window.read(p, t) for p in range(window.out(n)) for t in range(window.size)]
        assert window.full_pads(n) == (-min(reads), max(0, max(reads) + 1 - n))


def test_uncovered_pixels():
    for window, n in CASES:
        last = window.read(window.out(n) - 1, window.size - 1)
        assert window.uncovered(n) == max(0, n + window.pads[1] - 1 - last)


def test_transpose_gives_the_input_back():
    for window, n in CASES:
        stretched = (window.out(n) - 1) * window.stride + 1
        back = window.transpose(n)
        assert back.stride == 1 and back.out(stretched) == n
        for p, t in product(range(window.out(n)), range(window.size)):  # the mirrored tap reads the stretched output
            pixel = window.read(p, t)
            if 0 <= pixel < n:
                assert back.read(pixel, window.size - 1 - t) == p * window.stride


def test_spans_against_pytorch():
    for n, out in product(range(1, 9), range(1, 9)):
        ones = torch.zeros(1, 1, n, requires_grad=True)
        for p, span in enumerate(spans(n, out)):
            (seen,) = torch.autograd.grad(F.adaptive_avg_pool1d(ones, out)[0, 0, p], ones)
            assert np.flatnonzero(seen.numpy()).tolist() == list(range(n))[span]


def test_named_paddings_give_the_sizes_that_they_promise():
    for size, stride, dilation, n in product((1, 2, 3, 4, 7), (1, 2, 3, 5), (1, 2), (1, 2, 5, 8, 13)):
        bare = Window(size, stride, dilation)
        made = {name: windows(size, stride, name, dilation, rank=1, size=(n,))[0] for name in NAMED}
        assert all(window.pads == named_pads(name, bare, n) for name, window in made.items())
        for name in ("same", "same_lower", "same_full"):
            assert made[name].out(n) == -(-n // stride), (name, bare, n)
        low, high = made["same"].pads
        assert made["same_lower"].pads == (high, low) and high - low in (0, 1)
        less = Window(size, stride, dilation, (low, high - 1))
        assert low + high == 0 or not fitting(less, n) or less.out(n) < -(-n // stride)  # no less would do
        assert sum(made["same_full"].pads) == bare.extent - 1
        assert made["full"].out(n) == (n + bare.extent - 2) // stride + 1
        assert made["valid"].pads == (0, 0)


def test_a_transposed_window_grows_as_pytorch_says():
    for size, stride, dilation, pad, extra, n in product((1, 2, 3), (1, 2, 3), (1, 2, 4), (0, 1), (0, 1, 2, 3), (1, 2, 5)):
        window = Window(size, stride, dilation, (pad, pad))
        pixels = (n - 1) * stride - 2 * pad + window.extent + extra
        if extra < max(stride, dilation) and pixels > 0:
            weight = torch.zeros(1, 1, size)
            wanted = F.conv_transpose1d(torch.zeros(1, 1, n), weight, None, stride, pad, extra, 1, dilation).shape[2]
            assert window.grown(n, extra) == wanted == pixels
            assert window.reaching(extra).out(pixels) == n


def test_a_transposed_window_that_leaves_nothing():
    with pytest.raises(ShapeError) as error:
        Window(2, 2, 1, (2, 1)).grown(1, axis="width")
    assert error.value.args == ("width: (1 - 1) * 2 - 2 - 1 + 2 + 0 = -1 pixels (stride, padding, window's extent, output "
                                "padding) are none; pad by 2 less",)


def test_arguments_are_normalised():
    assert pair(np.int64(3), "stride") == (3, 3) and pair([1, 2], "stride") == (1, 2) and pair(2, "size", 1) == (2,)
    assert pad_pairs([[0, 1], [2, 3]]) == ((0, 1), (2, 3)) and pad_pairs((1, 2), rank=1) == ((1, 2),)
    assert pad_pairs(3, rank=1) == ((3, 3),) and pad_pairs((3,), rank=1) == ((3, 3),)
    assert windows(3, padding="valid") == windows(3) and windows((3, 4), padding="same", dilation=2)[1].pads == (3, 3)
    assert windows(5, padding="same", dilation=3) == (Window(5, 1, 3, (6, 6)),) * 2
    assert read_padding("full") == "full" and read_padding((1, 2), 1) == ((1, 2),)
    assert windows(2, 2, ceil_mode=True) == (Window(2, 2, ceil=True),) * 2


ERRORS = [
    (lambda: Window(0), "a window's size must be at least 1, got 0; use a positive whole number"),
    (lambda: windows(3, stride=0), "a window's stride must be at least 1, got 0; use a positive whole number"),
    (lambda: pair((1, 2, 3), "stride"), "stride must be one whole number or 2 of them, got (1, 2, 3)"),
    (lambda: pair(2.5, "kernel_size"), "kernel_size must be one whole number or 2 of them, got 2.5"),
    (lambda: pair((1, 2.0), "kernel_size"), "kernel_size must be one whole number or 2 of them, got (1, 2.0)"),
    (lambda: pair(None, "stride"), "stride must be one whole number or 2 of them, got None"),
    (lambda: pair(1.5, "stride", 1), "stride must be one whole number, got 1.5"),
    (lambda: pad_pairs(-1), "padding must not be negative, got -1"),
    (lambda: pad_pairs((1, 2, 3)), "padding must be one whole number or 2 of them, got (1, 2, 3)"),
    (lambda: windows(3, padding="wide"),
     "padding must be one of 'valid', 'same', 'same_lower', 'same_full', 'full' or whole numbers, got 'wide'"),
    (lambda: windows(3, 2, "same_lower"),
     "padding='same_lower' at stride (2, 2) depends on the input's size; give windows(..., size=...)"),
]


@pytest.mark.parametrize("call, text", ERRORS)
def test_argument_errors(call, text):
    with pytest.raises(ArgumentError) as error:
        call()
    assert error.value.args == (text,)


def test_a_window_that_does_not_fit():
    with pytest.raises(ShapeError) as error:
        Window(3, 1, 2, (1, 0)).out(3, "width")
    assert error.value.args == ("width: a window of 5 = 2 * (3 - 1) + 1 pixels does not fit in 4 = 3 + 1 + 0 (input + padding); "
                                "pad by at least 1 more or use a larger input",)
    assert Window(3, 1, 2, (1, 1)).out(3) == 1
