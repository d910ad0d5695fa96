"""Beside: work in a thread, in its order, with its errors."""

import threading

import pytest

from siamese.training.beside import beside


def test_works_run_in_another_thread_in_their_order_and_are_done_at_the_end():
    done = []

    def work(number: int):
        return lambda: done.append((number, threading.current_thread() is threading.main_thread()))

    with beside() as begin:
        begin(work(0), work(1))
        begin(work(2))
    assert done == [(0, False), (1, False), (2, False)]


def test_it_does_not_wait_for_what_it_began_but_for_what_was_begun_before():
    go, done = threading.Event(), []
    with beside() as begin:
        begin(lambda: done.append(go.wait(timeout=60)))
        assert not done
        go.set()
        begin()
        assert done == [True]


def fail():
    raise OSError("the disk is full")


def test_an_error_is_raised_when_the_next_work_is_begun():
    done = []
    with beside() as begin:
        begin(fail, lambda: done.append("after an error"))
        with pytest.raises(OSError, match="the disk is full"):
            begin(lambda: done.append("next"))
    assert not done


def test_an_error_of_the_last_work_is_raised_at_the_end():
    with pytest.raises(OSError, match="the disk is full"), beside() as begin:
        begin(fail)


def interrupted(done: list[str]) -> None:
    with beside() as begin:
        begin(lambda: done.append("whole"))
        raise KeyboardInterrupt


def test_an_error_of_the_block_comes_first_once_the_work_is_done():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done)
    assert done == ["whole"]
