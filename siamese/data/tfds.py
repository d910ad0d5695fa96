"""TensorFlow Datasets: a data set, prepared first if need be → labeled pairs."""

import contextlib
import io
import logging
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from siamese.data.pairs import BadRow, QuestionPairs

BATCH = 8192  # examples parsed at once
LOG = logging.getLogger(__name__)


def read_tfds(
    name: str,
    splits: Sequence[str],
    left: str,
    right: str,
    label: str,
    label_scale: float,
    data_dir: str | None,
    manual_dir: str | None,
) -> tuple[list[QuestionPairs], tuple[BadRow, ...]]:
    """Read splits of a TFDS data set, preparing it first if need be.

    Rows without a label (TFDS marks them -1) or with an empty question are left out and reported.

    Args:
        name: as TFDS spells it, "glue/qqp".
        splits: in the notation of TFDS, such as "train" or "train+validation[:50%]".
        left, right, label: names of its features.
        label_scale: what the labels are divided by, above 0; 5 for grades from 0 to 5.
        data_dir: where prepared data sets lie; None for TFDS's own place.
        manual_dir: a directory with files downloaded by hand, or None.

    Returns:
        The pairs of each split, in order, and the rows left out, with their position in the split from 1.

    Raises:
        ValueError: no such data set, feature or split; it is neither prepared nor can be downloaded (the message
            says how to bring it by hand); a split has no labels, or labels above `label_scale`.
    """
    import tensorflow_datasets as tfds

    if not label_scale > 0:
        raise ValueError(f"data.label_scale must be above 0, got {label_scale}")
    data_dir, manual_dir = (place and str(Path(place).expanduser()) for place in (data_dir, manual_dir))
    with _quiet():
        try:
            builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
        except ValueError as error:  # its further lines list all of TFDS
            raise ValueError(f"TFDS cannot build {name!r}: {str(error).strip().splitlines()[0]}") from error
        prepared = builder.is_prepared()
    dtypes = {column: feature.np_dtype for column, feature in builder.info.features.items() if feature.shape == ()}
    for column, kind in ((left, "text"), (right, "text"), (label, "number")):
        if column not in dtypes or np.issubdtype(dtypes[column], np.number) != (kind == "number"):
            raise ValueError(f"{name} has no {kind} {column!r}; its features are {', '.join(builder.info.features)}")
    if not prepared:
        _prepare(builder, name, manual_dir)
    pairs, bad_rows = [], []
    for split in splits:
        columns = _read_split(builder, split, (left, right), label)
        split_pairs, split_bad_rows = _labelled_pairs(f"{name} {split}", columns, (left, right), label, label_scale)
        pairs.append(split_pairs)
        bad_rows.extend(split_bad_rows)
    return pairs, tuple(bad_rows)


def _prepare(builder: Any, name: str, manual_dir: str | None) -> None:
    """Download and convert the data set, or raise ValueError with what to do about it."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import download_manager, downloader

    LOG.info("preparing %s in %s; this is done once and can take minutes", name, builder.data_dir)
    downloader.MAX_RETRIES = 0  # without a network TFDS would try for minutes
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    try:
        with _quiet():
            builder.download_and_prepare(download_config=config, file_format="tfrecord")
    except download_manager.NonMatchingChecksumError as error:
        reason = textwrap.shorten(str(error), 400)
        raise ValueError(f"a file of {name} is not the one that TFDS knows, download it again ({reason})") from error
    except (OSError, AssertionError, tfds.download.DownloadError) as error:  # AssertionError: manual files are missing
        missing = ", ".join(  # the files whose addresses stand in the message
            f"{file.filename} ({int(file.size):,} bytes, from {url})"
            for url, file in builder.url_infos.items()
            if urlsplit(url).path in str(error)
        )
        place = f"into {manual_dir}" if manual_dir else "into a directory, set data.manual_dir to it"
        remedy = f"put {missing} {place} and run again " if missing else ""
        reason = textwrap.shorten(str(error), 160 if missing else 1000)
        raise ValueError(
            f"{name} is not in {builder.data_dir} and could not be prepared; {remedy}({reason})"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence TFDS's prints, progress bars and absl warnings; errors are still raised."""
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        absl.setLevel(level)


def _read_split(builder: Any, split: str, texts: tuple[str, str], label: str) -> dict[str, np.ndarray]:
    """The columns of a split, read from its records: `object[rows]` of bytes, the label a number.

    TFDS's `as_dataset` parses one example at a time, which takes 15 times as long.
    """
    import tensorflow as tf

    stored_as = builder.info.file_format.value
    if stored_as != "tfrecord":
        raise ValueError(f"{builder.data_dir} is stored as {stored_as}; prepare it as tfrecord")
    graded = np.issubdtype(builder.info.features[label].np_dtype, np.floating)
    label_dtype = tf.float32 if graded else tf.int64  # the only ones in TFRecords
    spec = {label: tf.io.FixedLenFeature((), label_dtype), **{t: tf.io.FixedLenFeature((), tf.string) for t in texts}}
    batches = []
    for file in builder.info.splits[split].file_instructions:
        records = tf.data.TFRecordDataset(file.filename).skip(file.skip).take(file.take).batch(BATCH)
        batches.extend(records.map(lambda serialized: tf.io.parse_example(serialized, spec)).as_numpy_iterator())
    if not batches:
        raise ValueError(f"the split {split!r} is empty")
    return {column: np.concatenate([batch[column] for batch in batches]) for column in spec}


def _labelled_pairs(
    source: str, columns: dict[str, np.ndarray], texts: tuple[str, str], label: str, label_scale: float
) -> tuple[QuestionPairs, list[BadRow]]:
    labels = columns[label]
    labelled = labels >= 0
    if not labelled.any():
        raise ValueError(f"{source} has no labels (all are {labels[0]}); give a share to hold out instead of a split")
    if labels.max() > label_scale:
        raise ValueError(f"{source} has labels up to {labels.max()}, expected at most data.label_scale={label_scale:g}")
    bad = {
        row: BadRow(source, row + 1, label, str(labels[row]), "no label") for row in np.flatnonzero(~labelled).tolist()
    }
    sides = [[text.decode() for text in columns[column].tolist()] for column in texts]
    for column, side in zip(texts, sides, strict=True):
        for row, text in enumerate(side):
            if not text or text.isspace():
                bad.setdefault(row, BadRow(source, row + 1, column, text, "the text is empty"))
    if bad:
        LOG.warning("%s: left out %d of %d pairs, which lack a label or a question", source, len(bad), len(labels))
    good = [row for row in range(len(labels)) if row not in bad]
    left, right = ([side[row].strip() for row in good] for side in sides)
    return QuestionPairs.from_texts(left, right, labels[good] / label_scale), [bad[row] for row in sorted(bad)]
