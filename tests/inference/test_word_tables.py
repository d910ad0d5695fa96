"""Word tables: each word is computed once and alone, and the first ids are kept."""

import numpy as np

from siamese.inference import word_tables
from siamese.inference.word_tables import WordTables


def test_a_word_is_computed_once_and_the_last_ids_each_time(monkeypatch):
    """Rows of 3 numbers and room for 6: those of the words 0 and 1 are kept."""
    monkeypatch.setattr(word_tables, "KEPT_NUMBERS", 6)
    asked = []

    def tabulate(words: np.ndarray):
        asked.extend(words.tolist())
        x = words[:, None].astype(np.float32)
        return {"pool": [x], "lstm": [np.hstack([x, x + 1]) * 10]}

    tables = WordTables(tabulate, vocabulary=4)
    for _ in range(2):
        found = tables.of([1, 3, 1, 0])
        assert found["pool"][0].tolist() == [[1], [3], [1], [0]]
        assert found["lstm"][0].tolist() == [[10, 20], [30, 40], [10, 20], [0, 10]]
    assert asked == [1, 3, 0, 3]
    assert tables.of([0, 1])["pool"][0].tolist() == [[0], [1]]
    assert asked == [1, 3, 0, 3]
