"""Weights of training pairs, derived by hand."""

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.data.weighting import class_weights, target_prior, uniform


def labelled(*labels: float) -> QuestionPairs:
    return QuestionPairs.from_texts(["a"] * len(labels), ["b"] * len(labels), labels)


def test_uniform():
    weight = uniform(labelled(1, 0, 0.5))
    assert weight.dtype == np.float32
    assert weight.tolist() == [1, 1, 1]


def test_class_weights():
    """Duplicates 3, others 1; a label of 1/4 gets 1/4 · 3 + 3/4 · 1 = 1.5."""
    weight = class_weights(labelled(1, 0, 0.25), duplicate=3, different=1)
    assert weight.dtype == np.float32
    assert weight.tolist() == [3, 1, 1.5]
    assert class_weights(labelled(1, 0), duplicate=0, different=1).tolist() == [0, 1]


@pytest.mark.parametrize(("duplicate", "different"), [(-1, 1), (1, -0.5), (0, 0)])
def test_impossible_class_weights(duplicate, different):
    with pytest.raises(ValueError, match=f"got {duplicate} and {different}"):
        class_weights(labelled(1, 0), duplicate, different)


def test_target_prior():
    """1 of 4 is a duplicate, 1 of 2 is wanted: weights 0.5 / 0.25 = 2 and 0.5 / 0.75 = 2/3; together 4."""
    weight = target_prior(labelled(1, 0, 0, 0), duplicate_share=0.5)
    np.testing.assert_allclose(weight, [2, 2 / 3, 2 / 3, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.37, 0.9])
@pytest.mark.parametrize("labels", [(1, 0, 0), (1, 0.25, 0.5, 0)])
def test_target_prior_has_the_wanted_share_and_mean_one(labels, share):
    """Graded labels too: the pair's weight is shared out by its label."""
    pairs = labelled(*labels)
    weight = target_prior(pairs, share)
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    own = float(pairs.label.mean())
    duplicates = (pairs.label * share / own).sum() / weight.sum()
    assert duplicates == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("share", [0, 1, -0.2, 37])
def test_an_impossible_prior(share):
    with pytest.raises(ValueError, match=f"weighting.duplicate_share must lie between 0 and 1, got {share}"):
        target_prior(labelled(1, 0), share)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_prior(label):
    with pytest.raises(ValueError, match="both classes"):
        target_prior(labelled(label, label), 0.5)
