"""Inference: a trained network in NumPy alone, or in Keras where NumPy does not know its layers.

runtime.py           the interface of both, and which one a detector's folder asks for
from_keras.py        a Keras network -> a description and named arrays
keras_network.py     a network that answers through Keras; only these two files import Keras
network.py           token ids -> embeddings -> similarities, on all cores; saved and loaded
plan.py              the steps of the tower, each computed as rarely as possible
word_tables.py       what depends on a word alone, kept from one call to the next
parts.py             the interface of layers and similarities, and the registry of their kinds
layers/              the layers; similarities.py: the similarities
onnx_operators.py    the operators that both use in ONNX
packing.py           time-major packing of the words of some questions
threads.py           one thread for each core

A new similarity is three files:

1. siamese/model/similarity.py: the Keras class, with `call`, `matrix` and `matrix_is_similarity`.
2. similarities.py: a `@register`ed subclass of `Similarity` of the same name, with the import path of the Keras class,
   its settings and weights, the formula in words, in NumPy (`__call__`) and in ONNX (`onnx`) and, where a threshold is
   a distance of points, `radius` and `unit`.
3. conf/similarity/NAME.yaml: `_target_`, the import path of the Keras class, `_partial_: true` and its settings.

So is a new layer: its Keras class in siamese/model/layers.py or a file beside it (none for a layer of Keras itself), a
`@register`ed `RowLayer` or `QuestionLayer` in a file of layers/, and the tower in siamese/model/towers.py that uses it. A
Keras layer that gives each token its own vector sets `mixes_words = True`, its description `rows = "tokens"`.

tests/test_registered_parts.py checks each registered part in training, NumPy, ONNX, mining, saving and loading. It fails
if a registered similarity has no conf/similarity/*.yaml, or if no tower of conf/tower/ uses a registered layer.

Your own package does the same in its own modules, which plugins=MODULE or an import registers. A network with a layer
that no part describes raises `UnknownLayerError` in `from_keras.check`, before training, and answers through Keras.
"""
