"""Winograd convolution F(4x4, 3x3) or F(6x6, 3x3), channels last: 3x3 windows at stride 1, and their input gradient.

    y[n, p0 + p, q0 + q, k] = chain( (A' [ sum_c u[e, c, k] * v[e, tile, c] ] A)[p, q] )     e: the points
                                                                                           (p0, q0): of the tile

The input gradient is the same convolution of dy with the filter turned by 180 degrees, C and K exchanged, and pads 2 - pads.

Layouts   x (N, H, W, C) without padding   u (points, K/lanes, C, lanes)   y (N, P, Q, K)
Work      a block of tiles is brought to the points once by each thread that works on it (v); then for some groups of `vectors`
          output vectors come the matrix products (m), one for each point, and the way back. A task is one group of one block.
          u streams through while v and m stay: its next lines are asked for during the products.
Scratch   strip, v, m and the half-way result of one tile: a thread's own, so it stays in the second-level cache
Registers `pixels` x `vectors` sums + `vectors` weights + 1 broadcast pixel

The transforms and their source stand in winograd.py, how tiles lie in winograd_tiles.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.cpu.kernels.loops import channel_vectors, once
from striate.cpu.kernels.pointwise import Chain
from striate.cpu.kernels.scratch import Shape, floats, packed_shape, private, round_up
from striate.cpu.kernels.winograd import FOUR, TAPS, Form, points_shape
from striate.cpu.kernels.winograd_cost import BACK, INTO, SPEED, block_of, run_of, units_of
from striate.cpu.kernels.winograd_tiles import Block, Tiles, Transform
from striate.kernel.language import Builder, IntLike, Tensor, narrow
from striate.kernel.machine import LINE, Machine
from striate.kernel.sharing import part_of
from striate.window import Window

Pads = tuple[tuple[int, int], tuple[int, int]]
Scratch = dict[str, Tensor]
Finish = Callable[..., Any]
PLAIN = Chain()
GROUPS = 2


def out_size(H: int, W: int, pads: Pads) -> tuple[int, int]:
    """(P, Q) of a 3x3 window at stride 1."""
    height, width = (Window(TAPS, pads=both) for both in pads)
    return height.out(H), width.out(W)


def filter_shape(form: Form, C: int, K: int, lanes: int) -> Shape:
    """(shape, strides) of u."""
    blocks = -(-K // lanes)
    return (form.points, blocks, C, lanes), (blocks * C * lanes + LINE, C * lanes, lanes, 1)


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
    form: Form = FOUR

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("w", "u")

    @property
    def u_lanes(self) -> int:
        return self.out_lanes or self.lanes

    @property
    def channels(self) -> tuple[int, int]:
        """(in, out) of u."""
        return (self.K, self.C) if self.rotated else (self.C, self.K)

    def u_floats(self) -> int:
        """Floats that u needs."""
        shape, strides = filter_shape(self.form, *self.channels, self.u_lanes)
        return shape[0] * strides[0]

    def build(self, k: Builder) -> None:
        w = k.tensor("w", (-(-self.K // self.lanes), TAPS * TAPS, self.C, self.lanes))
        (C, K), form = self.channels, self.form
        shape, strides = filter_shape(form, C, K, self.u_lanes)
        u = k.tensor("u", shape, strides=strides)
        for task in k.share(shape[1] * C):
            block, c = task // C, task % C
            if self.rotated:
                self.turn(k, w, u, block, c)
            places = [(tap, block) if self.rotated else (block, tap) for tap in range(TAPS * TAPS)]
            taps = [(u if self.rotated else w).vec(*place, c, 0, lanes=self.u_lanes) for place in places]
            rows = [form.scaled(form.evaluate(k, taps[r * TAPS: (r + 1) * TAPS])) for r in range(TAPS)]
            for b_ in range(form.side):
                for a, value in enumerate(form.scaled(form.evaluate(k, [rows[r][b_] for r in range(TAPS)]))):
                    u.store(value, a * form.side + b_, block, c, 0)

    def turn(self, k: Builder, w: Tensor, u: Tensor, block: IntLike, c: IntLike) -> None:
        """Taps of in-channel c (one of K), turned, lanes over out-channels (of C); they wait in the first nine places of u."""
        last = TAPS * TAPS - 1
        filled = k.min(block * -self.u_lanes + self.C, self.u_lanes)
        for i in k.range(filled):
            for tap in range(TAPS * TAPS):
                u.store(w[c // self.lanes, last - tap, block * self.u_lanes + i, c % self.lanes], tap, block, c, i)
        for i in k.range(filled, self.u_lanes):
            for tap in range(TAPS * TAPS):
                u.store(k.constant(0.0), tap, block, c, i)


@dataclass(frozen=True)
class ConvWinograd(Kernel):
    """Sizes and choices of one convolution; see the head of this file and `winograd_for`.

    pads: ((top, bottom), (left, right)), each 0 to 2; lanes: of u and of the output vectors; in_lanes: of the input vectors;
    run: tiles of a unit; units: units of a block at most; pixels, vectors: the register tile; groups: how many groups of vectors
    go through all points before the way back.

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
    groups: int = 1
    chain: Chain = PLAIN
    form: Form = FOUR

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("N", "x", "u", "scratch", *self.chain.arguments)

    @property
    def out(self) -> tuple[int, int]:
        """(P, Q)"""
        return out_size(self.H, self.W, self.pads)

    @property
    def tiles(self) -> Tiles:
        return Tiles(*self.out, self.run, self.form)

    @property
    def slots(self) -> int:
        """Tiles of a block."""
        return self.run * self.units

    @property
    def into(self) -> Transform:
        """Of pixels to the points."""
        low = self.pads[0][0], self.pads[1][0]
        return Transform(self.H, self.W, self.C, low, self.form.separate, self.form.side, self.tiles, self.in_lanes)

    def scratch(self) -> dict[str, Shape]:
        """What lies in a thread's scratch: the strip, the half-way result of one tile, m and v.

        v is the last one: m is read in steps of some KB, for which a core asks ahead, and what lies behind it must not be the
        strip of the next thread, which would lose its lines while it writes them.
        """
        side = self.form.side
        return {
            "strip": self.into.strip(round_up(self.C, self.in_lanes)),
            "half": packed_shape(self.form.tile, side, self.lanes),
            "m": self.products_shape(),
            "v": points_shape(self.form, self.slots, round_up(self.C, self.in_lanes)),
        }

    @property
    def spread(self) -> int:
        """Channels for which one line of the next weights is asked for: a few tiles of a block ask for all of them."""
        return 1 if self.C % 2 else 2

    def products_shape(self) -> Shape:
        """(shape, strides) of m; the tiles that a register tile writes lie in different cache sets."""
        side, vectors = self.form.side, self.groups * self.vectors
        steps = side * side * self.lanes, side * self.lanes, self.lanes, 1
        return (self.slots, vectors, side, side, self.lanes), (vectors * steps[0] + LINE, *steps)

    def scratch_floats(self) -> int:
        """Floats of scratch that each thread needs.

        >>> ConvWinograd(64, 28, 28, 64, ((1, 1), (1, 1))).scratch_floats() * 4 // 1024
        432
        """
        return floats(self.scratch())

    def build(self, k: Builder) -> None:
        N = k.int("N")
        x = k.tensor("x", (N, self.H, self.W, self.C))
        shape, strides = filter_shape(self.form, self.C, self.K, self.lanes)
        u = k.tensor("u", shape, strides=strides)
        own = private(k, self.scratch())
        finish = self.chain.bind(k, (N, *self.out, self.K))
        total = self.tiles.units(N)
        whole, rest = divmod(shape[1], self.vectors)
        groups = whole + (1 if rest else 0)
        blocks = (total + (self.units - 1)) // self.units
        for begin, end in k.stretches(blocks * groups, unit=groups):
            block = begin // groups
            first, last = part_of(block, blocks, total)
            units = last - first
            tiles = Block(k, self.tiles, first, units)
            for unit in k.range(first, last):
                self.into.build(k, x, own["strip"], own["v"], tiles, unit)
            low, high = block * -groups + begin, block * -groups + end
            stop = k.min(high, whole)
            for group in k.range(low, stop, self.groups):
                count = k.min(stop - group, self.groups)
                self.outputs(k, u, own, finish, tiles, units, group * self.vectors, count, self.vectors)
            if rest:
                for _ in k.when(k.int_compare("gt", high, whole)):
                    self.outputs(k, u, own, finish, tiles, units, whole * self.vectors, 1, rest)

    def outputs(self, k: Builder, u: Tensor, own: Scratch, finish: Finish, tiles: Block, units: IntLike, first: IntLike,
                groups: IntLike, vectors: int) -> None:
        """So many groups of output vectors of a block, from the first: the products, then the way back."""
        side, last = self.form.side, first + groups * vectors
        for a in k.range(side):
            for b in k.range(side):
                for group in k.range(groups):
                    e, over = a * side + b, (group + 1) // groups
                    after = k.min(e + over, self.form.points - 1), first + (group + 1 - over * groups) * vectors
                    panels = tuple(self.panel(k, u, place, vectors) for place in ((e, first + group * vectors), after))
                    self.products(k, panels, own, (a, b), tiles.range(a, b), group * vectors, vectors)
        for unit in k.range(tiles.first, tiles.first + units):
            n, row, tile = self.tiles.place(unit)
            slots = tiles.slots(unit)
            for t in k.range(self.tiles.in_run(k, tile)):
                for vector, count in channel_vectors(k, self.K, self.lanes, first, last):
                    self.back(k, own, tiles.slot(slots, t), vector - first)
                    self.write(k, own, finish, (n, row, tile + t, vector * self.lanes), count)

    def panel(self, k: Builder, u: Tensor, place: tuple[IntLike, IntLike], vectors: int) -> Tensor:
        """The lines of u for a group of vectors at one point: place = (point, first vector)."""
        return u.view((vectors * self.C, self.lanes), offset=once(k, u.flat((*place, 0, 0))))

    def products(self, k: Builder, panels: tuple[Tensor, ...], own: Scratch, point: tuple[IntLike, IntLike],
                 slots: tuple[IntLike, IntLike], q: IntLike, vectors: int) -> None:
        """m = v u at one point for a group of vectors: `pixels` tiles at a time, then what is left by four, two and one."""
        begin, last = slots
        for rows in (self.pixels, *(n for n in (4, 2, 1) if n < self.pixels)):
            end = begin + (last - begin) // rows * rows
            for i in k.range(begin, end, rows):
                self.product(k, panels, own, point, i, rows, q, vectors)
            if self.pixels % rows == 0 and self.tiles.divide(rows):
                break
            begin = end

    def product(self, k: Builder, panels: tuple[Tensor, ...], own: Scratch, point: tuple[IntLike, IntLike], i: IntLike,
                rows: int, q: IntLike, vectors: int) -> None:
        """One register tile, which meanwhile asks for its part of the next panel."""
        (now, after), e, spread = panels, point[0] * self.form.side + point[1], self.spread
        sums = [[k.cell(0.0, self.lanes) for _ in range(vectors)] for _ in range(rows)]
        part = k.min(i // rows, spread * vectors - 1) * (self.C // spread)
        v = own["v"]
        tiles = v.view((rows, self.C), (v.strides[1], 1), once(k, v.flat((e, i, 0)) - v.offset))
        for step in k.range(self.C // spread):
            k.prefetch(after, (part + step, 0))
            for c in (step * spread + n for n in range(spread)):
                weights = [now.vec(j * self.C + c, 0, lanes=self.lanes) for j in range(vectors)]
                for p in range(rows):
                    pixel = k.splat(tiles[p, c], self.lanes)
                    for j in range(vectors):
                        sums[p][j].fma(pixel, weights[j])
        for p in range(rows):
            for j in range(vectors):
                own["m"].store(sums[p][j].value, i + p, q + j, *point, 0)

    def back(self, k: Builder, own: Scratch, slot: IntLike, q: IntLike) -> None:
        """half = m A for one tile and one vector of channels."""
        form = self.form
        for a in k.range(form.side):
            row = form.collect(k, [own["m"].vec(slot, q, a, b, 0, lanes=self.lanes) for b in range(form.side)], form.tile)
            for j, value in enumerate(row):
                own["half"].store(value, j, a, 0)

    def write(self, k: Builder, own: Scratch, finish: Finish, place: tuple[IntLike, ...], count: int | None) -> None:
        """A' half, column by column, as far as there are outputs."""
        (n, row, tile, c), rows, columns, form = place, self.tiles.height, self.tiles.width, self.form
        p0, q0 = rows.start(k, row), columns.start(k, tile)
        for j in k.range(columns.size(k, tile)):
            column = form.collect(k, [own["half"].vec(j, a, 0, lanes=self.lanes) for a in range(form.side)], form.tile)
            for p in range(form.tile):
                enough = rows.at_least(p + 1)
                for _ in [0] if enough == rows.count else k.when(k.int_compare("lt", row, enough)) if enough else []:
                    finish(column[p], n, p0 + p, q0 + j, c, count=count)


def winograd_for(machine: Machine, C: int, H: int, W: int, K: int, pads: Pads, chain: Chain = PLAIN,
                 form: Form = FOUR) -> ConvWinograd:
    """The choices for a machine, as measured."""
    tiles = run_of(*out_size(H, W, pads), form)
    return ConvWinograd(
        C, H, W, K, pads,
        lanes=narrow(K, machine.lanes),
        in_lanes=narrow(C, machine.lanes),
        run=tiles.run,
        units=units_of(tiles, block_of(C * K * form.points)),
        pixels=6 if machine.registers < 32 else 7 if tiles.divide(7) else 8,
        vectors=2 if K > machine.lanes else 1,
        groups=min(GROUPS, -(-K // (2 * machine.lanes))),
        chain=chain,
        form=form,
    )


def balanced(conv: ConvWinograd, images: int, threads: int) -> ConvWinograd:
    """The same convolution, in smaller blocks where there are so few that threads would wait for each other.

    >>> conv = ConvWinograd(128, 28, 28, 128, ((1, 1), (1, 1)))
    >>> balanced(conv, 1, 2).units, balanced(conv, 1, 1).units, balanced(conv, 64, 2).units
    (1, 4, 4)
    """
    total = images * conv.tiles.height.count * conv.tiles.segments
    if total > 4 * threads * conv.units:
        return conv
    halves = sorted({max(1, conv.units >> i) for i in range(3)}, reverse=True)  # few, as each is a kernel of its own
    return min((replace(conv, units=units) for units in halves), key=lambda choice: span(choice, total, threads))


def span(conv: ConvWinograd, total: int, threads: int) -> float:
    """Cycles of the thread that takes longest, as `winograd_cost` counts them, for so many units.

    A vector of u takes one cycle more for each block, as it is asked for ahead of time.
    """
    points, c, k = conv.form.points, -(-conv.C // 16), -(-conv.K // conv.lanes)
    blocks, groups = -(-total // conv.units), -(-k // conv.vectors)
    sizes = [last - first for first, last in (part_of(b, blocks, total) for b in range(blocks))]
    into = conv.run * INTO * c * points / FOUR.points
    products = conv.run * conv.vectors * (points * conv.C / SPEED + BACK * points / FOUR.points)
    panel = points * conv.C * conv.vectors

    def cycles(first: int, last: int) -> float:
        met = range(first // groups, -(-last // groups))
        return sum(sizes[b] * into for b in met) + sum(sizes[task // groups] * products + panel for task in range(first, last))

    tasks = blocks * groups
    return max(cycles(*part_of(t, threads, tasks)) for t in range(threads))
