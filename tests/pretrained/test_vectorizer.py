"""An encoder in the place of a vectorizer."""

import numpy as np
import pytest

from siamese.pretrained.vectorizer import MOST_WORDS, EncoderVectorizer
from siamese.text.inputs import QuestionVectors


def test_each_distinct_text_is_encoded_once(encoder_vectorizer, monkeypatch):
    encoder, seen = encoder_vectorizer.encoder, []
    monkeypatch.setattr(encoder, "encode", lambda texts, encode=encoder.encode: seen.extend(texts) or encode(texts))
    found = encoder_vectorizer.encode(["pay", "lost card", "pay"])
    assert sorted(seen) == ["lost card", "pay"]
    assert found.values.tolist() == encoder.encode(["pay", "lost card", "pay"]).tolist()
    assert found.numbered().tolist() == [0, 1, 0]
    assert len(encoder_vectorizer.encode([])) == 0


def test_half_an_emoji_is_read_as_an_unknown_word(encoder_vectorizer):
    assert np.isfinite(encoder_vectorizer.encode(["\ud83d", "pay"]).values).all()


def test_invisible_characters_are_not_read(encoder_vectorizer):
    assert encoder_vectorizer.encode(["pay", "\ufeffp\u200bay"]).numbered().tolist() == [0, 0]


def test_how_much_an_encoder_reads(encoder_vectorizer, monkeypatch):
    long = "pay " * 300
    coverage = encoder_vectorizer.read(["pay", "pay 水", long])[1]
    assert coverage.known_words.tolist() == [1, 0.5, 1]
    assert coverage.cut.tolist() == [False, False, True]
    monkeypatch.delattr(type(encoder_vectorizer.encoder), "coverage")  # as in an encoder of one's own
    untold = encoder_vectorizer.coverage(["pay"])
    assert np.isnan(untold.known_words).all()
    assert not untold.unread.any()


@pytest.mark.parametrize(
    ("question", "words", "without"),
    [
        ("how do  i pay?", ["how", "do", "i", "pay?"], ["do  i pay?", "how i pay?", "how do  pay?", "how do  i "]),
        ("pay", ["pay"], [""]),
        ("  ", [], []),
    ],
)
def test_each_word_is_left_out_in_turn(encoder_vectorizer, question, words, without):
    spans, number = encoder_vectorizer.words(question)
    vectors = encoder_vectorizer.without_each_word(question)
    assert [question[start:end] for start, end in spans] == words
    assert number.tolist() == list(range(len(words)))
    assert vectors.values == pytest.approx(encoder_vectorizer.encoder.encode([question, *without]))


def test_no_more_words_are_left_out_than_anyone_reads(encoder_vectorizer):
    question = "how do i pay " * 100
    assert len(encoder_vectorizer.words(question)[0]) == MOST_WORDS
    assert len(encoder_vectorizer.without_each_word(question)) == MOST_WORDS + 1


def test_vectors_stand_where_token_ids_stand():
    vectors = QuestionVectors(np.array([[1, 2], [3, 4], [1, 2]], np.float32))
    assert (len(vectors), vectors.lengths.tolist()) == (3, [1, 1, 1])
    assert vectors.padded(np.array([1, 0])).tolist() == [[3, 4], [1, 2]]
    assert vectors.take(np.array([1])).values.tolist() == [[3, 4]]
    assert vectors.numbered().tolist() == [0, 1, 0]


def test_the_json_identifies_the_encoder(encoder_vectorizer):
    assert encoder_vectorizer.encoder.digest in EncoderVectorizer(encoder_vectorizer.encoder).to_json()
