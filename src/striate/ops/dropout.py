"""Dropout with a mask that depends on nothing but seed, step, layer and element.

    y_i = x_i / (1 - p)  where  (w_i >> 8) >= round(p * 2^24),  else 0          not scaled: x_i
    w_i = word i mod 2 of threefry2x32 with 20 rounds, key (seed, step), counter (i // 2, stream)

    i counts the elements with channels last (N, H, W, C) for four axes, in row-major order otherwise; stream numbers the
    dropout layers of a network. Any thread can draw any element, so the mask is the same for any number of threads, and
    the gradient draws it again instead of keeping it.

Sources: Srivastava et al., Dropout, JMLR 15, 2014, sections 4 (not scaled) and 10 (scaled); Salmon, Moraes, Dror & Shaw, Parallel
random numbers: as easy as 1, 2, 3, SC 2011 (threefry), and the known answers of its Random123 distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA


class Drawn(Op):
    """An operator of x and random int64 (2,) = (seed, step) that draws one number for each element; `stream` tells it apart."""

    stream: int
    inputs = ("x", "random")

    def infer(self, x: Spec, random: Spec) -> Spec:
        want_float(x=x)
        if random != Spec((2,), "int64"):
            raise ShapeError(f"random is {random.dtype} {random.shape} but holds int64 (2,): seed and step",
                             fix="use graph.random_state()")
        return x

    def draw(self, shape: tuple[int, ...], random: Array) -> Array:
        """A whole number from 0 to 2^24 - 1 for each element."""
        seed, step = (int(r) & 0xFFFFFFFF for r in random)
        number = counting(shape).astype(np.uint32)
        words = threefry2x32((seed, step), number >> np.uint32(1), np.full(shape, self.stream, np.uint32))
        return np.where(number % 2, words[1], words[0]) >> np.uint32(8)


@dataclass(frozen=True)
class Dropout(Drawn):
    """Each element of x, of any shape, is dropped with probability p; the others are divided by 1 - p if `scaled`.

    >>> Dropout(0.5, stream=0).reference(np.ones(6), np.array([0, 0]))
    array([0., 2., 0., 2., 0., 2.])
    """

    p: float
    stream: int
    scaled: bool = True
    name = "dropout"
    linear_in = ("x",)

    def __post_init__(self):
        if not 0 <= self.p <= 1:
            raise ArgumentError(f"dropout's p is a probability from 0 to 1, got {self.p}")

    @property
    def threshold(self) -> int:
        """24-bit draws below it are dropped."""
        return round(self.p * 2**24)

    @property
    def factor(self) -> float:
        """What kept elements are multiplied by."""
        return 1 / (1 - self.p or 1) if self.scaled else 1.0  # p = 1 keeps nothing

    def reference(self, x: Array, random: Array) -> Array:
        return np.where(self.draw(x.shape, random) >= self.threshold, x, 0) * self.factor

    def gradient(self, g, x, y, dy):
        return [g.apply(self, dy[0], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=inputs[0].size, **traffic(inputs, outputs))


def counting(shape: tuple[int, ...]) -> Array:
    """The number of each element: channels last for four axes, row-major otherwise."""
    count = np.arange(np.prod(shape, dtype=np.int64))
    if len(shape) != 4:
        return count.reshape(shape)
    n, c, h, w = shape
    return count.reshape(n, h, w, c).transpose(0, 3, 1, 2)


@np.errstate(over="ignore")  # sums are modulo 2^32
def threefry2x32(key: tuple[int, int], first: Array, second: Array) -> tuple[Array, Array]:
    """Two random words for each counter (first, second), all uint32: 20 rounds of add, rotate, xor; a key every 4."""
    keys = [np.uint32(k) for k in (*key, key[0] ^ key[1] ^ PARITY)]
    a, b = first + keys[0], second + keys[1]
    for i in range(20):
        turn = ROTATIONS[i % 8]
        a = a + b
        b = (b << np.uint32(turn) | b >> np.uint32(32 - turn)) ^ a
        if i % 4 == 3:
            block = i // 4 + 1
            a, b = a + keys[block % 3], b + keys[(block + 1) % 3] + np.uint32(block)
    return a, b
