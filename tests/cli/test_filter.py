"""`striate filter`."""

import numpy as np
import pytest
from PIL import Image

from striate import vision
from striate.cli.main import run


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = Image.fromarray(vision.scene(30, 40).transpose(1, 2, 0)).convert("RGBA")
    image.save("photo.png")
    return tmp_path


def test_a_named_kernel(photo, capsys):
    assert run(["filter", "photo.png", "--kernel", "sharpen"]) == 0
    assert capsys.readouterr().out == "photo-sharpen.png\n"
    got = np.asarray(Image.open("photo-sharpen.png"))
    wanted = vision.clipped(vision.filter("photo.png", "sharpen"))
    np.testing.assert_array_equal(got, wanted.transpose(1, 2, 0))


def test_rows_of_numbers_beside_the_input(photo):
    assert run(["filter", "photo.png", "--kernel", "1 0 -1; 2 0 -2; 1,0,-1", "--grey", "--beside", "-o", "edges.png"]) == 0
    sheet = np.asarray(Image.open("edges.png"))
    edges = vision.magnitude(vision.filter("photo.png", "sobel_x", grey=True))[0]
    np.testing.assert_allclose(sheet[8:38, 56:96, 0].astype(int), edges, atol=1)


WRONG = {
    "there is no kernel 'sharp'; there are " + ", ".join(vision.KERNELS): ("photo.png", "--kernel", "sharp"),
    "Invalid value: every row of a kernel needs equally many numbers, got 2, 1; see striate filter --help":
        ("photo.png", "--kernel", "1 2; 3"),
    "Missing option '--kernel'; see striate filter --help": ("photo.png",),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_wrong_use(photo, capsys, text):
    assert run(["filter", *WRONG[text]]) == 2
    assert capsys.readouterr().err == f"striate: {text}\n"
