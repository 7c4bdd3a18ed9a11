"""The roofline: predictions are the machine's own limits, and the drawing shows them."""

import re

import numpy as np
import pytest

import striate as st
from striate import models, nn, optim, roofline
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
    assert pool.bound == "memory" and pool.flops == 2 * 16 * 256 * 4  # a comparison for each tap
    assert linear.intensity == linear.flops / linear.bytes < 2 and linear.flops == 2 * linear.macs
    assert found.measured == sum(p.measured for p in found.points)


def test_speed_is_not_a_number_of_operations(found):
    assert found.macs == sum(p.macs for p in found.points) == 2 * (16 * 1024 * 27 + 40960)
    assert found.flops == sum(p.flops for p in found.points) > 2 * found.macs
    assert found.rate == pytest.approx(found.flops / found.measured / 1e9)


def test_it_is_shown_and_plain_data(found, tmp_path):
    assert "GFLOP/s" in found.text() and repr(found).startswith("Roofline(Sequential: ")
    told = found.to_dict()
    assert told["rows"][0]["layer"] == "0" and told["rate"] == found.rate
    text = found.save(tmp_path / "roofline.svg").read_text()
    assert text.startswith("<svg") and text.count("<circle") == circles(found)


def circles(found):
    """Those of the layers and the legend's."""
    return sum(bool(p.layer) and p.flops > 0 for p in found.shown) + 2


def test_what_takes_no_time_is_not_shown():
    slow, quick = (Point(name, "relu", 0, 100, 10**6, time, time, "memory") for name, time in (("slow", 0.1), ("quick", 0.0004)))
    made = Roofline("net", 1, 2, 100.0, 20.0, (slow, quick))
    assert made.shown == [slow] and len(made.to_dict()["rows"]) == 2
    assert "quick" not in made.text() and "1 row of less than 0.5% of the time left out" in made.text()
    assert str(made.drawing()).count("<circle") == 3


def test_the_drawing_is_to_scale():
    points = (Point("a", "conv2d", 5 * 10**8, 10**9, 10**8, 0.01, 0.02, "compute"),
              Point("b", "reshape", 0, 0, 10**6, 0.1, 0.2, "memory"))
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
    assert re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text)[:1] == [(f"{x:.2f}".rstrip("0").rstrip("."),
                                                                        f"{y:.2f}".rstrip("0").rstrip("."))]
    assert plane.at(1, 1000) == (LEFT, TOP)


def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(),
                         nn.Dropout(0.5), nn.Linear(8 * 36, 5))


def test_a_training_step_is_predicted_and_measured():
    net, optimizer = network(), optim.Adam(lr=0.1)
    before = net.state_dict()
    found = roofline(net, (3, 8, 8), batch=4, runs=2, optimizer=optimizer)
    assert found.training and found.title == "Sequential, training, batch 4"
    macs = {(p.layer, p.op): p.macs for p in found.points}
    assert macs["0", "conv2d"] == macs["0", "conv2d_weight_gradient"] == 4 * 8 * 64 * 27
    assert macs["3", "conv2d_input_gradient"] == 4 * 8 * 36 * 72 and ("0", "conv2d_input_gradient") not in macs
    cost = st.cost(net, (3, 8, 8), batch=4, optimizer=optim.Adam())
    assert found.macs == cost.forward + cost.backward
    labels = {p.label for p in found.points}
    assert {"0", "0 dw", "3 dx", "1 d"} <= labels
    assert any("update" in p.op for p in found.points) and all(p.measured >= 0 for p in found.points)
    after = net.state_dict()  # nothing has been learnt from random numbers
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert optimizer._net is None and not optimizer.state and [m.training for m in net.modules()] == [True] * 8


@pytest.mark.parametrize("optimizer", [None, optim.SGD(momentum=0.9)])
def test_the_prediction_needs_no_run(optimizer, monkeypatch):
    net = network()
    ran = roofline(net, (3, 8, 8), batch=2, runs=1, optimizer=optimizer)
    monkeypatch.setattr("striate.cpu.cache.library.load", lambda *_: pytest.fail("something was compiled"))
    found = roofline(network(), (3, 8, 8), batch=2, runs=0, optimizer=optimizer)
    assert [(p.layer, p.op, p.flops, p.bytes, p.predicted) for p in found.points] == [
        (p.layer, p.op, p.flops, p.bytes, p.predicted) for p in ran.points]
    assert found.measured == 0 and found.predicted == pytest.approx(ran.predicted)
    assert found.rate == pytest.approx(found.flops / found.predicted / 1e9)
    assert "measured" not in found.text() and "ms predicted" in found.text()
    assert repr(found) == f"Roofline(Sequential: {found.predicted * 1e3:.3f} ms predicted)"
    assert str(found.drawing()).count("<circle") == circles(found)


def test_a_network_that_only_copies():
    found = roofline(nn.Sequential(nn.Flatten(), nn.Identity()), (3, 4, 4), batch=2, runs=0)
    assert found.rate == 0 and found.flops == 0 and "0.000 ms predicted, 0 GFLOP/s" in found.text()
    assert str(found.drawing()).count("<circle") == 2


def test_auxiliary_heads_and_other_losses():
    aux = models.create("googlenet_tiny")
    assert roofline(aux, models.input_shape(aux), batch=2, runs=0, optimizer=optim.SGD()).macs > 0
    up = nn.ConvTranspose2d(3, 3, 2, 2)
    found = roofline(up, (3, 4, 4), runs=1, optimizer=optim.SGD(), loss=nn.MSELoss())
    assert found.points[0].op == "conv_transpose2d" and found.training
