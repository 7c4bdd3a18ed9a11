"""The kernel language: its three meanings agree, and its refusals name the author's line."""

import numpy as np
import pytest

from striate.errors import ArgumentError, KernelError
from striate.kernel.compile import assembly, object_code
from striate.kernel.emit import Emit
from striate.kernel.interpret import Interpret, interpret
from striate.kernel.language import Int
from striate.kernel.machine import FORMS, host, named
from striate.kernel.sharing import SHARES, STRETCHES
from striate.kernel.show import show


def emit(build, machine=None, arguments=("x", "y")) -> str:
    k = Emit(machine or host(), arguments)
    build(k)
    return k.text()


def scaled_copy(k):
    x, y = k.tensor("x", (4, 8)), k.tensor("y", (4, 8))
    for i in k.share(4):
        y.store(k.fma(x.vec(i, 0, lanes=8), k.constant(2.0, 8), k.constant(1.0, 8)), i, 0)


def test_three_meanings():
    x, y = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
    interpret(scaled_copy, named("avx2"), {"x": x, "y": y}, threads=3)
    np.testing.assert_array_equal(y, 2 * x + 1)
    assert "@llvm.fma.v8f32" in emit(scaled_copy)
    assert show(scaled_copy, named("avx2"), ("x", "y")).splitlines()[-1].strip() == "y[j, 0:+8] = (1 + x[j, 0:+8] * 2)"


@pytest.mark.parametrize("form", FORMS)
def test_every_machine_has_code(form):
    code = object_code(emit(scaled_copy, named(form)), named(form))
    assert code[:4] == b"\x7fELF"


def test_a_number_becomes_an_index():
    def picked(k):
        x, y = k.tensor("x", (4,)), k.tensor("y", (1,))
        y.store(x[k.to_int(k.unary("to_i32", x[0]))], 0)

    x, y = np.array([2.5, 7.0, 9.0, 1.0], np.float32), np.zeros(1, np.float32)
    interpret(picked, named("avx2"), {"x": x, "y": y})
    assert y.item() == 9
    assert "sext i32" in emit(picked) and show(picked, named("avx2"), ("x", "y")) == "y[0] = x[to_i32(x[0])]\n"


def test_what_divides_an_index_whatever_the_loops_do():
    found = []

    def walk(k):
        for i in k.range(8, 80, 8):
            for j in k.range(i, 80, 8):
                found.append([k.divisor(v) for v in (i, 3 * i + 4, 6 * j, 6 * j + 4 * i, j + 1, 10)])

    emit(walk)
    assert found == [[8, 4, 6, 2, 1, 10]]


def test_the_largest_lane_is_found_by_halves():
    def peak(k):
        x, y = k.tensor("x", (16,)), k.tensor("y", (1,))
        y.store(k.reduce("max", x.vec(0, lanes=16)), 0)

    text = emit(peak)
    assert text.count("select") == 4 and "vector.reduce.fmax" not in text


def test_a_cell_lives_in_a_register():
    def dot(k):
        x, y, total = k.tensor("x", (64, 16)), k.tensor("y", (16,)), k.cell(0.0, 16)
        for i in k.range(64):
            total.add(x.vec(i, 0, lanes=16))
        y.store(total.value, 0)

    assert not [line for line in assembly(emit(dot, named("avx512")), named("avx512")).splitlines() if "rsp)" in line]


def test_indices_are_affine():
    k = Emit(host(), ())
    i, j = k.as_int("%i"), k.as_int("%j")
    total = (i * 6 + j + 4) - (j + 1)
    assert isinstance(total, Int) and (total.terms, total.const) == ({"%i": 6}, 3)
    assert (total + i * -6) == 3
    assert (i * 6 + 12) // 3 != 0 and ((i * 6 + 12) // 3).terms == {"%i": 2}


def test_mixed_lanes_are_refused():
    def build(k):
        x = k.tensor("x", (8,))
        return x.vec(0, lanes=8) * x[0]

    with pytest.raises(KernelError) as error:
        emit(build)
    line = build.__code__.co_firstlineno + 2
    assert str(error.value) == (f"test_language.py:{line}: mul: f32 x 8 with f32 x 1; "
                                "broadcast a scalar with k.splat(x, lanes) first")


def test_a_loop_left_early_is_refused():
    def build(k):
        for _ in k.range(4):
            break

    with pytest.raises(KernelError) as error:
        emit(build)
    line = build.__code__.co_firstlineno + 1
    assert str(error.value) == f"loop opened at test_language.py:{line} was left by break or return; it must run to its end"


@pytest.mark.parametrize("meaning", ["emit", "interpret"])
def test_a_value_has_no_truth_while_it_is_written(meaning):
    def build(k):
        if k.tensor("x", (8,))[0] > 1.0:
            raise AssertionError

    line = build.__code__.co_firstlineno + 1
    with pytest.raises(KernelError) as error:
        emit(build) if meaning == "emit" else interpret(build, host(), {"x": np.zeros(8, np.float32)})
    assert str(error.value) == (f"test_language.py:{line}: a Num is not known while the kernel is written; "
                                "use k.when(...) or k.where(...)")


def test_the_interpreter_checks_bounds():
    def build(k):
        k.tensor("x", (2, 8)).vec(1, 3, lanes=8)

    with pytest.raises(KernelError) as error:
        interpret(build, host(), {"x": np.zeros(16, np.float32)})
    assert str(error.value) == f"test_language.py:{build.__code__.co_firstlineno + 1}: x: index 3..10 on axis 1 is outside 0..7"


def test_unknown_names():
    with pytest.raises(KernelError) as error:
        emit(lambda k: k.tensor("z", (1,)))
    assert str(error.value).endswith("'z' is not among the kernel's arguments ('x', 'y')")
    with pytest.raises(ArgumentError) as unknown:
        named("avx3")
    assert str(unknown.value) == "unknown machine 'avx3'; known are avx512, avx2, sse2, neon"


def stretches(total, threads, thread, unit=0):
    """What a thread does of a share by itself."""
    k = Interpret(named("avx2"), {}, thread, threads)
    return list(k.stretches(total, unit))


def test_a_share_is_cut_into_stretches():
    assert stretches(5, 2, 0) == [(0, 1), (1, 2)] and stretches(5, 2, 1) == [(2, 3), (3, 4), (4, 5)]
    assert stretches(64, 2, 1)[:2] == [(32, 34), (34, 36)] and len(stretches(64, 2, 1)) == STRETCHES
    assert stretches(25, 2, 0, unit=5) == [(0, 5), (5, 10), (10, 12)]
    assert stretches(25, 2, 1, unit=5) == [(12, 15), (15, 20), (20, 25)]
    assert stretches(3, 1, 0, unit=5) == [(0, 3)]
    assert [stretches(1, 3, thread, unit=4) for thread in range(3)] == [[], [], [(0, 1)]]
    assert stretches(0, 2, 1) == []


@pytest.mark.parametrize("total", [0, 1, 2, 7, 33, 100])
@pytest.mark.parametrize("unit", [0, 1, 3, 8])
def test_stretches_of_all_threads_are_the_whole(total, unit):
    for threads in (1, 2, 3, 5):
        found = [s for thread in range(threads) for s in stretches(total, threads, thread, unit)]
        assert [i for begin, end in found for i in range(begin, end)] == list(range(total))
        assert all(begin // unit == (end - 1) // unit for begin, end in found if unit)


def test_stretches_in_a_loop_keep_their_unit():
    k = Interpret(named("avx2"), {}, 0, 2)
    assert [list(k.stretches(20, unit=3)) for _ in k.range(2)] == [[(0, 3), (3, 6), (6, 9), (9, 10)]] * 2


def test_a_share_in_a_loop_is_not_passed_on():
    def often(k):
        y = k.tensor("y", (3, 5))
        for i in k.range(3):
            for j in k.share(5):
                y.store(k.constant(1.0), i, j)

    def many(k):
        y = k.tensor("y", (SHARES + 2, 5))
        for i in range(SHARES + 2):
            for j in k.share(5):
                y.store(k.constant(1.0), i, j)

    assert "atomicrmw" not in emit(often) and emit(many).count("atomicrmw") == SHARES
    for build, size in ((often, 15), (many, 5 * (SHARES + 2))):
        y = np.zeros(size, np.float32)
        interpret(build, named("avx2"), {"y": y}, threads=2)
        assert y.all()
