"""Config checks: what ships passes; a number out of its range, and parts that do not fit, are refused at once."""

import copy
import re

import pytest
import yaml
from hydra import compose, initialize_config_dir

from experiments.cli import plain
from experiments.config_checks import LIMITS, check
from siamese.commands.config_files import CONF, dotted


@pytest.fixture(scope="module")
def default() -> dict:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(compose("config"))


def changed(config: dict, **values: object) -> dict:
    config = copy.deepcopy(config)
    for name, value in values.items():
        *groups, last = name.split("__")
        node = config
        for group in groups:
            node = node[group]
        node[last] = value
    return config


def test_every_option_that_ships_passes(default):
    names = set(dotted(default))
    for path in sorted(CONF.glob("*/*.yaml")):
        group, option = path.parent.name, yaml.safe_load(path.read_text(encoding="utf-8").replace("${seed}", "0"))
        if group in default and group != "encoder" and "_target_" in str(option):
            found = default | {
                group: option,
                "encoder": {"name": "minilm"} if (group, path.stem) == ("tower", "encoder") else {},
            }
            found = changed(found, vectors__path=__file__) if path.stem == "file" else found
            check(found)
            names |= set(dotted(found))
    for pattern in LIMITS:
        assert any(re.fullmatch(pattern, name) for name in names), pattern


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"training__precision": "half"}, "training.precision must be of float32, bfloat16; got half"),
        ({"seed": -1}, "seed must lie in [0, inf), got -1"),
        ({"training__epochs": -1}, "training.epochs must lie in [0, inf), got -1"),
        ({"training__epochs": "two"}, "training.epochs must be a number in [0, inf), got 'two'"),
        ({"training__batch_size": 0}, "training.batch_size must lie in [1, inf), got 0"),
        ({"training__word_dropout": 1}, "training.word_dropout must lie in [0, 1), got 1"),
        ({"tower__units": [300, 0]}, "tower.units must lie in [1, inf), got 0"),
        ({"optimizer__learning_rate": 0}, "optimizer.learning_rate must lie in (0, inf), got 0"),
        ({"optimizer__learning_rate": float("nan")}, "optimizer.learning_rate must lie in (0, inf), got nan"),
        ({"loss__second__temperature": -0.1}, "loss.second.temperature must lie in (0, inf), got -0.1"),
        ({"loss__second_weight": 2}, "loss.second_weight must lie in [0, 1], got 2"),
        ({"evaluation__probes": "de"}, "evaluation.probes must be of True, False, en, fr; got de"),
        ({"training__monitor": ["roc_auc"]}, "training.monitor=['roc_auc'] is no metric; did you mean roc_auc?"),
        ({"tower": None}, "tower must be one of its options; got None"),
        ({"tower__pooling": ["mean", "sum"]}, "tower.pooling must be of mean, max; got ['mean', 'sum']"),
        ({"tower__pooling": [1, [2]]}, "tower.pooling must be of mean, max; got [1, [2]]"),
        ({"training__epochs": {"a": 1}}, "training.epochs must be a number in [0, inf), got {'a': 1}"),
        ({"seed": {"a": 1}}, "seed must be a number in [0, inf), got {'a': 1}"),
        ({"vectors__path": {"a": 1}}, "vectors.path: there is no file {'a': 1}"),
        ({"vectors__path": [1, [2]]}, "vectors.path: there is no file [1, [2]]"),
        ({"vectors__path": "nowhere.vec"}, "vectors.path: there is no file nowhere.vec"),
        ({"encoder__folder": "nowhere"}, "encoder.folder: there is no folder nowhere"),
        ({"evaluation__prior": 1}, "evaluation.prior must lie in (0, 1), got 1"),
        ({"evaluation__threshold": "guarantee@0.9", "evaluation__prior": 0.5}, "leave out evaluation.prior"),
        ({"vectors__encoder": {"folder": "nowhere"}}, "vectors.encoder.folder: there is no folder nowhere"),
        ({"evaluation__threshold": "best_f9"}, "threshold must be best_accuracy, best_f1"),
        ({"training__monitor": "rocauc"}, "training.monitor=rocauc is no metric; did you mean roc_auc?"),
        (
            {"tower___target_": "siamese.model.towers.encoder"},
            "tower=encoder reads the vectors of an encoder, such as encoder=minilm, and none is given",
        ),
        ({"encoder_scale": 0}, "encoder_scale must lie in (0, inf), got 0"),
        ({"dimension": 0}, "dimension must lie in [1, inf), got 0"),
        ({"teaching": {"networks": 1.5}}, "teaching.networks must be a whole number, got 1.5"),
        ({"training__epochs": 1.5}, "training.epochs must be a whole number, got 1.5"),
        ({"teaching": {"networks": 0}}, "teaching.networks must lie in [1, inf), got 0"),
        (
            {"teaching": {"networks": 2}, "devices___target_": "siamese.training.devices.mirrored"},
            "teachers are trained on one device: leave out teaching=, or devices=",
        ),
        ({"encoder_scale": "three"}, "encoder_scale must be a number in (0, inf), got 'three'"),
    ],
)
def test_a_mistake_is_named(default, values, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        check(changed(default, **values))


def test_a_part_of_ones_own_may_have_other_numbers_and_words(default):
    own = {"_target_": "mine.tower", "pooling": "sum", "units": -1}
    check(changed(default, tower=own))
    with pytest.raises(ValueError, match=r"tower\.pooling"):
        check(changed(default, tower=own | {"_target_": "siamese.model.towers.dense"}))


def test_the_last_output_is_known_where_words_have_an_order(default):
    bilstm = {"_target_": "siamese.model.towers.bilstm", "pooling": ["mean", "last"], "cell": "gru", "shortcuts": True}
    check(changed(default, tower=bilstm))
    with pytest.raises(ValueError, match=re.escape("tower.pooling must be of mean, max, last; got ['first']")):
        check(changed(default, tower=bilstm | {"pooling": ["first"]}))
    with pytest.raises(ValueError, match=re.escape("tower.pooling must be of mean, max; got ['last']")):
        check(changed(default, tower__pooling=["last"]))
    with pytest.raises(ValueError, match=re.escape("tower.cell must be of lstm, gru; got rnn")):
        check(changed(default, tower=bilstm | {"cell": "rnn"}))


def test_what_is_chosen_later_passes(default):
    check(changed(default, training__epochs="auto", vectors__width=None, tower__units=[]))
