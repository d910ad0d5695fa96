"""The library from Python: the lines that siamese/README.md shows, and the defaults that it promises."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.utils import get_method

import siamese
from siamese.detector import Detector

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "siamese" / "README.md").read_text(encoding="utf-8"), re.S)
DEFAULT_CHOICES = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text(encoding="utf-8"))["defaults"]
DEFAULTS = {
    *(f"{group}/{option}" for each in DEFAULT_CHOICES if isinstance(each, dict) for group, option in each.items()),
    *(f"tower/{name}" for name in ("dense", "conv1d", "bilstm", "attention", "encoder")),
    "text/word",
    "vectors/random",
    "encoder/onnx",
    *(f"similarity/{name}" for name in ("euclidean", "manhattan", "learned")),
    *(f"loss/{name}" for name in ("binary_crossentropy", "contrastive", "ranking", "squared_error")),
    *("data/pairs_file", "data/intents_file", "schedule/linear", "schedule/constant"),
}


def options(name: str) -> dict:
    file = ROOT / "conf" / f"{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}


@pytest.mark.parametrize("name", sorted(name for name in DEFAULTS if "_target_" in (options(name) or {})))
def test_a_default_of_python_is_that_of_the_config(name):
    config = options(name)
    parameters = inspect.signature(get_method(config["_target_"])).parameters
    for key, value in config.items():
        if (
            key.startswith("_")
            or key == "defaults"
            or value == "???"
            or value == "${start}"
            or (isinstance(value, dict) and "_target_" in value)
        ):
            continue
        default = parameters[key].default
        assert (list(default) if isinstance(default, tuple) else default) == value, f"{name}: {key}"


def test_the_defaults_of_the_pipeline_are_those_of_the_config():
    from siamese.training import loop, pipeline

    defaults = {
        name: parameter.default
        for function in (loop.fit, pipeline.build, pipeline.train_built)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    assert {name: defaults[name] for name in options("training/default")} == options("training/default")
    chosen = {group: option for each in DEFAULT_CHOICES if isinstance(each, dict) for group, option in each.items()}
    for group in ("text", "vectors", "tower", "similarity", "weighting", "evaluation"):
        target = options(f"{group}/{chosen[group]}")["_target_"]
        assert defaults["evaluate" if group == "evaluation" else group] == get_method(target), group
    optimizer = defaults["optimizer"]
    assert optimizer.func == get_method(options("optimizer/adam")["_target_"])
    assert optimizer.args == (get_method(options("schedule/cosine")["_target_"]),)
    loss = defaults["loss"]
    config = options("loss/binary_crossentropy_and_ranking")
    assert type(loss) is get_method(config["_target_"])
    assert [type(loss.first), type(loss.second)] == [
        get_method(config[part]["_target_"]) for part in ("first", "second")
    ]


def test_what_the_call_leaves_open_is_fitted_to_the_pairs_as_training_auto_does(pairs, monkeypatch):
    """Whatever the config has as auto, and nothing else; a choice of the call wins."""
    from functools import partial

    from siamese.data.pairs import PairSplits
    from siamese.model.towers import averaging
    from siamese.training import auto, pipeline

    given: list[dict] = []
    monkeypatch.setattr(pipeline, "build", lambda *arguments, **parts: SimpleNamespace(note=""))
    monkeypatch.setattr(pipeline, "train_built", lambda *arguments, **choices: given.append(choices))
    pipeline.train(PairSplits("few", pairs, pairs), tower=partial(averaging, dropout=0.1), epochs=3)
    (choices,) = given
    for name, value in pipeline.CHOICES[averaging].items():
        assert choices.pop(name) is value
    assert choices == auto.fitted(len(pairs), "averaging") | {"epochs": 3}
    assert set(choices) == {name for name, value in options("training/auto").items() if value == auto.AUTO}


def test_the_choices_of_a_tower_are_those_of_its_config():
    from siamese.model import towers
    from siamese.training.pipeline import CHOICES

    ranking = options("loss/binary_crossentropy_and_sharp_ranking")["second"]
    for name, choices in {"encoder": CHOICES[towers.encoder], "averaging": CHOICES[towers.averaging]}.items():
        overridden: dict = {}
        for each in options(f"tower/{name}")["defaults"]:
            overridden |= each if isinstance(each, dict) else {}
        chosen = {group.partition("@")[0].removeprefix("override /"): option for group, option in overridden.items()}
        assert chosen.pop("loss") == "binary_crossentropy_and_sharp_ranking"
        assert {"temperature": choices["loss"].second.temperature} == ranking
        if "optimizer" in chosen:
            given = options(f"optimizer/{chosen.pop('optimizer')}")
            given = options(f"optimizer/{given.pop('defaults')[0]}") | given
            assert choices["optimizer"].func == get_method(given["_target_"])
            keywords = {key: value for key, value in given.items() if not key.startswith("_")}
            assert choices["optimizer"].keywords == keywords
        assert set(chosen) <= {"encoder"}


def test_names_are_imported_when_they_are_used(run_python):
    program = (
        "import sys, siamese\n"
        "print('numpy' in sys.modules)\n"
        "from siamese import Detector\n"
        "Detector.load('tests/fixtures/detector_format_5').similarity([('a', 'b')])\n"
        "print(*sorted({'tensorflow', 'keras', 'pandas', 'mlflow', 'hydra'} & set(sys.modules)))"
    )
    done = run_python("-c", program, folder=ROOT)
    assert done.stdout == "False\n\n"


def test_every_name_is_there():
    for name in siamese.__all__:
        assert getattr(siamese, name).__name__ == name
        assert name in dir(siamese)
    with pytest.raises(AttributeError, match="module 'siamese' has no attribute 'Detectors'"):
        siamese.Detectors  # noqa: B018


@pytest.mark.slow
def test_the_ten_lines_of_the_readme_run(tmp_path, monkeypatch, capsys):
    """They run as they stand, but on a fifth of the pairs; the second block trains with other parts."""
    lines = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert len(lines) == 10
    monkeypatch.chdir(tmp_path)
    fewer = BLOCKS[0].replace("corpus()", "corpus(duplicates_per_question=0.3)").replace("seed=0", "seed=0, epochs=2")
    names: dict = {}
    exec(fewer, names)
    area, scores = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"ROC AUC 0\.\d\d, 95 % from 0\.\d\d to 0\.\d\d", area)
    similarity = float(re.findall(r"[\d.]+", scores)[0])
    assert 0 <= similarity <= 1
    trained = Detector.load(tmp_path / "my_detector")
    assert trained.calibration.criterion == "best_accuracy"
    assert len(trained.dev) == len(names["splits"].dev)
    exec(BLOCKS[1].replace("units=[64]", "units=[4]").replace("epochs=2", "epochs=1"), names)
