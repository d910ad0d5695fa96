"""Leak guard: where a label can only be known by leakage, what is reported of test pairs stays at chance.

The questions are random words, so that no text tells anything. Each test also shows what the leak would have given: a test
that cannot see a leak would prove nothing.
"""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.questions import question_key
from siamese.data.sources import intent_file, pair_file
from siamese.evaluation.baselines import logistic_regression, majority, tfidf_cosine, word_overlap
from siamese.evaluation.report import evaluate
from siamese.evaluation.thresholds import DevScores, choose_threshold
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random

Score = Callable[[QuestionPairs], np.ndarray]
AT_CHANCE = 0.1  # 4 standard errors of a ROC AUC over 300 pairs of each kind


def remembered(train: QuestionPairs) -> Score:
    """What leaks: the mean label of the training pairs that have one of the questions, 1/2 if there are none."""
    seen: dict[str, list[float]] = {}
    for left, right, label in zip(train.left_texts(), train.right_texts(), train.label.tolist(), strict=True):
        for question in (left, right):
            seen.setdefault(question_key(question), []).append(label)

    def score(pairs: QuestionPairs) -> np.ndarray:
        known = [
            seen.get(question_key(left), []) + seen.get(question_key(right), [])
            for left, right in zip(pairs.left_texts(), pairs.right_texts(), strict=True)
        ]
        return np.array([np.mean(labels) if labels else 0.5 for labels in known])

    return score


SCORERS = (remembered, majority, word_overlap, tfidf_cosine, logistic_regression)


def question(dice: np.random.Generator) -> str:
    return " ".join(f"word{number}" for number in dice.integers(60, size=5))


def by_frequency(dice: np.random.Generator) -> list[tuple[str, str, int]]:
    """Pairs of a question that occurs in five are duplicates, pairs of questions that occur once are not."""
    hubs = [question(dice) for _ in range(300)]
    stars = [(hub, question(dice), 1) for hub in hubs for _ in range(5)]
    return stars + [(question(dice), question(dice), 0) for _ in range(1_500)]


def by_copies(dice: np.random.Generator) -> list[tuple[str, str, int]]:
    """Labels are thrown, but each pair comes three times: the other way round, and in other case and spacing."""
    pairs = [(question(dice), question(dice), int(dice.integers(2))) for _ in range(1_000)]
    swapped = [(right, left, label) for left, right, label in pairs]
    return [
        *pairs,
        *swapped,
        *((left.upper(), f"  {right} ".replace(" ", "  "), label) for left, right, label in pairs),
    ]


def written(path: Path, header: str, rows: list[tuple]) -> str:
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([header.split(","), *rows])
    return str(path)


@pytest.fixture(scope="module", params=[by_frequency, by_copies])
def pairs(request, tmp_path_factory) -> str:
    """A file of pairs whose labels only leakage knows."""
    rows = request.param(np.random.default_rng(0))
    return written(tmp_path_factory.mktemp("pairs") / "a.csv", "question1,question2,is_duplicate", rows)


def reported(score: Score, splits: PairSplits) -> dict[str, float]:
    return evaluate(score, splits.held_out(), bootstrap_repeats=0)[1]["test"].metrics


def assert_at_chance(metrics: dict[str, float], pairs: QuestionPairs) -> None:
    share = max(pairs.duplicate.mean(), 1 - pairs.duplicate.mean())
    assert abs(metrics["roc_auc"] - 0.5) < AT_CHANCE
    assert metrics["accuracy"] < share + AT_CHANCE


@pytest.mark.parametrize("fitted", SCORERS)
def test_what_training_pairs_tell_of_their_questions_does_not_reach_test(pairs, fitted):
    splits = pair_file(pairs, dev=0.2, test=0.3)
    assert_at_chance(reported(fitted(splits.train), splits), splits.test)


def test_a_split_by_pair_would_leak(pairs):
    """As conf/data/pairs_file.yaml says of it."""
    splits = pair_file(pairs, dev=0.2, test=0.3, split="pair")
    assert reported(remembered(splits.train), splits)["roc_auc"] > 0.9


@pytest.mark.parametrize("split", ["intent", "question"])
def test_intents_that_no_text_shows(tmp_path, split):
    """Which questions share an intent is drawn, so that only the pairs of training, which test has not, would tell."""
    dice = np.random.default_rng(0)
    rows = [(question(dice), f"intent{number % 150}") for number in range(1_500)]
    splits = intent_file(written(tmp_path / "a.csv", "text,intent", rows), split=split, dev=0.2, test=0.3)
    for fitted in SCORERS:
        assert_at_chance(reported(fitted(splits.train), splits), splits.test)
    held_out = {question_key(each) for each in splits.test.questions}
    assert held_out.isdisjoint(map(question_key, [*splits.train.questions, *splits.dev.questions]))


@pytest.mark.parametrize("criterion", ["best_accuracy", "best_f1"])
def test_the_threshold_is_not_chosen_on_what_it_is_measured_on(criterion):
    """Scores and labels are thrown: half of the verdicts are right. With a threshold from test more would be."""
    dice, own, leaked = np.random.default_rng(0), [], []
    thrown = [(f"a{row}", f"b{row}") for row in range(30)]
    for _ in range(150):
        parts = {
            name: QuestionPairs.from_texts(*zip(*thrown, strict=True), dice.permutation(30) % 2)
            for name in ("dev", "test")
        }
        scores = {name: dice.random(30) for name in parts}
        order = iter(scores.values())  # dev is scored first
        _, reports = evaluate(lambda pairs, order=order: next(order), parts, criterion, bootstrap_repeats=0)
        own.append(reports["test"].metrics["accuracy"])
        best = choose_threshold(DevScores(scores["test"], parts["test"].duplicate), "best_accuracy").threshold
        leaked.append(np.mean((scores["test"] >= best) == parts["test"].duplicate))
    assert abs(np.mean(own) - 0.5) < 0.03
    assert np.mean(leaked) > 0.58


def unseen_words(dice: np.random.Generator, count: int = 600) -> QuestionPairs:
    """Duplicates share a word that no other pair and no other part has; other pairs have two."""
    rows = []
    for row in range(count):
        one, other = ("".join(map(chr, dice.integers(97, 123, size=12))) for _ in range(2))
        rows.append((f"{question(dice)} {one}", f"{question(dice)} {one if row % 2 else other}", row % 2))
    return QuestionPairs.from_texts(*zip(*rows, strict=True))


@pytest.fixture(scope="module")
def rare() -> PairSplits:
    dice = np.random.default_rng(0)
    return PairSplits("rare words", *(unseen_words(dice) for _ in ("train", "dev", "test")))


def test_words_of_test_alone_are_not_in_the_vocabulary(rare):
    """The cosine of TF-IDF sees only those that training has; fitted to test, it would find all duplicates."""
    assert_at_chance(reported(tfidf_cosine(rare.train), rare), rare.test)
    assert reported(tfidf_cosine(rare.test), rare)["roc_auc"] > 0.95


def network(splits: PairSplits, **choices) -> dict[str, float]:
    """What a small network that learns its words reports of test."""
    from siamese.detector import Detector
    from siamese.model.towers import dense

    words = partial(Vectorizer.fit, min_frequency=1, oov_buckets=0)
    own = {"text": words, "vectors": partial(random, width=32), "tower": partial(dense, units=[]), "batch_size": 64}
    return Detector.train(splits, **own | {"epochs": 15, "patience": None} | choices).evaluate(splits.test).metrics


@pytest.mark.slow
def test_a_network_learns_no_words_of_test(rare):
    every = [each for part in rare.parts().values() for each in part.questions]
    leaking = {"text": lambda questions: Vectorizer.fit(every, min_frequency=1, oov_buckets=0)}
    assert_at_chance(network(rare, epochs=1), rare.test)
    assert network(rare, epochs=1, **leaking)["roc_auc"] > 0.5 + 1.5 * AT_CHANCE


@pytest.mark.slow
def test_a_network_that_can_remember_stays_at_chance(tmp_path):
    """Of a split by pair it remembers most."""
    rows = by_copies(np.random.default_rng(0))
    file = written(tmp_path / "a.csv", "question1,question2,is_duplicate", rows)
    splits = pair_file(file, dev=0.2, test=0.3)
    assert_at_chance(network(splits), splits.test)
    leaking = pair_file(file, dev=0.2, test=0.3, split="pair")
    assert network(leaking)["roc_auc"] > 0.5 + 2 * AT_CHANCE
