"""Networks that were written for PyTorch, run by both: outputs, all gradients, running statistics, three steps of training.

Compiled float32 beside PyTorch's float64. An error counts beside the largest number of its array.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tests.cpu.helpers import GRADIENT, close, error
from tests.peer.helpers import backward, close_outputs, inputs_of, loss_of, still, tensors, twins
from tests.peer.networks import NETWORKS

import striate as st
from striate import nn, optim

pytestmark = pytest.mark.slow
OUTPUT = 1e-4
STEPS = 3
TRAINED = 1e-3
"""Largest error of parameters and losses after three steps."""


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs(name):
    """In eval mode, for one and for three items, and for another size of image."""
    network = NETWORKS[name]
    ours, theirs = twins(network)
    ours.eval(), theirs.eval()
    for batch, other in [(3, False), (1, False), (2, True)]:
        if other and not network.other:
            continue
        arrays = inputs_of(network, batch, other)
        with torch.no_grad():
            close_outputs(ours(*arrays), theirs(*tensors(arrays)), OUTPUT)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients(name):
    """In training mode: of every parameter and every input; buffers move as PyTorch's do.

    Where float32 itself falls short, as in the gradient of a bias before batch norm, which is 0, PyTorch's float32 says how far.
    """
    network = NETWORKS[name]
    ours, theirs = twins(network)
    ours.apply(still), theirs.apply(still)
    arrays, rough = inputs_of(network, 3), copy.deepcopy(theirs).float()
    wanted, seeds, exact = backward(theirs, tensors(arrays))
    y, pullback = st.vjp(ours, *arrays)
    close_outputs(y, wanted, OUTPUT)
    dx, gradients = pullback(*(seed.numpy() for seed in seeds))
    got = {f"dx {i}": d for i, d in enumerate(dx if len(arrays) > 1 else [dx]) if d is not None} | gradients
    assert got.keys() == exact.keys()
    largest = max(float(e.abs().max()) for e in exact.values())
    for key, single in backward(rough, tensors(arrays, torch.float32))[2].items():
        scale = 1e-3 * largest
        close(got[key], exact[key], max(GRADIENT, 10 * error(single, exact[key], scale)), key, scale)
    state = ours.state_dict()
    for key, buffer in theirs.named_buffers():
        if key in state:
            close(state[key], buffer, OUTPUT, key, scale=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_training(name):
    """Three steps by `st.compile`, SGD with momentum and Adam in turn, beside `torch.optim`."""
    network = NETWORKS[name]
    ours, theirs = twins(network)
    ours.apply(still), theirs.apply(still)
    kind, settings = [("SGD", {"lr": 0.01, "momentum": 0.9}), ("Adam", {"lr": 1e-3, "eps": 1e-3})][sum(map(ord, name)) % 2]
    step = st.compile(ours, loss_of(nn), getattr(optim, kind)(**settings))
    optimizer, loss = getattr(torch.optim, kind)(theirs.parameters(), **settings), loss_of(torch.nn)
    for i in range(STEPS):
        arrays, y = inputs_of(network, 3, seed=10 * i), np.float32(0.1 * i)
        optimizer.zero_grad()
        wanted = loss(theirs(*tensors(arrays)), torch.tensor(y, dtype=torch.float64))
        wanted.backward()
        optimizer.step()
        close(step(arrays[0] if len(arrays) == 1 else tuple(arrays), y), wanted.item(), TRAINED, f"loss {i}")
    state = ours.state_dict()
    for key, exact in theirs.state_dict().items():
        close(state[key], exact, TRAINED, key, scale=0.01)
