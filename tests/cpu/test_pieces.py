"""Large batches in pieces: the same numbers as at once, and never where one image sees another."""

import numpy as np
import pytest

import striate as st
from striate import nn
from striate.cpu import pieces
from striate.cpu.pieces import apart, images_at_once
from striate.nn import functional as F


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        y = self.body(x)
        return {"map": y, "classes": F.softmax(self.head(y.mean((2, 3))), 1)}


class Mixed(nn.Module):
    """One image of the output sees others."""

    def __init__(self, mix):
        super().__init__()
        self.mix = mix

    def forward(self, x):
        return self.mix(x)


MIXED = {
    "mean of the batch": lambda x: x - x.mean(0),
    "softmax over the batch": lambda x: F.softmax(x, 0),
    "another order": lambda x: x.flip(0),
    "images become rows": lambda x: x.reshape(12, -1),
    "the batch last": lambda x: x.permute(1, 2, 3, 0),
    "images side by side": lambda x: x.flatten(1) @ x.flatten(1).permute(1, 0),
    "one image twice": lambda x: x[:3].repeat(2, 1, 1, 1) if hasattr(x, "repeat") else x[:3],
    "a number for each image": lambda x: x * np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1),
    "half of the batch": lambda x: x[:3],
}


@pytest.fixture
def small_cache(monkeypatch):
    monkeypatch.setattr(pieces, "ACTIVATIONS", 20_000)


def test_same_numbers(small_cache):
    net = Two().eval()
    x = np.random.default_rng(0).standard_normal((6, 3, 12, 12), np.float32)
    assert images_at_once(st.trace(net, x.shape)) == 2
    got, alone = net(x), [net(x[i:i + 1]) for i in range(6)]
    for name, array in got.items():
        np.testing.assert_array_equal(array, np.concatenate([a[name] for a in alone]))


def test_a_batch_without_divisors(small_cache):
    net = Two().eval()
    x = np.random.default_rng(0).standard_normal((7, 3, 12, 12), np.float32)
    assert images_at_once(st.trace(net, x.shape)) == 1
    np.testing.assert_array_equal(net(x)["map"][3], net(x[3:4])["map"][0])


def test_batch_statistics_need_the_whole_batch(small_cache):
    assert images_at_once(st.trace(Two().train(), (6, 3, 12, 12))) == 6


def test_masks_are_drawn_for_the_whole_batch(small_cache):
    assert images_at_once(st.trace(nn.Dropout(0.5).train(), (6, 3, 24, 24))) == 6


def test_heavy_weights_stay_whole(small_cache, monkeypatch):
    monkeypatch.setattr(pieces, "WEIGHTS", 100)
    assert images_at_once(st.trace(Two().eval(), (6, 3, 12, 12))) == 6


@pytest.mark.parametrize("mix", MIXED.values(), ids=MIXED)
def test_images_that_see_others(mix, small_cache):
    assert not apart(st.trace(Mixed(mix), (6, 3, 12, 12)), 6)
