"""Layers: what each layer of a tower computes, described once for Keras, NumPy and ONNX.

The formulas are those of siamese/model/layers.py and lstm.py.

rows.py          layers that treat each row alone: Embedding, Dense, LayerNormalization, ReLU, Concatenate
ngrams.py        convolutions; lstm.py: the bidirectional LSTM; pooling.py: each question's words -> one vector
"""

from siamese.inference.layers import lstm, ngrams, pooling
from siamese.inference.layers.rows import Embedding

__all__ = ["Embedding", "lstm", "ngrams", "pooling"]
