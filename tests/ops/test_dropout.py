"""Dropout: known answers of its generator, and a mask that counts channels last."""

import numpy as np
import pytest
from tests.helpers import check_op, close, draw, gradients_of

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.ops import Spec
from striate.ops.dropout import threefry2x32

ANSWERS = [  # key, counter, output: kat_vectors of the Random123 distribution, threefry2x32 with 20 rounds
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize("key, counter, output", ANSWERS)
def test_known_answers(key, counter, output):
    first, second = threefry2x32(key, *(np.array([c], np.uint32) for c in counter))
    assert (int(first[0]), int(second[0])) == output


def mask(shape, p=0.5, stream=0, seed=0, step=0):
    return ops.Dropout(p, stream).reference(np.ones(shape), np.array([seed, step])) != 0


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7,), (3, 5), ()], ids=str)
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_dropout(p, shape):
    check_op(ops.Dropout(p, 1), draw(*shape), np.array([5, 7]))


def test_kept_values_are_scaled_up_and_their_share_is_1_minus_p():
    x = 1 + np.abs(draw(100, 100))
    y = ops.Dropout(0.3, 0).reference(x, np.array([1, 2]))
    close(y[y != 0], x[y != 0] / 0.7)
    assert abs((y != 0).mean() - 0.7) < 0.01


def test_the_ends_of_p():
    x, random = draw(50), np.array([0, 0])
    assert np.array_equal(ops.Dropout(0.0, 0).reference(x, random), x)
    assert not ops.Dropout(1.0, 0).reference(x, random).any()


def test_kept_values_may_stay_as_they_are():
    x, random = draw(100), np.array([1, 2])
    y = ops.Dropout(0.3, 0, scaled=False).reference(x, random)
    assert np.array_equal(y[y != 0], x[y != 0]) and np.array_equal(y != 0, ops.Dropout(0.3, 0).reference(x, random) != 0)
    check_op(ops.Dropout(0.3, 0, scaled=False), x, random)


def test_the_gradient_has_the_same_mask():
    x, random = draw(4, 5), np.array([3, 4])
    op = ops.Dropout(0.5, 2)
    close(gradients_of(op, (x, random), np.ones((4, 5)))[0], op.reference(np.ones((4, 5)), random))


def test_elements_count_with_channels_last():
    last = mask((2, 4 * 5 * 3)).reshape(2, 4, 5, 3)
    assert np.array_equal(mask((2, 3, 4, 5)), last.transpose(0, 3, 1, 2))


def test_seed_step_stream_and_their_low_32_bits():
    masks = [mask(256), mask(256, seed=1), mask(256, step=1), mask(256, stream=1)]
    assert len({m.tobytes() for m in masks}) == 4
    assert np.array_equal(mask(256, seed=-1), mask(256, seed=0xFFFFFFFF))
    assert np.array_equal(mask(256, step=2**32 + 1), mask(256, step=1))


def test_the_draws_follow_the_equation():
    i = np.arange(64, dtype=np.uint32)
    first, second = threefry2x32((11, 13), i // 2, np.full(64, 2, np.uint32))
    words = np.where(i % 2 == 0, first, second)
    assert np.array_equal(mask(64, 0.25, stream=2, seed=11, step=13), words >> 8 >= round(0.25 * 2**24))


def test_errors():
    with pytest.raises(ArgumentError) as error:
        ops.Dropout(1.5, 0)
    assert error.value.args == ("dropout's p is a probability from 0 to 1, got 1.5",)
    with pytest.raises(ShapeError) as error:
        ops.Dropout(0.5, 0).infer(Spec((2, 3)), Spec((2,)))
    assert error.value.args == ("random is float32 (2,) but holds int64 (2,): seed and step; use graph.random_state()",)
