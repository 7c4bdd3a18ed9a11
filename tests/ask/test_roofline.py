"""The roofline: predictions are the machine's own limits, and the drawing shows them."""

import re

import pytest

from striate import nn, roofline
from striate.ask.roofline import LEFT, TOP, WIDTH, Plane, Point, Roofline


@pytest.fixture(scope="module")
def found():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 256, 10))
    return roofline(net, (3, 32, 32), batch=2, runs=3)


def test_every_layer_is_predicted_and_measured(found):
    conv, pool, linear = found.points[:3]
    assert [(p.layer, p.op) for p in (conv, pool, linear)] == [("0", "conv2d"), ("2", "max_pool2d"), ("4", "linear")]
    assert (conv.macs, pool.macs, linear.macs) == (2 * 16 * 32 * 32 * 27, 0, 2 * 40960)
    for p in found.points:
        flops, moved = 2 * p.macs / (found.gflops * 1e9), p.bytes / (found.gbytes * 1e9)
        assert p.predicted == pytest.approx(max(flops, moved))
        assert p.bound == ("compute" if flops > moved else "memory")
        assert p.measured > 0
    assert pool.bound == "memory" and pool.intensity == 0
    assert linear.intensity == 2 * linear.macs / linear.bytes < 2
    assert found.measured == sum(p.measured for p in found.points)


def test_speed_is_not_a_number_of_operations(found):
    assert found.macs == sum(p.macs for p in found.points) == 2 * (16 * 1024 * 27 + 40960)
    assert found.rate == pytest.approx(2 * found.macs / found.measured / 1e9)


def test_it_is_shown_and_plain_data(found, tmp_path):
    assert "GFLOP/s" in found.text() and repr(found).startswith("Roofline(Sequential: ")
    told = found.to_dict()
    assert told["rows"][0]["layer"] == "0" and told["rate"] == found.rate
    text = found.save(tmp_path / "roofline.svg").read_text()
    assert text.startswith("<svg") and text.count("<circle") == 2


def test_the_drawing_is_to_scale():
    points = (Point("a", "conv2d", 5 * 10**8, 10**8, 0.01, 0.02, "compute"), Point("b", "relu", 0, 10**6, 0.1, 0.2, "memory"))
    made = Roofline("net", 1, 2, 100.0, 20.0, points)
    text = str(made.drawing())
    line = re.search(r'points="([^"]*)" fill="none" stroke="#1f2733" stroke-width="2"', text)
    corners = [tuple(map(float, pair.split(","))) for pair in line[1].split()]
    plane = Plane.around([(10.0, 50.0)], 100.0, 20.0)
    assert (plane.x, plane.y) == ((1.0, 100.0), (10.0, 1000.0))
    # 20 GFLOP/s at 1 FLOP a byte, then flat from 5 on
    assert corners == [pytest.approx(plane.at(1, 20), abs=0.01), pytest.approx(plane.at(5, 100), abs=0.01),
                       pytest.approx((LEFT + WIDTH, plane.at(5, 100)[1]), abs=0.01)]
    x, y = plane.at(10, 50)
    assert re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text) == [(f"{x:.2f}".rstrip("0").rstrip("."),
                                                                        f"{y:.2f}".rstrip("0").rstrip("."))]
    assert plane.at(1, 1000) == (LEFT, TOP)
