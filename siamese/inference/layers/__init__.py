"""Layers: what each layer of a tower computes, described once for Keras, NumPy and ONNX.

The formulas are those of siamese/model/layers.py, lstm.py, gru.py and attention.py.

rows.py          layers that treat each row alone: Embedding, Vectors, Dense and others
products.py      products with weights, of few rows too
ngrams.py        convolutions; lstm.py, gru.py: recurrent layers, and recurrent.py what they share
attention.py     self-attention and positions
pooling.py       each question's words -> one vector; tokens.py: each word's vector -> one for each token
"""

from siamese.inference.layers import attention, gru, lstm, ngrams, pooling, tokens
from siamese.inference.layers.rows import Embedding, Vectors

__all__ = ["Embedding", "Vectors", "attention", "gru", "lstm", "ngrams", "pooling", "tokens"]
