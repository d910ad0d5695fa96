"""Train a Siamese network, evaluate it, and track everything.

python -m experiments.train tower=bilstm similarity=manhattan loss=contrastive data=qqp training.epochs=5
"""

import experiments.quiet_tensorflow  # isort: skip  # noqa: F401
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import hydra
import keras
import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.program import explain_mistakes, plain
from siamese import model_store, tracking
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.splits import question_overlap
from siamese.detector import Detector
from siamese.devices import is_first_host
from siamese.evaluation import metrics
from siamese.evaluation.figures import learning_curves, level_areas
from siamese.evaluation.report import Report, summary
from siamese.light.export import light_network
from siamese.model.levels import level_towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.neighbours import most_similar
from siamese.text.vectorizer import TokenIds, Vectorizer
from siamese.training import Epoch, best_epoch, fit

SAMPLE_VERDICTS = 6
NEIGHBOURS = 100  # of each question, that retrieval is measured on
EXAMPLE_PAIRS = 3  # shown as the tracked model's input example


@dataclass(frozen=True)
class Job:
    """What a run is for.

    Attributes:
        overrides: of the config, as on the command line; they say how to run it again.
        name: in the UI's table; "" for one that says tower, similarity and loss.
        parent: id of the run that this one belongs to.
        tags: more tags.
        trial: read dev alone, measure no baselines and keep no model, as a sweep does that still chooses.
    """

    overrides: Sequence[str] = ()
    name: str = ""
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    trial: bool = False


@dataclass(frozen=True)
class Trained:
    """What a run left: its id in MLflow, and the reports of dev and, where test was read, of test."""

    run_id: str
    reports: dict[str, Report]


def run(cfg: DictConfig, job: Job = Job(), after_epoch: Callable[[Epoch], None] | None = None) -> Trained:
    """From config to tracked detector.

    Args:
        cfg: composed from conf/config.yaml.
        job: what the run is for.
        after_epoch: called when an epoch is tracked; it may raise to end the training.
    """
    config = plain(cfg)
    build = partial(instantiate, _convert_="all")
    keras.utils.clear_session()  # so that a run leaves nothing in memory for the next one of this process
    strategy = build(cfg.devices)  # several hosts find each other before TensorFlow's first operation
    keras.utils.set_random_seed(cfg.seed)
    if is_first_host(strategy):
        tracking.connect(**config["tracking"])
    else:  # it helps to train; what it tracks goes when its folder goes
        job, folder = Job(job.overrides, trial=True), tempfile.TemporaryDirectory()
        with chdir(folder.name):  # where a fresh store keeps its artifacts
            tracking.connect(f"sqlite:///{folder.name}/mlflow.db", "helping")
    kind = "trial" if job.trial else "model"
    name = job.name or _name(config)
    with tracking.tracked_run(name, kind, _how_to_repeat(job), job.parent, job.tags) as run_id:
        tracking.log_config(config, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(cfg.seed)

        source = build(cfg.data)()
        splits = build(cfg.subset)(source, cfg.seed)
        _track_data(splits, source.train)
        vectorizer = build(cfg.text)(splits.train.questions)
        vectors = build(cfg.vectors)(vectorizer.vocabulary, vectorizer.size, cfg.seed)
        with strategy.scope():
            tower = build(cfg.tower)(word_embedding(vectors.matrix, vectors.trainable))
            network = siamese_network(tower, build(cfg.similarity)())
        tracking.log_metrics(
            {"parameters": network.count_params(), "token_ids": vectorizer.size, "vectors_found": vectors.found},
            "model",
        )
        print(f"{name}: {network.count_params():,} parameters, {vectorizer.size:,} token ids", flush=True)

        token_ids = cache(lambda pairs: vectorizer.encode(pairs.questions))  # once, not once an epoch
        # by the light network, so that what is reported is what the detector will answer, to the bit
        evaluate = partial(
            build(cfg.evaluation),
            lambda pairs: light_network(network).score(token_ids(pairs), pairs.left, pairs.right),
            seed=cfg.seed,
        )
        history = fit(
            network,
            build(cfg.loss),
            partial(build(cfg.optimizer), build(cfg.schedule)),
            splits.train,
            token_ids(splits.train),
            build(cfg.weighting)(splits.train),
            cfg.seed,
            lambda: evaluate({"dev": splits.dev}, bootstrap_repeats=0, retrieval=False)[1]["dev"].metrics,
            partial(_track_epoch, after_epoch),
            **config["training"],
        )
        _track_history(history, config["training"]["monitor"])

        calibration, reports = evaluate(
            {"dev": splits.dev} if job.trial else _held_out(splits), nearest=partial(_nearest, network, vectorizer)
        )
        _track_reports(reports, calibration)
        if job.trial:
            return Trained(run_id, reports)
        detector = Detector.from_network(network, vectorizer, calibration, reports["dev"].scores())
        print(detector.threshold_note(), flush=True)
        _track_identity(detector.network.score(token_ids(splits.dev), splits.dev.left, splits.dev.left), reports["dev"])
        _track_levels(network, token_ids(splits.dev), splits.dev)
        _track_cost(detector, token_ids(splits.dev))
        model_store.log_detector(detector, network, _pairs_of(reports)[:EXAMPLE_PAIRS])
    model_store.note_newest(run_id)

    baselines = {
        name: _run_baseline(name, fit_baseline, splits, source.train, cfg)
        for name, fit_baseline in build(cfg.baselines).items()
    }
    _show(reports, baselines, cfg.seed)
    print(f"\nrun {run_id} in {config['tracking']['uri']}; look at it with: make ui")
    return Trained(run_id, reports)


def _name(config: dict) -> str:
    flat = tracking.flatten(config)
    losses = [flat[part] for part in ("loss.first", "loss.second") if part in flat] or [flat["loss"]]
    return f"{flat['tower']} {flat['similarity']} {'+'.join(map(str, losses))}"


def _how_to_repeat(job: Job) -> str:
    words = map(shlex.quote, job.overrides)  # one a line, for the UI does not wrap
    return "Run it again with\n\n    " + " \\\n        ".join(["python -m experiments.train", *words])


def _held_out(splits: PairSplits) -> dict[str, QuestionPairs]:
    return {name: pairs for name, pairs in splits.parts().items() if name != "train"}


def _pairs_of(reports: dict[str, Report]) -> list[tuple[str, str]]:
    table = list(reports.values())[-1].predictions
    return list(zip(table["question1"], table["question2"], strict=True))


def _track_data(splits: PairSplits, drawn_from: QuestionPairs) -> None:
    overlap = {name: question_overlap(splits.train, pairs) for name, pairs in _held_out(splits).items()}
    tracking.log_data(splits, overlap, drawn_from)
    counts = ", ".join(f"{name} {len(pairs):,}" for name, pairs in splits.parts().items())
    print(f"{splits.name}: {counts} pairs, {splits.train.duplicate.mean():.0%} of train are duplicates", flush=True)
    for name, seen in overlap.items():
        if seen["questions"]:
            print(
                f"note: {seen['questions']:,} questions of {name} are also in train, in {seen['pairs']:,} of its pairs"
            )
    if splits.bad_rows:
        print(f"note: {len(splits.bad_rows):,} bad rows were left out; the run's bad_rows.json lists them")


def _track_epoch(then: Callable[[Epoch], None] | None, epoch: Epoch) -> None:
    tracking.log_metrics({"loss": epoch.loss, "pairs_per_second": epoch.pairs_per_second}, "epoch", epoch.number)
    tracking.log_metrics({f"dev_{name}": value for name, value in epoch.dev.items()}, "epoch", epoch.number)
    print(
        f"epoch {epoch.number}: loss {epoch.loss:.4f}, dev accuracy {epoch.dev['accuracy']:.4f}, "
        f"ROC AUC {epoch.dev['roc_auc']:.4f} ({epoch.pairs_per_second:,.0f} pairs/s)",
        flush=True,
    )
    if then:
        then(epoch)


def _track_history(history: list[Epoch], monitor: str) -> None:
    best = best_epoch(history, monitor).number
    seconds = sum(epoch.seconds for epoch in history)
    tracking.log_metrics({"best_epoch": best, "epochs": len(history), "seconds": seconds}, "training")
    curves = {name: [epoch.dev[name] for epoch in history] for name in ("accuracy", "roc_auc", "average_precision")}
    numbers, losses = [epoch.number for epoch in history], [epoch.loss for epoch in history]
    tracking.log_figure(learning_curves(numbers, losses, curves, best), "learning_curves")


def _track_reports(reports: dict[str, Report], calibration) -> None:
    tracking.log_calibration(calibration)
    for split, report in reports.items():
        tracking.log_report(report, split, calibration)


def _track_identity(itself: np.ndarray, report: Report) -> None:
    """The share of dev pairs in which a question is at least as similar to itself as to the other one.

    Args:
        itself: `float32[pairs]`, the similarity of each pair's left question to itself.
        report: of the dev pairs.
    """
    highest = itself >= report.predictions["similarity"].to_numpy()
    tracking.log_metrics({"identical_scores_highest": float(highest.mean())}, "dev")


def _nearest(network: keras.Model, vectorizer: Vectorizer, questions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions and similarities of the nearest others of each question, as `evaluate` takes them."""
    light = light_network(network)
    return most_similar(light, light.encode(vectorizer.encode(questions)), NEIGHBOURS)


def _track_levels(network: keras.Model, token_ids: TokenIds, dev: QuestionPairs) -> None:
    """How well the cosine at each level of the tower tells duplicates, from the word embedding to the output."""
    areas = {}
    for name, tower in level_towers(network.get_layer("tower")).items():
        cosine = light_network(siamese_network(tower, Cosine())).score(token_ids, dev.left, dev.right)
        areas[name] = metrics.values(metrics.pair_metrics(dev.duplicate, cosine, cosine, 0.5), len(dev))["roc_auc"]
    tracking.log_metrics(areas, "level")
    tracking.log_figure(level_areas(areas), "levels")


def _track_cost(detector: Detector, token_ids: TokenIds) -> None:
    """What the detector costs to keep and to use."""
    detector.network.encode(token_ids)
    started = time.perf_counter()
    detector.network.encode(token_ids)
    speed = len(token_ids) / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    tracking.log_metrics({"questions_per_second": speed, "bytes": size}, "model")


def _run_baseline(
    name: str, fit_baseline, splits: PairSplits, drawn_from: QuestionPairs, cfg: DictConfig
) -> dict[str, float]:
    """Metrics of a baseline on this data, "split/name" -> value; measured once for each data and code."""
    tags = {"baseline": name, "evaluation_code": tracking.evaluation_code()}
    tags |= {f"data_digest.{split}": pairs.digest() for split, pairs in splits.parts().items()}
    known = tracking.find_metrics({**tags, "kind": "baseline"})
    if known is not None:
        return known
    with tracking.tracked_run(name, "baseline"):
        tracking.log_environment(cfg.seed)
        tracking.log_data(splits, {}, drawn_from)
        tracking.set_tags(tags)
        score = fit_baseline(splits.train)
        calibration, reports = instantiate(cfg.evaluation, _convert_="all")(score, _held_out(splits), seed=cfg.seed)
        _track_reports(reports, calibration)
    return {f"{split}/{metric}": value for split, report in reports.items() for metric, value in report.metrics.items()}


def _show(reports: dict[str, Report], baselines: dict[str, dict[str, float]], seed: int) -> None:
    print(f"\n{summary(reports)}")
    if baselines:
        columns = [f"{split}/{metric}" for split in reports for metric in ("accuracy", "roc_auc")]
        print("\n" + " " * 20 + "".join(column.rjust(15) for column in columns))
        own = {f"{split}/{name}": value for split, each in reports.items() for name, value in each.metrics.items()}
        for name, metrics in {"this network": own, **baselines}.items():
            print(f"{name:<20}" + "".join(f"{metrics[column]:15.4f}" for column in columns))
    last = list(reports)[-1]
    print(f"\nverdicts on {last} pairs, with the calibrated probability of a duplicate:")
    table = reports[last].predictions
    for row in np.random.default_rng(seed).choice(len(table), min(SAMPLE_VERDICTS, len(table)), replace=False):
        pair = table.iloc[row]
        verdict = "duplicate    " if pair["verdict"] else "not duplicate"
        right = "right" if pair["correct"] else "WRONG"
        print(f"  {verdict} {pair['probability']:4.0%} ({right})  {pair['question1']}  |  {pair['question2']}")


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Train once; with --multirun, once for each choice."""
    hydra_config = HydraConfig.get()
    tags = {"experiment": hydra_config.runtime.choices.get("experiment") or ""}
    with explain_mistakes():
        run(cfg, Job(hydra_config.overrides.task, tags=tags))


if __name__ == "__main__":
    main()
