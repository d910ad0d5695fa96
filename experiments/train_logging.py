"""Logging of a training: what it tracks and prints, from the data to sample verdicts."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from siamese import tracking
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.splits import has_both_kinds, question_overlap
from siamese.detector import Detector
from siamese.evaluation import metrics
from siamese.evaluation.calibration import SENTENCE_WIDTH, Calibration, verdict_sentence
from siamese.evaluation.figures import learning_curves, level_areas
from siamese.evaluation.intents import searched
from siamese.evaluation.report import Report, metric_rows
from siamese.evaluation.tables import aligned, markdown
from siamese.evaluation.timing import seconds_of
from siamese.model.levels import level_towers
from siamese.model.network import siamese_network
from siamese.model.similarity import Cosine
from siamese.text.inputs import Inputs
from siamese.text.vectorizer import Vectorizer
from siamese.training.beside import beside
from siamese.training.building import Built
from siamese.training.loop import Epoch, best_epoch
from siamese.training.pipeline import Trained

SAMPLE_VERDICTS = 6
FEW_DEV_PAIRS = 50
LEVEL_RESAMPLES = 200  # enough for an interval in a figure
SHOWN = ("accuracy", "roc_auc", "intent_accuracy_top1")  # metrics of network and baselines, side by side


def track_data(splits: PairSplits, drawn_from: QuestionPairs) -> None:
    """Track the pairs, and the overlap of dev and test with training."""
    overlap = {name: question_overlap(splits.train, pairs) for name, pairs in splits.held_out().items()}
    tracking.log_data(splits, overlap, drawn_from)
    counts = ", ".join(f"{name} {len(pairs):,}" for name, pairs in splits.parts().items())
    print(f"{splits.name}: {counts} pairs, {splits.train.duplicate.mean():.0%} of train are duplicates", flush=True)
    if splits.intents:
        known = searched(splits.intents, "dev")
        own = known is splits.intents["dev"]
        collection = (
            "the other questions of its part" if own else f"{len(known.question):,} questions with known intents"
        )
        print(f"intents are known: each dev and test question also looks for its nearest among {collection}")
    for name, seen in overlap.items():
        if n := seen["questions"]:
            print(f"note: {n:,} questions of {name} are also in train, in {seen['pairs']:,} of its pairs")
    for name, pairs in splits.parts().items():
        if not has_both_kinds(pairs):
            kind = "duplicates" if pairs.duplicate[0] else "labeled different"
            effect = "metrics of both kinds are undefined" if name == "test" else "only loss=ranking learns from them"
            print(f"note: all pairs of {name} are {kind}: {effect}")
    if len(splits.dev) < FEW_DEV_PAIRS:
        print(
            f"note: dev has {len(splits.dev)} pairs: the epoch, threshold and probabilities that it chooses are uncertain; add "
            "pairs or raise data.dev"
        )
    for note in splits.notes:
        print(f"note: {note}")
    if splits.bad_rows:
        print(f"note: {len(splits.bad_rows):,} bad rows were left out; the run's bad_rows.json lists them")


def show_cut(built: Built, splits: PairSplits) -> None:
    """Print how many questions of each part are longer than the model reads, where there are any."""
    for part, pairs in splits.parts().items():
        if cut := int(built.cut(pairs).sum()):
            print(
                f"note: {cut:,} of {len(pairs.questions):,} questions of {part} are longer than the model reads; their ends do "
                "not count (text.max_length)",
                flush=True,
            )


def track_chosen(chosen: Mapping[str, object]) -> None:
    """Track and print the settings that training=auto chose, as words that choose them again."""
    if chosen:
        tracking.log_chosen(chosen)
        words = (f"training.{name}={json.dumps(value)}" for name, value in chosen.items())
        print("training=auto chose", *words, flush=True)


def track_shares(shares: dict[str, float]) -> None:
    """Track and print the shares that were fitted to dev, if the similarity is a mean of several cosines."""
    if shares:
        tracking.log_metrics(shares, "share")
        print("shares of the cosine:", ", ".join(f"{name} {share:.3f}" for name, share in shares.items()), flush=True)


def track_epoch(then: Callable[[Epoch], None] | None, epoch: Epoch) -> None:
    """Track an epoch, then call `then`."""
    measured = {"loss": epoch.loss, "pairs_per_second": epoch.pairs_per_second}
    measured |= {f"dev_{name}": value for name, value in epoch.dev.items()}
    tracking.log_metrics(measured, "epoch", epoch.number)
    print(
        f"epoch {epoch.number}: loss {epoch.loss:.4f}, dev accuracy {epoch.dev['accuracy']:.4f}, "
        f"ROC AUC {epoch.dev['roc_auc']:.4f} ({epoch.pairs_per_second:,.0f} pairs/s)",
        flush=True,
    )
    if then:
        then(epoch)


def track_history(history: list[Epoch], monitor: str) -> None:
    """Track the best epoch, the training time and the learning curves."""
    best = best_epoch(history, monitor).number if history else 0
    seconds = sum(epoch.seconds for epoch in history)
    tracking.log_metrics({"best_epoch": best, "epochs": len(history), "seconds": seconds}, "training")
    if len(history) < 2:  # a curve of one point says nothing
        return
    curves = {name: [epoch.dev[name] for epoch in history] for name in ("accuracy", "roc_auc", "average_precision")}
    numbers, losses = [epoch.number for epoch in history], [epoch.loss for epoch in history]
    tracking.log_figure(learning_curves(numbers, losses, curves, best), "learning_curves")


def all_metrics(reports: dict[str, Report]) -> dict[str, float]:
    """The metrics of all splits, "split/name" -> value."""
    return {f"{split}/{name}": value for split, each in reports.items() for name, value in each.metrics.items()}


def track_reports(reports: dict[str, Report], calibration: Calibration) -> None:
    """Track threshold and calibration, and the report of each split."""
    tracking.log_calibration(calibration)
    for split, report in reports.items():
        tracking.log_report(report, split, calibration)
        if report.probes:
            tracking.log_probes(report.probes)


def track_measured(
    trained: Trained, reports: dict[str, Report], monitor: str, built: Built, dev: QuestionPairs | None
) -> dict[str, tuple[float, float, float]]:
    """Track history and reports, while a thread measures the levels of the tower on dev, if it is given: their areas."""
    areas: dict[str, tuple[float, float, float]] = {}
    with beside() as begin:
        if dev is not None:
            begin(lambda: areas.update(areas_of_levels(built, built.token_ids(dev), dev)))
        track_history(trained.history, monitor)
        track_reports(reports, trained.calibration)
    return areas


def track_identity(itself: np.ndarray, report: Report) -> None:
    """Track the share of dev pairs in which a question is at least as similar to itself as to the other one.

    `itself`, `float32[pairs]`, is the similarity of each pair's left question to itself; the report is that of dev.
    """
    highest = itself >= report.predictions["similarity"].to_numpy()
    tracking.log_metrics({"identical_scores_highest": float(highest.mean())}, "dev")


def areas_of_levels(built: Built, token_ids: Inputs, dev: QuestionPairs) -> dict[str, tuple[float, float, float]]:
    """The ROC AUC of the cosine after each layer of the tower, from the word embedding to the output, with its interval."""
    areas = {}
    for name, tower in level_towers(built.network.get_layer("tower")).items():
        cosine = built.runtime(siamese_network(tower, Cosine())).score(token_ids, dev.left, dev.right)
        area = {name: metrics.pair_metrics(dev.duplicate, cosine, cosine, 0.5)["roc_auc"]}
        areas[name] = (
            metrics.values(area, len(dev))[name],
            *metrics.intervals(area, len(dev), 0, LEVEL_RESAMPLES)[name],
        )
    return areas


def track_levels(areas: Mapping[str, tuple[float, float, float]]) -> None:
    """Track `areas_of_levels`, and their figure."""
    if not areas:
        print("note: the layers of this tower have no names that layer probing knows; they are not compared")
        return
    tracking.log_metrics({name: value for name, (value, *_) in areas.items()}, "level")
    tracking.log_figure(level_areas(areas), "levels")


def track_cost(detector: Detector, token_ids: Inputs, questions: Sequence[str]) -> dict[str, float]:
    """Track and return the cost of the detector: questions_per_second and bytes."""
    detector.network.encode(token_ids)  # warms up
    seconds = seconds_of(lambda: detector.network.encode(token_ids)) / len(token_ids)
    if not isinstance(detector.vectorizer, Vectorizer):
        seconds += detector.vectorizer.seconds(questions)
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    cost = {"questions_per_second": 1 / seconds, "bytes": size}
    tracking.log_metrics(cost, "model")
    return cost


def result_tables(reports: dict[str, Report], baselines: dict[str, dict[str, float]]) -> list[list[list[str]]]:
    """The rows of two tables, heads first: all metrics by split, and some of them beside the baselines, where there are any."""
    tables = [metric_rows(reports)]
    if baselines:
        own = all_metrics(reports)
        columns = [f"{split}/{metric}" for split in reports for metric in SHOWN if f"{split}/{metric}" in own]
        rows = [["", *columns]]
        for name, values in {"this network": own, **baselines}.items():
            rows.append([name, *(f"{values[column]:.4f}" if column in values else "" for column in columns)])
        tables.append(rows)
    return tables


def track_results(reports: dict[str, Report], baselines: dict[str, dict[str, float]], *more: str) -> None:
    """Track the tables that `show` prints, the short one first, and more Markdown as the description of the run."""
    tables = [*reversed(result_tables(reports, baselines)), *probe_tables(reports)]
    tracking.log_page("\n\n".join([*map(markdown, tables), *more]), "results.md")


def probe_tables(reports: Mapping[str, Report]) -> list[list[list[str]]]:
    """The rows of the tables of what the network cannot do, heads first; none if that was not measured."""
    return [table for each in reports.values() if each.probes for table in each.probes.tables()]


def show(reports: dict[str, Report], baselines: dict[str, dict[str, float]], seed: int) -> None:
    """Print metrics, also those of the baselines, what the network cannot do, and sample verdicts."""
    for rows in [*result_tables(reports, baselines), *probe_tables(reports)]:
        print(f"\n{aligned(rows)}")
    last = list(reports)[-1]
    print(f"\nverdicts on {last} pairs:")
    table = reports[last].predictions
    for row in np.random.default_rng(seed).choice(len(table), min(SAMPLE_VERDICTS, len(table)), replace=False):
        pair = table.iloc[row]
        verdict = verdict_sentence(pair["verdict"], pair["similarity"], pair["probability"])
        right = "right" if pair["correct"] else "WRONG"
        print(f"  {verdict:<{SENTENCE_WIDTH}} ({right})  {pair['question1']}  |  {pair['question2']}")
