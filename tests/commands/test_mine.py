"""mine: a file of questions in, pairs and clusters out, and nothing started that it does not need."""

import csv
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siamese.commands import mine
from siamese.commands.arguments import command_line
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores

QUESTIONS = [
    "i lost my card",
    "how do i cook rice",
    "",
    "I lost  my card",
    "cooking rice",
    "i lost my card , what now ?",
]


@pytest.fixture(scope="module")
def detector(build_network, vectorizer) -> Detector:
    return Detector.from_network(build_network(), vectorizer, Calibration(0.0, 1.0, 0.0))


@pytest.fixture
def folder(detector, tmp_path, monkeypatch) -> Path:
    """A working directory with a detector and a file of questions, of which line 4 is empty."""
    detector.save(tmp_path / "detector")
    with (tmp_path / "faq.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "question"], *enumerate(QUESTIONS)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> dict[str, int]:
    return mine.run(command_line("mine", ["run=detector", "collection=faq.csv", *words])[0])


def rows(path: str) -> list[tuple[int, int]]:
    with Path(path).open(newline="") as file:
        return [(int(row["row1"]), int(row["row2"])) for row in csv.DictReader(file)]


def test_all_pairs_and_clusters(detector, folder):
    """From 0 on everything is a duplicate; lines 2 and 5 are one text."""
    found = run("output=pairs.csv", "clusters=clusters.json")
    assert found == {"questions": 5, "texts": 4, "pairs": 7, "clusters": 1}
    assert rows("pairs.csv") == [(2, 5), (2, 3), (2, 6), (2, 7), (3, 6), (3, 7), (6, 7)]
    with Path("pairs.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    similarity = detector.similarity([(row["question1"], row["question2"]) for row in table])
    assert [float(row["similarity"]) for row in table] == pytest.approx(similarity.tolist(), abs=1e-6)
    assert [float(row["probability"]) for row in table] == pytest.approx(
        detector.probability(similarity).tolist(), abs=1e-5
    )
    [cluster] = json.loads(Path("clusters.json").read_text())
    assert cluster["size"] == 5
    assert [member["row"] for member in cluster["members"]] == [2, 3, 5, 6, 7]
    assert cluster["members"][0]["question"] == "i lost my card"
    near = dict(zip(rows("pairs.csv"), similarity, strict=True))
    near |= {(min(row, 5), max(row, 5)): near[2, row] for row in (3, 6, 7)}  # line 5 has the text of line 2
    sums = {row: sum(value for pair, value in near.items() if row in pair) for row in (2, 3, 6, 7)}
    assert cluster["representative"]["row"] == max(sums, key=sums.__getitem__)


def test_what_is_hardly_read_is_told(folder, capsys):
    Path("faq.csv").write_text(
        "question\nwie koche ich Reis\nWIE koche ich Reis\nhow do i cook rice\n", encoding="utf-8"
    )
    run("threshold=1", "output=pairs.csv")
    assert "note: of 2 of 3 questions of faq.csv the model knows under half of the words" in capsys.readouterr().err
    with Path("pairs.csv").open(newline="") as file:
        assert [(row["known_words1"], row["known_words2"]) for row in csv.DictReader(file)] == [("0.0", "0.0")]


def test_questions_that_look_alike_are_duplicates(folder):
    """With a byte order mark, a zero-width space, direction marks and a soft hyphen; a row of them alone is empty."""
    texts = [
        "How do I pay?",
        "\ufeffHow do I pay?",
        "How do I p\u200bay?",
        "\u200eHow do I pay?\u200e",
        "How do I p\u00aday?",
    ]
    Path("faq.csv").write_text("question\n" + "\n".join([*texts, "\u200b"]) + "\n", encoding="utf-8")
    assert run("threshold=0.97", "clusters=c.json") == {"questions": 5, "texts": 1, "pairs": 4, "clusters": 1}


def test_a_threshold_in_lines_of_json(folder):
    """Nothing but the same text has a similarity of 1."""
    assert run("threshold=1", "output=pairs.jsonl", "clusters=clusters.jsonl")["pairs"] == 1
    [pair] = map(json.loads, Path("pairs.jsonl").read_text().splitlines())
    assert (pair["row1"], pair["row2"], pair["similarity"]) == (2, 5, 1.0)
    assert (pair["question1"], pair["question2"]) == ("i lost my card", "I lost  my card")
    [cluster] = map(json.loads, Path("clusters.jsonl").read_text().splitlines())
    member = {"row": 2, "question": "i lost my card"}
    assert cluster == {
        "size": 2,
        "representative": member,
        "members": [member, {"row": 5, "question": "I lost  my card"}],
    }


def test_nothing_found(folder):
    found = run("threshold=1", "column=id", "output=pairs.csv", "clusters=clusters.json")
    assert (found["pairs"], found["clusters"]) == (0, 0)
    assert json.loads(Path("clusters.json").read_text()) == []
    assert (
        Path("pairs.csv").read_text()
        == "row1,row2,question1,question2,similarity,probability,known_words1,known_words2\n"
    )


def test_a_threshold_with_too_many_pairs_is_raised_with_a_note(folder, capsys):
    assert run("max_pairs=2", "output=few.csv")["pairs"] == 3
    assert "more than 2 pairs reach the threshold, 0.0000" in capsys.readouterr().err
    assert run("max_pairs=2", "threshold=0", "output=all.csv")["pairs"] == 7
    assert "reach the threshold" not in capsys.readouterr().err
    assert set(rows("few.csv")) < set(rows("all.csv"))


def test_without_settings_the_pairs_have_the_probability_asked_for(detector, folder, capsys):
    """At the share of duplicates of the collection, which is estimated, or given; a threshold that is given wins."""
    dev = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False]))
    known = Calibration(0.0, 1.0, -1.0, "best_accuracy", prior=0.5)
    replace(detector, calibration=known, dev=dev).save(folder / "known")

    def mined(*words: str) -> tuple[dict[tuple[int, int], float], str]:
        run("run=known", "output=pairs.csv", *words)
        with Path("pairs.csv").open(newline="") as file:
            found = {(int(row["row1"]), int(row["row2"])): float(row["probability"]) for row in csv.DictReader(file)}
        return found, capsys.readouterr().err

    every, notes = mined("threshold=0")
    similarity = detector.similarity([(QUESTIONS[a - 2], QUESTIONS[b - 2]) for a, b in every])
    share = known.estimated_prior(dev, similarity[1:])  # of distinct texts
    assert f"note: about {100 * share:.2g} % of the pairs of this collection are duplicates" in notes
    np.testing.assert_allclose(list(every.values()), known.at(dev, prior=share).probability(similarity), atol=1e-4)
    middle = float(np.sort(list(every.values()))[2:4].mean())
    some, notes = mined(f"min_probability={middle}")
    assert some == {pair: value for pair, value in every.items() if value >= middle}
    assert f"(estimated; prior= sets it); duplicate from a probability of {middle:.1%} on" in notes
    given, notes = mined("prior=0.01", "threshold=0")
    assert "about 1 % of the pairs of this collection are duplicates, 0 of 6 (from prior=)" in notes
    np.testing.assert_allclose(list(given.values()), known.at(dev, prior=0.01).probability(similarity), atol=1e-4)


def test_a_model_without_dev_scores_keeps_its_threshold(folder, capsys):
    run("output=pairs.csv")
    notes = capsys.readouterr().err
    assert (
        "saved without dev scores, from which a threshold for the collection could be worked out; its own serves"
        in notes
    )


def test_a_large_cluster_is_told(folder, capsys):
    """Of 12 questions all are in one cluster; of 5 none is told."""
    run("output=pairs.csv")
    assert "hold more than a tenth" not in capsys.readouterr().err
    Path("faq.csv").write_text("question\n" + "".join(f"how do i cook {i}\n" for i in range(12)), encoding="utf-8")
    run("output=pairs.csv")
    notes = capsys.readouterr().err
    assert "1 of the clusters, the largest of 12 questions, hold more than a tenth of the 12 each" in notes
    assert "min_probability=" in notes


def test_bad_rows_are_noted(folder, capsys):
    run("threshold=1", "output=pairs.csv")
    assert (
        "1 bad rows of faq.csv were left out; the first: faq.csv, row 4, column question: the text is empty"
        in capsys.readouterr().err
    )


def test_a_file_is_there_only_when_it_is_whole(folder, monkeypatch):
    Path("pairs.csv").write_text("of yesterday")

    def broken(*_):
        raise ValueError("broken")
        yield

    monkeypatch.setattr(mine, "duplicates", broken)
    with pytest.raises(ValueError, match="broken"):
        run("output=pairs.csv")
    assert Path("pairs.csv").read_text() == "of yesterday"
    assert not list(folder.glob(".*.part"))


def test_pairs_and_clusters_take_their_places_together_or_not_at_all(folder, monkeypatch):
    Path("pairs.csv").write_text("of yesterday")
    with pytest.raises(FileNotFoundError, match=r"'nowhere/clusters\.json'$"):
        run("output=pairs.csv", "clusters=nowhere/clusters.json")
    monkeypatch.setattr(mine, "_write_clusters", lambda *_: Path("nowhere").read_bytes())
    with pytest.raises(FileNotFoundError):
        run("output=pairs.csv", "clusters=clusters.json")
    assert Path("pairs.csv").read_text() == "of yesterday"
    assert not Path("clusters.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["collection="], "give a file of questions: collection=FILE"),
        (["output=pairs.xlsx"], r"output must end in \.csv or \.jsonl, got pairs\.xlsx"),
        (["clusters=clusters.csv"], r"clusters must end in \.json or \.jsonl, got clusters\.csv"),
    ],
)
def test_refused_before_anything_is_loaded(words, message):
    with pytest.raises(ValueError, match=message):
        run(*words)


@pytest.mark.slow
def test_the_program(folder, run_program):
    """It prints the pairs, says how much it found, and starts neither TensorFlow nor MLflow."""
    heavy = ("tensorflow", "keras", "mlflow", "hydra", "faiss", "matplotlib")
    done = run_program("mine", "collection=faq.csv", "run=detector", "threshold=1", watched=heavy)
    assert done.stdout.splitlines()[1].startswith("2,5,i lost my card,I lost  my card,1.0,")
    assert done.stdout.splitlines()[2:] == ["imported:"]
    assert done.stderr.splitlines()[-1:] == ["5 questions, 4 different: 1 pairs of duplicates in 1 clusters"]


def test_how_a_file_is_read_can_be_given(folder):
    """Latin-2 looks like cp1252, and one open quote is not enough to say that quotes are text."""
    question = '"kde je m\u016fj \u010dl\u00e1nek'
    Path("faq.csv").write_bytes(f"question\n{question}\n{question}\n".encode("iso-8859-2"))
    run("threshold=1", "encoding=iso-8859-2", "quoting=none", "clusters=clusters.json")
    [cluster] = json.loads(Path("clusters.json").read_text(encoding="utf-8"))
    assert [member["question"] for member in cluster["members"]] == [question, question]
    with pytest.raises(ValueError, match=r"^encoding must be a name that Python knows"):
        run("encoding=klingon")
    with pytest.raises(ValueError, match=r"^quoting must be double, none or null, got 'both'"):
        run("quoting=both")


@pytest.fixture
def many(folder) -> list[str]:
    """The command of a search among 25,000 questions."""
    generator = np.random.default_rng(0)
    words = [word for question in QUESTIONS for word in question.split()]
    texts = {" ".join(generator.choice(words, 12)) for _ in range(25_000)}
    Path("many.csv").write_text("question\n" + "\n".join(sorted(texts)) + "\n", encoding="utf-8")
    return ["collection=many.csv", "run=detector", "threshold=0.9999", "output=pairs.csv", "clusters=clusters.json"]


@pytest.mark.slow
def test_a_killed_search_goes_on(many, folder, start_program, run_program):
    """With what it has found: a finished part that is changed in the meantime is read as it is, not computed again."""
    run_program("mine", *many)
    whole = rows("pairs.csv")
    assert len(whole) == len(set(whole))
    Path("pairs.csv").unlink()
    process, kept = start_program("mine", *many), folder / ".pairs.csv.blocks"
    while len(list(kept.glob("*.npz"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not Path("pairs.csv").exists()
    blocks = sorted(kept.glob("*-*.npz"))
    assert blocks
    with np.load(blocks[0]) as arrays:
        changed = len(arrays["arr_0"])
        assert changed
        np.savez(blocks[0], *(arrays[f"arr_{number}"][1:] for number in range(3)))
    other = run_program("mine", *many, "top_k=7")
    assert other.returncode == 1
    assert "holds what an interrupted search among other questions, or with other settings, has found" in other.stderr
    run_program("mine", *many)
    again = rows("pairs.csv")
    assert len(again) == len(whole) - 1
    assert set(again) < set(whole)
    assert not kept.exists()
