"""Finished blocks: read, not computed again; refused for other inputs; gone at the end."""

from contextlib import suppress

import numpy as np
import pytest

from siamese.retrieval.finished_blocks import FinishedBlocks, kept_beside


def refuse():
    raise AssertionError("computed again")


def interrupt(output):
    """A computation that is interrupted after its first block."""
    with suppress(KeyboardInterrupt), kept_beside(output, "inputs") as finished:
        finished.block("a", lambda: (np.ones(1),))
        raise KeyboardInterrupt


def test_a_block_is_computed_once(tmp_path):
    arrays = np.arange(3, dtype=np.int32), np.empty((0, 2), np.float32)
    first = FinishedBlocks(tmp_path).block("a", lambda: arrays)
    again = FinishedBlocks(tmp_path).block("a", refuse)
    for one, other, expected in zip(first, again, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype == expected.dtype
        assert other.shape == expected.shape


def test_a_block_that_was_cut_short_is_computed_again(tmp_path):
    FinishedBlocks(tmp_path).block("a", lambda: (np.ones(3),))
    whole = (tmp_path / "a.npz").read_bytes()
    for cut in (b"", whole[:-30]):
        (tmp_path / "a.npz").write_bytes(cut)
        assert FinishedBlocks(tmp_path).block("a", lambda: (np.zeros(1),))[0].tolist() == [0.0]


def test_an_interrupted_computation_goes_on(tmp_path):
    output = tmp_path / "pairs.csv"
    interrupt(output)
    with kept_beside(output, "inputs") as finished:
        finished.block("a", refuse)
        with kept_beside(output, "inputs") as of_another:  # which is under way at the same time
            assert of_another.block("a", lambda: (np.zeros(1),))[0].tolist() == [0.0]
    assert not list(tmp_path.iterdir())


def test_other_inputs_are_refused_and_harm_nothing(tmp_path):
    output = tmp_path / "pairs.csv"
    interrupt(output)
    message = r"\.pairs\.csv\.blocks holds what an interrupted search .* remove the folder, or name another output"
    with pytest.raises(ValueError, match=message), kept_beside(output, "others"):
        pass
    with kept_beside(output, "inputs") as finished:
        finished.block("a", refuse)
