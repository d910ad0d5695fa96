"""Teaching: trained networks label near pairs of the training questions, and another network learns from these, too.

It knows what its teachers know together, and answers alone (Hinton et al. 2015).
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from experiments import learning
from siamese import tracking
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.splits import question_numbers
from siamese.data.texts import Texts
from siamese.detector import Detector
from siamese.retrieval import embedding_space
from siamese.retrieval.silver_pairs import ensemble, near_pairs
from siamese.training.saved_state import SavedState

SEEDS_APART = 1000  # from the seed of the network to that of its first teacher, and to each next one


def silver_pairs(
    splits: PairSplits, teachers: Iterable[Callable[[], Detector]], pairs: int, top_k: int, seed: int
) -> QuestionPairs:
    """Near pairs of the training questions, with the label that trained detectors give them together.

    None of their questions is in dev or test, and none of the pairs has a label in train. A progress bar shows on a terminal.

    Args:
        splits: what the teachers learned from, and what they were judged by.
        teachers: each loads a detector, one at a time; pairs are near in the embeddings of the first. Their similarities
            count as probabilities, which those that `similarity=learned` gives are.
        pairs: at most, drawn of all near pairs.
        top_k: neighbors of each question.
        seed: of the draw.

    Raises:
        ValueError: pairs or top_k is below 1, or no pair is left.
    """
    numbers = question_numbers(splits.train, *splits.held_out().values())
    free = np.flatnonzero(~np.isin(numbers[0], np.concatenate(numbers[1:])))
    questions = Texts.of(splits.train.questions).take(free)
    place = np.full(len(numbers[0]), -1)
    place[free] = np.arange(len(free))
    ends = np.stack([place[splits.train.left], place[splits.train.right]])
    low, high = np.sort(ends[:, (ends >= 0).all(axis=0)], axis=0)
    known = set(zip(low.tolist(), high.tolist(), strict=True))

    similarities: list[np.ndarray] = []
    near: tuple[np.ndarray, np.ndarray] | None = None
    shown = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    for load in teachers:
        detector = load()
        embeddings = detector.encode(questions)
        if near is None:
            points = embedding_space.principal(detector.network.comparison, embeddings)
            with tqdm(total=1.0, desc="near pairs", bar_format=shown, disable=not sys.stderr.isatty()) as progress:
                near = near_pairs(points, top_k, pairs, known, seed, lambda part: progress.update(part.share))
        similarities.append(detector.network.compare(embeddings, *near))
    if near is None:
        raise ValueError("silver pairs need at least one teacher")
    return QuestionPairs(questions, *near, ensemble(similarities)).take(np.arange(len(near[0])))


def joined(train: QuestionPairs, silver: QuestionPairs) -> QuestionPairs:
    """The training pairs, and silver pairs behind them."""
    return QuestionPairs.from_texts(
        [*train.left_texts(), *silver.left_texts()],
        [*train.right_texts(), *silver.right_texts()],
        np.concatenate([train.label, silver.label]),
    )


def taught(
    cfg: DictConfig, splits: PairSplits, training: Mapping[str, Any], state: SavedState, tell: Callable[[str], object]
) -> QuestionPairs:
    """The training pairs, and behind them near pairs that the teachers of a config label once they are trained.

    Without teachers the training pairs are all. Each teacher is a network of the same config with a seed of its own, judged by
    dev. What is finished stays in the folder of the training, so that a run that goes on need not train it again.

    Args:
        cfg: a composed config with teachers, whose start is a folder or a shipped table.
        splits: train and dev of the run.
        training: the settings of the training, chosen where they were automatic.
        state: of the training, which is marked as begun.
        tell: called with the name of each stage.
    """
    settings = cfg.teaching
    if not settings:
        return splits.train
    folders = [state.folder / f"teacher_{number}" for number in range(1, settings.networks + 1)]
    for number, folder in enumerate(folders, start=1):
        if folder.is_dir():
            continue
        seed = cfg.seed + SEEDS_APART * number
        tell(f"teacher {number} of {len(folders)}")
        built = learning.build_network(cfg, splits.train.questions, seed=seed)
        only_dev = {"bootstrap_repeats": 0, "retrieval": False, "probes": False}
        trained = learning.learn(cfg, built, replace(splits, test=None), seed, training, only_dev)
        detector = Detector(trained.network, trained.vectorizer, trained.calibration, trained.reports["dev"].scores())
        detector.save(folder)
        state.begin()
        of_dev = trained.reports["dev"].metrics
        tracking.log_metrics({f"teacher_{number}_{name}": of_dev[name] for name in ("accuracy", "roc_auc")}, "teachers")
        print(
            f"teacher {number} of {len(folders)}, seed {seed}: dev accuracy {of_dev['accuracy']:.4f}, "
            f"ROC AUC {of_dev['roc_auc']:.4f}",
            flush=True,
        )
        del built, trained, detector
        keras.utils.clear_session()  # frees their memory, and layers are named as without a teacher
    tell("the teachers label near pairs")
    loads = [partial(Detector.load, folder) for folder in folders]
    silver = silver_pairs(splits, loads, settings.pairs, settings.top_k, cfg.seed)
    share = float(silver.label.mean())
    tracking.log_metrics({"silver_pairs": len(silver), "silver_duplicates": share}, "teachers")
    print(f"{len(silver):,} near pairs labeled by {len(folders)} teachers, {share:.0%} duplicates", flush=True)
    return joined(splits.train, silver)
