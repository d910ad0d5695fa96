"""training=auto: the rule for all sizes, what a user gives wins, and what was chosen repeats the run."""

import pytest

from siamese.training.auto import chosen, fitted

SIZES = [2, 30, 300, 1_000, 3_000, 8_000, 20_000, 38_508, 100_000, 300_000, 10_000_000]


@pytest.mark.parametrize("tower", ["averaging", "encoder", "dense", "bilstm", "of_my_own"])
def test_more_pairs_need_fewer_epochs_and_larger_batches(tower):
    settings = [fitted(pairs, tower) for pairs in SIZES]
    epochs, batches = ([each[name] for each in settings] for name in ("epochs", "batch_size"))
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[-1]) == (8 if tower == "encoder" else 20, 4)
    assert batches == sorted(batches)
    assert (batches[0], batches[-1]) == (32, 512 if tower in ("averaging", "encoder") else 256)
    assert all(each["patience"] < each["epochs"] for each in settings)


def test_words_are_dropped_only_where_they_are_learned():
    assert fitted(300, "dense")["word_dropout"] == 0.2
    assert fitted(300, "averaging")["word_dropout"] == fitted(300, "encoder")["word_dropout"] == 0


def test_only_the_bag_of_words_may_start_as_a_discriminant():
    chosen_by = {tower: fitted(300, tower)["discriminant"] for tower in ("averaging", "encoder", "dense")}
    assert chosen_by == {"averaging": "dev", "encoder": False, "dense": False}


def test_what_is_given_wins():
    training = {"epochs": 5, "batch_size": "auto", "word_dropout": 0.3, "monitor": "accuracy", "patience": None}
    training["discriminant"] = True
    assert chosen(training, 300, "dense") == {"batch_size": 32}
    assert chosen(dict.fromkeys(training, "auto") | {"monitor": "roc_auc"}, 300, "dense") == fitted(300, "dense")
    assert chosen({"epochs": 4, "batch_size": 256}, 300, "dense") == {}
