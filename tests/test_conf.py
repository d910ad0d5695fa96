"""Every option of every config group composes and builds; every experiment file runs."""

from pathlib import Path

import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.metrics import roc_auc_score

from experiments import training_run
from siamese.data.pairs import QuestionPairs
from siamese.model.network import siamese_network, word_embedding
from siamese.text.word_vectors import random

CONF = Path(__file__).parents[1] / "conf"
NO_CHOICE = ("experiment", "study", "hydra", "sweep")
GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name not in NO_CHOICE)
OPTIONS = [(group, file.stem) for group in GROUPS for file in sorted((CONF / group).glob("*.yaml"))]
STUDIES = sorted(file.stem for file in (CONF / "study").glob("*.yaml"))
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
OF_THEIR_OWN = (  # have parts that no other has
    "recipe_malstm",
    "recipe_shortcut_stacked",
    "recipe_multihead_bigru",
    "recipe_multihead_attention",
)
LIKE_OTHERS = [
    each for each in EXPERIMENTS if each.startswith(("recipe_", "quora_", "best_")) and each not in OF_THEIR_OWN
]
COMBINATIONS = sorted(f"{file.parent.name}/{file.stem}" for file in (CONF / "experiment").glob("*/*.yaml"))
QUESTIONS = ["how do i pay", "where can i pay", "what is the weather", "is it raining today", "l'été arrive", "quand ?"]
PAIRS = QuestionPairs.from_texts(QUESTIONS[:-1], QUESTIONS[1:], [1, 0, 1, 0, 1])


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_every_option_composes(group, option):
    cfg = composed(f"{group}={option}")
    assert set(GROUPS) <= set(cfg)


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_says_what_it_is(group):
    for file in (CONF / group).glob("*.yaml"):
        assert file.read_text(encoding="utf-8").startswith("# "), f"{file.name} must open with a comment"


@pytest.mark.slow
@pytest.mark.parametrize("text", ["word", "unigram", "bpe"])
def test_every_text_option_builds(text):
    vectorizer = instantiate(composed(f"text={text}").text, _convert_="all")(QUESTIONS)
    assert len(vectorizer.encode(QUESTIONS)) == len(QUESTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("tower", ["dense", "conv1d", "bilstm", "attention"])
@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "manhattan", "learned"])
def test_every_tower_and_similarity_builds(tower, similarity):
    cfg = composed(f"tower={tower}", f"similarity={similarity}")
    embedding = word_embedding(random(["a"], 10, 0, 8).matrix, True)
    network = siamese_network(
        instantiate(cfg.tower, _convert_="all")(embedding), instantiate(cfg.similarity, _convert_="all")()
    )
    score = network([np.array([[2, 3, 0]], np.int32), np.array([[4, 0, 0]], np.int32)])
    assert 0 <= float(score[0]) <= 1


@pytest.mark.parametrize("loss", sorted(file.stem for file in (CONF / "loss").glob("*.yaml")))
def test_every_loss_builds(loss):
    built = instantiate(composed(f"loss={loss}").loss, _convert_="all")
    similarity = np.array([0.9, 0.2], np.float32)
    matrix = np.array([[0.9, 0.1], [0.3, 0.2]], np.float32)
    value = built(np.array([1.0, 0.0], np.float32), similarity, matrix, ~np.eye(2, dtype=bool))
    assert np.isfinite(keras.ops.convert_to_numpy(value)).all()


@pytest.mark.parametrize("weighting", ["uniform", "class_weights", "target_prior"])
def test_every_weighting_builds(weighting):
    weights = instantiate(composed(f"weighting={weighting}").weighting, _convert_="all")(PAIRS)
    assert weights.shape == (len(PAIRS),)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_optimizer_and_schedule_builds(optimizer, schedule):
    cfg = composed(f"optimizer={optimizer}", f"schedule={schedule}")
    built = instantiate(cfg.optimizer, _convert_="all")(instantiate(cfg.schedule, _convert_="all"), 100)
    # the first step of 100 lies inside the warm-up of 5
    assert float(built.learning_rate) == pytest.approx(cfg.optimizer.learning_rate / 5, rel=1e-5)


@pytest.mark.parametrize("baseline", ["majority", "word_overlap", "tfidf_cosine", "logistic_regression"])
def test_every_baseline_builds(baseline):
    scores = instantiate(composed().baselines, _convert_="all")[baseline](PAIRS)(PAIRS)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("group", "name"), [*(("experiment", name) for name in EXPERIMENTS), *(("study", name) for name in STUDIES)]
)
def test_every_experiment_and_study_says_how_to_run_it_and_what_to_expect(group, name):
    package, question, command, expectation = (CONF / group / f"{name}.yaml").read_text().splitlines()[:4]
    assert package == "# @package _global_"
    assert question.endswith("?")
    program = f"study name={name}" if group == "study" else f"train experiment={name}"
    assert command.startswith(f"# python -m experiments.{program}")
    assert " s on two cores" in expectation, expectation
    assert "dev" in expectation, expectation


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_combination_of_a_study_composes_and_says_what_it_asks(name):
    package, question, command = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()[:3]
    assert package == "# @package _global_"
    assert question.endswith("?")
    assert command.startswith(f"# python -m experiments.train experiment={name}")
    assert set(GROUPS) <= set(composed(f"experiment={name}"))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [each for each in EXPERIMENTS if each not in LIKE_OTHERS])
def test_every_experiment_runs_for_one_epoch(experiment, tmp_path):
    """The experiment's own choices, on few pairs and with narrow word vectors."""
    train_for_one_epoch(experiment, tmp_path)


@pytest.mark.stress
@pytest.mark.parametrize("experiment", LIKE_OTHERS)
def test_recipes_like_others_run_for_one_epoch(experiment, tmp_path):
    train_for_one_epoch(experiment, tmp_path)


def train_for_one_epoch(experiment: str, tmp_path: Path) -> None:
    small = ["vectors.width=8", "training.epochs=1", "baselines=none", "evaluation.bootstrap_repeats=100"]
    if composed(f"experiment={experiment}").data._target_ == "siamese.data.sources.pair_file":
        file = tmp_path / "pairs.tsv"
        rows = [f"question {i} ?\tis it {i + i % 2} ?\t{i % 2}\n" for i in range(1, 61)]
        file.write_text("question1\tquestion2\tis_duplicate\n" + "".join(rows))
        small += [f"data.train={file}", "data.dev=0.3"]
    else:
        small += ["data.duplicates_per_question=0.3"]  # at least one duplicate for two questions
    reports = training_run.run(
        composed(f"experiment={experiment}", *small, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db")
    ).reports
    report = reports["dev"]
    table = report.predictions
    assert report.metrics["roc_auc"] == pytest.approx(roc_auc_score(table["label"] >= 0.5, table["similarity"]))
    low, high = report.intervals["roc_auc"]
    assert low <= report.metrics["roc_auc"] <= high
