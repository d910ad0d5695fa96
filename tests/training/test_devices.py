"""Devices: a network learns the same on one device, on two of one host, and on two hosts.

TensorFlow's devices are settled when it starts, so whatever needs several runs in a process of its own.
"""

import json
import os
import socket
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.training import devices

DEVICES = 2
PAIRS, DEV_PAIRS, BATCH = 157, 60, 32  # the last batch has 29 pairs
FEW = (1, 2, 3, 7)  # distinct questions of batches that do not divide evenly, or are fewer than the devices
# float32 sums in another order differ by 1e-7 of their size; over the 15 steps below the largest difference seen
# was 3e-7 in a loss and 2.5e-6 in a weight. In-batch negatives that stay within each device move a loss by more
# than 0.2 and a weight by 0.08; gradients that are summed but not averaged move a weight by 0.6 (under SGD).
NOISE = 5e-5


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        losses, roc_auc: of each epoch.
        weights: the network's.
        copies: of every variable, the optimizer's included, on the devices of this process.
        copies_agree: whether they are the same to the bit.
        steps: of the optimizer.
    """

    losses: list[float]
    roc_auc: list[float]
    weights: list[np.ndarray]
    copies: int
    copies_agree: bool
    steps: int


def in_processes_of_their_own(*functions) -> list:
    """What the functions give, run at the same time, each in a process that has not started TensorFlow."""
    with ProcessPoolExecutor(len(functions), mp_context=get_context("spawn")) as pool:
        results = [pool.submit(function) for function in functions]
        try:
            return [result.result(timeout=300) for result in results]
        finally:
            for process in active_children():  # one that waits for a host that failed would wait for ever
                process.kill()


def made_pairs(count: int, seed: int) -> QuestionPairs:
    """Questions of up to six words, one of which is the topic; duplicates share it."""
    generator = np.random.default_rng(seed)
    topics = generator.integers(0, 8, (count, 2))
    topics[::2, 1] = topics[::2, 0]

    def question(topic: int) -> str:
        words = generator.integers(0, 40, generator.integers(6))
        return " ".join([f"topic{topic}", *(f"word{word}" for word in words)])

    left, right = ([question(topic) for topic in column] for column in topics.T)
    return QuestionPairs.from_texts(left, right, topics[:, 0] == topics[:, 1])


def loss():
    from siamese.model.losses import BinaryCrossentropy, Ranking, WeightedSum

    return WeightedSum(BinaryCrossentropy(), Ranking(temperature=0.2))


class Setting:
    """Pairs, token ids and a fresh network under a strategy; made anew from the same seed each time."""

    def __init__(self, strategy, tower: str):
        import keras

        from siamese.model import towers
        from siamese.model.joined import with_vectors
        from siamese.model.network import siamese_network, word_embedding
        from siamese.model.similarity import Cosine
        from siamese.text.inputs import QuestionVectors, WordsAndVectors
        from siamese.text.vectorizer import Vectorizer
        from siamese.text.word_vectors import random

        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        self.strategy = strategy
        self.pairs, self.dev = made_pairs(PAIRS, seed=1), made_pairs(DEV_PAIRS, seed=2)
        vectorizer = Vectorizer.fit(self.pairs.questions, min_frequency=1, oov_buckets=4)
        self.token_ids, self.dev_ids = (vectorizer.encode(each.questions) for each in (self.pairs, self.dev))
        matrix = random(vectorizer.vocabulary, vectorizer.size, 0, 8).matrix
        with strategy.scope():
            words = word_embedding(matrix, trainable=True)
            options = {
                "dense": {"units": [6], "pooling": ["mean", "max"]},
                "bilstm": {"units": [4], "pooling": ["max"]},
            }
            kind = "dense" if tower == "joined" else tower
            made = getattr(towers, kind)(words, **options[kind], skip=False)
            if tower == "joined":
                made = with_vectors(made, 3, 3.0)
                drawn = np.random.default_rng(0).normal(size=(2, 10_000, 3)).astype(np.float32)
                self.token_ids, self.dev_ids = (
                    WordsAndVectors(ids, QuestionVectors(vectors[: len(ids)]))
                    for ids, vectors in zip((self.token_ids, self.dev_ids), drawn, strict=True)
                )
            self.network = siamese_network(made, Cosine())
        self.optimizers = []

    def optimizer(self, name: str):
        """Steps -> optimizer, which is kept for a look at its variables."""
        from siamese.training.optimizers import adam, constant, sgd

        def make(steps: int):
            schedule = lambda peak, steps: constant(peak, steps, 0.0)  # noqa: E731
            made = adam(schedule, steps, 0.01) if name == "adam" else sgd(schedule, steps, 0.1, momentum=0.9)
            self.optimizers.append(made)
            return made

        return make

    def dev_metrics(self) -> dict[str, float]:
        from siamese.evaluation.metrics import pair_metrics, values
        from siamese.inference.from_keras import numpy_network

        similarity = numpy_network(self.network).score(self.dev_ids, self.dev.left, self.dev.right)
        return values(pair_metrics(self.dev.duplicate, similarity, similarity, 0.5), len(self.dev))

    def fit(self, optimizer: str, course: tuple[float, ...] | None = None, **changes) -> Trained:
        """Train, by default with a look at the dev pairs; else `course` is what each epoch finds there."""
        from siamese.training.loop import fit

        options = {"epochs": 3, "batch_size": BATCH, "word_dropout": 0.2, "monitor": "roc_auc", "patience": None}
        scripted = iter(course or ())
        weight = np.random.default_rng(3).uniform(0.5, 2.0, PAIRS).astype(np.float32)
        history = fit(
            self.network,
            loss(),
            self.optimizer(optimizer),
            self.pairs,
            self.token_ids,
            weight,
            changes.pop("seed", 0),
            (lambda: {"roc_auc": next(scripted)}) if course else self.dev_metrics,
            lambda epoch: None,
            **options | changes,
        )
        return self.trained([epoch.loss for epoch in history], [epoch.dev["roc_auc"] for epoch in history])

    def steps_of_few(self) -> Trained:
        """A step with each of the batches of `FEW` questions, paired in a ring."""
        from siamese.training.batches import PairBatch
        from siamese.training.step import training_step

        losses = []
        with self.strategy.scope():
            step = training_step(self.network, loss(), self.optimizer("sgd")(1), 0.0)
        for count in FEW:
            ring = np.arange(count, dtype=np.int32)
            ones = np.ones(count, np.float32)
            questions = self.token_ids.padded(ring)
            losses.append(float(step(PairBatch(questions, ring, np.roll(ring, 1), ones, ones, ring))))
        return self.trained(losses, [])

    def trained(self, losses: list[float], roc_auc: list[float]) -> Trained:
        [optimizer] = self.optimizers
        copies = [
            [np.asarray(copy) for copy in self.strategy.experimental_local_results(variable.value)]
            for variable in (*self.network.variables, *optimizer.variables)
        ]
        agree = all(np.array_equal(one, other) for each in copies for one, other in pairwise(each))
        [count] = {len(each) for each in copies}
        return Trained(losses, roc_auc, self.network.get_weights(), count, agree, int(optimizer.iterations.numpy()))


def on_one_and_on_two_devices() -> dict[str, tuple[Trained, Trained]]:
    """Each training on the first device of this host, and on both."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
    one, two = devices.single(), devices.mirrored(None)
    assert devices.mirrored(None) is two  # also after `keras.utils.clear_session`
    assert (one.num_replicas_in_sync, two.num_replicas_in_sync) == (1, DEVICES)
    assert devices.mirrored(1).num_replicas_in_sync == 1
    assert devices.is_chief(one)
    assert devices.is_chief(two)
    trainings = {
        f"{tower} {optimizer}": lambda setting, optimizer=optimizer: setting.fit(optimizer)
        for tower, optimizer in (("dense", "adam"), ("bilstm", "sgd"), ("joined", "sgd"))
    } | {"dense few": Setting.steps_of_few}
    return {
        name: tuple(train(Setting(strategy, name.split()[0])) for strategy in (one, two))
        for name, train in trainings.items()
    }


def as_a_host(index: int, ports: list[int]) -> tuple[Trained, str, bool]:
    """Train as one of several hosts, whose dev metrics differ; also the error of other seeds."""
    hosts = [f"127.0.0.1:{port}" for port in ports]
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}})
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    strategy = devices.multi_worker()
    try:
        Setting(strategy, "dense").fit("adam", seed=index)
        refusal = ""
    except ValueError as refused:
        refusal = str(refused)
    course = [(0.5, 0.7, 0.6), (0.9, 0.8, 0.7)][index]  # alone, the second host would stop early with its first epoch
    trained = Setting(strategy, "dense").fit("adam", course, patience=2)
    return trained, refusal, devices.is_chief(strategy)


@pytest.fixture(scope="module")
def compared() -> dict[str, tuple[Trained, Trained]]:
    [results] = in_processes_of_their_own(on_one_and_on_two_devices)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("training", ["dense adam", "bilstm sgd", "joined sgd", "dense few"])
def test_two_devices_learn_what_one_does(training, compared):
    """Losses, dev metrics and weights; by sgd too, because Adam would not notice gradients of another scale."""
    one, two = compared[training]
    np.testing.assert_allclose(two.losses, one.losses, atol=NOISE)
    # of the 875 couples of a duplicate and another pair, 2 may change places
    np.testing.assert_allclose(two.roc_auc, one.roc_auc, atol=2 / 875)
    for mine, other in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(other, mine, atol=NOISE)


@pytest.mark.slow
@pytest.mark.parametrize("training", ["dense adam", "bilstm sgd", "joined sgd", "dense few"])
def test_both_devices_end_with_the_same_weights_to_the_bit(training, compared):
    one, two = compared[training]
    assert (one.copies, two.copies) == (1, DEVICES)
    assert two.copies_agree


@pytest.mark.slow
@pytest.mark.parametrize("training", ["dense adam", "bilstm sgd", "joined sgd"])
def test_two_devices_make_as_many_steps_as_one(training, compared):
    """A batch is shared, not doubled: 157 pairs in batches of 32 are 5 steps, in 3 epochs 15."""
    assert [each.steps for each in compared[training]] == [15, 15]


@pytest.mark.slow
def test_what_is_compared_has_learned(compared):
    one, _ = compared["dense adam"]
    assert one.losses[-1] < one.losses[0] - 0.1
    assert one.roc_auc[-1] > 0.7


@pytest.mark.slow
def test_two_hosts_agree_on_everything_and_learn_what_one_does():
    """The first host's dev metrics count on both, so both keep its best epoch, the second."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    first, second = in_processes_of_their_own(*(partial(as_a_host, index, ports) for index in range(2)))
    assert (first[2], second[2]) == (True, False)
    error = "the hosts differ in seed; start all with the same command on the same data"
    assert (first[1], second[1]) == (error, error)

    alone = Setting(devices.single(), "dense").fit("adam", (0.5, 0.7, 0.6))
    for trained in (first[0], second[0]):
        assert trained.roc_auc == [0.5, 0.7, 0.6]
        np.testing.assert_allclose(trained.losses, alone.losses, atol=NOISE)
        for mine, other in zip(alone.weights, trained.weights, strict=True):
            np.testing.assert_allclose(other, mine, atol=NOISE)
    assert all(np.array_equal(a, b) for a, b in zip(first[0].weights, second[0].weights, strict=True))


@pytest.mark.parametrize("count", [0, -1, 1000])
def test_devices_that_are_not_there(count):
    with pytest.raises(
        ValueError, match=rf"devices.count must lie in \[1, \d+\] \(this host has .*\) or .*; got {count}"
    ):
        devices.mirrored(count)


@pytest.mark.parametrize(
    "tf_config",
    [
        None,
        "host-a",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_hosts_without_a_valid_tf_config_are_refused(tf_config, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if tf_config:
        monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG on each host, such as") as refusal:
        devices.multi_worker()
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(f"; got {tf_config or ''!r}")


@pytest.mark.parametrize("option", ["single", "mirrored", "multi_worker"])
def test_every_option_names_a_function_and_all_it_takes(option):
    import inspect

    from omegaconf import OmegaConf

    config = OmegaConf.load(Path(__file__).parents[2] / "conf" / "devices" / f"{option}.yaml")
    function = getattr(devices, config.pop("_target_").removeprefix("siamese.training.devices."))
    assert list(config) == list(inspect.signature(function).parameters)
