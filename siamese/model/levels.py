"""Layer probing: pooled embeddings after each layer of a tower.

Pooling the output of one layer, in the way of the tower, gives the embedding that a tower ending there would have.
Comparing these embeddings shows what each layer adds. Linear probes do the same for classifiers (Alain & Bengio 2016);
here nothing is fitted.
"""

import keras

from siamese.model.hybrid import LEXICAL
from siamese.model.joined import MAPPED, is_vectors
from siamese.model.layers import PackWords, Pool
from siamese.model.towers import READ


def level_towers(tower: keras.Model) -> dict[str, keras.Model]:
    """For each level a tower that ends there, from the word embedding to the output, with the same weights.

    Returns:
        "0_word_embedding", "1", "2", … and "output", each `int32[batch, length]` -> `float32[batch, dimension]`, or what the
        tower reads; an encoder's vector beside the words stands beside each level. "0_encoder" and "output" for a tower over
        vectors alone. Nothing for one that is made of other layers than packed words, levels (`siamese.model.towers.drop` ends
        each) and pooling.
    """
    layers = getattr(tower, "layers", [])
    inputs = getattr(tower, "inputs", None) or []
    if len(inputs) == 1 and is_vectors(inputs[0]):
        vectors = next((layer.output for layer in layers if layer.name == READ), inputs[0])
        return {"0_encoder": keras.Model(inputs[0], vectors, name="tower"), "output": tower}
    packing = next((layer for layer in layers if isinstance(layer, PackWords)), None)
    pooling = next((layer.pooling for layer in layers if isinstance(layer, Pool) and layer.name not in LEXICAL), None)
    ends = [layer for layer in layers if layer.name == "word_embedding" or layer.name.startswith("level_")]
    if packing is None or pooling is None or not ends:
        return {}
    mixes_words = any(getattr(layer, "mixes_words", False) for layer in layers)
    _, position, question = packing.output
    beside = [layer.output for layer in layers if layer.name == MAPPED]
    towers = {}
    for number, layer in enumerate(ends):
        each_token_has_its_own = mixes_words and number > 0
        pooled = Pool(pooling)(layer.output, None if each_token_has_its_own else position, question, tower.input)
        pooled = keras.layers.Concatenate()([pooled, *beside]) if beside else pooled
        name = f"{number}_{layer.name}" if number == 0 else str(number)
        towers[name] = keras.Model(tower.input, pooled, name="tower")
    return {**towers, "output": tower}
