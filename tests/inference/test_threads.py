"""Threads: how many a process has."""

import pytest

from siamese.inference import threads


@pytest.mark.parametrize(("processes", "expected"), [(1, 8), (2, 4), (3, 2), (9, 1)])
def test_processes_share_the_cores(processes, expected, monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_sharing", 1)
    threads.share_cores(processes)
    assert threads.cores() == expected
