"""evaluation.probes=true: a training and an evaluation track and print what the model cannot do."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from experiments import evaluate, training_run
from siamese.evaluation.checklist import suite
from siamese.evaluation.probes import RATES
from tests.programs import TINY

ROOT = Path(__file__).parents[2]
DETECTOR = ROOT / "tests" / "fixtures" / "detector_format_5"
TOWER = ["tower=dense", "tower.units=[8]"]
pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path, pairs) -> list[str]:
    """The pairs of the tests, the same ones to learn from and to be measured on."""
    rows = zip(pairs.left_texts(), pairs.right_texts(), pairs.label, strict=True)
    text = "\n".join(["question1\tquestion2\tis_duplicate", *("\t".join(map(str, row)) for row in rows)])
    (tmp_path / "pairs.tsv").write_text(text + "\n")
    return ["data=pairs_file", *(f"data.{part}={tmp_path}/pairs.tsv" for part in ("train", "dev", "test"))]


def composed(name: str, store: Path, *overrides: str):
    given = [*overrides, f"tracking.uri=sqlite:///{store}/mlflow.db", "tracking.experiment=tests"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(name, overrides=given)


def table_of(run: mlflow.entities.Run, name: str) -> pd.DataFrame:
    file = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=f"probes/{name}.tsv")
    return pd.read_csv(file, sep="\t")


def test_a_training_tracks_and_prints_what_its_network_cannot_do(store, data, pairs, capsys):
    small = [word for word in TINY if not word.startswith("data.")]
    trained = training_run.run(composed("config", store, *small, *TOWER, *data, "evaluation.probes=true"))
    run = mlflow.get_run(trained.run_id)
    found = {
        name.removeprefix("probes/"): value for name, value in run.data.metrics.items() if name.startswith("probes/")
    }
    assert {"failures", *(f"negation_{rate}" for rate in RATES), "swaps_called_duplicates", "swaps_similarity"} <= set(
        found
    )
    assert {"dev_length_1_accuracy", "test_overlap_1_roc_auc"} <= set(found)
    assert (found["dev_questions_seen_1_pairs"], found["dev_questions_seen_3_pairs"]) == (0, len(pairs))
    answers = table_of(run, "checklist")
    assert len(answers) == len(suite("en"))
    negation = answers[answers["capability"] == "negation"]
    assert found["negation_failures"] == pytest.approx(1 - negation["correct"].mean())
    assert found["negation_pairs"] == len(negation)
    threshold = run.data.metrics["calibration/threshold"]
    assert answers["verdict"].tolist() == (answers["similarity"] >= threshold).tolist()
    slices = table_of(run, "slices")
    assert set(slices["part"]) == {"dev", "test"}
    for part in ("dev", "test"):
        rows = slices[(slices["part"] == part) & (slices["slicing"] == "length")]
        accuracy = (rows["accuracy"] * rows["pairs"]).sum() / rows["pairs"].sum()
        assert accuracy == pytest.approx(run.data.metrics[f"{part}/accuracy"]), "slices are parts of a whole"
    swaps = table_of(run, "swaps")
    assert found["swaps_pairs"] == len(swaps) >= 3
    assert found["swaps_called_duplicates"] == swaps["verdict"].mean() == 1, "the tower is a bag of words"
    assert found["swaps_similarity"] == pytest.approx(1, abs=1e-5)
    for text in (capsys.readouterr().out, run.data.tags["mlflow.note.content"]):
        for word in ("CheckList, en", "coreference", "questions seen none", "words swapped"):
            assert word in text


def test_an_evaluation_tracks_and_prints_them_too(store, data, capsys):
    asked = [f"run={DETECTOR}", "split=dev", "bootstrap_repeats=0", "probes=fr"]
    report = evaluate.run(composed("evaluate", store, *asked, *data))
    run = mlflow.last_active_run()
    assert run.data.metrics["probes/order_failures"] == report.probes.metrics["order_failures"]
    assert len(table_of(run, "checklist")) == len(suite("fr"))
    assert set(table_of(run, "slices")["slicing"]) == {"length", "overlap", "unknown_words"}
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert "CheckList, fr" in printed
