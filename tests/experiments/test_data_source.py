"""Data sources of a config: a setting of another type than its function takes is refused by its name."""

import pytest

from experiments import data_source

PAIRS = {"_target_": "siamese.data.sources.pair_file", "_partial_": True, "train": "a.csv"}
INTENTS = {"_target_": "siamese.data.sources.intent_file", "_partial_": True, "path": "a.csv"}


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (PAIRS | {"dev": []}, r"data\.dev must be a text or a number, got \[\]"),
        (PAIRS | {"dev": float("nan")}, r"data\.dev must be a text or a number, got nan"),
        (PAIRS | {"label": 5}, r"data\.label must be a text, got 5"),
        (PAIRS | {"encoding": False}, r"data\.encoding must be a text or null, got False"),
        (PAIRS | {"seed": 1.5}, r"data\.seed must be a whole number, got 1\.5"),
        (PAIRS | {"label_scale": True}, r"data\.label_scale must be a number, got True"),
        (
            INTENTS | {"duplicates_per_question": float("inf")},
            r"data\.duplicates_per_question must be a number, got inf",
        ),
        (
            INTENTS | {"duplicates_per_intent": "x"},
            r"data\.duplicates_per_intent must be a whole number or null, got 'x'",
        ),
        (
            {"_target_": "siamese.data.sources.corpus", "_partial_": True, "languages": ["en", 1]},
            r"data\.languages must be a list of texts, got \['en', 1\]",
        ),
    ],
)
def test_a_setting_of_a_wrong_type_is_named(config, problem):
    with pytest.raises(ValueError, match=problem):
        data_source.read(config)


def test_a_source_of_ones_own_takes_what_it_likes():
    with pytest.raises(Exception, match="nowhere"):
        data_source.read({"_target_": "nowhere.pairs", "_partial_": True, "dev": []})
