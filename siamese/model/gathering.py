"""Rows of words at tokens, and their sums, with gradients that add in the order of the words.

TensorFlow's own gradients add the slope of each token to the row of its word, wherever that lies. With the tokens sorted by
word each row is written once: half the time, on one core instead of two.
"""

import tensorflow as tf


@tf.custom_gradient
def gather_rows(vectors, row):
    """`vectors[row]`: `float32[n, width]`, `int32[tokens]` -> `float32[tokens, width]`."""

    def gradient(slope):
        return _sum_by_row(slope, tf.range(tf.size(row)), row, tf.shape(vectors)[0]), None

    return tf.gather(vectors, row), gradient


@tf.custom_gradient
def sum_rows(vectors, row, segment, segments):
    """The sum of `vectors[row]` over each segment.

    Args:
        vectors: `float32[n, width]`.
        row: `int32[terms]`, index into `vectors`.
        segment: `int32[terms]`, ascending, which segment each term belongs to.
        segments: how many there are.

    Returns:
        `float32[segments, width]`; a segment without terms gets zeros.
    """

    def gradient(slope):
        return _sum_by_row(slope, segment, row, tf.shape(vectors)[0]), None, None, None

    return _sum(vectors, row, segment, segments), gradient


def _sum_by_row(slope, term, row, rows):
    """Add `slope[term]` to the rows `row`, `int32[terms]`: `float32[rows, width]`."""
    order = tf.argsort(row, stable=True)  # TensorFlow sorts once for all gradients of one graph that ask for the same
    return _sum(slope, tf.gather(term, order), tf.gather(row, order), rows)


def _sum(data, indices, segment_ids, num_segments):
    total = tf.raw_ops.SparseSegmentSumWithNumSegments
    return total(data=data, indices=indices, segment_ids=segment_ids, num_segments=num_segments)


@tf.custom_gradient
def mean_rows(vectors, row, segment, segments):
    """The mean of `vectors[row]` over each segment, else as `sum_rows`."""

    def gradient(slope):
        terms = tf.math.bincount(segment, minlength=segments, dtype=tf.float32)
        weighted = tf.math.divide_no_nan(slope, terms[:, None])
        return _sum_by_row(weighted, segment, row, tf.shape(vectors)[0]), None, None, None

    mean = tf.raw_ops.SparseSegmentMeanWithNumSegments
    return mean(data=vectors, indices=row, segment_ids=segment, num_segments=segments), gradient


@tf.custom_gradient
def highest_rows(words, segment, segments):
    """The maximum of the rows of each segment, in each column; rows that share it share its slope.

    `float32[tokens, width]`, `int32[tokens]` ascending -> `float32[segments, width]`; a segment without rows gets zeros.
    """
    highest = tf.math.segment_max(words, segment)
    filled = tf.shape(highest)[0]

    def gradient(slope):
        winner = tf.cast(tf.equal(words, tf.gather(highest, segment)), tf.float32)
        slope = tf.convert_to_tensor(slope)[:filled]  # of rows that were gathered it is sparse
        share = tf.math.divide_no_nan(slope, tf.math.segment_sum(winner, segment))
        return winner * tf.gather(share, segment), None, None

    return tf.pad(highest, [[0, segments - filled], [0, 0]]), gradient
