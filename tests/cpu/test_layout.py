"""Layouts: equal memory is an equal layout, and every walk over one gives the array back."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.cpu.layout import (
    Layout,
    Packed,
    canonical,
    channels_last,
    columns_of,
    last,
    layout_of,
    plain,
    refine,
    transposed,
)

shapes = st.lists(st.integers(1, 4), min_size=0, max_size=5).map(tuple)
ordered = shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.permutations(range(len(shape)))))


def numbers(shape):
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


def addresses(shape, order):
    """Where each logical element of a shape lies, when its axes are laid out in this order."""
    memory = np.empty(math.prod(shape), np.int64)
    memory[numbers(shape).transpose(order).reshape(-1).astype(int)] = np.arange(math.prod(shape))
    return memory


def reached(extents, strides):
    """The address of each element, row by row."""
    return [sum(i * s for i, s in zip(index, strides, strict=True)) for index in itertools.product(*map(range, extents))]


@given(ordered)
def test_pack_is_the_order_of_axes_and_unpack_its_way_back(item):
    shape, order = item
    layout, x = layout_of(shape, order), numbers(shape)
    flat = layout.pack(x)
    np.testing.assert_array_equal(flat, x.transpose(order).reshape(-1))
    np.testing.assert_array_equal(layout.pack(x, out := np.empty_like(flat)), out)
    np.testing.assert_array_equal(out, flat)
    np.testing.assert_array_equal(layout.unpack(flat, shape), x)
    assert layout.size == x.size


@given(ordered, st.data())
def test_layouts_are_equal_where_memory_is(item, data):
    shape, order = item
    other = data.draw(st.permutations(range(len(shape))))
    same = np.array_equal(addresses(shape, order), addresses(shape, other))
    assert (layout_of(shape, order) == layout_of(shape, other)) == same


@given(ordered)
def test_strides_lead_to_every_element(item):
    shape, order = item
    layout = layout_of(shape, order)
    np.testing.assert_array_equal(reached(layout.dims, layout.strides()), addresses(shape, order))


@given(ordered, st.data())
def test_transposed_is_the_same_memory(item, data):
    shape, order = item
    axes = data.draw(st.permutations(range(len(shape))))
    layout = layout_of(shape, order)
    turned = transposed(layout, shape, axes)
    assert turned is not None  # a layout of a shape nests in it
    x = numbers(shape)
    np.testing.assert_array_equal(turned.pack(x.transpose(axes)), layout.pack(x))


@given(ordered, shapes)
def test_refine(item, dims):
    """The finer axes are those of the layout and of dims, with the layout's addresses; None where they do not nest."""
    shape, order = item
    if math.prod(shape) != math.prod(dims):
        dims = shape
    layout = layout_of(shape, order)
    finer = refine(layout, dims)
    cuts = {math.prod(dims[i:]) for i in range(len(dims) + 1)} | {math.prod(layout.dims[i:]) for i in range(len(layout.dims) + 1)}
    nests = all(b % a == 0 for a, b in itertools.pairwise(sorted(cuts)))
    assert (finer is not None) == nests
    if finer is not None:
        extents, strides = finer
        np.testing.assert_array_equal(reached(extents, strides), addresses(shape, order))


@given(ordered, st.integers(0, 5))
def test_columns_lie_behind_one_another(item, cut):
    """Where there are columns, row i is the memory from i * columns on, in their order."""
    shape, order = item
    columns = math.prod(shape[cut:])
    layout, x = layout_of(shape, order), numbers(shape)
    rows = layout.pack(x).reshape(-1, columns)
    apart = np.array_equal(np.sort(rows, 1), x.reshape(-1, columns))  # each row of memory holds the numbers of that row
    alike = all(np.array_equal(np.argsort(row), np.argsort(rows[0])) for row in rows)
    found = columns_of(layout, columns)
    assert (found is not None) == (apart and alike)
    for row, memory in zip(x.reshape(-1, columns), rows, strict=True):
        assert found is None or np.array_equal(found.pack(row), memory)


@pytest.mark.parametrize("shape", [(8, 16, 5, 5), (1, 16, 5, 5), (8, 1, 5, 5), (8, 16, 1, 1), (1, 1, 1, 1), (3, 4, 5)])
def test_flattened_images_have_columns(shape):
    """What makes flatten + linear free."""
    layout = channels_last(shape)
    found = columns_of(layout, math.prod(shape[1:]))
    assert found == layout_of(shape[1:], (*range(1, len(shape) - 1), 0))


def test_names():
    assert channels_last((2, 3)) == plain((2, 3)) and channels_last((2, 3, 4)) == Layout((2, 3, 4), (0, 2, 1))
    assert canonical((2, 3, 4)) == plain((2, 3, 4)) and canonical((2, 3, 4, 5)) == channels_last((2, 3, 4, 5))
    assert last((2, 3, 4), 0) == Layout((2, 12), (1, 0)) and last((2, 3, 4), 2) == plain((2, 3, 4))
    assert plain(()).size == 1 and plain((2, 3)).plain and not channels_last((2, 3, 4)).plain


@pytest.mark.parametrize("groups, K, C, R, S, lanes", [
    (1, 5, 3, 3, 2, 8), (2, 16, 4, 1, 1, 16), (3, 1, 1, 3, 3, 1), (1, 17, 9, 2, 2, 4),
])  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_packed_weights(groups, K, C, R, S, lanes, turned):
    form = Packed(groups, K, C, R, S, lanes, turned)
    w = numbers((groups * K, C, R, S)) + 1
    flat = form.pack(w)
    np.testing.assert_array_equal(form.pack(w, np.full_like(flat, np.nan)), flat)
    assert flat.size == form.size == np.count_nonzero(flat) + form.size - w.size  # each weight once, zeros past the end
    np.testing.assert_array_equal(form.unpack(flat, w.shape), w)
    across, along = (C, K) if turned else (K, C)
    cut = flat.reshape(groups, form.blocks, R, S, along, lanes)
    for g, k, c in itertools.product(range(groups), range(K), range(C)):
        lane, inner = (c, k) if turned else (k, c)
        np.testing.assert_array_equal(cut[g, lane // lanes, :, :, inner, lane % lanes], w[g * K + k, c])
    assert form.vectored == across


def test_packed_columns():
    """A linear layer's columns in the order of an image in memory."""
    columns = layout_of((2, 3, 2), (1, 2, 0))
    form, w = Packed(1, 5, 12, 1, 1, 8, columns=columns), numbers((5, 12))
    flat = form.pack(w)
    np.testing.assert_array_equal(form.unpack(flat, w.shape), w)
    np.testing.assert_array_equal(flat.reshape(12, 8)[:, 3], columns.pack(w[3]))
    turned = replace(form, turned=True)
    flat = turned.pack(w)
    np.testing.assert_array_equal(turned.unpack(flat, w.shape), w)
    np.testing.assert_array_equal(flat.reshape(2, 5, 8).transpose(1, 0, 2).reshape(5, 16)[3, :12], columns.pack(w[3]))
