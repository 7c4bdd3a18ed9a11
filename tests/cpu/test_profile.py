"""The profiler: every call is timed on every thread, in order, with the work that the operators say they do."""

import json
import time

import numpy as np
import pytest

import striate as st
from striate import nn, optim
from striate.cpu import profile as profiling
from striate.cpu.peak import Peak, peak
from striate.cpu.profile import profile
from striate.engine import forward_program


def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))


@pytest.fixture
def found():
    x, y = np.ones((5, 3, 6, 6), np.float32), np.arange(5) % 4
    step = st.compile(network(), nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    step(x, y)
    return profile(step.program(x, y), [x, y], runs=3), step.program(x, y)


def test_every_call_is_in_one_row(found):
    timings, program = found[0].timings, found[1]
    assert [name for t in timings for name in t.kernels] == [call.kernel.name for call in program.calls]
    assert [t.start for t in timings] == sorted(t.start for t in timings)
    assert all(t.seconds >= 0 and len(t.busy) == program.threads for t in timings)
    assert all(max(t.busy) <= t.seconds * 1.5 + 1e-4 for t in timings)  # medians of both, so only about


def test_rows_name_layers_and_count_their_work(found):
    forward = next(t for t in found[0].timings if t.op == "conv2d")
    assert (forward.layer, forward.macs) == ("0", 5 * 8 * 36 * 27)
    assert forward.bytes >= 4 * (5 * 3 * 36 + 5 * 8 * 36 + 8 * 27)
    assert forward.gflops == pytest.approx(2e-9 * forward.macs / forward.seconds)
    assert {t.op for t in found[0].timings} >= {"batch_norm", "linear", "cross_entropy_gradient", "conv2d_weight_gradient"}


def test_the_table_and_the_trace(found, tmp_path):
    told = found[0].to_dict()
    assert told["runs"] == 3 and told["seconds"] == pytest.approx(sum(row["seconds"] for row in told["calls"]))
    found[0].trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(events) == len(found[0].timings) * found[1].threads
    assert {"ph", "ts", "dur", "pid", "tid", "name"} <= set(events[0])


def test_one_forward_pass():
    net = network().eval()
    x = np.ones((2, 3, 6, 6), np.float32)
    assert profile(forward_program(net, x), [x], runs=1).runs == 1
    found = profile(forward_program(net, x), [x], runs=2)
    assert [t.op for t in found.timings][:1] == ["conv2d"] and found.seconds > 0


def test_what_stands_around_the_kernels_does_not_count(monkeypatch):
    stamped = profiling._stamped
    monkeypatch.setattr(profiling, "_stamped", lambda *given: time.sleep(0.02) or stamped(*given))
    net = network().eval()
    x = np.ones((2, 3, 6, 6), np.float32)
    assert profile(forward_program(net, x), [x], runs=5).seconds < 0.01


def test_an_embedding_reads_the_rows_that_it_picks():
    net = nn.Embedding(100_000, 16).eval()
    x = np.arange(12).reshape(2, 6)
    row, = (t for t in profile(forward_program(net, x), [x], runs=1).timings if t.op == "embedding")
    assert 2 * 4 * 12 * 16 <= row.bytes <= 2 * 4 * 12 * 16 + 8 * 12


def test_the_peak_is_measured_once():
    assert peak() is peak() and peak().threads == st.get_num_threads()
    assert peak().flops_per_second > 1e9 and peak().bytes_per_second > 1e8
    assert Peak(1, 1e9, 1e9).floor(macs=10**6, moved=10**7) == 0.01
