"""One question: its embedding is that of a batch, however long it is, and in each thread."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from siamese.inference.from_keras import numpy_network
from siamese.inference.layers import lstm, products
from siamese.model import towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.word_vectors import random
from tests.inference.test_network import some_questions, with_weights

REAL = [
    partial(towers.dense, units=[100, 100], normalization="layer", pooling=["mean", "max"]),
    partial(towers.conv1d, filters=[100], kernel_sizes=[1, 2, 3], pooling=["max"]),
    partial(towers.bilstm, units=[96], pooling=["max"]),
    partial(towers.bilstm, units=[64, 32], pooling=["max"], cell="gru"),
    partial(towers.attention, units=[100], heads=4, pooling=["mean"]),
]
ALONE_AND_TOGETHER = """
import os, sys
from pathlib import Path
os.environ.pop("OPENBLAS_CORETYPE", None)  # the kernels of this processor, whichever the tests take
import numpy as np
from threadpoolctl import threadpool_info
from siamese.inference.network import NumpyNetwork
from siamese.text.inputs import TokenIds

generator = np.random.default_rng(0)
for folder in map(Path, sys.argv[1:]):
    network = NumpyNetwork.load(folder)
    questions = TokenIds.of([generator.integers(network.vocabulary, size=length) for length in [1, 2, 9, 64, 9, 1, 5] * 6])
    together = network.encode(questions)
    alone = [network.encode(questions.take(np.array([row]))) for row in range(len(questions))]
    print(folder.name, np.array_equal(np.concatenate(alone), together))
print(*{each["architecture"] for each in threadpool_info() if each["user_api"] == "blas"})
"""


@pytest.mark.slow
def test_it_is_the_same_to_the_bit_alone_and_among_many(tmp_path, run_python):
    """Where OpenBLAS sums all rows of a product in one order, as its kernels for AVX-512 do for widths such as these."""
    for number, tower in enumerate(REAL):
        words = word_embedding(random([], 500, 0, 100).matrix, trainable=True)
        (folder := tmp_path / str(number)).mkdir()
        numpy_network(with_weights(siamese_network(tower(words), Cosine()))).save(folder)
    ended = run_python("-c", ALONE_AND_TOGETHER, *sorted(tmp_path.iterdir()))
    assert ended.returncode == 0, ended.stderr
    *found, architectures = ended.stdout.splitlines()
    if architectures not in ("SkylakeX", "Cooperlake", "SapphireRapids"):
        pytest.skip(f"not promised on {architectures}")
    assert found == [f"{folder.name} True" for folder in sorted(tmp_path.iterdir())]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("units", [4, 16, 20])
@pytest.mark.parametrize("in_blocks", [True, False])
def test_an_lstm_reads_it_as_it_reads_many(build_network, monkeypatch, bidirectional, units, in_blocks):
    """With gates that fill blocks of columns or not, and with more words than have memory of their own."""
    monkeypatch.setattr(products, "IN_BLOCKS", in_blocks)
    light = numpy_network(with_weights(build_network("bilstm", units=[units], bidirectional=bidirectional)))
    lengths = [lstm.MOST_STEPS, 1, lstm.MOST_STEPS + 1, 20]
    questions = some_questions(light.vocabulary, lengths)
    together = light.encode(questions)
    for row in range(len(lengths)):
        np.testing.assert_allclose(light.encode(questions.take(np.array([row])))[0], together[row], rtol=0, atol=2e-6)


@pytest.mark.parametrize("tower", ["bilstm", "attention"])
def test_threads_read_questions_at_the_same_time(build_network, tower):
    light = numpy_network(with_weights(build_network(tower)))
    each = [some_questions(light.vocabulary, [1 + seed % 40], seed) for seed in range(400)]
    expected = [light.encode(one) for one in each]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(light.encode, each))
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
