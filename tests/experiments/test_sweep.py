"""Sweeps: what a space may hold, what is refused before a trial runs, and that no trial is lost or run twice."""

import itertools
import re
import shutil
import time
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from threading import Timer

import mlflow
import numpy as np
import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from experiments.sweep import report, samplers, space, trial_store, trials
from experiments.sweep.overrides import plain_overrides
from experiments.sweep.plan import Settings, make_plan
from experiments.sweep.winner import Retrained, gains, retrain
from siamese import tracking
from siamese.comparison.importance import fanova
from siamese.model.network import siamese_network, word_embedding
from siamese.text.word_vectors import random
from siamese.tracking import SilentError, outages
from tests.experiments import sweep_process
from tests.programs import STAGE, TINY

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
SWEEPS = sorted(file.stem for file in (CONF / "sweep").glob("*.yaml"))
SMALL = ["data.duplicates_per_question=0.3", "vectors.width=16", "tower.units=[16]", "evaluation.bootstrap_repeats=100"]


@pytest.fixture
def conf():
    """The project's configs, to compose from."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory) -> Path:
    """A tracking store without runs, to be copied: MLflow takes seconds to make one."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    before = mlflow.get_tracking_uri()
    tracking.connect(f"sqlite:///{file}", "sweeps")
    mlflow.set_tracking_uri(before)
    return file


@pytest.fixture
def folder(empty_store, tmp_path, monkeypatch):
    """A working directory with an empty store."""
    before = mlflow.get_tracking_uri()
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path)
    yield tmp_path
    mlflow.set_tracking_uri(before)


@cache
def planned(*overrides: str):
    """The plan of a command line; with the `conf` of a test it composes more."""
    overrides = ("sweep.name=test", *overrides)
    cfg = compose("sweep", overrides=list(overrides))
    return make_plan(cfg, Settings(**instantiate(cfg.sweep, _convert_="all")), overrides)


def tracked(folder: Path, filter_string: str = "") -> list:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=filter_string,
        order_by=["attributes.start_time ASC"],
        output_format="list",
    )


# The notation of a space


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("interval(0, 0.5)", FloatDistribution(0.0, 0.5)),
        ("interval(1, 8)", FloatDistribution(1.0, 8.0)),
        ("tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("int(interval(1, 8))", IntDistribution(1, 8)),
        ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("range(1, 7, 2)", IntDistribution(1, 5, step=2)),  # Hydra leaves the end out
        ("range(0, 0.5, 0.25)", FloatDistribution(0.0, 0.25, step=0.25)),
        ("choice([300], [300, 300])", CategoricalDistribution(["[300]", "[300,300]"])),
        ("choice(true, 3, layer)", CategoricalDistribution(["True", "3", "layer"])),
    ],
)
def test_hydras_notation_becomes_optunas_distribution(text, distribution):
    assert space.parse({"tower.x": text}) == {"tower.x": distribution}


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ({}, "sweep.space is empty"),
        ({"tower.dropout": "0.3"}, r"sweep.space.tower.dropout must be one of choice.*got 0.3"),
        ({"tower.dropout": "interval(0.5, 0)"}, "sweep.space.tower.dropout"),
        ({"tower.dropout": "range(5, 1)"}, "sweep.space.tower.dropout"),
        ({"tower.dropout": "uniform(0, 1)"}, "sweep.space.tower.dropout"),
        ({"data.dev": "choice(0.1, 0.2)"}, "must not vary data.dev: trials are compared on the same dev pairs"),
        ({"seed": "range(0, 3)"}, "must not vary seed"),
    ],
)
def test_what_is_no_space_is_refused(notation, message):
    with pytest.raises(ValueError, match=message):
        space.parse(notation)


def test_a_grid_has_every_combination_once():
    small = space.parse({"a": "choice(x, y)", "b": "range(0, 0.5, 0.25)", "c": "range(1, 6, 2)"})
    found = [tuple(space.combination(small, number).values()) for number in range(space.combinations(small))]
    assert found == [(a, b, c) for a in "xy" for b in (0.0, 0.25) for c in (1, 3, 5)]
    with pytest.raises(ValueError, match=r"sweep.space.d is an interval without steps"):
        space.combinations(small | space.parse({"d": "interval(0, 1)"}))


# The plan


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["sweep.objective=test/roc_auc"],
            r"test/roc_auc would choose hyperparameters on.*sweep.objective=dev/roc_auc",
        ),
        (["sweep.objective=dev/auc"], r"sweep.objective must be one of dev/accuracy, .*; got dev/auc"),
        (["sweep.objective=roc_auc"], r"got roc_auc"),
        (["+sweep.space={tower.depth: 'range(1, 3)'}"], r"sweep.space does not fit the config: .*tower.depth"),
        (
            ["+sweep.space={similarity: 'choice(cosine, jaccard)'}"],
            r"sweep.space does not fit the config: .*similarity/jaccard",
        ),
        (["sweep.trials=0"], r"sweep.trials must be at least 1, got 0"),
        (["sweep/sampler=grid"], r"is an interval without steps"),
        (["seed=2"], r"sweep.retrain_seeds must not hold the seed of the trials, 2"),
        (["+sweep.trails=3"], r"unexpected keyword argument 'trails'"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_the_first_trial(conf, overrides, message):
    with pytest.raises((ValueError, TypeError), match=message):
        planned(*overrides)


def test_a_grid_refuses_more_trials_than_it_has_cells():
    with pytest.raises(ValueError, match="has 3 combinations, so 4 trials are too many"):
        samplers.grid(space.parse({"units": "choice([8], [16], [32])"}), seed=0, ordinal=3)


@pytest.mark.slow
def test_what_the_command_line_sets_is_left_out_of_the_space(conf):
    assert "tower.units" in planned().space
    fixed = planned("tower.units=[20]")
    assert "tower.units" not in fixed.space
    assert fixed.config().tower.units == [20]


@pytest.mark.slow
def test_the_first_trial_is_the_default_where_the_space_has_it(conf, folder):
    plan = planned()
    assert plan.default["tower.units"] == "[300]"
    assert plan.default["tower.skip"] == "True"
    assert plan.default["optimizer.learning_rate"] == 0.002
    assert plan.config(space.as_overrides(plan.default)) == plan.config()
    own = trial_store.open_study(plan)
    assert trial_store.claim(own, plan).params == plan.default
    assert trial_store.claim(own, plan).params != plan.default
    assert planned("optimizer.learning_rate=0.1").default == {
        name: value for name, value in plan.default.items() if name != "optimizer.learning_rate"
    }
    assert planned("+sweep.space={tower.dropout: 'interval(0.1, 0.2)'}").default == {}


@pytest.mark.slow
def test_small_is_better_for_an_error(conf):
    assert planned("sweep.objective=dev/log_loss").direction == "minimize"
    assert planned("sweep.objective=dev/f1").direction == "maximize"


@pytest.mark.slow
def test_what_changes_the_trials_changes_the_identity_and_their_number_does_not(conf):
    identity = planned().identity
    assert planned("sweep.trials=7", "sweep.workers=3").identity == identity
    for other in ("seed=7", "training.epochs=3", "sweep/pruner=none"):
        assert planned(other).identity != identity, other


# The files in conf/sweep


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_says_how_to_run_it_and_what_to_expect(name):
    package, question, command, expectation = (CONF / "sweep" / f"{name}.yaml").read_text().splitlines()[:4]
    assert package == "# @package _global_"
    assert question.endswith("?")
    assert command == f"# python -m experiments.sweep sweep={name}"
    assert " s on two cores; expect a dev ROC AUC of " in expectation


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted((CONF / "sweep").glob("*/*.yaml")), ids=lambda file: file.stem)
def test_every_sampler_and_pruner_says_what_it_is_and_builds(conf, file):
    assert file.read_text().startswith("# ")
    cfg = compose("sweep", overrides=[f"sweep/{file.parent.name}={file.stem}", "sweep.name=test"])
    built = instantiate(cfg.sweep, _convert_="all")
    small = space.parse({"units": "choice([8], [16])"})
    assert isinstance(built["sampler"](space=small, seed=0, ordinal=1), optuna.samplers.BaseSampler)
    assert isinstance(built["pruner"], optuna.pruners.BasePruner)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_every_space_fits_its_tower_and_budgets_are_equal(conf, name):
    plan = planned(f"sweep={name}")
    own = {"text=word", f"tower={name}", "vectors=random"}  # and what the default tower chooses is chosen back
    own |= {"loss=binary_crossentropy_and_ranking", "optimizer=adam", "training=default"}
    assert set(plan.overrides) == own
    assert (plan.settings.trials, plan.config().training.epochs) == (40, 4)
    assert plan.default, "the default must be in the space"
    assert isinstance(plan.space["optimizer.learning_rate"], FloatDistribution)
    assert plan.space["optimizer.learning_rate"].log
    for ordinal in range(5):
        sampler = optuna.samplers.RandomSampler(seed=ordinal)
        params = optuna.create_study(sampler=sampler).ask(plan.space).params
        cfg = plan.config(space.as_overrides(params))
        words = word_embedding(random(["a"], 10, 0, 8).matrix, True)
        network = siamese_network(
            instantiate(cfg.tower, _convert_="all")(words), instantiate(cfg.similarity, _convert_="all")()
        )
        instantiate(cfg.loss, _convert_="all").check(network.get_layer("similarity"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["sweep=bilstm"],
        ["sweep=conv1d", "experiment=corpus_subwords", "optimizer=sgd", "optimizer.momentum=0.5", "baselines=none"],
        ["data=pairs_file", "data.train=my pairs.csv", "data.dev=null", "vectors.width=30", "text.lowercase=false"],
        ["tower.pooling=[max,mean]", "tower.units=[]", "tower.normalization=layer"],
    ],
)
def test_the_plain_command_composes_what_the_sweep_trains(conf, overrides):
    plain = plain_overrides("sweep", ["sweep.name=test", *overrides], without="sweep")
    swept = OmegaConf.to_container(compose("sweep", overrides=["sweep.name=test", *overrides]))
    del swept["sweep"]
    assert OmegaConf.to_container(compose("config", overrides=plain)) == swept
    assert not any("sweep" in each for each in plain)


# Samplers


def sampled(seed: int, ordinal: int, sampler=samplers.tpe) -> dict:
    small = space.parse({"rate": "interval(0, 1)", "units": "range(0, 1000)"})
    own = optuna.create_study(sampler=sampler(small, seed, ordinal))
    return own.ask(small).params


@pytest.mark.parametrize("sampler", [samplers.tpe, samplers.random])
def test_a_trials_parameters_hang_on_seed_and_ordinal_alone(sampler):
    assert sampled(0, 3, sampler) == sampled(0, 3, sampler)
    different = [sampled(0, 3, sampler), sampled(0, 4, sampler), sampled(1, 3, sampler)]
    assert len({each["rate"] for each in different}) == 3


# Trials: none lost, none twice


def summary_of(folder: Path) -> list[tuple]:
    """Ordinal, parameters, state and value of each trial that is over."""
    own = optuna.load_study(study_name="made_up", storage=f"sqlite:///{folder}/sweeps.db")
    return [(each.user_attrs["ordinal"], each.params, each.state, each.values) for each in trial_store.finished(own)]


@pytest.fixture(scope="module")
def forkserver():
    """Where processes start in a moment, because what they import is there."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.experiments.sweep_process"])
    return context


@pytest.mark.slow
def test_killed_five_times_a_sweep_ends_as_if_it_had_not_been(forkserver, empty_store, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for each in (whole, killed):
        each.mkdir()
        shutil.copy(empty_store, each)
    process = forkserver.Process(target=sweep_process.sweep, args=(str(whole), 8))
    process.start()
    moments = np.random.default_rng().uniform(0, 0.6, 5)  # drawn anew each time: any moment must do
    for moment in moments:
        started = forkserver.Event()
        victim = forkserver.Process(target=sweep_process.sweep, args=(str(killed), 8, started))
        victim.start()
        assert started.wait(60)
        time.sleep(moment)
        victim.kill()
        victim.join()
    last = forkserver.Process(target=sweep_process.sweep, args=(str(killed), 8))
    last.start()
    for each in (last, process):
        each.join(120)
        assert each.exitcode == 0

    assert summary_of(killed) == summary_of(whole), moments
    assert [ordinal for ordinal, *_ in summary_of(killed)] == list(range(8))
    assert {TrialState.COMPLETE, TrialState.PRUNED} == {state for *_, state, _ in summary_of(killed)}
    ended = [each for each in tracked(killed, "tags.kind = 'trial'") if each.info.status != "KILLED"]
    assert [each.data.tags["trial"] for each in ended] == [str(number) for number in range(8)], moments
    assert {each.info.status for each in ended} == {"FINISHED"}


@pytest.mark.slow
def test_three_processes_share_a_sweep_on_a_fresh_store(forkserver, tmp_path):
    arguments = (str(tmp_path), 6, None, forkserver.Barrier(3))
    workers = [forkserver.Process(target=sweep_process.sweep, args=arguments) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(120)
        assert each.exitcode == 0
    assert [ordinal for ordinal, *_ in summary_of(tmp_path)] == list(range(6))
    runs = tracked(tmp_path, "tags.kind = 'trial'")
    assert sorted(int(each.data.tags["trial"]) for each in runs) == list(range(6))
    assert len({each.data.tags["process"] for each in runs}) == 3
    (parent,) = tracked(tmp_path, "tags.kind = 'sweep'")
    assert {each.data.tags["mlflow.parentRunId"] for each in runs} == {parent.info.run_id}


@pytest.mark.slow
def test_a_trial_store_that_is_restarted_has_each_trial_once(postgres, folder, monkeypatch, capsys):
    """Twice it is restarted, and every eleventh change is made without being confirmed."""
    changes = itertools.count(1)

    def unconfirmed(change):
        def make(*arguments, **options):
            result = change(*arguments, **options)
            if next(changes) % 11 == 0:
                raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))
            return result

        return make

    for name in ("_create_new_trial", "_set_trial_param", "set_trial_user_attr", "set_trial_state_values"):
        monkeypatch.setattr(RDBStorage, name, unconfirmed(getattr(RDBStorage, name)))

    def train(overrides, name, *arguments, **options):
        if name == "trial 1":
            postgres.restart()
        if name == "trial 3":
            postgres.stop("fast")
            Timer(1, postgres.start).start()
        return sweep_process.train(overrides, name, *arguments, **options)

    plan = sweep_process.plan(6, storage=postgres.new_database("trials"))
    own, parent = sweep_process.opened(plan)
    trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), train)
    assert [each.user_attrs["ordinal"] for each in trial_store.finished(own)] == list(range(6))
    left = [each for each in own.get_trials() if not trial_store.is_over(each)]
    assert {each.state for each in left} <= {TrialState.FAIL}  # claimed without being confirmed, and not begun
    runs = tracked(folder, "tags.kind = 'trial'")
    assert sorted(int(each.data.tags["trial"]) for each in runs) == list(range(6))
    assert {each.info.status for each in runs} == {"FINISHED"}
    assert "note: the trial store postgresql://" in capsys.readouterr().err


@pytest.mark.slow
def test_a_trial_store_that_stays_away_ends_the_work_and_fails_no_trial(postgres, folder, monkeypatch):
    monkeypatch.setattr(outages, "PATIENCE_SECONDS", 0)
    plan = sweep_process.plan(2, storage=postgres.new_database("away"))
    own, parent = sweep_process.opened(plan)

    def train(*arguments, **options):
        postgres.stop()
        return sweep_process.train(*arguments, **options)

    try:
        with pytest.raises(SilentError, match=r"the trial store postgresql://.* does not answer .*start this again"):
            trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), train)
    finally:
        postgres.start()
    assert [each.state for each in own.get_trials()] == [TrialState.RUNNING]  # free when this process has ended


@pytest.mark.slow
def test_a_failed_trial_is_reported_and_the_others_continue(folder, capsys):
    plan = sweep_process.plan(5, pruner=optuna.pruners.NopPruner())

    def train(overrides, name, parent, tags, after_epoch=None):
        with tracking.tracked_run(name, "trial", parent=parent, tags=tags) as run_id:
            if name == "trial 1":
                raise ValueError("the training loss became nan in epoch 1")
            if name == "trial 2":
                raise MemoryError("no memory")
        return run_id, {"dev/roc_auc": float("nan") if name == "trial 3" else sweep_process.value_of(overrides)}

    own, parent = sweep_process.opened(plan)
    trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), train)
    complete, failed = TrialState.COMPLETE, TrialState.FAIL
    assert [each.state for each in trial_store.finished(own)] == [complete, failed, failed, failed, complete]
    runs = tracked(folder, "tags.kind = 'trial'")
    assert [each.info.status for each in runs] == ["FINISHED", "FAILED", "FAILED", "FINISHED", "FINISHED"]
    assert runs[1].data.tags["error"] == "ValueError: the training loss became nan in epoch 1"
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("trial 1: failed, ValueError: the training loss became nan in epoch 1; best 0.")
    assert lines[3].startswith("trial 3: failed, ValueError: dev/roc_auc is nan")
    assert "; 5 of 5 over, about 0 s left" in lines[4]
    trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), train)  # and they are not run again
    assert len(own.trials) == 5


@pytest.mark.slow
def test_a_pruned_trial_is_finished_and_says_that_it_was_pruned(folder):
    plan = sweep_process.plan(
        3,
        space={"units": "choice([16], [8])", "rate": "range(0.002, 0.01, 0.006)"},
        sampler=samplers.grid,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0),
    )
    own, parent = sweep_process.opened(plan)
    trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), sweep_process.train)
    # 0.9 at a rate of 0.002; 0.9 - 0.006 * 50 = 0.6 at 0.008, a third of that after the first epoch
    first, second, third = trial_store.finished(own)
    assert first.values == [pytest.approx(0.9)]
    assert (second.state, second.last_step, second.values) == (TrialState.PRUNED, 1, [pytest.approx(0.2)])
    assert third.state == TrialState.PRUNED
    run = tracked(folder, "tags.trial = '1'")[0]
    assert (run.info.status, run.info.run_name, run.data.tags["state"]) == ("FINISHED", "trial 1, pruned", "pruned")
    assert "error" not in run.data.tags


@pytest.mark.slow
def test_ctrl_c_leaves_the_trial_to_the_next_start(folder):
    plan = sweep_process.plan(2)
    own, parent = sweep_process.opened(plan)
    lock = trial_store.lock_of(plan, "trials")

    def interrupted(overrides, name, parent, tags, after_epoch=None):
        with tracking.tracked_run(name, "trial", parent=parent, tags=tags):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trials.work(own, plan, parent, lock, interrupted)
    assert trial_store.finished(own) == []
    trials.work(own, plan, parent, lock, sweep_process.train)
    again, first = own.trials[1], own.trials[0]
    assert again.user_attrs["ordinal"] == first.user_attrs["ordinal"] == 0
    assert again.params == first.params
    assert [each.info.status for each in tracked(folder, "tags.trial = '0'")] == ["KILLED", "FINISHED"]


def test_a_claim_repairs_whatever_a_killed_one_left(folder):
    plan = sweep_process.plan(3)
    own, _ = sweep_process.opened(plan)
    own.enqueue_trial({}, user_attrs={"ordinal": 0})  # killed before it was taken
    trial = trial_store.claim(own, plan)
    assert (trial.number, trial.user_attrs["ordinal"]) == (0, 0)
    own.enqueue_trial({}, user_attrs={"ordinal": 1})
    half = own.ask({"rate": plan.space["rate"]})  # killed after its first parameter, before it named its process
    again = trial_store.claim(own, plan)
    assert own.trials[half.number].state == TrialState.FAIL
    assert again.user_attrs["ordinal"] == 1
    assert again.params.keys() == plan.space.keys()
    assert own.trials[0].state == TrialState.RUNNING  # this process lives


def test_a_trial_of_a_silent_host_is_given_up(folder):
    plan = sweep_process.plan(1, heartbeat_timeout_s=100.0)
    own, _ = sweep_process.opened(plan)
    trial = trial_store.claim(own, plan)
    trial.set_user_attr("process", "elsewhere 1 1.00")
    trial.set_user_attr("seen", time.time() - 50)
    assert trial_store.claim(own, plan) is None
    trial.set_user_attr("seen", time.time() - 150)
    again = trial_store.claim(own, plan)
    assert again.user_attrs["ordinal"] == 0
    assert again.params == trial.params


def test_a_sweep_is_not_continued_with_other_settings(folder):
    sweep_process.opened(sweep_process.plan(2))
    with pytest.raises(ValueError, match=r"made_up in .* was started with other settings \(seed: 0 before, 1 now\)"):
        sweep_process.opened(sweep_process.plan(2, seed=1))


def test_a_sweep_whose_run_is_gone_is_refused(folder):
    plan = sweep_process.plan(2)
    own, parent = sweep_process.opened(plan)
    mlflow.delete_run(parent)
    with pytest.raises(ValueError, match=f"is tracked as run {parent}, which this tracking store"):
        trials.sweep_run(own, plan)


# The winner


def cells(page: str) -> list[list[str]]:
    """The rows of the tables in Markdown."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]


@pytest.mark.slow
def test_the_winner_and_the_default_are_trained_again_and_what_was_finished_is_kept(folder, capsys):
    plan = sweep_process.plan(2)
    own, parent = sweep_process.opened(plan)
    trials.work(own, plan, parent, trial_store.lock_of(plan, "trials"), sweep_process.train)
    called = []

    def train(overrides, name, parent, tags, after_epoch=None):
        called.append(name)
        (seed,) = (each.removeprefix("seed=") for each in overrides if each.startswith("seed="))
        with tracking.tracked_run(name, "model", parent=parent, tags={**tags, "seed": seed}) as run_id:
            if called == ["winner, seed 1", "winner, seed 2"]:
                raise KeyboardInterrupt
            values = {"dev/roc_auc": 0.7 + int(seed) / 100 + 0.1 * (tags["option"] == "winner"), "test/roc_auc": 0.5}
            tracking.log_metrics({"roc_auc": values["dev/roc_auc"]}, "dev")
            tracking.log_metrics({"roc_auc": 0.5}, "test")
        return run_id, values

    winner = trial_store.best(own, trial_store.finished(own))
    with pytest.raises(KeyboardInterrupt):
        retrain(plan, parent, winner, train)
    retrained = retrain(plan, parent, winner, train)
    assert called == ["winner, seed 1", *["winner, seed 2"] * 2, "default, seed 1", "default, seed 2"]
    assert retrained["winner"].metrics["dev/roc_auc"].tolist() == pytest.approx([0.81, 0.82])
    assert gains(retrained, "dev/roc_auc").tolist() == pytest.approx([0.1, 0.1])
    page = report.page(own, plan, {}, retrained, ["sweep=made_up"])
    assert ["winner", "0.8150 ± 0.0071", "0.5000 ± 0.0000"] in cells(page)
    assert "beats the default with every seed, by +0.1000 ± 0.0000 on dev and +0.0000 ± 0.0000 on test" in page
    assert ["winner - default, seed by seed", "+0.1000 ± 0.0000", "+0.0000 ± 0.0000"] in cells(page)
    assert f"python -m experiments.promote run={retrained['winner'].run_ids[1]}" in page
    assert "python -m experiments.sweep sweep=made_up\n" in page

    of_itself = replace(plan, default=winner.params)
    assert retrain(of_itself, parent, winner, train) == {}
    assert len(called) == 5
    page = report.page(own, of_itself, {}, {}, ["sweep=made_up"])
    assert "No trial beats the default, which is the best of them: keep it." in page

    other = trial_store.finished(own)[1 - winner.user_attrs["ordinal"]]
    retrain(plan, parent, other, train)  # as after more trials
    options = [each.data.tags["option"] for each in tracked(folder, "tags.kind = 'model'")]
    assert sorted(options) == ["default"] * 2 + ["former winner"] * 3 + ["winner"] * 2


def test_importance_finds_the_parameter_that_matters():
    small = space.parse({"matters": "interval(0, 1)", "idle": "interval(0, 1)"})
    own = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    assert fanova(own) == {}
    for _ in range(30):
        trial = own.ask(small)
        own.tell(trial, trial.params["matters"])
    shares = fanova(own)
    assert list(shares) == ["matters", "idle"]
    assert shares["matters"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


def test_one_seed_has_no_standard_deviation():
    once = {option: Retrained(["id"], {"dev/roc_auc": np.array([0.75])}) for option in ("winner", "default")}
    plan = sweep_process.plan(retrain_seeds=[1])
    own = optuna.create_study(direction="maximize")
    page = report.page(own, plan, {}, once, [])
    assert ["winner", "0.7500"] in cells(page)
    assert "does not beat the default with every seed: keep the default" in page


# The program


@pytest.mark.slow
def test_a_sweep_from_the_command_line(tmp_path, run_program):
    sweep = ["sweep=dense", *SMALL, "training.epochs=2", "sweep.trials=3", "sweep.retrain_seeds=[1]"]
    sweep += ["+sweep.space={tower.dropout: 'interval(0.1, 0.2)'}"]  # without the default, which might win
    done = run_program("sweep", *sweep, "sweep.workers=2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    slow = (STAGE, re.compile("note: waiting for process .*, which changes .*mlflow.db"))  # lines on a slow machine
    assert [line for line in done.stderr.splitlines() if not any(each.fullmatch(line) for each in slow)] == []
    (parent,) = tracked(tmp_path, "tags.kind = 'sweep'")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "dense"
    assert parent.data.metrics["dev/roc_auc"] == parent.data.metrics["sweep/best"]
    children = tracked(tmp_path, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(each.data.tags["trial"] for each in children if each.data.tags["kind"] == "trial") == list("012")
    for each in children:
        reads_test = any(name.startswith("test/") for name in each.data.metrics)
        assert reads_test == (each.data.tags["kind"] == "model")
        assert bool(each.outputs.model_outputs) == (each.data.tags["kind"] == "model")
    assert [each.info.run_name for each in children if each.data.tags["kind"] == "model"] == [
        "winner, seed 1",
        "default, seed 1",
    ]
    figures = mlflow.artifacts.list_artifacts(run_id=parent.info.run_id, artifact_path="figures")
    names = {Path(each.path).stem for each in figures}
    assert {"history", "slices", "contour", "parallel_coordinates", "learning_curves"} <= names
    page = parent.data.tags["mlflow.note.content"]
    assert "## Best trials" in page
    assert page in done.stdout
    assert mlflow.MlflowClient().search_registered_models() == []

    again = run_program("sweep", *sweep, folder=tmp_path)  # there is nothing left to train
    assert again.returncode == 0, again.stderr
    assert len(tracked(tmp_path)) == 1 + len(children)


@pytest.mark.slow
def test_hydras_own_grid_trains_each_cell(tmp_path, run_program):
    done = run_program("train", "--multirun", *TINY, "similarity=cosine,euclidean", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    cells = tracked(tmp_path, "tags.kind = 'model'")
    assert [each.data.params["similarity"] for each in cells] == ["cosine", "euclidean"]
    assert {each.info.status for each in cells} == {"FINISHED"}
