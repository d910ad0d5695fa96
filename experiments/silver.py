"""Label near pairs of the training questions by several trained detectors, for another training to learn from.

python -m experiments.silver data=pairs_file data.train=train.csv 'teachers=[RUN,RUN,RUN]' output=silver.csv
python -m experiments.train data=pairs_file data.train=train.csv data.labeled=silver.csv

`teaching=ensemble` of experiments.train does both with one command, with teachers of one config; here they may be any.

The pairs are recombined from the questions of train; none is of dev or test. Their labels are numbers between 0 and 1: take
teachers with similarity=learned, whose similarity is the probability that pairs like those of train are duplicates.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.data.pairs import QuestionPairs


def run(cfg: "DictConfig") -> Path:
    """From the config of the pairs and trained detectors to a file of labeled pairs, whose path is returned."""
    from functools import partial

    from experiments import data_source
    from experiments.teaching import silver_pairs
    from siamese.commands.output import require_suffix
    from siamese.detector import Detector
    from siamese.registry.locate import locate

    config = plain(cfg)
    require_suffix("output", config["output"], (".csv",))
    wanted = config["teachers"]
    if not isinstance(wanted, list) or not wanted:
        raise ValueError(f"teachers must list runs or folders of detectors, as 'teachers=[RUN,RUN]'; got {wanted}")
    teachers = [locate(each, config["tracking"]["uri"], config["tracking"]["experiment"]) for each in wanted]
    splits = data_source.read(config["data"])
    print(f"{len(teachers)} teachers read {len(splits.train.questions):,} questions", flush=True)
    loads = [partial(Detector.load, teacher.folder) for teacher in teachers]
    silver = silver_pairs(splits, loads, config["pairs"], config["top_k"], config["seed"])
    _write(config["output"], silver)
    print(
        f"{config['output']}: {len(silver):,} pairs that nobody labeled, {silver.label.mean():.1%} duplicates in the eyes of "
        f"{len(teachers)} teachers; train with data.labeled={config['output']}"
    )
    return Path(config["output"])


def _write(path: str, silver: "QuestionPairs") -> None:
    from siamese.commands.output import TableWriter, destination
    from siamese.data.columns import LABEL, PAIR

    columns = (*PAIR, LABEL)
    with destination(path) as file:
        rows = zip(
            silver.left_texts(), silver.right_texts(), (f"{each:.6f}" for each in silver.label.tolist()), strict=True
        )
        TableWriter(file, "csv", columns).write(dict(zip(columns, row, strict=True)) for row in rows)


if __name__ == "__main__":
    hydra_program("silver", __doc__, "experiments.silver:run")
