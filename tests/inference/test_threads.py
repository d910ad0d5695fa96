"""Threads: how many a process has, and what they do together."""

import multiprocessing
import sys
import threading

import pytest

from siamese.inference import threads


@pytest.mark.parametrize(("processes", "expected"), [(1, 8), (2, 4), (3, 2), (9, 1)])
def test_processes_share_the_cores(processes, expected, monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_sharing", 1)
    threads.share_cores(processes)
    assert threads.cores() == expected


@pytest.mark.parametrize("number", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_every_item_once_and_in_order(number, count):
    done = []
    with threads.side_by_side(number) as each:
        assert each(lambda item: done.append(item) or -item, range(count)) == [-item for item in range(count)]
    assert sorted(done) == list(range(count))


def test_items_are_shared_by_two_threads():
    both = threading.Barrier(2, timeout=60)
    with threads.side_by_side(2) as each:
        assert each(lambda item: both.wait() and item, range(2)) is not None


def test_the_first_error_is_raised_when_every_thread_has_ended():
    running = threading.Barrier(2, timeout=60)
    ended = []

    def fail(item: int) -> None:
        if item < 2:
            running.wait()
        ended.append(item)
        raise ValueError(f"item {item}")

    with threads.side_by_side(2) as each, pytest.raises(ValueError, match="item 0"):
        each(fail, range(100))
    assert {0, 1} <= set(ended)
    assert len(ended) < 100


def test_within_each_other():
    def double(items: list[int]) -> list[int]:
        with threads.side_by_side(4) as each:
            return each(lambda item: 2 * item, items)

    with threads.side_by_side(4) as each:
        assert each(double, [[1, 2], [3, 4]] * 50) == [[2, 4], [6, 8]] * 50


def _sum_of_squares() -> int:
    with threads.side_by_side(2) as each:
        return sum(each(lambda item: item**2, range(10)))


@pytest.mark.skipif(sys.platform != "linux", reason="fork is safe on Linux only")
def test_after_a_fork():
    _sum_of_squares()  # starts threads, which the child does not have
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_sum_of_squares).get(timeout=60) == 285
