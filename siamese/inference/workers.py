"""Workers: what computes the blocks of a long computation, this process or shards of it on a Ray cluster.

A computation is a function without arguments that prepares what all its blocks need, and returns the function that computes
one of them. To go to another machine both have to be importable there: a `functools.partial` of a function of a module with
arrays as its arguments, never a lambda.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

Arrays = tuple[np.ndarray, ...]
Block = Callable[[Any], Arrays]  # what says which block -> its arrays
Prepare = Callable[[], Block]


class Workers(Protocol):
    """One process or several, which compute the same arrays to the bit.

    For that a block must not depend on the number of threads: it does its matrix products under `side_by_side`.
    """

    def map(self, prepare: Prepare, items: Iterable[Any]) -> Iterator[Arrays]:
        """The arrays of the block of each item, in the order of the items.

        Items are taken as they are needed. `prepare` is called once in each process, at its first block.
        """


class ThisProcess:
    """Computes one block after another here.

    >>> squares = ThisProcess().map(lambda: lambda number: (np.array([number**2]),), [1, 2, 3])
    >>> [int(square[0]) for [square] in squares]
    [1, 4, 9]
    """

    def map(self, prepare: Prepare, items: Iterable[Any]) -> Iterator[Arrays]:
        """As `Workers.map`."""
        block = None
        for item in items:
            block = block or prepare()
            yield block(item)


THIS_PROCESS = ThisProcess()
