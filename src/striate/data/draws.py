"""Random numbers that depend on the item alone, not on the batch, the thread or the order in which items are read.

Each number is a function of (seed, epoch, index of the item, position of the draw): the key of an item is its seed,
epoch and index mixed together, and its draws are the SplitMix64 sequence from that key, computed for a whole batch at
once.

Source: Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014, fig. 17.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from striate import random

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / the golden ratio: the increment of SplitMix64

_calls = itertools.count()


def default_seed() -> int:
    """The seed of whatever is given none: what `st.seed` set."""
    return random.current_seed()


def mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: every bit of a 64-bit integer comes to depend on every other."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Draws:
    """The random numbers of the N items of a batch; each call goes on where the last one stopped.

    >>> both = Draws(seed=0, epoch=3, indices=[7, 8]).random()
    >>> bool(both[1] == Draws(seed=0, epoch=3, indices=[8]).random()[0])
    True
    """

    def __init__(self, seed: int, epoch: int, indices: Sequence[int] | np.ndarray):
        keys = np.zeros(len(indices), np.uint64)
        for part in (seed % 2**64, epoch % 2**64, np.asarray(indices, np.int64).astype(np.uint64)):
            keys = mix((keys + GOLDEN) ^ np.asarray(part, np.uint64))
        self.keys, self.position = keys, 0

    @classmethod
    def fresh(cls, n: int) -> Draws:
        """Draws for n images outside any epoch: other ones at every call, the same in every run."""
        return cls(default_seed(), -1 - next(_calls), range(n))

    def item(self, k: int) -> Draws:
        """A sequence of its own for the k-th item of the batch, independent of the batch's."""
        draws = object.__new__(Draws)
        draws.keys, draws.position = mix(~self.keys[k : k + 1]), 0
        return draws

    def random(self, *shape: int) -> np.ndarray:
        """Float64 in [0, 1), shape [N, *shape]."""
        count = int(np.prod(shape))
        steps = np.arange(self.position + 1, self.position + count + 1, dtype=np.uint64)
        self.position += count
        bits = mix(self.keys[:, None] + steps * GOLDEN) >> np.uint64(11)
        return (bits * 2.0**-53).reshape(-1, *shape)

    def uniform(self, low: float, high: float) -> np.ndarray:
        """Float64 in [low, high), shape [N]."""
        return low + (high - low) * self.random()

    def integers(self, high: int | np.ndarray) -> np.ndarray:
        """Int64 in 0 ... high - 1, shape [N]."""
        return (self.random() * high).astype(np.int64)
