"""Winograd convolution F(4x4, 3x3), channels last: 3x3 windows at stride 1, and their input gradient.

    y[n, 4i + p, 4j + q, k] = chain( (A' [ sum_c u[e, c, k] * v[e, tile, c] ] A)[p, q] )     e: six by six points

The input gradient is the same convolution of dy with the filter turned by 180 degrees, C and K exchanged, and pads 2 - pads.

Layouts   x (N, H, W, C) without padding   u (K/lanes, 36, C, lanes)   y (N, P, Q, K)
Work      a block of tiles is brought to the points once by each thread that works on it (v); then for each group of `vectors`
          output vectors come the 36 matrix products (m) and the way back. A task is one group of one block.
Scratch   strip, v, m and the half-way result of one tile: a thread's own, so it stays in the second-level cache
Registers `pixels` x `vectors` sums + `vectors` weights + 1 broadcast pixel

The transforms and their source stand in winograd.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.winograd import SIDE, TAPS, TILE, Tiles, Transform, channel_vectors, collect, evaluate, round_up, scaled, separate
from striate.kernel.language import Builder, Cell, IntLike, Tensor, narrow
from striate.kernel.machine import Machine

POINTS = SIDE * SIDE
LINE = 16  # floats in a cache line; the 36 points lie one line apart more than needed, or they would share few cache sets


def filter_shape(C: int, K: int, lanes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(shape, strides) of u."""
    point = C * lanes + LINE
    return (-(-K // lanes), POINTS, C, lanes), (POINTS * point, point, lanes, 1)


def filter_floats(C: int, K: int, lanes: int) -> int:
    """Floats of u."""
    shape, strides = filter_shape(C, K, lanes)
    return shape[0] * strides[0]


@dataclass(frozen=True)
class WinogradFilter(Kernel):
    """u = G w G' for w (1, K/lanes, 3, 3, C, lanes) packed as the direct convolution reads it.

    rotated: the filter of the input gradient, K channels in and C out, taps turned by 180 degrees; out_lanes: lanes of its u.
    """

    C: int
    K: int
    lanes: int = 16
    rotated: bool = False
    out_lanes: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("w", "u")

    @property
    def u_lanes(self) -> int:
        return self.out_lanes or self.lanes

    def u_floats(self) -> int:
        """Floats that u needs."""
        return filter_floats(self.K, self.C, self.u_lanes) if self.rotated else filter_floats(self.C, self.K, self.u_lanes)

    def build(self, k: Builder) -> None:
        w = k.tensor("w", (-(-self.K // self.lanes), TAPS * TAPS, self.C, self.lanes))
        C, K = (self.K, self.C) if self.rotated else (self.C, self.K)
        shape, strides = filter_shape(C, K, self.u_lanes)
        u = k.tensor("u", shape, strides=strides)
        for task in k.share(shape[0] * C):
            block, c = task // C, task % C
            if self.rotated:
                self.turn(k, w, u, block, c)
            source, b = (u, block) if self.rotated else (w, block)
            taps = [[source.vec(b, r * TAPS + s, c, 0, lanes=self.u_lanes) for s in range(TAPS)] for r in range(TAPS)]
            rows = [scaled(evaluate(k, taps[r])) for r in range(TAPS)]
            for b_ in range(SIDE):
                for a, value in enumerate(scaled(evaluate(k, [rows[r][b_] for r in range(TAPS)]))):
                    u.store(value, block, a * SIDE + b_, c, 0)

    def turn(self, k: Builder, w: Tensor, u: Tensor, block: IntLike, c: IntLike) -> None:
        """Taps of in-channel c (one of K), turned, with out-channels (of C) for lanes; they wait in the first nine places of u."""
        last = TAPS * TAPS - 1
        filled = k.min(block * -self.u_lanes + self.C, self.u_lanes)
        for i in k.range(filled):
            for tap in range(TAPS * TAPS):
                u.store(w[c // self.lanes, last - tap, block * self.u_lanes + i, c % self.lanes], block, tap, c, i)
        for i in k.range(filled, self.u_lanes):
            for tap in range(TAPS * TAPS):
                u.store(k.constant(0.0), block, tap, c, i)


@dataclass(frozen=True)
class ConvWinograd(Kernel):
    """Sizes and choices of one convolution; see the head of this file.

    pads: ((top, bottom), (left, right)), each 0 to 2; run: tiles of a unit; units: units of a block; lanes: of u.
    """

    C: int
    H: int
    W: int
    K: int
    pads: tuple[tuple[int, int], tuple[int, int]]
    run: int = 7
    units: int = 4
    lanes: int = 16
    pixels: int = 7
    vectors: int = 2
    in_lanes: int = 16
    chain: Chain = Chain()

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "u", "scratch", *self.chain.arguments)

    @property
    def out(self) -> tuple[int, int]:
        """(P, Q)"""
        (top, bottom), (left, right) = self.pads
        return self.H + top + bottom - TAPS + 1, self.W + left + right - TAPS + 1

    @property
    def tiles(self) -> Tiles:
        return Tiles(*self.out, self.run)

    @property
    def slots(self) -> int:
        """Tiles of a block."""
        return self.run * self.units

    def parts(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """(shape, strides) of what lies in a thread's scratch."""
        depth = round_up(self.C, self.in_lanes)
        point = self.slots * depth + LINE
        columns = TILE * (self.run - 1) + SIDE
        wide = self.vectors * self.lanes
        return {
            "strip": ((SIDE, columns, depth), (columns * depth + LINE, depth, 1)),
            "v": ((POINTS, self.slots, depth), (point, depth, 1)),
            "m": ((self.slots, POINTS, wide), (POINTS * wide, wide, 1)),
            "half": ((TILE, SIDE, self.lanes), (SIDE * self.lanes, self.lanes, 1)),
        }

    def scratch_floats(self) -> int:
        """Floats of scratch for each thread."""
        return sum(round_up(shape[0] * strides[0], LINE) for shape, strides in self.parts().values())

    def build(self, k: Builder) -> None:
        N, (P, Q) = k.int("N"), self.out
        x = k.tensor("x", (N, self.H, self.W, self.C))
        shape, strides = filter_shape(self.C, self.K, self.lanes)
        u = k.tensor("u", shape, strides=strides)
        own = k.tensor("scratch", (k.threads, self.scratch_floats()))
        at: IntLike = k.thread * self.scratch_floats()
        views = {}
        for name, (part, steps) in self.parts().items():
            views[name] = own.view(part, steps, at)
            at = at + round_up(part[0] * steps[0], LINE)
        finish = self.chain.bind(k, (N, P, Q, self.K))
        tiles = self.tiles
        (top, _), (left, _) = self.pads
        into = Transform(self.H, self.W, self.C, (top, left), SIDE, separate, tiles, self.in_lanes)
        total = tiles.units(N)
        groups = -(-shape[0] // self.vectors)
        tasks = (total + (self.units - 1)) // self.units * groups
        begin, end = tasks * k.thread // k.threads, tasks * (k.thread + 1) // k.threads
        for block in k.range(begin // groups, (end + (groups - 1)) // groups):
            first = block * self.units
            units = k.min(first * -1 + total, self.units)
            for i in k.range(units):
                into.build(k, x, views["strip"], views["v"], first + i, i * self.run)
            whole = shape[0] // self.vectors
            low, high = k.max(block * -groups + begin, 0), k.min(block * -groups + end, groups)
            for group in k.range(low, k.min(high, whole)):
                self.group(k, u, views, finish, first, units, group * self.vectors, self.vectors)
            if whole < groups:
                for _ in k.when(high > whole):
                    self.group(k, u, views, finish, first, units, whole * self.vectors, shape[0] % self.vectors)

    def group(self, k: Builder, u: Tensor, views: dict[str, Tensor], finish, first: IntLike, units: IntLike, kb: IntLike,
              vectors: int) -> None:
        """Output vectors kb..kb+vectors-1 of a block: the products, then the way back."""
        for e in k.range(POINTS):
            self.products(k, u, views["v"], views["m"], e, units * self.run, kb, vectors)
        for i in k.range(units):
            n, row, tile = self.tiles.place(first + i)
            for j in k.range(self.tiles.in_run(k, tile)):
                for vector, count in channel_vectors(k, self.K, self.lanes, kb, kb + vectors):
                    self.back(k, views, finish, i * self.run + j, n, row, tile + j, vector - kb, vector, count)

    def products(self, k: Builder, u: Tensor, v: Tensor, m: Tensor, e: IntLike, slots: IntLike, kb: IntLike, vectors: int) -> None:
        """m[:, e] = v[e] u[e]: `pixels` rows at a time, then the rest by four, two and one."""
        begin: IntLike = 0
        for rows in (self.pixels, 4, 2, 1):
            if rows > self.pixels or (rows < self.pixels and self.run % self.pixels == 0):
                continue
            end = slots // rows * rows if rows == self.pixels else begin + (slots - begin) // rows * rows
            for i in k.range(begin, end, rows):
                self.product(k, u, v, m, e, i, rows, kb, vectors)
            begin = end

    def product(self, k: Builder, u: Tensor, v: Tensor, m: Tensor, e: IntLike, i: IntLike, rows: int, kb: IntLike, vectors: int) -> None:
        sums = [[k.cell(0.0, self.lanes) for _ in range(vectors)] for _ in range(rows)]
        for c in k.range(self.C):
            weights = [u.vec(kb + q, e, c, 0, lanes=self.lanes) for q in range(vectors)]
            for p in range(rows):
                pixel = k.splat(v[e, i + p, c], self.lanes)
                for q in range(vectors):
                    sums[p][q].fma(pixel, weights[q])
        for p in range(rows):
            for q in range(vectors):
                m.store(sums[p][q].value, i + p, e, q * self.lanes)

    def back(self, k: Builder, views: dict[str, Tensor], finish, slot: IntLike, n: IntLike, row: IntLike, tile: IntLike, q: IntLike,
             vector: IntLike, count: int | None) -> None:
        """A' m A for one tile and one vector of channels: columns first, then each row is finished."""
        P, Q = self.out
        m, half, lanes = views["m"], views["half"], self.lanes
        for b in k.range(SIDE):
            column = collect(k, [m.vec(slot, b + a * SIDE, q * lanes, lanes=lanes) for a in range(SIDE)], TILE)
            for p, value in enumerate(column):
                half.store(value, p, b, 0)
        for p in k.range(k.min(row * -TILE + P, TILE)):
            values = collect(k, [half.vec(p, b, 0, lanes=lanes) for b in range(SIDE)], TILE)

            def store(wide: Sequence[int], p: IntLike = p, values=values) -> None:
                for j in wide:
                    finish(values[j], n, row * TILE + p, tile * TILE + j, vector * lanes, count=count)

            ragged = Q % TILE
            if not ragged:
                store(range(TILE))
            elif self.tiles.columns == 1:
                store(range(ragged))
            else:
                store(range(ragged))
                for _ in k.when(k.int_compare("lt", tile, self.tiles.columns - 1)):
                    store(range(ragged, TILE))
