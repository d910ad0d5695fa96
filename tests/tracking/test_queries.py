"""Queries: what runs left behind is found again; failed runs do not count."""

import time
from contextlib import suppress

import mlflow
import pytest

from siamese import tracking
from siamese.evaluation.metrics import METRICS_VERSION
from siamese.tracking.queries import newest_model_run


@pytest.mark.slow
def test_find_metrics_gives_the_newest_finished_run_with_all_tags(store):
    for value, error in ((1, None), (2, None), (3, RuntimeError)):
        with suppress(RuntimeError), tracking.tracked_run("baseline", "baseline"):
            tracking.set_tags({"data": "d", "seed": "0", "metrics_version": METRICS_VERSION})
            tracking.log_metrics({"accuracy": value}, "test")
            time.sleep(0.002)  # runs are ordered by milliseconds
            if error:
                raise error
    assert tracking.find_metrics({"data": "d", "seed": "0", "kind": "baseline"}) == {"test/accuracy": 2.0}
    assert tracking.find_metrics({"data": "d", "seed": "1"}) is None


@pytest.mark.parametrize(
    ("tag", "counts"),
    [
        ({"metrics_version": METRICS_VERSION}, True),
        ({"metrics_version": "0"}, False),
        ({"evaluation_code": "0123456789abcdef"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_metrics_of_another_version_do_not_count(store, tag, counts):
    with tracking.tracked_run("baseline", "baseline", tags={"case": str(counts)} | tag):
        tracking.log_metrics({"accuracy": 1}, "test")
    assert tracking.find_metrics({"case": str(counts)}) == ({"test/accuracy": 1.0} if counts else None)


def test_a_failed_run_is_not_the_newest(store):
    with tracking.tracked_run("whole", "model") as whole:
        pass
    with pytest.raises(ZeroDivisionError), tracking.tracked_run("failed", "model"):
        raise ZeroDivisionError
    with tracking.tracked_run("baseline", "baseline"):
        pass
    assert newest_model_run() == whole


@pytest.mark.slow
def test_a_store_without_models_says_how_to_get_one(store, tmp_path):
    before = mlflow.get_tracking_uri()
    try:
        tracking.connect(f"sqlite:///{tmp_path}/folder/mlflow.db", "empty")  # the folder is made
        with pytest.raises(ValueError, match="has no finished run with a model; train one first: make train"):
            newest_model_run()
    finally:
        tracking.connect(before, "tests")
