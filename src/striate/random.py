"""Random numbers: one seed for initialisation, shuffling, dropout and augmentation.

Until `seed` is called, the seed itself is drawn from the operating system, as in PyTorch.

- Initialisation draws one number after another from `generator()`.
- What must not depend on how many numbers were drawn before it (shuffling, augmentation) takes a `stream` of its own.
- Dropout mixes `current_seed()` with the step, the layer and the element; see `striate.ops.Dropout`.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC'11 (streams by key instead of by state).
"""

from __future__ import annotations

import operator
import secrets
import zlib

import numpy as np

from striate.errors import ArgumentError

LIMIT = 2**63
"""Seeds are below it: they must fit into the int64 that a graph is given."""

_seed: int
_generator: np.random.Generator
_runs = 0


def seed(n: int) -> None:
    """Start all random numbers afresh from a whole number.

    >>> seed(0)
    >>> first = generator().random(3)
    >>> seed(0)
    >>> bool((generator().random(3) == first).all())
    True
    """
    global _seed, _generator, _runs
    try:
        value = operator.index(n)
    except TypeError:
        value = -1
    if not 0 <= value < LIMIT:
        raise ArgumentError(f"a seed is a whole number from 0 to 2**63 - 1, got {n!r}")
    _seed, _generator, _runs = value, np.random.default_rng(value), 0


def current_seed() -> int:
    """The number that the random numbers started from.

    >>> seed(7)
    >>> current_seed()
    7
    """
    return _seed


def generator() -> np.random.Generator:
    """The package's generator: initialisation draws from it, and user code may."""
    return _generator


def run_key() -> tuple[int, int]:
    """(seed, number of this run): the key of the random masks of one run of a compiled network.

    >>> seed(5)
    >>> run_key(), run_key()
    ((5, 1), (5, 2))
    """
    global _runs
    _runs += 1
    return _seed, _runs


def stream(name: str, index: int = 0) -> np.random.Generator:
    """A generator that depends on the seed, a name and a number only, such as the shuffling of epoch 3.

    >>> seed(0)
    >>> order = stream("shuffle", 3).permutation(5)
    >>> _ = generator().random(100)
    >>> bool((stream("shuffle", 3).permutation(5) == order).all())
    True
    """
    return np.random.default_rng(np.random.SeedSequence(_seed, spawn_key=(zlib.crc32(name.encode()), index)))


seed(secrets.randbelow(LIMIT))
