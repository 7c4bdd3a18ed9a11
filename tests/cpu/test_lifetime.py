"""Long use: ever new sizes and settings, several inputs, copies and pickles of what was compiled, many threads."""

import copy
import gc
import multiprocessing
import pickle
import threading
import weakref

import numpy as np
import pytest
from tests.cpu.helpers import close, floats

import striate as st
from striate import engine, nn, optim
from striate.errors import ShapeError


def small():
    st.seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, 5))


def known(net):
    (programs,) = net._programs.values()
    return programs.known


@pytest.fixture
def few(monkeypatch):
    """Three programs at most, so that a test need not make many."""
    monkeypatch.setattr(engine, "FEW", 2)
    monkeypatch.setattr(engine, "MOST", 3)


def test_ever_new_sizes(few):
    net = small().eval()
    inputs = [floats(1, 3, 4, 3 + i % 6, seed=i) for i in range(14)]
    wanted = [copy.deepcopy(net)(x) for x in inputs]
    alive = []
    for x, y in zip(inputs, wanted, strict=True):
        assert np.array_equal(net(x), y)
        assert len(known(net)) <= 3
        alive += [weakref.ref(program) for program, _ in known(net).values()]
    gc.collect()
    assert len({id(ref()) for ref in alive if ref() is not None}) == 3


def test_what_was_used_last_is_kept(few):
    net, sizes = small().eval(), [3, 4, 5, 3, 6]  # 3 was used after 4
    for size in sizes:
        net(floats(1, 3, size, size))
    assert [shapes[0][0][-1] for shapes, _, _ in known(net)] == [5, 3, 6]


def test_large_programs_go_first(monkeypatch):
    net = small().eval()
    monkeypatch.setattr(engine, "BYTES", 0)
    for size in range(3, 9):
        net(floats(1, 3, size, size))
    assert len(known(net)) == engine.FEW


def test_training_goes_on_when_programs_are_forgotten(few):
    steps = []
    for limit in (3, 50):
        engine.MOST = limit
        net = small()
        step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1, momentum=0.9))
        losses = [step(floats(4, 3, 4, 3 + i % 5, seed=i), np.arange(4)) for i in range(10)]
        steps.append((losses, net.state_dict()))
    (first, state), (second, other) = steps
    assert first == second and all(np.array_equal(state[name], other[name]) for name in state)


def test_settings_that_change_at_every_call(few):
    class Scaled(nn.Module):
        def forward(self, x):
            return x * self.factor

    net = Scaled()
    for i in range(10):
        net.factor = float(i)
        assert net(np.float32([2]))[0] == 2 * i
    (programs,) = net._programs.values()
    assert len(programs.known) <= 3 and len(programs.modes) <= 4


def test_threads_with_sizes_of_their_own(few):
    net = small().eval()
    inputs = [floats(1 + i % 2, 3, 4, 3 + i, seed=i) for i in range(6)]
    wanted, wrong = [copy.deepcopy(net)(x) for x in inputs], []

    def work(i):
        for turn in range(5):
            j = (i + turn) % 6
            if not np.array_equal(net(inputs[j]), wanted[j]):
                wrong.append((i, turn))

    crew = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(60)
    assert not any(thread.is_alive() for thread in crew) and not wrong


def work(i):
    return small().eval()(floats(2, 3, 5, 5 + i))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system has no fork")
def test_workers_of_a_pool():
    """Processes that are forked from one that has threads and programs."""
    wanted = [work(i) for i in range(3)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for got, exact in zip(pool.map_async(work, range(3)).get(60), wanted, strict=True):
            assert np.array_equal(got, exact)


def test_lists_of_several_lengths():
    with pytest.raises(ShapeError) as caught:
        small()([[1.0, 2.0], [3.0]])
    assert str(caught.value) == "x is no array: setting an array element with a sequence; give all its parts one shape"


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, a, b):
        return self.left(a) * self.right(b)


def test_several_inputs_in_training():
    st.seed(0)
    net, loss = Two(), nn.MSELoss()
    a, b, y = floats(5, 3), floats(5, 2), floats(5, 4)
    value, gradients = st.value_and_grad(net, loss)((a, b), y)
    out, pullback = st.vjp(net, a, b)
    close(value, ((out - y) ** 2).mean(), 1e-6)
    for name, wanted in pullback(2 * (out - y) / y.size)[1].items():
        close(gradients[name], wanted, 1e-5, name)
    step = st.compile(net, loss, optim.SGD(lr=0.1))
    before = net.state_dict()
    assert step((a, b), y) == value
    for name, array in net.state_dict().items():
        close(array, before[name] - np.float32(0.1) * gradients[name], 1e-6, name)
    assert step.memory((a, b), y).total > 0 and len(step.graph((a, b), y).inputs) == 3


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))], ids=["copy", "pickle"])
def test_a_copied_step_goes_on_alone(duplicate):
    st.seed(0)
    step, x, y = st.compile(small(), nn.CrossEntropyLoss(), optim.Adam(lr=0.01), clip_norm=1.0), floats(4, 3, 5, 5), np.arange(4)
    step(x, y), step(x, y)
    other = duplicate(step)
    assert other.clip_norm == 1.0 and other.optimizer.steps == 2 and other.net is not step.net
    assert other(x, y) == step(x, y) and other(x, y) == step(x, y)
    for name, array in step.net.state_dict().items():
        assert np.array_equal(array, other.net.state_dict()[name])
