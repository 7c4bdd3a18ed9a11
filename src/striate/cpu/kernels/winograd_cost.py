"""What Winograd's convolution costs: when it pays, in which form, and how its tiles are cut into units and blocks.

    cycles of an image = points * C*K/16 products / SPEED + tiles * (INTO*C/16 + BACK*K/16) + the reading of u

Numbers are measured on a core with 16 lanes and one product a cycle; other cores differ by a factor, in all costs.
"""

from __future__ import annotations

from striate.cpu.kernels.scratch import round_up
from striate.cpu.kernels.winograd import FOUR, SIX, TAPS, Form
from striate.cpu.kernels.winograd_tiles import Axis, Tiles

WIDEST_RUN, BLOCK = 14, 28  # tiles of a unit at most, and of a block: what they need stays in a second-level cache of 1 MB
INTO, BACK, SPEED = 240, 350, 0.92  # cycles of a tile of 36 points for a vector of inputs, of outputs; of the peak in products
LIGHT, HEAVY = 64 * 64 * 36, 256 * 256 * 64  # C * K * points of a u that is soon read again, and of one too large for the caches


def run_of(P: int, Q: int, form: Form = FOUR) -> Tiles:
    """Tiles whose units are whole rows, or equal parts of a row that is too long."""
    columns = Axis(Q, form=form).count
    return Tiles(P, Q, -(-columns // -(-columns // WIDEST_RUN)), form)


def block_of(size: int) -> int:
    """Tiles of a block for a u of so many numbers: twice as many halve its reads, half as many keep v and m nearer."""
    return BLOCK // 2 if size <= LIGHT else 2 * BLOCK if size >= HEAVY else BLOCK


def units_of(tiles: Tiles, block: int) -> int:
    """Units of a block of so many tiles or a few more: whole images where they are small, so that blocks are alike."""
    units = -(-block // tiles.run)
    image = tiles.units(1)
    return round_up(units, image) if isinstance(image, int) and image < units else units


def winograd_pays(C: int, K: int, P: int, Q: int, batch: int, fixed: bool = False) -> bool:
    """Whether it beats the direct convolution by an eighth at least, as `winograd_cost` and `direct_cost` have it.

    fixed: u is made once for all runs, as in inference, and not for each.

    >>> winograd_pays(64, 64, 28, 28, 16), winograd_pays(3, 64, 28, 28, 16), winograd_pays(512, 512, 7, 7, 1, fixed=True)
    (True, False, False)
    """
    return direct_cost(C, K, P, Q) > 1.125 * winograd_cost(C, K, P, Q, batch, fixed)


def winograd_form(C: int, K: int, P: int, Q: int, batch: int) -> Form:
    """The form for a batch whose u is made once: the larger one where it saves a twelfth, as it rounds more.

    >>> winograd_form(64, 64, 56, 56, 1) is SIX, winograd_form(512, 512, 7, 7, 1) is FOUR
    (True, True)
    """
    four, six = (winograd_cost(C, K, P, Q, batch, True, form) for form in (FOUR, SIX))
    return SIX if six < 11 / 12 * four else FOUR


def winograd_cost(C: int, K: int, P: int, Q: int, batch: int, fixed: bool, form: Form = FOUR) -> float:
    """Cycles for each image. A vector of u takes 16 where it is made anew, which is the speed of memory; where it is fixed 8 each
    time that it comes from memory, once for each large block of tiles.
    """
    c, k, tiles = -(-C // 16), -(-K // 16), run_of(P, Q, form)
    count = tiles.height.count * tiles.width.count
    transforms = count * (INTO * c + BACK * k) * form.points / FOUR.points
    u = 8 * max(1, batch * count / (2 * BLOCK)) if fixed else 16
    return tiles.height.points * tiles.width.points * C * k / SPEED + transforms + form.points * C * k * u / batch


def direct_cost(C: int, K: int, P: int, Q: int) -> float:
    """The same for the direct convolution with a pixel of padding, whose products run at 0.95 and skip the padding."""
    inside = max(TAPS * P - 2, 1) * max(TAPS * Q - 2, 1)
    return inside * C * -(-K // 16) / 0.95
