"""Drawn stripes: their direction is the label, the seed decides the rest."""

import numpy as np
import pytest

from striate import data
from striate.errors import ArgumentError


def test_the_direction_is_the_label():
    """The strongest frequency of an image (1 / 2 pi in each pixel) lies along its angle."""
    drawn = data.stripes(40, size=128, seed=3)
    x, y = drawn.batch(range(40))
    assert x.shape == (40, 1, 128, 128) and x.dtype == np.float32 and drawn.classes[9] == "162 degrees" and len(set(y)) > 5
    power = np.abs(np.fft.fft2(x[:, 0])) ** 2
    row, column = (np.fft.fftfreq(128)[i] for i in np.unravel_index(power.reshape(40, -1).argmax(axis=1), (128, 128)))
    np.testing.assert_allclose(np.hypot(row, column), 1 / (2 * np.pi), atol=0.006)
    away = (np.degrees(np.arctan2(column, row)) - 18 * y + 90) % 180 - 90
    assert np.abs(away).max() < 3


def test_the_seed_decides():
    one, same, other = (data.stripes(5, seed=seed).batch(range(5))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and data.stripes(1, size=(8, 12))[0][0].shape == (1, 8, 12)


def test_wrong_arguments():
    with pytest.raises(ArgumentError) as error:
        data.stripes(0, size=(8, 12))
    assert str(error.value) == "stripes draws one image or more of one pixel or more, got 0 of 8 x 12"
