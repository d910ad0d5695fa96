"""Automatic settings of a training: those that are "auto" are fitted to the number of training pairs and the tower."""

import math
from collections.abc import Mapping
from typing import Any

AUTO = "auto"
BY_DEV = "dev"
HEADS = ("averaging", "encoder")  # towers whose inputs are frozen vectors: training learns a head over them
PAIRS_READ = 400_000  # by all epochs, between the fewest and the most of them
FEWEST_EPOCHS, MOST_EPOCHS, MOST_OF_ENCODER = 4, 20, 8
STEPS = 8  # of an epoch at least, unless the smallest batch makes it fewer
SMALLEST_BATCH = 32


def fitted(pairs: int, tower: str) -> dict[str, Any]:
    """The settings of `siamese.training.loop.fit` that serve a number of training pairs.

    All epochs together read about 400,000 pairs: 20 epochs up to 20,000 pairs, 4 from 100,000 on, or as many as dev asks
    for; an encoder's head, which starts near its best, gets 8 at most. A batch is an eighth of the pairs, from 32 to 256,
    and 512 for an encoder's head and for averaging from 20,000 pairs on (more candidates to rank; below, 8,000 of Quora's
    pairs give averaging 0.831 with 256 and 0.823 with 512). Words are dropped where their vectors are learned. Best dev ROC
    AUC, with batches of up to 512, against 4 epochs of 512 pairs, for averaging at twice the rate; seed 0, and 1 where
    there are two figures:

        averaging, shipped questions   300 pairs    0.852, 0.855 (0.853, 0.850)
                                       1,000        0.852, 0.856 (0.854, 0.854)
                                       8,000        0.857 (0.855)
        averaging, Quora's questions   1,000        0.801 (0.783)
                                       8,000        0.812 (0.798)
                                       30,000       0.832 (0.822)
        encoder, Quora's questions     1,000        0.869 (0.866)
                                       8,000        0.876 (0.872)

    The linear map of averaging starts as a discriminant (`siamese.training.discriminant`) where dev prefers it before the first
    step: with 5 or 10 questions of each intent of BANKING77 and CLINC150 the nearest question has the right intent 0.1 to 2
    points more often (one draw of each), Quora's dev gains 0.002 from 8,000 pairs. An encoder's head gains 0 to 1 points
    there, but on the shipped French questions test loses 0.012, though dev prefers it.

    The rate is that of the optimizer at all sizes: half of it costs averaging about half a point on Quora at 1,000 and
    8,000 pairs, twice of it as much on the shipped questions. All of these figures come from `python -m experiments.train`:
    with `subset.pairs=8000`, on a file of Quora's pairs with `data=pairs_file`, with few questions of each intent with
    `data=few_shot data.per_intent=5`; what is compared are `training.epochs=`, `.batch_size=` and `.discriminant=`. More
    dropout in the tower (0.5) gained nothing from 300 to 8,000 pairs. The shipped table knows the texts of the shipped
    questions, so they need the least training; questions of others are more like Quora's.

    Args:
        pairs: at least 1.
        tower: name of its function in `siamese.model.towers`; any other counts as one that learns its word vectors.

    >>> fitted(300, "averaging")
    {'epochs': 20, 'batch_size': 32, 'word_dropout': 0.0, 'discriminant': 'dev', 'patience': 4}
    >>> fitted(300_000, "dense")
    {'epochs': 4, 'batch_size': 256, 'word_dropout': 0.2, 'discriminant': False, 'patience': 2}
    """
    head = tower in HEADS
    epochs = min(max(round(PAIRS_READ / pairs), FEWEST_EPOCHS), MOST_OF_ENCODER if tower == "encoder" else MOST_EPOCHS)
    few = pairs * MOST_EPOCHS <= PAIRS_READ
    batch_size = 2 ** round(math.log2(pairs / STEPS))
    return {
        "epochs": epochs,
        "batch_size": min(max(batch_size, SMALLEST_BATCH), 512 if tower == "encoder" or (head and not few) else 256),
        "word_dropout": 0.0 if head else 0.2,
        "discriminant": BY_DEV if tower == "averaging" else False,
        "patience": 4 if few else 2,  # dev's curve is rough where epochs are short
    }


def chosen(training: Mapping[str, Any], pairs: int, tower: str) -> dict[str, Any]:
    """Numbers for the settings of a training that are "auto"; the arguments as those of `fitted`.

    >>> chosen({"epochs": 5, "batch_size": "auto", "monitor": "accuracy"}, 300_000, "dense")
    {'batch_size': 256}
    """
    return {name: value for name, value in fitted(pairs, tower).items() if training.get(name) == AUTO}
