"""Word tables: each word is computed once, in blocks of one size, and the first ids are kept."""

import numpy as np

from siamese.inference import word_tables
from siamese.inference.word_tables import WordTables


def test_a_word_is_computed_once_and_the_last_ids_each_time(monkeypatch):
    """Rows of 3 numbers and room for 6: those of the words 0 and 1 are kept."""
    monkeypatch.setattr(word_tables, "KEPT_NUMBERS", 6)
    asked = []

    def tabulate(words: np.ndarray):
        assert len(words) == word_tables.BLOCK
        asked.extend(dict.fromkeys(words.tolist()))
        x = words[:, None].astype(np.float32)
        return {"pool": [x], "lstm": [np.hstack([x, x + 1]) * 10]}

    tables = WordTables(tabulate, vocabulary=4)
    for _ in range(2):
        found = tables.of([1, 3, 1, 0])
        assert found["pool"][0].tolist() == [[1], [3], [1], [0]]
        assert found["lstm"][0].tolist() == [[10, 20], [30, 40], [10, 20], [0, 10]]
    assert asked == [0, 1, 3, 3]
    assert tables.of([0, 1])["pool"][0].tolist() == [[0], [1]]
    assert asked == [0, 1, 3, 3]


def test_a_row_does_not_depend_on_what_comes_with_it_or_before():
    """To the bit, through a matrix product, for words one by one and for many at once, kept or not."""
    generator = np.random.default_rng(0)
    table, kernel = (
        generator.normal(size=(500, 96)).astype(np.float32),
        generator.normal(size=(96, 120)).astype(np.float32),
    )

    def tabulate(words: np.ndarray):
        return {"pool": [table[words] @ kernel, table[words]]}

    one_by_one, at_once, mixed = (WordTables(tabulate, 500) for _ in range(3))
    every = np.arange(500)
    rows = np.concatenate([one_by_one.of([word])["pool"][0] for word in every.tolist()])
    mixed.of([7, 3, 7, 400])
    for tables in (one_by_one, at_once, mixed, at_once):
        found = tables.of_batch(every, lambda function, items: list(map(function, items)))["pool"]
        assert np.array_equal(found[0], rows)
        assert np.array_equal(found[1], table)


def test_words_that_nobody_asked_for_fill_a_block(monkeypatch):
    """The most frequent ones that are not kept yet, each once; the first block is computed before there is room for any."""
    asked = []

    def tabulate(words: np.ndarray):
        assert len(words) == word_tables.BLOCK
        asked.append(words.tolist())
        return {"pool": [words[:, None].astype(np.float32)]}

    monkeypatch.setattr(word_tables, "KEPT_NUMBERS", 12)
    tables = WordTables(tabulate, vocabulary=20)
    for words in ([3], [5, 19, 5], [0, 1, 2, 4, 6, 7, 8, 3], [11], [19]):
        assert tables.of(words)["pool"][0].ravel().tolist() == words
    assert asked == [[3] * 8, [0, 1, 2, 4, 5, 6, 7, 19], [8, 9, 10, 11, *[8] * 4], [19] * 8]
