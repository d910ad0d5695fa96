"""evaluate: a trained model measured on other pairs, as a run below that of its training where there is one."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments import evaluate
from siamese import tracking
from siamese.data.pairs import PairSplits
from siamese.detector import Detector
from siamese.registry import latest

ROOT = Path(__file__).parents[2]
DETECTOR = ROOT / "tests" / "fixtures" / "detector_format_5"


@pytest.fixture
def measured(store, pairs, tmp_path):
    """A function: overrides -> the report on `pairs`, and the run that was tracked."""

    def run(*overrides: str, without_pairs: bool = False):
        rows = zip(pairs.left_texts(), pairs.right_texts(), pairs.label, strict=True)
        text = "\n".join(["question1\tquestion2\tis_duplicate", *("\t".join(map(str, row)) for row in rows)])
        (tmp_path / "pairs.tsv").write_text(text + "\n")
        given = [f"tracking.uri=sqlite:///{store}/mlflow.db", "tracking.experiment=tests", "bootstrap_repeats=0"]
        given += ["split=dev"]
        if not without_pairs:
            given += ["data=pairs_file", *(f"data.{part}={tmp_path}/pairs.tsv" for part in ("train", "dev", "test"))]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            report = evaluate.run(compose("evaluate", overrides=[*given, *overrides]))
        return report, mlflow.last_active_run()

    return run


def test_a_folder_is_measured_by_its_own_threshold(measured):
    report, run = measured(f"run={DETECTOR}")
    detector = Detector.load(DETECTOR)
    table = report.predictions
    expected = detector.similarity(list(zip(table["question1"], table["question2"], strict=True)))
    np.testing.assert_allclose(table["similarity"], expected, atol=1e-6)
    assert table["verdict"].tolist() == (table["similarity"] >= detector.calibration.threshold).tolist()
    assert run.data.metrics["dev/accuracy"] == report.metrics["accuracy"] == table["correct"].mean()
    assert run.data.tags["evaluated"] == str(DETECTOR)
    assert "mlflow.parentRunId" not in run.data.tags


def test_the_newest_is_measured_below_its_run_even_if_that_was_deleted(store, measured):
    with tracking.tracked_run("training", "model") as training:
        pass
    latest.note(f"sqlite:///{store}/mlflow.db", training, DETECTOR)
    assert measured()[1].data.tags["mlflow.parentRunId"] == training
    mlflow.delete_run(training)
    run = measured()[1]
    assert run.info.status == "FINISHED"
    assert run.data.tags["evaluated"] == training
    assert "mlflow.parentRunId" not in run.data.tags


def test_where_intents_are_known_nearest_questions_are_measured_too(measured, tmp_path):
    """Two wordings of each intent in dev, and train has the same intents: each dev question looks for one of them."""
    rows = [
        f"{words} {topic},{topic}" for topic in ("rice", "bill", "card") for words in ("a", "b c", "d", "e f", "g", "h")
    ]
    (tmp_path / "faq.csv").write_text("\n".join(["text,intent", *rows]) + "\n")
    faq = ["data=intents_file", f"data.path={tmp_path}/faq.csv", "data.split=question", "data.test=null"]
    report, run = measured(f"run={DETECTOR}", *faq, without_pairs=True)
    names = ["intent_accuracy_top1", "intent_accuracy_top5", "intent_mrr_at_10", "out_of_scope_f1", "in_scope_refused"]
    for name in names:
        assert run.data.metrics[f"dev/{name}"] == report.metrics[name]
    assert report.metrics["intent_accuracy_top1"] > 0


def test_one_split_or_all_of_them(pairs):
    splits = PairSplits("made", pairs.take(pairs.duplicate), pairs.take(~pairs.duplicate), None)
    assert evaluate.choose(splits, "dev") is splits.dev
    everything = evaluate.choose(splits, "all")
    assert everything.left_texts() == splits.train.left_texts() + splits.dev.left_texts()
    assert everything.label.tolist() == [1] * 12 + [0] * 12
    with pytest.raises(ValueError, match="split must be one of train, dev, all; got 'test'"):
        evaluate.choose(splits, "test")
