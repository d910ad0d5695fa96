"""Provenance: renamed modules and settings change no digest, and dead processes are recognized."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from siamese.evaluation.metrics import METRICS_VERSION
from siamese.tracking import config_digest, metrics_version, process, process_is_dead
from siamese.tracking.provenance import current_name, first_name

CONF = Path(__file__).parents[2] / "conf"
DIGESTS = {  # overrides of conf/config.yaml -> what runs of this config were tagged with before anything was renamed
    "": "6a0deb9d37422f27",
    "loss=binary_crossentropy": "3c60182288a82357",
    "loss=contrastive": "3c3f8f542e2ee9a2",
    "loss=ranking": "933f4a26faf78574",
    "loss=squared_error": "a71e3b761fab3987",
    "data=corpus_both": "4a8fc4e4ed8e4217",
    "data=corpus_fr": "a8a6e91f21f0b4f3",
    "data=intents_file": "64944e9f9bd86708",
    "data=mrpc": "07f2c1229928594b",
    "data=pairs_file": "b8389a72093cf302",
    "data=paws_wiki": "fc56b2126e2c404b",
    "data=paws_x_fr": "1df96428251dcb22",
    "data=qqp": "ebbf49c89beb82ac",
    "data=quora_tsv": "2743f8d8626f76b3",
    "data=stsb": "a430195f525ee18f",
    "data=tfds": "71948a4217809415",
    "study=classical": "ada9e5962c4cb2c0",
    "experiment=corpus_bilstm": "9d29fa78ee163310",
    "experiment=corpus_conv1d": "5e9c231c96aa7c7f",
    "experiment=corpus_fr": "fae0ced81b211582",
    "experiment=corpus_known_intents": "fa764770d6bc0d50",
    "experiment=corpus_learned": "d81d149fac712f52",
    "experiment=corpus_subwords": "e4d75cab57779f78",
    "experiment=quora_bilstm": "11d07ee95b9e1c4c",
    "experiment=quora_conv1d": "d9a67f7896f88ca6",
    "experiment=quora_dense": "06b27f414362c746",
    "study=training_size": "7f8795bfa92a3dde",
    "study=word_vectors": "6cd264f36a32d787",
    "optimizer=sgd": "f7b9a0fe8640c849",
    "schedule=constant": "bca0ab0a43e29916",
    "schedule=linear": "ca84afb23d155cdd",
    "similarity=euclidean": "1b036f1099047f31",
    "similarity=learned": "d81d149fac712f52",
    "similarity=manhattan": "ed0ece2165a7ce35",
    "text=bpe": "7246222dafd4533c",
    "text=unigram": "e4d75cab57779f78",
    "tower=bilstm": "9d29fa78ee163310",
    "tower=conv1d": "5e9c231c96aa7c7f",
    "training=patient": "ada9e5962c4cb2c0",
    "vectors=file": "c2a6dfd4f22e7cae",
    "vectors=glove_50d": "c952326aec1ef7e2",
    "vectors=glove_50d_frozen": "70d7bd13c32f0438",
    "weighting=class_weights": "cc4cad0a1f2d4970",
    "weighting=target_prior": "2a433f2b2f21af6c",
    "baselines=none": "ee49b6f51ac87d80",
    "data.hard_negative_share=0.25": "b5eca3fccaf239c8",
    "loss=binary_crossentropy_and_ranking loss.second_weight=0.25": "1fa621115d5bac73",
    "seed=3 data=corpus_fr": "a8a6e91f21f0b4f3",
}


FIRST_DEFAULTS = ("text=word", "vectors=random", "tower=dense", "training=default")  # of the runs with these digests


def config_of(*overrides: str) -> dict:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return config


@pytest.mark.slow
@pytest.mark.parametrize(("overrides", "digest"), DIGESTS.items(), ids=lambda value: value or "default")
def test_runs_tracked_before_are_recognized(overrides, digest):
    """If a test fails because a value changed on purpose, update the digest; after a renaming the code is wrong."""
    given = overrides.split()
    groups = {each.partition("=")[0] for each in given}
    own = set() if groups.isdisjoint({"experiment", "study"}) else {"text", "vectors", "tower", "training"}
    earlier = [each for each in FIRST_DEFAULTS if each.partition("=")[0] not in groups | own]
    assert config_digest(config_of(*earlier, *given)) == digest, (
        f"runs of '{overrides}' that are tracked already would no longer count as this config; after a renaming add "
        "the first name to siamese/tracking/provenance.py"
    )


def test_chance_and_place_are_no_choice_and_all_else_is():
    config = config_of()
    digest = config_digest(config)
    for part in ("seed", "tracking", "devices", "resume"):
        assert config_digest(config | {part: "other"}) == digest
    for part in config.keys() - {"seed", "tracking", "devices", "resume"}:
        assert config_digest(config | {part: "other"}) != digest, part


def test_settings_have_a_first_and_a_current_name():
    for first, current in (("loss.share", "loss.second_weight"), ("data.confusable_share", "data.hard_negative_share")):
        assert first_name(current) == first
        assert current_name(first) == current
    assert first_name("tower.units") == current_name("tower.units") == "tower.units"


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        ({"metrics_version": "7", "evaluation_code": "5deb6d91a3e5db39"}, "7"),
        ({"evaluation_code": "5deb6d91a3e5db39"}, "1"),  # the code of the last runs without the tag metrics_version
        ({"evaluation_code": "0123456789abcdef"}, "0123456789abcdef"),
        ({}, ""),
    ],
)
def test_the_version_of_the_metrics_is_known_of_older_runs_too(tags, version):
    assert metrics_version(tags) == version
    assert METRICS_VERSION.isdigit()


def test_a_process_lives_until_it_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process(child.pid)
    assert name != process()
    assert not process_is_dead(name)
    child.kill()
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT) is None:
        pass
    assert process_is_dead(name)  # a zombie as yet
    child.communicate()
    assert process_is_dead(name)
    assert not process_is_dead(process())


def test_another_process_with_the_same_pid_is_a_different_one():
    host, pid, _ = process().rsplit(" ", 2)
    assert process_is_dead(f"{host} {pid} 1.00")


def test_the_caller_decides_about_processes_of_other_hosts():
    _, pid, start = process().rsplit(" ", 2)
    assert not process_is_dead(f"elsewhere {pid} {start}")
    assert process_is_dead(f"elsewhere {pid} {start}", elsewhere=True)
