"""Sources of question pairs: a shipped corpus, an intent file, a few questions of each intent, a file of pairs, TFDS.

Files of conf/data/ name these functions. Each returns train, dev and, where there is one, test.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from siamese.data.dialects import Reading
from siamese.data.drawn_parts import draw_parts, note_intents, with_pairs
from siamese.data.files import read_pair_file
from siamese.data.intent_files import read_intent_file
from siamese.data.intent_pairs import pairs_from_intents
from siamese.data.intent_splits import draw_few, split_intents
from siamese.data.intents import IntentQuestions
from siamese.data.labeled import with_labeled
from siamese.data.pairs import COLLECTION, BadRow, PairSplits, QuestionPairs
from siamese.data.splits import contradictions, split_by_component, split_by_pair, with_both_kinds
from siamese.data.tfds import read_tfds

TEST_QUESTIONS = 2_000  # of few_shot that test pairs are drawn from; the intents of all are looked for
CORPORA = Path(__file__).parent / "corpora"


def corpus(
    languages: Sequence[str] = ("en",),
    split: str = "intent",
    dev: float = 0.1,
    test: float | None = 0.1,
    duplicates_per_question: float = 2.5,
    duplicate_share: float = 0.37,
    hard_negative_share: float = 0.5,
    seed: int = 0,
) -> PairSplits:
    """Pairs from the question corpora that ship with the project.

    Args:
        languages: one or more of "en", "fr"; their topics are kept apart.
        split: "intent" or "question", as in `siamese.data.intent_splits.split_intents`; or "pair", where
            parts share questions, to measure how much that inflates metrics.
        dev, test: shares; test may be 0 or None.
        duplicates_per_question, duplicate_share, hard_negative_share: as in `pairs_from_intents`.
        seed: of the split and of the pairs drawn in each part.

    Raises:
        ValueError: a language is not shipped or none is named; or as `split_intents` and `pairs_from_intents`.
    """
    shipped = sorted(path.stem for path in CORPORA.glob("*.tsv"))
    if not languages or not set(languages) <= set(shipped):
        raise ValueError(f"data.languages must list some of {', '.join(shipped)}, got {list(languages)}")
    columns: tuple[list[str], list[str], list[str]] = [], [], []
    for language in dict.fromkeys(languages):
        found = read_intent_file(CORPORA / f"{language}.tsv", "question", "intent", "topic", "error")
        for column, more in zip(columns, (*found[:2], [f"{language} {topic}" for topic in found[2]]), strict=True):
            column += more
    draw = partial(
        pairs_from_intents,
        duplicates_per_question=duplicates_per_question,
        duplicate_share=duplicate_share,
        hard_negative_share=hard_negative_share,
    )
    parts = draw_parts(columns, split, dev, test, seed, draw)
    return PairSplits(f"corpus {'+'.join(dict.fromkeys(languages))} by {split}", **parts)


def intent_file(
    path: str,
    text: str = "text",
    intent: str = "intent",
    topic: str | None = None,
    split: str = "intent",
    dev: float = 0.1,
    test: float | None = 0.1,
    duplicates_per_question: float = 2.5,
    duplicate_share: float = 0.37,
    hard_negative_share: float = 0.5,
    duplicates_per_intent: int | None = None,
    on_bad_row: str = "error",
    encoding: str | None = None,
    quoting: str | None = None,
    html: str | bool = "auto",
    labeled: str | None = None,
    seed: int = 0,
) -> PairSplits:
    """Pairs from a CSV, TSV, JSONL or Parquet file of questions with intents.

    Args:
        path: of the file.
        duplicates_per_intent: as in `pairs_from_intents`.
        text, intent, topic: names of its columns; topic may be None: then any two intents give hard negatives.
        on_bad_row: "error" or "skip".
        encoding, quoting, html: as in `Reading`; None or "auto" to find them.
        labeled: a file of pairs for train, as in `with_labeled`.
        (the others): as in `corpus`. Errors as in `read_intent_file`, `split_intents` and `pairs_from_intents`.
    """
    notes: list[str] = []
    reading = Reading(encoding, quoting, html, notes.append)
    *columns, bad_rows = read_intent_file(path, text, intent, topic, on_bad_row, reading)
    draw = partial(
        pairs_from_intents,
        duplicates_per_question=duplicates_per_question,
        duplicate_share=duplicate_share,
        hard_negative_share=hard_negative_share,
        duplicates_per_intent=duplicates_per_intent,
    )
    parts = draw_parts(columns, split, dev, test, seed, draw)
    note_intents(parts, split, notes.append)
    splits = PairSplits(f"{Path(path).name} by {split}", **parts, bad_rows=bad_rows)
    return replace(with_labeled(splits, labeled, reading), notes=tuple(notes))


def few_shot(
    path: str,
    text: str = "text",
    intent: str = "intent",
    topic: str | None = None,
    per_intent: int = 5,
    dev: float = 0.1,
    duplicates_per_question: float = 2.5,
    duplicate_share: float = 0.37,
    hard_negative_share: float = 0.5,
    duplicates_per_intent: int | None = None,
    on_bad_row: str = "error",
    encoding: str | None = None,
    quoting: str | None = None,
    html: str | bool = "auto",
    seed: int = 0,
) -> PairSplits:
    """Pairs from a few questions of each intent of a file; its other questions are test, the pairs of 2,000 of them at most.

    A network learns from the questions of most intents, dev has those of the others. Every question of dev and test then
    searches all that were drawn, as a help desk would: few-shot intent classification by the nearest question.

    Args:
        per_intent: questions that are drawn of each intent, at least 2.
        dev: share of the intents whose drawn questions are held out for dev.
        seed: of the draw, the split and the pairs.
        (the others): as in `intent_file`. Errors as there and in `draw_few`.
    """
    notes: list[str] = []
    reading = Reading(encoding, quoting, html, notes.append)
    *columns, bad_rows = read_intent_file(path, text, intent, topic, on_bad_row, reading)
    drawn, others = draw_few(IntentQuestions.from_columns(*columns), per_intent, seed)
    paired = np.sort(np.random.default_rng(seed).permutation(len(others.question))[:TEST_QUESTIONS])
    parts = split_intents(drawn, "intent", dev, 0, seed) | {"test": others.take(paired)}
    draw = partial(
        pairs_from_intents,
        duplicates_per_question=duplicates_per_question,
        duplicate_share=duplicate_share,
        hard_negative_share=hard_negative_share,
        duplicates_per_intent=duplicates_per_intent,
    )
    found = with_pairs(parts, draw, seed)
    found["intents"] |= {"test": others, COLLECTION: drawn}
    name = f"{Path(path).name}, {per_intent} questions of each intent"
    return PairSplits(name, **found, bad_rows=bad_rows, notes=tuple(notes))


def pair_file(
    train: str,
    left: str = "question1",
    right: str = "question2",
    label: str = "is_duplicate",
    dev: str | float = 0.1,
    test: str | float | None = 0.1,
    split: str = "question",
    on_bad_row: str = "error",
    encoding: str | None = None,
    quoting: str | None = None,
    html: str | bool = "auto",
    labeled: str | None = None,
    seed: int = 0,
    label_scale: float = 1.0,
) -> PairSplits:
    """Labeled pairs from one file that is split, or from separate files for dev and test.

    Args:
        train: a CSV, TSV, JSONL or Parquet file.
        left, right, label: names of the columns, the same in all files.
        dev, test: each a file, or a share of the pairs of `train` to hold out; test may also be 0 or None for none.
        split: how shares are held out: by "question" (whole connected components), or by "pair", where
            parts share questions, to measure how much that inflates metrics.
        on_bad_row: "error" or "skip".
        encoding, quoting, html: as in `Reading`; None or "auto" to find them.
        labeled: another file of pairs for train, as in `with_labeled`.
        seed: of the split.
        label_scale: what the labels are divided by; 5 for grades from 0 to 5.

    Raises:
        FileNotFoundError, ValueError: as `read_pair_file` and `split_by_component` do.
    """
    if split not in ("question", "pair"):
        raise ValueError(f"data.split must be question or pair, got {split!r}")
    bad_rows: list[BadRow] = []
    notes: list[str] = []
    reading = Reading(encoding, quoting, html, notes.append)

    def read(path: str) -> QuestionPairs:
        left_texts, right_texts, labels, bad = read_pair_file(
            path, left, right, label, on_bad_row, label_scale, reading
        )
        bad_rows.extend(bad)
        return QuestionPairs.from_texts(left_texts, right_texts, labels)

    pairs = read(train)
    dev_part = read(dev) if isinstance(dev, str) else dev
    test_part = read(test) if isinstance(test, str) else test
    contradicted = contradictions(*(part for part in (pairs, dev_part, test_part) if isinstance(part, QuestionPairs)))
    if contradicted:
        first = " and ".join(map(repr, contradicted[0]))
        notes.append(
            f"{len(contradicted):,} pairs are labeled both duplicate and different, the first {first}; all were kept"
        )
    hold_out = partial(with_both_kinds, split_by_component if split == "question" else split_by_pair, notes.append)
    parts = _complete(pairs, dev_part, test_part, hold_out, seed)
    splits = PairSplits(Path(train).name, *parts, bad_rows=tuple(bad_rows))
    return replace(with_labeled(splits, labeled, reading), notes=tuple(notes))


def tfds_pairs(
    name: str,
    left: str,
    right: str,
    label: str,
    label_scale: float,
    train: str,
    dev: str | float,
    test: str | float | None,
    seed: int,
    data_dir: str | None,
    manual_dir: str | None,
) -> PairSplits:
    """Labeled pairs from TensorFlow Datasets; rows labeled -1 are never used.

    Args:
        name, left, right, label, label_scale, data_dir, manual_dir: as in `read_tfds`.
        train: the TFDS split to train on, such as "train" or "train+validation".
        dev, test: each an official split, or a share of the pairs of `train` to hold out by connected
            component; test may also be 0 or None for none.
        seed: of the split. Errors as in `read_tfds` and `split_by_component`.
    """
    splits = [train, *(split for split in (dev, test) if isinstance(split, str))]
    (pairs, *official), bad_rows = read_tfds(name, splits, left, right, label, label_scale, data_dir, manual_dir)
    dev_part = official.pop(0) if isinstance(dev, str) else dev
    test_part = official.pop(0) if isinstance(test, str) else test
    return PairSplits(name, *_complete(pairs, dev_part, test_part, split_by_component, seed), bad_rows)


def _complete(
    pairs: QuestionPairs,
    dev: QuestionPairs | float,
    test: QuestionPairs | float | None,
    hold_out: Callable[..., dict[str, QuestionPairs]],
    seed: int,
) -> tuple[QuestionPairs, QuestionPairs, QuestionPairs | None]:
    """Train, dev and test; dev and test are given, or shares that `hold_out` takes from `pairs`."""
    if isinstance(dev, QuestionPairs):
        if isinstance(test, QuestionPairs):
            return pairs, dev, test
        if not test:
            return pairs, dev, None
        parts = hold_out(pairs, test, 0, seed)
        return parts["train"], dev, parts["dev"]
    if isinstance(test, QuestionPairs):
        parts = hold_out(pairs, dev or 0, 0, seed)
        return parts["train"], parts["dev"], test
    parts = hold_out(pairs, dev or 0, test or 0, seed)
    return parts["train"], parts["dev"], parts.get("test")
