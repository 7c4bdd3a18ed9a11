"""The notes' convolution: sums over windows and channels, with their numbers."""

from collections import Counter

import numpy as np
from tests.notes.helpers import convolve, layer, turned

import striate as st
from striate import nn, optim
from striate.window import windows

rng = np.random.default_rng(0)
X, KERNEL = np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2)
FROM_ONE = np.arange(1.0, 10).reshape(3, 3)
BINARY = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]


def loops(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Convolution as its sums are written: x (C, H, W), w (K, C, R, S)."""
    (C, H, W), (K, _, R, S) = x.shape, w.shape
    y = np.zeros((K, H - R + 1, W - S + 1))
    for k, p, q in np.ndindex(y.shape):
        y[k, p, q] = sum(w[k, c, r, s] * x[c, p + r, q + s] for c in range(C) for r in range(R) for s in range(S))
    return y


def floats(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def test_S011_one_window_of_a_6x6_image():
    """Both readings of the listed kernel give 1 (E42)."""
    patch, kernel = np.array([[5, 6, 0], [1, 3, 3], [1, 8, 1]]), np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
    assert convolve(patch, kernel).item() == 5 * 1 + 6 * 1 + 0 * 1 + 1 * 0 + 3 * 0 + 3 * 0 - 1 - 8 - 1 == 1
    assert convolve(floats(6, 6), kernel).shape == (4, 4)


def test_E42_row_by_row_or_column_by_column():
    values, weights = np.array([5, 6, 0, 0, 3, 3, 1, 8, 1]), np.repeat([1, 0, -1], 3)
    by_rows = convolve(values.reshape(3, 3), weights.reshape(3, 3))
    by_columns = convolve(values.reshape(3, 3).T.copy(), weights.reshape(3, 3).T.copy())
    assert by_rows.item() == by_columns.item() == 1


def test_S012_cross_correlation():
    np.testing.assert_array_equal(convolve(FROM_ONE, KERNEL), [[25, 31], [43, 49]])


def test_S013_bias():
    np.testing.assert_array_equal(convolve(FROM_ONE, KERNEL, bias=1), [[26, 32], [44, 50]])


def test_S014_worked_example():
    np.testing.assert_array_equal(convolve(X, KERNEL), [[19, 25], [37, 43]])


def test_S015_true_convolution():
    np.testing.assert_array_equal(convolve(X, KERNEL, flip=True), [[5, 11], [23, 29]])
    np.testing.assert_array_equal(convolve(X, turned(KERNEL)), [[5, 11], [23, 29]])
    full = convolve(X, KERNEL, flip=True, padding="full")
    np.testing.assert_allclose(full, convolve(KERNEL, X, flip=True, padding="full"), rtol=1e-6)
    wanted = np.zeros((4, 4))
    for (i, j), value in np.ndenumerate(KERNEL):
        wanted[i : i + 3, j : j + 3] += value * X
    np.testing.assert_allclose(full, wanted, rtol=1e-6)
    assert convolve(X, KERNEL, flip=True, padding="same").shape == (3, 3)


def test_S016_a_learned_kernel_does_not_mind():
    """From kernels that are each other's turn, convolution and correlation learn turned kernels and predict the same."""
    x, truth, start = floats(8, 1, 7, 7), floats(3, 3), floats(3, 3)
    y = np.stack([convolve(image[0], truth) for image in x])[:, None]
    nets = [layer(start), layer(turned(start), flip=True)]
    for net in nets:
        step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1))
        losses = [step(x, y) for _ in range(300)]
        assert losses[-1] < 1e-6 < losses[0]
    np.testing.assert_allclose(nets[0].weight.numpy()[0, 0], turned(nets[1].weight.numpy()[0, 0]), atol=1e-5)
    np.testing.assert_allclose(nets[0].weight.numpy()[0, 0], truth, atol=1e-2)
    np.testing.assert_allclose(nets[0](x), nets[1](x), atol=1e-5)


def test_S017_multi_channel_formula():
    x, w = floats(3, 6, 5), floats(4, 3, 3, 2)
    np.testing.assert_allclose(convolve(x, w), loops(x, w), rtol=1e-4, atol=1e-5)
    assert w.size // (3 * 2) == 4 * 3  # K * L two-dimensional kernels


def test_S018_several_input_channels_are_summed():
    x, w = np.stack([X, FROM_ONE]), np.stack([KERNEL, KERNEL + 1])[None]
    y = convolve(x, w)[0]
    np.testing.assert_array_equal(y, [[56, 72], [104, 120]])
    assert convolve(X, KERNEL)[0, 0] == 19 and convolve(FROM_ONE, KERNEL + 1)[0, 0] == 37


def test_E32_inputs_are_added_and_outputs_stacked():
    x, w = floats(3, 6, 6), floats(2, 3, 3, 3)
    y = convolve(x, w)
    assert y.shape == (2, 4, 4)
    for k in range(2):
        np.testing.assert_allclose(y[k], sum(convolve(x[c], w[k, c]) for c in range(3)), rtol=1e-4, atol=1e-5)


def test_S019_several_output_channels():
    x, kernels = np.stack([X, FROM_ONE]), np.stack([KERNEL, KERNEL + 1])
    w = np.stack([kernels, kernels + 1, kernels + 2])
    y = convolve(x, w)
    assert y.shape == (3, 2, 2) and len(w) == 3
    for k in range(3):
        np.testing.assert_array_equal(y[k], convolve(x, w[k : k + 1])[0])


def test_S020_kernels_are_named_height_by_width():
    y = convolve(floats(9, 8), floats(3, 5))
    assert y.shape == (9 - 2, 8 - 4)


def test_S021_a_binary_image():
    cross = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    np.testing.assert_array_equal(convolve(BINARY, cross), [[4, 3, 4], [2, 4, 3], [2, 3, 4]])
    walk = [np.sum(np.array(BINARY)[p : p + 3, q : q + 3] * cross) for p in range(3) for q in range(3)]
    assert walk == convolve(BINARY, cross).ravel().tolist()  # left to right, then top to bottom


def test_S022_as_many_maps_as_filters():
    for filters in (1, 5, 32):
        assert nn.Conv2d(3, filters, 3)(floats(1, 3, 8, 8)).shape[1] == filters


def test_S023_weights_from_an_array():
    conv = nn.Conv2d(1, 1, (1, 3))
    conv.weight.data = np.array([1, 0, -1], np.float32).reshape(1, 1, 1, 3)
    conv.bias.data = np.zeros(1, np.float32)
    assert [name for name, _ in conv.named_parameters()] == ["weight", "bias"]
    assert len(list(conv.parameters())) == 2 and "[[[[ 1.  0. -1.]]]]" in str(conv.weight.numpy())
    image = np.repeat([[1.0] * 30 + [0.0] * 20], 50, 0)  # S081
    y = conv(image[None, None].astype(np.float32))[0, 0]
    assert y.shape == (50, 48) and y[:, 28:30].min() == 1 and y.sum() == 100


def test_S024_connections_and_parameters():
    pixels, neurons = 1000 * 1000, 10**6
    assert pixels * neurons == 10**12 and 10 * 10 * neurons == 10**8
    for kernels, parameters in ((1, 100), (100, 10_000)):
        conv = nn.Conv2d(1, kernels, 10, bias=False)
        assert sum(p.numel() for p in conv.parameters()) == parameters
        assert st.trace(conv, (1, 1, 1009, 1009)).outputs[0].shape == (1, kernels, 1000, 1000)


def test_S025_wide_and_narrow():
    """Strictly, wide is full: R - 1 pixels of padding on each side (E43)."""
    for size in (1, 2, 3, 5):
        assert convolve(floats(7, 7), floats(size, size)).shape == (8 - size,) * 2
        assert convolve(floats(7, 7), floats(size, size), padding="full").shape == (6 + size,) * 2


def test_E43_zero_padding_is_wide_only_when_full():
    assert [windows(5, padding=p, rank=1)[0].out(7) for p in ("valid", "same", "full")] == [3, 7, 11]
    assert windows(5, padding="full", rank=1)[0].pads == (4, 4)


def test_S026_defaults():
    conv = nn.Conv2d(3, 8, 3)
    assert (conv.stride, conv.padding, conv.dilation, conv.groups) == ((1, 1), (0, 0), (1, 1), 1) and conv.bias is not None
    assert nn.Conv2d(3, 8, 5, padding="same").padding == "same" and nn.Conv2d(3, 8, 5, padding="valid").padding == "valid"


def test_S042_visits_of_each_pixel():
    """The gradient of the sum of all outputs with respect to x, with a kernel of ones."""
    y, pullback = st.vjp(layer(np.ones((3, 3))), np.zeros((1, 1, 6, 6), np.float32))
    dx, _ = pullback(np.ones_like(y))
    np.testing.assert_array_equal(dx[0, 0, 0], [1, 2, 3, 3, 2, 1])
    np.testing.assert_array_equal(dx[0, 0], np.outer([1, 2, 3, 3, 2, 1], [1, 2, 3, 3, 2, 1]))


def test_E16_only_corners_are_read_once():
    y, pullback = st.vjp(layer(np.ones((3, 3))), np.zeros((1, 1, 6, 6), np.float32))
    visits = Counter(pullback(np.ones_like(y))[0].ravel().tolist())
    assert visits[1] == 4 and max(visits) == 9  # the corners; the centre
    assert pullback(np.ones_like(y))[0][0, 0, 0, 2] == 3  # an edge, up to R times


def test_E01_bias_is_affine_and_no_nonlinearity():
    conv, a, b = nn.Conv2d(2, 3, 3), floats(1, 2, 6, 6), floats(1, 2, 6, 6)
    zero = conv(np.zeros_like(a))
    np.testing.assert_allclose(conv(a + b) - zero, (conv(a) - zero) + (conv(b) - zero), atol=1e-5)
    relu = nn.Sequential(conv, nn.ReLU())
    zero = relu(np.zeros_like(a))
    assert np.abs((relu(a + b) - zero) - (relu(a) - zero) - (relu(b) - zero)).max() > 0.1
