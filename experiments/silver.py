"""Label near pairs of the training questions by several trained detectors, for another training to learn from.

python -m experiments.silver data=pairs_file data.train=train.csv 'teachers=[RUN,RUN,RUN]' output=silver.csv
python -m experiments.train data=pairs_file data.train=train.csv data.labeled=silver.csv

The pairs are recombined from the questions of train; none is of dev or test. Their labels are numbers between 0 and 1: take
teachers with similarity=learned, whose similarity is the probability that pairs like those of train are duplicates.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.data.pairs import QuestionPairs
    from siamese.data.texts import Texts
    from siamese.inference.runtime import Runtime


def run(cfg: "DictConfig") -> Path:
    """From the config of the pairs and trained detectors to a file of labeled pairs, whose path is returned."""
    from experiments import data_source
    from siamese.commands.output import require_suffix
    from siamese.data.texts import Texts
    from siamese.detector import Detector
    from siamese.registry.locate import locate
    from siamese.retrieval.silver_pairs import ensemble

    config = plain(cfg)
    require_suffix("output", config["output"], (".csv",))
    wanted = config["teachers"]
    if not isinstance(wanted, list) or not wanted:
        raise ValueError(f"teachers must list runs or folders of detectors, as 'teachers=[RUN,RUN]'; got {wanted}")
    teachers = [locate(each, config["tracking"]["uri"], config["tracking"]["experiment"]) for each in wanted]
    train = data_source.read(config["data"]).train
    questions = Texts.of(train.questions)

    similarities: list[np.ndarray] = []
    pairs: tuple[np.ndarray, np.ndarray] | None = None
    for teacher in teachers:
        print(f"{teacher} reads {len(questions):,} questions", flush=True)
        detector = Detector.load(teacher.folder)
        embeddings = detector.network.encode(detector.vectorizer.encode(questions))
        pairs = pairs or _near_pairs(detector.network, embeddings, train, config)
        similarities.append(detector.network.compare(embeddings, *pairs))
    assert pairs is not None  # there is a teacher
    label = ensemble(similarities)
    _write(config["output"], questions.take(pairs[0]), questions.take(pairs[1]), label)
    print(
        f"{config['output']}: {len(label):,} pairs that nobody labeled, {label.mean():.1%} duplicates in the eyes of "
        f"{len(teachers)} teachers; train with data.labeled={config['output']}"
    )
    return Path(config["output"])


def _near_pairs(
    network: "Runtime", embeddings: np.ndarray, train: "QuestionPairs", config: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Near pairs of the training questions that have no label yet, with a progress bar on a terminal."""
    from tqdm import tqdm

    from siamese.retrieval import embedding_space
    from siamese.retrieval.silver_pairs import near_pairs

    first, second = np.minimum(train.left, train.right), np.maximum(train.left, train.right)
    known = set(zip(first.tolist(), second.tolist(), strict=True))
    points = embedding_space.principal(network.comparison, embeddings)
    shown = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc="near pairs", bar_format=shown, disable=not sys.stderr.isatty()) as progress:
        settings = config["top_k"], config["pairs"], known, config["seed"]
        return near_pairs(points, *settings, on_part=lambda part: progress.update(part.share))


def _write(path: str, left: "Texts", right: "Texts", label: np.ndarray) -> None:
    from siamese.commands.output import TableWriter, destination
    from siamese.data.columns import LABEL, PAIR

    columns = (*PAIR, LABEL)
    with destination(path) as file:
        rows = zip(left, right, (f"{each:.6f}" for each in label.tolist()), strict=True)
        TableWriter(file, "csv", columns).write(dict(zip(columns, row, strict=True)) for row in rows)


if __name__ == "__main__":
    hydra_program("silver", __doc__, "experiments.silver:run")
