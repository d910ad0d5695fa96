"""Metrics of the scoring server in the text format of Prometheus."""

import os
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # variable of the environment: where the counts of several processes lie
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # upper bounds of the histogram


class Metrics:
    """Counts of one server; with `SHARED_FOLDER` in the environment those of all its processes.

    Args:
        waiting: gives the number of requests that wait to be scored.
    """

    def __init__(self, waiting: Callable[[], int]):
        self._waiting_now, self._registry = waiting, CollectorRegistry()
        self._requests = Counter("siamese_requests", "Requests answered.", ["path", "status"], registry=self._registry)
        self._pairs = Counter("siamese_pairs", "Pairs of questions scored.", registry=self._registry)
        self._seconds = Histogram(
            "siamese_request_seconds",
            "Seconds from the head of a request for predictions to the end of its answer.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "siamese_waiting_requests",
            "Requests that wait to be scored.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )

    def note(self, for_predictions: bool, status: int, seconds: float, pairs: int) -> None:
        """Count an answered request."""
        self._requests.labels("/invocations" if for_predictions else "other", str(status)).inc()
        if for_predictions:
            self._pairs.inc(pairs)
            self._seconds.observe(seconds)
            self._waiting.set(self._waiting_now())

    def text(self) -> tuple[bytes, str]:
        """All counts until now, and the content type."""
        self._waiting.set(self._waiting_now())
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST
