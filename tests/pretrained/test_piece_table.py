"""Piece tables: every word has pieces and rows; the shipped table is chosen by the language of the questions."""

import numpy as np
import pytest

from siamese.data.sources import corpus
from siamese.pretrained.piece_table import FILES, SHIPPED, PieceTable, find, piece_vectors, pieces, shipped_languages
from siamese.text.vectorizer import Vectorizer

GERMAN = ["Wie kann ich mein Passwort zurücksetzen?", "Wo bezahle ich meine Rechnung für den Strom?"]


def test_english_and_french_ship_in_less_than_20_mb():
    assert shipped_languages() == ["en", "fr"]
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 20_000_000


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_language_of_the_questions_chooses_the_table(language):
    questions = corpus([language]).train.questions
    assert find("shipped", questions) is find(language, [])


@pytest.mark.parametrize(
    "questions", [GERMAN, ["パスワードを忘れました", "料金はどこで払えますか"], ["как сменить пароль"]]
)
def test_in_other_languages_words_are_learned_as_without_a_table(questions):
    questions = questions * 2  # a word must occur twice to be learned
    assert find("shipped", questions) is None
    vectorizer = pieces(questions)
    assert vectorizer.vocabulary == Vectorizer.fit(questions, max_length=96).vocabulary
    vectors = piece_vectors(vectorizer.vocabulary, vectorizer.size, seed=1, width=5)
    assert (vectors.trainable, vectors.found, vectors.matrix.shape) == (True, 0.0, (vectorizer.size, 5))


def test_pieces_have_the_rows_of_the_table():
    vectorizer = pieces(["How do I pay my bill?"])
    vectors = piece_vectors(vectorizer.vocabulary, vectorizer.size, seed=0)
    np.testing.assert_array_equal(vectors.matrix, find("en", []).matrix)
    assert (vectors.trainable, vectors.found) == (False, 1.0)
    assert (vectors.matrix[:2] == 0).all()


def test_words_have_the_mean_of_the_rows_of_their_pieces():
    vectorizer = Vectorizer.fit(["how do i pay my overdrafts"], min_frequency=1, oov_buckets=3)
    vectors = piece_vectors(vectorizer.vocabulary, vectorizer.size, seed=0, table="en")
    table = find("en", [])
    ids = table.tokenizer.encode("overdrafts").ids
    assert len(ids) > 1
    row = vectorizer.vocabulary.index("overdrafts")
    np.testing.assert_allclose(vectors.matrix[row], table.matrix[ids].mean(axis=0), rtol=1e-5, atol=1e-6)


def test_related_words_that_no_training_question_holds_are_near():
    table = find("en", [])

    def cosine(left, right):
        u, v = (table.matrix[table.tokenizer.encode(word).ids].mean(axis=0) for word in (left, right))
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    assert cosine("physician", "doctor") > cosine("physician", "guitar") + 0.2


def test_a_saved_table_is_the_same_to_the_bit(tmp_path):
    table = find("fr", [])
    table.save(tmp_path / "own")
    again = PieceTable.load(tmp_path / "own")
    np.testing.assert_array_equal(again.matrix, table.matrix)
    assert again.tokenizer.to_str() == table.tokenizer.to_str()
    assert pieces(["où"], table=str(tmp_path / "own")).size == len(table.rows)


def test_a_folder_with_something_else_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt|holds"):
        find("fr", []).save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def broken(folder, change):
    find("en", []).save(folder)
    with np.load(folder / FILES[1]) as file:
        arrays = dict(file)
    np.savez(folder / FILES[1], **change(arrays))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {**arrays, "rows": arrays["rows"][:-1]},
        lambda arrays: {**arrays, "rows": arrays["rows"].astype(np.float32)},
        lambda arrays: {**arrays, "scale": arrays["scale"] * np.nan},
        lambda arrays: {"rows": arrays["rows"]},
    ],
)
def test_a_table_that_does_not_fit_together_is_refused_by_its_name(tmp_path, change):
    with pytest.raises(ValueError, match=str(tmp_path)):
        PieceTable.load(broken(tmp_path / "table", change))


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"is no table of word pieces and no detector .*: it has no tokenizer.json, rows.npz"
    ):
        find(str(tmp_path), [])
    (tmp_path / FILES[0]).write_text("{}")
    (tmp_path / FILES[1]).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no table of word pieces"):
        PieceTable.load(tmp_path)


def test_a_length_below_one_is_refused():
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        pieces(["how"], max_length=0)


def test_a_start_that_is_nowhere_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"start must be shipped, en, fr, or the folder .* there is no folder nowhere"):
        find("nowhere", [])
