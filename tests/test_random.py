"""Seeds and streams."""

import subprocess
import sys

import numpy as np
import pytest

from striate import random
from striate.errors import ArgumentError


@pytest.fixture(autouse=True)
def restored():
    before = random.current_seed()
    yield
    random.seed(before)


def test_a_seed_starts_all_afresh():
    random.seed(5)
    first = random.generator().random(4), random.stream("shuffle", 2).random(4)
    random.seed(5)
    assert (random.generator().random(4) == first[0]).all() and (random.stream("shuffle", 2).random(4) == first[1]).all()
    random.seed(6)
    assert random.current_seed() == 6
    assert not (random.generator().random(4) == first[0]).any()
    assert not (random.stream("shuffle", 2).random(4) == first[1]).any()


def test_streams_do_not_disturb_each_other():
    random.seed(5)
    streams = [random.stream("shuffle", 0), random.stream("shuffle", 1), random.stream("augment", 0), random.generator()]
    draws = [tuple(s.integers(2**60, size=2)) for s in streams]
    assert len(set(draws)) == 4
    assert tuple(random.stream("shuffle", 1).integers(2**60, size=2)) == draws[1]


def test_without_a_seed_each_process_has_its_own():
    script = "from striate import random; print(random.current_seed())"
    seeds = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(seeds) == 2


@pytest.mark.parametrize("n", [0, 2**63 - 1, np.int64(3), True])
def test_seeds(n):
    random.seed(n)
    assert random.current_seed() == int(n) and type(random.current_seed()) is int


@pytest.mark.parametrize("n", [-1, 2**63, 1.5, "0", None])
def test_what_is_no_seed(n):
    with pytest.raises(ArgumentError) as error:
        random.seed(n)
    assert str(error.value) == f"a seed is a whole number from 0 to 2**63 - 1, got {n!r}"
