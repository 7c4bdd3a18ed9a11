"""Spectra of sounds against the definition."""

import numpy as np
import pytest
from tests.helpers import draw

from striate.data import log_spectrogram
from striate.errors import ArgumentError


def test_the_definition():
    x, n_fft, hop = draw(300), 64, 20
    n = np.arange(n_fft)
    window = 0.5 * (1 - np.cos(2 * np.pi * n / n_fft))
    waves = np.exp(-2j * np.pi * np.arange(33)[:, None] * n / n_fft)
    wanted = np.stack([np.log(np.abs(waves @ (window * x[t : t + n_fft])) ** 2) for t in range(0, 300 - n_fft + 1, hop)], 1)
    np.testing.assert_allclose(log_spectrogram(x, n_fft, hop), wanted, rtol=1e-5)


def test_silence_has_a_floor():
    assert (log_spectrogram(np.zeros(64), 64) == np.float32(np.log(1e-10))).all()


def test_errors():
    with pytest.raises(ArgumentError) as error:
        log_spectrogram(np.zeros(63), 64)
    assert str(error.value) == "a waveform of shape (63,) is shorter than one frame of 64 samples; pad it or use a smaller n_fft"
    with pytest.raises(ArgumentError) as error:
        log_spectrogram(np.zeros(63), 32, 0)
    assert str(error.value) == "log_spectrogram needs frames of at least 2 samples and steps of at least 1, got 32 and 0"
