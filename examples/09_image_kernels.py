"""What convolutions do to a picture: classic kernels, three case studies, and what a trained network sees.

    python examples/09_image_kernels.py                 a drawn scene
    python examples/09_image_kernels.py photo.jpg       your own picture

Writes PNG files into out/.
"""

import argparse
from pathlib import Path

import numpy as np

import striate as st
from striate import data, models, nn, optim, vision


def gallery(photo: np.ndarray) -> object:
    """The picture through every named kernel."""
    filtered = [(name, vision.shown(vision.filter(photo, kernel), kernel)) for name, kernel in vision.KERNELS.items()]
    return vision.side_by_side([("input", vision.clipped(vision.picture(photo))), *filtered], columns=5)


def cases(photo: np.ndarray) -> object:
    """Where white meets black; the outline of what is on the picture; the mean of 5 x 5 pixels."""
    x, edge = vision.black_white_edge()
    assert edge.shape == (1, 50, 48) and np.flatnonzero(edge[0, 0]).tolist() == [28, 29]
    shown = [
        ("black and white", vision.clipped(x)), ("[1, 0, -1]", vision.clipped(edge)),
        ("input", vision.clipped(vision.picture(photo))), ("contour", vision.magnitude(vision.contour(photo))),
        ("mean of 5 x 5", vision.clipped(vision.mean_blur(photo))),
    ]  # fmt: skip
    return vision.side_by_side(shown, height=120)


def trained() -> tuple[nn.Module, np.ndarray]:
    """A small network that tells discs, squares and triangles on drawn images from the ground, and an image."""
    train, test = data.shapes(600, size=48, seed=1), data.shapes(1, size=48, seed=2)
    net = models.segmenter_dilated(width=8)
    st.Trainer(net, nn.CrossEntropyLoss(), optim.Adam(lr=4e-3)).fit(train, epochs=4, batch_size=16)
    return net, test[0][0]


def main() -> None:
    options = argparse.ArgumentParser(description="Image kernels and feature maps as PNG files.")
    options.add_argument("photo", nargs="?", type=Path, help="a picture; a drawn scene unless given")
    options.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    given = options.parse_args()
    st.seed(0)
    photo = vision.scene() if given.photo is None else (vision.picture(given.photo) * 255).astype(np.uint8)
    net, image = trained()
    pictures = {"kernels": gallery(photo), "cases": cases(photo), "first_layer": vision.show_kernels(net),
                "feature_maps": vision.show_maps(net, image)}
    for name, picture in pictures.items():
        print(vision.save(picture, given.out / f"{name}.png"))


if __name__ == "__main__":
    main()
