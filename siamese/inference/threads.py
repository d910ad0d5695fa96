"""Threads: one for each core, each with its own matrix products."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")  # kernels of OpenBLAS
Each = Callable[[Callable, Sequence], list]  # a function and items -> its value for each item


@contextmanager
def side_by_side(threads: int) -> Iterator[Each]:
    """Process several items in parallel, the next item by whichever thread is free; with one thread, one after another.

    The calling thread is one of them. The first exception, in the order of the items, is raised after all have ended.
    """
    with OneBlasThread():
        yield partial(_each, threads)


def _each(threads: int, function: Callable, items: Sequence) -> list:
    """The value of the function for each item, in order."""
    helping = min(threads, len(items)) - 1
    if helping < 1:
        return list(map(function, items))
    values: list[Any] = [None] * len(items)
    errors: dict[int, BaseException] = {}
    waiting = deque(range(len(items)))  # its methods are atomic

    def work() -> None:
        while waiting:
            try:
                place = waiting.popleft()
            except IndexError:  # another thread took the last
                return
            try:
                values[place] = function(items[place])
            except BaseException as error:
                errors[place] = error
                waiting.clear()

    helpers = [_helpers().submit(work) for _ in range(helping)]
    try:
        work()
    finally:
        waiting.clear()
        for helper in helpers:
            helper.cancel() or helper.result()  # one that has not begun has nothing left to do
    if errors:
        raise errors[min(errors)]
    return values


@cache
def _helpers() -> "ThreadPoolExecutor":
    """Threads that stay: to start one takes as long as to search 10,000 vectors."""
    from concurrent.futures import ThreadPoolExecutor  # 3 ms, for which a cold answer to one question has no use

    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="side_by_side")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


class ReusedArray(threading.local):
    """Memory for one `float32[rows, columns]` at a time in each thread: large arrays cost more to get than to fill."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float32)

    def product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """`left @ right.T`, until the next product in this thread."""
        size = len(left) * len(right)
        if len(self._memory) < size:
            self._memory = np.empty(size, np.float32)
        return np.matmul(left, right.T, out=self._memory[:size].reshape(len(left), len(right)))


def cores() -> int:
    """The number of cores that this process may use."""
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(every // _sharing, _most_cores))


def share_cores(processes: int) -> None:
    """Let this process use its part of the cores, among `processes` that do the same work at the same time."""
    global _sharing
    _sharing = processes


def use_at_most(cores: int) -> None:
    """Let this process use so many cores at most, where others share the machine."""
    global _most_cores
    _most_cores = cores


def has_avx512_kernels() -> bool:
    """Whether the BLAS is OpenBLAS, with its kernels for AVX-512."""
    return any(library.architecture in AVX512 for library in _blas if library.internal_api == "openblas")


_sharing, _most_cores = 1, sys.maxsize
_blas = ThreadpoolController().select(user_api="blas").lib_controllers
_lock = threading.Lock()
_users = 0  # of `OneBlasThread` under way, in any thread
_before: list[int] = []  # threads of each library before the first of them


class OneBlasThread:
    """Limits BLAS to one thread for the whole process (context manager).

    On busy cores its threads mostly wait for each other, a hundred times longer than a small product takes. The first
    user sets the limit, the last one lifts it.
    """

    def __enter__(self) -> None:
        global _users
        with _lock:
            if not _users:
                _before[:] = [library.num_threads for library in _blas]
                for library in _blas:
                    library.set_num_threads(1)
            _users += 1

    def __exit__(self, *_: object) -> None:
        global _users
        with _lock:
            _users -= 1
            if not _users:
                for library, threads in zip(_blas, _before, strict=True):
                    library.set_num_threads(threads)
