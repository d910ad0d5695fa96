"""Scoring: token ids -> embeddings -> similarities, each question encoded once."""

import keras
import numpy as np
import tensorflow as tf

from siamese.data.pairs import QuestionPairs
from siamese.text.batches import question_batches
from siamese.text.vectorizer import TokenIds

PAIRS_PER_BATCH = 8_192


class Scorer:
    """A network's tower and similarity as compiled functions, over as many questions as memory holds.

    The weights are read at each call, so a scorer made before training scores what was trained since.
    """

    def __init__(self, network: keras.Model):
        tower, similarity = network.get_layer("tower"), network.get_layer("similarity")
        self.dimension = tower.output.shape[-1]
        ids = tf.TensorSpec([None, None], tf.int32)
        embedding = tf.TensorSpec([None, self.dimension], tf.float32)
        self._encode = tf.function(lambda questions: tower(questions, training=False), input_signature=[ids])
        self._compare = tf.function(
            lambda left, right: similarity(left, right, training=False), input_signature=[embedding, embedding]
        )

    def encode(self, token_ids: TokenIds) -> np.ndarray:
        """Embeddings `float32[questions, dimension]`, in the order of `token_ids`."""
        embeddings = np.empty((len(token_ids), self.dimension), np.float32)
        for rows, questions in question_batches(token_ids):
            embeddings[rows] = self._encode(questions).numpy()
        return embeddings

    def similarity(self, embeddings: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Similarities `float32[pairs]` of rows `left[i]` and `right[i]` of `embeddings`."""
        similarity = np.empty(len(left), np.float32)
        for start in range(0, len(left), PAIRS_PER_BATCH):
            part = slice(start, start + PAIRS_PER_BATCH)
            similarity[part] = self._compare(embeddings[left[part]], embeddings[right[part]]).numpy()
        return similarity

    def score(self, token_ids: TokenIds, pairs: QuestionPairs) -> np.ndarray:
        """Similarities `float32[pairs]`; `token_ids` are those of `pairs.questions`."""
        return self.similarity(self.encode(token_ids), pairs.left, pairs.right)
