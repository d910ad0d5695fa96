"""Mining: against the similarity of every pair, for each similarity; repeats, and thresholds that can be afforded."""

from functools import partial

import numpy as np
import pytest

from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.retrieval import mining
from siamese.retrieval.mining import DistinctTexts, affordable_threshold, duplicates

SIMILARITIES = {
    "cosine": Cosine,
    "euclidean": partial(Euclidean, scale=0.05),
    "manhattan": Manhattan,
    "learned": partial(Learned, units=[4]),
}


@pytest.fixture(scope="module")
def questions(pairs) -> list[str]:
    """12 questions joined in twos, and repeats: of the first, and of the first in other letters and spacing."""
    joined = [f"{one} {other}" for one in pairs.questions for other in pairs.questions]
    return [*joined[:60], joined[0], joined[0].upper().replace(" ", "  "), *joined[60:], joined[70]]


@pytest.fixture(scope="module", params=list(SIMILARITIES))
def detector(request, build_network, vectorizer) -> Detector:
    network = build_network(similarity=SIMILARITIES[request.param])
    return Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0))


def found(detector: Detector, questions: list[str], threshold: float, top_k=1_000, exact_max_questions=1_000):
    texts = DistinctTexts.of(detector, questions)
    batches = list(duplicates(detector.network, texts, threshold, top_k, exact_max_questions))
    pairs = [pair for some in batches for pair in zip(some.left.tolist(), some.right.tolist(), strict=True)]
    return pairs, np.concatenate([some.similarity for some in batches])


def of_every_pair(detector: Detector, questions: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """The pairs that reach the threshold, a text by the first row that has its tokens."""
    tokens = [tuple(detector.vectorizer.tokens(question)) for question in questions]
    first = [tokens.index(each) for each in tokens]
    rows = range(len(questions))
    pairs = [(i, j) for i in rows for j in rows if i < j and i == first[i] and (j == first[j] or i == first[j])]
    similarity = detector.similarity([(questions[i], questions[j]) for i, j in pairs])
    return {pair: value for pair, value in zip(pairs, similarity.tolist(), strict=True) if value >= threshold}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_every_pair_above_the_threshold(detector, questions, share):
    similarity = np.sort(list(of_every_pair(detector, questions, -1).values()))
    cut = int(len(similarity) * (1 - share))
    gaps = np.diff(similarity[cut - 20 : cut + 20])  # a threshold between two scores that rounding cannot swap
    threshold = float(similarity[cut - 20 + gaps.argmax() : cut - 18 + gaps.argmax()].mean())
    expected = of_every_pair(detector, questions, threshold)
    pairs, scores = found(detector, questions, threshold)
    assert sorted(pairs) == sorted(expected)
    np.testing.assert_allclose(scores, [expected[pair] for pair in pairs], atol=1e-5)


def test_repeats_come_first(detector, questions):
    """Rows 60 and 61 have the tokens of row 0, the last row those of row 72 (70 before two rows came between)."""
    pairs = found(detector, questions, 0.9)[0]
    assert pairs[:3] == [(0, 60), (0, 61), (72, len(questions) - 1)]
    texts = DistinctTexts.of(detector, questions)
    assert texts.count[0] == 3
    assert len(texts.embeddings) == len(texts.first) == len(questions) - 3
    np.testing.assert_allclose(texts.embeddings[-1], detector.encode([questions[-2]])[0], atol=1e-6)


def test_few_neighbours_are_a_part_of_all(detector, questions):
    """Where only the nearest are looked at, those are found that are nearest, and none that is no duplicate."""
    every = of_every_pair(detector, questions, 0.0)
    some = found(detector, questions, 0.0, top_k=2, exact_max_questions=0)[0]
    assert set(some) < set(every)
    best = {i: max((pair for pair in every if i in pair), key=every.__getitem__) for i in (1, 50, 100)}
    if detector.network.comparison.radius(0.5) is not None:
        assert set(best.values()) <= set(some)


def test_again_the_same(detector, questions):
    for one, other in zip(found(detector, questions, 0.3), found(detector, questions, 0.3), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("questions", [["one question"], ["the same", "The  same"]])
def test_fewer_than_two_texts(detector, questions):
    assert found(detector, questions, 0.5)[0] == [(0, 1)][: len(questions) - 1]


def test_an_affordable_threshold(detector, questions):
    """With all texts in the sample, `max_pairs` pairs reach it, but for rounding; it never falls below the threshold."""
    texts = DistinctTexts.of(detector, questions)
    threshold = affordable_threshold(detector.network, texts.embeddings, 0.01, 200)
    if detector.network.comparison.radius(0.5) is None:
        assert threshold == 0.01
        return
    counts = [len(found(detector, questions, each)[0]) - 3 for each in (0.01, threshold)]
    assert counts[0] > 1_000
    assert 190 <= counts[1] <= 205
    assert affordable_threshold(detector.network, texts.embeddings, 0.999, 200) == 0.999
    assert affordable_threshold(detector.network, texts.embeddings, 0.01, 10**6) == 0.01


def test_an_affordable_threshold_from_a_sample(detector, questions, monkeypatch):
    monkeypatch.setattr(mining, "SAMPLE", 60)
    monkeypatch.setattr(mining, "SAMPLE_OTHERS", 90)
    texts = DistinctTexts.of(detector, questions)
    threshold = affordable_threshold(detector.network, texts.embeddings, 0.01, 1_000)
    if threshold > 0.01:
        assert 500 < len(found(detector, questions, threshold)[0]) < 2_000


def test_refused(detector, questions):
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        found(detector, questions, 0.5, top_k=0)
    with pytest.raises(ValueError, match="max_pairs must be at least 1, got 0"):
        affordable_threshold(detector.network, np.ones((3, 8), np.float32), 0.5, 0)


def test_imports_nothing_heavy(run_python):
    heavy = "{'tensorflow', 'keras', 'mlflow', 'faiss', 'hydra'}"
    program = f"import sys, siamese.retrieval.mining, siamese.retrieval.clusters; print({heavy} & set(sys.modules))"
    assert run_python("-c", program).stdout == "set()\n"
