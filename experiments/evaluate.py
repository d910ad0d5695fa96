"""Evaluate a trained model on other labeled pairs, with the threshold and calibration of its training.

python -m experiments.evaluate run=ID data=pairs_file data.train=pairs.csv split=all predictions=out.csv
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.data.pairs import PairSplits, QuestionPairs
    from siamese.evaluation.report import Report


def run(cfg: "DictConfig") -> "Report":
    """Load a detector and pairs, measure, and track the result as an evaluation of the detector's run."""
    config = plain(cfg)
    from hydra.utils import instantiate  # MLflow and others are slow to import; help and errors do not need them
    from omegaconf import OmegaConf

    from siamese import tracking
    from siamese.commands.output import warnings_as_notes
    from siamese.data.folders import atomic_file
    from siamese.detector import Detector
    from siamese.evaluation.probes import probe
    from siamese.evaluation.report import metric_rows, report
    from siamese.evaluation.tables import aligned, markdown
    from siamese.inference.runtime import import_plugins
    from siamese.registry.locate import locate
    from siamese.retrieval.nearest_intents import compared_by, measure_intents
    from siamese.tracking.child_runs import is_there

    found = locate(cfg.run, cfg.tracking.uri, cfg.tracking.experiment)
    tracking.connect(**config["tracking"])
    import_plugins(cfg.plugins)
    with warnings_as_notes():
        detector = Detector.load(found.folder)
    splits = instantiate(cfg.data, _convert_="all")()
    pairs = choose(splits, cfg.split)
    similarity = detector.score(pairs)
    measured = report(pairs, similarity, detector.calibration, cfg.seed, cfg.bootstrap_repeats)
    if cfg.split in splits.intents:
        by_intent = measure_intents(compared_by(detector.network, detector.encode), splits.intents, [cfg.split])
        measured = measured.with_metrics(by_intent.get(cfg.split, {}))
    if cfg.probes:
        scored = {cfg.split: pairs}, {cfg.split: similarity}
        measured = replace(measured, probes=probe(detector, *scored, wanted=cfg.probes, seed=cfg.seed))
    tables = [metric_rows({cfg.split: measured}), *(measured.probes.tables() if measured.probes else [])]
    parent = found.run_id if found.run_id and is_there(found.run_id) else None
    with tracking.tracked_run(f"{splits.name} {cfg.split}", "evaluation", parent=parent):
        tracking.log_config(config, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(cfg.seed)
        tracking.log_data(splits, {})
        tracking.set_tags({"evaluated": found.source, "split": cfg.split})
        tracking.log_calibration(detector.calibration)
        tracking.log_report(measured, cfg.split, detector.calibration)
        if measured.probes:
            tracking.log_probes(measured.probes)
        tracking.log_page("\n\n".join(map(markdown, tables)), "results.md")
    if cfg.predictions is not None:
        with atomic_file(cfg.predictions) as file:
            measured.predictions.to_csv(file, index=False)
    for note in splits.notes:
        print(f"note: {note}")
    duplicates = f"{pairs.duplicate.mean():.1%} duplicates"
    print(f"{found} on {splits.name}, {cfg.split}: {len(pairs):,} pairs, {duplicates}")
    print(f"threshold {detector.calibration.threshold:.4f} as chosen in training", *map(aligned, tables), sep="\n\n")
    return measured


def choose(splits: "PairSplits", split: str) -> "QuestionPairs":
    """The pairs of one split, or of all of them as one.

    Raises:
        ValueError: there is no such split.
    """
    import numpy as np

    from siamese.data.pairs import QuestionPairs

    parts = splits.parts()
    if split == "all":
        left = [text for pairs in parts.values() for text in pairs.left_texts()]
        right = [text for pairs in parts.values() for text in pairs.right_texts()]
        return QuestionPairs.from_texts(left, right, np.concatenate([pairs.label for pairs in parts.values()]))
    if split not in parts:
        raise ValueError(f"split must be one of {', '.join(parts)}, all; got {split!r}")
    return parts[split]


if __name__ == "__main__":
    hydra_program("evaluate", __doc__, "experiments.evaluate:run")
