"""Batches out of whatever a user gives as data: arrays, a dataset, a DataLoader or any iterable of (x, y)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from striate.errors import DataError


def loader(data: Any, batch_size: int, shuffle: bool) -> Any:
    """A DataLoader for a pair of arrays (x, y) or a dataset; what is already an iterable of batches stays as it is."""
    from striate.data import ArrayDataset, DataLoader, Dataset

    if isinstance(data, tuple) and len(data) == 2:
        data = ArrayDataset(*data)
    return DataLoader(data, batch_size, shuffle=shuffle) if isinstance(data, Dataset) else data


def each(batches: Any, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches (x, y) as arrays; refuses data that has none, or that is something else."""
    count = 0
    for count, batch in enumerate(batches, 1):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise DataError(f"batch {count} of the {name} data is {type(batch).__name__}, not a pair (x, y); "
                            "give arrays (x, y), a dataset or a DataLoader")
        yield np.asarray(batch[0]), np.asarray(batch[1])
    if not count:
        raise DataError(f"the {name} data has no batches; a generator can be read only once: give arrays (x, y) or a DataLoader")


def count(batches: Any) -> int | None:
    """How many batches an epoch has; None where that is not known."""
    try:
        return len(batches)
    except TypeError:
        return None
