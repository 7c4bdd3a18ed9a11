"""Networks as diagrams: boxes for what is computed, arrows for what is read, nothing on top of each other."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from striate import draw, models, nn
from striate.ask.tracing import traced
from striate.cli.main import run
from striate.draw.network import HEIGHT, STEP, arrange, boxes_of, with_lanes
from striate.draw.svg import BLUE
from striate.errors import ShapeError

SVG = "{http://www.w3.org/2000/svg}"


def words(drawing):
    return [e.text for e in ElementTree.fromstring(str(drawing)).findall(f"{SVG}text")]


def rows_of(net, shape):
    rows = with_lanes(boxes_of(traced(net, shape)))
    arrange(rows)
    return rows


def test_elementwise_operators_stand_with_the_layer_before():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((1, 2)), nn.Flatten(),
                        nn.Linear(64, 5), nn.Sigmoid())  # fmt: skip
    said = words(draw.diagram(net, (3, 8, 8)))
    assert said == ["Sequential", "input", "3 x 8 x 8", "conv 3 x 3 / 2, batch norm, relu", "8 x 4 x 4",
                    "max 1 x 2 / 1 x 2, flatten", "64", "linear, sigmoid", "5"]  # fmt: skip


class Skip(nn.Module):
    """relu(x) is read twice: by the convolution, and two rows further down by the sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x):
        y = self.first(x).relu()
        return (y + self.second(y)) * y


def test_a_shortcut_has_a_lane():
    rows = rows_of(Skip(), (2, 4, 4))
    assert [[box.words for box in row] for row in rows[:2]] == [["input"], ["conv 1 x 1, relu"]]
    assert [sorted(box.words for box in row) for row in rows[2:]] == [["", "conv 1 x 1"], ["", "+"], ["x"]]
    assert str(draw.diagram(Skip(), (2, 4, 4))).count(f'stroke="{BLUE}"') == 6  # into it, two lanes, between them, out of each


@pytest.mark.parametrize("name", ["resnet_tiny", "googlenet_tiny", "mobilenet_v2_tiny", "segmenter_transposed", "captcha"])
def test_nothing_lies_on_anything_else(name):
    net = models.create(name)
    rows = rows_of(net, models.input_shape(net))
    for row in rows:
        for a, b in itertools.pairwise(row):
            assert a.x + a.width / 2 < b.x - b.width / 2
    for box in (box for row in rows for box in row):
        assert all(other.row == box.row + 1 and box in other.before for other in box.after)
        assert box.row == 0 or len(box.before) >= 1
    drawing = draw.diagram(net, models.input_shape(net))
    root = ElementTree.fromstring(str(drawing))
    corners = [(float(e.get("x")), float(e.get("x")) + float(e.get("width"))) for e in root.findall(f"{SVG}rect") if e.get("x")]
    assert min(a for a, _ in corners) >= 19 and max(b for _, b in corners) <= drawing.width - 19
    assert drawing.height > STEP * (len(rows) - 1) + HEIGHT


def test_residual_and_inception_from_the_graph():
    """Each sum of a ResNet joins two ways, each join of a GoogLeNet four."""
    for name, kind, ways in (("resnet_tiny", "+", 2), ("googlenet_tiny", "join channels", 4)):
        net = models.create(name)
        found = [box for box in boxes_of(traced(net, models.input_shape(net))) if box.words.startswith(kind)]
        assert found and all(len(box.before) == ways for box in found)


def test_what_does_not_fit():
    with pytest.raises(ShapeError) as error:
        draw.diagram(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 8, 8))
    message = str(error.value)
    assert message.startswith("conv2d '0' (test_network.py:") and message.endswith(
        "): x has 1 channels but the weight (4, 3, 3, 3) with groups=1 reads 3 * 1 = 3; use in_channels=1")


def test_the_command_draws_models(tmp_path, capsys):
    assert run(["draw", "lenet", "pooling", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "lenet.svg"), str(tmp_path / "pooling.svg")]
    assert "conv 5 x 5, tanh" in (tmp_path / "lenet.svg").read_text()
