"""A trained network without Keras: what serving runs, in NumPy alone.

from_keras.py        a Keras network -> a description and named arrays; the only file here that knows Keras
network.py           token ids -> embeddings -> similarities, on all cores; saved and loaded
plan.py              the tower's steps in order, each computed as seldom as it can be
parts.py             what a layer or similarity declares, and the register of their kinds
layers/              what each layer computes; similarities.py: what each similarity does
onnx_operators.py    what both are written with in ONNX
packing.py           the words of some questions in the order in which the layers read them
threads.py           one thread for each core

A similarity is three files:

1. siamese/model/similarity.py: the Keras class, with `call`, `matrix` and `matrix_is_similarity`.
2. similarities.py: a `@register`ed subclass of `Similarity` of the same name, with the import path of the Keras class,
   its settings and weights, the formula in words, in NumPy (`__call__`) and in ONNX (`onnx`) and, where a threshold is
   a distance of points, `radius` and `unit`.
3. conf/similarity/NAME.yaml: `_target_`, the import path of the Keras class, `_partial_: true` and its settings.

So is a layer: its Keras class in siamese/model/layers.py (none for a layer of Keras itself), a `@register`ed `RowLayer`
or `QuestionLayer` in a file of layers/, and the tower in siamese/model/towers.py that uses it. A Keras layer that gives
each token a vector of its own says `mixes_words = True`, its description `rows = "tokens"`.

A new tower of known layers is a function in siamese/model/towers.py and conf/tower/NAME.yaml.

tests/test_registered_parts.py takes each registered part through training, NumPy, ONNX, mining, saving and loading. It
fails if a registered similarity has no conf/similarity/*.yaml or no tower of conf/tower/ uses a registered layer.

A package of your own does the same in its own modules. It names the module that registers its parts as an entry point,
so that a program that reads a trained network finds them:

    [project.entry-points."siamese.parts"]
    mine = "my_package.parts"

Without an entry point, import the module before loading the detector. A network with a layer that no part describes
raises `UnknownLayerError` in `from_keras.check`, before training.
"""
