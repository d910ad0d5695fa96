"""Lanes: what waits together is scored together, in its order; a failure is that of its own request."""

import asyncio
import json
import threading
from dataclasses import dataclass, field, replace

import pytest

from siamese.detector import Detector
from siamese.serving.lanes import MOST_SMALL, MOST_TOGETHER, Lanes, QueueFullError, ScoringFailedError, score_together

PAIR = ("how do i pay my bill", "where can i pay the bill ?")
BAD = ("a bad", "pair")


def body(*pairs, spare: int = 0) -> bytes:
    records = [{"question1": left, "question2": right} for left, right in pairs]
    return json.dumps({"dataframe_records": records}).encode() + b" " * spare


@dataclass(eq=False, repr=False)
class Watched(Detector):
    """Waits until it may score, notes which pairs come together, and fails on BAD."""

    may_score: threading.Event = field(default_factory=threading.Event)
    calls: list = field(default_factory=list)

    def verdicts(self, pairs):
        self.calls.append(list(pairs))
        if len(self.calls) == 1:
            assert self.may_score.wait(10)
        if BAD in pairs:
            raise RuntimeError(" ".join(BAD))
        return super().verdicts(pairs)


@pytest.fixture
def detector() -> Watched:
    loaded = Detector.load("tests/fixtures/detector_format_5")
    return Watched(loaded.network, loaded.vectorizer, loaded.calibration)


async def ask(lanes: Lanes, detector: Watched, bodies: list[bytes]) -> list:
    """Ask one request, which is scored at once, and the others meanwhile; errors are among the answers."""
    tasks = []
    for each in bodies:
        tasks.append(asyncio.create_task(lanes.answer(detector, each)))
        await asyncio.sleep(0)
    detector.may_score.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_waits_together_is_scored_together(detector):
    pairs = [(f"card {number}", "card") for number in range(10)]
    answers = asyncio.run(ask(Lanes(100), detector, [body(pair) for pair in pairs]))
    assert detector.calls == [pairs[:1], pairs[1:]]
    for pair, (count, answer) in zip(pairs, answers, strict=True):
        [row] = json.loads(answer)["predictions"]
        assert count == 1
        assert row["similarity"] == pytest.approx(float(detector.similarity([pair])[0]), abs=1e-6)


def test_a_batch_has_a_number_of_pairs_and_keeps_the_order(detector):
    half = [PAIR] * (MOST_TOGETHER // 2)
    asyncio.run(ask(Lanes(100), detector, [body(PAIR), body(*half), body(*half), body(PAIR), body(*half, *half, PAIR)]))
    assert list(map(len, detector.calls)) == [1, MOST_TOGETHER, 1, MOST_TOGETHER + 1]


def test_each_request_is_answered_by_the_detector_that_accepted_it(detector):
    other = replace(detector, model="other")

    async def both() -> list[str]:
        lanes = Lanes(100)
        tasks = []
        for number, each in enumerate((detector, detector, other, detector, other, other)):
            tasks.append(asyncio.create_task(lanes.answer(each, body((str(number), "a")))))
            await asyncio.sleep(0)
        detector.may_score.set()
        return [json.loads(answer)["model"] for _, answer in await asyncio.gather(*tasks)]

    assert asyncio.run(both()) == ["", "", "other", "", "other", "other"]


def test_a_failure_is_that_of_its_own_request(detector, caplog):
    answers = asyncio.run(ask(Lanes(100), detector, [body(PAIR), body(PAIR), body(BAD), body(PAIR)]))
    assert [isinstance(answer, ScoringFailedError) for answer in answers] == [False, False, True, False]
    assert "a request could not be scored: RuntimeError" in caplog.text
    assert " ".join(BAD) not in caplog.text


@pytest.mark.parametrize("spare", [0, MOST_SMALL])
def test_more_than_may_wait_are_refused(detector, spare):
    lanes = Lanes(2)

    async def asked() -> list:
        tasks = [asyncio.create_task(lanes.answer(detector, body(PAIR, spare=spare)))]
        while not detector.calls:
            await asyncio.sleep(0.001)
        return await asyncio.gather(*tasks, ask(lanes, detector, [body(PAIR, spare=spare)] * 4))

    _, answers = asyncio.run(asked())
    assert [type(answer) for answer in answers] == [tuple, tuple, QueueFullError, QueueFullError]
    assert len(lanes) == 0


def test_a_small_request_does_not_wait_for_a_large_one(detector):
    lanes = Lanes(100)

    async def asked() -> bool:
        large = asyncio.create_task(lanes.answer(detector, body(PAIR, spare=MOST_SMALL)))
        while not detector.calls:
            await asyncio.sleep(0.001)
        await lanes.answer(detector, body(PAIR))
        is_first = not large.done()
        detector.may_score.set()
        await large
        return is_first

    assert asyncio.run(asked())


def test_who_leaves_keeps_nobody_from_an_answer(detector):
    lanes = Lanes(100)

    async def asked() -> int:
        tasks = [asyncio.create_task(lanes.answer(detector, body(PAIR))) for _ in range(4)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[2].cancel()
        detector.may_score.set()
        return sum(isinstance(answer, tuple) for answer in await asyncio.gather(*tasks, return_exceptions=True))

    assert asyncio.run(asked()) == 2


def test_nothing_waits_with_an_unreadable_body(detector):
    lanes = Lanes(1)
    for spare in (0, MOST_SMALL):
        with pytest.raises(ValueError, match="alone is expected; it has nothing"):
            asyncio.run(lanes.answer(detector, b"{}" + b" " * spare))
    assert len(lanes) == 0
    detector.may_score.set()
    assert score_together(detector, [[BAD]]) == [None]
