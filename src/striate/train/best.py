"""The best epoch so far: its weights, and how long ago it was."""

from __future__ import annotations

import math

from striate.errors import ArgumentError
from striate.nn.module import Module
from striate.train.history import Record


class Best:
    """Watches one number of the epochs' records and keeps a copy of the network's state where it was best."""

    def __init__(self, net: Module, name: str, higher: bool):
        self.net, self.name, self.higher = net, name, higher
        self.value = -math.inf if higher else math.inf
        self.epoch: int | None = None
        self.since = 0
        """Epochs since the best one."""

    def see(self, record: Record) -> bool:
        """Look at an epoch; True where it is better than all before."""
        if self.name not in record:
            raise ArgumentError(f"nothing is recorded as '{self.name}'; there are {', '.join(record)}")
        value = record[self.name]
        better = value > self.value if self.higher else value < self.value
        self.since = 0 if better else self.since + 1
        if better:
            self.value, self.epoch, self.state = value, int(record["epoch"]), self.net.state_dict()
        return better

    def restore(self) -> None:
        """Give the network the best epoch's weights; nothing where there was none."""
        if self.epoch is not None:
            self.net.load_state_dict(self.state)
