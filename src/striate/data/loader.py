"""Batches of a dataset: in order or shuffled by seed, read ahead by threads, augmented reproducibly.

The order of an epoch depends on (seed, epoch), the augmentation of an item on (seed, epoch, index of the item);
neither depends on the number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from striate.data.augment import augment
from striate.data.dataset import read_batch
from striate.data.draws import Draws, default_seed
from striate.errors import ArgumentError, DataError

Batch = tuple[np.ndarray, np.ndarray]


class DataLoader:
    """Iterate over `dataset` in batches (x, y): x float32 [N, C, H, W], C-contiguous, and y int64 [N].

    `transform` augments the batch x (see striate.data.augment). `num_workers` threads read batches ahead; with 0 each
    is read as it is asked for. Every `iter(loader)` is one epoch with an order of its own; `epoch`, the number of the
    next one, can be set to go on where an earlier training stopped. The last batch is short where the items do not
    divide evenly; `drop_last` leaves it out.

    Raises ArgumentError: batch_size below 1, num_workers below 0, drop_last that leaves no batch; DataError: an empty
    dataset and, while iterating, an item that cannot be read, by its index.

    >>> from striate.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.zeros((5, 1, 8, 8)), np.arange(5)), batch_size=2, shuffle=True, seed=1)
    >>> [x.shape for x, y in loader]
    [(2, 1, 8, 8), (2, 1, 8, 8), (1, 1, 8, 8)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        seed: int | None = None,
        transform: Callable | None = None,
    ):
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.transform = num_workers, transform
        self.seed = default_seed() if seed is None else seed
        self.epoch = 0
        if batch_size < 1:
            raise ArgumentError(f"batch_size must be at least 1, got {batch_size}")
        if num_workers < 0:
            raise ArgumentError(f"num_workers must be at least 0, got {num_workers}; 0 reads without threads")
        if len(dataset) == 0:
            raise DataError(f"{type(dataset).__name__} is empty; give at least one item")
        if len(self) == 0:
            raise ArgumentError(
                f"drop_last=True with batch_size={batch_size} leaves no batch of {len(dataset)} items; "
                f"use a batch_size of at most {len(dataset)} or drop_last=False"
            )

    def __len__(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = self.order(epoch)
        parts = [order[k * self.batch_size : (k + 1) * self.batch_size] for k in range(len(self))]
        if self.num_workers == 0:
            return (self.read(part, epoch) for part in parts)
        return self.read_ahead(parts, epoch)

    def order(self, epoch: int) -> np.ndarray:
        """The items of an epoch in the order in which they come."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed % 2**64, epoch]).permutation(len(self.dataset))

    def read(self, indices: np.ndarray, epoch: int) -> Batch:
        """One batch, augmented."""
        x, y = read_batch(self.dataset, indices, Draws(self.seed, epoch, indices))
        if self.transform is not None:
            x = augment(self.transform, x, Draws(self.seed, epoch, indices))
        return np.ascontiguousarray(x), y

    def read_ahead(self, parts: list[np.ndarray], epoch: int) -> Iterator[Batch]:
        """The batches in order, up to two per thread ahead of the reader."""
        from concurrent.futures import Future, ThreadPoolExecutor

        threads = ThreadPoolExecutor(self.num_workers, thread_name_prefix="striate-data")
        ahead: deque[Future[Batch]] = deque()
        try:
            for part in parts:
                ahead.append(threads.submit(self.read, part, epoch))
                if len(ahead) > 2 * self.num_workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            # Reached when the epoch ends, a batch fails, or the reader goes away; wait=True could make a thread join
            # itself where that thread collects the abandoned iterator.
            threads.shutdown(wait=False, cancel_futures=True)
