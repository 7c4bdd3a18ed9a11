"""What operators say that they see, against counting."""

import numpy as np
import pytest

from striate.ops.sight import SAME, Sight, adaptive, aligned, groups, pooling, regrouped, taps, through, writers
from striate.window import Window, spans

WINDOWS = [Window(3), Window(3, 2, pads=(1, 1)), Window(2, 3), Window(4, 1, 2, (3, 0)), Window(1, 2), Window(5, 2, 1, (0, 2))]


@pytest.mark.parametrize("window", WINDOWS)
def test_taps_and_writers_are_each_other_backwards(window):
    n = 13
    out = window.out(n)
    reads = np.array([[pixel in [window.read(p, t) for t in range(window.size)] for pixel in range(n)] for p in range(out)])
    for p in range(out):
        mask = np.arange(out) == p
        assert (taps(window).seen(mask, n) == reads[p]).all()
        assert (taps(window).first(p), taps(window).last(p)) == (window.read(p, 0), window.read(p, window.size - 1))
    for pixel in range(n):
        mask = np.arange(n) == pixel
        found = writers(window).seen(mask, out)
        assert (found == reads[:, pixel]).all()
        marked = np.flatnonzero(found)
        if len(marked):
            assert writers(window).first(pixel) <= marked[0] and marked[-1] <= writers(window).last(pixel)
    several = np.arange(out) % 2 == 0
    assert (taps(window).seen(several, n) == reads[several].any(0)).all()


@pytest.mark.parametrize("n, out", [(7, 3), (29, 4), (5, 5), (2, 6)])
def test_adaptive(n, out):
    law = adaptive(n, out)
    assert [slice(law.first(p), law.last(p) + 1) for p in range(out)] == spans(n, out)
    assert adaptive(n, 1) is None


def test_seen_beyond_the_edges():
    assert Sight(low=-2, high=2).seen(np.array([True, False, False, False]), 4).tolist() == [True, True, True, False]
    assert Sight(low=5, high=7).seen(np.array([True]), 4).tolist() == [False] * 4
    assert Sight(low=1, high=0).seen(np.array([True]), 4).tolist() == [False] * 4  # nothing at all


def test_global_pooling_sees_all():
    assert pooling([Window(7), Window(7)], (7, 7)) == ((0, SAME), None, None, None)
    local = [Window(2, 2), Window(2, 2)]
    assert pooling(local, (2, 2)) == through(local)
    assert pooling([Window(7, pads=(1, 1))], (7,)) == through([Window(7, pads=(1, 1))])


@pytest.mark.parametrize("x, y", [
    ((1, 6, 4), (1, 6, 4)), ((2, 6, 4), (2, 24)), ((2, 24), (2, 6, 4)), ((1, 8, 3, 5), (1, 2, 4, 15)), ((2, 3, 4, 5), (2, 12, 5)),
    ((1, 1, 5), (5,)), ((3, 4), (2, 6)), ((2, 3, 1, 5), (2, 3, 5)),
])
def test_a_reshape_sees_what_it_holds(x, y):
    """The law holds every element; and where axes are kept, cut or joined it says no more than the outermost axis."""
    places = np.stack(np.unravel_index(np.arange(np.prod(x)), x))
    goals = np.stack(np.unravel_index(np.arange(np.prod(x)), y))
    for axis, link in enumerate(regrouped(x, y)):
        if link is None:
            continue
        out, sight = link
        for p in range(y[out]):
            held = set(places[axis][goals[out] == p].tolist())
            assert set(range(sight.first(p), sight.last(p) + 1)) == held


def test_groups_and_broadcasting():
    assert groups((2, 3, 4), (6, 4)) == [([0, 1], [0]), ([2], [1])]
    assert aligned((5, 1), (2, 5, 3)) == ((1, SAME), None)
