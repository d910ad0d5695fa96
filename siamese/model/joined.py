"""Joined: a tower of words whose embeddings also hold the vector of a frozen sentence encoder.

Words and vector come as one array, `float32[batch, width + length]`: the numbers of the vector, then the token ids, zeros
behind the last one.
"""

import math

import keras
import tensorflow as tf

BESIDE = VECTOR, MAPPED, JOINED = ("vector", "mapped_vector", "joined")  # names of the layers beside the words


@keras.saving.register_keras_serializable("siamese")
class EncoderVector(keras.layers.Layer):
    """The encoder's vector of each question, which stands before its token ids.

    Args:
        width: numbers of the vector.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def call(self, questions):
        """`float32[batch, width + length]` -> `float32[batch, width]`."""
        return tf.ensure_shape(questions[:, : self.width], [None, self.width])

    def compute_output_shape(self, questions_shape):
        """The batch and the width."""
        return questions_shape[0], self.width

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable("siamese")
class WordIds(keras.layers.Layer):
    """The token ids of each question, which stand behind the encoder's vector.

    Args:
        start: numbers of the vector.
    """

    def __init__(self, start: int, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def call(self, questions):
        """`float32[batch, start + length]` -> `int32[batch, length]`."""
        return tf.cast(questions[:, self.start :], tf.int32)

    def compute_output_spec(self, questions):
        """Token ids of any number."""
        return keras.KerasTensor((questions.shape[0], None), dtype="int32")

    def get_config(self) -> dict:
        return {**super().get_config(), "start": self.start}


def with_vectors(tower: keras.Model, width: int, scale: float) -> keras.Model:
    """The tower with a linear map of the encoder's vector behind its embedding; the map starts as `scale` times the identity.

    The encoder is frozen, but training turns the map to what tells these questions apart.

    Args:
        tower: of token ids, `int32[batch, length]` -> `float32[batch, dimension]`.
        width: numbers of the vector.
        scale: above 0; the vector has length 1, and where a similarity compares directions, a larger one counts it for more.

    Returns:
        `float32[batch, width + length]` -> `float32[batch, dimension + width]`, of copies of the tower's layers.

    Raises:
        ValueError: the tower is no functional model, so that its inputs are not known; a layer has no config to copy it by; or
            the scale is not above 0.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"encoder_scale must be a number above 0, got {scale}")
    if not getattr(tower, "inputs", None):
        raise ValueError(f"encoder= beside words takes a tower that is keras.Model(inputs, outputs), got {tower}")
    tower = keras.Model(tower.inputs[0], tower.outputs[0])  # of a sequential one, too
    questions = keras.Input((None,), dtype="float32", name="questions")
    word_ids = WordIds(width, name="word_ids")(questions)

    def call(layer: keras.layers.Layer, *inputs, **named):
        given = keras.tree.map_structure(lambda each: word_ids if each is questions else each, (inputs, named))
        return layer(*given[0], **given[1])

    # a layer that two models call has two outputs; a copy has one, which layer probing asks for
    try:
        of_words = keras.models.clone_model(tower, input_tensors=questions, call_function=call)
    except NotImplementedError as problem:
        raise ValueError(f"the layers of the tower cannot be copied: {' '.join(str(problem).split())}") from None
    of_words.set_weights(tower.get_weights())
    start = keras.initializers.Identity(scale)
    mapped = keras.layers.Dense(width, kernel_initializer=start, name=MAPPED)(
        EncoderVector(width, name=VECTOR)(questions)
    )
    both = keras.layers.Concatenate(name=JOINED)([of_words.output, mapped])
    return keras.Model(questions, both, name="tower")


def is_vectors(questions: keras.KerasTensor) -> bool:
    """Whether the input of a tower is vectors alone, whose width is known."""
    return questions.dtype == "float32" and questions.shape[-1] is not None


def first_word(network: keras.Model) -> int | None:
    """The column of the input at which the token ids begin; None for a tower that reads no words.

    Args:
        network: from `siamese_network`.
    """
    if network.inputs[0].dtype == "int32":
        return 0
    layers = getattr(network.get_layer("tower"), "layers", [])
    return next((layer.start for layer in layers if isinstance(layer, WordIds)), None)


def width_beside(tower: keras.Model) -> int:
    """The numbers at the end of an embedding that are an encoder's vector beside the words; 0 for any other tower."""
    return sum(layer.width for layer in tower.layers if isinstance(layer, EncoderVector))
