"""Whether a network can learn: how large its gradients are from layer to layer, and how many of its units have stopped.

A gradient passes a sigmoid as dx = dy * s'(z) with s' <= 1/4, so that n layers leave at most 0.25^n of it (times the weights):
the layers at the FRONT, next to the input, learn last. A unit whose derivative is near 0 is saturated, or dead, for a ReLU.

    s' = s (1 - s)      tanh' = 1 - tanh^2      relu' = 1 where relu > 0, else 0        from the outputs alone

Source: Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from striate import engine
from striate.errors import ArgumentError
from striate.graph import trace
from striate.nn.module import Module

SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: (y > 0).astype(y.dtype),
}
"""Operator -> its derivative, out of its output."""
MANY = 0.5
"""Share of dead or flat units that is worth a word."""


def gradient_norms(net: Module, loss: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Layer -> the L2 norm of the gradient of its weight for a batch, from the front of the network to its end.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1))
    >>> list(gradient_norms(net, nn.MSELoss(), np.ones((4, 2)), np.ones((4, 1))))
    ['0', '2']
    """
    _, gradients = engine.value_and_grad(net, loss)(x, y)
    return {name.removesuffix("weight").rstrip("."): float(np.linalg.norm(g)) for name, g in gradients.items()
            if name.rpartition(".")[2] == "weight"}


def saturation(net: Module, x: np.ndarray, limit: float = 1e-3) -> dict[str, float]:
    """Layer -> share of its units, over a batch, whose derivative is below `limit`: sigmoid, tanh and ReLU layers.

    The network is taken in the mode in which it is. Raises ArgumentError: none of these layers.

    >>> from striate import nn
    >>> saturation(nn.Sequential(nn.ReLU()), np.array([[-1.0, 2, 3, 4]], np.float32))
    {'0': 0.25}
    """
    return {name: float(np.mean(flat(op, y, limit))) for name, op, y in activations(net, x)}


def advice(net: Module, x: np.ndarray, limit: float = 1e-3) -> list[str]:
    """What to change about the activations of a network, out of what they do to a batch; nothing where all is well.

    The order of choice: ReLU; where many of its units are dead, a smaller learning rate, LeakyReLU or Maxout; then tanh. A
    sigmoid belongs at the end, or in a gate.

    Raises ArgumentError: no sigmoid, tanh or ReLU layer.

    >>> from striate import nn
    >>> advice(nn.Sequential(nn.ReLU()), np.array([[-1.0, 2], [-3, 4]], np.float32))
    ["relu '0': 50% of its units are 0 for all 2 inputs: dead; lower the learning rate, or use nn.LeakyReLU or nn.Maxout"]
    """
    layers = activations(net, x)
    found = [advice_on(op, flat(op, y, limit), last=i == len(layers) - 1) for i, (_, op, y) in enumerate(layers)]
    return [f"{op} '{name}': {words}" for (name, op, _), words in zip(layers, found) if words]


def advice_on(op: str, flat: np.ndarray, last: bool) -> str:
    """What to say about one layer, of whose outputs (N, units, ...) some are flat; empty where all is well."""
    if op == "relu":
        dead = float(flat.all(axis=tuple(i for i in range(flat.ndim) if i != 1)).mean())
        return "" if dead < MANY else (f"{dead:.0%} of its units are 0 for all {len(flat)} inputs: dead; "
                                       "lower the learning rate, or use nn.LeakyReLU or nn.Maxout")
    if flat.mean() >= MANY:
        return f"{flat.mean():.0%} of its outputs are flat and pass no gradient; normalise what it reads, or use nn.ReLU"
    if op == "sigmoid" and not last:
        return "it passes a quarter of the gradient at most; use nn.ReLU, else nn.LeakyReLU or nn.Maxout, else nn.Tanh"
    return ""


def activations(net: Module, x: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Layer, operator and output of every sigmoid, tanh and ReLU for a batch."""
    x = np.asarray(x, np.float32)
    graph = trace(net, x)
    found = [(node.module or node.output.name, node) for node in graph.nodes if node.op.name in SLOPES]
    if not found:
        raise ArgumentError(f"{type(net).__name__} has no {', '.join(SLOPES)} layer; saturation is about those")
    graph.outputs, graph.structure = [node.output for _, node in found], lambda outputs: outputs
    return [(name, node.op.name, y) for (name, node), y in zip(found, graph.prune().run(x))]


def flat(op: str, y: np.ndarray, limit: float) -> np.ndarray:
    """Where the derivative of an activation with the output y is nearly 0."""
    return np.abs(SLOPES[op](y)) < limit
