"""Long texts: what is cut before it is tokenized changes no id of a sensible text, and a hostile one costs little."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese.pretrained.piece_table import SHIPPED, PieceTable
from siamese.text.chunk_reader import LONGEST_TOKEN
from siamese.text.inputs import UNKNOWN
from siamese.text.vectorizer import Vectorizer

KINDS = ("word", "unigram", "bpe", "pieces")
LENGTH = 8  # tokens that are read
TRAINING = ["How do I reset my password?", "Où est l'eau aujourd'hui ?", "我的PIN？ 1,000.50 😀"] * 3
EXPANDING = "\ufdfa"  # which NFKC writes as four words with 18 characters


@pytest.fixture(scope="module", params=KINDS)
def fitted(request) -> Vectorizer:
    if request.param == "pieces":
        return Vectorizer(PieceTable.load(SHIPPED / "fr").tokenizer, 0, LENGTH)
    return Vectorizer.fit(
        TRAINING, kind=request.param, vocabulary_size=120, min_frequency=1, oov_buckets=0, max_length=LENGTH
    )


words = st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=40)
between = st.text(" \n\t\u00a0", min_size=1, max_size=3)
texts = st.lists(st.tuples(words, between), min_size=10, max_size=30).map(
    lambda parts: "".join(map("".join, parts)) * 5
)


@settings(max_examples=50, deadline=None)
@given(text=texts)
def test_the_ids_of_a_long_text_are_those_of_the_whole(fitted, text):
    """Of words of up to 40 characters, and some space between them."""
    whole = fitted._tokenizer.encode(text)
    ids, coverage = fitted.read([text])
    assert ids.values.tolist() == (whole.ids[:LENGTH] or [UNKNOWN])
    assert coverage.cut.tolist() == [len(whole.ids) > LENGTH]
    spans, number = fitted.words(text)
    for (start, end), (token_start, token_end) in zip(spans[number], whole.offsets[:LENGTH], strict=True):
        assert start <= token_start <= token_end <= end


def test_the_ids_of_words_outside_the_vocabulary_are_those_of_the_whole():
    vectorizer = Vectorizer.fit(TRAINING, min_frequency=1, max_length=LENGTH)
    text = " ".join(f"word{number}" for number in range(1_000))
    first = " ".join(text.split()[:LENGTH])
    ids, coverage = vectorizer.read([text, first])
    np.testing.assert_array_equal(ids.take(np.array([0])).values, ids.take(np.array([1])).values)
    assert coverage.cut.tolist() == [True, True]  # word0 is two words


def test_what_is_behind_a_word_that_is_far_too_long_is_cut(fitted):
    text = "a" * LONGEST_TOKEN * LENGTH
    _, coverage = fitted.read([text + " b", "b " + text, text])
    assert coverage.cut[:2].all()
    assert fitted.encode([text + " b"]).values.tolist() == fitted.encode([text]).values.tolist()


@pytest.mark.parametrize("text", [EXPANDING * 333_000, "'" * 1_000_000, "a\n" * 500_000, "\u0301" * 500_000])
def test_a_megabyte_takes_no_longer_than_a_page(text):
    vectorizer = Vectorizer(PieceTable.load(SHIPPED / "en").tokenizer, 0, 64)
    started = time.process_time()
    ids, coverage = vectorizer.read([text])
    vectorizer.words(text)
    assert time.process_time() - started < 3  # the first took 30 before it was cut
    assert len(ids.values) <= 64
    assert coverage.cut.all()


MEMORY = """
import resource
from siamese.pretrained.piece_table import SHIPPED, PieceTable
from siamese.text.vectorizer import Vectorizer

vectorizer = Vectorizer(PieceTable.load(SHIPPED / "en").tokenizer, 0, 64)
vectorizer.encode(["'" * 4_096])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
vectorizer.encode(["'" * 4_000 + str(number) for number in range(250)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, "kB")
"""


@pytest.mark.slow
def test_a_million_tokens_are_not_held_at_once(run_python):
    printed = run_python("-c", MEMORY).stdout
    assert int(re.fullmatch(r"(\d+) kB\n", printed)[1]) < 60_000
