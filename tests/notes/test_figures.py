"""Pictures: every activation with its derivative, every concept, and the page that shows them."""

import re
from pathlib import Path

import numpy as np
import pytest

from striate import draw
from striate.cli.draw import drawn
from striate.draw.activations import NAMES, sampled

DOCS = Path(__file__).parent.parent.parent / "docs"
KINKS = {"ReLU": [0], "LeakyReLU": [0], "PReLU": [0], "ELU": [0], "SELU": [0], "CELU": [0], "Softsign": [0], "ReLU6": [0],
         "Hardtanh": [-1, 1], "Hardsigmoid": [-3, 3], "Hardswish": [-3, 3], "Softshrink": [-0.5, 0.5],
         "Hardshrink": [-0.5, 0.5]}  # fmt: skip
"""Where a slope jumps, or turns too fast for a difference of neighbours."""


@pytest.mark.parametrize("name", NAMES)
def test_S137_each_function_with_its_derivative(name):
    """The drawn derivative is the slope of the drawn function wherever it has one."""
    x, y, slope = sampled(name)
    smooth = np.all([np.abs(x[1:-1] - kink) > 0.05 for kink in KINKS.get(name, [])] + [x[1:-1] > -9], axis=0)
    np.testing.assert_allclose(slope[1:-1][smooth], ((y[2:] - y[:-2]) / (x[2:] - x[:-2]))[smooth], atol=2e-3)
    assert smooth.sum() > 190


def test_S137_the_notes_functions_are_drawn():
    assert {"Sigmoid", "Tanh", "ReLU", "LeakyReLU", "PReLU", "ELU", "Swish", "Hardswish"} <= set(NAMES)


CONCEPTS = {"convolution", "padding", "stride", "dilation", "receptive", "pooling", "norms", "dropout", "residual", "inception",
            "activations"}  # fmt: skip


def test_S231_every_concept_has_a_figure():
    assert set(draw.FIGURES) == CONCEPTS


def test_S231_the_gallery_shows_them_all():
    """The files beside the page are what the command writes. (Activations are computed here, so their last digits may differ.)"""
    shown = re.findall(r"\(figures/(\w+)\.svg\)", (DOCS / "gallery.md").read_text(encoding="utf-8"))
    assert set(shown) > CONCEPTS and len(shown) == len(set(shown))
    assert {path.stem for path in (DOCS / "figures").glob("*.svg")} == set(shown)
    for name in set(shown) - {"activations"}:
        kept = (DOCS / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert kept == str(drawn(name)), f"docs/figures/{name}.svg is out of date; run: striate draw {name} -o docs/figures"
