"""Threads: how many, from where, and that they neither hang nor disturb one another."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from tests.cpu.helpers import floats
from tests.kernels.harness import compiled

import striate as st
from striate import nn, optim
from striate.cpu import threads
from striate.cpu.cache import library
from striate.cpu.kernels.base import Kernel
from striate.errors import ArgumentError
from striate.kernel.compile import object_code
from striate.kernel.language import Builder
from striate.kernel.machine import host, named
from striate.kernel.sharing import SHARES


@pytest.fixture(autouse=True)
def as_before():
    before = threads._size
    yield
    threads._size = before


def small():
    st.seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5))


@pytest.mark.parametrize("n", [0, -1, 2.0, "2", None, True, 5000])
def test_numbers_that_are_refused(n):
    with pytest.raises(ArgumentError) as caught:
        st.set_num_threads(n)
    assert str(caught.value) == f"the number of threads must be a whole number from 1 to 1024, got {n!r}"


def test_numbers_that_are_taken(monkeypatch):
    st.set_num_threads(np.int64(3))
    assert st.get_num_threads() == 3 and type(st.get_num_threads()) is int
    threads._size = 0
    monkeypatch.setenv("STRIATE_NUM_THREADS", "5")
    assert st.get_num_threads() == 5
    monkeypatch.setenv("STRIATE_NUM_THREADS", "")
    assert st.get_num_threads() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("wish", ["two", "0", "-1", "1.5"])
def test_a_wish_that_is_no_number(monkeypatch, wish):
    threads._size = 0
    monkeypatch.setenv("STRIATE_NUM_THREADS", wish)
    with pytest.raises(ArgumentError) as caught:
        st.get_num_threads()
    shown = repr(int(wish)) if wish.isdigit() else repr(wish)
    assert str(caught.value) == f"STRIATE_NUM_THREADS must be a whole number from 1 to 1024, got {shown}"


def test_results_do_not_depend_on_the_threads():
    net, x = small(), floats(4, 3, 6, 6)
    results = []
    for n in (1, 2, 3, 7):
        st.set_num_threads(n)
        results.append(net(x))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_more_threads_than_cores_go_on():
    st.set_num_threads(8 * (os.cpu_count() or 1))
    net, x = small(), floats(2, 3, 6, 6)
    y = net(x)
    start = time.monotonic()
    for _ in range(20):
        assert np.array_equal(net(x), y)
    assert time.monotonic() - start < 20


@dataclass(frozen=True)
class Counted(Kernel):
    """done[i] += 1 and who[i] = the thread, for each task i of two shares; task i takes so many rounds."""

    arguments = ("tasks", "rounds", "done", "who")

    def build(self, k: Builder) -> None:
        tasks = k.int("tasks")
        done, who = k.tensor("done", (2, tasks)), k.tensor("who", (2, tasks))
        for share in range(2):
            for i in k.share(tasks):
                total = k.cell(0.0)
                for _ in k.range(k.int("rounds")):
                    total.fma(done[share, i], k.constant(0.5))
                done.store(done[share, i] + 1.0 + total.value * 0.0, share, i)
                who.store(k.from_int(k.thread, "f32"), share, i)


def called(calls: int, team: threads.Team, table: np.ndarray) -> None:
    """Many calls of the kernel in one job."""
    kernels = np.array(library.load([Counted()], host()) * calls, np.uint64)
    tables = np.full(calls, table.ctypes.data, np.uint64)
    team.execute(kernels.ctypes.data, tables.ctypes.data, calls)


@pytest.mark.parametrize("size", [1, 2, 3, 11])
@pytest.mark.parametrize(("tasks", "rounds"), [(1, 0), (5, 100), (200, 10), (1000, 0)])
def test_every_task_is_done_once(size, tasks, rounds):
    done, who = np.zeros((2, tasks), np.float32), np.full((2, tasks), -1, np.float32)
    table, team = np.array([tasks, rounds, done.ctypes.data, who.ctypes.data], np.uint64), threads.team(size)
    for job in range(1, 4):
        called(7, team, table)
        np.testing.assert_array_equal(done, 7 * job)
    assert np.isin(who, range(size)).all()
    assert not team.counters.reshape(2, size, SHARES)[team.state[threads.ROUND] % 2].any()


def test_who_is_first_does_what_the_others_leave():
    """Two threads, one after the other: nothing is left for the second."""
    tasks, taken = 40, np.zeros((2, SHARES), np.int64)
    done, who = np.zeros((2, tasks), np.float32), np.full((2, tasks), -1, np.float32)
    table = np.array([tasks, 0, done.ctypes.data, who.ctypes.data], np.uint64)
    taken[1, 0] = 5  # of its 10 stretches (of 2 tasks each) thread 1 has done half of the first share
    function = compiled(Counted(), host())
    for thread in range(2):
        function(table.ctypes.data, thread, 2, taken.ctypes.data)
    np.testing.assert_array_equal(done, [[1] * 20 + [0] * 10 + [1] * 10, [1] * 40])
    assert not who[done == 1].any()


def test_workers_that_sleep_are_woken():
    """Long enough apart for every worker to sleep, and close enough together for some to be about to."""
    st.set_num_threads(3)
    net, x = small(), floats(2, 3, 6, 6)
    y = net(x)
    for i in range(300):
        time.sleep((0.001, 0.0001, 0.00005, 0)[i % 4])
        assert np.array_equal(net(x), y)


def test_launches_from_several_threads_at_once():
    st.set_num_threads(2)
    net, loss = small(), nn.CrossEntropyLoss()
    inputs = [floats(1 + i % 3, 3, 6, 6, seed=i) for i in range(6)]
    wanted = [net(x) for x in inputs]
    gradients = st.value_and_grad(net, loss)
    expected = gradients(inputs[2], np.zeros(3, int))
    wrong = []

    def work(i):
        for turn in range(20):
            if turn == 10 and i == 0:
                st.set_num_threads(3)  # programs that were made for two threads go on with two
            if not np.array_equal(net(inputs[i]), wanted[i]):
                wrong.append(("y", i, turn))
            value, found = gradients(inputs[2], np.zeros(3, int))
            if value != expected[0] or not all(np.array_equal(found[n], expected[1][n]) for n in found):
                wrong.append(("gradient", i, turn))

    crew = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(60)
    assert not any(thread.is_alive() for thread in crew) and not wrong


def test_first_calls_from_several_threads_compile_once():
    net, x, results = small(), floats(2, 3, 6, 6), []
    crew = [threading.Thread(target=lambda: results.append(net(x))) for _ in range(4)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(60)
    assert len(results) == 4 and len(net._programs["forward"].known) == 1
    assert all(np.array_equal(results[0], y) for y in results)


def test_a_pullback_keeps_its_threads():
    st.set_num_threads(2)
    net, x = small(), floats(2, 3, 6, 6)
    _, pullback = st.vjp(net, x)
    dx, _ = pullback(np.ones((2, 5)))
    st.set_num_threads(4)
    assert np.array_equal(pullback(np.ones((2, 5)))[0], dx)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    st.set_num_threads(2)
    net, x = small(), floats(2, 3, 6, 6)
    y = net(x)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
            same = np.array_equal(net(x), y) and np.isfinite(step(x, np.array([0, 1])))
            os.write(writer, b"1" if same else b"0")
        finally:
            os._exit(0)
    for _ in range(600):
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b"1"
    assert np.array_equal(net(x), y)


INTERRUPTED = """
import _thread, signal, threading, time, numpy as np, striate as st
from striate import nn
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where the tests run
st.set_num_threads(2)
net = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
x = np.ones((8, 64), np.float32)
y, caught, stop = net(x), 0, time.monotonic() + 1.5
def interrupt():
    while time.monotonic() < stop:
        time.sleep(0.0007)
        _thread.interrupt_main()
threading.Thread(target=interrupt).start()
while time.monotonic() < stop:
    try:
        while time.monotonic() < stop:
            net(x)
    except KeyboardInterrupt:
        caught += 1
while True:
    try:
        time.sleep(0.1)
        break
    except KeyboardInterrupt:
        pass
print(caught > 2, np.array_equal(net(x), y))
"""


def test_interrupts_from_the_keyboard_leave_the_threads_in_step():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "True"], done.stderr[-2000:]


@pytest.mark.parametrize("form", ["avx512", "avx2", "sse2", "neon"])
def test_the_runtime_compiles_for_every_machine(form):
    assert len(object_code(threads.runtime_source(named(form)), named(form))) > 500


def test_the_callers_floating_point_mode_stays():
    """Denormal numbers are flushed inside of programs only."""
    tiny = np.full((1, 4), 1e-40, np.float32)
    assert np.all(nn.ReLU()(tiny) * 1.0 >= 0)
    assert np.all(tiny * np.float32(0.5) > 0)
