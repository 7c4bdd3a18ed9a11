"""Optimizers and learning-rate schedules, with PyTorch's names and defaults.

    optimizer = optim.SGD(lr=0.1, momentum=0.9)                     # all of the network's parameters
    optimizer = optim.AdamW(net.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
"""

from striate.optim import lr_scheduler
from striate.optim.adam import Adam, AdamW
from striate.optim.optimizer import Group, Optimizer
from striate.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Group", "Optimizer", "lr_scheduler"]
