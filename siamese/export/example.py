"""Do two questions ask the same thing? Needs only onnxruntime and tokenizers.

python example.py "How do I reset my PIN?" "I forgot my PIN"
"""

import json
import math
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

FOLDER = Path(__file__).parent


def token_ids(question: str, tokenizer: Tokenizer, text: dict[str, Any]) -> list[int]:
    """The token ids of a question; `text` is that part of export.json."""
    if text["oov_buckets"]:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(question))
        ids = [word_id(word, tokenizer, text) for word, _ in words]
    else:
        ids = tokenizer.encode(question).ids
    return ids[: text["max_length"]] or [text["unknown"]]


def vector(question: str, tokenizer: Tokenizer, encoder: dict[str, Any]) -> np.ndarray:
    """The sentence encoder's vector of a question, `float32[1, width]`; `encoder` is that part of export.json."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(encoder["max_length"])
    tokenizer.encode_special_tokens = True
    ids = np.array([tokenizer.encode(question).ids], np.int64)
    model = onnxruntime.InferenceSession(FOLDER / encoder["files"]["model"], providers=["CPUExecutionProvider"])
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    states = model.run(None, {each.name: given[each.name] for each in model.get_inputs()})[0]
    pooled = {"mean": states.mean(1), "max": states.max(1), "cls": states[:, 0]}[encoder["pooling"]]
    return pooled / np.linalg.norm(pooled)


def network_input(question: str, text: dict[str, Any]) -> np.ndarray:
    """What the network reads of a question; `text` is that part of export.json."""
    if "encoder" in text:
        tokenizer = Tokenizer.from_file(str(FOLDER / text["encoder"]["files"]["tokenizer"]))
        encoded = vector(question, tokenizer, text["encoder"])
        if "words" in text:
            pieces = Tokenizer.from_file(str(FOLDER / text["words"]["tokenizer"]))
            return np.append(encoded, np.array([token_ids(question, pieces, text["words"])], np.float32), axis=1)
        if "lexicon" not in text:
            return encoded
        words = Tokenizer.from_file(str(FOLDER / text["lexicon"]["tokenizer"]))
        rows = np.load(FOLDER / text["lexicon"]["rows"])[token_ids(question, words, text["lexicon"])]
        return np.concatenate([encoded, rows.mean(axis=0, keepdims=True)], axis=1)
    return np.array([token_ids(question, Tokenizer.from_file(str(FOLDER / text["tokenizer"])), text)], np.int32)


def word_id(word: str, tokenizer: Tokenizer, text: dict[str, Any]) -> int:
    """The id of a word; a hash assigns words outside the vocabulary to some ids."""
    known = tokenizer.token_to_id(word)
    return text["first_bucket"] + zlib.crc32(word.encode()) % text["oov_buckets"] if known is None else known


def probability(similarity: float, verdict: dict[str, Any]) -> float:
    """The calibrated probability of "duplicate"; `verdict` is that part of export.json."""
    clipped = min(max(similarity, 1e-6), 1 - 1e-6)
    logit = math.log(clipped / (1 - clipped))
    return 1 / (1 + math.exp((verdict["offset"] - logit) / verdict["temperature"]))


def main() -> None:
    """Print similarity, probability and verdict of the two questions of the command line."""
    if len(sys.argv) != 3:
        sys.exit('usage: python example.py "question" "question"')
    export = json.loads((FOLDER / "export.json").read_text(encoding="utf-8"))
    network = onnxruntime.InferenceSession(FOLDER / "network.onnx", providers=["CPUExecutionProvider"])
    left, right = (network_input(each, export["text"]) for each in sys.argv[1:])
    similarity = float(network.run(["similarity"], {"left": left, "right": right})[0][0])
    verdict = "duplicate" if similarity >= export["verdict"]["threshold"] else "not duplicate"
    print(f"{verdict}: similarity {similarity:.6f}, probability {probability(similarity, export['verdict']):.6f}")


if __name__ == "__main__":
    main()
