"""Beside: what an epoch leaves to be written is written in a thread, while the next epoch is trained, or dev is measured."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

Work = Callable[[], object]


@contextmanager
def beside() -> Iterator[Callable[..., None]]:
    """A function that begins work in a thread, one after the other, once what was begun before is done.

    At the end of the block all is done. An error of the work is raised when the next is begun, or at the end of the block,
    unless the block raises one itself.

    >>> done = []
    >>> with beside() as begin:
    ...     for number in range(3):
    ...         begin(lambda number=number: done.append(number))
    >>> done
    [0, 1, 2]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        under_way: list[Future[None]] = []

        def begin(*works: Work) -> None:
            while under_way:
                under_way.pop().result()
            under_way.append(pool.submit(at_once, *works))

        yield begin
        begin()


def at_once(*works: Work) -> None:
    """Do work here and now, one after the other."""
    for work in works:
        work()
