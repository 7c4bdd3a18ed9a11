"""The notes' padding, stride and output sizes, with their numbers."""

import numpy as np
import pytest
from tests.notes.helpers import convolve, layer

import striate as st
from striate import nn
from striate.errors import ShapeError
from striate.window import NAMED, Window, windows

rng = np.random.default_rng(0)
X, KERNEL = np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2)


def out(n: int, *arguments, **settings) -> int:
    """Output pixels of one axis."""
    return windows(*arguments, **settings, rank=1, size=(n,))[0].out(n)


def pads(n: int, *arguments, **settings) -> tuple[int, int]:
    return windows(*arguments, **settings, rank=1, size=(n,))[0].pads


def compiled(n: int, **settings) -> int:
    """The same, by the layer itself."""
    return nn.Conv1d(1, 1, **settings)(np.zeros((1, 1, n), np.float32)).shape[2]


def test_S027_no_padding():
    assert [out(n, k) for n, k in ((4, 3), (6, 3), (3, 2))] == [2, 4, 2]
    assert compiled(6, kernel_size=3) == 4


def test_S028_symmetric_padding():
    assert out(4, 3, padding=1) == 4 and out(4, 3, padding=2) == 6
    assert compiled(4, kernel_size=3, padding=2) == 6


def test_S029_four_amounts():
    """Forward and backward are those of an image padded beforehand."""
    x, kernel = rng.standard_normal((1, 1, 6, 7)).astype(np.float32), rng.standard_normal((3, 2)).astype(np.float32)
    outer = np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 1)))
    y, pullback = st.vjp(layer(kernel, padding=(1, 0, 2, 1)), x)
    wanted, pullback_outer = st.vjp(layer(kernel), outer)
    assert y.shape == (1, 1, 6 + 1 + 0 - 3 + 1, 7 + 2 + 1 - 2 + 1)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    (dx, grads), (dx_outer, grads_outer) = pullback(dy), pullback_outer(dy)
    np.testing.assert_allclose(dx, dx_outer[:, :, 1:, 2:-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grads["weight"], grads_outer["weight"], rtol=1e-4, atol=1e-5)


def test_S030_odd_kernels_keep_the_size():
    for k, p in ((3, 1), (5, 2), (7, 3), (1, 0)):
        assert p == (k - 1) // 2 and all(out(n, k, padding=p) == n for n in (1, 7, 28))
        assert pads(9, k, padding="same") == (p, p)


def test_S031_strided_size():
    assert out(100, 3, 2, 1) == 50 == compiled(100, kernel_size=3, stride=2, padding=1)
    y = nn.Conv2d(1, 1, 3, (2, 3), 1)(np.zeros((1, 1, 10, 10), np.float32))
    assert y.shape[2:] == (5, 4)


def test_E02_the_literal_value_needs_its_floor():
    assert (100 + 2 - 3) / 2 + 1 == 50.5 and out(100, 3, 2, 1) == 50


def test_S032_valid_and_same_at_any_stride():
    for n in range(1, 60):
        for k in range(1, 12):
            for s in range(1, 9):
                assert out(n, k, s, "same") == -(-n // s)
                if k <= n:
                    assert out(n, k, s, "valid") == -(-(n - k + 1) // s) == (n - k) // s + 1
    assert out(20, 3, 2, "valid", 3) == -(-(20 - (3 * (3 - 1) + 1) + 1) // 2) and out(20, 3, 2, "same", 3) == 10


def test_E38_same_keeps_the_size_only_at_stride_1():
    assert [out(7, 3, s, "same") for s in (1, 2, 3)] == [7, 4, 3]
    assert [compiled(7, kernel_size=3, stride=s, padding="same") for s in (1, 2, 3)] == [7, 4, 3]


def test_S033_valid_drops_the_rest_and_same_pads_it():
    assert out(6, 3, 4, "valid") == 1 and out(6, 3, 4, "same") == 2
    assert compiled(6, kernel_size=3, stride=4, padding="valid") == 1
    assert compiled(6, kernel_size=3, stride=4, padding="same") == 2


def test_S034_even_kernels_pad_unequally():
    assert pads(8, 2, padding="same_lower") == (1, 0) and pads(8, 4, padding="same_lower") == (2, 1)


def test_E37_the_odd_pixel_goes_high_in_tensorflow_and_low_in_the_notes():
    assert [pads(8, 4, padding=name) for name in ("same", "same_lower")] == [(1, 2), (2, 1)]
    x = np.arange(4.0)[None]
    kernel = np.ones((1, 1, 2), np.float32)
    assert convolve(x[None, 0], kernel, padding="same").ravel().tolist() == [1, 3, 5, 3]
    assert convolve(x[None, 0], kernel, padding="same_lower").ravel().tolist() == [0, 1, 3, 5]


def test_S035_padding_of_k_minus_1_in_all():
    for n in range(1, 60):
        for k in range(1, 10):
            for s in range(1, 9):
                low, high = pads(n, k, s, "same_full")
                assert low + high == k - 1 and low - high in (0, 1)
                assert out(n, k, s, "same_full") == (n + s - 1) // s == -(-n // s)


def test_E36_an_amount_is_per_side_and_the_total_has_a_name():
    assert pads(9, 5, padding=2) == (2, 2) and sum(pads(9, 5, padding="same_full")) == 4


def test_S036_least_padding_and_full_padding():
    found = {name: pads(224, 3, 2, name) for name in ("same", "same_lower", "same_full")}
    assert found == {"same": (0, 1), "same_lower": (1, 0), "same_full": (1, 1)}
    assert {out(224, 3, 2, name) for name in found} == {112}
    x, kernel = rng.standard_normal((8, 8)), rng.standard_normal((3, 3))
    values = [convolve(x, kernel, stride=2, padding=name) for name in found]
    assert {v.shape for v in values} == {(4, 4)}
    assert all(np.abs(a - b).max() > 0.1 for a, b in ((values[0], values[1]), (values[0], values[2])))


def test_S037_padding_example():
    wanted = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    np.testing.assert_array_equal(convolve(X, KERNEL, padding=1), wanted)


def test_S038_stride_example():
    np.testing.assert_array_equal(convolve(X, KERNEL, padding=1, stride=(3, 2)), [[0, 8], [6, 8]])


def test_S039_an_incomplete_window_gives_no_output():
    assert out(5, 2, 2) == 2 == compiled(5, kernel_size=2, stride=2)
    assert Window(2, 2).uncovered(5) == 1


def test_S040_dilated_size():
    assert out(7, 3, dilation=2) == 3 and out(7, 3, padding=2, dilation=2) == 7
    assert compiled(7, kernel_size=3, dilation=2, padding=2) == 7


def test_S041_pooling_has_the_same_sizes():
    assert all(out(n, 2, 2) == n // 2 for n in (2, 8, 28))
    assert windows(2, 2, (1, 0, 2, 1))[1].out(8) == (8 + 2 + 1 - 2) // 2 + 1
    assert windows(2, 2, ceil_mode=True)[0].out(7) == 4


def test_S043_repeated_convolution_shrinks_the_map():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3))
    assert [v.shape[2] for n in st.trace(net, (1, 1, 6, 6)).nodes for v in n.outputs] == [4, 2]
    with pytest.raises(ShapeError) as error:
        st.trace(nn.Sequential(*net, nn.Conv2d(1, 1, 3)), (1, 1, 6, 6))
    assert str(error.value).endswith("height: a window of 3 = 1 * (3 - 1) + 1 pixels does not fit in 2 = 2 + 0 + 0 "
                                     "(input + padding); pad by at least 1 more or use a larger input")


def test_S044_stride_2_halves():
    assert out(8, 2, 2) == 4 and out(8, 3, 2, 1) == 4


def test_S045_an_even_window_has_no_centre():
    """The explanation of a size says where the odd pixel went."""
    text = st.explain(nn.Conv2d(1, 1, 4, padding="same"), (1, 8, 8), show=False).text()
    assert "(8 + 1 + 2 - 4) / 1 + 1 = 8 (no pixel is the centre of 4: 1 before, 2 behind)" in text
    assert "centre" not in st.explain(nn.Conv2d(1, 1, 3, padding="same"), (1, 8, 8), show=False).text()


def test_S046_the_formula_with_its_numbers():
    window = Window(3, 2, pads=(1, 1))
    assert window.formula(100) == "floor((100 + 1 + 1 - 3) / 2) + 1 = 50" and window.out(100) == 50


def test_E50_what_else_decides_the_size():
    """Depth, stride and padding, and the input's size, the kernel's and its dilation."""
    base = {"kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1}
    sizes = {name: compiled(12, **base | {name: value}) for name, value in
             (("kernel_size", 5), ("stride", 2), ("padding", 1), ("dilation", 2))}
    assert compiled(12, **base) == 10 and compiled(13, **base) == 11
    assert sizes == {"kernel_size": 8, "stride": 5, "padding": 12, "dilation": 8}
    assert nn.Conv2d(4, 8, 3, groups=4)(np.zeros((1, 4, 5, 5), np.float32)).shape == (1, 8, 3, 3)


def test_every_named_padding_is_a_layers():
    for name in NAMED:
        assert compiled(9, kernel_size=4, stride=3, padding=name) == out(9, 4, 3, name)
