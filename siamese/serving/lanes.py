"""Lanes: requests that wait together are scored together, in the order in which they came."""

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from siamese.detector import Detector
from siamese.serving.protocol import Pair, answer_bodies, read_pairs

MOST_TOGETHER = 256  # pairs of several requests in one call: a few milliseconds, which the next ones wait
MOST_SMALL = 2**16  # bytes of a body that is answered before large ones
logger = logging.getLogger("siamese.serving")


class QueueFullError(Exception):
    """As many requests wait as may."""


class ScoringFailedError(Exception):
    """The network could not score a request."""


@dataclass(frozen=True)
class _Waiting:
    detector: Detector
    pairs: Sequence[Pair]
    answer: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lane:
    """A queue of requests and the thread that scores them. It is used from one event loop at a time.

    While the thread works, requests gather; together they are its next batch, without any timer. One thread, because several
    take Python's lock from each other.
    """

    def __init__(self) -> None:
        self._queue: deque[_Waiting] = deque()
        self.thread = ThreadPoolExecutor(1)
        self._is_scoring = False

    def __len__(self) -> int:
        return len(self._queue)

    async def answer(self, detector: Detector, pairs: Sequence[Pair]) -> bytes:
        """The body of the answer of `detector` to the pairs of a request.

        Raises:
            ScoringFailedError: the detector failed on these pairs; the log says how.
        """
        waiting = _Waiting(detector, pairs)
        self._queue.append(waiting)
        if not self._is_scoring:
            self._score_next()
        return await waiting.answer

    def _score_next(self) -> None:
        batch = [self._queue.popleft()]
        detector, pairs = batch[0].detector, len(batch[0].pairs)
        while (
            self._queue and self._queue[0].detector is detector and pairs + len(self._queue[0].pairs) <= MOST_TOGETHER
        ):
            batch.append(self._queue.popleft())
            pairs += len(batch[-1].pairs)
        self._is_scoring = True
        requests = [waiting.pairs for waiting in batch]
        scored = asyncio.get_running_loop().run_in_executor(self.thread, score_together, detector, requests)
        scored.add_done_callback(partial(self._deliver, batch))

    def _deliver(self, batch: Sequence[_Waiting], scored: asyncio.Future[list[bytes | None]]) -> None:
        self._is_scoring = False
        if self._queue:
            self._score_next()  # the thread goes on while the answers are sent
        for waiting, body in zip(batch, scored.result(), strict=True):
            if waiting.answer.done():  # its client has left
                continue
            if body is None:
                waiting.answer.set_exception(ScoringFailedError())
            else:
                waiting.answer.set_result(body)


class Lanes:
    """A lane for small requests and one for large ones, for which the small ones do not wait.

    Args:
        max_waiting: requests that may wait in each.
    """

    def __init__(self, max_waiting: int):
        self._max_waiting = max_waiting
        self._small, self._large = Lane(), Lane()
        self._unread = 0  # large requests whose body waits to be read, or is

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._small) + len(self._large) + self._unread

    async def answer(self, detector: Detector, body: bytes) -> tuple[int, bytes]:
        """The number of pairs of a request, and the body of the answer to it.

        Raises:
            ValueError: as `read_pairs`.
            QueueFullError: as many requests wait as may.
            ScoringFailedError: the detector failed on these pairs; the log says how.
        """
        if len(body) <= MOST_SMALL:
            self._require_room(len(self._small))
            pairs = read_pairs(body)
            return len(pairs), await self._small.answer(detector, pairs)
        self._require_room(len(self._large) + self._unread)
        self._unread += 1
        try:  # in the lane's thread, because a large body would stop the event loop
            pairs = await asyncio.get_running_loop().run_in_executor(self._large.thread, read_pairs, body)
        finally:
            self._unread -= 1
        return len(pairs), await self._large.answer(detector, pairs)

    def _require_room(self, waiting: int) -> None:
        if waiting >= self._max_waiting:
            raise QueueFullError


def score_together(detector: Detector, requests: Sequence[Sequence[Pair]]) -> list[bytes | None]:
    """The body of the answer to each request; None where the detector failed, which fails no other request."""
    try:
        return [*answer_bodies(detector, requests)]
    except Exception as problem:
        if len(requests) > 1:
            return [body for request in requests for body in score_together(detector, [request])]
        # without the message, in which there may be words of the request
        frames = "".join(traceback.format_tb(problem.__traceback__))
        logger.error("a request could not be scored: %s\n%s", type(problem).__name__, frames)
        return [None]
