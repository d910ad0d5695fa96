"""Processes: several of a server, supervised by the one that started them."""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from siamese.serving.metrics import SHARED_FOLDER

FORWARDED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def supervised(target: Callable[..., None], arguments: Sequence[tuple]) -> Iterator[Callable[[], None]]:
    """Start a process of `target` for each tuple of arguments; yields, when all are ready, what waits until they end.

    They get SIGTERM and SIGHUP of this process, SIGTERM at the end of the block, and share their metrics.

    Args:
        target: a function of a module; its first argument is a connection, to which it sends None when it is ready.
        arguments: the others.

    Raises:
        Exception: whatever one raised before it was ready.
        ChildProcessError: one has ended by itself; the others are ended, too.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get(SHARED_FOLDER)
        os.environ[SHARED_FOLDER] = folder  # the processes inherit it
        processes: list[BaseProcess] = []
        try:
            told = []
            for each in arguments:
                receiver, sender = context.Pipe(duplex=False)
                processes.append(context.Process(target=_report_errors, args=(target, sender, *each)))
                processes[-1].start()
                sender.close()
                told.append(receiver)
            for receiver, process in zip(told, processes, strict=True):
                _wait_until_ready(receiver, process)
            yield lambda: _wait(processes)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
            os.environ.pop(SHARED_FOLDER)
            if before is not None:
                os.environ[SHARED_FOLDER] = before


def _report_errors(target: Callable[..., None], ready: Connection, *arguments: object) -> None:
    """Call `target`, and send the exception that it raises."""
    try:
        target(ready, *arguments)
    except Exception as problem:
        ready.send(problem)


def _wait_until_ready(receiver: Connection, process: BaseProcess) -> None:
    try:
        problem = receiver.recv()
    except EOFError:
        process.join()
        raise _ended(process) from None
    if problem is not None:
        raise problem


def _wait(processes: Sequence[BaseProcess]) -> None:
    ending = False

    def forward(number: int, frame: object) -> None:
        nonlocal ending
        ending |= number == signal.SIGTERM
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        running = list(processes)
        while running:
            ended = wait([process.sentinel for process in running])
            for process in [process for process in running if process.sentinel in ended]:
                running.remove(process)
                process.join()
                if process.exitcode or not ending:
                    raise _ended(process)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(process: BaseProcess) -> ChildProcessError:
    return ChildProcessError(
        f"a process of the server ended by itself, with code {process.exitcode}; the others were ended, too"
    )
