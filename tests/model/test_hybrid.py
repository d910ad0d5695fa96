"""Hybrid: lexical blocks beside the embedding of any tower, in one unit vector that is searched as any other."""

from functools import partial

import keras
import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.baselines import tfidf_cosine
from siamese.evaluation.metrics import pair_metrics, values
from siamese.inference.from_keras import numpy_network
from siamese.model import towers
from siamese.model.hybrid import BLOCKS, with_lexicon, without_lexicon
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Hybrid
from siamese.pretrained.piece_table import PieceTable
from siamese.retrieval import embedding_space
from siamese.retrieval.exact_search import exact_top
from siamese.text.lexicon import Lexicon
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random
from siamese.training.building import build

pytestmark = pytest.mark.slow
SMALL = {
    "text": partial(Vectorizer.fit, kind="bpe", vocabulary_size=300, min_frequency=1),
    "vectors": partial(random, width=8),
    "tower": partial(towers.averaging, units=(5,)),
}
TEMPLATES = ("how do i {}", "where can i {} it", "{} today please", "what is the way to {}")


def pairs_of(words: list[str], seed: int) -> QuestionPairs:
    """Questions ask the same if they hold the same verb, which no other part has; templates repeat."""
    generator = np.random.default_rng(seed)
    left, right, label = [], [], []
    for word in words:
        for other, same in ((word, 1), (generator.choice([each for each in words if each != word]), 0)):
            one, two = generator.choice(TEMPLATES, 2, replace=False)
            left.append(one.format(word))
            right.append(two.format(other))
            label.append(same)
    return QuestionPairs.from_texts(left, right, label)


@pytest.fixture(scope="module")
def splits() -> PairSplits:
    generator = np.random.default_rng(0)
    letters = list("abcdefghijklmnoprstuvz")
    words = sorted({"".join(generator.choice(letters, 6)) for _ in range(120)})
    return PairSplits("verbs", pairs_of(words[:40], 0), pairs_of(words[40:70], 1), pairs_of(words[70:], 2))


@pytest.fixture(scope="module")
def detector(splits) -> Detector:
    return Detector.train(splits, similarity=Hybrid, epochs=2, **SMALL)


def area(pairs: QuestionPairs, similarity: np.ndarray) -> float:
    return values(pair_metrics(pairs.duplicate, similarity, similarity, 0.5), len(pairs))["roc_auc"]


def test_few_pairs_of_new_words_are_told_apart_no_worse_than_by_tf_idf(splits, detector):
    """The same network without lexical blocks is worse."""
    hybrid, plain = (
        area(splits.test, each.score(splits.test))
        for each in (detector, Detector.train(splits, similarity=Cosine, epochs=2, **SMALL))
    )
    assert hybrid >= area(splits.test, tfidf_cosine(splits.train)(splits.test))
    assert hybrid > plain
    shares = detector.network.arrays[f"{BLOCKS}/shares"]
    assert shares[1] > 0.05  # that of the letters at the start
    assert shares.sum() == pytest.approx(1, abs=1e-6)


def test_embeddings_have_length_1_and_equal_questions_a_similarity_of_1(detector):
    questions = ["how do i pay order 12", "zzz", "?", "paying"]
    np.testing.assert_allclose(np.linalg.norm(detector.encode(questions), axis=1), 1, atol=1e-6)
    assert detector.similarity([(each, each) for each in questions]).tolist() == [1, 1, 1, 1]


def test_numbers_and_negations_count(pairs):
    """The words themselves count in letters and embedding, too, which have no share here."""
    questions = [*pairs.questions, "where is order 12", "where is order 13", "i don't pay", "i can not pay", "i pay"]
    vectorizer = Vectorizer.fit(questions, min_frequency=1)
    words = word_embedding(random(vectorizer.vocabulary, vectorizer.size, 0, 8).matrix, trainable=True)
    tower = towers.dense(words, units=())
    rows = Lexicon.learn(vectorizer, questions).rows
    for shares, same, other in (
        ((0, 1, 0), ("order 12", "where is order 12"), ("order 12", "order 13")),
        ((0, 0, 1), ("i don't pay", "i can not pay"), ("i don't pay", "i pay")),
    ):
        similarity = Hybrid()
        network = siamese_network(with_lexicon(tower, similarity, rows), similarity)
        network.get_layer("tower").get_layer(BLOCKS).shares.assign([0, *shares])
        score = numpy_network(network).score
        near, far = (score(vectorizer.encode(pair), np.array([0]), np.array([1]))[0] for pair in (same, other))
        assert near == pytest.approx(1, abs=1e-3)
        assert far < 0.1


def test_the_nearest_points_are_the_most_similar_questions(splits, detector):
    embeddings = detector.encode(splits.test.questions)
    points = embedding_space.points(detector.network.comparison, embeddings)
    _, nearest = exact_top(points[:10], points, 20)
    for asked, found in enumerate(nearest):
        similarity = detector.network.similarity(
            np.repeat(embeddings[asked : asked + 1], len(points), axis=0), embeddings
        )
        np.testing.assert_allclose(similarity[found], np.sort(similarity)[::-1][:20], atol=1e-6)


def test_the_discriminant_starts_the_head_of_the_tower_itself(splits):
    kinds = {"similarity": Hybrid, "epochs": 1, "discriminant": True, "optimizer": _still} | SMALL
    network = Detector.train(splits, **kinds).network
    assert not np.allclose(network.arrays["projection/kernel"], np.eye(8))


def _still(steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(1e-12)


@pytest.mark.parametrize(("first", "then"), [(Hybrid, Cosine), (Cosine, Hybrid), (Hybrid, Hybrid)])
def test_a_training_goes_on_from_a_tower_with_or_without_lexical_blocks(splits, tmp_path, first, then):
    questions = list(splits.train.questions)
    Detector.train(splits, similarity=first, epochs=1, **SMALL).save(tmp_path)
    table = PieceTable.of_detector(tmp_path)
    built = build(questions, seed=1, start=tmp_path, tower=SMALL["tower"], similarity=then)
    assert built.note == ""
    saved = Detector.load(tmp_path).network
    tower = without_lexicon(built.network.get_layer("tower"))
    weights = [each for layer in tower.layers if isinstance(layer, keras.layers.Dense) for each in layer.get_weights()]
    assert len(weights) == 6
    assert all(any(np.array_equal(own, each) for each in saved.arrays.values()) for own in weights)
    np.testing.assert_array_equal(tower.get_layer("word_embedding").embeddings, table.matrix)


def test_a_tower_without_inputs_is_refused():
    class Own(keras.Model):
        def call(self, questions):
            return questions

    with pytest.raises(
        ValueError, match=r"similarity=hybrid takes a tower that is keras.Model\(inputs, outputs\), got"
    ):
        with_lexicon(Own(), Hybrid(), np.zeros((3, 289), np.float32))
