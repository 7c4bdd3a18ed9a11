"""Random words for elements, whoever computes them: Threefry-2x32 with 20 rounds.

    w_i = word i mod 2 of threefry2x32( key (seed, step), counter (i // 2, stream) )

One counter serves two neighbours. Where a vector is known to begin at an even element, half a vector of counters is enough.

Source: Salmon, Moraes, Dror & Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011, section 4.1.
"""

from __future__ import annotations

from striate.kernel.language import Builder, IntLike, Num

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA


def words(k: Builder, key: tuple[Num, Num], start: IntLike, stream: int, lanes: int) -> Num:
    """The words of the elements start .. start + lanes - 1."""
    if lanes >= 4 and k.divisor(start) % 2 == 0:
        half = lanes // 2
        both = threefry(k, key, k.splat(k.from_int(start // 2), half) + k.iota(half), stream)
        return k.shuffle(*both, [lane for i in range(half) for lane in (i, half + i)])
    element = k.splat(k.from_int(start), lanes) + k.iota(lanes)
    first, second = threefry(k, key, element >> 1, stream)
    return k.where((element & 1).equals(0), first, second)


def threefry(k: Builder, key: tuple[Num, Num], counter: Num, stream: int) -> tuple[Num, Num]:
    """Both words of the counters (counter, stream)."""
    k0, k1 = (k.splat(word, counter.lanes) for word in key)
    keys = (k0, k1, k0 ^ k1 ^ PARITY)
    x0, x1 = counter + k0, k1 + stream
    for turn in range(20):
        x0 = x0 + x1
        x1 = k.rotate_left(x1, ROTATIONS[turn % 8]) ^ x0
        if turn % 4 == 3:
            injection = turn // 4 + 1
            x0 = x0 + keys[injection % 3]
            x1 = x1 + (keys[(injection + 1) % 3] + injection)
    return x0, x1
