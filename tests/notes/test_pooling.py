"""The numbers that the study notes give for pooling, and the places where they err: S041, S100 to S124, S198, S199, E06 ..."""

import math

import numpy as np
import pytest
import torch

import striate as st
from striate import nn, ops
from striate.errors import ShapeError
from striate.window import Window


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def backward(net, x, dy):
    """dx for a dy."""
    _, pullback = st.vjp(net, x)
    return pullback(np.asarray(dy, np.float32))[0]


def size_of(net, *shape):
    return st.trace(net, shape).outputs[0].shape


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 0, 1), (1, 1, 0, 1)])
def test_S041_pooling_size_with_four_pads(pads):
    top, bottom, left, right = pads
    for h, w, k, s in ((8, 6, 2, 2), (9, 11, 3, 2), (13, 7, 3, 1)):
        wanted = (h + top + bottom - k) // s + 1, (w + left + right - k) // s + 1
        assert size_of(nn.MaxPool2d(k, s, pads), 1, 1, h, w)[2:] == wanted
        assert size_of(nn.AvgPool2d(k, s, pads), 1, 1, h, w)[2:] == wanted
    assert size_of(nn.MaxPool2d(2, 2), 1, 1, 12, 8) == (1, 1, 6, 4)  # even sizes are halved
    assert size_of(nn.MaxPool2d(3, 2, ceil_mode=True), 1, 1, 6, 6) == (1, 1, 3, 3)


def test_S100_max_pooling():
    x = np.array([[[[1, 3, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]], np.float32)
    assert nn.MaxPool2d(2, 2)(x).tolist() == [[[[6, 8], [3, 4]]]]
    assert nn.MaxPool2d(3, 2, 1)(-x).max() == 0 and nn.MaxPool2d(3, 1, 1)(-x - 1).max() < 0  # padding never wins


def test_S101_average_pooling():
    x = np.array([[[[1, 3, 2, 4], [5, 7, 6, 8], [1, 1, 2, 2], [1, 1, 2, 2]]]], np.float32)
    assert nn.AvgPool2d(2)(x).tolist() == [[[[4, 5], [1, 2]]]]


def test_S102_sum_pooling():
    x = floats(2, 3, 6, 8)
    assert nn.SumPool2d(2)(np.ones((1, 1, 2, 2))).item() == 4
    np.testing.assert_allclose(nn.SumPool2d(2)(x), 4 * nn.AvgPool2d(2)(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_S103_general_pooling_uses_each_pixel_once(k):
    net = nn.SumPool2d(k)
    assert net.stride == k
    assert backward(net, floats(1, 1, 12, 12), np.ones((1, 1, 12 // k, 12 // k))).tolist() == np.ones((1, 1, 12, 12)).tolist()


def test_S104_overlapping_pooling():
    assert size_of(nn.MaxPool2d(3, 2), 1, 1, 13, 13) == (1, 1, 6, 6)
    readers = backward(nn.SumPool2d(3, 2), floats(1, 1, 5, 5), np.ones((1, 1, 2, 2)))[0, 0]
    assert readers[2, 2] == 4 and readers[0, 0] == 1 and readers[2, 0] == 2
    x = np.zeros((1, 1, 5, 5), np.float32)
    x[0, 0, 2, 2] = 1
    assert backward(nn.MaxPool2d(3, 2), x, np.ones((1, 1, 2, 2)))[0, 0, 2, 2] == 4  # four windows chose it


def test_S105_spatial_pyramid():
    net = nn.SpatialPyramidPool2d((1, 2, 4))
    assert size_of(net, 1, 256, 13, 13) == (1, 256 * (1 + 4 + 16)) == (1, 5376)
    assert size_of(net, 1, 256, 7, 10) == (1, 5376)


def test_S106_the_papers_windows_of_13_pixels():
    assert [(math.ceil(13 / n), 13 // n) for n in (1, 2, 3, 4)] == [(13, 13), (7, 6), (5, 4), (4, 3)]
    for n in (1, 2, 3, 4):
        graph = st.trace(nn.SpatialPyramidPool2d((n,), mode="paper"), (1, 1, 13, 13))
        window = Window(math.ceil(13 / n), 13 // n)
        assert graph.nodes[0].op == ops.MaxPool2d((window, window)) and graph.outputs[0].shape == (1, n * n)


@pytest.mark.parametrize("mode", ["adaptive", "paper"])
def test_S107_a_network_with_a_pyramid_takes_any_size(mode):
    net = nn.Sequential(nn.Conv2d(3, 8, 7, stride=14), nn.ReLU(), nn.SpatialPyramidPool2d(mode=mode), nn.Linear(8 * 21, 5))
    assert net(floats(1, 3, 180, 180)).shape == net(floats(1, 3, 224, 224)).shape == (1, 5)


def test_S108_global_average():
    x = floats(1, 1000, 7, 7)
    y = nn.GlobalAvgPool2d()(x)
    assert y.shape == (1, 1000, 1, 1) and nn.GlobalAvgPool2d(keepdim=False)(x).shape == (1, 1000)
    np.testing.assert_allclose(y[0, :, 0, 0], x.mean((0, 2, 3)), atol=1e-6)


def test_S109_global_maximum():
    x = floats(2, 5, 4, 6)
    assert nn.GlobalMaxPool2d()(x)[:, :, 0, 0].tolist() == x.max((2, 3)).tolist()


def test_S110_netvlad():
    K, D = 8, 16
    net = nn.NetVLAD(K, D)
    assert sum(p.size for p in net.parameters()) == 2 * K * D + K
    y = net(floats(3, D, 5, 4))
    assert y.shape == (3, K * D)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, rtol=1e-5)


def test_S111_stochastic_pooling():
    x = np.array([[[[1.6, 0], [0, 2.4]]]], np.float32)
    net = nn.StochasticPool2d(2)
    assert net.eval()(x).item() == pytest.approx(2.08)
    st.seed(0)
    drawn = net.train()(np.tile(x, (1, 1, 100, 100)))
    assert set(np.unique(drawn)) == set(np.unique(x)) - {0}
    assert (drawn == x[0, 0, 0, 0]).mean() == pytest.approx(0.4, abs=4 * math.sqrt(0.24 / drawn.size))
    zero = np.zeros((1, 1, 2, 2), np.float32)
    assert net.train()(zero).item() == 0 and net.eval()(zero).item() == 0


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (7, 5)])
def test_S112_a_box_around_the_whole_map_is_adaptive_pooling(size):
    x = floats(1, 6, 13, 11)
    whole = np.array([[0, 0, 0, 10, 12]], np.float32)  # the last pixel belongs to the box
    assert np.array_equal(nn.RoIPool(size, 1.0)(x, whole), nn.AdaptiveMaxPool2d(size)(x))
    assert np.array_equal(nn.RoIPool(size, 1 / 16)(x, whole * 16), nn.AdaptiveMaxPool2d(size)(x))
    assert nn.RoIAlign(size, 1.0, 2)(x, whole).shape == (1, 6, *size)


def test_S113_E45_channels_are_pooled_apart_and_there_are_no_parameters():
    x = floats(1, 4, 6, 6)
    y = nn.MaxPool2d(2)(x)
    assert y.shape[1] == 4 and all(np.array_equal(nn.MaxPool2d(2)(x[:, c:c + 1])[0, 0], y[0, c]) for c in range(4))
    for layer in (nn.MaxPool2d(2), nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.GlobalAvgPool2d(), nn.SpatialPyramidPool2d()):
        assert not list(layer.parameters())
    assert len(list(nn.NetVLAD(4, 8).parameters())) == 3  # pooling that does learn


def test_S114_defaults():
    pool = nn.MaxPool2d(2)
    assert (pool.kernel_size, pool.stride, pool.padding) == (2, 2, 0)


def test_S115_a_text_of_any_length_gives_a_vector_of_one_length():
    words, net = floats(9, 30), nn.Sequential(nn.Conv1d(30, 12, 3), nn.ReLU(), nn.GlobalMaxPool1d(keepdim=False))
    assert net(words[None, :5].transpose(0, 2, 1)).shape == net(words[None].transpose(0, 2, 1)).shape == (1, 12)


def test_S117_E18_a_shift_inside_a_window_is_not_seen_and_one_across_is():
    def stroke(column):
        image = np.zeros((1, 1, 16, 16), np.float32)
        image[..., column] = 1
        return nn.MaxPool2d(2)(image)

    assert stroke(0).shape == (1, 1, 8, 8)
    assert np.array_equal(stroke(6), stroke(7)) and not np.array_equal(stroke(7), stroke(8))
    kept = [np.array_equal(stroke(c), stroke(c + 1)) for c in range(15)]
    assert sum(kept) == 8  # 8 of 15 shifts by one pixel: partial invariance, by the phase of the windows


def test_E18_neither_rotation_nor_scale_leave_the_pooled_image_as_it_is():
    x = floats(1, 1, 8, 8)
    pool = nn.MaxPool2d(2)
    assert not np.array_equal(pool(x), pool(x.transpose(0, 1, 3, 2)[:, :, ::-1].copy()))
    assert not np.array_equal(pool(x), pool(x.repeat(2, 2).repeat(2, 3))[:, :, :4, :4])


def test_S122_average_backward_splits_evenly_and_keeps_the_sum():
    dx = backward(nn.AvgPool2d(2), floats(1, 1, 8, 8), np.ones((1, 1, 4, 4)))
    assert dx.size == 64 and np.all(dx == 0.25) and dx.sum() == 16


def test_S123_maximum_backward_goes_to_the_first_of_equals():
    x = np.array([[[[1, 5, 2, 2], [3, 5, 2, 2]]]], np.float32)
    dx = backward(nn.MaxPool2d(2), x, [[[[1, 2]]]])
    assert dx.tolist() == [[[[0, 1, 2, 0], [0, 0, 0, 0]]]] and dx.sum() == 3
    _, index = nn.MaxPool2d(2, return_indices=True)(x)
    assert index.tolist() == [[[[1, 2]]]]


def test_S124_copying_the_gradient_is_that_of_the_sum_and_grows():
    x, dy = floats(1, 1, 4, 4), np.ones((1, 1, 2, 2))
    copied = backward(nn.SumPool2d(2), x, dy)
    assert copied.sum() == 4 * backward(nn.AvgPool2d(2), x, dy).sum() == 16


def operations(net, *shape):
    graph = st.trace(net, shape)
    return sum(n.op.cost([v.spec for v in n.inputs], [v.spec for v in n.outputs]).operations for n in graph.nodes)


def test_S198_global_pooling_costs_h_w_c():
    assert operations(nn.GlobalAvgPool2d(), 1, 512, 7, 7) == 7 * 7 * 512
    assert operations(nn.GlobalMaxPool2d(), 1, 512, 7, 7) == 7 * 7 * 512


@pytest.mark.parametrize("k, s", [(2, 2), (3, 2)])
def test_S199_pooling_costs_k_k_for_each_output(k, s):
    P = (13 - k) // s + 1
    assert operations(nn.MaxPool2d(k, s), 1, 6, 13, 13) == operations(nn.AvgPool2d(k, s), 1, 6, 13, 13) == k * k * P * P * 6


def test_E06_the_papers_rule_fails_for_56_of_484_sizes():
    wrong = {}
    for a in range(1, 65):
        for n in range(1, min(a, 8) + 1):
            bins = Window(math.ceil(a / n), a // n).out(a)
            if bins != n:
                wrong[a, n] = bins
    assert len(wrong) == 56 and sum(min(a, 8) for a in range(1, 65)) == 484
    assert (wrong[7, 4], wrong[11, 4], wrong[6, 4]) == (6, 5, 5)
    for (a, n), bins in wrong.items():
        with pytest.raises(ShapeError) as error:
            st.trace(nn.SpatialPyramidPool2d((n,), mode="paper"), (1, 1, a, a))
        assert error.value.problem == (
            f"height: level {n} of {a} pixels by the paper's rule is a window of ceil({a}/{n}) = {math.ceil(a / n)} and a stride "
            f"of floor({a}/{n}) = {a // n}, which gives floor(({a} - {math.ceil(a / n)})/{a // n}) + 1 = {bins} bins"
        )
        assert size_of(nn.SpatialPyramidPool2d((n,)), 1, 1, a, a) == (1, n * n)


def test_E20_pooling_widens_the_receptive_field_as_any_window_does():
    """What a pixel behind conv 3x3, pool 2x2 stride 2, conv 3x3 sees: 3 + 1 + 2 * 2 = 8 pixels, wherever the padding is."""
    for padding in (0, 1):
        conv = nn.Conv2d(1, 1, 3, padding=padding), nn.Conv2d(1, 1, 3, padding=padding)
        for layer in conv:
            layer.weight.data = np.ones((1, 1, 3, 3))
        net = nn.Sequential(conv[0], nn.AvgPool2d(2), conv[1])
        dy = np.zeros(size_of(net, 1, 1, 32, 32), np.float32)
        dy[0, 0, 6, 6] = 1
        seen = np.nonzero(backward(net, floats(1, 1, 32, 32), dy)[0, 0].any(1))[0]
        assert len(seen) == 8 and seen[0] == 12 - 3 * padding


def test_E29_a_pyramid_of_boxes_needs_no_network_that_proposes_them():
    """SPPNet pools windows of selective search: any boxes at all, on one map."""
    boxes = np.array([[0, 1, 2, 9, 10], [0, 0, 0, 12, 12], [0, 5, 5, 6, 8]], np.float32)
    x = floats(1, 4, 13, 13)
    parts = [nn.RoIPool(n, 1.0)(x, boxes).reshape(3, -1) for n in (1, 2, 4)]
    assert np.concatenate(parts, 1).shape == (3, 4 * 21)
    crop = x[:, :, 2:11, 1:10]
    np.testing.assert_array_equal(np.concatenate(parts, 1)[0], nn.SpatialPyramidPool2d()(crop)[0])


def test_E33_pooling_has_a_gradient_and_spreads_it_over_its_window_alone():
    dy = np.zeros((1, 1, 4, 4), np.float32)
    dy[0, 0, 1, 2] = 1
    dx = backward(nn.AvgPool2d(2), floats(1, 1, 8, 8), dy)[0, 0]
    assert dx[2:4, 4:6].tolist() == [[0.25, 0.25], [0.25, 0.25]] and np.count_nonzero(dx) == 4
    assert size_of(nn.Conv2d(1, 1, 3, padding=1, stride=2), 1, 1, 8, 8) == (1, 1, 4, 4)  # zero padding alone keeps no size


def test_E44_padded_averages_divide_by_all_taps_or_by_those_inside():
    """With padding counted the gradient's sum is not kept: 2.78 of 4."""
    x, dy = floats(1, 1, 4, 4), np.ones((1, 1, 2, 2), np.float32)
    for include, wanted in ((True, 25 / 9), (False, 4)):
        net = nn.AvgPool2d(3, 2, 1, count_include_pad=include)
        assert backward(net, x, dy).sum() == pytest.approx(wanted)
        theirs = torch.nn.AvgPool2d(3, 2, 1, count_include_pad=include)(torch.tensor(x)).numpy()
        np.testing.assert_allclose(net(x), theirs, rtol=1e-5, atol=1e-6)
    assert round(25 / 9, 2) == 2.78
