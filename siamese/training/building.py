"""Building: from training questions and choices to a network before its first step of training."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import siamese.model.quiet_tensorflow  # noqa: F401  # isort: skip (before TensorFlow)
import keras
import numpy as np
import tensorflow as tf

from siamese.data.pairs import QuestionPairs
from siamese.inference.keras_network import choose_runtime
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import Runtime
from siamese.inference.to_keras import copy_tower, same_layers
from siamese.model import towers
from siamese.model.hybrid import with_lexicon
from siamese.model.joined import with_vectors
from siamese.model.linear_map import with_dimension
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Hybrid
from siamese.pretrained import encoders, piece_table
from siamese.pretrained.encoders import NO_ENCODER, Encoder
from siamese.pretrained.joined import AnyVectorizer, JoinedVectorizer
from siamese.pretrained.piece_table import piece_vectors, pieces
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text.inputs import Inputs
from siamese.text.lexicon import Lexicon
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import WordVectors
from siamese.training.devices import single

ENCODER_SCALE = 3.0


@dataclass(frozen=True)
class Built:
    """A network that can be trained, with what turns texts into its token ids.

    Attributes:
        vectorizer: texts -> token ids, an encoder's vectors, or both.
        vectors_found: share of the vocabulary whose word vectors came pretrained, in [0, 1].
        network: tower and similarity in Keras, with their first weights.
        runtime: the network -> what answers with its weights, NumPy or Keras; `note` says why Keras, "" for NumPy.
    """

    vectorizer: AnyVectorizer
    vectors_found: float
    network: keras.Model
    runtime: Callable[[keras.Model], Runtime]
    note: str
    _read: dict[QuestionPairs, tuple[Inputs, np.ndarray]] = field(default_factory=dict, repr=False, compare=False)

    def token_ids(self, pairs: QuestionPairs) -> Inputs:
        """What the vectorizer gives for the questions of pairs, each table read once."""
        return self._read_once(pairs)[0]

    def cut(self, pairs: QuestionPairs) -> np.ndarray:
        """Which questions of pairs are longer than the model reads, `bool[questions]`."""
        return self._read_once(pairs)[1]

    def _read_once(self, pairs: QuestionPairs) -> tuple[Inputs, np.ndarray]:
        if pairs not in self._read:
            self._read[pairs] = self.vectorizer.encode_and_cut(pairs.questions)
        return self._read[pairs]


def build(
    questions: Sequence[str],
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
    *,
    start: str | Path = "shipped",
    text: Callable[[Sequence[str]], Vectorizer] = pieces,
    vectors: Callable[[Sequence[str], int, int], WordVectors] = piece_vectors,
    tower: Callable[..., keras.Model] = towers.averaging,
    similarity: Callable[[], keras.layers.Layer] = Cosine,
    encoder: Encoder | None = None,
    encoder_scale: float = ENCODER_SCALE,
    dimension: int | None = None,
) -> Built:
    """The network before its first step of training.

    Args:
        questions: the training questions, each once.
        seed: of the first weights.
        strategy: from `siamese.training.devices`; None for one device.
        start: what the first weights come from: the shipped table of word pieces, see `siamese.pretrained.piece_table`, or the
            folder of a table or of a detector. A tower with the same layers as the detector's has its weights, too.
        text: questions -> vectorizer; `pieces` has those of `start`.
        vectors: vocabulary, number of token ids and seed -> the first word vectors; `piece_vectors` has those of `start`.
        tower: word embedding -> a model of `int32[batch, length]` -> `float32[batch, dimension]`, 0 being padding.
        similarity: makes a layer, `float32[batch, dimension]` twice -> `float32[batch]` in [0, 1].
        encoder: a sentence encoder. `siamese.model.towers.encoder` reads its vectors instead of token ids, and `text` and
            `vectors` are not used; any other tower gets them beside its words, see `siamese.model.joined`.
        encoder_scale: what the map of the vectors beside words starts as, times the identity.
        dimension: numbers of an embedding, to which a linear map behind the tower brings it; None for those of the tower.

    Raises:
        ValueError: an argument is out of its range, or the network could not be saved.
    """
    keras.utils.set_random_seed(seed)
    is_head = getattr(tower, "func", tower) is towers.encoder
    if is_head and encoder is None:
        raise ValueError(NO_ENCODER)
    hybrid: Hybrid | None = similarity() if getattr(similarity, "func", similarity) is Hybrid else None
    vectorizer: AnyVectorizer
    scope = (strategy or single()).scope
    if is_head and encoder is not None:
        lexicon = Lexicon.learn(pieces(questions), questions, hybrid.width) if hybrid else None
        vectorizer, found = EncoderVectorizer(encoder, lexicon), 1.0
        with scope():
            own = tower(encoder.dimension, unread=lexicon.rows.shape[1] if lexicon else 0)
    else:
        text = partial(pieces, table=str(start)) if text is pieces else text
        vectors = partial(piece_vectors, table=str(start)) if vectors is piece_vectors else vectors
        vectorizer = words = text(questions)
        lexicon = Lexicon.learn(words, questions, hybrid.width) if hybrid else None
        table = vectors(words.vocabulary, words.size, seed)
        found = table.found
        with scope():
            own = tower(word_embedding(table.matrix, table.trainable, table.weighted, table.pull))
            if encoder is not None:
                vectorizer = JoinedVectorizer(words, EncoderVectorizer(encoder))
                own = with_vectors(own, encoder.dimension, encoder_scale)
    if dimension is not None:
        with scope():
            own = with_dimension(own, dimension)
    of_start = _start_tower(own, start, encoder, is_head)
    with scope():
        whole = with_lexicon(own, hybrid, lexicon.rows) if hybrid and lexicon else own
        network = siamese_network(whole, hybrid or similarity())
    runtime, note = choose_runtime(network)
    return Built(vectorizer, found, network, runtime, "\n".join(filter(None, [note, of_start])))


def _start_tower(tower: keras.Model, start: str | Path, encoder: Encoder | None, is_head: bool) -> str:
    """Give a tower the weights of a detector's folder, if that is the start; a note where its layers are others.

    The weights of a head, and those of a map beside words, fit no vectors but those of their encoder.
    """
    folder = Path(start).expanduser()
    if not folder.is_dir() or piece_table.files_of(folder) == piece_table.FILES:
        return ""
    described = folder / encoders.FILE
    digest = json.loads(described.read_text("utf-8"))["digest"] if described.is_file() else None
    if is_head and encoder is not None and digest not in (None, encoder.digest):
        raise ValueError(f"start: {folder} reads the vectors of another encoder than {encoder.name}")
    saved = NumpyNetwork.load(folder)
    if same_layers(tower, saved):
        copy_tower(tower, saved, same_encoder=encoder is not None and digest == encoder.digest and not is_head)
        return ""
    kinds = ", ".join(step["layer"] for step in saved.description["tower"])
    return f"note: the tower starts at random, as its layers are not those of {folder}: {kinds}"
