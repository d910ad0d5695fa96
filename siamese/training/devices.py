"""Devices: where one network is trained. One device, those of this host, or those of several hosts.

With several, each holds the whole network and the whole batch of token ids, and encodes its share of the questions. The
embeddings are gathered, so that every device sees the loss of the whole batch, with all of its in-batch negatives; the
gradients are summed, so that all make the same step. What is learned is what one device would have learned, up to the
order in which floats are added; only dropout layers draw otherwise, the same mask on every device for other questions.
Each device takes the loss of the whole batch, which is little beside the encoding.

A network is trained on the devices of the strategy in whose scope it was made. Keras' own
`keras.distribution` is no help: on the TensorFlow backend it leaves every weight on the first device.
"""

import hashlib
import os
from functools import cache

import keras
import numpy as np
import tensorflow as tf


def single() -> tf.distribute.Strategy:
    """The device that TensorFlow takes by itself: the first GPU, or without one the CPU."""
    return tf.distribute.get_strategy()


@cache  # a second strategy would take the first one's names for its exchanges, and TensorFlow would abort both
def mirrored(count: int | None) -> tf.distribute.Strategy:
    """The first `count` devices of this host, its GPUs or else its (virtual) CPUs; all by default, ValueError if fewer."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if count is not None and not 1 <= count <= len(found):
        there = f"this host has {len(found)} {found[0].device_type}"
        raise ValueError(f"devices.count must lie in [1, {len(found)}] ({there}) or be null for all; got {count}")
    return tf.distribute.MirroredStrategy([device.name for device in found[:count]])


@cache
def multi_worker() -> tf.distribute.Strategy:
    """The GPUs of several hosts, or the CPU of each that has none; waits until all hosts are there.

    The environment variable TF_CONFIG tells each process who takes part and which of them it is:

        {"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}

    All run the same command on the same data. This must be called before TensorFlow's first operation.

    Raises:
        ValueError: TF_CONFIG does not say this.
    """
    try:
        told = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        hosts = told.cluster_spec().as_dict().get(told.task_type, [])
        understood = told.task_id in range(len(hosts))
    except (ValueError, TypeError, AttributeError):
        understood = False
    if not understood:
        raise ValueError(
            "devices=multi_worker needs the environment variable TF_CONFIG on each host, such as "
            '\'{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}\' '
            f"with the host's own index; got {os.environ.get('TF_CONFIG', '')!r}"
        )
    print(f"this is host {told.task_id} of {', '.join(hosts)}; waiting until all are there", flush=True)  # noqa: T201
    return tf.distribute.MultiWorkerMirroredStrategy()


def has_several_hosts(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part in the training."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that tracks and keeps the detector; on one host it always is."""
    return strategy.extended.should_checkpoint


def encode_sharded(tower: keras.Model, questions: tf.Tensor) -> tf.Tensor:
    """Embeddings `float32[questions, dimension]` of all questions on every device, each encoded on one of them.

    The shares are equally long: beyond the end the last question is encoded again, and cut off. There is at least one
    question, `int32[questions, length]`, the same on every device.
    """
    device = tf.distribute.get_replica_context()
    if device.num_replicas_in_sync == 1:
        return tower(questions, training=True)
    count = tf.shape(questions)[0]
    share = -(-count // device.num_replicas_in_sync)
    own = tf.minimum(device.replica_id_in_sync_group * share + tf.range(share), count - 1)
    return device.all_gather(tower(tf.gather(questions, own), training=True), axis=0)[:count]


def broadcast_from_chief(strategy: tf.distribute.Strategy, values: dict[str, float]) -> dict[str, float]:
    """The first host's values on all hosts, so that all decide alike; the names must be the same everywhere."""
    if not has_several_hosts(strategy):
        return values
    first = _of_every_device(strategy, np.array(list(values.values()), np.float64))[0]
    return dict(zip(values, first.tolist(), strict=True))


def require_same_on_all_hosts(strategy: tf.distribute.Strategy, **values: object) -> None:
    """Raise ValueError on every host where one of the values is not the same on all of them."""
    digests = [int(hashlib.sha256(repr(value).encode()).hexdigest()[:12], 16) for value in values.values()]
    every = _of_every_device(strategy, np.array(digests, np.float64))  # 48 bits fit exactly
    differing = [name for name, column in zip(values, every.T, strict=True) if len(set(column)) > 1]
    if differing:
        raise ValueError(
            f"the hosts differ in {', '.join(differing)}; start all with the same command on the same data"
        )


def _of_every_device(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """`float64[n]` -> `float64[devices, n]`, those of the first host first."""

    def gather() -> tf.Tensor:
        return tf.distribute.get_replica_context().all_gather(tf.constant(values[None]), axis=0)

    every = tf.function(lambda: strategy.run(gather))()
    return strategy.experimental_local_results(every)[0].numpy()
