"""Chunks: found with Arrow or without it, they are the same."""

from itertools import pairwise

import numpy as np
import pytest

from siamese.data.intent_files import read_intent_file
from siamese.data.sources import CORPORA
from siamese.data.texts import Texts
from siamese.text import chunks

ODD = ["", " ", "  a  b ", "a", "b a b", "Où est l'eau ?", "a\u00a0b \x00 \x00", "😀 " * 3, "tab\there\n"]


@pytest.fixture(params=[True, False], ids=["with Arrow", "without"])
def arrow(request, monkeypatch) -> list[int]:
    """How many texts Arrow was asked for, where it is used for however few; nothing where it is not installed."""
    asked: list[int] = []
    by_arrow = chunks._distinct_by_arrow
    monkeypatch.setattr(chunks, "FEW", 0)
    monkeypatch.setattr(
        chunks, "_distinct_by_arrow", lambda texts, cut: asked.append(len(texts)) or by_arrow(texts, cut)
    )
    if not request.param:
        monkeypatch.setattr(chunks, "find_spec", lambda name: None)
    yield asked
    assert bool(asked) == request.param


@pytest.mark.parametrize("cut", [True, False])
def test_chunks_are_the_pieces_between_spaces(arrow, cut):
    shipped = read_intent_file(CORPORA / "fr.tsv", "question", "intent", None, "error")[0]
    for texts in (ODD, shipped, ODD[:1]):
        distinct, which, ends = chunks.distinct_chunks(Texts.of(["not this one", *texts])[1:], cut)
        pieces = [text.split(" ") if cut else [text] for text in texts]
        assert distinct == list(dict.fromkeys(piece for each in pieces for piece in each))
        assert which.dtype == np.int32
        found = np.array(distinct, object)[which]
        assert [found[start:end].tolist() for start, end in pairwise(ends)] == pieces


def test_half_an_emoji_is_no_text(arrow):
    with pytest.raises(UnicodeDecodeError):
        chunks.distinct_chunks(Texts.of(["half \ud83d an emoji"]), True)
