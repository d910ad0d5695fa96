"""The command line of the programs with Hydra: exact texts, Hydra's expressions, help, hints and own config folders."""

import random
import re
import shlex
import sys
from pathlib import Path

import hypothesis
import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hypothesis import strategies as st
from omegaconf import OmegaConf

from experiments import cli, grid
from experiments.cli import hints, hydra_over, plain, refuse_wrong_kinds, tree_of
from experiments.config_checks import check
from experiments.hydra_words import as_overrides, as_words
from siamese.commands import errors
from siamese.commands.config_files import CONF, read_config_file
from tests.commands.test_arguments import nasty_texts
from tests.programs import STAGE, TINY

ROOT = Path(__file__).parents[2]
PROGRAMS = {  # program -> its config, and a key whose value is a text
    "train": ("config", "tracking.experiment"),
    "evaluate": ("evaluate", "predictions"),
    "promote": ("promote", "name"),
    "ui": ("ui", "host"),
    "pictures": ("ui", "tracking.artifacts"),
    "sweep": ("sweep", "sweep.name"),
    "study": ("config", "tracking.experiment"),
    "benchmark": ("benchmark", "pairs_file"),
}
FILES = ["Kérdések (1), l'été & co = ~.csv", "tickets (1).csv", '"quoted"', "~/a.csv", "a\\,b", "a,b", "choice(a,b)"]
EXPRESSION = re.compile(r"\s*([+-]?[\d._]*(e[+-]?\d+)?|null|true|false|nan|inf|\[.*\]|\{.*\})\s*|.*\$\{.*", re.I | re.S)


HEAVY = ("tensorflow", "keras", "mlflow", "matplotlib", "pandas")


def composed(words: list[str], primary: str = "config", folder: Path | None = None):
    tree = tree_of(primary, words, folder)
    with hints(tree), hydra_over(folder):
        cfg = compose(primary, as_overrides(words, tree, several=False))
        refuse_wrong_kinds(cfg, tree)
        return cfg


@pytest.mark.parametrize("word", ["tower=caf\udce9", "tracking.experiment=\ud83d"])
def test_a_word_that_is_not_utf8_is_refused(word):
    with pytest.raises(ValueError, match="is not UTF-8") as caught:
        composed([word])
    assert type(caught.value) is ValueError


NAMES = tree_of("config", [], None).names()
VALUES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["nan", "1e400", "[]", "{a: 1}", "${nope}", "${tower}", "[1,[2]]", "???", "null", "\0", "precision@2"]
    ),
)
WORDS = st.tuples(
    st.sampled_from(["", "", "", "+", "~"]), st.sampled_from(NAMES), st.sampled_from(["=", "=", ".x="]), VALUES
)


def is_composed_or_refused(words: list[str]) -> None:
    """A config that passes the checks, or an error that a program reports in one line."""
    try:
        check(plain(composed(words)))
    except Exception as mistake:
        assert errors._can_be_mended(mistake), f"{words}: {mistake!r}"  # noqa: PT017


@pytest.mark.slow
@hypothesis.settings(max_examples=12)
@hypothesis.given(st.lists(WORDS.map("".join), min_size=1, max_size=2))
def test_any_override_makes_a_config_or_is_refused(words):
    is_composed_or_refused(words)


@pytest.mark.stress
@pytest.mark.timeout(1800)
@hypothesis.settings(max_examples=500)
@hypothesis.given(st.lists(WORDS.map("".join), min_size=1, max_size=2))
def test_many_overrides_make_a_config_or_are_refused(words):
    is_composed_or_refused(words)


@pytest.mark.parametrize("value", ["[]", "[1,[2]]", "{a: 1}", "1.5"])
def test_a_choice_is_the_name_of_an_option(value):
    """Hydra would fail with a TypeError, or leave the group out."""
    with pytest.raises(ValueError, match=r"tower takes one of its options, attention, averaging, .*; got "):
        composed([f"tower={value}"])


@pytest.mark.parametrize("word", ["training.monitor={a: 1}", "tracking.uri=[1]", "seed=[1]"])
def test_one_value_is_not_several(word):
    with pytest.raises(ValueError, match=rf"{word.partition('=')[0]} takes one value.*; got "):
        composed(["vectors=file", word])


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_text_arrives_unchanged(program):
    primary, key = PROGRAMS[program]
    texts = FILES + [text for text in nasty_texts(150) if not EXPRESSION.fullmatch(text)]
    tree = tree_of(primary, [], None)
    overrides = as_overrides([f"{key}={text}" for text in texts], tree, several=False)
    with hydra_over(None):
        cfg = compose(primary, overrides[:1])
        assert OmegaConf.select(cfg, key) == texts[0]
        cfg = compose(primary, [f"+texts.t{number}={each.partition('=')[2]}" for number, each in enumerate(overrides)])
    assert list(cfg.texts.values()) == texts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("training.epochs=3", 3),
        ("optimizer.learning_rate=1e-3", 0.001),
        ("tower.units=[300, 300]", [300, 300]),
        ("training.patience=null", None),
        ("training.patience=", None),
        ("tower.skip=false", False),
        ("tracking.artifacts=${tracking.uri}", "sqlite:///mlflow.db"),
        ("data.dev=0.2", 0.2),
        ("tower.normalization=layer", "layer"),
    ],
)
def test_expressions_keep_their_type(word, value):
    group, key = word.partition("=")[0].split(".")
    assert composed(["tower=dense", word])[group][key] == value


@pytest.mark.parametrize("value", ["12", "1e3", "true", "2026"])
def test_the_name_of_an_experiment_may_look_like_a_number(value):
    assert composed([f"tracking.experiment={value}"]).tracking.experiment == value


def test_several_values():
    tree = tree_of("config", [], None)
    several = ["tower=dense,conv1d", "seed=range(1,4)", "data.split=choice(a,b)", "tracking.experiment=a,b"]
    assert as_overrides(several, tree, several=True) == several
    assert as_overrides(several[2:], tree, several=False) == [
        'data.split="choice(a,b)"',
        'tracking.experiment="a,b"',
    ]
    for word in several[:2]:
        with pytest.raises(ValueError, match=re.escape(f"{word} has several values; with --multirun")):
            as_overrides([word], tree, several=False)


def test_words_of_overrides_give_the_same_overrides():
    tree = tree_of("config", [], None)
    words = [f"data.train={text}" for text in FILES + nasty_texts(100) if not EXPRESSION.fullmatch(text)]
    overrides = as_overrides([*words, "tower=dense", "seed=1", "+a.b=[1,x y]", "~baselines.majority"], tree, False)
    assert as_overrides(as_words(overrides), tree, several=False) == overrides


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainig.epochs=3"], "there is no setting trainig.epochs; did you mean training.epochs?"),
        (["towr=dense"], "there is no setting towr; did you mean tower?"),
        (
            ["tower=dens"],
            "there is no tower=dens; did you mean tower=dense? The options are attention, averaging, bilstm, conv1d",
        ),
        (["tower.filters=[3]"], "there is no setting tower.filters with tower=averaging; tower=conv1d has it"),
        (["xyz=3"], "there is no setting xyz; --help lists the settings"),
        (["experiment=towers"], "there is no experiment=towers, but a study: python -m experiments.study name=towers"),
        (["dense"], "give settings as key=value; got 'dense'"),
        (["trainig.epochs"], "give settings as key=value; got 'trainig.epochs'; did you mean training.epochs=…?"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_setting(words, message):
    with pytest.raises(ValueError, match=re.escape(message)) as problem:
        composed(words)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_choices_and_settings_at_once(program, run_program):
    done = run_program(program, "--help", watched=HEAVY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "imported:"
    assert f"experiments.{program}" in done.stdout or f"make {program}" in done.stdout
    primary, _ = PROGRAMS[program]
    tree = tree_of(primary, [], None)
    for setting in [*tree.settings.values(), *read_config_file(CONF / f"{primary}.yaml").settings]:
        assert f"  {setting.name}=" in done.stdout
    for group, option in tree.choices.items():
        assert f"  {group}={option or 'null'}" in done.stdout


def test_help_of_an_option_shows_its_settings(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "tower=conv1d", "--help"])
    cli.hydra_program("config", "About.", print)
    printed = capsys.readouterr().out
    assert "  tower.kernel_sizes=[1,2,3]" in printed
    assert "[or attention, averaging, bilstm, dense, encoder]" in printed


@pytest.mark.parametrize(
    ("program", "words", "message"),
    [
        ("train", ["trainig.epochs=3"], "error: there is no setting trainig.epochs; did you mean training.epochs?"),
        ("train", ["--multirn"], "error: unrecognized arguments: --multirn; --help shows what can be given"),
        ("train", ["training.epochs=1,2"], "error: training.epochs=1,2 has several values; with --multirun the"),
        ("evaluate", ["--config-dir=nowhere"], "error: --config-dir must name a folder of config files; "),
        ("promote", [], "error: run must be given: run=…"),
        ("study", ["nam=towers"], "error: there is no setting nam; did you mean name?"),
        ("study", ["name=tower"], "error: name must be one of the studies classical, "),
        ("sweep", ["sweep=dens"], "error: there is no sweep=dens; did you mean sweep=dense? The options are"),
        ("benchmark", ["serch.repeats=2"], "error: there is no setting serch.repeats; did you mean search.repeats?"),
    ],
)
def test_a_mistake_ends_the_program_before_slow_imports(program, words, message, tmp_path, run_program):
    done = run_program(program, *words, folder=tmp_path, watched=HEAVY)
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if not STAGE.fullmatch(line)]
    assert error.startswith(message)
    assert done.stdout.splitlines()[-1] == "imported:"


def test_hydra_full_error_shows_the_traceback(tmp_path, run_program):
    done = run_program("train", "trainig.epochs=3", folder=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigCompositionException" in done.stderr


@pytest.fixture
def own(tmp_path) -> Path:
    """A config folder of a user."""
    for name, text in {
        "similarity/mine.yaml": "# Mine.\n_target_: siamese.model.similarity.Euclidean\n_partial_: true\nscale: 0.5 # wide\n",
        "experiment/typo.yaml": "# @package _global_\n# What?\ntrainig:\n  epochs: 6\n",
        "study/own.yaml": "# @package _global_\n# Is mine better?\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "        similarity: mine,cosine\n        seed: 0,1\n",
    }.items():
        file = tmp_path / "own" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "own"


def test_an_own_config_folder_has_options(own):
    assert composed(["similarity=mine"], folder=own).similarity.scale == 0.5
    assert tree_of("config", ["similarity=mine"], own).settings["similarity.scale"].comment == "wide"
    folder, words = cli.split_config_dir(["a=1", "--config-dir", str(own), "b=2"])
    assert (folder, words) == (own, ["a=1", "b=2"])


def test_a_misspelt_node_of_an_experiment_is_refused(own):
    words = ["experiment=typo"]
    with pytest.raises(ValueError, match=r"there is no setting trainig; did you mean training\?"):
        cli.refuse_misspelt_nodes(composed(words, folder=own), tree_of("config", words, own))


def test_a_misspelt_key_of_an_experiment_is_refused():
    tree = tree_of("config", [], None)
    with pytest.raises(ValueError, match=r"unexpected keyword argument 'unts'; did you mean units\?"), hints(tree):
        raise TypeError("dense() got an unexpected keyword argument 'unts'")


def test_the_cells_of_a_study_and_the_way_to_run_them_again_know_the_own_folder(own):
    tree = tree_of("config", ["study=own"], own)
    with hydra_over(own):
        master, axes = grid._grid("own", [])
        cells = grid._cells(master, axes, tree)
        assert len(cells) == 4
        HydraConfig.instance().set_config(master)
        try:
            again = as_words(["similarity=mine"])
        finally:
            HydraConfig.instance().cfg = None
    assert again == [f"--config-dir={own}", "similarity=mine"]
    assert f"--config-dir={own}" in shlex.split(grid._introduction("own", [], tree).split("\n\n")[-1])


@pytest.mark.slow
def test_a_file_with_every_trap_in_its_name_trains_and_predicts(tmp_path, run_program):
    name = "Kérdések (1), l'été & co = ~.csv"
    dice = random.Random(0)
    rows = [f"where is item {i},find item {i if i % 2 else dice.randint(100, 200)},{i % 2}\n" for i in range(80)]
    (tmp_path / name).write_text("question1,question2,is_duplicate\n" + "".join(rows), encoding="utf-8")
    small = [
        "vectors.width=8",
        "tower.units=[8]",
        "training.epochs=1",
        "baselines=none",
        "evaluation.bootstrap_repeats=100",
    ]
    for words in (
        ["train", "data=pairs_file", f"data.train=~/{name}", "data.dev=0.3", *small],
        ["evaluate", "data=pairs_file", f"data.train={name}", "split=all", f"predictions=~/out {name}"],
        ["predict", f"pairs={name}", f"output=~/{name}.jsonl"],
    ):
        done = run_program(*words, folder=tmp_path, HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / f"{name}.jsonl").read_text().splitlines()) == 80
    assert (tmp_path / f"out {name}").is_file()


@pytest.mark.slow
def test_multirun_sends_its_jobs_to_workers(tmp_path, run_program):
    done = run_program("train", "--multirun", "hydra/launcher=workers", "seed=0,1", *TINY, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("make ui") == 2
