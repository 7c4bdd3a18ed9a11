"""The numbers that the study notes give for dropout, and the place where they err: S160 to S165, E31."""

import numpy as np
import pytest

import striate as st
from striate import nn
from striate.errors import ArgumentError

RAMP = np.arange(1, 13, dtype=np.float32).reshape(4, 3)


def test_S160_a_share_is_zeroed_and_the_seed_decides_which():
    layer, x, masks = nn.Dropout(0.3), np.ones((200, 300), np.float32), []
    for seed in (1, 1, 2):
        st.seed(seed)
        masks.append(layer(x) != 0)
    assert abs(1 - masks[0].mean() - 0.3) < 0.005
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])


@pytest.mark.parametrize("mode", ["downscale_in_infer", "downgrade_in_infer"])
def test_S161_downscale_in_infer(mode):
    x = np.random.default_rng(0).random((2, 3, 3, 3), np.float32)
    layer = nn.Dropout(0.5, mode=mode)
    y = layer(x)
    assert np.array_equal(y[y != 0], x[y != 0]) and (y == 0).any()
    assert np.array_equal(layer.eval()(x), 0.5 * x)


def test_S162_upscale_in_train():
    layer = nn.Dropout(0.5, mode="upscale_in_train")
    y = layer(RAMP)
    assert np.array_equal(y[y != 0], 2 * RAMP[y != 0]) and 0 < (y != 0).sum() < 12
    assert np.array_equal(layer.eval()(RAMP), RAMP)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_S163_the_sum_of_sizes_shrinks_by_1_minus_p(p):
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    wide = np.tile(x, (2000, 1))  # 2000 masks
    ratio = {mode: np.abs(nn.Dropout(p, mode=mode)(wide)).sum() / np.abs(wide).sum() for mode in
             ("downscale_in_infer", "upscale_in_train")}
    assert ratio["downscale_in_infer"] == pytest.approx(1 - p, abs=0.01)
    assert ratio["upscale_in_train"] == pytest.approx(1, abs=0.03)


def test_S164_a_linear_network_in_evaluation_is_the_mean_of_the_masked_ones():
    st.seed(0)
    x = np.random.default_rng(0).standard_normal((1, 3)).astype(np.float32)
    layer = nn.Linear(3, 2)
    inputs = np.array([[(i >> j) & 1 for j in range(3)] for i in range(8)], np.float32)  # all 8 masks
    exact = layer(inputs * x * 2).mean(0)
    assert nn.Sequential(nn.Dropout(0.5), layer).eval()(x)[0] == pytest.approx(exact, abs=1e-6)
    drawn = nn.Sequential(nn.Dropout(0.5), layer)(np.tile(x, (20000, 1))).mean(0)
    assert drawn == pytest.approx(exact, abs=0.05)


def test_S165_the_default_is_upscale_in_train():
    assert nn.Dropout().mode == "upscale_in_train" and nn.Dropout().p == 0.5


def test_E31_both_names_of_paddle_are_known_and_others_are_refused():
    assert nn.Dropout(mode="downscale_in_infer").mode and nn.Dropout(mode="downgrade_in_infer").mode
    with pytest.raises(ArgumentError) as error:
        nn.Dropout(mode="downscale")
    assert str(error.value) == ("mode must be one of upscale_in_train, downscale_in_infer, downgrade_in_infer, got 'downscale'")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_masks_are_equal_for_any_number_of_threads(threads):
    before = st.get_num_threads()
    st.set_num_threads(threads)
    st.seed(3)
    y = nn.Dropout(0.5)(np.ones((1, 12), np.float32))
    st.set_num_threads(before)
    st.seed(3)
    assert np.array_equal(y, nn.Dropout(0.5)(np.ones((1, 12), np.float32)))
