"""What a program keeps of a network: one copy of each trained array, wherever it is."""

import threading

import numpy as np
from tests.cpu.helpers import floats

import striate as st
from striate import nn, optim


def trained():
    """A network and its step, once run."""
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1, momentum=0.9))
    x, y = floats(4, 3, 5, 5), np.array([0, 1, 2, 3])
    step(x, y)
    return net, lambda: step(x, y)


def memory(variable) -> int:
    """Bytes that a variable's own array takes."""
    array = variable._data
    return array.itemsize if not any(array.strides) else array.nbytes


def test_a_step_leaves_no_second_copy():
    net, step = trained()
    weight = net[0].weight
    assert memory(weight) == 4 and weight.shape == (8, 3, 3, 3) and weight.dtype == np.float32
    first = weight.data.copy()
    assert memory(weight) == first.nbytes and first.std() > 0.05
    step()
    assert memory(weight) == 4 and not np.array_equal(weight.data, first)


def test_what_is_written_between_steps_is_used():
    net, step = trained()
    state = {name: array.copy() for name, array in net.state_dict().items()}
    losses = [step(), step()]
    net.load_state_dict(state)
    assert memory(net[0].weight) > 4
    assert step() == losses[0] and memory(net[0].weight) == 4


def test_a_forward_keeps_the_users_copy():
    net = nn.Conv2d(3, 8, 3)
    net(floats(1, 3, 5, 5))
    assert memory(net.weight) == net.weight.data.nbytes


def test_reading_while_a_thread_trains():
    """Whoever reads gets the weights of some step, never the place that they have left."""
    net, step = trained()
    running = threading.Event()
    running.set()

    def read():
        while running.is_set():
            worst.append(min(float(np.abs(p.data).max()) for p in (net[0].weight, net[4].weight)))

    worst: list[float] = []
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(100):
        step()
    running.clear()
    reader.join()
    assert worst and min(worst) > 0.05
