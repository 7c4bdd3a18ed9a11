"""Schedules against torch.optim.lr_scheduler."""

import pytest
import torch

from striate import optim
from striate.errors import ArgumentError
from striate.optim import lr_scheduler as own
from striate.optim.lr_scheduler import StepLR

other = torch.optim.lr_scheduler

SIMPLE = [
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 3}),
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("StepLR", {"step_size": 1}),
    ("MultiStepLR", {"milestones": [2, 5, 5], "gamma": 0.3}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("CosineAnnealingLR", {"T_max": 4, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2, "eta_min": 0.01}),
    ("ExponentialLR", {"gamma": 0.7}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 9, "power": 2.0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 6}),
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: 1 / (1 + t)]}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 12}),
    ("OneCycleLR", {"max_lr": [0.3, 1.0], "epochs": 4, "steps_per_epoch": 3, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 12, "three_phase": True, "div_factor": 10, "final_div_factor": 100}),
]


def pair(kind="SGD", **settings):
    """The same optimizer here and in torch, with two groups."""
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    theirs = getattr(torch.optim, kind)([{"params": weights[0]}, {"params": weights[1], "lr": 0.05}], lr=0.2, **settings)
    ours = getattr(optim, kind)(lr=0.2, **settings)
    ours.param_groups.append({**ours.param_groups[0], "lr": 0.05})
    return ours, theirs


def follow(ours, theirs, mine, its, steps=11):
    """lr and momentum stay equal for some steps."""
    for _ in range(steps):
        for a, b in zip(ours.param_groups, theirs.param_groups):
            for name in {"lr", "momentum", "betas"} & set(a):
                assert a[name] == pytest.approx(b[name], rel=1e-9), (name, mine.last_epoch)
        theirs.step()
        mine.step()
        its.step()
    assert mine.get_last_lr() == pytest.approx(its.get_last_lr())


@pytest.mark.parametrize("name, settings", SIMPLE, ids=str)
def test_rates_are_those_of_torch(name, settings):
    ours, theirs = pair(momentum=0.9)
    follow(ours, theirs, getattr(own, name)(ours, **settings), getattr(other, name)(theirs, **settings))


def test_one_cycle_moves_beta1():
    ours, theirs = pair("Adam")
    follow(ours, theirs, own.OneCycleLR(ours, 0.3, 12), other.OneCycleLR(theirs, 0.3, 12))


def test_schedules_in_sequence():
    ours, theirs = pair()
    def three(kinds, optimizer):
        parts = [kinds.LinearLR(optimizer, 0.1, total_iters=3), kinds.StepLR(optimizer, 2), kinds.CosineAnnealingLR(optimizer, 5)]
        return kinds.SequentialLR(optimizer, parts, [3, 7])

    follow(ours, theirs, three(own, ours), three(other, theirs))


def test_state_goes_on_where_it_stopped():
    ours, _ = pair()
    schedule = own.CosineAnnealingLR(ours, 10)
    for _ in range(4):
        schedule.step()
    again, _ = pair()
    resumed = own.CosineAnnealingLR(again, 10)
    resumed.load_state_dict(schedule.state_dict())
    assert again.param_groups[0]["lr"] == ours.param_groups[0]["lr"]
    assert resumed.last_epoch == 4


def test_one_cycle_with_a_first_phase_of_no_length():
    ours, _ = pair()
    schedule = own.OneCycleLR(ours, 0.3, total_steps=10, pct_start=0.1)
    assert schedule.get_last_lr() == [0.3, 0.3]


WRONG = [
    (lambda: own.StepLR(0.1, 3), "a schedule needs an optimizer first, got float; write StepLR(optimizer, ...)"),
    (lambda: own.CosineAnnealingWarmRestarts(optim.SGD(), 0),
     "T_0 and T_mult must be whole numbers from 1 up, got T_0=0 and T_mult=1"),
    (lambda: own.OneCycleLR(optim.SGD(), 0.1), "OneCycleLR needs total_steps, or epochs and steps_per_epoch"),
    (lambda: own.OneCycleLR(optim.SGD(), 0.1, 5, anneal_strategy="exp"), "anneal_strategy is 'cos' or 'linear', got 'exp'"),
    (lambda: own.LambdaLR(optim.SGD(), [abs, abs]), "LambdaLR got 2 functions for 1 parameter groups; give one for each"),
    (lambda: own.SequentialLR(optim.SGD(), [own.StepLR(optim.SGD(), 1)], [3]),
     "SequentialLR got 1 schedules and 1 milestones; give one milestone between each two schedules"),
    (lambda: [own.OneCycleLR(optim.SGD(), 0.1, 1).step() for _ in range(1)] and own.OneCycleLR(optim.SGD(), 0.1, 1).set(2),
     "OneCycleLR was made for 1 steps and cannot go on to step 2; give it the number of all batches as total_steps"),
]


@pytest.mark.parametrize("call, text", WRONG, ids=[text[:30] for _, text in WRONG])
def test_wrong_use_is_explained(call, text):
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == text


def test_torchs_name_leads_to_the_same_classes():
    assert optim.lr_scheduler.StepLR is StepLR
