"""Why: leaving a word out is asking the question without it, and the contributions are the cosine, exactly."""

import numpy as np
import pytest

from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.explanation import heat_map
from siamese.explanation.word_effects import why
from siamese.model import towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random

LEFT, RIGHT = "How do I pay my bill, please?", "Where can I\u00a0pay the bill bill?"
FIXTURE = "tests/fixtures/detector_format_5"
ADDITIVE = [
    {"units": [6], "pooling": ["mean"]},
    {"units": [6], "pooling": ["max"]},
    {"units": [6, 5], "pooling": ["mean", "max"], "skip": True, "normalization": "layer"},
    {"units": [], "pooling": ["mean"]},
]


@pytest.fixture(scope="module")
def detector_of(build_network, vectorizer):
    """A function: a tower, a similarity, and options -> a detector that was never trained."""

    def build(tower="dense", similarity=Cosine, **options):
        network = build_network(tower, similarity, **options)
        generator = np.random.default_rng(0)
        for weight in network.weights:  # biases other than 0 test more
            weight.assign(weight + generator.normal(0, 0.1, weight.shape))
        return Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0))

    return build


@pytest.mark.slow
@pytest.mark.parametrize("tower", ["dense", "conv1d", "bilstm", "attention"])
@pytest.mark.parametrize("similarity", [Cosine, Euclidean, Manhattan, Learned])
def test_an_effect_is_what_asking_without_the_word_changes(detector_of, tower, similarity):
    """These words stand apart, so that a text without one of them is the tokens without it."""
    detector = detector_of(tower, similarity)
    explanation = why(detector, LEFT, RIGHT)
    assert explanation.left.words == ["How", "do", "I", "pay", "my", "bill", ",", "please", "?"]
    assert explanation.right.words == ["Where", "can", "I", "pay", "the", "bill", "bill", "?"]
    [whole] = detector.similarity([(LEFT, RIGHT)])
    assert explanation.similarity == pytest.approx(whole, abs=1e-6)  # beside other questions, up to rounding
    for side, pair in ((explanation.left, lambda rest: (rest, RIGHT)), (explanation.right, lambda rest: (LEFT, rest))):
        without = [pair(side.question[:start] + side.question[end:]) for start, end in side.spans]
        np.testing.assert_allclose(side.effect, whole - detector.similarity(without), atol=2e-6)
    assert np.ptp(explanation.left.effect) > 1e-4


@pytest.mark.parametrize("options", ADDITIVE)
def test_contributions_sum_to_the_cosine(detector_of, options):
    detector = detector_of(**options)
    explanation = why(detector, LEFT, RIGHT)
    u, v = detector.encode([LEFT, RIGHT]).astype(np.float64)
    assert explanation.contributions.shape == (9, 8)
    assert explanation.cosine == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-6)
    assert ((1 + explanation.cosine) / 2) ** 4 == pytest.approx(explanation.similarity, abs=1e-6)


def test_a_contribution_is_the_product_of_the_two_words(detector_of):
    """A plain average of words: each pair adds x·y / (9 · 8 · |u| · |v|)."""
    detector = detector_of(units=[], pooling=["mean"])
    found = why(detector, LEFT, RIGHT)
    left, right = (detector.encode(side.words).astype(np.float64) for side in (found.left, found.right))
    norms = np.linalg.norm(left.mean(axis=0)) * np.linalg.norm(right.mean(axis=0))
    np.testing.assert_allclose(found.contributions, left @ right.T / (9 * 8 * norms), atol=1e-6)


def test_what_reaches_a_maximum_first_has_all_of_it(detector_of):
    """Of two equal words the second adds nothing to a maximum."""
    found = why(detector_of(units=[6], pooling=["max"]), "bill bill", "bill rice")
    assert np.abs(found.contributions[0]).max() > 0
    assert not found.contributions[1].any()


@pytest.mark.parametrize(
    ("tower", "similarity"),
    [("conv1d", Cosine), ("bilstm", Cosine), ("attention", Cosine), ("dense", Manhattan), ("dense", Learned)],
)
def test_without_a_sum_over_words_there_are_no_contributions(detector_of, tower, similarity):
    found = why(detector_of(tower, similarity), LEFT, RIGHT)
    assert found.contributions is None
    assert found.cosine is None
    assert "<table>" not in heat_map.html(found)


def test_swapping_the_questions_swaps_the_explanation(detector_of):
    detector = detector_of()
    one, other = why(detector, LEFT, RIGHT), why(detector, RIGHT, LEFT)
    np.testing.assert_allclose(one.left.effect, other.right.effect, atol=1e-6)
    np.testing.assert_allclose(one.contributions, other.contributions.T, atol=1e-6)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_subwords_leave_with_their_word(pairs, kind):
    """Whole words leave, whatever pieces they have."""
    vectorizer = Vectorizer.fit(pairs.questions, kind=kind, vocabulary_size=60, min_frequency=1)
    words = word_embedding(random(vectorizer.vocabulary, vectorizer.size, 0, 8).matrix, trainable=True)
    network = siamese_network(towers.conv1d(words, filters=[5]), Cosine())
    question, other = "how do I pay", "paying a bill"
    spans, word = vectorizer.words(question)
    assert [question[start:end] for start, end in spans] == ["how", "do", "I", "pay"]
    assert len(word) == vectorizer.encode([question]).lengths[0] > 4
    without = vectorizer.encode(["how I pay"])
    assert vectorizer.encode([question]).values[word != 1].tolist() == without.values.tolist()
    found = why(Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0)), question, other)
    assert found.left.words == ["how", "do", "I", "pay"]
    assert len(found.right.effect) == 3


@pytest.mark.parametrize("question", ["", "  ", "\u00a0"])
def test_what_is_no_question_is_not_explained(question):
    with pytest.raises(ValueError, match="question 1 of pair 1 of 1: the text is empty"):
        why(Detector.load(FIXTURE), question, "how do i cook rice")


def test_words_that_are_not_known_are_gray():
    found = why(Detector.load(FIXTURE), "I lost my Krankenkassenkarte", "my card is gone")
    assert found.left.unread.tolist() == [False, False, False, True]
    assert (found.left.known_words, found.right.known_words) == (0.75, 1)
    assert not found.right.unread.any()
    page = heat_map.html(found)
    assert page.count("color: gray") == 1
    assert page.count("; not in the vocabulary") == 1
    assert "Gray words are not in the vocabulary." in page
    labels = [label for axes in heat_map.figure(found).axes[:2] for label in axes.get_yticklabels()]
    assert [label.get_color() == "gray" for label in labels] == [*found.left.unread, *found.right.unread]


def test_words_behind_the_longest_length_have_no_effect_to_tell(pairs):
    vectorizer = Vectorizer.fit(pairs.questions, min_frequency=1, max_length=3)
    spans, word = vectorizer.words("how do i pay my bill")
    assert spans.tolist() == [[0, 3], [4, 6], [7, 8]]
    assert word.tolist() == [0, 1, 2]


def test_the_page_shows_words_as_they_were_written_and_runs_none_of_them():
    question = "L\u2019eau <script>alert('x')</script> & co\u00fbte ?"
    found = why(Detector.load(FIXTURE), question, "how do i cook rice")
    assert found.left.words[:2] == ["L\u2019", "eau"]
    page = heat_map.page(found)
    assert "<script" not in page
    assert "&lt;</mark>" in page
    assert "L\u2019</mark>" in page
    assert "co\u00fbte</mark>" in page


def test_the_strongest_word_has_the_deepest_colour():
    found = why(Detector.load(FIXTURE), "I lost my card", "My card is gone")
    strongest = found.left.words[found.left.effect.argmax()]
    assert f'rgba(33, 113, 181, 0.75); color: inherit" title="{found.left.effect.max():+.4f}">{strongest}<' in (
        heat_map.html(found)
    )


@pytest.mark.slow
def test_the_figure_shows_every_word_and_number():
    found = why(Detector.load(FIXTURE), "I lost my card", "My card is gone")
    bars, others, matrix = heat_map.figure(found).axes
    assert [label.get_text() for label in bars.get_yticklabels()] == ["I", "lost", "my", "card"]
    assert [label.get_text() for label in others.get_yticklabels()] == ["My", "card", "is", "gone"]
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(found.left.effect.tolist())
    assert len(matrix.texts) == 16
    assert float(matrix.texts[7].get_text()) == pytest.approx(found.contributions[1, 3], abs=0.005)
