"""What a network is fed with: layouts, digitised images, standardised data, sound, text, batches."""

import numpy as np
import pytest
from PIL import Image
from tests.helpers import close, draw
from tests.nn.helpers import run

import striate as st
from striate import nn
from striate.data import frequency, log_spectrogram, read_image
from striate.nn import functional as F


def test_S002_layouts():
    """(H, W, 3) to (1, 3, H, W), and a network that is given either."""
    image = draw(5, 7, 3)
    x = image.transpose(2, 0, 1).reshape(1, 3, 5, 7)
    assert x[0, 2, 4, 6] == image[4, 6, 2] and x[0, 0, 1, 3] == image[1, 3, 0]
    conv = nn.Conv2d(3, 4, 3)
    assert conv.weight.shape == (4, 3, 3, 3)

    class Last(nn.Module):
        """The same network for images (N, H, W, C)."""

        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    channels_last = np.float32(image[None])
    np.testing.assert_array_equal(Last()(channels_last).transpose(0, 3, 1, 2), conv(np.float32(x)))


def test_S003_digitisation(tmp_path):
    """0 is black, 255 white, 51 a fifth; grey images get one channel."""
    levels = np.array([[0, 255, 51], [102, 204, 153]], np.uint8)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    grey = Image.open(tmp_path / "grey.png").convert("L")
    x = np.asarray(grey, np.float32)[None, None] / 255
    assert x.shape == (1, 1, 2, 3) and x[0, 0, 0].tolist() == [0.0, 1.0, np.float32(0.2)]
    read = read_image(tmp_path / "grey.png", grey=True)
    assert read.dtype == np.uint8 and np.array_equal(read.reshape(2, 3), levels)
    y = nn.Identity()(read.reshape(1, 1, 2, 3).astype(np.float32) / 255)
    assert np.array_equal(y, x)


def test_S004_standardisation():
    """Mean 0 and variance 1 to 1e-6, in float64."""
    x = 5 + 3 * draw(100, 4)
    z = (x - x.mean(0)) / x.std(0)
    assert np.abs(z.mean(0)).max() < 1e-6 and np.abs(z.var(0) - 1).max() < 1e-6
    close(run(nn.BatchNorm1d(4, eps=1e-30, affine=False), x), z, rtol=1e-9)


@pytest.mark.parametrize("bin", [8, 20, 100])
def test_S005_a_sine_peaks_at_its_frequency(bin):
    rate, n_fft = 8000, 256
    pitch = frequency(bin, n_fft, rate)
    image = log_spectrogram(np.sin(2 * np.pi * pitch * np.arange(4000) / rate), n_fft, 64)
    assert image.shape == (129, 1 + (4000 - n_fft) // 64) and image.dtype == np.float32
    assert (image.argmax(0) == bin).all() and round(pitch * n_fft / rate) == bin


def test_S005_an_image_for_a_convolution():
    sound = draw(2, 1000)
    image = log_spectrogram(sound, 128)
    assert nn.Conv2d(1, 4, 3)(image[:, None]).shape == (2, 4, 63, 26)
    np.testing.assert_array_equal(image[0], log_spectrogram(sound[0], 128))


def test_S006_sentences_of_any_length():
    """Tokens, embedding (N, L, D), convolution over words, the largest of each filter: as many numbers for any length."""

    class Sentence(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.conv, self.line = nn.Embedding(30, 8), nn.Conv2d(1, 5, (3, 8)), nn.Linear(5, 2)

        def forward(self, tokens):
            x = self.embed(tokens)
            assert x.shape == (*tokens.shape, 8)
            return self.line(self.conv(x.unsqueeze(1)).relu().amax((2, 3)))

    net = Sentence()
    assert [net(np.arange(2 * n).reshape(2, n) % 30).shape for n in (3, 7, 12)] == [(2, 2)] * 3


def test_S010_a_batch_is_its_samples():
    """Forward to 1e-6, and the gradients of parameters are the sums of the samples'."""
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.GroupNorm(2, 6), nn.Upsample(scale_factor=2),
        nn.ReflectionPad2d(1), nn.LocalResponseNorm(3), nn.Flatten(), nn.Linear(6 * 10 * 10, 4), nn.LayerNorm(4),
    )  # fmt: skip
    x, dy = np.float32(draw(5, 3, 8, 8)), np.float32(draw(5, 4))
    y, pullback = st.vjp(net, x)
    dx, gradients = pullback(dy)
    total = {name: np.zeros_like(g) for name, g in gradients.items()}
    for i in range(5):
        one, back = st.vjp(net, x[i: i + 1])
        assert np.abs(one[0] - y[i]).max() <= 1e-6 * max(1, np.abs(y).max())
        d, parts = back(dy[i: i + 1])
        assert np.abs(d[0] - dx[i]).max() <= 1e-5 * np.abs(dx).max()
        for name, part in parts.items():
            total[name] += part
    for name, sum_ in total.items():
        assert np.abs(sum_ - gradients[name]).max() <= 1e-4 * np.abs(gradients[name]).max(), name


def test_S065_bilinear_upsampling_after_dilated_convolution():
    """A transposed convolution's places, without its uneven overlap: what is constant stays constant."""

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(3, 2, 3, padding=2, dilation=2)

        def forward(self, x):
            return F.interpolate(self.wide(x), scale_factor=4, mode="bilinear", align_corners=False)

    assert Head()(np.float32(draw(1, 3, 6, 5))).shape == (1, 2, 24, 20)
    flat = nn.Upsample(scale_factor=4, mode="bilinear")(np.full((1, 2, 6, 5), 0.7, np.float32))
    assert np.abs(flat - 0.7).max() < 1e-7


def test_E41_dtypes_are_float32():
    assert nn.Conv2d(1, 1, 3).weight.data.dtype == np.float32 and nn.Identity()(np.zeros((1, 2))).dtype == np.float32
