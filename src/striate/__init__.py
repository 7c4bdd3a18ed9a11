"""striate: a CNN compiler and toolkit in pure Python.

A network is written with PyTorch-like modules and traced to one graph. Every question about it is one walk over that graph;
one walk turns it, forward, backward and optimizer step, into machine code for this CPU.

Names are looked up when they are first used (PEP 562), so that `import striate` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from striate import data, models, nn, ops, optim, train
    from striate.ask.summary import summary
    from striate.cpu.threads import get_num_threads, set_num_threads
    from striate.engine import Step, compile, value_and_grad, vjp
    from striate.graph import Graph, Value, trace
    from striate.nn.functional import cat, concat, stack
    from striate.random import seed
    from striate.storage import load, load_metadata, save
    from striate.train import Trainer

HOMES = {
    "striate.ask.summary": ("summary",),
    "striate.cpu.threads": ("get_num_threads", "set_num_threads"),
    "striate.engine": ("Step", "compile", "value_and_grad", "vjp"),
    "striate.graph": ("Graph", "Value", "trace"),
    "striate.nn.functional": ("cat", "concat", "stack"),
    "striate.random": ("seed",),
    "striate.storage": ("load", "load_metadata", "save"),
    "striate.train": ("Trainer",),
}
"""Module -> the public names that live in it."""
MODULES = ("data", "models", "nn", "ops", "optim", "train")
PLACES = {name: home for home, names in HOMES.items() for name in names}

__all__ = [
    "Graph", "Step", "Trainer", "Value", "cat", "compile", "concat", "data", "get_num_threads", "load", "load_metadata", "models",
    "nn", "ops", "optim", "save", "seed", "set_num_threads", "stack", "summary", "trace", "train", "value_and_grad", "vjp",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"striate.{name}")
    if name not in PLACES:
        raise AttributeError(f"module 'striate' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
