"""Find all duplicates in a collection of questions, their clusters, and the pairs worth a label.

python -m experiments.mine collection=questions.csv output=pairs.csv clusters=clusters.json
python -m experiments.mine collection=questions.csv min_probability=0.5 output=pairs.jsonl clusters=clusters.jsonl
python -m experiments.mine collection=questions.csv label=pairs.csv

Pairs are written as they are found. First come repeats: rows with the text of an earlier row, paired with the first row
of that text. Then come pairs of distinct texts, each represented by its first row. Rows are lines of the file (for
Parquet its rows, from 1). Output files appear whole or not at all. Meanwhile a folder `.NAME.blocks` beside output= keeps
the finished parts of the search: after an interruption the same command goes on with them.

With workers=local (or auto, host:port) blocks of the search go to the workers of a Ray cluster: the same pairs.

With label= the pairs of which the model is least certain are written instead, the least certain first, for a person to
fill the column is_duplicate with 1 and 0 and for training to read (data.labeled=). Pairs that the file has already,
labeled or not, are not written again; new ones follow them.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from siamese.commands.arguments import program_settings
from siamese.commands.detector import chosen, in_collection, require_movable
from siamese.commands.label import LabelFile
from siamese.commands.output import (
    TABLES,
    TableWriter,
    destination,
    note,
    note_bad_rows,
    note_coverage,
    reading,
    require_suffix,
    shortest,
)
from siamese.data.files import QuestionRows, read_questions
from siamese.data.texts import Texts
from siamese.detector import Detector
from siamese.inference.chosen_workers import workers_at
from siamese.inference.workers import Workers
from siamese.retrieval.clusters import Cluster, ClusterBuilder
from siamese.retrieval.finished_blocks import FinishedBlocks, kept_beside
from siamese.retrieval.mining import DistinctTexts, affordable_threshold, duplicates
from siamese.retrieval.scored_pairs import ScoredPairs
from siamese.retrieval.uncertain_pairs import most_uncertain
from siamese.text.inputs import as_shares

COLUMNS = ("row1", "row2", "question1", "question2", "similarity", "probability", "known_words1", "known_words2")
PAIRS_AT_ONCE = 10_000  # that are Python objects at the same time
UNCERTAIN_FROM = 0.01  # probability of the least similar pair that may be written to be labeled
KEPT_FROM = 20_000  # texts; a search among fewer takes less than a few seconds
LARGE, LARGE_SHARE = 10, 0.1  # a cluster with more questions than both is no group of duplicates


def run(settings: dict[str, Any]) -> dict[str, int]:
    """Mine a file and write pairs and clusters, or pairs to label.

    Returns:
        The numbers of questions and texts, and of pairs and clusters, or of pairs in the file, labeled ones and new ones.
    """
    if settings["collection"] is None:
        raise ValueError("give a file of questions: collection=FILE")
    if settings["label"] is not None and (settings["output"], settings["clusters"]) != (None, None):
        raise ValueError("label= writes pairs without a verdict; leave out output= and clusters=, or label=")
    to_label = LabelFile(settings["label"], reading(settings)) if settings["label"] is not None else None
    require_suffix("output", settings["output"], list(TABLES))
    require_suffix("clusters", settings["clusters"], (".json", ".jsonl"))
    with workers_at(settings["workers"], settings["worker_cores"]) as workers:
        return _mined(settings, to_label, workers)


def _mined(settings: dict[str, Any], to_label: LabelFile | None, workers: Workers) -> dict[str, int]:
    """As `run`, by workers."""
    file = read_questions(settings["collection"], settings["column"], reading(settings))
    note_bad_rows(settings["collection"], file.bad_rows)
    detector = chosen(settings, collection=True)
    require_movable(detector, settings["workers"])
    coverage = detector.coverage(file.texts[0])
    note_coverage(len(file.rows), int(coverage.unread.sum()), int(coverage.cut.sum()), f" of {settings['collection']}")
    known = as_shares(coverage.known_words)
    texts = DistinctTexts.of(detector, file.texts[0], workers)
    detector = in_collection(detector, settings, texts.embeddings)
    if to_label is not None:
        return _write_to_label(to_label, detector, texts, file.texts[0], settings, workers)
    if settings["threshold"] is None:
        detector = _affordable(detector, texts, settings["max_pairs"])
    threshold = detector.calibration.threshold
    clusters, pairs = ClusterBuilder(len(texts.first)), 0
    with ExitStack() as files:  # both take their names at the end, or neither
        out = files.enter_context(destination(settings["output"]))
        to = settings["clusters"] and files.enter_context(destination(settings["clusters"]))
        form = TABLES[Path(settings["output"] or "pairs.csv").suffix]
        more = {"model": detector.model} if form == "jsonl" else {}
        table = TableWriter(out, form, COLUMNS)
        finished = files.enter_context(_finished(detector, texts, settings, workers))
        how_many = settings["top_k"], settings["exact_max_questions"]
        found = duplicates(detector.network, texts, threshold, *how_many, finished)
        for some in _with_progress(found, len(texts.first)):
            for rows in _rows(some, file, known, detector):
                table.write([row | more for row in rows])
            clusters.add(texts.number[some.left], texts.number[some.right], some.similarity)
            pairs += len(some.left)
        groups = clusters.clusters(texts.number, partial(detector.network.compare, texts.embeddings), threshold)
        _note_large(groups, len(file.rows))
        if to:
            _write_clusters(to, settings["clusters"], groups, file)
    return {"questions": len(file.rows), "texts": len(texts.first), "pairs": pairs, "clusters": len(groups)}


@contextmanager
def _finished(
    detector: Detector, texts: DistinctTexts, settings: dict[str, Any], workers: Workers
) -> Iterator[FinishedBlocks]:
    """Where finished parts of a long search are kept: beside the output, if that is a file."""
    if settings["output"] is None or len(texts.embeddings) < KEPT_FROM:
        yield FinishedBlocks(workers=workers)
        return
    how = [detector.calibration.threshold, settings["top_k"], settings["exact_max_questions"]]
    digest = hashlib.sha256(json.dumps([how, detector.network.description], sort_keys=True, default=str).encode())
    for _, weights in sorted(detector.network.arrays.items()):
        digest.update(np.ascontiguousarray(weights).data)
    digest.update(np.ascontiguousarray(texts.embeddings).data)
    with kept_beside(settings["output"], digest.hexdigest(), workers) as finished:
        yield finished


def _write_to_label(
    file: LabelFile,
    detector: Detector,
    texts: DistinctTexts,
    questions: Texts,
    settings: dict[str, Any],
    workers: Workers,
) -> dict[str, int]:
    """Add the most uncertain pairs of a collection to a file of labels."""
    if settings["label_pairs"] < 1:
        raise ValueError(f"label_pairs must be at least 1, got {settings['label_pairs']}")
    least = detector.calibration.similarity(UNCERTAIN_FROM)
    least = affordable_threshold(detector.network, texts.embeddings, least, settings["max_pairs"])

    def text(row: int) -> str:
        return questions.take(np.array([row]))[0]

    how_many = settings["top_k"], settings["exact_max_questions"]
    found = duplicates(detector.network, texts, least, *how_many, FinishedBlocks(workers=workers))
    pairs = most_uncertain(
        _with_progress(found, len(texts.first)),
        detector.probability,
        settings["label_pairs"],
        lambda left, right: texts.number[left] == texts.number[right] or (text(left), text(right)) in file,
        len(file),
    )
    before = {"questions": len(questions), "texts": len(texts.first), "known": len(file), "labeled": file.labeled}
    if pairs:
        file.append((text(left), text(right)) for left, right in pairs)
    return before | {"new": len(pairs)}


def _affordable(detector: Detector, texts: DistinctTexts, max_pairs: int) -> Detector:
    """The detector, its threshold raised if more than `max_pairs` pairs reach it."""
    before, own = detector.calibration, detector.calibration.threshold
    threshold = affordable_threshold(detector.network, texts.embeddings, own, max_pairs)
    if threshold == own:
        return detector
    calibration = replace(before, threshold=threshold, criterion=None, precision=None, recall=None)
    note(
        f"more than {max_pairs:,} pairs reach the threshold, {own:.4f}; {threshold:.4f} is used, which about {max_pairs:,} "
        "reach; change it with threshold= or max_pairs="
    )
    model = detector.model.replace(before.rule(), calibration.rule())
    return replace(detector, calibration=calibration, model=model)


def _note_large(clusters: Sequence[Cluster], questions: int) -> None:
    """Tell the user of clusters that are no groups of duplicates."""
    large = [len(each.members) for each in clusters if len(each.members) > max(LARGE, LARGE_SHARE * questions)]
    if large:
        note(
            f"{len(large)} of the clusters, the largest of {large[0]:,} questions, hold more than a tenth of the {questions:,} "
            "each: hardly duplicates, rather a topic or a phrase that the model does not tell apart. Read some of their "
            "pairs; a higher min_probability= (such as 0.99) or threshold= makes clusters smaller"
        )


def _with_progress(found: Iterator[ScoredPairs], texts: int) -> Iterator[ScoredPairs]:
    """The found pairs, with a progress bar of the comparisons."""
    comparisons = texts * (texts - 1) // 2
    with tqdm(total=comparisons, unit="pair", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:
        for some in found:
            yield some
            bar.update(some.share * comparisons)


def _rows(
    pairs: ScoredPairs, file: QuestionRows, known: Sequence[float | None], detector: Detector
) -> Iterator[list[dict[str, Any]]]:
    """Pairs as rows of the output, in blocks."""
    for start in range(0, len(pairs.left), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        left, right, similarity = pairs.left[part], pairs.right[part], pairs.similarity[part]
        rows = file.rows[left].tolist(), file.rows[right].tolist()
        texts = file.texts[0].take(left), file.texts[0].take(right)
        probability = [round(value, 6) for value in detector.probability(similarity).tolist()]
        shares = [[known[row] for row in side.tolist()] for side in (left, right)]
        columns = zip(*rows, *texts, shortest(similarity), probability, *shares, strict=True)
        yield [dict(zip(COLUMNS, row, strict=True)) for row in columns]


def _write_clusters(out: TextIO, path: str, clusters: Sequence[Cluster], file: QuestionRows) -> None:
    """Write an object for each cluster: JSON lines or, for .json, a list with one object a line."""
    in_lines = path.endswith(".jsonl")
    out.write("" if in_lines else "[\n")
    for number, cluster in enumerate(clusters, start=1):
        members = dict(zip(cluster.members.tolist(), file.texts[0].take(cluster.members), strict=True))
        rows = {row: {"row": int(file.rows[row]), "question": text} for row, text in members.items()}
        found = {"size": len(rows), "representative": rows[cluster.representative], "members": list(rows.values())}
        out.write(json.dumps(found, ensure_ascii=False) + ("\n" if in_lines or number == len(clusters) else ",\n"))
    out.write("" if in_lines else "]\n")


def main() -> None:
    """Mine, and print the numbers on stderr."""
    settings = program_settings("mine", __doc__)
    form = "{questions:,} questions, {texts:,} different: {pairs:,} pairs of duplicates in {clusters:,} clusters"
    if settings["label"] is not None:
        form = (
            "{questions:,} questions, {texts:,} different: {new:,} pairs to label in {label}, after {known:,} that it held, "
            "{labeled:,} of them labeled\n"
            "fill the column of the label with 1 for duplicates and 0 for others, as many rows as you like from the top; then "
            "train as before, with data.labeled={label}"
        )
    print(form.format(**run(settings), label=settings["label"]), file=sys.stderr)
