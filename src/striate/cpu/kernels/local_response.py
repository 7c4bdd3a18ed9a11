"""Local response normalisation of rows of C channels.

    s[c] = k + alpha / size * sum_j x[j]^2 over the window of c        y = chain( x * s^-beta )
    dx = chain( dy * s^-beta - 2*alpha*beta/size * x * sum_j z[j] )     z = dy * x * s^-beta / s, over all j whose window holds c

A window reaches into the neighbouring vectors, so a ring of vectors moves along the row; sums of shifted vectors are shuffles
of two neighbours. The ring of z of the gradient runs `reach` vectors behind that of the squares.

Layouts   x y dy dx (rows, C)      Tasks  rows
Registers the rings: 2 * reach + 1 vectors each, reach = 1 for windows of up to 2 * lanes + 1 channels

Source: Krizhevsky et al. 2012, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from striate import ops
from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import add, tree
from striate.cpu.kernels.pointwise import EMIT, Chain
from striate.kernel.language import Builder, Cell, IntLike, Num, Tensor, narrow


@dataclass(frozen=True)
class Rings(Kernel):
    """What both directions share."""

    C: int
    size: int
    alpha: float
    beta: float
    k: float
    chain: Chain = Chain()

    def lanes(self, k: Builder) -> int:
        return max(2, narrow(self.C, k.lanes))

    def reach(self, k: Builder) -> int:
        """Vectors on each side that a window may touch."""
        return -(-(self.size // 2) // self.lanes(k))

    def vectors(self, k: Builder) -> int:
        return -(-self.C // self.lanes(k))

    def read(self, k: Builder, x: Tensor, row: IntLike, vector: IntLike) -> Num:
        """A vector of a row, zero past its end."""
        lanes = self.lanes(k)
        count = k.max(0, k.min(self.C - vector * lanes, lanes))
        return x.vec(row, vector * lanes, lanes=lanes, count=count)

    def window(self, k: Builder, ring: Sequence[Num], before: int) -> Num:
        """The sum over the channels c - before .. c - before + size - 1; the ring's middle vector holds c."""
        lanes = self.lanes(k)
        first = len(ring) // 2 * lanes - before
        shifted = []
        for at in range(first, first + self.size):
            vector, turn = divmod(at, lanes)
            order = range(turn, turn + lanes)
            shifted.append(k.shuffle(ring[vector], ring[vector + 1], order) if turn else ring[vector])
        return tree(shifted, add)

    def power(self, k: Builder, ring: Sequence[Num]) -> tuple[Num, Num]:
        """s and s^-beta in the middle of a ring of squares."""
        s = self.window(k, ring, self.size // 2) * (self.alpha / self.size) + self.k
        if self.beta != 0.75:
            return s, EMIT[ops.Power](k, ops.Power(-self.beta), None, s)
        root = k.unary("sqrt", s)
        return s, 1.0 / (root * k.unary("sqrt", root))


def push(ring: Sequence[Cell], value: Num) -> list[Num]:
    """Move the ring on by one vector; returns what it holds."""
    values = [*(cell.value for cell in ring[1:]), value]
    for cell, new in zip(ring, values, strict=True):
        cell.set(new)
    return values


def empty(k: Builder, size: int, lanes: int) -> list[Cell]:
    return [k.cell(0.0, lanes) for _ in range(size)]


@dataclass(frozen=True)
class LocalResponse(Rings):
    """x -> y."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows, lanes, reach = k.int("rows"), self.lanes(k), self.reach(k)
        x, finish = k.tensor("x", (rows, self.C)), self.chain.bind(k, (rows, self.C))
        for row in k.share(rows):
            ring = empty(k, 2 * reach + 1, lanes)
            for vector in range(reach):
                push(ring, square(self.read(k, x, row, vector)))
            for vector in k.range(self.vectors(k)):
                squares = push(ring, square(self.read(k, x, row, vector + reach)))
                _, power = self.power(k, squares)
                c = vector * lanes
                finish(self.read(k, x, row, vector) * power, row, c, count=k.min(self.C - c, lanes))


def square(a: Num) -> Num:
    return a * a


@dataclass(frozen=True)
class LocalResponseGradient(Rings):
    """dy, x -> dx."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("rows", "dy", "x", *self.chain.arguments)

    def build(self, k: Builder) -> None:
        rows, lanes, reach = k.int("rows"), self.lanes(k), self.reach(k)
        x, dy = (k.tensor(name, (rows, self.C)) for name in ("x", "dy"))
        finish, factor = self.chain.bind(k, (rows, self.C)), -2 * self.alpha * self.beta / self.size
        for row in k.share(rows):
            follow = self.follow(k, x, dy, row)
            for vector in range(reach):
                follow(vector)
            for vector in k.range(self.vectors(k)):
                own, others = follow(vector + reach)
                c = vector * lanes
                value = k.fma(self.read(k, x, row, vector) * factor, self.window(k, others, (self.size - 1) // 2), own)
                finish(value, row, c, count=k.min(self.C - c, lanes))

    def follow(self, k: Builder, x: Tensor, dy: Tensor, row: IntLike) -> Callable[[IntLike], tuple[Num, list[Num]]]:
        """A function that moves all rings to a vector: dy * s^-beta of the vector `reach` behind it, and the ring of z there."""
        lanes, reach = self.lanes(k), self.reach(k)
        squares, z, own = (empty(k, n, lanes) for n in (2 * reach + 1, 2 * reach + 1, reach + 1))
        for vector in range(reach):
            push(squares, square(self.read(k, x, row, vector)))

        def step(vector: IntLike) -> tuple[Num, list[Num]]:
            s, power = self.power(k, push(squares, square(self.read(k, x, row, vector + reach))))
            gradient = self.read(k, dy, row, vector)
            product = gradient * self.read(k, x, row, vector)
            zero = k.constant(0.0, lanes)  # past the end s may be 0
            term = k.where(product.equals(0.0), zero, product * power / s)
            return push(own, k.where(gradient.equals(0.0), zero, gradient * power))[0], push(z, term)

        return step
