"""Workers: this process prepares once and computes in order; a network and an encoder that go elsewhere answer as here."""

import importlib.util
import pickle
import sys

import numpy as np
import pytest

from siamese.detector import Detector
from siamese.inference import threads
from siamese.inference.chosen_workers import workers_at
from siamese.inference.workers import THIS_PROCESS
from siamese.pretrained.hugging_face import from_folder
from tests.encoders import write_encoder

QUESTIONS = [f"how do i pay my bill {number % 7}" for number in range(30)]


def test_blocks_are_prepared_once_and_computed_as_they_are_asked_for():
    prepared, taken = [], []

    def prepare():
        prepared.append(True)
        return lambda number: (np.array([number, number]),)

    def items():
        for number in range(3):
            taken.append(number)
            yield number

    found = THIS_PROCESS.map(prepare, items())
    assert not prepared
    assert next(found)[0].tolist() == [0, 0]
    assert taken == [0]
    assert [block.tolist() for [block] in found] == [[1, 1], [2, 2]]
    assert prepared == [True]
    assert not list(THIS_PROCESS.map(lambda: pytest.fail("nothing to prepare for"), []))


def test_this_process_needs_no_cluster():
    with workers_at(None, 1) as workers:
        assert workers is THIS_PROCESS


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_a_missing_ray_is_named(run_program, tmp_path):
    done = run_program("encode", "collection=q.csv", "output=v.parquet", "workers=local", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: ray is not installed: pip install 'siamese[ray]'\n")


def test_a_process_uses_as_many_cores_as_it_may(monkeypatch):
    monkeypatch.setattr(threads, "_most_cores", sys.maxsize)
    every = threads.cores()
    threads.use_at_most(1)
    assert threads.cores() == 1
    threads.use_at_most(10_000)
    assert threads.cores() == every


def test_a_detector_answers_the_same_elsewhere():
    detector = Detector.load("tests/fixtures/detector_format_5")
    elsewhere = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(elsewhere.encode(QUESTIONS), detector.encode(QUESTIONS))


def test_an_encoder_answers_the_same_elsewhere(tmp_path):
    encoder = from_folder(write_encoder(tmp_path))
    expected = encoder.encode(QUESTIONS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).encode(QUESTIONS), expected)
