"""Learning-rate schedules, with PyTorch's names: lr after t calls of `step`, from the lr that the optimizer began with.

    StepLR             base * gamma^floor(t / step_size)
    ExponentialLR      base * gamma^t
    PolynomialLR       base * (1 - min(t, T) / T)^power                                               T = total_iters
    MultiStepLR        base * gamma^(number of milestones <= t)
    CosineAnnealingLR  eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2                     [1], equation 5
    LinearLR           base * (start_factor + (end_factor - start_factor) * min(t, T) / T)            T = total_iters
    OneCycleLR         up from max_lr / div_factor to max_lr, down to that / final_div_factor         [2], section 4

Each is a function of t alone, so a schedule sets the lr whatever it was. Call `step()` once an epoch or once a batch.

[1] Loshchilov & Hutter, SGDR, arXiv:1608.03983.    [2] Smith & Topin, Super-convergence, arXiv:1708.07120.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from striate.errors import ArgumentError
from striate.optim.optimizer import Optimizer

__all__ = ["ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler", "LambdaLR",
           "LinearLR", "MultiStepLR", "OneCycleLR", "PolynomialLR", "SequentialLR", "StepLR"]


class LRScheduler:
    """Base of the schedules; `last_epoch` is t, the number of steps taken.

    A schedule of one's own says `rate(t, base)`; one that moves more than the lr says `set(t)`.
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"a schedule needs an optimizer first, got {type(optimizer).__name__}; "
                                f"write {type(self).__name__}(optimizer, ...)")
        self.optimizer = optimizer
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self.set(0)

    def rate(self, t: int, base: float) -> float:
        """lr after t steps, for a group that began with `base`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method rate(t, base)")

    def set(self, t: int) -> None:
        """Give the optimizer's groups their settings for t."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(t, base)

    def step(self) -> None:
        """Go on by one epoch or batch."""
        self.last_epoch += 1
        self.set(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The lr of each group as it is now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        self.set(self.last_epoch)


class ConstantLR(LRScheduler):
    """base * factor for the first total_iters steps, base from then on."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5):
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return base * self.factor if t < self.total_iters else base


class LinearLR(LRScheduler):
    """A straight line from base * start_factor to base * end_factor over total_iters steps: a warm-up, mostly."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5):
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        done = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class StepLR(LRScheduler):
    """base, multiplied by gamma every step_size steps.

    >>> from striate import optim
    >>> optimizer = optim.SGD(lr=0.8)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """base, multiplied by gamma at each milestone."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """base, multiplied by gamma every step."""

    def __init__(self, optimizer: Optimizer, gamma: float):
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return base * self.gamma**t


class PolynomialLR(LRScheduler):
    """From base down to 0 in total_iters steps: a straight line for power 1, a curve for more."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base down to eta_min in T_0 steps, then again from base in T_mult times as many. [1], section 3."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0):
        if T_0 < 1 or T_mult < 1:
            raise ArgumentError(f"T_0 and T_mult must be whole numbers from 1 up, got T_0={T_0} and T_mult={T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        length = self.T_0
        while t >= length:
            t, length = t - length, length * self.T_mult
        return _cosine(base, self.eta_min, t / length)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base down to eta_min in T_max steps (and up again after that)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, base: float) -> float:
        return _cosine(base, self.eta_min, t / self.T_max)


class LambdaLR(LRScheduler):
    """base * lr_lambda(t), with one function for all groups or a list of one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ArgumentError(f"LambdaLR got {len(self.lr_lambdas)} functions for {groups} parameter groups; give one for each")
        super().__init__(optimizer)

    def set(self, t: int) -> None:
        for group, base, function in zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True):
            group["lr"] = base * function(t)


class SequentialLR(LRScheduler):
    """One schedule after the other: schedulers[i + 1] begins, at its own t = 0, at milestones[i]."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]):
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(f"SequentialLR got {len(schedulers)} schedules and {len(milestones)} milestones; "
                                "give one milestone between each two schedules")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def set(self, t: int) -> None:
        i = bisect_right(self.milestones, t)
        self.schedulers[i].last_epoch = t - (self.milestones[i - 1] if i else 0)
        self.schedulers[i].set(self.schedulers[i].last_epoch)


class OneCycleLR(LRScheduler):
    """One rise and one long fall of the lr over total_steps (or epochs * steps_per_epoch), momentum moving the other way.

    Made to be stepped every batch. The momentum is moved by `cycle_momentum` for SGD with momentum and for Adam's beta1.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float = 0.85,
                 max_momentum: float = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False):
        self.total_steps = total_steps or (epochs or 0) * (steps_per_epoch or 0)
        if self.total_steps <= 0:
            raise ArgumentError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"anneal_strategy is 'cos' or 'linear', got '{anneal_strategy}'")
        self.anneal = _cosine if anneal_strategy == "cos" else _line
        self.ends = _phase_ends(self.total_steps, pct_start, three_phase)
        self.cycle_momentum, self.momenta = cycle_momentum, _levels(max_momentum, base_momentum, max_momentum, three_phase)
        groups = optimizer.param_groups
        peaks = [float(max_lr)] * len(groups) if isinstance(max_lr, (int, float)) else list(max_lr)
        self.rates = [_levels(m / div_factor, m, m / div_factor / final_div_factor, three_phase) for m in peaks]
        super().__init__(optimizer)

    def set(self, t: int) -> None:
        if t > self.total_steps:
            raise ArgumentError(f"OneCycleLR was made for {self.total_steps} steps and cannot go on to step {t}; "
                                "give it the number of all batches as total_steps")
        phase = next((i for i, end in enumerate(self.ends) if t <= end), len(self.ends) - 1)
        start = self.ends[phase - 1] if phase else 0.0
        span = self.ends[phase] - start
        done = min(1.0, (t - start) / span) if span > 0 else 1.0
        for group, levels in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = self.anneal(levels[phase], levels[phase + 1], done)
            if self.cycle_momentum:
                _set_momentum(group, self.anneal(self.momenta[phase], self.momenta[phase + 1], done))


def _phase_ends(total: int, start: float, three_phase: bool) -> list[float]:
    """The last step of each phase."""
    up = start * total - 1
    return [up, 2 * up, total - 1.0] if three_phase else [up, total - 1.0]


def _levels(first: float, peak: float, last: float, three_phase: bool) -> list[float]:
    """Values at the borders of the phases."""
    return [first, peak, first, last] if three_phase else [first, peak, last]


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, group["betas"][1])
    elif group["momentum"]:
        group["momentum"] = momentum


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done
