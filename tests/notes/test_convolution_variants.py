"""The notes' kinds of convolution: 1x1, grouped, separable, depthwise, dilated, transposed; with their numbers."""

import numpy as np
import pytest
from tests.notes.helpers import convolve, layer, turned

import striate as st
from striate import nn, optim
from striate.nn.factor import kernel_rank, low_rank, separate, separate_, separated
from striate.window import Window, windows

rng = np.random.default_rng(0)
SOBEL, SHARPEN = [[1, 0, -1], [2, 0, -2], [1, 0, -1]], [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
EDGE_1, EDGE_2 = [[1, 0, -1], [0, 0, 0], [-1, 0, 1]], [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
BOX, GAUSS = np.ones((3, 3)) / 9, np.outer([1, 2, 1], [1, 2, 1]) / 16


def floats(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def seen(net: nn.Module, n: int) -> int:
    """Pixels of one axis that the middle output sees: the extent of the gradient's support with positive kernels."""
    for parameter in net.parameters():
        parameter.data = np.ones(parameter.shape, np.float32)
    y, pullback = st.vjp(net, np.zeros((1, 1, n), np.float32))
    dy = np.zeros_like(y)
    dy[0, 0, y.shape[2] // 2] = 1
    read = np.flatnonzero(pullback(dy)[0][0, 0])
    return int(read[-1] - read[0] + 1)


def stack(*dilations: int) -> nn.Module:
    return nn.Sequential(*(nn.Conv1d(1, 1, 3, dilation=d, bias=False) for d in dilations))


def matrix(net: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """A linear layer without a bias as the matrix that it is: a column for each input pixel."""
    size = int(np.prod(shape))
    return net(np.eye(size, dtype=np.float32).reshape(size, *shape)).reshape(size, -1).T


def test_S047_standard_convolution():
    conv = nn.Conv2d(3, 8, 5)
    assert conv.weight.shape == (8, 3, 5, 5) and conv(floats(2, 3, 9, 9)).shape == (2, 8, 5, 5)


def test_S048_one_by_one():
    conv = nn.Conv2d(3, 2, 1)
    assert conv(floats(1, 3, 7, 5)).shape == (1, 2, 7, 5) and conv.weight.numel() == 6 and parameters(conv) == 8
    costs = [st.trace(nn.Conv2d(3, 2, k, padding=k // 2, bias=False), (1, 3, 9, 9)).nodes[0] for k in (1, 3)]
    one, nine = (n.op.cost([v.spec for v in n.inputs], [n.output.spec]).macs for n in costs)
    assert 9 * one == nine == 2 * 3 * 9 * 81 and 9 * 6 == nn.Conv2d(3, 2, 3, bias=False).weight.numel()


def test_S049_one_by_one_is_linear_over_channels():
    conv, x = nn.Conv2d(5, 4, 1), floats(2, 5, 6, 7)
    linear = nn.Linear(5, 4)
    linear.weight.data, linear.bias.data = conv.weight.numpy()[:, :, 0, 0], conv.bias.numpy()
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 5)
    np.testing.assert_allclose(conv(x).transpose(0, 2, 3, 1).reshape(-1, 4), linear(pixels), atol=1e-6)


def test_S050_two_linear_layers_are_one():
    first, second, x = nn.Conv2d(5, 4, 1, bias=False), nn.Conv2d(4, 3, 1, bias=False), floats(2, 5, 6, 6)
    both = layer((second.weight.numpy()[:, :, 0, 0] @ first.weight.numpy()[:, :, 0, 0])[:, :, None, None])
    np.testing.assert_allclose(nn.Sequential(first, second)(x), both(x), atol=1e-5)
    assert np.abs(nn.Sequential(first, nn.ReLU(), second)(x) - both(x)).max() > 0.05


def test_E27_one_by_one_is_linear():
    conv, a, b = nn.Conv2d(5, 4, 1, bias=False), floats(1, 5, 4, 4), floats(1, 5, 4, 4)
    np.testing.assert_allclose(conv(2 * a - b), 2 * conv(a) - conv(b), atol=1e-5)


def test_S051_grouped_convolution():
    conv, x = nn.Conv2d(6, 9, 3, groups=3), floats(2, 6, 7, 8)
    assert conv.weight.shape == (9, 2, 3, 3)
    weight, bias = conv.weight.numpy(), conv.bias.numpy()
    parts = [layer(w, b)(np.ascontiguousarray(part)) for w, b, part in zip(*(np.split(a, 3, axis) for a, axis in
                                                                            ((weight, 0), (bias, 0), (x, 1))), strict=True)]
    np.testing.assert_allclose(conv(x), np.concatenate(parts, 1), atol=1e-5)


def test_S052_from_one_group_to_one_for_each_channel():
    x = floats(1, 4, 6, 6)
    whole = nn.Conv2d(4, 4, 3, bias=False)
    np.testing.assert_array_equal(layer(whole.weight.numpy(), groups=1)(x), whole(x))
    depthwise = nn.DepthwiseConv2d(4, 3, bias=False)
    np.testing.assert_array_equal(layer(depthwise.weight.numpy(), groups=4)(x), depthwise(x))


def test_E28_a_group_for_each_channel_is_depthwise_only():
    """It has no pointwise part; N * g kernels in g groups make N * g maps."""
    assert parameters(nn.DepthwiseConv2d(8, 3, bias=False)) == 8 * 9
    assert parameters(nn.SeparableConv2d(8, 8, 3, bias=False)) == 8 * 9 + 8 * 8
    N, g, C, K = 3, 4, 8, 5
    conv = nn.Conv2d(C, N * g, K, groups=g)
    assert conv.weight.shape == (N * g, C // g, K, K) and conv(floats(1, C, 6, 6)).shape[1] == N * g


def test_S053_the_price_of_one_map_buys_g():
    K, C, g = 3, 12, 4
    assert nn.Conv2d(C, g, K, groups=g, bias=False).weight.numel() == g * K**2 * C // g == K**2 * C
    assert nn.Conv2d(C, 1, K, bias=False).weight.numel() == K**2 * C


def test_S054_spatially_separable():
    x, net = floats(7, 8), nn.SpatiallySeparableConv2d(1, 1, 3, bias=False)
    net.column.weight.data, net.row.weight.data = np.reshape([1, 2, 1], (1, 1, 3, 1)), np.reshape([1, 0, -1], (1, 1, 1, 3))
    np.testing.assert_allclose(net(x[None, None])[0, 0], convolve(x, SOBEL), atol=1e-5)
    assert parameters(net) == 6 and 3 + 3 == 6 and layer(SOBEL).weight.numel() == 9  # weights, and products for a pixel


def test_S055_separability_is_rank_1():
    assert [kernel_rank(k) for k in (EDGE_1, BOX, GAUSS)] == [1, 1, 1] and [kernel_rank(k) for k in (EDGE_2, SHARPEN)] == [2, 2]
    for kernel in (EDGE_1, BOX, GAUSS):
        np.testing.assert_allclose(np.outer(*separate(kernel)), kernel, atol=1e-12)
    columns, rows = low_rank(SHARPEN, 2)
    np.testing.assert_allclose(columns @ rows, SHARPEN, atol=1e-12)
    columns, rows = low_rank(SHARPEN, 1)
    values = np.linalg.svd(np.array(SHARPEN, float), compute_uv=False)
    assert abs(np.linalg.norm(SHARPEN - columns @ rows) - values[1]) < 1e-12
    net, x = nn.Sequential(layer(BOX, padding=1), nn.ReLU(), layer(SHARPEN)), floats(1, 1, 9, 9)
    before = net(x)
    assert separate_(net) == ["0"]
    np.testing.assert_allclose(net(x), before, atol=1e-5)


def test_S056_sobel_is_a_column_times_a_row():
    column, row = np.array([[1], [2], [1]]), np.array([[1, 0, -1]])
    np.testing.assert_array_equal(column.dot(row), SOBEL)
    found_column, found_row = separate(SOBEL)
    np.testing.assert_allclose(found_column / found_column[0], [1, 2, 1])
    np.testing.assert_allclose(found_row * found_column[0], [1, 0, -1], atol=1e-12)
    assert [p.shape for p in separated(layer(SOBEL)).parameters()] == [(1, 1, 3, 1), (1, 1, 1, 3)]


def test_S057_depthwise():
    x = floats(3, 5, 5)
    assert nn.DepthwiseConv2d(3, 3, padding="same")(x).shape == (3, 5, 5)
    conv = nn.DepthwiseConv2d(3, 3, bias=False)
    assert conv(x).shape == (3, 3, 3) and parameters(conv) == 27
    for c in range(3):
        np.testing.assert_allclose(conv(x)[c], convolve(x[c], conv.weight.numpy()[c, 0]), atol=1e-5)
    assert nn.DepthwiseConv2d(3, 3, depth_multiplier=2)(x).shape == (6, 3, 3)


def test_S058_pointwise():
    assert parameters(nn.Conv2d(3, 4, 1, bias=False)) == 12


def test_S059_depthwise_separable():
    net = nn.SeparableConv2d(3, 4, 3, padding="same", bias=False)
    assert net(floats(1, 3, 5, 5)).shape == (1, 4, 5, 5)
    assert parameters(nn.Conv2d(3, 4, 3, bias=False)) == 3 * 3 * 3 * 4 == 108
    assert [parameters(part) for part in (net.depthwise, net.pointwise)] == [27, 12] and parameters(net) == 39


def test_S060_from_16_to_32_channels():
    net = nn.SeparableConv2d(16, 32, 3, bias=False)
    assert parameters(nn.Conv2d(16, 32, 3, bias=False)) == 4608 and 16 * 32 == 512
    assert [parameters(part) for part in (net.depthwise, net.pointwise)] == [144, 512] and parameters(net) == 656
    assert st.trace(net, (1, 16, 9, 9)).nodes[0].output.shape[1] == 16  # maps in between


def test_S061_parameters_of_both_orders():
    C, K, R, S = 16, 32, 3, 3
    assert parameters(nn.SeparableConv2d(C, K, (R, S), bias=False)) == C * (R * S + K) == 656
    assert parameters(nn.SeparableConv2d(C, K, (R, S), bias=False, pointwise_first=True)) == (C + R * S) * K == 800


def test_E12_the_window_counts_not_the_image():
    net = nn.SeparableConv2d(16, 32, 3, bias=False)
    assert parameters(net) == 656 != (3 * 3 + 16) * 32 and net(floats(1, 16, 20, 30)).shape == (1, 32, 18, 28)


def test_E34_sixteen_kernels_one_for_each_channel():
    assert nn.DepthwiseConv2d(16, 3).weight.shape == (16, 1, 3, 3)


def test_S062_dilated():
    conv = nn.Conv2d(1, 1, 3, dilation=2, bias=False)
    assert parameters(conv) == 9 and Window(3, dilation=2).extent == 5 and conv(floats(1, 1, 9, 8)).shape == (1, 1, 5, 4)


def test_E13_both_axes_dilate():
    y, pullback = st.vjp(layer(np.ones((3, 3)), dilation=2), np.zeros((1, 1, 5, 5), np.float32))
    read = np.argwhere(pullback(np.ones_like(y))[0][0, 0])
    assert set(map(tuple, read.tolist())) == {(i, j) for i in (0, 2, 4) for j in (0, 2, 4)}


def test_S063_two_views_of_dilation():
    x, kernel = rng.integers(-4, 5, (9, 8)), rng.integers(-4, 5, (3, 3))
    wide = np.zeros((5, 5))
    wide[::2, ::2] = kernel
    sampled = convolve(x, kernel, dilation=2)
    np.testing.assert_array_equal(sampled, convolve(x, wide))  # zeros between the kernel's weights
    for i in range(2):
        for j in range(2):  # every other pixel of the input, for every other pixel of the output
            np.testing.assert_array_equal(sampled[i::2, j::2], convolve(x[i::2, j::2].copy(), kernel))


def test_S064_receptive_fields_of_stacks():
    assert [seen(stack(*[1] * L), 80) for L in range(1, 6)] == [3, 5, 7, 9, 11]
    assert [seen(stack(*(2**i for i in range(L))), 150) for L in range(1, 6)] == [3, 7, 15, 31, 63]


def test_E26_a_constant_rate_grows_linearly():
    assert [seen(stack(*[2] * L), 80) for L in range(1, 6)] == [5, 9, 13, 17, 21]


TRANSPOSED = [(3, 1, 0, 0, 1, 1), (3, 2, 1, 0, 1, 1), (4, 2, 1, 0, 1, 2), (3, 3, 0, 2, 1, 1), (2, 2, 0, 1, 3, 2),
              (5, 3, 2, 1, 2, 1)]
each = pytest.mark.parametrize("size, stride, pad, extra, dilation, groups", TRANSPOSED)


@each
def test_S066_transposed_is_the_matrix_transposed(size, stride, pad, extra, dilation, groups):
    weight, x = floats(2 * groups, 3, size, size), floats(1, 2 * groups, 3, 4)
    net = layer(weight, transposed=True, stride=stride, padding=pad, output_padding=extra, dilation=dilation, groups=groups)
    y = net(x)
    conv = layer(weight, stride=stride, padding=pad, dilation=dilation, groups=groups)
    wanted = matrix(conv, y.shape[1:]).T @ x.reshape(-1)  # weight[k, c] is shared: what conv reads, the other writes
    np.testing.assert_allclose(y.reshape(-1), wanted, atol=1e-4)
    dy = st.vjp(conv, y)[1](x)[0]  # and it is the gradient of convolution
    np.testing.assert_allclose(y, dy, atol=1e-4)


@each
def test_S067_transposed_is_zeros_between_and_a_turned_kernel(size, stride, pad, extra, dilation, groups):
    weight, x = floats(2, 3, size, size), floats(1, 2, 3, 4)
    y = layer(weight, transposed=True, stride=stride, padding=pad, output_padding=extra, dilation=dilation)(x)
    apart = np.zeros((1, 2, 2 * stride + 1, 3 * stride + 1), np.float32)
    apart[:, :, ::stride, ::stride] = x
    border = dilation * (size - 1) - pad
    kernel = turned(weight).transpose(1, 0, 2, 3)
    pads = (border, border + extra, border, border + extra)
    np.testing.assert_allclose(y, layer(kernel, padding=pads, dilation=dilation)(apart), atol=1e-4)


def test_E14_the_matrix_is_transposed_not_the_kernel():
    kernel, x = rng.standard_normal((3, 3)), floats(1, 1, 4, 4)
    y = layer(kernel, transposed=True)(x)
    np.testing.assert_allclose(y, layer(turned(kernel), padding=2)(x), atol=1e-5)
    assert np.abs(y - layer(kernel.T.copy(), padding=2)(x)).max() > 0.1


def test_S068_who_is_connected_to_whom():
    """Three pixels a, b, c and, between two outputs 1 and 2 of k3 s2 p1, the same connections forwards and backwards."""
    conv = layer(np.ones((1, 1, 3)), stride=2, padding=1)
    down = matrix(conv, (1, 3)) != 0
    np.testing.assert_array_equal(down, [[True, True, False], [False, True, True]])  # a-1, b-1, b-2, c-2
    up = matrix(layer(np.ones((1, 1, 3)), transposed=True, stride=2, padding=1), (1, 2)) != 0
    np.testing.assert_array_equal(up, down.T)
    plane = layer(np.ones((3, 3)), stride=2, padding=1)
    links = matrix(plane, (1, 3, 3)) != 0
    assert links[:, 4].all() and [int(links[:, i].sum()) for i in range(9)] == [1, 2, 1, 2, 4, 2, 1, 2, 1]  # the middle sees all


def test_S069_size_of_a_transposed_convolution():
    window = Window(3, 2, pads=(1, 1))
    assert window.grown(2) == window.short_growth(2) == 3
    assert nn.ConvTranspose1d(1, 1, 3, 2, 1)(np.zeros((1, 1, 2), np.float32)).shape == (1, 1, 3)


def test_E05_the_short_formula_holds_for_one_padding_only():
    for n in range(1, 6):
        for s in range(1, 5):
            for k in range(s, 6):
                for p in range(k):
                    window = Window(k, s, pads=(p, p))
                    if (n - 1) * s - 2 * p + k > 0:
                        assert (window.grown(n) == window.short_growth(n)) == (p == k - s)
    assert Window(3, 2, 2, (1, 1)).grown(4, 1) == (4 - 1) * 2 - 2 * 1 + 2 * (3 - 1) + 1 + 1


def test_S070_there_and_back_4_2_4():
    x = floats(1, 1, 4, 4)
    y = nn.Conv2d(1, 1, 3)(x)
    assert y.shape[2:] == (2, 2) and nn.ConvTranspose2d(1, 1, 3)(y).shape[2:] == (4, 4)
    assert Window(3).short_growth(2) == 0


def test_S071_there_and_back_5_2_5():
    y = nn.Conv2d(1, 1, 3, 2)(floats(1, 1, 5, 5))
    assert y.shape[2:] == (2, 2) and nn.ConvTranspose2d(1, 1, 3, 2)(y).shape[2:] == (5, 5) and (2 - 1) * 2 + 3 == 5
    one = np.zeros((1, 1, 2, 2), np.float32)
    one[0, 0, 1, 0] = 1
    kernel = np.arange(1.0, 10).reshape(3, 3)
    scattered = layer(kernel, transposed=True, stride=2)(one)[0, 0]
    np.testing.assert_array_equal(scattered[2:5, 0:3], kernel)
    assert scattered.sum() == kernel.sum()


def test_S072_transposed_is_not_the_inverse():
    conv, x = layer(rng.standard_normal((3, 3)), padding=1), floats(1, 1, 6, 6)
    y = conv(x)
    assert np.abs(layer(conv.weight.numpy(), transposed=True, padding=1)(y) - x).max() > 0.5
    solved = np.linalg.lstsq(matrix(conv, (1, 6, 6)).astype(np.float64), y.reshape(-1).astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(solved, x.reshape(-1), atol=1e-3)  # y is float32
    kernel = conv.weight.numpy()[0, 0].astype(np.float64)
    spectrum = np.fft.fft2(np.pad(kernel, ((0, 5), (0, 5))))  # a wide convolution divided out again
    wide = np.real(np.fft.ifft2(spectrum * np.fft.fft2(x[0, 0].astype(np.float64), (8, 8))))
    np.testing.assert_allclose(np.real(np.fft.ifft2(np.fft.fft2(wide) / spectrum))[:6, :6], x[0, 0], atol=1e-10)
    np.testing.assert_allclose(wide, convolve(x[0, 0], kernel, flip=True, padding="full"), atol=1e-4)


def test_E15_the_scatter_is_transposed_convolution():
    """It upsamples; deconvolution would solve the linear system."""
    x, kernel = floats(3, 4), floats(3, 3)
    y = np.zeros((7, 9))
    for (p, q), value in np.ndenumerate(x):
        y[2 * p : 2 * p + 3, 2 * q : 2 * q + 3] += value * kernel
    np.testing.assert_allclose(layer(kernel, transposed=True, stride=2)(x[None, None])[0, 0], y, atol=1e-5)
    assert y.size > x.size


def test_S073_an_autoencoder_learns():
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1), nn.ReLU(),
                        nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1))
    rows, columns = np.arange(16)[:, None], np.arange(16)
    x = np.stack([np.sin(rows * a / 5 + columns * b / 7) for a in range(4) for b in range(4)])[:, None].astype(np.float32)
    step = st.compile(net, nn.MSELoss(), optim.Adam(lr=0.01))
    losses = [step(x, x) for _ in range(200)]
    assert net(x).shape == x.shape and losses[-1] < 0.15 * losses[0]


def test_S074_stacked_small_kernels():
    def count(channels: int, *kernels: int, bias: bool = False) -> int:
        return parameters(nn.Sequential(*(nn.Conv2d(channels, channels, k, bias=bias) for k in kernels)))

    assert [seen(stack(*[1] * L), 40) for L in (2, 3)] == [5, 7]
    assert count(64, 3, 3) == 73_728 < count(64, 5) == 102_400 and count(64, 3, 3, 3) == 110_592 < count(64, 7) == 200_704
    assert count(1, 3, 3) == 18 and count(1, 5) == 25


def test_E17_two_layers_have_two_biases():
    def count(channels: int, *kernels: int) -> int:
        return parameters(nn.Sequential(*(nn.Conv2d(channels, channels, k) for k in kernels)))

    assert count(1, 3, 3) == 18 + 2 == 20 and count(1, 5) == 25 + 1 == 26
    for C in (4, 16):
        assert count(C, 3, 3) == 18 * C**2 + 2 * C and count(C, 5) == 25 * C**2 + C


def test_S208_a_table_of_connections():
    from striate.nn.separable import LENET5

    conv = nn.SparseConv2d(6, 16, 5, LENET5)
    assert conv.weight.shape[0] == 60 and parameters(conv) == 1516
    assert [sum(c in row for row in LENET5) for c in range(6)] == [10] * 6
    assert sorted(map(len, LENET5)) == [3] * 6 + [4] * 9 + [6]
    assert windows(5)[0].out(14) == 10 and conv(floats(1, 6, 14, 14)).shape == (1, 16, 10, 10)
