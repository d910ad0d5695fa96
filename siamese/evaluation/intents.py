"""Intent metrics: how well the nearest known question tells the intent of a question, and when none is near enough.

The task of few-shot intent classification by nearest neighbors (Casanueva et al. 2020, Larson et al. 2019): a question is
answered with the intent of the most similar question of a collection, or refused as "none of these" if that one is not
similar enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.data.pairs import COLLECTION
from siamese.evaluation.metrics import ratio
from siamese.evaluation.retrieval import RANKED
from siamese.evaluation.thresholds import DevScores, choose_threshold


@dataclass(frozen=True, eq=False)
class NearestQuestions:
    """The similarities that decide on the intents of questions, those of the most similar questions of a collection.

    Attributes:
        own: `float32[questions]`, of the most similar one with the intent of the question; at least one has it.
        others: `float32[questions, k]`, of the k most similar ones with other intents, highest first; -inf where there
            are fewer.
    """

    own: np.ndarray
    others: np.ndarray

    @property
    def in_scope(self) -> np.ndarray:
        """Similarity of the nearest question, `float32[questions]`."""
        return np.maximum(self.own, self.others[:, 0])

    @property
    def out_of_scope(self) -> np.ndarray:
        """The same as if the question's own intent were not in the collection, `float32[questions]`."""
        return self.others[:, 0]


def searched(intents: Mapping[str, IntentQuestions], part: str) -> IntentQuestions:
    """The collection in which the questions of a part look for their nearest.

    That of the source, if it has one; the training questions if they have intents of the part; the other questions of the
    part itself, if not: the intents of a split by intent are in one part alone.
    """
    if COLLECTION in intents:
        return intents[COLLECTION]
    known = part != "train" and np.isin(intents[part].intent, intents["train"].intent).any()
    return intents["train" if known else part]


def refusal_threshold(dev: NearestQuestions) -> float:
    """The similarity below which a question belongs to none of the intents, chosen on dev.

    Each question is asked twice: with its intent in the collection, where it should be answered, and with its intent held
    out, where it should be refused. The threshold is the one with the fewest errors.
    """
    similarity = np.concatenate([dev.in_scope, dev.out_of_scope])
    answerable = np.repeat([True, False], len(dev.own))
    return choose_threshold(DevScores(similarity, answerable), "best_accuracy").threshold


def intent_metrics(nearest: NearestQuestions, threshold: float) -> dict[str, float]:
    """Metrics of the nearest questions, in [0, 1].

    Args:
        nearest: of at least one question.
        threshold: questions whose nearest is less similar are refused.

    Returns:
        intent_accuracy_topK: the share of the questions with their own intent among the K nearest, K being 1 and 5.
        intent_mrr_at_10: mean of 1 / rank of the first question with the own intent, 0 beyond 10. A question of another
        intent that is as similar comes first. out_of_scope_recall: the share refused of the questions whose intent is held
        out of the collection; in_scope_refused: the share wrongly refused of the same questions with it;
        out_of_scope_f1: of the refusals among both; out_of_scope_threshold: the threshold.
    """
    rank = 1 + (nearest.others >= nearest.own[:, None]).sum(axis=1)
    reciprocal = np.where(rank <= RANKED, 1 / rank, 0)
    right, wrong = (float(np.mean(side < threshold)) for side in (nearest.out_of_scope, nearest.in_scope))
    return {
        "intent_accuracy_top1": float(np.mean(rank == 1)),
        "intent_accuracy_top5": float(np.mean(rank <= 5)),
        f"intent_mrr_at_{RANKED}": float(reciprocal.mean()),
        "out_of_scope_recall": right,
        "in_scope_refused": wrong,
        "out_of_scope_f1": float(ratio(np.array(2 * right), 1 + right + wrong)),
        "out_of_scope_threshold": threshold,
    }
