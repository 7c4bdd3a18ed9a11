"""Stochastic gradient descent, with momentum.

    g <- g + weight_decay * w
    b <- momentum * b + (1 - dampening) * g        (b = g in the first step)
    w <- w - lr * (g + momentum * b  if nesterov, else b)

Source: Sutskever, Martens, Dahl & Hinton, On the importance of initialization and momentum in deep learning, ICML 2013,
section 2; in the form that PyTorch uses, with the learning rate outside of the momentum.
"""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.errors import ArgumentError
from striate.ops.base import Op
from striate.optim.optimizer import Optimizer, Settings, want


class SGD(Optimizer):
    """Gradient descent; PyTorch's names and defaults.

    >>> from striate import optim
    >>> optim.SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, dampening=0, weight_decay=0, nesterov=False)
    """

    def __init__(self, params: Any = None, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening,
                                  "weight_decay": weight_decay, "nesterov": nesterov})

    def check(self, settings: Settings) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            want(settings, name, 0)
        if settings["nesterov"] and (settings["momentum"] <= 0 or settings["dampening"] != 0):
            raise ArgumentError(f"nesterov needs momentum > 0 and dampening = 0, got momentum={settings['momentum']} "
                                f"and dampening={settings['dampening']}")

    def rule(self, settings: Settings) -> tuple[Op, tuple[str, ...]]:
        if settings["momentum"] == 0:
            return ops.SgdPlainUpdate(), ()
        return ops.SgdUpdate(bool(settings["nesterov"])), ("momentum_buffer",)

    def hyper(self, settings: Settings, step: int) -> tuple[float, ...]:
        fresh = 1.0 if step == 1 else 1.0 - settings["dampening"]  # the first buffer is the gradient itself
        return settings["lr"], settings["momentum"], fresh, settings["weight_decay"]
