"""Files of questions with intents: names may be numbers, topics may be missing, and no question has two intents."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data.intent_files import read_intent_file
from siamese.data.sources import intent_file

COLUMNS = "text", "intent", "topic"


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in ("text,intent,topic", *rows)))
    return path


def test_an_intent_file_with_and_without_topics(tmp_path):
    path = write(tmp_path / "a.csv", "how to pay,pay,bank", " lost card ,card,bank", "hi,,chat")
    questions, intents, topics, bad = read_intent_file(path, "text", "intent", "topic", "skip")
    assert (questions, intents, topics) == (["how to pay", "lost card"], ["pay", "card"], ["bank", "bank"])
    assert [(found.row, found.column) for found in bad] == [(4, "intent")]
    assert read_intent_file(path, "text", "intent", None, "skip")[2] == ["", ""]


def test_whole_numbers_are_names_of_intents(tmp_path):
    (tmp_path / "a.ndjson").write_text(
        '{"text": "a", "intent": 0, "topic": true}\n{"text": "b", "intent": 12, "topic": "x"}\n'
    )
    pq.write_table(pa.table({"text": ["a", "b"], "intent": [0, 12], "topic": [1.0, None]}), tmp_path / "a.parquet")
    assert read_intent_file(tmp_path / "a.ndjson", "text", "intent", "topic", "error")[1:3] == (
        ["0", "12"],
        ["True", "x"],
    )
    assert read_intent_file(tmp_path / "a.parquet", "text", "intent", None, "error")[1] == ["0", "12"]


def test_a_missing_topic_is_that_of_its_intent(tmp_path):
    path = write(tmp_path / "a.csv", "a,pay,bank", "b,pay,", "c,greet, ", "d,greet,")
    assert read_intent_file(path, *COLUMNS, "error")[1:3] == (
        ["pay", "pay", "greet", "greet"],
        ["bank", "bank", "", ""],
    )


def test_a_missing_topic_of_an_intent_with_several_is_bad(tmp_path):
    path = write(tmp_path / "a.csv", "a,pay,bank", "b,pay,shop", "c,pay,")
    with pytest.raises(
        ValueError, match="row 4, column topic: the topic is missing, and the intent 'pay' has several: bank, shop"
    ):
        read_intent_file(path, *COLUMNS, "error")
    assert read_intent_file(path, *COLUMNS, "skip")[0] == ["a", "b"]


@pytest.mark.parametrize("other", ["cost,bank", "pay,shop"])
def test_the_rows_of_a_question_with_two_intents_are_named_and_can_be_left_out(tmp_path, other):
    path = write(tmp_path / "a.csv", "How?,pay,bank", "Why?,ask,bank", f"HOW?,{other}", "How?,pay,bank", "Wo?,pay,bank")
    intent, topic = other.split(",")
    with pytest.raises(
        ValueError,
        match=rf"row 2, column text: the question has two intents, 'bank/pay' here and '{topic}/{intent}' in row 4 "
        r"\(found 'How\?'\); 3 rows are like this; .*leave all of them out with data\.on_bad_row=skip",
    ):
        read_intent_file(path, *COLUMNS, "error")
    questions, *_, bad = read_intent_file(path, *COLUMNS, "skip")
    assert questions == ["Why?", "Wo?"]
    assert [row.row for row in bad] == [2, 4, 5]
    assert "in row 2" in bad[1].problem


def test_a_file_of_such_rows_alone_has_no_good_row(tmp_path):
    with pytest.raises(ValueError, match=r"has no good row; its first: .*two intents"):
        read_intent_file(write(tmp_path / "a.csv", "a,b,c", "a,d,c"), *COLUMNS, "skip")


def test_rare_and_dominant_intents_are_told(tmp_path):
    """12 intents of 8, one of 200 and one of 1 question; train keeps 4 (6 pairs) and 160 (400 pairs): 400 of 472 are 85 %."""
    sizes = {**{f"i{n}": 8 for n in range(12)}, "large": 200, "rare": 1}
    path = write(
        tmp_path / "a.csv", *(f"{name} number {n},{name}," for name, size in sizes.items() for n in range(size))
    )
    splits = intent_file(str(path), split="question")
    assert (
        splits.notes[0]
        == "1 of 14 intents have few questions and are in train only, among them that of 'rare number 0'"
    )
    assert splits.notes[1].startswith("one of 14 intents gives 85% of the duplicates of train, that of 'large number ")
    capped = intent_file(str(path), split="question", duplicates_per_intent=10)
    assert [note for note in capped.notes if "gives" in note] == []
