"""A training run: from a config to a trained, evaluated and tracked detector."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import gc
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field, replace
from functools import cache, partial
from textwrap import shorten
from typing import Any

import keras
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import advice, data_source, learning, measuring, teaching, train_logging, unfinished
from experiments.cli import plain
from experiments.hydra_words import as_words
from experiments.stages import doing
from experiments.start import identified, resolved
from siamese import tracking
from siamese.detector import Detector
from siamese.evaluation.report import Report
from siamese.registry import publish
from siamese.registry.model_card import Training, model_card
from siamese.tracking.provenance import git
from siamese.tracking.queries import MULTIRUN, find_runs
from siamese.training import auto
from siamese.training.devices import has_several_hosts, is_chief
from siamese.training.loop import Epoch
from siamese.training.saved_state import SavedState

NAME_WIDTH = 60  # characters of a run's name in the UI
EXAMPLE_PAIRS = 3  # shown as the tracked model's input example


@dataclass(frozen=True)
class Job:
    """The purpose of a run."""

    words: Sequence[str] = ()  # of the command line that repeats it with `experiments.train`
    name: str = ""  # in the UI; "" for tower, similarity, the words and, where it was run before, a number
    parent: str | None = None  # id of the parent run
    tags: Mapping[str, str] = field(default_factory=dict)
    trial: bool = False  # evaluate on dev only, without baselines, and keep no model: for sweeps, which still choose
    resume: str | bool = (
        False  # go on with the interrupted training of the same config: true for any, or the id of its run
    )


@dataclass(frozen=True)
class Trained:
    """The result of a run: its id in MLflow, and the reports of dev and, if it was read, of test."""

    run_id: str
    reports: dict[str, Report]


def train(cfg: DictConfig) -> None:
    """Train once, as the program experiments.train does."""
    hydra_config = HydraConfig.get()
    tags = {"experiment": hydra_config.runtime.choices.get("experiment") or ""}
    if hydra_config.mode == RunMode.MULTIRUN:
        tags[MULTIRUN] = "true"
    words = [word for word in as_words(hydra_config.overrides.task) if not word.startswith("resume=")]
    run(cfg, Job(words, tags=tags, resume=cfg.resume))


def run(cfg: DictConfig, job: Job = Job(), after_epoch: Callable[[Epoch], None] | None = None) -> Trained:
    """From a config, composed from conf/config.yaml, to a tracked detector.

    `after_epoch` is called after each tracked epoch, also those of an interrupted run that is resumed; it may raise to stop the
    training.
    """
    cfg = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "resume"])
    config = identified(plain(cfg))
    build = partial(instantiate, _convert_="all")
    tell = doing if job.parent is None else _quiet  # studies and sweeps show their own progress
    tell("reading the data")
    _freeze_imports()
    keras.utils.clear_session()  # frees the memory of earlier runs of this process
    strategy = build(cfg.devices)  # several hosts must connect before TensorFlow's first operation
    job, _scratch = _connect(config["tracking"], strategy, job)
    source = data_source.read(config["data"], config["evaluation"])  # before the run is opened: a mistake leaves none
    kind = "trial" if job.trial else "model"
    network = _name(config)
    key = unfinished.key_of(config, source)
    resumed = _resumed(key, job)
    name = job.name or distinct(_short_name(config, job.words), config)
    known = resumed.run_id if resumed else None
    opened = (name, kind, _how_to_repeat(job), job.parent, {"network": network, **job.tags}, known)
    with (
        unfinished.folder_of(key, resumed, job.words, job.trial, tells=job.parent is None) as folder,
        tracking.tracked_run(*opened, reserve=folder / unfinished.RESERVE) as run_id,
    ):
        state = SavedState(folder, key, run_id)
        tracking.log_config(config, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(cfg.seed)

        splits = build(cfg.subset)(source, cfg.seed)
        train_logging.track_data(splits, source.train)
        # before the training, so that a failure here costs nothing
        tell("measuring the baselines")
        baselines = {} if job.trial else measuring.measure_baselines(splits, source.train, cfg, run_id)
        chosen = auto.chosen(config["training"], len(splits.train), config["tower"]["_target_"].rpartition(".")[2])
        train_logging.track_chosen({name: value for name, value in chosen.items() if value != auto.BY_DEV})
        training = config["training"] | chosen
        train = teaching.taught(resolved(cfg), splits, training, state, tell)
        tell("building the network")
        built = learning.build_network(resolved(cfg), splits.train.questions, strategy)
        parameters, ids = built.network.count_params(), built.vectorizer.size
        size = {"parameters": parameters, "token_ids": ids, "vectors_found": built.vectors_found}
        tracking.log_metrics(size, "model")
        print(f"{job.name or network}: {parameters:,} parameters, {ids:,} token ids", flush=True)
        if built.note:
            print(built.note, flush=True)
        tell("encoding the questions, compiling the training" if config["encoder"] else "compiling the training")
        used = replace(splits, test=None) if job.trial else splits
        train_logging.show_cut(built, used)

        def after(epoch: Epoch) -> None:
            train_logging.track_epoch(after_epoch, epoch)
            tell(None if sys.stderr.isatty() else f"after epoch {epoch.number}")  # a terminal has a progress bar

        if after_epoch:
            for each in state.epochs():
                after_epoch(Epoch(**each))
        evaluate = {
            "nearest": partial(measuring.nearest, built),
            "probe": partial(measuring.probe, built, splits, cfg.seed),
        }
        trained = learning.learn(
            cfg,
            built,
            replace(used, train=train),
            cfg.seed,
            training,
            evaluate,
            on_epoch=after,
            on_best=None if job.trial else partial(unfinished.keep, folder, built.vectorizer),
            saved=None if has_several_hosts(strategy) else state,
        )
        if training.get("discriminant") == auto.BY_DEV:
            training["discriminant"] = trained.discriminant
            train_logging.track_chosen({"discriminant": trained.discriminant})
        train_logging.track_shares(trained.shares)
        reports = measuring.reports_of(trained, splits)
        dev_ids = built.token_ids(splits.dev)
        areas = train_logging.track_measured(
            trained, reports, training["monitor"], built, None if job.trial else splits.dev
        )
        train_logging.track_results(reports, baselines, _how_to_repeat(job))
        if job.trial:
            return Trained(run_id, reports)
        detector = Detector(trained.network, trained.vectorizer, trained.calibration, reports["dev"].scores())
        print(advice.on_threshold(detector, config["evaluation"]), flush=True)
        tell("measuring cost and layers, keeping the model")
        train_logging.track_identity(detector.network.score(dev_ids, splits.dev.left, splits.dev.left), reports["dev"])
        train_logging.track_levels(areas)
        cost = train_logging.track_cost(detector, dev_ids, splits.dev.questions)
        cost |= {"parameters": parameters, "seconds": sum(epoch.seconds for epoch in trained.history)}
        settings, how = tracking.flatten(config | {"training": training}), _how_to_repeat(job)
        about = Training(run_id, git("rev-parse", "HEAD"), how, settings, splits, reports, baselines, cost)
        shown = list(reports.values())[-1].predictions[["question1", "question2"]].head(EXAMPLE_PAIRS)
        examples = list(shown.itertuples(index=False, name=None))
        publish.log_detector(detector, built.network, examples, model_card(detector, about), splits.name)
        below = advice.better_baselines(reports["dev"].metrics, baselines, training["monitor"])
        chance = advice.by_chance(reports["dev"].metrics, reports["dev"].intervals, settings["optimizer.learning_rate"])
        tags = {"below_baseline": ", ".join(below), "no_better_than_chance": "true" if chance else ""}
        tracking.set_tags({name: value for name, value in tags.items() if value})
    if job.parent is None and MULTIRUN not in job.tags:
        publish.note_newest(run_id)

    tell(None)
    train_logging.show(reports, baselines, cfg.seed)
    if chance:
        print(f"\n{chance}")
    if below:
        print("\n" + advice.advise(below, training["monitor"], settings, len(splits.train)))
    print(f"\nrun {run_id} in {config['tracking']['uri']}; look at it with: make ui")
    return Trained(run_id, reports)


@cache
def _freeze_imports() -> None:
    """Once a process: what the imports made stays, and each collection among its half a million objects takes 0.3 s."""
    gc.freeze()


def _connect(store: dict[str, Any], strategy: Any, job: Job) -> tuple[Job, tempfile.TemporaryDirectory | None]:
    """Connect to the store; a helping host tracks into a temporary folder, which lives as long as what is returned."""
    if is_chief(strategy):
        tracking.connect(**store)
        return job, None
    scratch = tempfile.TemporaryDirectory()
    with chdir(scratch.name):  # where a fresh store keeps its artifacts
        tracking.connect(f"sqlite:///{scratch.name}/mlflow.db", "helping")
    return Job(job.words, trial=True), scratch


def _resumed(key: str, job: Job) -> unfinished.Interrupted | None:
    """The interrupted training that the job continues; prints the one that it could continue."""
    found = unfinished.interrupted(key, job.resume or True)
    if found and job.parent is None:
        then = "this goes on with it" if job.resume else "resume=true would go on with it"
        print(f"run {found.run_id} of this training stopped after epoch {found.epochs}; {then}", flush=True)
    return found if job.resume else None


def _quiet(stage: str | None) -> None:
    """Tell no stage."""


def _name(config: dict) -> str:
    """Tower, similarity and losses, by which comparisons call a network."""
    flat = tracking.flatten(config)
    losses = [flat[part] for part in ("loss.first", "loss.second") if part in flat] or [flat["loss"]]
    return f"{flat['tower']} {flat['similarity']} {'+'.join(map(str, losses))}"


def _short_name(config: dict, words: Sequence[str]) -> str:
    """Tower and similarity, and what else the command line sets."""
    flat = tracking.flatten(config)
    others = [word for word in words if not word.startswith(("tower=", "similarity=", "tracking.", "--"))]
    return shorten(f"{flat['tower']} {flat['similarity']} {' '.join(others)}", NAME_WIDTH, placeholder=" …")


def distinct(name: str, config: dict) -> str:
    """The name of a run, numbered if earlier runs have the same config and seed."""
    same = {"kind": "model", "config_digest": tracking.config_digest(config), "seed": str(config["seed"])}
    earlier = len(find_runs(" and ".join(f"tags.{tag} = '{value}'" for tag, value in same.items())))
    return f"{name} ({earlier + 1})" if earlier else name


def _how_to_repeat(job: Job) -> str:
    words = map(shlex.quote, job.words)  # one a line, because the UI does not wrap lines
    return "Run it again with\n\n    " + " \\\n        ".join(["python -m experiments.train", *words])
