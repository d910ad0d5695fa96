"""The guard against slower code: it judges by the figures of a file, on a machine like that of the file alone."""

import json
import sys

import pytest

from experiments import guard as program
from experiments.benchmark import guard

SMALL = {
    "TOWERS": ("dense_max",),
    "PAIRS": 256,
    "WIDTH": 8,
    "VOCABULARY": 3_000,
    "VECTORS": 500,
    "QUERIES": 5,
    "SINGLES": 5,
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(guard, name, value)
        patch.setattr("os.sched_setaffinity", lambda *_: None, raising=False)  # other tests need all cores
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    file = tmp_path_factory.mktemp("guard") / "reference.json"
    result, verdicts = guard.run(1, file, update=True)
    assert verdicts == []
    assert {line.subject for line in result.lines} == json.loads(file.read_text())["ratios"].keys()
    return file


def test_work_that_takes_many_times_its_figure_is_named_and_ends_with_an_error(
    reference, tmp_path, monkeypatch, capsys
):
    known = json.loads(reference.read_text())
    known["ratios"] = dict.fromkeys(known["ratios"], 1e9) | {"vocabulary and token ids": 1e-9}
    other = tmp_path / "reference.json"
    other.write_text(json.dumps(known))
    monkeypatch.setattr(sys, "argv", ["guard", "repeats=1", f"reference={other}"])
    with pytest.raises(
        SystemExit, match=r"slower than the reference:\nvocabulary and token ids: .* times its yardstick, 1.25e-09"
    ):
        program.main()
    assert "the processor of the reference" in capsys.readouterr().out


@pytest.mark.parametrize("property", ["machine.processor", "machine.openblas_coretype"])
def test_on_another_processor_or_with_other_kernels_nothing_is_judged(reference, tmp_path, property):
    known = json.loads(reference.read_text())
    known["machine"][property] = "another one"
    known["ratios"] = dict.fromkeys(known["ratios"], 1e-9)
    other = tmp_path / "reference.json"
    other.write_text(json.dumps(known))
    result, verdicts = guard.run(1, other, update=False)
    assert verdicts == []
    assert result.notes == ["another processor or OPENBLAS_CORETYPE than that of the reference: nothing is judged"]


def test_without_figures_the_error_says_how_to_write_them(tmp_path):
    with pytest.raises(ValueError, match="holds no figures; update=true writes those of this machine"):
        guard.run(1, tmp_path / "none.json", update=False)


def test_repeats_below_one_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["guard", "repeats=0"])
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        program.main()
