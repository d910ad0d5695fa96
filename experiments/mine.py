"""Find all duplicates in a collection of questions, and the clusters that they form.

python -m experiments.mine collection=questions.csv output=pairs.csv clusters=clusters.json
python -m experiments.mine collection=questions.csv threshold=0.8 output=pairs.jsonl clusters=clusters.jsonl

Pairs are written as they are found. First come the repeats: rows whose text, to the detector, is that of an earlier
row; each is paired with the first row of that text. Then come the pairs of different texts, each text named by its
first row. Rows are the lines of the file (of Parquet, its rows from 1). A file is there only when it is whole.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from experiments.program import explain_mistakes
from experiments.settings import command_line
from experiments.trained import chosen
from siamese.clusters import Cluster, ClusterBuilder
from siamese.data.files import QuestionRows
from siamese.data.question_files import read_questions
from siamese.detector import Detector
from siamese.mining import DistinctTexts, affordable_threshold, duplicates
from siamese.near_pairs import ScoredPairs

COLUMNS = ("row1", "row2", "question1", "question2", "similarity", "probability")
PAIRS_AT_ONCE = 10_000  # that are Python objects at the same time


def run(settings: dict[str, Any]) -> dict[str, int]:
    """Mine a file and write what is found; gives the number of questions, different texts, pairs and clusters.

    Args:
        settings: as `command_line` gives them.
    """
    if settings["collection"] is None:
        raise ValueError("give a file of questions: collection=FILE")
    _check_suffix("output", settings["output"], (".csv", ".jsonl"))
    _check_suffix("clusters", settings["clusters"], (".json", ".jsonl"))
    file = read_questions(settings["collection"], settings["column"])
    if file.bad_rows:
        _tell(f"{len(file.bad_rows):,} bad rows were left out; the first: {file.bad_rows[0]}")
    detector = chosen(settings)
    texts = DistinctTexts.of(detector, file.texts[0])
    threshold = _threshold(detector, texts, settings["most"] if settings["threshold"] is None else None)
    clusters, pairs = ClusterBuilder(len(file.rows)), 0
    with _written(settings["output"]) as out:
        write = _pair_writer(out, settings["output"], file, detector)
        found = duplicates(detector.network, texts, threshold, settings["neighbours"], settings["exact_up_to"])
        for some in _with_progress(found, len(texts.first)):
            write(some)
            clusters.add(some.left, some.right, some.similarity)
            pairs += len(some.left)
    groups = clusters.clusters()
    if settings["clusters"] is not None:
        with _written(settings["clusters"]) as out:
            _write_clusters(out, settings["clusters"], groups, file)
    return {"questions": len(file.rows), "texts": len(texts.first), "pairs": pairs, "clusters": len(groups)}


def _threshold(detector: Detector, texts: DistinctTexts, most: int | None) -> float:
    """The detector's threshold or, where `most` pairs are wanted and more reach it, a higher one."""
    own = detector.calibration.threshold
    threshold = own if most is None else affordable_threshold(detector.network, texts.embeddings, own, most)
    if threshold > own:
        _tell(
            f"more than {most:,} pairs reach the detector's threshold, {own:.4f}, which was chosen where more pairs are "
            f"duplicates; about so many reach {threshold:.4f}, which is taken. threshold= or most= changes that"
        )
    return threshold


def _with_progress(found: Iterator[ScoredPairs], texts: int) -> Iterator[ScoredPairs]:
    """What is found, with a bar of the comparisons done."""
    comparisons = texts * (texts - 1) // 2
    with tqdm(total=comparisons, unit="pair", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:
        for some in found:
            yield some
            bar.update(some.share * comparisons)


def _pair_writer(
    out: TextIO, path: str | None, file: QuestionRows, detector: Detector
) -> Callable[[ScoredPairs], None]:
    """A function that writes pairs of rows of the file: as CSV, or as JSON Lines if the path says so."""
    as_csv = csv.writer(out, lineterminator="\n")
    as_json = path is not None and path.endswith(".jsonl")
    if not as_json:
        as_csv.writerow(COLUMNS)

    def write(pairs: ScoredPairs) -> None:
        for start in range(0, len(pairs.left), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            left, right, similarity = pairs.left[part], pairs.right[part], pairs.similarity[part]
            columns: Sequence[Iterable] = (
                file.rows[left].tolist(),
                file.rows[right].tolist(),
                file.texts[0].take(left),
                file.texts[0].take(right),
                [float(str(value)) for value in similarity],  # as few digits as a float32 needs
                [round(value, 6) for value in detector.probability(similarity).tolist()],
            )
            rows = zip(*columns, strict=True)
            if as_json:
                out.writelines(
                    json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
                )
            else:
                as_csv.writerows(rows)

    return write


def _write_clusters(out: TextIO, path: str, clusters: Sequence[Cluster], file: QuestionRows) -> None:
    """One object a cluster, in lines or, in .json, in a list of lines."""
    in_lines = path.endswith(".jsonl")
    out.write("" if in_lines else "[\n")
    for number, cluster in enumerate(clusters, start=1):
        members = dict(zip(cluster.members.tolist(), file.texts[0].take(cluster.members), strict=True))
        found = {
            "size": len(members),
            "representative": {
                "row": int(file.rows[cluster.representative]),
                "question": members[cluster.representative],
            },
            "members": [{"row": int(file.rows[row]), "question": text} for row, text in members.items()],
        }
        out.write(json.dumps(found, ensure_ascii=False) + ("\n" if in_lines or number == len(clusters) else ",\n"))
    out.write("" if in_lines else "]\n")


@contextmanager
def _written(path: str | None) -> Iterator[TextIO]:
    """A file that gets its name when it is whole; standard output without a path."""
    if path is None:
        yield sys.stdout
        return
    part = Path(f"{path}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _check_suffix(name: str, path: str | None, suffixes: tuple[str, ...]) -> None:
    if path is not None and Path(path).suffix not in suffixes:
        raise ValueError(f"{name} must end in {' or '.join(suffixes)}, got {path}")


def _tell(note: str) -> None:
    print(f"note: {note}", file=sys.stderr)


def main() -> None:
    """Mine, and say on stderr how much was found."""
    settings, others = command_line("mine", sys.argv[1:])
    if others:
        raise ValueError(f"give settings as key=value; got {' '.join(others)}")
    found = run(settings)
    print(
        f"{found['questions']:,} questions, {found['texts']:,} different: {found['pairs']:,} pairs of duplicates in "
        f"{found['clusters']:,} clusters",
        file=sys.stderr,
    )


if __name__ == "__main__":
    with explain_mistakes():
        main()
