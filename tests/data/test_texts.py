"""Texts behave as the list that they were made of; equal texts get equal numbers."""

import copy
import pickle

import numpy as np
import pytest

from siamese.data import texts as module
from siamese.data.texts import Texts, TextsBuilder, factorize

ORIGINAL = ["a", "", "Où ?", "\x00", "a", "half \ud83d an emoji", "two\nlines", "😀" * 50]


@pytest.fixture(params=[1, 3, 2**15])
def texts(request, monkeypatch) -> Texts:
    monkeypatch.setattr(module, "BLOCK", request.param)
    monkeypatch.setattr(module, "TAKEN_AT_ONCE", request.param)
    return Texts.of(iter(ORIGINAL))


def test_a_sequence_like_the_list(texts):
    assert list(texts) == ORIGINAL
    assert len(texts) == len(ORIGINAL)
    assert [texts[i] for i in range(-8, 8)] == ORIGINAL * 2
    assert [texts[i] for i in np.array([2, 0], np.int32)] == ["Où ?", "a"]
    assert "Où ?" in texts
    assert texts.index("", 0) == 1
    with pytest.raises(IndexError):
        texts[8]


def test_equal_to_texts_lists_and_tuples_of_the_same(texts):
    assert texts == ORIGINAL
    assert texts == tuple(ORIGINAL)
    assert texts == Texts.of(ORIGINAL)
    assert [texts, "x"] == [ORIGINAL, "x"]
    assert texts not in (ORIGINAL[:-1], ORIGINAL[::-1], ["a"] * 8, [1] * 8, "a", None, Texts.of(ORIGINAL[1:]))
    assert Texts.of([]) == ()
    with pytest.raises(TypeError, match="unhashable"):
        hash(texts)


def test_parts_and_the_whole(texts):
    assert texts[2:5] == ORIGINAL[2:5]
    assert texts[::-3] == ORIGINAL[::-3]
    assert texts[5:2] == texts[9:] == []
    assert list(texts[2:5].encoded()) == ["Où ?".encode(), b"\x00", b"a"]
    assert list(texts.blocks(3)) == [ORIGINAL[:3], ORIGINAL[3:6], ORIGINAL[6:]]
    assert texts.take(np.array([5, 5, 1])) == [ORIGINAL[5], ORIGINAL[5], ""]
    assert texts[1:].take(np.array([1])) == ["Où ?"]
    assert texts.take(np.empty(0, np.int64)) == []


def test_arrow_reads_the_same_memory(texts):
    part = texts[2:5]
    assert part.arrow().to_pylist() == list(part.encoded())
    assert part.arrow().buffers()[2].address == texts.utf8.ctypes.data


def test_a_builder_takes_texts_of_every_kind(texts):
    builder = TextsBuilder()
    for part in (texts[6:], texts[3:3], [], iter(["x", "Où ?"]), ("",)):
        builder.add(part)
    assert builder.texts() == [*ORIGINAL[6:], "x", "Où ?", ""]


def test_texts_are_copied_once(texts):
    assert Texts.of(texts) is texts
    assert pickle.loads(pickle.dumps(texts)) == copy.deepcopy(texts) == ORIGINAL


@pytest.mark.parametrize("block", [1, 2, 2**15])
@pytest.mark.parametrize(
    "columns", [[ORIGINAL], [ORIGINAL, ORIGINAL[::-1]], [["b", "b"], [], ["c", "b"]], [[]], [[], []]]
)
def test_numbers_are_those_that_a_dictionary_would_give(columns, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    seen: dict[str, int] = {}
    expected = [[seen.setdefault(text, len(seen)) for text in column] for column in columns]
    for given in (columns, [iter(column) for column in columns], [Texts.of(column) for column in columns]):
        found = factorize(*given)
        assert [numbers.tolist() for numbers in found] == expected
        assert {numbers.dtype for numbers in found} == {np.dtype(np.int32)}


def test_many_texts_are_numbered_as_by_a_dictionary():
    draw = np.random.default_rng(0).integers(3000, size=20_000)
    seen: dict[str, int] = {}
    column = [f"question {i}" for i in draw]
    assert factorize(column[:9000], column[9000:])[1].tolist() == [seen.setdefault(t, len(seen)) for t in column][9000:]
