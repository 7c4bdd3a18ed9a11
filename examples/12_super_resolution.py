"""Images of twice the size: a network that puts in what bilinear enlargement cannot know.

    python examples/12_super_resolution.py

It learns on Fashion-MNIST halved, where that is at hand (`apt install dataset-fashion-mnist`), else on drawn shapes. PSNR in
decibels = -10 log10(mean squared error), for values from 0 to 1: three more halve the error. Writes out/super_resolution.png.
"""

from pathlib import Path

import numpy as np

import striate as st
from striate import data, models, nn, optim, vision
from striate.errors import DataError


def images(count: int) -> np.ndarray:
    """Grey images (N, 1, 28, 28) or (N, 1, 48, 48) from 0 to 1."""
    try:
        return data.fashion_mnist(train=True).batch(range(count))[0]
    except DataError as error:
        print(f"no Fashion-MNIST, so drawn shapes: {error}\n")
        return data.shapes(count, size=48, seed=1).batch(range(count))[0].mean(axis=1, keepdims=True)


def halved(x: np.ndarray) -> np.ndarray:
    """The mean of each 2 x 2 pixels."""
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean(axis=(3, 5))


def psnr(x: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((np.clip(x, 0, 1) - truth) ** 2)))


def main() -> None:
    st.seed(0)
    truth = images(2200)
    small = halved(truth)
    train, test = slice(200, None), slice(200)
    net = models.espcn(scale=2)
    st.Trainer(net, nn.MSELoss(), optim.Adam(lr=2e-3)).fit((small[train], truth[train]), (small[test], truth[test]), epochs=6,
                                                           batch_size=32)  # fmt: skip
    answers = {"enlarged": nn.Upsample(scale_factor=2, mode="bilinear")(small[test]), "learnt": net(small[test])}
    found = {name: psnr(answer, truth[test]) for name, answer in answers.items()}
    for name, decibels in found.items():
        print(f"{name}: {decibels:.1f} dB")
    assert found["learnt"] > found["enlarged"] + 1
    columns = {"input": small[test], **answers, "truth": truth[test]}
    shown = [(name, vision.clipped(column[i])) for i in range(4) for name, column in columns.items()]
    print(vision.save(vision.side_by_side(shown, columns=4, height=112), Path("out/super_resolution.png")))


if __name__ == "__main__":
    main()
