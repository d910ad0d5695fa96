"""Lexicon: rows of token ids whose means compare letters, numbers and negations of questions."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from siamese.text.lexicon import NUMBERS, Lexicon, widths
from siamese.text.vectorizer import Vectorizer
from siamese.text.vocabulary import word_pieces

QUESTIONS = [
    "where is order 12",
    "where is order 13",
    "how do i pay my bill",
    "how can i not pay the bill",
    "don't pay",
    "paying by card",
    "je ne paie pas",
    "card lost",
]
KINDS = {
    "word": lambda: Vectorizer.fit(QUESTIONS, min_frequency=1, oov_buckets=5),
    "bpe": lambda: Vectorizer.fit(QUESTIONS, kind="bpe", vocabulary_size=150, min_frequency=1),
    "pieces": lambda: Vectorizer(word_pieces(QUESTIONS * 2, 150), 0, 64),
}


def learn(kind: str = "word") -> Lexicon:
    return Lexicon.learn(KINDS[kind](), QUESTIONS)


def cosines(vectors: np.ndarray) -> np.ndarray:
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return (vectors / length) @ (vectors / length).T


def blocks(lexicon: Lexicon, *questions: str) -> list[np.ndarray]:
    letters, numbers, _ = widths(lexicon.rows.shape[1] - NUMBERS - 1)
    return np.split(lexicon.vectors(questions), [letters, letters + numbers], axis=1)


def test_where_no_two_trigrams_share_a_column_the_cosine_is_that_of_their_tf_idf():
    questions = [each for each in QUESTIONS if "pas" not in each]  # the trigram "<pa" is there twice
    lexicon = Lexicon.learn(Vectorizer.fit(questions, min_frequency=1), questions, width=500)
    words = TfidfVectorizer(analyzer=lambda text: [gram for word in text.split() for gram in trigrams(f"<{word}")])
    expected = words.fit_transform(questions).toarray()
    letters, _, _ = blocks(lexicon, *questions)
    np.testing.assert_allclose(cosines(letters), expected @ expected.T, atol=0.005)  # a row has 8 bits


def trigrams(word: str) -> list[str]:
    return [word[i : i + 3] for i in range(max(1, len(word) - 2))]


def test_words_with_the_same_letters_are_alike():
    letters, _, _ = blocks(learn(), "pay", "paying", "bill")
    assert cosines(letters)[0, 1] > 0.3 > abs(cosines(letters)[0, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_other_numbers_disagree(kind):
    _, numbers, _ = blocks(learn(kind), "order 12", "where is 12", "order 13", "order")
    assert cosines(numbers)[0].round(6).tolist() == [1, 1, 0, 0]
    assert not numbers[3].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("question", "negated"),
    [("don't pay", True), ("i can not pay", True), ("je ne paie pas", True), ("i pay my bill", False)],
)
def test_negations_are_found(kind, question, negated):
    _, _, [[negation]] = blocks(learn(kind), question)
    assert (negation > 0) == negated


def test_an_unknown_word_says_nothing_and_one_of_a_bucket_little():
    without = Lexicon.learn(Vectorizer.fit(QUESTIONS, min_frequency=1, oov_buckets=0), QUESTIONS)
    assert not without.vectors(["zyzzyva"]).any()
    assert np.count_nonzero(learn().vectors(["zyzzyva"])) == 1
    assert not learn().rows[:2].any()


def test_a_vector_depends_on_no_other_question():
    lexicon = learn()
    together = lexicon.vectors([*QUESTIONS, ""])
    for question, vector in zip([*QUESTIONS, ""], together, strict=True):
        np.testing.assert_array_equal(lexicon.vectors([question])[0], vector)
    assert lexicon.vectors([]).shape == (0, lexicon.rows.shape[1])


def test_what_is_saved_is_loaded(tmp_path):
    lexicon = learn()
    assert Lexicon.load(tmp_path) is None
    lexicon.save(tmp_path)
    again = Lexicon.load(tmp_path)
    assert again is not None
    assert again.digest == lexicon.digest
    np.testing.assert_array_equal(again.vectors(QUESTIONS), lexicon.vectors(QUESTIONS))
    np.savez(tmp_path / "lexicon" / "rows.npz", rows=lexicon.rows[:-1])
    with pytest.raises(ValueError, match=r"rows.npz must be float32\[\d+, width\], got float32"):
        Lexicon.load(tmp_path)


def test_a_width_without_columns_is_refused():
    with pytest.raises(ValueError, match=r"similarity\.width must be at least 1, got 0"):
        Lexicon.learn(learn().vectorizer, QUESTIONS, width=0)
