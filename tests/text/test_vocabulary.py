"""Vocabulary: word pieces depend on the texts alone."""

import pytest

from siamese.text.vocabulary import SPECIAL, word_pieces

TEXTS = ["how do i pay my bill, or l'été ?", "where do i pay my card", "i lost my card", "how do i cook my rice"]


@pytest.mark.slow
def test_every_process_learns_the_same_pieces(run_python):
    """The trainer's hash tables have another order in each process, and many pieces are equally frequent here."""
    program = f"from siamese.text.vocabulary import word_pieces\nprint(word_pieces({TEXTS!r}, 70).to_str())"
    first, *others = (run_python("-c", program).stdout for _ in range(3))
    assert first.startswith("{")
    assert all(other == first for other in others)


def test_pieces_spell_new_words_and_special_tokens_are_text():
    tokenizer = word_pieces(TEXTS * 2, 100)
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[token] for token in SPECIAL] == [0, 1]
    assert tokenizer.encode("Card bill été").tokens == ["card", "bill", "été"]
    assert "".join(tokenizer.encode("mycard").tokens).replace("##", "") == "mycard"
    assert tokenizer.encode("i,i").tokens == ["i", ",", "i"]
    assert tokenizer.encode("☃ card").tokens == ["[UNK]", "card"]


def test_rare_signs_are_unknown_where_there_is_no_room():
    tokenizer = word_pieces(["aa aa b"], 4)  # for one sign, at the start of a word and within
    assert sorted(tokenizer.get_vocab()) == ["##a", "[PAD]", "[UNK]", "a"]
    assert tokenizer.encode("aa b").tokens == ["a", "##a", "[UNK]"]
