"""A trained network without Keras: what serving runs, in NumPy alone.

export.py        a Keras network -> a description and named arrays; the only file here that knows Keras
network.py       token ids -> embeddings -> similarities, on all cores; saved and loaded
plan.py          the tower's steps in order, each computed as seldom as it can be
binding.py       a layer's description and arrays -> what computes it
layers.py        what each layer computes; similarities.py what each similarity does
packing.py       the words of some questions in the order in which the layers read them
threads.py       one thread for each core
"""
