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
    from striate import data, design, draw, models, nn, ops, optim, text, train, vision
    from striate.ask.backward import explain_backward
    from striate.ask.cost import cost
    from striate.ask.effective import EffectiveField, effective_receptive_field
    from striate.ask.memory import memory
    from striate.ask.receptive import ReceptiveField, receptive_field
    from striate.ask.roofline import roofline
    from striate.ask.shapes import explain
    from striate.ask.summary import summary
    from striate.ask.torch_bridge import from_torch
    from striate.cpu.threads import get_num_threads, set_num_threads
    from striate.engine import Step, compile, value_and_grad, vjp
    from striate.graph import Graph, Value, trace
    from striate.nn.functional import bmm, cat, clamp, concat, einsum, flatten, matmul, maximum, minimum, stack, where
    from striate.random import seed
    from striate.storage import load, load_metadata, save
    from striate.train import Trainer

HOMES = {
    "striate.ask.backward": ("explain_backward",),
    "striate.ask.cost": ("cost",),
    "striate.ask.effective": ("EffectiveField", "effective_receptive_field"),
    "striate.ask.memory": ("memory",),
    "striate.ask.receptive": ("ReceptiveField", "receptive_field"),
    "striate.ask.roofline": ("roofline",),
    "striate.ask.shapes": ("explain",),
    "striate.ask.summary": ("summary",),
    "striate.ask.torch_bridge": ("from_torch",),
    "striate.cpu.threads": ("get_num_threads", "set_num_threads"),
    "striate.engine": ("Step", "compile", "value_and_grad", "vjp"),
    "striate.graph": ("Graph", "Value", "trace"),
    "striate.nn.functional": ("bmm", "cat", "clamp", "concat", "einsum", "flatten", "matmul", "maximum", "minimum", "stack",
                              "where"),
    "striate.random": ("seed",),
    "striate.storage": ("load", "load_metadata", "save"),
    "striate.train": ("Trainer",),
}
"""Module -> the public names that live in it."""
MODULES = ("data", "design", "draw", "models", "nn", "ops", "optim", "text", "train", "vision")
PLACES = {name: home for home, names in HOMES.items() for name in names}

__all__ = [
    "EffectiveField", "Graph", "ReceptiveField", "Step", "Trainer", "Value", "bmm", "cat", "clamp", "compile", "concat", "cost",
    "data", "design", "draw", "effective_receptive_field", "einsum", "explain", "explain_backward", "flatten", "from_torch",
    "get_num_threads", "load", "load_metadata", "matmul", "maximum", "memory", "minimum", "models", "nn", "ops", "optim",
    "receptive_field", "roofline", "save", "seed", "set_num_threads", "stack", "summary", "text", "trace", "train",
    "value_and_grad", "vision", "vjp", "where",
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
