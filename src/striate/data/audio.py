"""Sound as an image: the logarithm of short-time Fourier spectra.

    X[f, t] = sum_{n=0}^{n_fft - 1} window[n] * x[t * hop + n] * e^{-2 pi i f n / n_fft}        frequency f * sample_rate / n_fft
    image   = ln(max(|X|^2, floor))

Source: Allen & Rabiner, A unified approach to short-time Fourier analysis and synthesis, Proceedings of the IEEE, 1977.
"""

from __future__ import annotations

import numpy as np

from striate.errors import ArgumentError


def log_spectrogram(waveform: np.ndarray, n_fft: int = 512, hop: int | None = None, floor: float = 1e-10) -> np.ndarray:
    """(..., samples) -> (..., n_fft // 2 + 1 frequencies, frames) float32: an image for a 2-D convolution.

    A frame is n_fft samples under a Hann window, and begins `hop` samples after the one before, n_fft // 4 unless given; what is
    left over at the end is not read. Raises ArgumentError.

    >>> log_spectrogram(np.zeros(1024), 256).shape
    (129, 13)
    """
    x, step = np.asarray(waveform, np.float64), n_fft // 4 if hop is None else hop
    if n_fft < 2 or step < 1:
        raise ArgumentError(f"log_spectrogram needs frames of at least 2 samples and steps of at least 1, got {n_fft} and {step}")
    if x.ndim < 1 or x.shape[-1] < n_fft:
        problem = f"a waveform of shape {x.shape} is shorter than one frame of {n_fft} samples"
        raise ArgumentError(f"{problem}; pad it or use a smaller n_fft")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft, -1)[..., ::step, :]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return np.log(np.maximum(power, floor)).swapaxes(-1, -2).astype(np.float32)


def frequency(bin: float, n_fft: int, sample_rate: float) -> float:
    """The frequency of a row of the image, in hertz.

    >>> frequency(16, 512, 16000)
    500.0
    """
    return bin * sample_rate / n_fft
