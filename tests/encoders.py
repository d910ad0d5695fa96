"""A sentence encoder small enough to write in a moment: a table of word vectors, as ONNX in Hugging Face's layout."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "how", "do", "i", "pay", "my", "bill", "card", "lost", "rice", "cook", "where")
WIDTH = 8


def table() -> np.ndarray:
    """`float32[words, 8]`, the vector of each token."""
    return np.random.default_rng(0).normal(size=(len(WORDS), WIDTH)).astype(np.float32)


def write_encoder(
    folder: Path, model: str = "model.onnx", pooling: str = "mean", framed: bool = True, **files: object
) -> Path:
    """Write an encoder that looks each token up.

    Args:
        folder: to write into; made if it is not there.
        model: path of the model.
        pooling: that the config turns on.
        framed: whether "[CLS]" precedes each text.
        files: more JSON files by their name without ending.
    """
    (folder / model).parent.mkdir(parents=True, exist_ok=True)
    (folder / model).write_bytes(_model().SerializeToString())
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[CLS]"])
    if framed:
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    tokenizer.enable_padding(length=20)  # as in files of the hub
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {f"pooling_mode_{name}": False for name in ("mean_tokens", "max_tokens", "cls_token", "lasttoken")}
    files = {
        "1_Pooling/config": {**modes, f"pooling_mode_{pooling}_token{'' if pooling == 'cls' else 's'}": True}
    } | files
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _model() -> onnx.ModelProto:
    """`input_ids`, `attention_mask int64[batch, sequence]` -> `last_hidden_state float32[batch, sequence, 8]`."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["present"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["present", "last"], ["mask"]),
        helper.make_node("Mul", ["rows", "mask"], ["last_hidden_state"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", WIDTH])
    arrays = [numpy_helper.from_array(table(), "table"), numpy_helper.from_array(np.array([2]), "last")]
    graph = helper.make_graph(nodes, "encoder", inputs, [output], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
