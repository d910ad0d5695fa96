"""Retrieval metrics: how well a detector finds duplicates among many questions.

Two tasks are made from labelled pairs, as in sentence-transformers' Quora example:

    mining                  rank all pairs of questions by similarity; duplicates should come first
    information retrieval   rank all other questions for each question that has duplicates

Duplicates are the labeled ones and their transitive closure, except pairs that are labeled as different. All other
pairs count as different, unlabeled ones too. Some of those are duplicates in truth, so precision and the metrics
based on it are lower bounds that fall with the number of questions. Compare them on the same pairs only.
"""

from dataclasses import dataclass

import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.data.splits import question_components, question_numbers

RECALL_AT = (1, 10, 100)
RANKED = 10  # the rank down to which MRR and NDCG look


@dataclass(frozen=True)
class RetrievalTask:
    """The questions of labeled pairs, grouped by what they ask.

    Attributes:
        questions: `int64[questions]`, positions in the table of the pairs; the first of equal texts.
        component: `int32[questions]`; duplicates, by transitivity, share one.
        different: `int64[pairs, 2]`, positions among `questions` of pairs labeled as different, the smaller one first.
    """

    questions: np.ndarray
    component: np.ndarray
    different: np.ndarray

    @classmethod
    def of(cls, pairs: QuestionPairs) -> "RetrievalTask":
        """The task from labeled pairs. A pair with both labels counts as different."""
        (number,) = question_numbers(pairs)
        _, questions = np.unique(number, return_index=True)
        component = question_components(pairs, only_duplicates=True)[questions]
        different = np.sort(np.column_stack([number[pairs.left], number[pairs.right]])[~pairs.duplicate], axis=1)
        return cls(questions, component, np.unique(different.astype(np.int64), axis=0))

    def relevant(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether pairs of positions among the questions, `int64[pairs]` each, are duplicates: `bool[pairs]`."""
        count = len(self.questions)
        key = np.minimum(left, right) * count + np.maximum(left, right)
        known_different = np.isin(key, self.different @ np.array([count, 1]))
        return (self.component[left] == self.component[right]) & (left != right) & ~known_different

    @property
    def duplicates(self) -> np.ndarray:
        """How many duplicates each question has, `int64[questions]`."""
        others = np.bincount(self.component)[self.component] - 1
        left, right = self.different.T
        inside = (self.component[left] == self.component[right]) & (left != right)
        for side in (left, right):
            others -= np.bincount(side[inside], minlength=len(others))
        return others


def retrieval_metrics(task: RetrievalTask, neighbour: np.ndarray, similarity: np.ndarray) -> dict[str, float]:
    """All measures of a detector's nearest questions.

    Args:
        task: from the labelled pairs.
        neighbour: `int64[questions, k]`, for each question of the task positions of others, the most similar first.
        similarity: `float[questions, k]`.

    Returns:
        mining_average_precision, mining_best_f1 and mining_best_threshold of the list of pairs in which one is among
        the neighbours of the other; recall_at_K, mrr_at_10 and ndcg_at_10, means over the questions that have
        duplicates; queries, corpus and duplicate_pairs, how large the task is. 0 where nothing is to be found.
    """
    itself = np.repeat(np.arange(len(neighbour)), neighbour.shape[1]).reshape(neighbour.shape)
    relevant = task.relevant(itself.ravel(), neighbour.ravel()).reshape(neighbour.shape)
    key = (np.minimum(itself, neighbour) * len(neighbour) + np.maximum(itself, neighbour)).ravel()
    _, once = np.unique(key, return_index=True)
    duplicates = task.duplicates
    asked = duplicates > 0
    pairs = int(duplicates.sum()) // 2
    mining = mining_metrics(relevant.ravel()[once], similarity.ravel()[once], pairs)
    ranking = ranking_metrics(relevant[asked], duplicates[asked])
    size = {"queries": int(asked.sum()), "corpus": len(duplicates), "duplicate_pairs": pairs}
    return {f"mining_{name}": value for name, value in mining.items()} | ranking | size


def mining_metrics(relevant: np.ndarray, similarity: np.ndarray, total: int) -> dict[str, float]:
    """Metrics of mined pairs in the order of their similarity.

    Args:
        relevant: `bool[pairs]`, whether each pair that was found is a duplicate.
        similarity: `float[pairs]`.
        total: how many duplicates there are, those included that were not found.

    Returns:
        average_precision: the sum, over the thresholds, of precision times the recall that is gained there; what was
        not found is never gained. best_f1: the highest over all thresholds, and best_threshold, where it is reached.
    """
    if not total or not len(relevant):
        return {"average_precision": 0.0, "best_f1": 0.0, "best_threshold": 0.0}
    order = np.argsort(-similarity, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(similarity[order]) != 0, True))  # ties stay together
    hits, found = np.cumsum(relevant[order])[ends], ends + 1
    f1 = 2 * hits / (found + total)
    best = int(np.argmax(f1))
    return {
        "average_precision": float(np.sum(np.diff(hits, prepend=0) * hits / found) / total),
        "best_f1": float(f1[best]),
        "best_threshold": float(similarity[order][ends[best]]),
    }


def ranking_metrics(relevant: np.ndarray, total: np.ndarray) -> dict[str, float]:
    """How well ranked answers bring the duplicates of questions to the top.

    Args:
        relevant: `bool[queries, k]`, whether each answer is a duplicate, best answer first.
        total: `int64[queries]`, how many duplicates each query has, at least 1.

    Returns:
        Means over the queries, in [0, 1]. recall_at_K: the share of the duplicates among the first K answers, for each
        K up to k. mrr_at_10: 1 / rank of the first duplicate, 0 beyond 10. ndcg_at_10: the sum of 1 / log2(1 + rank)
        of the duplicates up to 10, over what it could be at best (Järvelin & Kekäläinen 2002).
    """
    recalls = [k for k in RECALL_AT if k <= relevant.shape[1] or k == RECALL_AT[0]]
    if not len(relevant):
        return {f"recall_at_{k}": 0.0 for k in recalls} | {f"mrr_at_{RANKED}": 0.0, f"ndcg_at_{RANKED}": 0.0}
    top = relevant[:, :RANKED]
    gain = 1 / np.log2(2 + np.arange(RANKED))
    first = np.where(top.any(axis=1), 1 / (1 + top.argmax(axis=1)), 0) if top.shape[1] else np.zeros(len(top))
    ideal = np.cumsum(gain)[np.minimum(total, RANKED) - 1]
    return {f"recall_at_{k}": float(np.mean(relevant[:, :k].sum(axis=1) / total)) for k in recalls} | {
        f"mrr_at_{RANKED}": float(first.mean()),
        f"ndcg_at_{RANKED}": float(np.mean(top @ gain[: top.shape[1]] / ideal)),
    }
