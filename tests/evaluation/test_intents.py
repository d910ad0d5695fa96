"""Intent metrics, derived by hand: ranks, and a threshold for "none of these" that only dev chooses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from siamese.data.intents import IntentQuestions
from siamese.data.pairs import COLLECTION
from siamese.evaluation.intents import NearestQuestions, intent_metrics, refusal_threshold, searched

NOTHING = -np.inf


def nearest(own, others) -> NearestQuestions:
    return NearestQuestions(np.array(own, np.float32), np.array(others, np.float32))


def test_accuracy_and_reciprocal_rank():
    """The own intent comes first, third, first of two, and twelfth."""
    others = np.full((4, 12), NOTHING)
    others[0, :2], others[1, :3], others[2, :1], others[3] = (
        [0.8, 0.1],
        [0.9, 0.7, 0.5],
        [0.2],
        np.linspace(0.9, 0.35, 12),
    )
    found = intent_metrics(nearest([0.9, 0.6, 0.3, 0.37], others), threshold=0.0)
    assert found["intent_accuracy_top1"] == 2 / 4
    assert found["intent_accuracy_top5"] == 3 / 4
    assert found["intent_mrr_at_10"] == pytest.approx((1 + 1 / 3 + 1 + 0) / 4)


def test_a_similarity_that_is_the_same_for_all_finds_nothing():
    found = intent_metrics(nearest([0.5, 0.5], np.full((2, 20), 0.5)), threshold=0.0)
    assert (found["intent_accuracy_top1"], found["intent_accuracy_top5"], found["intent_mrr_at_10"]) == (0, 0, 0)


def test_what_is_refused_below_a_threshold():
    """Nearest with the own intent in the collection: 0.9, 0.8, 0.6, 0.3; without it: 0.2, 0.8, 0.6, 0.1."""
    found = intent_metrics(nearest([0.9, 0.7, 0.5, 0.3], [[0.2], [0.8], [0.6], [0.1]]), threshold=0.5)
    assert found["out_of_scope_recall"] == 2 / 4
    assert found["in_scope_refused"] == 1 / 4
    assert found["out_of_scope_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))  # 2 right, 1 wrong, 2 missed
    assert found["out_of_scope_threshold"] == 0.5
    nothing = intent_metrics(nearest([0.9], [[0.8]]), threshold=0.0)
    assert (nothing["out_of_scope_recall"], nothing["out_of_scope_f1"]) == (0, 0)


@given(st.lists(st.permutations(range(12)), min_size=1, max_size=8), st.integers(0, 12), st.integers(1, 11))
def test_against_scikit_learn(orders, threshold, width):
    """Without ties: the own intent is class 0 of twelve. Refusals are those of each question with its intent and without."""
    scores = np.array(orders, np.float32)[:, : width + 1]
    others = -np.sort(-scores[:, 1:], axis=1)
    found = intent_metrics(nearest(scores[:, 0], others), threshold)
    rank = 1 + (scores[:, 1:] > scores[:, :1]).sum(axis=1)
    own = np.zeros(len(scores), int)
    for k in (1, 5):
        if k < scores.shape[1] > 2:
            top = sk.top_k_accuracy_score(own, scores, k=k, labels=range(scores.shape[1]))
            assert found[f"intent_accuracy_top{k}"] == pytest.approx(top)
    assert found["intent_mrr_at_10"] == pytest.approx(np.where(rank <= 10, 1 / rank, 0).mean())
    unknown = np.repeat([False, True], len(scores))
    refused = np.append(scores.max(axis=1), scores[:, 1:].max(axis=1)) < threshold
    assert found["out_of_scope_recall"] == pytest.approx(sk.recall_score(unknown, refused))
    assert found["in_scope_refused"] == pytest.approx(np.mean(refused[~unknown]))
    assert found["out_of_scope_f1"] == pytest.approx(sk.f1_score(unknown, refused))


def test_the_threshold_makes_the_fewest_errors():
    """With their intents 0.9, 0.8, 0.4, without 0.5, 0.3, 0.2: one error is left between 0.5 and 0.8."""
    dev = nearest([0.9, 0.8, 0.4], [[0.5], [0.3], [0.2]])
    assert refusal_threshold(dev) == pytest.approx(0.65)
    found = intent_metrics(dev, refusal_threshold(dev))
    assert (found["out_of_scope_recall"], found["in_scope_refused"]) == (1, pytest.approx(1 / 3))


def test_where_a_question_looks():
    """In the source's collection; in train, if train has intents of the part; else among the part's own questions."""

    def questions(*intents: int) -> IntentQuestions:
        texts = tuple(f"{intent} {row}" for row, intent in enumerate(intents))
        return IntentQuestions(texts, np.array(intents, np.int32), np.zeros(len(intents), np.int32))

    by_intent = {"train": questions(0, 0, 1), "dev": questions(2, 2), "test": questions(3, 3)}
    by_question = {"train": questions(0, 0, 1), "dev": questions(0, 1)}
    assert searched(by_intent, "dev") is by_intent["dev"]
    assert searched(by_intent, "test") is by_intent["test"]
    assert searched(by_question, "dev") is by_question["train"]
    assert searched(by_question, "train") is by_question["train"]
    few = by_intent | {COLLECTION: questions(0, 2)}
    assert all(searched(few, part) is few[COLLECTION] for part in ("train", "dev", "test"))
