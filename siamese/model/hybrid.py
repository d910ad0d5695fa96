"""Hybrid: a tower whose embeddings also hold the lexical vectors of questions, as `siamese.text.lexicon` makes them."""

import keras
import numpy as np

from siamese.model.joined import is_vectors
from siamese.model.layers import Columns, PackWords, Pool, UnitBlocks
from siamese.model.network import word_embedding
from siamese.model.similarity import Hybrid
from siamese.text import lexicon

LEXICAL = NAME, MEAN, BLOCKS = (lexicon.NAME, f"{lexicon.NAME}_mean", "blocks")  # names of the layers


def with_lexicon(tower: keras.Model, similarity: Hybrid, rows: np.ndarray) -> keras.Model:
    """The tower with lexical vectors beside its embeddings, each block of length 1 times the root of its share.

    Args:
        tower: of token ids, with or without an encoder's vector beside them; or over vectors that end in lexical ones, of
            which it reads the numbers before them.
        similarity: has the shares at the start.
        rows: `float32[ids, columns]`, of the lexicon.

    Raises:
        ValueError: the tower is no functional model, so that its inputs are not known.
    """
    if not getattr(tower, "inputs", None):
        raise ValueError(f"similarity=hybrid takes a tower that is keras.Model(inputs, outputs), got {tower}")
    questions = tower.input
    if is_vectors(questions):
        lexical = Columns(questions.shape[-1] - rows.shape[1], questions.shape[-1], name=NAME)(questions)
    else:
        packing = next((layer for layer in tower.layers if isinstance(layer, PackWords)), None)
        words, position, question = packing.output if packing else PackWords()(questions)
        of_words = word_embedding(rows, trainable=False, name=NAME)(words)
        lexical = Pool(["mean"], name=MEAN)(of_words, position, question, questions)
    start = similarity.letters, similarity.numbers, similarity.negations
    blocks = UnitBlocks(lexicon.widths(similarity.width), start, name=BLOCKS)(tower.output, lexical)
    return keras.Model(questions, blocks, name="tower")


def without_lexicon(tower: keras.Model) -> keras.Model:
    """The tower that `with_lexicon` was given, with the same layers; any other is returned as it is."""
    blocks = [layer for layer in getattr(tower, "layers", []) if layer.name == BLOCKS]
    return keras.Model(tower.input, blocks[0].input[0], name="tower") if blocks else tower
