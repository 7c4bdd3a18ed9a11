"""Figures: well-formed SVG that says what the layers do."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from striate import draw, nn
from striate.cli.main import run
from striate.draw.activations import NAMES, sampled
from striate.draw.norms import KINDS, C, N
from striate.draw.plot import runs_inside
from striate.draw.svg import BLUE, MINT, ORANGE, PEACH, RED, SKY
from striate.errors import ArgumentError

SVG = "{http://www.w3.org/2000/svg}"


def elements(drawing: draw.Drawing, tag: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(str(drawing)).findall(f"{SVG}{tag}")


def words(drawing: draw.Drawing) -> list[str]:
    return [e.text for e in elements(drawing, "text")]


@pytest.mark.parametrize("name", draw.FIGURES)
def test_every_figure_stays_on_its_paper(name):
    drawing = draw.figure(name)
    root = ElementTree.fromstring(str(drawing))
    assert root.find(f"{SVG}title").text == drawing.title and drawing._repr_svg_() == str(drawing)
    points = [tuple(map(float, p.split(","))) for e in root.iter() for p in e.get("points", "").split()]
    points += [(float(e.get("x")), float(e.get("y"))) for e in root.iter(f"{SVG}text")]
    boxes = [e for e in root.iter(f"{SVG}rect") if e.get("x")]
    points += [(float(e.get("x")) + float(e.get("width")), float(e.get("y")) + float(e.get("height"))) for e in boxes]
    assert len(points) > 10
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points)


def test_words_and_attributes_are_escaped():
    drawing = draw.Drawing(10, 10, "a < b & c")
    drawing.text(1, 1, "<b>", fill='"')
    assert words(drawing) == ["<b>"] and elements(drawing, "text")[0].get("fill") == '"'


def test_activations_are_all_that_there_are():
    shown = [name for name in NAMES if hasattr(nn, name)]
    assert [w for w in words(draw.figure("activations")) if w in NAMES] == shown and len(shown) >= 3


def test_a_derivative_is_the_slope():
    for name in ("Sigmoid", "Tanh"):
        x, y, slope = sampled(name)
        np.testing.assert_allclose(slope[1:-1], (y[2:] - y[:-2]) / (x[2:] - x[:-2]), atol=1e-3)


def test_what_is_normalised_together():
    """Shares of 4 images x 6 channels: one channel of all, one image of all, one of both, half of the channels."""
    counts = {name: sum(together(n, c) for n in range(N) for c in range(C))
              for name, (_, together) in KINDS.items()}
    assert counts == {"batch norm": 4, "layer norm": 6, "instance norm": 1, "group norm": 3}


def test_the_walk_shows_the_numbers_of_the_layer():
    said = words(draw.figure("convolution"))
    assert [w for w in said if w.startswith("= ")] == ["= 4", "= 3", "= 4", "= 4"]  # of [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    colours = [e.get("fill") for e in elements(draw.figure("convolution"), "rect")]
    assert colours.count(PEACH) + colours.count(SKY) == 4 * 9 and colours.count(PEACH) == 4 * 5 and colours.count(MINT) == 4


@pytest.mark.parametrize("name, captions", [
    ("padding", ["padding 0: 5 to 3", "padding 1: 5 to 5", "padding 2: 5 to 7"]),
    ("stride", ["output 0: 5 to 3", "output 1: 5 to 3", "output 2: 5 to 3"]),
    ("dilation", ["dilation 1: 7 to 5", "dilation 2: 7 to 3", "dilation 3: 7 to 1"]),
])  # fmt: skip
def test_captions_tell_the_sizes(name, captions):
    drawing = draw.figure(name)
    assert [w for w in words(drawing) if ": " in w and w != drawing.title] == captions
    assert [e.get("fill") for e in elements(drawing, "rect")].count(SKY) == 3 * 9


def test_pooling_says_max_and_mean():
    numbers = [w for w in words(draw.figure("pooling")) if w.replace(".", "").isdigit()]
    assert numbers[16:] == ["7", "6", "4", "8", "4", "3", "2", "4"]


def test_two_layers_see_five_pixels():
    seen = [e for e in elements(draw.figure("receptive"), "rect") if e.get("stroke") == ORANGE]
    assert len(seen) == 1 + 3 + 5


def test_charts():
    drawing = draw.chart("two", [0, 1, 2], {"a": [0, 0.5, 1], "b": [1, 1, 3]}, axis="degrees")
    lines = [e for e in elements(drawing, "polyline") if e.get("stroke") in (BLUE, ORANGE) and e.get("stroke-width") == "1.8"]
    assert [len(e.get("points").split()) for e in lines] == [3, 2]  # what leaves the paper is cut off
    assert {"two", "a", "b", "degrees", "0", "0.25", "0.5", "0.75", "1"} <= set(words(drawing))
    assert runs_inside(np.arange(2.0), np.array([9.0, 9.0]), 0, 1) == []


def test_a_logarithmic_axis_has_ticks_and_few_points_have_dots():
    drawing = draw.chart("rates", [-2, -1, 0], {"a": [0, 1, float("nan")]}, ticks={-2: "0.01", 0: "1"})
    assert {"0.01", "1"} <= set(words(drawing)) and "-2" not in words(drawing)
    assert len(elements(drawing, "circle")) == 2  # what is not a number has none
    assert not elements(draw.chart("many", range(20), {"a": [0.5] * 20}), "circle")


WRONG = {
    "there is no figure 'net'; there are " + ", ".join(draw.FIGURES): lambda: draw.figure("net"),
    "a chart shows 1 to 4 curves, got 0; draw several charts": lambda: draw.chart("", [0, 1], {}),
    "a curve needs two different x or more, got 2 x from 3 to 3; measure at another place":
        lambda: draw.chart("", [3, 3], {"a": [0, 1]}),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message


def test_the_command(tmp_path, capsys):
    assert run(["draw", "pooling", "stride", "-o", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "new" / f"{n}.svg") for n in ("pooling", "stride")]
    assert (tmp_path / "new" / "stride.svg").read_text() == str(draw.figure("stride"))
    assert run(["draw", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("striate: there is no figure 'nothing'; there are activations")
    assert len(str(draw.figure("dropout")).split(RED)) == 1 + 2 * 6
