"""The training step: each question of a batch encoded once, the pairs compared, the weights updated; compiled."""

from collections.abc import Callable

import keras
import tensorflow as tf

from siamese.model.gathering import gather_rows
from siamese.model.joined import first_word
from siamese.model.layers import WordEmbedding
from siamese.model.losses import Loss
from siamese.model.similarity import Cosine
from siamese.text.inputs import UNKNOWN
from siamese.training.batches import PairBatch
from siamese.training.devices import encode_sharded
from siamese.training.precision import products_in


def training_step(
    network: keras.Model,
    loss: Loss,
    optimizer: keras.optimizers.Optimizer,
    word_dropout: float,
    drop: keras.random.SeedGenerator | None = None,
    precision: str = "float32",
) -> Callable[[PairBatch], tf.Tensor]:
    """One compiled step: encode each question of the batch once, compare, update the weights.

    Network, optimizer and this step must be created under one `tf.distribute` strategy. `drop` is what words are dropped by.
    """
    tower, similarity = network.get_layer("tower"), network.get_layer("similarity")
    # a similarity of the user's own may compare pairs alone: then all with all are compared by their cosine
    matrix = getattr(similarity, "matrix", Cosine().matrix)
    pulled = [layer for layer in tower.layers if isinstance(layer, WordEmbedding) and layer.pull]
    variables = network.trainable_variables
    optimizer.build(variables)
    strategy = network.distribute_strategy
    integers, floats = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
    drop = drop or keras.random.SeedGenerator()
    asked = tf.TensorSpec([None, network.inputs[0].shape[-1]], network.inputs[0].dtype)
    start = first_word(network)

    def on_each_device(
        questions: tf.Tensor, left: tf.Tensor, right: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, group: tf.Tensor
    ) -> tf.Tensor:
        with products_in(precision, network), tf.GradientTape() as tape:
            embeddings = encode_sharded(tower, questions)  # float32[questions, dimension]
            u, v = gather_rows(embeddings, left), gather_rows(embeddings, right)  # float32[batch, dimension]
            negative = tf.gather(group, left)[:, None] != tf.gather(group, right)[None, :]  # bool[batch, batch]
            # without use in the loss the matrix is pruned from the graph
            each = loss(label, similarity(u, v, training=True), matrix(u, v), negative)
            total = tf.reduce_sum(each * weight) / tf.maximum(tf.reduce_sum(weight), 1e-9)
            total += sum(words.pull_back(tf.cast(questions[:, start:], tf.int32)) for words in pulled)
            part = total / strategy.num_replicas_in_sync  # the optimizer sums the gradients of all devices
        optimizer.apply(tape.gradient(part, variables), variables)
        return total

    @tf.function(input_signature=[asked, integers, integers, floats, floats, integers], autograph=False)
    def step(questions: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        if word_dropout and start is not None:
            vectors, ids = questions[:, :start], questions[:, start:]
            dropped = keras.random.uniform(tf.shape(ids), seed=drop) < word_dropout
            ids = tf.where(dropped & (ids != 0), tf.cast(UNKNOWN, ids.dtype), ids)
            questions = tf.concat([vectors, ids], axis=1)
        total = strategy.run(on_each_device, args=(questions, *others))
        return strategy.experimental_local_results(total)[0]  # the same on all devices

    traced = step.get_concrete_function()  # called with tensors it skips what a tf.function checks at each call

    def run(batch: PairBatch) -> tf.Tensor:
        arrays = batch.questions, batch.left, batch.right, batch.label, batch.weight, batch.group
        return traced(*map(tf.convert_to_tensor, arrays))

    return run
