"""Data sources: what they are named, how they split, what they refuse; TFDS is read without a network."""

import inspect
import logging
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hydra.utils import get_method
from omegaconf import OmegaConf
from tensorflow_datasets.core.download import checksums

from siamese.data.intent_files import read_intent_file
from siamese.data.pairs import COLLECTION, QuestionPairs
from siamese.data.sources import CORPORA, corpus, few_shot, intent_file, pair_file, tfds_pairs
from siamese.data.splits import assert_disjoint

DRAW = {"duplicates_per_question": 2.5, "duplicate_share": 0.37, "hard_negative_share": 0.5, "seed": 1}
COLUMNS = {
    "left": "question1",
    "right": "question2",
    "label": "is_duplicate",
    "split": "question",
    "on_bad_row": "skip",
    "seed": 0,
}
QQP = {"name": "glue/qqp", "left": "question1", "right": "question2", "label": "label", "label_scale": 1, "seed": 0}
QQP_URL = "https://dl.fbaipublicfiles.com/glue/data/QQP.zip"
CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


def texts(pairs: QuestionPairs | None) -> list[tuple[str, str, float]]:
    assert pairs is not None
    return list(zip(pairs.left_texts(), pairs.right_texts(), pairs.label.tolist(), strict=True))


def write_pairs(path: Path, rows: list[tuple[str, str, object]]) -> str:
    lines = ["question1\tquestion2\tis_duplicate", *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_writes_out_every_argument_of_its_source(path):
    assert path.read_text().startswith("# ")
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert config.pop("_partial_") is True
    assert list(config) == ["_target_", *inspect.signature(get_method(config["_target_"])).parameters]


def test_the_corpora_give_the_wanted_pairs():
    splits = corpus(languages=["en"], split="intent", dev=0.1, test=0.1, **DRAW)
    assert splits.name == "corpus en by intent"
    assert len(splits.train) + len(splits.dev) + len(splits.test) >= 20_000
    for pairs in splits.parts().values():
        assert pairs.label.mean() == pytest.approx(0.37, abs=0.001)
    assert_disjoint(splits.parts())
    assert corpus(languages=["en"], split="intent", dev=0.1, test=0.1, **DRAW).train.digest() == splits.train.digest()


def test_two_languages_are_kept_apart_and_test_may_be_left_out():
    # Both corpora have topics of the same name; negatives of one topic must not mix the languages.
    options = {**DRAW, "hard_negative_share": 1.0}
    splits = corpus(languages=["fr", "en"], split="question", dev=0.1, test=None, **options)
    assert (splits.name, splits.test) == ("corpus fr+en by question", None)
    language = {
        question: name
        for name in ("en", "fr")
        for question in read_intent_file(CORPORA / f"{name}.tsv", "question", "intent", "topic", "error")[0]
    }
    assert {(language[left], language[right]) for left, right, _ in texts(splits.train)} == {("en", "en"), ("fr", "fr")}


@pytest.mark.parametrize("languages", [[], ["en", "de"]])
def test_a_language_that_is_not_shipped_is_refused(languages):
    with pytest.raises(ValueError, match=r"data\.languages must list some of en, fr, got"):
        corpus(languages=languages, split="intent", dev=0.1, test=0.1, **DRAW)


def test_an_intent_file_becomes_pairs(tmp_path):
    path = tmp_path / "help.csv"
    rows = [f"question {wording} about {intent},{intent}" for intent in "abcdefghijkl" for wording in range(3)]
    path.write_text("\n".join(["text,intent", *rows, "lost,"]) + "\n")
    splits = intent_file(
        str(path), "text", "intent", None, split="intent", dev=1 / 6, test=1 / 6, on_bad_row="skip", **DRAW
    )
    assert splits.name == "help.csv by intent"
    assert [bad.row for bad in splits.bad_rows] == [38]
    # 8 of 12 intents are left for training; 3 questions make 3 duplicate pairs each, and .63 / .37 as many others
    assert splits.train.label.sum() == 24
    assert len(splits.train) == 24 + 41
    for left, right, label in texts(splits.train):
        assert (left[-1] == right[-1]) == (label == 1)


def test_a_few_questions_of_each_intent_are_searched_by_all_others(tmp_path):
    path = tmp_path / "help.csv"
    rows = [f"question {wording} about {intent},{intent}" for intent in "abcdefghij" for wording in range(5)]
    path.write_text("\n".join(["text,intent", *rows]) + "\n")
    splits = few_shot(str(path), per_intent=3, dev=0.2)
    assert splits.name == "help.csv, 3 questions of each intent"
    assert {part: len(questions.question) for part, questions in splits.intents.items()} == {
        "train": 24,
        "dev": 6,
        "test": 20,
        COLLECTION: 30,
    }
    assert_disjoint(splits.parts())
    known = set(splits.intents[COLLECTION].question)
    assert known == {*splits.intents["train"].question, *splits.intents["dev"].question}
    assert set(splits.test.questions).isdisjoint(known)


@pytest.mark.parametrize("split", ["intent", "question", "pair"])
def test_the_intents_of_each_part_are_known_unless_parts_share_questions(split):
    splits = corpus(languages=["fr"], split=split, dev=0.2, test=None, **DRAW)
    assert list(splits.intents) == ([] if split == "pair" else ["train", "dev"])
    for part, questions in splits.intents.items():
        pairs = splits.parts()[part]
        intent = dict(zip(questions.question, questions.intent.tolist(), strict=True))
        assert [intent[left] == intent[right] for left, right, _ in texts(pairs)] == pairs.duplicate.tolist()
    shared = [set(questions.intent.tolist()) for questions in splits.intents.values()]
    assert split == "pair" or bool(shared[0] & shared[1]) == (split == "question")


def test_a_pair_file_is_held_out_by_component(tmp_path):
    rows = [(f"a{i // 2}", f"b{i}", i % 2) for i in range(20)]  # 10 components of 2 pairs each
    path = write_pairs(tmp_path / "pairs.tsv", [*rows, ("x", "", 1)])
    splits = pair_file(path, dev=0.2, test=0.1, **COLUMNS)
    assert (splits.name, [bad.row for bad in splits.bad_rows]) == ("pairs.tsv", [22])
    assert {name: len(part) for name, part in splits.parts().items()} == {"train": 14, "dev": 4, "test": 2}
    assert_disjoint(splits.parts())
    for test in (0, None):
        assert pair_file(path, dev=0.2, test=test, **COLUMNS).test is None


def test_split_by_pair_parts_what_hangs_together(tmp_path):
    rows = [("the same", f"other {i}", i % 2) for i in range(20)]  # one component
    path = write_pairs(tmp_path / "pairs.tsv", rows)
    splits = pair_file(path, dev=0.2, test=0.1, **{**COLUMNS, "split": "pair"})
    assert {name: len(part) for name, part in splits.parts().items()} == {"train": 14, "dev": 4, "test": 2}
    with pytest.raises(ValueError, match=r"data\.split must be question or pair, got 'intent'"):
        pair_file(path, dev=0.2, test=0.1, **{**COLUMNS, "split": "intent"})


@pytest.mark.slow
def test_a_corpus_split_by_pair_shares_questions_but_no_pair():
    splits = corpus(languages=["en"], split="pair", dev=0.1, test=0.1, **DRAW)
    assert splits.name == "corpus en by pair"
    by_intent = corpus(languages=["en"], split="intent", dev=0.1, test=0.1, **DRAW)
    assert sum(map(len, splits.parts().values())) == pytest.approx(sum(map(len, by_intent.parts().values())), rel=0.02)
    sides = {name: {frozenset(row[:2]) for row in texts(part)} for name, part in splits.parts().items()}
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["dev"]
    with pytest.raises(ValueError, match="is in both"):
        assert_disjoint(splits.parts())


def test_dev_and_test_may_be_files_of_their_own_or_one_of_them(tmp_path):
    rows = [(f"a{i}", f"b{i}", 5 * (i % 2)) for i in range(10)]
    train = write_pairs(tmp_path / "train.tsv", rows)
    dev = write_pairs(tmp_path / "dev.tsv", [("c", "d", 2.5), ("", "d", 5)])
    test = write_pairs(tmp_path / "test.tsv", [("e", "f", 5), ("e", "g", 6)])
    options = {**COLUMNS, "label_scale": 5}

    both = pair_file(train, dev=dev, test=test, **options)
    assert texts(both.train) == [(left, right, label / 5) for left, right, label in rows]
    assert (texts(both.dev), texts(both.test)) == ([("c", "d", 0.5)], [("e", "f", 1.0)])
    assert [(Path(bad.file).name, bad.row) for bad in both.bad_rows] == [("dev.tsv", 3), ("test.tsv", 3)]

    held_out_dev = pair_file(train, dev=0.2, test=test, **options)
    assert (len(held_out_dev.train), len(held_out_dev.dev), texts(held_out_dev.test)) == (8, 2, [("e", "f", 1.0)])
    held_out_test = pair_file(train, dev=dev, test=0.3, **options)
    assert (len(held_out_test.train), texts(held_out_test.dev), len(held_out_test.test)) == (7, [("c", "d", 0.5)], 3)
    assert pair_file(train, dev=dev, test=None, **options).test is None


def test_contradicting_labels_of_a_pair_are_counted_and_told(tmp_path):
    rows = [(f"a{i}", f"b{i}", i % 2) for i in range(20)]
    splits = pair_file(write_pairs(tmp_path / "a.tsv", [*rows, ("b3", "a3", 0)]))
    assert "1 pairs are labeled both duplicate and different, the first 'a3' and 'b3'; all were kept" in splits.notes
    assert sum(map(len, splits.parts().values())) == 21


class TinyGrades(tfds.core.GeneratorBasedBuilder):
    """Grades from 0 to 5, an unlabelled pair and a pair without a question; needs no download."""

    VERSION = tfds.core.Version("1.0.0")
    ROWS = (("a", "b", 5.0), ("c", "d", 2.5), ("e", "f", -1.0), ("g", " ", 0.0))

    def _info(self):
        text = tfds.features.Text()
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"s1": text, "s2": text, "grade": np.float32})
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(self.ROWS), "test": self._generate_examples([("x", "y", -1.0)] * 2)}

    def _generate_examples(self, rows):
        for key, (left, right, grade) in enumerate(rows):
            yield key, {"s1": left, "s2": right, "grade": grade}


@pytest.fixture(scope="module")
def tiny_grades(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared")
    options = {"name": "tiny_grades", "left": "s1", "right": "s2", "label": "grade", "label_scale": 5, "seed": 0}
    return {**options, "train": "train", "dev": "train[:4]", "data_dir": str(directory), "manual_dir": None}


def test_tfds_grades_are_scaled_and_unlabelled_pairs_left_out(tiny_grades, capsys):
    splits = tfds_pairs(**{**tiny_grades, "test": None})
    assert sorted(texts(splits.train)) == [("a", "b", 1.0), ("c", "d", 0.5)]
    assert splits.name == "tiny_grades"
    assert sorted((bad.file, bad.column, bad.problem) for bad in splits.bad_rows) == [
        ("tiny_grades train", "grade", "no label"),
        ("tiny_grades train", "s2", "the text is empty"),
        ("tiny_grades train[:4]", "grade", "no label"),
        ("tiny_grades train[:4]", "s2", "the text is empty"),
    ]
    assert capsys.readouterr() == ("", "")


def test_tfds_rows_are_read_in_parts_of_a_split(tiny_grades):
    whole = tfds_pairs(**{**tiny_grades, "dev": "train[:2]+train[2:]", "test": None})
    assert texts(whole.dev) == texts(whole.train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": "nothing"}, "tiny_grades has no text 'nothing'; its features are .*s1, s2"),
        ({"label": "s1"}, "tiny_grades has no number 's1'"),
        ({"left": "grade"}, "tiny_grades has no text 'grade'"),
        ({"label_scale": 1}, r"tiny_grades train has labels up to 5\.0, expected at most data\.label_scale=1"),
        ({"label_scale": 0}, "data.label_scale must be above 0"),
        ({"test": "test"}, "tiny_grades test has no labels"),
        ({"test": "validation"}, "Unknown split 'validation'"),
        ({"test": "train[:0]"}, "is empty"),
        ({"name": "no_such_set"}, "TFDS cannot build 'no_such_set'"),
        ({"name": "glue/no_such_config"}, "TFDS cannot build 'glue/no_such_config'"),
    ],
)
def test_unsupported_tfds_settings_are_refused(tiny_grades, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        tfds_pairs(**{**tiny_grades, "test": None, **changes})
    assert "\n" not in str(caught.value)


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.mark.parametrize("manual_dir", [None, "by_hand"])
def test_without_a_network_tfds_fails_at_once_and_says_which_file_to_bring(tmp_path, no_network, manual_dir, capsys):
    manual_dir = manual_dir and str(tmp_path / manual_dir)
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"put QQP\.zip \(41,696,084 bytes, from https://[^ ]*\) into") as caught:
        tfds_pairs(**QQP, train="train", dev=0.1, test=0.1, data_dir=str(tmp_path), manual_dir=manual_dir)
    assert time.monotonic() - start < 60  # TFDS itself tries for minutes
    assert (manual_dir or "set data.manual_dir to it") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_tfds_gives_the_reason_where_no_file_would_help(tmp_path, no_network):
    (tmp_path / "a_file").touch()
    with pytest.raises(ValueError, match=r"could not be prepared; \(.*a_file") as caught:
        tfds_pairs(**QQP, train="train", dev=0.1, test=0.1, data_dir=str(tmp_path / "a_file"), manual_dir=None)
    assert "\n" not in str(caught.value)


@pytest.fixture
def qqp_by_hand(tmp_path):
    """A directory with a QQP.zip of the real layout: 16 pairs for train, 4 for dev, 3 for test without labels."""

    def table(rows: range) -> str:
        header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        return header + "".join(f'{i}\t{2 * i}\t{2 * i + 1}\tWhat is "{i}"?\tWhy {i}?\t{i % 2}\n' for i in rows)

    with zipfile.ZipFile(tmp_path / "QQP.zip", "w") as archive:
        archive.writestr("QQP/train.tsv", table(range(16)))
        archive.writestr("QQP/dev.tsv", table(range(16, 20)))
        archive.writestr("QQP/test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n1\tc\td\n2\te\tf\n")
    return tmp_path


def test_a_file_brought_by_hand_is_prepared_read_and_split(qqp_by_hand, no_network, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    here = {"data_dir": str(qqp_by_hand / "prepared"), "manual_dir": str(qqp_by_hand)}
    # TFDS checks size and SHA-256 of the file; this one's are registered in place of the real one's.
    known = tfds.builder("glue/qqp", data_dir=here["data_dir"], try_gcs=False).url_infos
    monkeypatch.setitem(known, QQP_URL, checksums.compute_url_info(qqp_by_hand / "QQP.zip"))

    splits = tfds_pairs(**QQP, train="train+validation", dev=0.2, test=0.1, **here)
    assert (splits.name, splits.bad_rows) == ("glue/qqp", ())
    assert {name: len(part) for name, part in splits.parts().items()} == {"train": 14, "dev": 4, "test": 2}
    everything = sorted(pair for part in splits.parts().values() for pair in texts(part))
    assert everything == sorted((f'What is "{i}"?', f"Why {i}?", float(i % 2)) for i in range(20))
    assert "preparing glue/qqp" in caplog.text

    caplog.clear()
    unlabelled = tfds_pairs(**QQP, train="train+test", dev="validation", test=None, **here)
    assert (len(unlabelled.train), len(unlabelled.dev)) == (16, 4)
    assert [(bad.row, bad.found) for bad in unlabelled.bad_rows] == [(17, "-1"), (18, "-1"), (19, "-1")]
    assert "left out 3 of 19 pairs" in caplog.text
    assert "preparing" not in caplog.text


def test_another_file_of_the_same_name_is_refused(qqp_by_hand):
    with pytest.raises(
        ValueError, match="a file of glue/qqp is not the one that TFDS knows, download it again"
    ) as caught:
        tfds_pairs(
            **QQP, train="train", dev=0.1, test=0.1, data_dir=str(qqp_by_hand / "p"), manual_dir=str(qqp_by_hand)
        )
    assert "\n" not in str(caught.value)
