"""Adam, and AdamW with its weight decay apart from the gradient.

    m <- beta1 * m + (1 - beta1) * g
    v <- beta2 * v + (1 - beta2) * g^2
    w <- w - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)        t = 1, 2, 3, ...

Adam adds weight_decay * w to g first; AdamW multiplies w by (1 - lr * weight_decay) instead.

Source: Kingma & Ba, Adam, arXiv:1412.6980, algorithm 1; Loshchilov & Hutter, Decoupled weight decay regularization,
arXiv:1711.05101, algorithm 2.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from striate import ops
from striate.errors import ArgumentError
from striate.ops.base import Op
from striate.optim.optimizer import Optimizer, Settings, want


class Adam(Optimizer):
    """Adaptive moments; PyTorch's names and defaults.

    >>> from striate import optim
    >>> optim.Adam(lr=0.01)
    Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0)
    """

    decoupled: ClassVar[bool] = False

    def __init__(self, params: Any = None, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0):
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    def check(self, settings: Settings) -> None:
        for name in ("lr", "eps", "weight_decay"):
            want(settings, name, 0)
        betas = settings["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError(f"betas must be two numbers of at least 0 and less than 1, got {betas}")

    def rule(self, settings: Settings) -> tuple[Op, tuple[str, ...]]:
        return ops.AdamUpdate(self.decoupled), ("mean", "square")

    def hyper(self, settings: Settings, step: int) -> tuple[float, ...]:
        beta1, beta2 = (float(np.float32(b)) for b in settings["betas"])  # as the operator sees them, or 1 - beta does not cancel
        corrections = 1 / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
        return settings["lr"], beta1, beta2, settings["eps"], settings["weight_decay"], *corrections


class AdamW(Adam):
    """Adam with decoupled weight decay.

    >>> from striate import optim
    >>> optim.AdamW()
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    decoupled = True

    def __init__(self, params: Any = None, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)
