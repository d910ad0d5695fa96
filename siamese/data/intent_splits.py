"""Intent splits: questions with intents into train, dev and test, or a few of each intent and the others."""

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.data.splits import check_shares

INTENTS_DEALT_TOGETHER = 2  # of one topic, so that each part has similar intents


def split_intents(corpus: IntentQuestions, by: str, dev: float, test: float, seed: int) -> dict[str, IntentQuestions]:
    """Split questions into train, dev and test, with a random assignment by `seed`.

    Args:
        by: "intent": each intent is in one part only; or "question": every part has all intents, in other wordings.
        dev, test: shares, together below 1, of the intents, or of each intent's questions (at least 2 each, so that
            every part has duplicates; an intent with too few for that gives 2 to one part, or stays in train).

    Raises:
        ValueError: `by` is neither, the shares are impossible, or no intent has enough questions.
    """
    check_shares(dev, test)
    generator = np.random.default_rng(seed)
    if by == "intent":
        part = _parts_by_intent(corpus, dev, test, generator)
    elif by == "question":
        part = _parts_by_question(corpus, dev, test, generator)
    else:
        raise ValueError(f"data.split must be intent, question or pair, got {by!r}")
    names = ("train", "dev", "test") if test else ("train", "dev")
    return {name: corpus.take(np.flatnonzero(part == index)) for index, name in enumerate(names)}


def draw_few(corpus: IntentQuestions, per_intent: int, seed: int) -> tuple[IntentQuestions, IntentQuestions]:
    """Some questions of each intent, drawn at random, all of an intent that has no more; and the others.

    Raises:
        ValueError: `per_intent` is below 2, so that nothing drawn would be a duplicate, or leaves no other question.
    """
    if per_intent < 2:
        raise ValueError(f"data.per_intent must be at least 2, so that each intent has duplicates; got {per_intent}")
    generator = np.random.default_rng(seed)
    intents = (np.flatnonzero(corpus.intent == intent) for intent in np.unique(corpus.intent))
    drawn = np.sort(np.concatenate([generator.permutation(rows)[:per_intent] for rows in intents]))
    others = np.setdiff1d(np.arange(len(corpus.question)), drawn)
    if not len(others):
        raise ValueError(
            f"no intent has more than data.per_intent={per_intent} questions, so none is left for test; "
            "lower it, or use data=intents_file"
        )
    return corpus.take(drawn), corpus.take(others)


def _parts_by_intent(corpus: IntentQuestions, dev: float, test: float, generator: np.random.Generator) -> np.ndarray:
    hands = []
    for topic in np.unique(corpus.topic):
        intents = generator.permutation(np.unique(corpus.intent[corpus.topic == topic]))
        hands.extend(np.split(intents, range(INTENTS_DEALT_TOGETHER, len(intents), INTENTS_DEALT_TOGETHER)))
    intents = np.concatenate([hands[i] for i in generator.permutation(len(hands))])
    first, second = round(len(intents) * dev), round(len(intents) * test)
    if first == 0 or (test and second == 0) or first + second >= len(intents):
        raise ValueError(
            f"{len(intents)} intents are too few to give dev {dev:.0%} and test {test:.0%} of them; "
            "raise data.dev and data.test, or use data.split=question"
        )
    part_of_intent = np.zeros(len(intents), np.int8)
    part_of_intent[intents[:first]] = 1
    part_of_intent[intents[first : first + second]] = 2
    return part_of_intent[corpus.intent]


def _parts_by_question(corpus: IntentQuestions, dev: float, test: float, generator: np.random.Generator) -> np.ndarray:
    part = np.zeros(len(corpus.question), np.int8)
    small = []
    for intent in np.unique(corpus.intent):
        rows = generator.permutation(np.flatnonzero(corpus.intent == intent))
        first, second = max(2, round(dev * len(rows))), max(2, round(test * len(rows))) if test else 0
        if len(rows) - first - second >= 2:
            part[rows[:first]] = 1
            part[rows[first : first + second]] = 2
        elif len(rows) >= 4:
            small.append(rows)
    for index in generator.permutation(len(small)):  # they give 2 to one part, while one is short of its share
        for number, share in ((1, dev), (2, test)):
            if np.count_nonzero(part == number) < round(share * len(part)):
                part[small[index][:2]] = number
                break
    if not (part == 1).any() or (test and not (part == 2).any()):
        raise ValueError(
            f"the largest intent has {np.bincount(corpus.intent).max()} questions, too few to leave 2 in each part; add "
            "questions or use data.split=intent"
        )
    return part
