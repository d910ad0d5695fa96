"""Advice: which baselines are better on dev, and what to try then."""

import pytest

from experiments.advice import advise, better_baselines

BASELINES = {
    "majority": {"dev/roc_auc": 0.5, "dev/log_loss": 0.66, "test/roc_auc": 0.5},
    "tfidf_cosine": {"dev/roc_auc": 0.64, "dev/log_loss": 0.61, "test/roc_auc": 0.9},
    "logistic_regression": {"dev/roc_auc": 0.7, "dev/log_loss": 0.58, "test/roc_auc": 0.9},
}
SETTINGS = {"tower": "dense", "vectors": "random", "similarity": "learned", "subset.pairs": None}


@pytest.mark.parametrize(
    ("metric", "value", "better"),
    [
        ("roc_auc", 0.71, []),
        ("roc_auc", 0.7, []),  # as good as the best
        ("roc_auc", 0.65, ["logistic_regression"]),
        ("roc_auc", 0.6, ["logistic_regression", "tfidf_cosine"]),
        ("log_loss", 0.6, ["logistic_regression"]),  # smaller is better
        ("log_loss", 0.5, []),
    ],
)
def test_baselines_that_are_better_on_dev(metric, value, better):
    assert list(better_baselines({metric: value}, BASELINES, metric)) == better


def test_without_baselines_none_is_better():
    assert better_baselines({"roc_auc": 0.1}, {}, "roc_auc") == {}


@pytest.mark.parametrize(
    ("changes", "pairs", "named", "not_named"),
    [
        ({}, 500, ["tower=encoder", "vectors=distilled", "similarity=cosine", "only 500"], ["subset.pairs"]),
        ({"vectors": "piece_vectors"}, 500, ["tower=encoder"], ["vectors=distilled"]),
        ({"tower": "encoder"}, 50_000, ["encoder=use_multilingual"], ["tower=encoder", "distilled", "more labeled"]),
        (
            {"similarity": "cosine"},
            50_000,
            ["tower=encoder", "similarity=hybrid"],
            ["similarity=cosine", "more labeled"],
        ),
        ({"similarity": "hybrid"}, 50_000, ["tower=encoder"], ["similarity="]),
        ({"subset.pairs": 500}, 500, ["subset.pairs=null"], ["more labeled"]),
    ],
)
def test_what_to_try_depends_on_what_was_tried(changes, pairs, named, not_named):
    first, *suggestions = advise({"tfidf_cosine": 0.64}, "roc_auc", SETTINGS | changes, pairs).splitlines()
    assert "the baseline tfidf_cosine (roc_auc 0.6400)" in first
    for words in named:
        assert any(words in each for each in suggestions), words
    for words in not_named:
        assert not any(words in each for each in suggestions), words
