"""The memory plan: buffers that live together never overlap, and nothing is read before it is written."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hy
from tests.cpu.helpers import floats
from tests.cpu.random_networks import RandomNetwork

import striate as st
from striate import nn, optim
from striate.cpu.plan import ALIGNMENT, Buffer, place

spans = hy.lists(hy.tuples(hy.integers(1, 500), hy.integers(0, 20), hy.integers(0, 8)), max_size=30)


def check_plan(buffers, total):
    for a, b in itertools.combinations(buffers, 2):
        if a.lives_with(b):
            assert a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset, (a, b)
    assert all(b.offset % ALIGNMENT == 0 and b.offset + b.bytes <= total for b in buffers)


@given(spans)
def test_buffers_that_live_together_never_overlap(items):
    buffers = []
    for i, (size, first, length) in enumerate(items):
        buffer = Buffer(f"b{i}", size)
        buffer.use(first), buffer.use(first + length)
        buffers.append(buffer)
    total = place(buffers)
    check_plan(buffers, total)
    lives = [sum(-(-b.bytes // ALIGNMENT) * ALIGNMENT for b in buffers if b.first <= t <= b.last) for t in range(30)]
    assert max(lives) <= total <= sum(-(-b.bytes // ALIGNMENT) * ALIGNMENT for b in buffers)


def test_a_chain_needs_two_buffers():
    buffers = [Buffer(f"b{i}", 640) for i in range(10)]
    for i, buffer in enumerate(buffers):
        buffer.use(i), buffer.use(i + 1)
    assert place(buffers) == 2 * 640


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
                         nn.Conv2d(8, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(32, 5))


NAMES = ("forward", "vjp", "step", "random 3", "random 9", "random 19")


@pytest.fixture(scope="module")
def programs():
    """Name -> (program, inputs)."""
    st.seed(0)
    net, x, y = convolutional(), floats(3, 3, 10, 10), np.array([0, 4, 2])
    net(x)
    st.vjp(net, x)
    step = st.compile(net, nn.CrossEntropyLoss(), optim.Adam(), clip_norm=1.0)
    step(x, y)
    found = {"forward": (only(net._programs["forward"]), [x]), "vjp": (only(net._programs["vjp"]), [x, floats(3, 5)]),
             "step": (only(step.programs), [x, y])}
    for name in NAMES[3:]:
        net, x = RandomNetwork(int(name.split()[1]), (2, 3, 6, 6), 12), floats(2, 3, 6, 6)
        st.vjp(net, x)
        program = only(net._programs["vjp"])
        found[name] = program, [x, *(floats(*v.shape) for v in program.graph.inputs[1:])]
    return found


def only(programs):
    (program, _), = programs.known.values()
    return program


@pytest.mark.parametrize("name", NAMES)
def test_programs(programs, name):
    program, _ = programs[name]
    check_plan([b for b in program.buffers if b.region == "arena"], program.arena_bytes)
    for region in ("store", "gradient", "prepared", "constant"):
        inside = sorted({(b.offset, b.bytes) for b in program.buffers if b.region == region and "[" not in b.name})
        assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(inside)), region
    for call in program.prologue:
        assert {b.region for b in call.arguments.values() if isinstance(b, Buffer)} <= {"store", "constant", "prepared"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "step"])
def test_nothing_is_read_before_it_is_written(programs, name):
    """What a run finds in its arena makes no difference: not even NaN."""
    program, inputs = programs[name]
    results = []
    for filler in (0.0, np.nan, 1e30):
        space = program.workspace()
        space.arena.view(np.float32)[:] = filler
        program.begin(space, inputs, (0, 1))
        program.execute(space)
        results.append([program.result(space, i) for i in range(len(program.results))])
        program.release(space)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def test_a_step_is_the_same_in_any_arena():
    losses = []
    for filler in (0.0, np.nan):
        st.seed(0)
        net = convolutional()
        step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1, momentum=0.9), clip_norm=0.5)
        x, y = floats(3, 3, 10, 10), np.array([0, 4, 2])
        losses.append([])
        for _ in range(3):
            losses[-1].append(step(x, y))
            for program, _ in step.programs.known.values():
                for space in program.idle:
                    space.arena.view(np.float32)[:] = filler
    assert losses[0] == losses[1]
