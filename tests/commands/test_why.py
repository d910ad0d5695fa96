"""Why, as a program: verdict, words and parts on the screen, and a picture."""

from functools import partial

import pytest

from siamese.commands.why import run
from siamese.detector import Detector
from siamese.explanation import heat_map
from siamese.explanation.word_effects import why

FIXTURE = "tests/fixtures/detector_format_5"


@pytest.fixture
def explain(run_program):
    """A function: words -> the ended program."""
    return partial(run_program, "why", f"run={FIXTURE}")


def test_the_program_prints_verdict_words_and_contributions(tmp_path, explain):
    done = explain("I lost my card", "My card is gone", f"output={tmp_path / 'why.html'}")
    assert done.stderr == f"model: {FIXTURE}; {Detector.load(FIXTURE).calibration.rule()}\n"
    first, *_ = done.stdout.splitlines()
    assert first == "duplicate: similarity 0.9999, probability 99.1%"
    found = why(Detector.load(FIXTURE), "I lost my card", "My card is gone")
    row = next(line for line in done.stdout.splitlines() if line.startswith("lost"))
    assert [float(number) for number in row.split()[1:]] == pytest.approx(
        [found.left.effect[1], found.contributions[1].sum()], abs=5e-5
    )
    assert (tmp_path / "why.html").read_text(encoding="utf-8") == heat_map.page(found)


@pytest.mark.slow
def test_the_program_draws_a_picture(tmp_path, explain):
    assert explain("I lost my card", "My card is gone", f"output={tmp_path / 'why.png'}").returncode == 0
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["only one"], "give two questions in quotes, got 1"),
        (["one", "two", "output=why.gif"], "output must end in .png or .html, got why.gif"),
        (["one", "two", "outputs=x.png"], "there is no setting outputs"),
    ],
)
def test_mistakes_are_reported(words, message, explain):
    done = explain(*words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_question_is_refused_before_a_detector_is_sought():
    with pytest.raises(ValueError, match=r"^question 1: the text is empty$"):
        run({"output": None, "run": "nowhere"}, [" ", "rice"])
