"""A detector for other programs and languages: ONNX, TensorFlow SavedModel, and how text becomes their input.

sample.py        labeled pairs to measure on
writing.py       models in every format, and the tokenizer
onnx_graph.py    a builder of ONNX graphs, with the precision of weights
onnx_models.py   NumPy network -> tower and whole network as ONNX models
saved_model.py   Keras network -> SavedModels; the only file here that imports TensorFlow
runners.py       exported models as functions of token ids
agreement.py     difference from the network, and its cost; measuring.py applies it, with size and speed
tokenizer.py     vectorizer -> tokenizer.json and a rule for unknown words
example.py       part of every export: text in, verdict out, with onnxruntime and tokenizers alone
folder.py        export.json with digests; readme.py the README of an export
"""
