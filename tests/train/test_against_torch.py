"""Whole trainings, step by step the same as PyTorch's: loss, clipping, schedule, optimizer, validation."""

import numpy as np
import pytest
import torch

from striate import nn, optim, random
from striate.train import Callback, Trainer

STEPS = 12


class Losses(Callback):
    def __init__(self):
        self.values = []

    def after_step(self, trainer, loss):
        self.values.append(loss)


def build(kind):
    return kind.Sequential(
        kind.Conv2d(2, 8, 3, padding=1, bias=False), kind.BatchNorm2d(8), kind.ReLU(), kind.MaxPool2d(2), kind.Flatten(),
        kind.Linear(72, 5))


def batches():
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(9, 2, 6, 6)).astype(np.float32), rng.integers(5, size=9)) for _ in range(STEPS)]


def theirs(net, optimizer, schedule, clip):
    """The losses of a training with torch."""
    losses = []
    for x, y in batches():
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name, settings, clip", [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, None),
    ("SGD", {"lr": 0.2}, 0.5),
    ("Adam", {"lr": 0.01}, 1.0),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}, None),
], ids=str)
def test_losses_are_those_of_torch(name, settings, clip):
    random.seed(0)
    net, twin, seen = build(nn), build(torch.nn), Losses()
    twin.load_state_dict({key: torch.tensor(value) for key, value in net.state_dict().items()})
    own, other = getattr(optim, name)(**settings), getattr(torch.optim, name)(twin.parameters(), **settings)
    moving = "momentum" in settings or "Adam" in name
    schedules = [kind.OneCycleLR(o, 2 * settings["lr"], total_steps=STEPS, cycle_momentum=moving)
                 for kind, o in ((optim.lr_scheduler, own), (torch.optim.lr_scheduler, other))]
    wanted = theirs(twin, other, schedules[1], clip)
    trainer = Trainer(net, nn.CrossEntropyLoss(), own, schedule=schedules[0], schedule_every="batch", clip_norm=clip,
                      callbacks=[seen], progress=False)
    trainer.fit(batches())
    np.testing.assert_allclose(seen.values, wanted, rtol=2e-3)
    x, y = batches()[0]
    loss = torch.nn.functional.cross_entropy(twin.eval()(torch.tensor(x)), torch.tensor(y)).item()
    assert trainer.evaluate([(x, y)])["loss"] == pytest.approx(loss, rel=5e-3)
