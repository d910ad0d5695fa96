"""Ray workers: blocks as tasks of a Ray cluster. A block whose worker dies is computed again by another one.

What a computation prepares from goes into Ray's object store once; the workers of a machine read the arrays there, without
copies of their own. No file is unpickled: what Ray sends between its processes is its own transport.
"""

import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from siamese.inference import threads
from siamese.inference.workers import Arrays, Block, Prepare

RETRIES = 3  # of a block whose worker died
AHEAD = 2  # blocks for each worker that are under way, or wait for an earlier one
PATIENCE = 5  # seconds in which a cluster must answer

_prepared: dict[str, Block] = {}  # in a worker: that of the computation it is at


class RayWorkers:
    """The workers of the cluster that this process has joined.

    Args:
        cores: threads of each.

    Raises:
        ValueError: no machine of the cluster has as many.
    """

    def __init__(self, cores: int):
        of_machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        if not 1 <= cores <= max(of_machines, default=0):
            raise ValueError(
                f"worker_cores must be at least 1 and at most the cores of a machine of the cluster, "
                f"{max(of_machines, default=0)}; got {cores}"
            )
        self._cores = cores
        self._count = sum(each // cores for each in of_machines)
        self._task = ray.remote(compute_block).options(num_cpus=cores, max_retries=RETRIES)

    def map(self, prepare: Prepare, items: Iterable[Any]) -> Iterator[Arrays]:
        """As `Workers.map`; a few items are taken ahead.

        Raises:
            OSError: a block's worker died again and again, or the cluster is gone.
        """
        shared, under_way = ray.put(prepare), deque[ray.ObjectRef]()
        try:
            for item in items:
                under_way.append(self._task.remote(shared.hex(), [shared], item, self._cores))
                if len(under_way) >= AHEAD * self._count:
                    yield _arrays(under_way.popleft())
            while under_way:
                yield _arrays(under_way.popleft())
        finally:
            for task in under_way:
                ray.cancel(task)


def compute_block(computation: str, shared: list[ray.ObjectRef], item: Any, cores: int) -> Arrays:
    """The arrays of a block, in a worker.

    Args:
        computation: names it.
        shared: one reference, in a list because Ray would fetch a bare one for each block.
        item: of the block.
        cores: that the block may use.
    """
    threads.use_at_most(cores)
    if computation not in _prepared:
        _prepared.clear()
        _prepared[computation] = ray.get(shared[0])()
    return _prepared[computation](item)


def _arrays(task: ray.ObjectRef) -> Arrays:
    """The outcome of a task; errors as in `RayWorkers.map`, or what the block raised."""
    try:
        return ray.get(task)
    except RayTaskError as failed:
        if "No module named 'siamese" in str(failed):
            raise ValueError(
                "the workers of the Ray cluster cannot import siamese; install this version on each of its machines, or start "
                "the cluster where it is"
            ) from None
        raise failed.cause from None
    except RayError as problem:
        raise OSError(
            f"a block was lost on the Ray cluster, after {RETRIES} more attempts ({type(problem).__name__}); if memory was "
            "short, give each worker more cores (worker_cores=), so that fewer share a machine, and repeat the command"
        ) from problem


@contextmanager
def cluster(address: str, cores: int) -> Iterator[RayWorkers]:
    """The workers of a cluster, which this process joins for the block, unless it has joined one before.

    Args:
        address: see `siamese.inference.chosen_workers.workers_at`.
        cores: of each worker.

    Raises:
        ValueError: no cluster answers, or as `RayWorkers`.
    """
    if ray.is_initialized():
        yield RayWorkers(cores)
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to Ray's makers
    local = address == "local"
    own = {"num_cpus": threads.cores(), "include_dashboard": False} if local else {}
    with _own_signals(), _own_path() if local else nullcontext():
        try:
            if address not in ("local", "auto"):
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), PATIENCE).close()  # Ray itself would try for minutes
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, **own)
        except (OSError, ValueError, RuntimeError) as problem:
            raise ValueError(
                f"workers={address}: no Ray cluster answers there: {' '.join(str(problem).split())}; workers=local starts one on "
                "this machine, and `ray start --head` one that others can join"
            ) from None
    try:
        yield RayWorkers(cores)
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what SIGTERM does, which Ray sets as it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _own_path() -> Iterator[None]:
    """Let processes that start in the block find the modules of this one, plugins in the working directory included."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
