"""Layers: what each layer of a tower computes, described once for Keras, NumPy and ONNX.

The formulas are those of siamese/model/layers.py and lstm.py.

rows.py          layers that treat each row alone: Embedding, Vectors, Dense and others
ngrams.py        convolutions; lstm.py: the bidirectional LSTM; pooling.py: each question's words -> one vector
"""

from siamese.inference.layers import lstm, ngrams, pooling
from siamese.inference.layers.rows import Embedding, Vectors

__all__ = ["Embedding", "Vectors", "lstm", "ngrams", "pooling"]
