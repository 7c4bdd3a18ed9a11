"""What a training did: one record per epoch."""

from __future__ import annotations

from typing import Any

Record = dict[str, float]


class History:
    """Records of the epochs, in lists and as a table.

    `history["loss"]` is the list over the epochs; `records` has one dict per epoch; `stopped` says why it ended:
    "finished", "early", "time", "interrupted", or what a callback gave.

    >>> history = History()
    >>> history.add({"epoch": 1, "loss": 0.5, "accuracy": 0.8})
    >>> history.add({"epoch": 2, "loss": 0.25, "accuracy": 0.9})
    >>> history["loss"]
    [0.5, 0.25]
    >>> print(history)
    epoch    loss  accuracy
        1  0.5000    0.8000
        2  0.2500    0.9000
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.stopped = ""
        self.best_epoch: int | None = None
        """The epoch whose weights were kept, where the best were to be kept."""

    def add(self, record: Record) -> None:
        self.records.append(dict(record))

    @property
    def names(self) -> list[str]:
        """What was recorded, in the order of the table's columns."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.names:
            raise KeyError(f"nothing was recorded as '{name}'; there are {', '.join(self.names) or 'no epochs yet'}")
        return [record.get(name, float("nan")) for record in self.records]

    def __len__(self) -> int:
        """Number of epochs."""
        return len(self.records)

    @property
    def last(self) -> Record:
        """The newest epoch's record; empty before the first."""
        return self.records[-1] if self.records else {}

    def to_dict(self) -> dict[str, Any]:
        """Lists by name, and why the training ended."""
        return {**{name: self[name] for name in self.names}, "stopped": self.stopped, "best_epoch": self.best_epoch}

    def __str__(self) -> str:
        rows = [self.names, *([show(name, record.get(name)) for name in self.names] for record in self.records)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs, {self.stopped or 'running'})"


def show(name: str, value: float | None) -> str:
    """A recorded number as text.

    >>> show("lr", 0.001), show("seconds", 12.34), show("images_per_second", 12345.6), show("val_loss", 0.123456)
    ('0.001', '12.3', '12,346', '0.1235')
    """
    if value is None:
        return ""
    formats = {"epoch": "d", "lr": "g", "seconds": ".1f", "images_per_second": ",.0f"}
    return format(value, formats.get(name, ".4f"))
