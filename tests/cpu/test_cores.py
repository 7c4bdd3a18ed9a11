"""Threads that share a core are pushed apart."""

import os
import sys
import threading

import pytest

from striate.cpu import cores
from striate.cpu.cores import PAUSE, Spread, crowded, last_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says where a thread ran, and moves it")


@pytest.mark.parametrize(("places", "allowed", "moves"), [
    ([0, 1], {0, 1}, {}),
    ([1, 1], {0, 1}, {1: 0}),
    ([1, 1, 1], {0, 1}, {1: 0}),
    ([5, 5, 7, 7], {4, 5, 6, 7}, {1: 4, 3: 6}),
    ([0, 0], {0}, {}),
])  # fmt: skip
def test_all_but_the_first_on_a_core_move(places, allowed, moves):
    assert crowded(places, allowed) == moves


def test_a_thread_runs_on_an_allowed_core():
    assert last_core(threading.get_native_id()) in os.sched_getaffinity(0)


def watched(monkeypatch, places, now):
    """A team of the caller and two workers at these cores, and the changes that it asks for."""
    asked, caller = [], threading.get_native_id()
    monkeypatch.setattr(cores, "last_core", lambda thread: places[{caller: 0, -2: 1, -3: 2}[thread]])
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, mask: asked.append((thread, set(mask))))
    return Spread([-2, -3], lambda: now[0]), asked


def test_workers_are_bound_for_one_job_only(monkeypatch):
    places, now = [1, 1, 0], [5.0]
    spread, asked = watched(monkeypatch, places, now)
    spread.look()
    assert asked == [(-2, {2})]
    spread.look()
    assert asked[1:] == [(-2, {0, 1, 2})]
    spread.look()  # too early
    assert len(asked) == 2
    now[0] += PAUSE
    spread.look()
    assert asked[2:] == [(-2, {2})]


def test_a_system_that_forbids_it_is_left_alone(monkeypatch):
    spread, _ = watched(monkeypatch, [1, 1, 0], [5.0])

    def refuse(thread, mask):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    spread.look()
    assert spread.next == float("inf")


def test_one_thread_never_looks(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: pytest.fail("looked"))
    Spread([]).look()
