"""What a training measures beside its pairs: nearest questions, intents, probes and baselines."""

from collections.abc import Mapping, Sequence

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from experiments import train_logging
from siamese import tracking
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.detector import Detector
from siamese.evaluation import probes
from siamese.evaluation.baselines import TfidfCosine
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import Report
from siamese.retrieval.nearest_intents import Compare, compared_by, measure_intents
from siamese.retrieval.nearest_pairs import most_similar
from siamese.training.building import Built
from siamese.training.pipeline import Trained

NEIGHBORS = 100  # of each question, that retrieval is measured on


def reports_of(trained: Trained, splits: PairSplits) -> dict[str, Report]:
    """The reports of a trained network, with the metrics of the nearest questions' intents, where intents are known."""

    def encode(questions: Sequence[str]) -> np.ndarray:
        return trained.network.encode(trained.vectorizer.encode(questions))

    return _with_intents(trained.reports, compared_by(trained.network, encode), splits)


def _with_intents(reports: Mapping[str, Report], compare: Compare, splits: PairSplits) -> dict[str, Report]:
    found = measure_intents(compare, splits.intents, reports)
    return {name: each.with_metrics(found.get(name, {})) for name, each in reports.items()}


def nearest(built: Built, questions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions and similarities of the nearest other questions of each question."""
    network = built.runtime(built.network)
    return most_similar(network, network.encode(built.vectorizer.encode(questions)), NEIGHBORS)


def probe(
    built: Built,
    splits: PairSplits,
    seed: int,
    wanted: bool | str,
    calibration: Calibration,
    reports: Mapping[str, Report],
) -> probes.Probes:
    """What the network cannot do; the reports are those of the held-out parts."""
    detector = Detector(built.runtime(built.network), built.vectorizer, calibration)
    parts = {name: pairs for name, pairs in splits.held_out().items() if name in reports}
    scores = {name: each.predictions["similarity"].to_numpy() for name, each in reports.items()}
    return probes.probe(detector, parts, scores, splits.train, wanted, seed)


def measure_baselines(
    splits: PairSplits, drawn_from: QuestionPairs, cfg: DictConfig, run_id: str
) -> dict[str, dict[str, float]]:
    """Metrics of each baseline on this data; measured once for each data set and version of the metrics, below this run."""
    found = {}
    for name, fit in instantiate(cfg.baselines, _convert_="all").items():
        tags = {"baseline": name, **{f"data_digest.{part}": pairs.digest() for part, pairs in splits.parts().items()}}
        known = tracking.find_metrics({**tags, "kind": "baseline"})
        if known is None:
            with tracking.tracked_run(name, "baseline", parent=run_id):
                tracking.log_environment(cfg.seed)
                tracking.log_data(splits, {}, drawn_from)
                tracking.set_tags(tags)
                evaluate = instantiate(cfg.evaluation, _convert_="all")
                scorer = fit(splits.train)
                calibration, reports = evaluate(scorer, splits.held_out(), seed=cfg.seed)
                if isinstance(scorer, TfidfCosine):
                    reports = _with_intents(reports, scorer.compare, splits)
                train_logging.track_reports(reports, calibration)
                train_logging.track_results(reports, {})
            known = train_logging.all_metrics(reports)
        found[name] = known
    return found
