"""Winograd convolution F(4x4, 3x3), channels last: 3x3 windows at stride 1, and their input gradient.

    y[n, p0 + p, q0 + q, k] = chain( (A' [ sum_c u[e, c, k] * v[e, tile, c] ] A)[p, q] )     e: six by six points
                                                                                           (p0, q0): of the tile

The input gradient is the same convolution of dy with the filter turned by 180 degrees, C and K exchanged, and pads 2 - pads.

Layouts   x (N, H, W, C) without padding   u (K/lanes, 36, C, lanes)   y (N, P, Q, K)
Work      a block of tiles is brought to the points once by each thread that works on it (v); then for each group of `vectors`
          output vectors come the 36 matrix products (m) and the way back. A task is one group of one block.
Scratch   strip, v, m and the half-way result of one tile: a thread's own, so it stays in the second-level cache
Registers `pixels` x `vectors` sums + `vectors` weights + 1 broadcast pixel

The transforms and their source stand in winograd.py, how tiles lie in winograd_tiles.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.winograd import (
    LINE,
    POINTS,
    SIDE,
    TAPS,
    TILE,
    Shape,
    channel_vectors,
    collect,
    evaluate,
    floats,
    packed_shape,
    points_shape,
    private,
    round_up,
    scaled,
    separate,
)
from striate.cpu.kernels.winograd_tiles import Axis, Block, Tiles, Transform
from striate.kernel.language import Builder, IntLike, Tensor, narrow
from striate.kernel.machine import Machine
from striate.window import Window

Pads = tuple[tuple[int, int], tuple[int, int]]
Scratch = dict[str, Tensor]
Finish = Callable[..., Any]
PLAIN = Chain()
WIDEST_RUN, BLOCK = 14, 28  # tiles of a unit at most, and of a block: what they need stays in a second-level cache of 1 MB
HEAVY = 384 * 384  # C * K whose u is too large for the caches


def out_size(H: int, W: int, pads: Pads) -> tuple[int, int]:
    """(P, Q) of a 3x3 window at stride 1."""
    height, width = (Window(TAPS, pads=both) for both in pads)
    return height.out(H), width.out(W)


def filter_shape(C: int, K: int, lanes: int) -> Shape:
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
        """Taps of in-channel c (one of K), turned, lanes over out-channels (of C); they wait in the first nine places of u."""
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
    """Sizes and choices of one convolution; see the head of this file and `winograd_for`.

    pads: ((top, bottom), (left, right)), each 0 to 2; lanes: of u and of the output vectors; in_lanes: of the input vectors;
    run: tiles of a unit; units: units of a block; pixels, vectors: the register tile.

    >>> conv = ConvWinograd(64, 28, 28, 64, ((1, 1), (1, 1)))
    >>> conv.out, conv.tiles.height.count, conv.slots
    ((28, 28), 7, 28)
    """

    C: int
    H: int
    W: int
    K: int
    pads: Pads
    lanes: int = 16
    in_lanes: int = 16
    run: int = 7
    units: int = 4
    pixels: int = 7
    vectors: int = 2
    chain: Chain = PLAIN

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "u", "scratch", *self.chain.arguments)

    @property
    def out(self) -> tuple[int, int]:
        """(P, Q)"""
        return out_size(self.H, self.W, self.pads)

    @property
    def tiles(self) -> Tiles:
        return Tiles(*self.out, self.run)

    @property
    def slots(self) -> int:
        """Tiles of a block."""
        return self.run * self.units

    @property
    def into(self) -> Transform:
        """Of pixels to the points."""
        low = self.pads[0][0], self.pads[1][0]
        return Transform(self.H, self.W, self.C, low, separate, SIDE, self.tiles, self.in_lanes)

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch: the strip, the half-way result of one tile, m and v.

        v is the last one: m is read in steps of some KB, for which a core asks ahead, and what lies behind it must not be the
        strip of the next thread, which would lose its lines while it writes them.
        """
        return {
            "strip": self.into.strip(round_up(self.C, self.in_lanes)),
            "half": packed_shape(TILE, SIDE, self.lanes),
            "m": packed_shape(self.slots, self.vectors, SIDE, SIDE, self.lanes),
            "v": points_shape(self.slots, round_up(self.C, self.in_lanes)),
        }

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs.

        >>> ConvWinograd(64, 28, 28, 64, ((1, 1), (1, 1))).scratch_floats() * 4 // 1024
        431
        """
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N = k.int("N")
        x = k.tensor("x", (N, self.H, self.W, self.C))
        shape, strides = filter_shape(self.C, self.K, self.lanes)
        u = k.tensor("u", shape, strides=strides)
        own = private(k, self.scratch())
        finish = self.chain.bind(k, (N, *self.out, self.K))
        total = self.tiles.units(N)
        whole, rest = divmod(shape[0], self.vectors)
        groups = whole + (1 if rest else 0)
        tasks = (total + (self.units - 1)) // self.units * groups
        begin, end = (tasks * k.thread) // k.threads, (tasks * (k.thread + 1)) // k.threads
        for block in k.range(begin // groups, (end + (groups - 1)) // groups):
            first = block * self.units
            units = k.min(first * -1 + total, self.units)
            tiles = Block(k, self.tiles, first, units)
            for unit in k.range(first, first + units):
                self.into.build(k, x, own["strip"], own["v"], tiles, unit)
            low, high = k.max(block * -groups + begin, 0), k.min(block * -groups + end, groups)
            for group in k.range(low, k.min(high, whole)):
                self.group(k, u, own, finish, tiles, units, group * self.vectors, self.vectors)
            if rest:
                for _ in k.when(k.int_compare("gt", high, whole)):
                    self.group(k, u, own, finish, tiles, units, whole * self.vectors, rest)

    def group(self, k: Builder, u: Tensor, own: Scratch, finish: Finish, tiles: Block, units: IntLike, kb: IntLike,
              vectors: int) -> None:
        """Output vectors kb..kb+vectors-1 of a block: the products, then the way back."""
        for a in k.range(SIDE):
            for b in k.range(SIDE):
                self.products(k, u, own, a, b, tiles.range(a, b), kb, vectors)
        for unit in k.range(tiles.first, tiles.first + units):
            n, row, tile = self.tiles.place(unit)
            slots = tiles.slots(unit)
            for t in k.range(self.tiles.in_run(k, tile)):
                for vector, count in channel_vectors(k, self.K, self.lanes, kb, kb + vectors):
                    self.back(k, own, tiles.slot(slots, t), vector - kb)
                    self.write(k, own, finish, (n, row, tile + t, vector * self.lanes), count)

    def products(self, k: Builder, u: Tensor, own: Scratch, a: IntLike, b: IntLike, slots: tuple[IntLike, IntLike], kb: IntLike,
                 vectors: int) -> None:
        """m = v u at one point: `pixels` tiles at a time, then what is left by four, two and one."""
        begin, last = slots
        for rows in (self.pixels, *(n for n in (4, 2, 1) if n < self.pixels)):
            end = begin + (last - begin) // rows * rows
            for i in k.range(begin, end, rows):
                self.product(k, u, own, a, b, i, rows, kb, vectors)
            if self.pixels % rows == 0 and self.tiles.divide(rows):
                break
            begin = end

    def product(self, k: Builder, u: Tensor, own: Scratch, a: IntLike, b: IntLike, i: IntLike, rows: int, kb: IntLike,
                vectors: int) -> None:
        sums = [[k.cell(0.0, self.lanes) for _ in range(vectors)] for _ in range(rows)]
        e = a * SIDE + b
        for c in k.range(self.C):
            weights = [u.vec(kb + q, e, c, 0, lanes=self.lanes) for q in range(vectors)]
            for p in range(rows):
                pixel = k.splat(own["v"][e, i + p, c], self.lanes)
                for q in range(vectors):
                    sums[p][q].fma(pixel, weights[q])
        for p in range(rows):
            for q in range(vectors):
                own["m"].store(sums[p][q].value, i + p, q, a, b, 0)

    def back(self, k: Builder, own: Scratch, slot: IntLike, q: IntLike) -> None:
        """half = m A for one tile and one vector of channels."""
        for a in k.range(SIDE):
            row = collect(k, [own["m"].vec(slot, q, a, b, 0, lanes=self.lanes) for b in range(SIDE)], TILE)
            for j, value in enumerate(row):
                own["half"].store(value, j, a, 0)

    def write(self, k: Builder, own: Scratch, finish: Finish, place: tuple[IntLike, ...], count: int | None) -> None:
        """A' half, column by column, as far as there are outputs."""
        (n, row, tile, c), rows, columns = place, self.tiles.height, self.tiles.width
        p0, q0 = rows.start(k, row), columns.start(k, tile)
        for j in k.range(columns.size(k, tile)):
            column = collect(k, [own["half"].vec(j, a, 0, lanes=self.lanes) for a in range(SIDE)], TILE)
            for p in range(TILE):
                enough = rows.at_least(p + 1)
                for _ in [0] if enough == rows.count else k.when(k.int_compare("lt", row, enough)) if enough else []:
                    finish(column[p], n, p0 + p, q0 + j, c, count=count)


def winograd_for(machine: Machine, C: int, H: int, W: int, K: int, pads: Pads, chain: Chain = PLAIN) -> ConvWinograd:
    """The choices for a machine, as measured. Where u is far too large for the caches, twice the block halves its reads."""
    tiles = run_of(*out_size(H, W, pads))
    return ConvWinograd(
        C, H, W, K, pads,
        lanes=narrow(K, machine.lanes),
        in_lanes=narrow(C, machine.lanes),
        run=tiles.run,
        units=units_of(tiles, 2 * BLOCK if C * K >= HEAVY else BLOCK),
        pixels=6 if machine.registers < 32 else 7 if tiles.divide(7) else 8,
        vectors=2 if K > machine.lanes else 1,
        chain=chain,
    )


def run_of(P: int, Q: int) -> Tiles:
    """Tiles whose units are whole rows, or equal parts of a row that is too long."""
    columns = Axis(Q).count
    return Tiles(P, Q, -(-columns // -(-columns // WIDEST_RUN)))


def units_of(tiles: Tiles, block: int) -> int:
    """Units of a block of so many tiles or a few more: whole images where they are small, so that blocks are alike."""
    units = -(-block // tiles.run)
    image = tiles.units(1)
    return round_up(units, image) if isinstance(image, int) and image < units else units


def winograd_pays(C: int, K: int, P: int, Q: int, batch: int | None = None) -> bool:
    """Whether it beats the direct convolution by an eighth at least, as `winograd_cost` and `direct_cost` have it.

    batch: images of a run for which u is made anew, as in training; None where u is made once.

    >>> winograd_pays(64, 64, 28, 28), winograd_pays(3, 64, 28, 28), winograd_pays(512, 512, 7, 7, batch=1)
    (True, False, False)
    """
    return direct_cost(C, K, P, Q) > 1.125 * winograd_cost(C, K, P, Q, batch)


def winograd_cost(C: int, K: int, P: int, Q: int, batch: int | None = None) -> float:
    """Cycles for each image on a core with 16 lanes and one product a cycle; other cores differ by a factor, in both costs.

    Measured: the products run at 0.92 of the peak, a tile takes 240 cycles for each vector of inputs and 350 for each of
    outputs, and u, where it is made anew, 16 for each vector, which is the speed of memory.
    """
    c, k, tiles = -(-C // 16), -(-K // 16), run_of(P, Q)
    transforms = tiles.height.count * tiles.width.count * (240 * c + 350 * k)
    return tiles.height.points * tiles.width.points * C * k / 0.92 + transforms + (POINTS * C * k * 16 / batch if batch else 0)


def direct_cost(C: int, K: int, P: int, Q: int) -> float:
    """The same for the direct convolution with a pixel of padding, whose products run at 0.95 and skip the padding."""
    inside = max(TAPS * P - 2, 1) * max(TAPS * Q - 2, 1)
    return inside * C * -(-K // 16) / 0.95
