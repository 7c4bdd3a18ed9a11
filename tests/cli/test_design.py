"""`striate design`: what it prints."""

import pytest

from striate import vision
from striate.cli.main import run


@pytest.mark.parametrize("arguments, text", [
    ("padding 3 --dilation 2",
     "pad 2 before and 2 after: a window of 5 = 2 * (3 - 1) + 1 pixels and stride 1 makes 224 of 224 pixels"),
    ("stack 5", "2 layers of 3x3 see 5x5: 18 + 2 weights and biases instead of 25 + 1, 28% of the weights saved, and 1 more "
                "activation between them"),
    ("separable 3 4", "standard 108 weights; depthwise then pointwise 39, 64% saved; pointwise then depthwise 48; "
                      "multiply-accumulates for each output pixel are as many"),
    ("dilation 31", "rates 1, 2, 4, 8 of 3x3 windows see 3, 7, 15, 31 pixels after each layer; without dilation this takes 15 "
                    "layers"),
])
def test_answers(arguments, text, capsys):
    assert run(["design", *arguments.split()]) == 0
    assert capsys.readouterr().out.strip() == text


def test_kernels(capsys):
    assert run(["design", "kernel", "1,0,-1; 2,0,-2; 1,0,-1"]) == 0
    rows = capsys.readouterr().out
    assert rows.startswith("rank 1: separable, column (")
    assert run(["design", "kernel", "-1 0 1; -2 0 2; -1 0 1"]) == 0
    assert "separable" in capsys.readouterr().out
    assert run(["design", "kernel", "0 0; 0 0"]) == 0
    assert capsys.readouterr().out == "rank 0: all zeros, nothing to multiply\n"
    assert run(["design", "kernel", "sobel_x"]) == 0
    assert capsys.readouterr().out == rows


@pytest.mark.parametrize("arguments, text", [
    (["kernel", "1 2; 3"], "striate: Invalid value: every row of a kernel needs equally many numbers, got 2, 1; see striate "
                           "design kernel --help"),
    (["kernel", "sobel"], "striate: there is no kernel 'sobel'; there are " + ", ".join(vision.KERNELS)),
    (["kernel", "1 x"], "striate: Invalid value: rows of numbers look like '1 2 1; 2 4 2; 1 2 1', got '1 x'; see striate design "
                        "kernel --help"),
    (["kernel", "nan 1"], "striate: a kernel is an array (R, S) of finite numbers, got [[nan, 1.0]]"),
    (["stack", "7", "--channels", "0"], "striate: a stack has at least 1 channel and windows of 2 pixels, got channels=0, "
                                        "small=3"),
    (["padding", "3", "--size", "0"], "striate: an axis has at least 1 pixel, got size=0"),
    (["padding", "0"], "striate: a window's size must be at least 1, got 0; use a positive whole number"),
    (["dilation", "1"], "striate: dilation widens fields of 2 pixels and more with windows of 2 and more, got field=1, "
                        "kernel_size=3"),
    (["stack", "6"], "striate: layers of 3 pixels see 1 + 2 * layers pixels, which is never 6 with two layers or more; use a "
                     "size such as 7"),
])
def test_wrong_use(arguments, text, capsys):
    assert run(["design", *arguments]) == 2
    assert capsys.readouterr().err.strip() == text
