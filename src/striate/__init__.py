"""striate: a CNN compiler and toolkit in pure Python.

A network is written with PyTorch-like modules and traced to one graph. Every question about it is one walk over that graph;
one walk turns it, forward, backward and optimizer step, into machine code for this CPU.
"""

from striate import models, nn, optim
from striate.ask.summary import summary
from striate.cpu.threads import get_num_threads, set_num_threads
from striate.engine import compile, value_and_grad, vjp
from striate.graph import Graph, Value, trace
from striate.nn.functional import cat, concat, stack
from striate.random import seed
from striate.save import load, load_metadata, save
from striate.train import Trainer

__version__ = "0.1.0"
__all__ = [
    "Graph", "Trainer", "Value", "cat", "compile", "concat", "get_num_threads", "load", "load_metadata", "models", "nn", "optim",
    "save", "seed", "set_num_threads", "stack", "summary", "trace", "value_and_grad", "vjp",
]  # fmt: skip
