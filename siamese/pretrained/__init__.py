"""Pretrained: sentence encoders that others trained, texts in and unit vectors out, run as data alone.

encoders.py        their interface, and how one is found by a name, a folder, or a repository of the hub
onnx_encoder.py    transformers, run by ONNX Runtime
hugging_face.py    such encoders from a folder in the layout of Hugging Face's hub, or from the hub itself
use_encoder.py     the multilingual Universal Sentence Encoder of a package, in NumPy
vectorizer.py      an encoder in the place of a vectorizer: texts -> the vectors that a tower reads
joined.py          a vectorizer of words with an encoder beside it: texts -> token ids and vectors
cache.py           vectors that were computed once, on disk
untrained/         detectors of the ready encoders without any training, calibrated on the shipped questions
"""
