"""Rivals without a network: model2vec, and hashed words with an SVD, on the same texts."""

from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Tokenizer

Encode = Callable[[Sequence[str]], np.ndarray]
DIMENSION = 300
HASHED, FITTED = 2**18, 5_000  # columns of the hashed words, questions that the SVD is fitted to


def rivals(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[dict[str, Encode], list[str]]:
    """Text -> vector by name of each installed rival, and notes on them.

    The speed does not depend on the numbers of model2vec's table, so they are random; its words are those of the tokenizer.
    """
    found: dict[str, Encode] = {}
    notes = []
    try:
        from model2vec import StaticModel
    except ImportError as problem:
        notes.append(f"model2vec is left out: {problem}; pip install model2vec.")
    else:
        table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), DIMENSION)).astype(np.float32)
        model = StaticModel(table, Tokenizer.from_str(tokenizer.to_str()), normalize=True)
        found["model2vec"] = lambda given: model.encode(given, use_multiprocessing=False)
        notes.append(
            f"model2vec: a random table of {DIMENSION} dimensions under the towers' own tokenizer, one process."
        )
    try:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer
    except ImportError as problem:
        notes.append(f"scikit-learn is left out: {problem}; pip install scikit-learn.")
    else:
        hashing = HashingVectorizer(n_features=HASHED)
        svd = TruncatedSVD(DIMENSION, random_state=0).fit(hashing.transform(texts[:FITTED]))
        # row by row in memory: scikit-learn's own `transform` copies all columns in every call, half a second for one question
        components = np.ascontiguousarray(svd.components_.T)
        found["hashing and SVD"] = lambda given: hashing.transform(given) @ components
        notes.append(
            f"Hashing and SVD: scikit-learn, {HASHED:,} columns -> {DIMENSION} dimensions, its product without copies."
        )
    return found, notes
