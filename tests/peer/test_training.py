"""Twenty steps of training beside PyTorch: groups of parameters, schedules, clipping, batches of two sizes; and a training that
is saved in the middle and goes on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from tests.cpu.helpers import both, close, floats

import striate as st
from striate import nn, optim

CLASSES, STEPS = 6, 20
TRAINED = 1e-3


def network(n):
    return n.Sequential(n.Conv2d(3, 8, 3, padding=1, bias=False), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2),
                        n.Conv2d(8, 16, 3, stride=2), n.BatchNorm2d(16), n.GELU(), n.AdaptiveAvgPool2d(1), n.Flatten(),
                        n.Linear(16, CLASSES))


def batch(step):
    """Every fifth batch is smaller, as the last of an epoch."""
    size = 5 if step % 5 == 4 else 8
    return floats(size, 3, 11, 9, seed=step), np.random.default_rng(step).integers(CLASSES, size=size)


def groups(net):
    """Weights decay, norms and biases do not; the head learns faster."""
    named = dict(net.named_parameters())
    weights = [p for name, p in named.items() if p.ndim > 1 and not name.startswith("9")]
    return [{"params": weights}, {"params": [p for p in named.values() if p.ndim == 1], "weight_decay": 0.0},
            {"params": [named["9.weight"]], "lr": 0.02}]


KINDS = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.1, "weight_decay": 1e-3}),
    ("Adam", {"lr": 3e-3, "eps": 1e-4, "weight_decay": 1e-3}),
    ("AdamW", {"lr": 3e-3, "eps": 1e-4, "weight_decay": 0.05, "betas": (0.8, 0.95)}),
]
SCHEDULES = [
    lambda kinds, o: kinds.CosineAnnealingLR(o, STEPS, eta_min=1e-4),
    lambda kinds, o: kinds.SequentialLR(o, [kinds.LinearLR(o, 0.1, total_iters=5), kinds.StepLR(o, 4, 0.5)], [5]),
    lambda kinds, o: kinds.OneCycleLR(o, 0.01, STEPS + 1),
    lambda kinds, o: kinds.ExponentialLR(o, 0.9),
]


@pytest.mark.parametrize(("kind", "schedule"), list(zip(KINDS, SCHEDULES, strict=True)), ids=lambda item: str(item)[:40])
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
def test_twenty_steps(kind, schedule):
    name, settings = kind
    ours, theirs = both(network)
    own, other = getattr(optim, name)(groups(ours), **settings), getattr(torch.optim, name)(groups(theirs), **settings)
    mine, its = schedule(optim.lr_scheduler, own), schedule(torch.optim.lr_scheduler, other)
    step = st.compile(ours, nn.CrossEntropyLoss(label_smoothing=0.1), own, clip_norm=1.5)
    for i in range(STEPS):
        x, y = batch(i)
        other.zero_grad()
        scores = theirs(torch.tensor(x, dtype=torch.float64))
        wanted = torch.nn.functional.cross_entropy(scores, torch.tensor(y), label_smoothing=0.1)
        wanted.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.5)
        other.step()
        close(step(x, y), wanted.item(), TRAINED, f"loss {i}")
        mine.step(), its.step()
    state = ours.state_dict()
    for key, exact in theirs.state_dict().items():
        close(state[key], exact, TRAINED, key, scale=0.01)


@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_a_training_that_was_saved_goes_on_with_the_same_bits(kind, tmp_path):
    """Weights, averages and the optimizer's state, through files, into objects that were made afresh."""

    def make():
        net = network(nn)
        optimizer = getattr(optim, kind[0])(groups(net), **kind[1])
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        return net, optimizer, schedule, st.compile(net, nn.CrossEntropyLoss(), optimizer)

    def train(net, optimizer, schedule, step, first, last):
        losses = []
        for i in range(first, last):
            losses.append(step(*batch(i)))
            schedule.step()
        return losses

    st.seed(0)
    straight = make()
    start = straight[0].state_dict()
    losses = train(*straight, 0, 10)
    half = make()
    half[0].load_state_dict(start)
    train(*half, 0, 4)
    st.save(half[0], tmp_path / "net")
    (tmp_path / "rest").write_bytes(pickle.dumps([half[1].state_dict(), half[2].state_dict()]))

    net, optimizer, schedule, step = make()
    st.load(tmp_path / "net", net=net).train()
    for item, state in zip((optimizer, schedule), pickle.loads((tmp_path / "rest").read_bytes()), strict=True):
        item.load_state_dict(state)
    assert train(net, optimizer, schedule, step, 4, 10) == losses[4:]
    for key, array in straight[0].state_dict().items():
        assert np.array_equal(net.state_dict()[key], array)
