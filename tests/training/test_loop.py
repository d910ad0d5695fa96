"""Training: the best epoch is kept, patience is finite, and what cannot train says so before it starts."""

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.metrics import pair_metrics, values
from siamese.inference.from_keras import numpy_network
from siamese.model.losses import BinaryCrossentropy, Contrastive, Ranking, SquaredError, WeightedSum
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan
from siamese.training.loop import Epoch, best_epoch
from siamese.training.optimizers import adam, constant

SIMILARITIES = {
    "cosine": Cosine,
    "euclidean": Euclidean,
    "manhattan": Manhattan,
    "learned": lambda: Learned([6]),
}
LOSSES = {
    "binary_crossentropy": BinaryCrossentropy(),
    "squared_error": SquaredError(),
    "contrastive": Contrastive(),
    "ranking": Ranking(),
    "binary_crossentropy_and_ranking": WeightedSum(BinaryCrossentropy(), Ranking()),
}


class Script:
    """Dev metrics that follow a script, and the network's weights at each of its epochs."""

    def __init__(self, network, name: str, *course: float):
        self.network, self.name, self.course = network, name, list(course)
        self.weights: list[list[np.ndarray]] = []

    def __call__(self) -> dict[str, float]:
        self.weights.append(self.network.get_weights())
        return {self.name: self.course[len(self.weights) - 1]}


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("monitor", "course", "best"),
    [
        ("roc_auc", (0.5, 0.8, 0.7), 2),
        ("roc_auc", (0.9, 0.8, 0.7), 1),
        ("roc_auc", (0.5, 0.6, 0.7), 3),
        ("roc_auc", (0.5, 0.8, 0.8), 2),  # of two equal epochs the first
        ("log_loss", (0.5, 0.3, 0.4), 2),  # the smaller the better
        ("brier", (0.3, 0.3, 0.4), 1),
        ("expected_calibration_error", (0.3, 0.2, 0.1), 3),
    ],
)
def test_the_best_epochs_weights_are_restored(monitor, course, best, build_network, train):
    network = build_network()
    script = Script(network, monitor, *course)
    history = train(network, evaluate=script, monitor=monitor, epochs=3)
    assert [epoch.dev[monitor] for epoch in history] == list(course)
    assert best_epoch(history, monitor).number == best
    assert same(network.get_weights(), script.weights[best - 1])
    assert not same(script.weights[0], script.weights[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patience", "course", "epochs"),
    [
        (1, (0.5, 0.4, 0.9), 2),
        (2, (0.5, 0.4, 0.45, 0.9), 3),  # better than the last epoch is not better than the best
        (2, (0.5, 0.4, 0.6, 0.5, 0.5, 0.9), 5),  # counting starts anew at the third
        (1, (0.5, 0.5, 0.9), 2),  # as good is no improvement
        (None, (0.5, 0.4, 0.3, 0.2), 4),
    ],
)
def test_patience_stops(patience, course, epochs, build_network, train):
    network = build_network()
    seen = []
    history = train(
        network,
        evaluate=Script(network, "roc_auc", *course),
        patience=patience,
        epochs=len(course),
        on_epoch=lambda epoch: seen.append(epoch.number),
    )
    assert [epoch.number for epoch in history] == seen == list(range(1, epochs + 1))


def test_without_epochs_the_network_stays_as_it_starts(build_network, train):
    network = build_network()
    before = network.get_weights()
    assert train(network, epochs=0) == []
    assert same(network.get_weights(), before)


def test_what_an_epoch_measures(build_network, train):
    [epoch] = train(build_network())
    assert (epoch.number, epoch.dev) == (1, {"roc_auc": 0.5})
    assert epoch.pairs_per_second == pytest.approx(24 / epoch.seconds)


@pytest.mark.slow
@pytest.mark.parametrize("duplicate_weight", [1, 3])
def test_the_loss_is_the_weighted_mean_of_the_pairs(duplicate_weight, build_network, train, pairs, token_ids):
    """Squared error before the step; by the label, a pair counts 1 or 3 times, and so does it in the divisor."""
    network = build_network()
    error = (numpy_network(network).score(token_ids, pairs.left, pairs.right) - pairs.label) ** 2
    weight = np.where(pairs.duplicate, duplicate_weight, 1).astype(np.float32)
    [epoch] = train(network, SquaredError(), weight=weight)
    assert epoch.loss == pytest.approx((error * weight).sum() / weight.sum(), abs=1e-6)


@pytest.mark.slow
def test_pairs_without_weight_teach_nothing(build_network, train, pairs):
    """Weight 0 for every pair: no loss, and no weight moves."""
    network = build_network()
    before = network.get_weights()
    [epoch] = train(network, weight=np.zeros(len(pairs), np.float32))
    assert epoch.loss == 0
    assert same(network.get_weights(), before)


@pytest.mark.slow
def test_training_learns(build_network, train, pairs, token_ids):
    """24 pairs of a few words are learned by heart: every duplicate above every other, from a start that is not so."""
    network = build_network("dense", Manhattan)

    def auc() -> float:
        similarity = numpy_network(network).score(token_ids, pairs.left, pairs.right)
        return values(pair_metrics(pairs.duplicate, similarity, similarity, 0.5), len(pairs))["roc_auc"]

    assert auc() < 0.95
    history = train(network, BinaryCrossentropy(), evaluate=lambda: {"roc_auc": auc()}, epochs=60, batch_size=8)
    assert auc() > 0.99
    assert history[-1].loss < history[0].loss


@pytest.mark.slow
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_every_similarity_and_loss_trains_or_is_refused(similarity, loss, build_network, train):
    network = build_network("dense", SIMILARITIES[similarity])
    before = network.get_weights()
    if (similarity, loss) == ("learned", "ranking"):
        with pytest.raises(ValueError, match="loss=ranking cannot train similarity=learned") as refusal:
            train(network, LOSSES[loss])
        assert "\n" not in str(refusal.value)
        assert same(network.get_weights(), before)
        return
    [epoch] = train(network, LOSSES[loss])
    assert np.isfinite(epoch.loss)
    assert not any(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))


@pytest.mark.slow
def test_copies_of_a_question_are_no_negatives(build_network, train, vectorizer):
    """(a, b), (a, c), (d, b): by transitivity all ask the same, so each is alone in its softmax: log 1 = 0.

    With (x, y) instead of (d, b) there is something to confuse, and the loss is above 0.
    """
    alike = QuestionPairs.from_texts(["my card", "my card", "lost"], ["card", "a card", "card"], [1, 1, 1])
    apart = QuestionPairs.from_texts(["my card", "my card", "rice"], ["card", "a card", "cooking"], [1, 1, 1])
    losses = []
    for pairs in (alike, apart):
        ids = vectorizer.encode(pairs.questions)
        losses.append(train(build_network(), Ranking(temperature=1.0), pairs=pairs, token_ids=ids)[0].loss)
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses[1] > 0.1


@pytest.mark.slow
def test_frozen_word_vectors_stay(build_network, train):
    network = build_network()
    table = network.get_layer("tower").get_layer("word_embedding")
    table.trainable = False
    before = table.get_weights()[0]
    train(network)
    np.testing.assert_array_equal(table.get_weights()[0], before)


@pytest.mark.slow
def test_an_unknown_monitor_names_those_there_are(build_network, train):
    with pytest.raises(ValueError, match=r"training\.monitor must be one of accuracy, roc_auc; got 'acuracy'"):
        train(build_network(), evaluate=lambda: {"roc_auc": 0.5, "accuracy": 0.5}, monitor="acuracy")


@pytest.mark.slow
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training(bad, build_network, train):
    class BrokenSquaredError(SquaredError):
        def __call__(self, label, similarity, matrix, negative):
            return super().__call__(label, similarity, matrix, negative) * bad

    with pytest.raises(
        ValueError,
        match=rf"loss became {bad} at step 1 \(epoch 1\), where the learning rate was .*; lower optimizer.learning_rate or",
    ):
        train(build_network(), BrokenSquaredError(), epochs=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": -1}, "training.epochs must be at least 0, got -1"),
        ({"word_dropout": 1.0}, r"training.word_dropout must lie in \[0, 1\), got 1.0"),
        ({"word_dropout": -0.1}, r"training.word_dropout must lie in \[0, 1\), got -0.1"),
        ({"patience": 0}, "training.patience must be at least 1, or null for no early stopping; got 0"),
        ({"batch_size": 0}, "training.batch_size must be at least 1, got 0"),
    ],
    ids=str,
)
def test_impossible_settings(changes, message, build_network, train):
    network = build_network()
    before = network.get_weights()
    with pytest.raises(ValueError, match=message):
        train(network, **changes)
    assert same(network.get_weights(), before)


@pytest.mark.slow
def test_the_optimizer_gets_the_number_of_steps(build_network, train):
    """24 pairs in batches of 10 are 3 steps, in 2 epochs 6."""
    steps_given = []

    def optimizer(steps: int):
        steps_given.append(steps)
        return adam(lambda peak, steps: constant(peak, steps, 0.0), steps, 0.01)

    train(build_network(), optimizer=optimizer, epochs=2, batch_size=10)
    assert steps_given == [6]


@pytest.mark.slow
def test_quiet_where_there_is_no_terminal(build_network, train, capfd):
    train(build_network())
    assert capfd.readouterr() == ("", "")


def test_the_best_epoch_of_a_history():
    history = [
        Epoch(number, 0.0, 1.0, 1.0, {"f1": f1, "brier": 1 - f1}) for number, f1 in ((1, 0.2), (2, 0.7), (3, 0.7))
    ]
    assert best_epoch(history, "f1").number == 2
    assert best_epoch(history, "brier").number == 2
