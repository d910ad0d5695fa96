"""Teachers: trained before the network, they label near pairs that it learns from."""

import numpy as np
import pytest

from experiments import teaching
from siamese.data.sources import corpus
from siamese.data.splits import question_numbers
from siamese.detector import Detector
from siamese.registry.model_uri import download
from siamese.tracking import queries
from tests.experiments.test_resume import train
from tests.programs import TINY

DETECTOR = "tests/fixtures/detector_format_5"
WORDS = [*TINY, "tower=dense", "similarity=learned", "teaching=ensemble", "teaching.networks=2", "teaching.pairs=50"]
pytestmark = pytest.mark.slow


def weights_of(run_id: str) -> dict[str, np.ndarray]:
    with np.load(download(run_id)[0] / "artifacts" / "detector" / "light.npz") as weights:
        return {name: weights[name] for name in weights.files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple:
    """Metrics, weights and output of a training with teachers that nothing interrupted."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        train(folder, WORDS, patch)
        [run] = queries.find_runs("tags.kind = 'model'")
        assert not (folder / "outputs").exists()
        return run.metrics, weights_of(run.id)


def test_the_network_learns_from_more_pairs_than_have_a_label(whole, tmp_path, monkeypatch):
    metrics, weights = whole
    assert 0 < metrics["teachers/silver_pairs"] <= 50
    assert 0 < metrics["teachers/silver_duplicates"] < 1
    assert {f"teachers/teacher_{number}_roc_auc" for number in (1, 2)} <= metrics.keys()
    untaught = [word for word in WORDS if not word.startswith("teaching")]
    alone = weights_of(train(tmp_path, untaught, monkeypatch))
    assert alone.keys() == weights.keys()
    assert any(not np.array_equal(alone[name], weights[name]) for name in weights)


def test_a_training_that_was_stopped_by_its_second_teacher_keeps_the_first(whole, tmp_path, monkeypatch, capsys):
    learned = []

    def stopped(cfg, built, splits, seed, *others, **hooks):
        learned.append(seed)
        if seed == stop_at:
            raise KeyboardInterrupt
        return learn(cfg, built, splits, seed, *others, **hooks)

    learn, stop_at = teaching.learning.learn, 2000
    monkeypatch.setattr(teaching.learning, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, WORDS, monkeypatch)
    assert learned == [1000, 2000]
    assert "go on from it with resume=true" in capsys.readouterr().err
    learned.clear()
    stop_at = None
    run_id = train(tmp_path, WORDS, monkeypatch, resume=True)
    assert learned == [2000, 0]
    assert not (tmp_path / "outputs").exists()
    weights = weights_of(run_id)
    for name, array in whole[1].items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def test_silver_pairs_are_new_and_none_of_their_questions_is_held_out():
    splits = corpus(languages=["en"], split="pair", duplicates_per_question=0.3)
    silver = teaching.silver_pairs(splits, [lambda: Detector.load(DETECTOR)] * 2, 200, 3, seed=0)
    assert len(silver) == 200
    assert len(set(splits.train.questions) & set(splits.dev.questions)) > 100
    texts = set(silver.questions)
    assert texts <= set(splits.train.questions)
    assert texts.isdisjoint(splits.dev.questions)
    assert texts.isdisjoint(splits.test.questions)
    both = teaching.joined(splits.train, silver)
    [number] = question_numbers(both)
    pairs = {frozenset(pair) for pair in zip(number[both.left].tolist(), number[both.right].tolist(), strict=True)}
    gold = {
        frozenset(pair)
        for pair in zip(number[both.left][:-200].tolist(), number[both.right][:-200].tolist(), strict=True)
    }
    assert len(pairs) == len(gold) + 200
    assert both.label[:-200].tolist() == splits.train.label.tolist()


def test_without_teachers_there_are_no_silver_pairs():
    with pytest.raises(ValueError, match="silver pairs need at least one teacher"):
        teaching.silver_pairs(corpus(languages=["en"], duplicates_per_question=0.1), [], 10, 3, seed=0)
