"""A detector for other programs and languages: ONNX, TensorFlow SavedModel, and how text becomes their input.

onnx_graph.py    an ONNX graph in the making; in which precision a weight is stored
onnx_nodes.py    what each layer and similarity of a light network is in ONNX's operators
onnx_models.py   a light network -> tower and whole network as ONNX models
saved_model.py   the Keras network -> SavedModels; the only file here that knows TensorFlow
runners.py       what was exported, ready to run on token ids
tokenizer.py     a vectorizer -> tokenizer.json and a rule for the words that it lacks
example.py       goes into the exported folder: text in, verdict out, with onnxruntime and tokenizers alone
folder.py        the exported folder: written whole, with a README and digests
"""
