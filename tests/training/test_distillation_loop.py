"""Distillation by gradient steps: towers come nearer to the encoder, and an interruption changes nothing."""

import math
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model import towers
from siamese.model.network import word_embedding
from siamese.text.vocabulary import word_pieces
from siamese.training.distillation import distill
from siamese.training.distillation_loop import imitate, row_divergence
from siamese.training.optimizers import adam, constant
from siamese.training.saved_state import FILE, SavedState, run_of
from tests.training.test_distillation import WORDS, encode, texts_of

OPTIMIZER = partial(adam, constant, learning_rate=0.01)
TOWERS = {
    "the mean of the rows": partial(towers.dense, units=()),
    "dense": partial(towers.dense, units=[6], dropout=0.2),
    "conv1d": partial(towers.conv1d, filters=[4]),
    "bilstm": partial(towers.bilstm, units=[4]),
    "attention": partial(towers.attention, units=[4]),
}


@pytest.fixture(scope="module")
def lesson():
    """The rows of the closed form, and what they were fitted to."""
    tokenizer = word_pieces(WORDS * 3, 200)
    return distill(encode, tokenizer, texts_of(200, 0), texts_of(100, 1), width=8, penalty=200.0, held_out=0.2)


def student(lesson, tower="dense"):
    keras.utils.set_random_seed(0)
    return TOWERS[tower](word_embedding(lesson[0], trainable=True))


def weights(tower):
    return [np.array(each) for each in tower.weights]


def test_the_divergence_of_rows_by_hand():
    """Three questions. Without the diagonal the first row of the teacher is (0, ln 3), its softmax (1/4, 3/4).

    The student's is (0, 0), its softmax (1/2, 1/2): the divergence is 1/4 ln(1/2) + 3/4 ln(3/2). Equal rows have none. With
    the temperature 1/2 the teacher's softmax is that of (0, 2 ln 3): (1/10, 9/10).
    """
    teacher = np.array([[9, 0, math.log(3)], [1, 9, 2], [0, 0, 9]], np.float32)
    student = np.array([[5, 0, 0], [1, 7, 2], [3, 3, -4]], np.float32)
    expected = [math.log(1 / 2) / 4 + math.log(3 / 2) * 3 / 4, 0, 0]
    np.testing.assert_allclose(row_divergence(tf.constant(teacher), tf.constant(student), 1.0), expected, atol=1e-6)
    expected[0] = math.log(1 / 5) / 10 + math.log(9 / 5) * 9 / 10
    np.testing.assert_allclose(row_divergence(tf.constant(teacher), tf.constant(student), 0.5), expected, atol=1e-6)


def test_a_question_alone_in_its_batch_diverges_from_nothing():
    one = tf.constant([[0.5]])
    assert float(row_divergence(one, one, 0.05)[0]) == 0


@pytest.mark.parametrize("tower", TOWERS)
def test_every_tower_comes_nearer_to_the_encoder(lesson, tower):
    learner = student(lesson, tower)
    before = weights(learner)
    history = imitate(learner, lesson[1], OPTIMIZER, epochs=4, batch_size=32)
    first, best = history[0].held_out, min(each.held_out.loss for each in history)
    assert best < 0.9 * first.loss
    assert first.loss == pytest.approx(first.cosine + first.divergence, rel=1e-5)
    for weight, old, new in zip(learner.weights, before, weights(learner), strict=True):
        assert np.abs(new - old).max() > 0, weight.path
    assert [each.number for each in history] == list(range(len(history)))


def test_held_out_questions_are_fitted_to_nothing(lesson):
    """Whatever the encoder says of them, the weights after an epoch are the same; what it says of others changes them."""
    lessons = lesson[1]
    assert len(lessons.held_out) == 40
    assert lessons.held_out.max() < 200

    def after_an_epoch(rows):
        target = lessons.target.copy()
        target[rows] = target[rows, ::-1]
        learner, seen = student(lesson), []
        imitate(
            learner,
            replace(lessons, target=target),
            OPTIMIZER,
            on_epoch=lambda epoch: seen.append(weights(learner)),
            epochs=1,
        )
        return seen[-1]

    expected = after_an_epoch([])
    assert all(map(np.array_equal, after_an_epoch(lessons.held_out), expected))
    learned = np.setdiff1d(np.arange(300), lessons.held_out)
    assert not any(map(np.array_equal, after_an_epoch(learned[:5]), expected))


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_training_ends_with_the_same_weights_to_the_bit(lesson, tmp_path, after):
    """An epoch whose state was not saved yet is trained and reported again."""
    whole = student(lesson)
    expected = imitate(whole, lesson[1], OPTIMIZER, epochs=4, batch_size=32, patience=None)
    saved = SavedState(tmp_path / "state", "a key", "a run")

    def interrupt(epoch):
        if epoch.number == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imitate(student(lesson), lesson[1], OPTIMIZER, 0, saved, interrupt, epochs=4, batch_size=32, patience=None)
    assert run_of(tmp_path / "state", "a key") == ("a run" if after else None)
    seen = []
    again = student(lesson)
    history = imitate(again, lesson[1], OPTIMIZER, 0, saved, seen.append, epochs=4, batch_size=32, patience=None)
    assert [each.number for each in seen] == list(range(after, 5))
    assert [each.held_out for each in history] == [each.held_out for each in expected]
    for one, other in zip(weights(again), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("change", ["another key", "another tower", "damaged", "removed"])
def test_the_state_of_something_else_is_not_gone_on_from(lesson, tmp_path, change):
    saved = SavedState(tmp_path, "a key", "a run")
    imitate(student(lesson), lesson[1], OPTIMIZER, 0, saved, epochs=1, batch_size=32)
    if change == "another key":
        saved = SavedState(tmp_path, "another key", "a run")
    elif change == "damaged":
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-100])
    elif change == "removed":
        saved.remove()
    seen = []
    tower = "bilstm" if change == "another tower" else "dense"
    imitate(student(lesson, tower), lesson[1], OPTIMIZER, 0, saved, seen.append, epochs=1, batch_size=32)
    assert [each.number for each in seen] == [0, 1]


def test_the_best_epoch_is_kept_and_patience_ends_the_training(lesson):
    """A rate that ruins the tower: every epoch is worse than the start."""
    learner = student(lesson)
    before = weights(learner)
    ruin = partial(adam, constant, learning_rate=20.0)
    history = imitate(learner, lesson[1], ruin, epochs=9, batch_size=32, patience=2)
    assert [each.number for each in history] == [0, 1, 2]
    assert history[0].held_out.loss < min(each.held_out.loss for each in history[1:])
    for one, other in zip(weights(learner), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_epochs_nothing_changes(lesson):
    learner = student(lesson)
    before = weights(learner)
    assert imitate(learner, lesson[1], OPTIMIZER, epochs=0) == []
    assert all(map(np.array_equal, before, weights(learner)))


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"epochs": -1}, "tuning needs epochs of at least 0"),
        ({"batch_size": 1}, "batch_size of at least 2"),
        ({"temperature": 0.0}, "temperature above 0"),
        ({"divergence_weight": -0.5}, "divergence_weight of at least 0"),
        ({"patience": 0}, r"tuning\.patience must be at least 1, or null; got 0"),
    ],
)
def test_values_out_of_range_are_refused(lesson, choice, problem):
    with pytest.raises(ValueError, match=problem):
        imitate(student(lesson), lesson[1], OPTIMIZER, **choice)


def test_without_held_out_questions_there_is_no_tuning():
    rows, lessons = distill(encode, word_pieces(WORDS * 3, 200), texts_of(20, 0), width=8)
    with pytest.raises(
        ValueError, match=r"2 that are held out; got 20 and 0: give .* or a higher distillation\.held_out"
    ):
        imitate(student((rows, lessons)), lessons, OPTIMIZER)


def test_a_loss_that_is_not_finite_is_refused(lesson):
    broken = replace(lesson[1], target=np.full_like(lesson[1].target, np.nan))
    with pytest.raises(ValueError, match=r"became nan in epoch 1; lower optimizer\.learning_rate"):
        imitate(student(lesson), broken, OPTIMIZER, epochs=1)
